// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

const storageConfig = `
extensions: {file_storage: {directory: %q, create_directory: true, fsync: true}}
receivers:
  githubexporter:
    orgs: [{name: %s, auth: {token: %s}, scrape_interval: 1s}]
    github: {endpoint: %q}
    storage: file_storage
exporters: {debug: {}}
service:
  extensions: [file_storage]
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [githubexporter], exporters: [debug]}}
`

// TestDamagedStorage: a file that is damaged, at any position, and one that another process has open stop the start
// with a remedy.
func TestDamagedStorage(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	dir := filepath.Join(t.TempDir(), "storage")
	run := func() *proctest.Process {
		config := writeConfig(t, fmt.Sprintf(storageConfig, dir, org, githubtest.DefaultToken, server.URL))
		gx := proctest.New(t, proctest.ProgramPath(t, "GX_COLLECTOR"), "--config", config)
		gx.Run()
		return gx
	}
	refused := func(want ...string) {
		t.Helper()
		gx := run()
		require.Eventually(t, gx.HasExited, 20*time.Second, 10*time.Millisecond, "the collector continues")
		for _, text := range want {
			require.Contains(t, gx.Output(), text)
		}
	}
	gx := run()
	awaitLog(t, gx, "Pass ended.")
	refused("another process has the file", "receiver_githubexporter_", "want a directory for each process")
	gx.Stop()

	file := filepath.Join(dir, "receiver_githubexporter_")
	good, err := os.ReadFile(file)
	require.NoError(t, err)
	page := os.Getpagesize()
	for name, damage := range map[string]func([]byte) []byte{
		"meta pages overwritten": func(b []byte) []byte {
			return append(bytes.Repeat([]byte{1}, 2*page),
				b[2*page:]...)
		},
		"truncated to one page": func(b []byte) []byte { return b[:page] },
		"another format":        func(b []byte) []byte { return bytes.Repeat([]byte("x"), len(b)) },
	} {
		t.Log(name)
		require.NoError(t, os.WriteFile(file, damage(bytes.Clone(good)), 0o600))
		refused("is damaged: ", "receiver_githubexporter_", "move the file away", "Error: cannot start pipelines")
	}
	// This one the database finds in a goroutine of its own.
	require.NoError(t, os.WriteFile(file, append(good[:2*page:2*page], make([]byte, len(good)-2*page)...), 0o600))
	refused("ends here in go.etcd.io/bbolt, the file is damaged: move the file away", "receiver_githubexporter_",
		"panic: ")
	require.NoError(t, os.Rename(file, file+".damaged"))
	gx = run()
	awaitLog(t, gx, "Pass ended.")
	gx.Stop()
}

// TestLostRecords: when records of the embedded store are missing, as from a repaired file, the collector warns and
// reads their content from GitHub again.
func TestLostRecords(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	timeline := githubtest.EndingAt(data, time.Hour, time.Now(), 1)
	server := githubtest.Start(
		t,
		githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Timeline: timeline, Limits: highLimits},
	)
	timeline, visible := server.Timeline(), time.Now()
	server.HideAfter(visible)
	gx := startCollector(t, fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, "graphql"))
	prom := startPrometheus(t, gx.metrics)
	gx.awaitComplete(t, org)
	for _, lost := range [][]string{{"0/0", "0/1"}, {"head"}, {"head", "head2"}} {
		gx.Stop()
		deleteRecords(t, filepath.Join(filepath.Dir(gx.config), "storage", "receiver_githubexporter_"), lost)
		gx.start(t)
		gx.awaitComplete(t, org)
		compareWithData(t, prom, data, timeline, visible)
		require.Contains(t, gx.Output(), "Ignoring a corrupt record of the store.", "%v", lost)
	}
	gx.Stop()
	gx.start(t)
	gx.awaitComplete(t, org)
	require.NotContains(t, gx.Output(), "Ignoring a corrupt record of the store.")
}

// deleteRecords deletes records of an organization from the file of file_storage.
func deleteRecords(t *testing.T, file string, names []string) {
	t.Helper()
	database, err := bbolt.Open(file, 0o600, &bbolt.Options{Timeout: 10 * time.Second})
	require.NoError(t, err)
	require.NoError(t, database.Update(func(tx *bbolt.Tx) error {
		for _, name := range names {
			key, bucket := []byte("v1/"+strings.ToLower(org)+"/"+name), tx.Bucket([]byte("default"))
			require.NotNil(t, bucket.Get(key), name)
			if err := bucket.Delete(key); err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, database.Close())
}
