// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// backupDocument is the document with the commands of TestBackup.
var backupDocument = filepath.Join("docs", "backup.md")

// backupCommands returns the commands of a section of docs/backup.md: those of the backup, then those of the restore.
func backupCommands(t *testing.T, section string) (backup, restore string) {
	t.Helper()
	_, text, found := strings.Cut(documents(t)[backupDocument], "\n## "+section+"\n")
	require.True(t, found, section)
	text, _, _ = strings.Cut(text, "\n## ")
	blocks := fencedBlock.FindAllStringSubmatch(text, -1)
	require.Len(t, blocks, 2)
	return blocks[0][2], blocks[1][2]
}

// requireCommands runs commands of the document.
func requireCommands(t *testing.T, commands string, variables ...string) {
	t.Helper()
	out, err := bash(t, "set -euo pipefail\n"+commands, variables...)
	require.NoError(t, err, out)
}

// TestBackupOfStorage: after a loss of the file and a restore, the sums of before the look-back are there, and what
// happened since the backup is read again and counted once.
func TestBackupOfStorage(t *testing.T) {
	t.Parallel()
	backup, restore := backupCommands(t, "The file of `storage`")
	data, server, timeline := serveData(t, 72*time.Hour, 90*time.Second)
	early, late := timeline.Start, timeline.Start.Add(30*time.Second)
	server.HideAfter(early)
	gx := startCollector(t, fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, "graphql"))
	prom := startPrometheus(t, gx.metrics)
	gx.awaitComplete(t, org)
	compareWithData(t, prom, data, timeline, early)
	variables := []string{
		"STORAGE=" + filepath.Join(filepath.Dir(gx.config), "storage"),
		"BACKUP=" + filepath.Join(t.TempDir(), "backup"),
	}
	gx.Stop()
	requireCommands(t, backup, variables...)

	// Without the backup the sums would begin with this look-back.
	text, err := os.ReadFile(gx.config)
	require.NoError(t, err)
	short := strings.Replace(string(text), "lookback: 1440h", "lookback: 24h", 1)
	require.NotEqual(t, string(text), short)
	require.NoError(t, os.WriteFile(gx.config, []byte(short), 0o600))
	waitUntil(t, late)
	server.HideAfter(late)
	gx.start(t)
	gx.awaitComplete(t, org)
	compareWithData(t, prom, data, timeline, late)
	gx.Stop()

	require.NoError(t, os.RemoveAll(strings.TrimPrefix(variables[0], "STORAGE=")))
	requireCommands(t, restore, variables...)
	gx.start(t)
	gx.awaitComplete(t, org)
	compareWithData(t, prom, data, timeline, late)
}

// TestBackupOfRedis: after a loss of Redis and a restore, replicas continue with the same ledger.
func TestBackupOfRedis(t *testing.T) {
	t.Parallel()
	backup, restore := backupCommands(t, "Redis")
	server := redistest.Start(t, "appendonly yes", "appendfsync always")
	o := newOutage(t, fmt.Sprintf("{endpoints: [%q]}", server.Address))
	client := server.Client()
	dir := client.ConfigGet(t.Context(), "dir").Val()["dir"]
	epoch := client.HGet(t.Context(), "gx:1:{"+org+"}:meta", "epoch").Val()
	require.NotEmpty(t, dir)
	require.NotEmpty(t, epoch)
	cli := filepath.Join(filepath.Dir(proctest.ProgramPath(t, "GX_REDIS")), "redis-cli")
	backup = fmt.Sprintf("redis-cli() { %s -p %d \"$@\"; }\n", cli, server.Port()) + backup
	variables := []string{"REDIS_DIR=" + dir, "BACKUP=" + filepath.Join(t.TempDir(), "backup")}
	requireCommands(t, backup, variables...)

	server.Wipe()
	o.awaitDown(t)
	requireCommands(t, restore, variables...)
	server.Run()
	o.awaitCorrect(t)
	requireNoReset(t, o.prom)
	require.Equal(t, epoch, client.HGet(t.Context(), "gx:1:{"+org+"}:meta", "epoch").Val())
}
