// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// TestRandomBranches: whatever is pushed, rewritten and switched, and whatever fails meanwhile, in the end the ledger
// has exactly the commits of the default branch. GX_SEEDS is the number of histories with each API.
func TestRandomBranches(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range numSeeds(t, 12) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				newBranchHistory(t, api, seed).run()
			})
		}
	})
}

// branchHistory is a repository whose branches are rewritten at random.
type branchHistory struct {
	*bench

	store   *failingAfter
	rnd     *rand.Rand
	parents map[string][]string
	heads   map[string]string // by branch
	main    string            // the default branch
	former  []string          // heads of before
	log     []string
}

const firstBranch = "main"

func newBranchHistory(t *testing.T, api github.API, seed uint64) *branchHistory {
	t.Helper()
	b := &branchHistory{
		rnd: rand.New(rand.NewPCG(seed, 7)), parents: make(map[string][]string), heads: make(map[string]string),
		main: firstBranch,
	}
	data := newDataset("one")
	b.pushCommits(data, noon.Add(-2*time.Hour), 1+b.rnd.IntN(8))
	b.bench = newBench(t, api, data, func(s *Settings) { s.BackfillEnabled = b.rnd.IntN(2) == 0 })
	b.store = &failingAfter{countingStore: b.bench.store, left: -1}
	b.changeLeader()
	return b
}

// changeLeader replaces the collector by a new one, as a new leader has.
func (b *branchHistory) changeLeader() {
	settings := b.collector.settings
	settings.Store = b.store
	b.collector = New(settings, b.tallies)
}

// pushCommits adds n commits to the default branch, a second apart, up to a time.
func (b *branchHistory) pushCommits(d *githubtest.Dataset, at time.Time, n int) {
	for i := range n {
		b.addCommit(d, at.Add(-time.Duration(n-1-i)*time.Second), b.heads[b.main])
	}
}

// addCommit adds a commit with parents and moves the branch to it.
func (b *branchHistory) addCommit(d *githubtest.Dataset, at time.Time, parents ...string) {
	c := addCommit(d, "one", at)
	if b.main != firstBranch {
		c.Branch = b.main
	}
	c.ParentSHAs, c.Parents = []string{}, 0
	for _, parent := range parents {
		if parent != "" {
			c.ParentSHAs, c.Parents = append(c.ParentSHAs, parent), c.Parents+1
		}
	}
	b.parents[c.SHA] = c.ParentSHAs
	b.moveTo(c.SHA)
}

// moveTo moves the default branch to a commit.
func (b *branchHistory) moveTo(sha string) {
	b.heads[b.main] = sha
	b.former = append(b.former, sha)
}

// ancestor returns the commit that is some steps behind the head.
func (b *branchHistory) ancestor(steps int) string {
	at := b.heads[b.main]
	for range steps {
		if len(b.parents[at]) == 0 {
			break
		}
		at = b.parents[at][b.rnd.IntN(len(b.parents[at]))]
	}
	return at
}

// changeBranches changes the branches at random, and returns a description of the change.
func (b *branchHistory) changeBranches(d *githubtest.Dataset, at time.Time) string {
	repo := d.Repo("one")
	n := 1 + b.rnd.IntN(4)
	if b.rnd.IntN(12) == 0 {
		n = 130
	}
	switch b.rnd.IntN(8) {
	case 0, 1:
		b.pushCommits(d, at, n)
		return fmt.Sprintf("push of %d", n)
	case 2: // some commits are replaced by others
		base := b.ancestor(1 + b.rnd.IntN(5))
		b.addCommit(d, at.Add(-time.Duration(n)*time.Second), base)
		b.pushCommits(d, at, n-1)
		return "force-push"
	case 3:
		b.moveTo(b.ancestor(1 + b.rnd.IntN(5)))
		repo.Resets = append(repo.Resets, githubtest.Reset{Branch: b.branchName(), SHA: b.heads[b.main], At: at})
		return "reset"
	case 4: // what was lost may come back
		b.addCommit(d, at, b.heads[b.main], b.former[b.rnd.IntN(len(b.former))])
		return "merge of a former head"
	case 5: // a branch begins at a former head, or comes back
		name := []string{firstBranch, "next", "other"}[b.rnd.IntN(3)]
		if b.heads[name] == "" {
			b.heads[name] = b.former[b.rnd.IntN(len(b.former))]
			repo.Resets = append(repo.Resets, githubtest.Reset{Branch: name, SHA: b.heads[name], At: at})
		}
		b.main = name
		repo.Switches = append(repo.Switches, githubtest.Switch{Branch: name, At: at})
		return "switch to " + name
	case 6: // nothing in common with what was there
		b.addCommit(d, at, "")
		return "another history"
	default:
		return "nothing"
	}
}

// branchName returns the default branch's name in the data.
func (b *branchHistory) branchName() string {
	if b.main == firstBranch {
		return ""
	}
	return b.main
}

// run makes steps, ends the faults, and compares the ledger with the branch.
func (b *branchHistory) run() {
	for range 25 {
		b.step()
	}
	b.server.ClearFaults()
	b.passAndFill(20) // a stream that was refused is deferred for a while
	want := b.branchCommits()
	have := b.recordedCommits()
	if !maps.Equal(want, have) {
		for _, line := range b.log {
			b.t.Log(line)
		}
	}
	require.True(b.t, maps.Equal(want, have), "%d on the branch, %d in the ledger", len(want), len(have))
	cov := b.coverage()
	for _, r := range cov.Repos {
		require.Empty(b.t, r.Tips, "everything is settled")
		require.Equal(b.t, b.heads[b.main], r.Signals.Head)
	}
	day := uint64(0)
	for _, values := range b.metrics() {
		day += values.Of[ledgerview.MetricCount]
	}
	require.Equal(b.t, uint64(len(want)), day, "all of it is of the last day")
}

// step changes the branches and makes a pass that may meet faults.
func (b *branchHistory) step() {
	at := b.clock.Advance(interval)
	var what string
	b.server.Update(func(d *githubtest.Dataset) {
		what = b.changeBranches(d, at)
		if gone := b.rnd.IntN(15) == 0; gone {
			b.deleteUnreachable(d, at)
			what += ", and what is on no branch is deleted"
		}
	})
	b.server.ClearFaults()
	switch b.rnd.IntN(6) {
	case 0:
		b.store.failAfter(b.rnd.IntN(5))
		what += "; the store fails"
	case 1:
		match := []githubtest.Match{
			{Route: compareRoute},
			{Route: commitsRoute},
			{Operation: "Activity"},
		}[b.rnd.IntN(3)]
		status := []int{http.StatusBadGateway, http.StatusForbidden, http.StatusNotFound}[b.rnd.IntN(3)]
		b.server.InjectFault(
			githubtest.Fault{
				Match: match, Effect: githubtest.Status(status), Skip: b.rnd.IntN(2), Times: 1 + b.rnd.IntN(12),
			},
		)
		what += fmt.Sprintf("; %d of %s%s", status, match.Route, match.Operation)
	}
	if b.rnd.IntN(6) == 0 {
		b.changeLeader()
		what += "; a new leader"
	}
	result, err := b.collector.Pass(b.t.Context(), 1)
	b.store.failAfter(-1)
	b.log = append(b.log, fmt.Sprintf("%s: %s: %s (%v)", at.Format(time.TimeOnly), what, result.Status, err))
	if b.rnd.IntN(4) == 0 {
		b.fillLastDay()
	}
}

// fillLastDay reads the last day again, as a job of an operator does.
func (b *branchHistory) fillLastDay() {
	cov := b.coverage()
	for _, r := range cov.Repos {
		_, err := b.collector.Fill(
			b.t.Context(),
			FillRequest{
				Scope: activity.Scope{
					RepoID: r.ID, Streams: activity.StreamsOf(activity.StreamCommits),
					Window: activity.Window{Start: noon.Add(-3 * time.Hour), End: b.clock.Now()},
				},
				Force: true,
			},
		)
		require.NoError(b.t, err)
	}
}

// deleteUnreachable deletes the commits that no branch reaches.
func (b *branchHistory) deleteUnreachable(d *githubtest.Dataset, at time.Time) {
	reached := make(map[string]bool)
	for _, head := range b.heads {
		b.reach(head, reached)
	}
	for i := range d.Commits {
		if c := &d.Commits[i]; !reached[c.SHA] && c.GoneAt.IsZero() {
			c.GoneAt = at
		}
	}
	b.former = slices.DeleteFunc(b.former, func(sha string) bool { return !reached[sha] })
	b.former = append(b.former, b.heads[b.main])
}

// reach adds to reached the commits that a head reaches.
func (b *branchHistory) reach(head string, reached map[string]bool) {
	todo := []string{head}
	for len(todo) > 0 {
		sha := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if sha != "" && !reached[sha] {
			reached[sha] = true
			todo = append(todo, b.parents[sha]...)
		}
	}
}

// branchCommits returns the commits that the default branch reaches.
func (b *branchHistory) branchCommits() map[activity.ID]bool {
	reached := make(map[string]bool)
	b.reach(b.heads[b.main], reached)
	set := make(map[activity.ID]bool)
	for sha := range reached {
		id, err := activity.CommitID(sha)
		require.NoError(b.t, err)
		set[id] = true
	}
	return set
}

// recordedCommits returns the commits that the ledger has and that were not removed.
func (b *branchHistory) recordedCommits() map[activity.ID]bool {
	set := make(map[activity.ID]bool)
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	err := b.bench.store.Follow(ctx, org, func(change ledger.Change) error {
		for i := range change.Events {
			set[change.Events[i].ID] = true
		}
		for _, key := range change.Removed {
			delete(set, key.ID)
		}
		if change.CaughtUp {
			cancel()
		}
		return nil
	})
	require.ErrorIs(b.t, err, context.Canceled)
	return set
}
