// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// factsOrg has an active repository, a silent one, a fork, an archived one and an empty internal one.
func factsOrg() *githubtest.Dataset {
	created := noon.AddDate(-3, 0, 0)
	d := &githubtest.Dataset{Org: githubtest.Org{Login: org, From: created, Until: noon.AddDate(0, 0, 7)}}
	for _, name := range []string{"active", "silent", "fork", "archived", "empty"} {
		d.Repos = append(d.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: created})
	}
	d.Repo("fork").Fork, d.Repo("archived").Archived, d.Repo("empty").Visibility = true, true, "internal"
	for _, name := range []string{"silent", "fork", "archived"} {
		addCommit(d, name, noon.AddDate(-2, 0, 0))
	}
	addCommit(d, "active", noon.Add(-2*time.Hour))
	d.Repo("silent").Watchers, d.Repo("silent").Language = 3, "Go"
	return d
}

// repositories returns what a replica that starts now knows of repositories, by name.
func (b *bench) repositories() (map[string]ledgerview.Repository, []ledger.RepoTotal) {
	b.t.Helper()
	view := b.newView()
	all := make(map[string]ledgerview.Repository)
	require.True(b.t, view.EachRepository(b.clock.Now(), func(r *ledgerview.Repository) { all[r.Name] = *r }))
	return all, view.RepoTotals()
}

// TestFactsOfRepositories checks that a pass records facts and counts of the selected repositories, silent ones
// included, and the number of all.
func TestFactsOfRepositories(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, factsOrg())
		b.pass()
		found, totals := b.repositories()
		require.Len(t, found, 3, "neither the fork nor the archived one")
		require.Equal(t, "Go", found["silent"].Facts.Language)
		require.Equal(t, activity.KnownNumber(3), found["silent"].Counts.Watchers)
		require.Equal(t, activity.KnownNumber(1), found["active"].Counts.Branches)
		require.Equal(t, activity.KnownNumber(0), found["empty"].Counts.Branches)
		require.Equal(t, noon.Add(-2*time.Hour), found["active"].LastEvent)
		require.Zero(t, found["silent"].LastEvent)
		require.Len(t, totals, 12, "every combination")
		want := map[ledger.RepoTotal]bool{
			{Visibility: "public", State: activity.RepoActive, Count: 2}:   true,
			{Visibility: "public", State: activity.RepoFork, Count: 1}:     true,
			{Visibility: "public", State: activity.RepoArchived, Count: 1}: true,
			{Visibility: "internal", State: activity.RepoEmpty, Count: 1}:  true,
		}
		for _, total := range totals {
			require.Equal(t, total.Count > 0, want[total], total)
		}
	})
}

// TestFactsAreWrittenWhenTheyChange checks that a pass writes and requests nothing of unchanged facts, that a change is
// in the next pass, and that a reconciliation reads the counts again.
func TestFactsAreWrittenWhenTheyChange(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, factsOrg())
		counts := func() (n int) {
			for _, r := range b.server.Requests() {
				if r.Operation == "RepositoryCounts" || r.Route == "/repos/{owner}/{repo}/tags" {
					n++
				}
			}
			return n
		}
		b.pass()
		b.clock.Advance(interval)
		b.pass()
		read, key := counts(), ledger.RepoFactsKey(b.repoID("silent"))
		before := b.entry(key)
		b.clock.Advance(interval)
		b.pass()
		require.Equal(t, read, counts())
		require.Equal(t, before.Observed, b.entry(key).Observed, "it was not written again")

		b.server.Update(func(d *githubtest.Dataset) { d.Repo("silent").Stars, d.Repo("silent").Watchers = 9, 8 })
		b.clock.Advance(interval)
		b.pass()
		found, _ := b.repositories()
		require.Equal(t, activity.KnownNumber(9), found["silent"].Facts.Stars)
		require.Equal(t, activity.KnownNumber(8), found["silent"].Counts.Watchers)
		require.Greater(t, counts(), read)

		b.server.Update(func(d *githubtest.Dataset) { d.Repo("silent").Watchers = 11 })
		b.clock.Advance(interval)
		b.pass()
		found, _ = b.repositories()
		require.Equal(t, activity.KnownNumber(8), found["silent"].Counts.Watchers, "nothing shows the change")
		_, err := b.collector.Reconcile(t.Context(), 1)
		require.NoError(t, err)
		b.clock.Advance(interval)
		b.pass()
		found, _ = b.repositories()
		require.Equal(t, activity.KnownNumber(11), found["silent"].Counts.Watchers)
	})
}

// entry returns an entry of the ledger.
func (b *bench) entry(key ledger.EntryKey) ledger.Entry {
	b.t.Helper()
	entries, err := b.store.ReadEntries(b.t.Context(), org, []ledger.EntryKey{key})
	require.NoError(b.t, err)
	return entries[key]
}

// TestFactsAfterAnotherLeader checks that a leader that was away writes what another leader has written differently.
func TestFactsAfterAnotherLeader(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, factsOrg())
	other := New(b.collector.settings, &Tallies{})
	pass := func(c *Collector, stars int) {
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("silent").Stars = stars })
		b.clock.Advance(interval)
		_, err := c.Pass(t.Context(), 1)
		require.NoError(t, err)
		found, _ := b.repositories()
		require.Equal(t, uint64(stars), found["silent"].Facts.Stars.Value)
	}
	pass(b.collector, 1)
	pass(b.collector, 2)
	pass(other, 3)
	pass(b.collector, 2)
	pass(other, 2)
	pass(other, 3)
}

// TestCountsAfterALostLeader checks that the next leader reads counts that were due when the former one ended, and then
// nothing again.
func TestCountsAfterALostLeader(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, factsOrg())
		isOfCounts := func(r githubtest.RequestInfo) bool {
			return r.Operation == "RepositoryCounts" || strings.HasSuffix(r.Route, "/tags")
		}
		watchers := func() uint64 {
			found, _ := b.repositories()
			return found["silent"].Counts.Watchers.Value
		}
		b.pass()
		require.Equal(t, uint64(3), watchers())
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("silent").Stars, d.Repo("silent").Watchers = 9, 8 })
		for _, match := range []githubtest.Match{
			{Operation: "RepositoryCounts"}, {Repo: "silent", Route: "/repos/{owner}/{repo}/tags"},
		} {
			b.server.InjectFault(githubtest.Fault{Match: match, Effect: githubtest.Status(http.StatusBadGateway)})
		}
		b.clock.Advance(interval)
		_, err := b.collector.Pass(t.Context(), 1)
		require.NoError(t, err)
		require.Equal(t, uint64(3), watchers(), "the facts are new, the counts are not")
		b.server.ClearFaults()

		next := New(b.collector.settings, &Tallies{})
		b.clock.Advance(interval)
		_, err = next.Pass(t.Context(), 2)
		require.NoError(t, err)
		require.Equal(t, uint64(8), watchers())

		last := New(b.collector.settings, &Tallies{})
		b.server.ResetRequests()
		b.clock.Advance(interval)
		_, err = last.Pass(t.Context(), 3)
		require.NoError(t, err)
		require.Zero(t, b.server.CountRequests(isOfCounts))
	})
}

// TestTotalsOfAnIncompleteListing checks that the number of repositories stays as it was while some are hidden.
func TestTotalsOfAnIncompleteListing(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, factsOrg())
	b.server.Update(func(d *githubtest.Dataset) {
		d.Repo("active").Forbidden = []githubtest.Period{{Start: noon.AddDate(-1, 0, 0), End: noon.Add(time.Minute)}}
	})
	_, err := b.collector.Pass(t.Context(), 1)
	require.NoError(t, err)
	_, totals := b.repositories()
	require.Nil(t, totals, "unknown")
	b.clock.Advance(interval)
	b.pass()
	_, totals = b.repositories()
	require.NotNil(t, totals)
}

// TestNewestEvents checks that each batch records the newest events of its repositories, and none of the future.
func TestNewestEvents(t *testing.T) {
	t.Parallel()
	newest := make(lastEvents)
	batch := &ledger.Batch{Observed: noon}
	add := func(repo int64, at time.Time) {
		batch.Events = append(batch.Events, activity.Event{Kind: activity.KindCommit, Repo: repo, Time: at})
	}
	for _, kind := range activity.Kinds() {
		if kind.IsOfRepository() {
			batch.Events = append(batch.Events, activity.Event{Kind: kind, Repo: 3, Time: noon})
		}
	}
	add(1, noon.Add(-time.Hour))
	add(1, noon.Add(-2*time.Hour))
	add(1, noon.Add(time.Second))
	add(2, noon)
	entries := newest.entries(batch)
	require.ElementsMatch(t, []ledger.Entry{
		{EntryKey: ledger.LastEventKey(1), Observed: noon.Add(-time.Hour)},
		{EntryKey: ledger.LastEventKey(2), Observed: noon},
	}, entries)
	require.Len(t, newest.entries(batch), 2, "they were not committed")
	newest.record(entries)
	require.Empty(t, newest.entries(batch))
}
