// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/extstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

// crashEnv has the directory in which a child process commits until it is killed.
const crashEnv = "GX_EXTSTORE_CRASH"

// commitUntilKilled is the child process: it commits batches and prints the number of each when it is committed.
func commitUntilKilled(dir string) {
	ctx := context.Background()
	client, _, err := fileStorage(ctx, dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	store := extstore.New(client, extstore.Settings{})
	cov, err := store.Coverage(ctx, "acme")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	next := int64(0)
	if r := cov.Repos[1]; r != nil {
		next = r.Signals.Pulls.Number // how far the coverage says that it is
	}
	for ; ; next++ {
		if _, err := store.Commit(ctx, 1, crashBatch(next)); err != nil {
			os.Exit(2)
		}
		os.Stdout.WriteString(strconv.FormatInt(next, 10) + "\n") //nolint:errcheck // it is about to die anyway
	}
}

// crashBatch has the events of a number and of the one before, and says in the coverage how far it is. It is large, so
// that the journal is often replaced by a snapshot.
func crashBatch(n int64) ledger.Batch {
	b := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1)}
	b.Progress.Repos[0].Signals = &activity.Signals{
		Head:  strings.Repeat("x", 20_000),
		Pulls: activity.LatestUpdate{Number: n},
	}
	b.Progress.Repos[0].Observed = storetest.Noon
	for i := max(0, n-1); i <= n; i++ {
		b.Events = append(b.Events, storetest.Event(activity.KindCommit, i, "ada", storetest.Noon))
	}
	return b
}

// TestKill kills a process in the middle of committing, again and again, and shows that every batch that was
// acknowledged is there, none is doubled, and each process goes on where the coverage says.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	acknowledged := int64(-1)
	for round := range 10 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashEnv+"="+dir)
		child.Stderr = os.Stderr
		output, err := child.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, child.Start())
		lines := bufio.NewScanner(output)
		for n := 0; n < 40+17*round && lines.Scan(); n++ {
			acknowledged, err = strconv.ParseInt(lines.Text(), 10, 64)
			require.NoError(t, err)
		}
		require.NoError(t, child.Process.Kill())
		for lines.Scan() {
			if n, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				acknowledged = n
			}
		}
		require.Error(t, child.Wait())
		requireRecorded(t, dir, acknowledged)
	}
	require.Greater(t, acknowledged, int64(500))
}

// requireRecorded opens the store and finds every acknowledged event once, and at most one that was not.
func requireRecorded(t *testing.T, dir string, acknowledged int64) {
	t.Helper()
	client, closer, err := fileStorage(t.Context(), dir)
	require.NoError(t, err)
	defer func() { require.NoError(t, closer()) }()
	store := extstore.New(client, extstore.Settings{OnCorrupt: func(key string,
		err error,
	) {
		t.Errorf("%s: %v", key, err)
	}})
	got := storetest.EmittedSeries{}
	storetest.LatestView(t, store, "acme").Visit(storetest.Noon, got)
	commits := got[ledgerview.Series{Repo: "repo-1", User: "ada"}].Of[ledgerview.MetricTotal]
	require.Contains(t, []uint64{uint64(acknowledged + 1), uint64(acknowledged + 2)}, commits)
	_, events := store.Sizes("acme")
	require.Equal(t, int(commits), events)
}
