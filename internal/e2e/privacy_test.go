// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
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

// privacyDocument is the document with the commands of TestErasePerson.
var privacyDocument = filepath.Join("docs", "privacy.md")

// leaver is the login of the person who is erased.
const leaver = "some-leaver"

// TestErasePerson runs the steps of docs/privacy.md: afterwards neither the page nor Prometheus nor the store has the
// person, and those who stay are there.
func TestErasePerson(t *testing.T) {
	t.Parallel()
	_, text, found := strings.Cut(documents(t)[privacyDocument], "\n## Erasing a person\n")
	require.True(t, found)
	var commands []string
	for _, block := range fencedBlock.FindAllStringSubmatch(text, -1) {
		if block[1] == "sh" {
			commands = append(commands, block[2])
		}
	}
	require.Len(t, commands, 3, "Prometheus, storage, Redis")
	t.Run("storage", func(t *testing.T) {
		t.Parallel()
		e := newErasure(t, embedded)
		storage := filepath.Join(filepath.Dir(e.config), "storage")
		e.erase(t, func() []byte { return readFolder(t, storage) }, commands[0], commands[1], "STORAGE="+storage)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		e := newErasure(t, fmt.Sprintf("redis: {endpoints: [%q]}", server.Address))
		cli := filepath.Join(filepath.Dir(proctest.ProgramPath(t, "GX_REDIS")), "redis-cli")
		program := filepath.Join(t.TempDir(), "redis-cli") // a program, which xargs finds
		require.NoError(t, os.WriteFile(program, fmt.Appendf(nil, "#!/bin/sh\nexec %s -p %d \"$@\"\n", cli,
			server.Port()), 0o700))
		e.erase(t, func() []byte { return dumpRedis(t, server) }, commands[0], commands[2],
			"PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"))
	})
}

// erasure is a collector that has shown a person.
type erasure struct {
	*collector

	prom *prometheus
}

// newErasure starts a collector with a store, and waits until Prometheus has the person, who has left ten days ago.
func newErasure(t *testing.T, store string) *erasure {
	t.Helper()
	now := time.Now().UTC().Truncate(time.Second)
	data := smallOrg(now)
	data.Org.Login = org
	addCommit(data, "r01", 1<<40, new(leaver), now.AddDate(0, 0, -10))
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}, Limits: highLimits})
	e := &erasure{collector: startCollector(t, fmt.Sprintf(
		"orgs: [{name: %s, auth: {token: %s}, scrape_interval: 2s, lookback: 336h}]\n"+
			"github: {endpoint: %q, tls: {insecure: true}}\nemit_interval: 1s\n%s", org, githubtest.DefaultToken,
		server.URL, store))}
	e.prom = startPrometheus(t, e.metrics)
	e.awaitComplete(t, org)
	require.NotZero(t, e.count(t.Context(), fmt.Sprintf(
		`gh_activity_commits_total{org=%q,repo="r01",user=%q}`, org, leaver)))
	eventually(t, 30*time.Second, func() error { return e.checkPrometheus(t, true) })
	return e
}

// checkPrometheus returns an error when Prometheus has, or lacks, series of the person.
func (e *erasure) checkPrometheus(t *testing.T, want bool) error {
	t.Helper()
	samples, err := e.prom.query(t.Context(), fmt.Sprintf(
		`count(last_over_time({user=%q}[1h])) or vector(0)`, leaver), time.Now())
	if err == nil && (samples[0].Value[1] != "0") != want {
		err = fmt.Errorf("%v series", samples[0].Value[1])
	}
	return err
}

// erase runs the steps, and looks for the person in what the store holds.
func (e *erasure) erase(t *testing.T, stored func() []byte, prometheus, ledger string, variables ...string) {
	t.Helper()
	require.True(t, bytes.Contains(stored(), []byte(leaver)), "the test does not see what is stored")
	e.Stop()
	text, err := os.ReadFile(e.config)
	require.NoError(t, err)
	excluded := strings.Replace(string(text), "lookback: 336h", "lookback: 24h", 1)
	exclude := "    actors: {exclude: [" + leaver + "]}\n"
	excluded = strings.Replace(excluded, "    emit_interval:", exclude+"    emit_interval:", 1)
	require.NoError(t, os.WriteFile(e.config, []byte(excluded), 0o600))
	requireCommands(t, ledger, append(variables, "ORG="+org)...)
	e.start(t)
	e.awaitComplete(t, org)
	requireCommands(t, prometheus, "PROMETHEUS=http://"+e.prom.address, "LOGIN="+leaver)
	require.NoError(t, e.checkPrometheus(t, false))
	page, err := e.page(t.Context())
	require.NoError(t, err)
	require.NotContains(t, page, leaver)
	require.Contains(t, page, `user="ada"`)
	require.False(t, bytes.Contains(stored(), []byte(leaver)))
	require.True(t, bytes.Contains(stored(), []byte("ada")))
}

// readFolder returns what all files of a folder contain.
func readFolder(t *testing.T, dir string) []byte {
	t.Helper()
	var all []byte
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil // a file of the moment
		}
		all = append(all, text...)
		return err
	}))
	return all
}

// dumpRedis returns the values of all keys, as Redis serializes them.
func dumpRedis(t *testing.T, server *redistest.Server) []byte {
	t.Helper()
	var all []byte
	client := server.Client()
	for keys := client.Scan(t.Context(), 0, "*", 1000).Iterator(); keys.Next(t.Context()); {
		text, err := client.Dump(t.Context(), keys.Val()).Result()
		require.NoError(t, err)
		all = append(append(all, keys.Val()...), text...)
	}
	require.NotEmpty(t, all)
	return all
}
