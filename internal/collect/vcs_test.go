// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// vcsBench is a bench with a reader of what the metrics vcs.* need.
type vcsBench struct {
	*bench

	reader        *VCSReader
	maxRefsPerOrg int
}

func newVCSBench(t *testing.T, api github.API, data *githubtest.Dataset) *vcsBench {
	t.Helper()
	b := &vcsBench{bench: newBench(t, api, data), maxRefsPerOrg: 10_000}
	b.reader = b.newReader()
	return b
}

// newReader returns the reader of another term.
func (b *vcsBench) newReader() *VCSReader {
	source, ok := b.collector.settings.Source.(VCSSource)
	require.True(b.t, ok)
	return b.collector.NewVCSReader(VCSSettings{
		Source: source, Changes: true, Contributors: true, Branches: true, MaxRefs: 100, MaxRefsPerOrg: b.maxRefsPerOrg,
	})
}

// read makes a pass, and reads what changed. It returns the requests of the reading by route or query.
func (b *vcsBench) read(recent bool) (VCSResult, map[string]int) {
	b.t.Helper()
	b.clock.Advance(interval)
	require.Empty(b.t, b.pass().Failures)
	b.server.ResetRequests()
	result, err := b.reader.Read(b.t.Context(), 1, recent)
	require.NoError(b.t, err)
	sent := make(map[string]int)
	for _, r := range b.server.Requests() {
		if r.Operation != "" {
			sent[r.Operation]++
		} else {
			sent[r.Route]++
		}
	}
	return result, sent
}

// entry returns what is stored of a part of a repository.
func (b *vcsBench) entry(repo string, part ledger.VCSPart) []byte {
	b.t.Helper()
	cov := b.coverage()
	for id, r := range cov.Repos {
		if r.Name != repo {
			continue
		}
		key := ledger.VCSKey(id, part)
		entries, err := b.store.ReadEntries(b.t.Context(), org, []ledger.EntryKey{key})
		require.NoError(b.t, err)
		return entries[key].Data
	}
	return nil
}

// counts returns the stored numbers of pull requests by state, and the number of contributors.
func (b *vcsBench) counts(repo string) (open, wip, closed, merged, contributors activity.Number) {
	b.t.Helper()
	_, c, err := ledger.DecodeVCSChanges(b.entry(repo, ledger.VCSChanges))
	require.NoError(b.t, err)
	_, contributors, err = ledger.DecodeVCSContributors(b.entry(repo, ledger.VCSContributors))
	require.NoError(b.t, err)
	return c.Count[0], c.Count[1], c.Count[2], c.Count[3], contributors
}

// TestVCSReading checks that each change is read once, with both APIs, and that nothing is requested when nothing
// changed, nor by another leader.
func TestVCSReading(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		old := noon.Add(-100 * time.Hour)
		addCommit(data, "one", old)
		addPull(data, "one", 1, old, nil)
		addPull(data, "one", 2, old, &old)
		b := newVCSBench(t, api, data)
		b.read(false)
		_, sent := b.read(false)
		require.Empty(t, sent, "settled")

		n := activity.KnownNumber
		closed, merged := n(0), n(1)
		if api == github.APIREST {
			closed, merged = activity.Number{}, activity.Number{}
		}
		requireCounts := func(open, wip uint64, closed, merged activity.Number, contributors uint64) {
			t.Helper()
			gotOpen, gotWIP, gotClosed, gotMerged, gotContributors := b.counts("one")
			require.Equal(t, []activity.Number{n(open), n(wip), closed, merged, n(contributors)},
				[]activity.Number{gotOpen, gotWIP, gotClosed, gotMerged, gotContributors})
		}
		requireCounts(1, 0, closed, merged, 1)

		b.server.Update(func(d *githubtest.Dataset) {
			addPull(d, "one", 3, b.clock.Now().Add(time.Minute), nil)
			d.Pulls[len(d.Pulls)-1].Draft = true
		})
		result, sent := b.read(false)
		require.Equal(t, 1, result.Read, "no contributors: there was no push")
		require.Len(t, sent, 1)
		requireCounts(1, 1, closed, merged, 1)

		b.server.Update(func(d *githubtest.Dataset) {
			addCommit(d, "one", b.clock.Now().Add(time.Minute))
			d.Commits[len(d.Commits)-1].Login = new("newcomer")
		})
		b.read(false)
		requireCounts(1, 1, closed, merged, 2)
		b.read(false)

		b.reader = b.newReader()
		_, sent = b.read(false)
		require.Empty(t, sent, "another leader knows from the ledger what was read")
		commits := b.store.commits
		_, sent = b.read(true)
		require.NotEmpty(t, sent, "what was active is read again")
		require.LessOrEqual(t, b.store.commits-commits, 1, "what did not change is not written: the pass alone writes")
	})
}

// TestVCSReadingFailures checks that a repository that cannot be read keeps what is known of it, and is read again
// after a backoff, and that pull requests that are switched off cost no request.
func TestVCSReadingFailures(t *testing.T) {
	t.Parallel()
	data := newDataset("one", "two")
	old := noon.Add(-100 * time.Hour)
	for _, name := range []string{"one", "two"} {
		addCommit(data, name, old)
		addPull(data, name, 1, old, nil)
	}
	b := newVCSBench(t, github.APIGraphQL, data)
	b.read(false)
	stored := b.entry("one", ledger.VCSContributors)
	require.NotEmpty(t, stored)
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Route: "/repos/{owner}/{repo}/contributors"}, Effect: githubtest.StatusBody(
			http.StatusForbidden, http.Header{"Content-Type": {"application/json"}}, `{"message":"no access"}`),
	})
	b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", b.clock.Now().Add(time.Minute)) })
	for attempt := range 4 {
		result, sent := b.read(false)
		if attempt < 2 {
			require.Equal(t, 1, result.Failed)
			require.Error(t, result.Err)
		} else {
			require.Empty(t, sent, "a backoff")
		}
	}
	require.Equal(t, stored, b.entry("one", ledger.VCSContributors))

	b.server.ClearFaults()
	b.server.Update(func(d *githubtest.Dataset) {
		d.Repo("two").PullsOff = []githubtest.Period{{Start: b.clock.Now()}}
	})
	_, sent := b.read(true)
	require.NotZero(t, sent["Changes"])
	for _, r := range b.server.Requests() {
		if r.Operation == "Changes" {
			require.Len(t, r.Variables["ids"], 1)
		}
	}
}

// TestVCSReadingOff checks that there is no reader, and so no request, when all metrics are off.
func TestVCSReadingOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, newDataset("one"))
	require.Nil(t, b.collector.NewVCSReader(VCSSettings{}))
}

// TestVCSReadingCost bounds what 1,000 repositories cost: nothing when nothing happened, and some points when 50 have
// changed.
func TestVCSReadingCost(t *testing.T) {
	t.Parallel()
	b := newVCSBench(t, github.APIGraphQL, thousandRepos())
	for range 3 { // no more than maxVCSReadings of each part at once
		b.read(false)
	}
	_, sent := b.read(false)
	require.Empty(t, sent)
	b.server.Update(func(d *githubtest.Dataset) {
		for i := range 50 {
			addPull(d, d.Repos[i].Name, 5, b.clock.Now().Add(time.Minute), nil)
			addCommit(d, d.Repos[i].Name, b.clock.Now().Add(time.Minute))
			onBranch(d, d.Repos[i].Name, b.clock.Now().Add(time.Minute))
		}
	})
	result, sent := b.read(false)
	require.Equal(t, 150, result.Read)
	require.Equal(t, map[string]int{
		"Changes": 1, "/repos/{owner}/{repo}/contributors": 50, "Branches": 1, "Comparisons": 2,
	}, sent)
	require.Equal(t, 5, b.server.PointsSpent("graphql"))
	_, sent = b.read(false)
	require.Empty(t, sent)
}

// onBranch adds a commit to the branch "fix", which begins at the default one.
func onBranch(d *githubtest.Dataset, repo string, at time.Time) {
	c := addCommit(d, repo, at)
	c.Branch = "fix"
}

// branches returns the stored branches of a repository.
func (b *vcsBench) branches(repo string) activity.Branches {
	b.t.Helper()
	_, found, err := ledger.DecodeVCSBranches(b.entry(repo, ledger.VCSBranches))
	require.NoError(b.t, err)
	return found
}

// TestVCSBranches checks that branches are compared once after each change, with both APIs, that another leader
// compares nothing again, and that a comparison that fails leaves what was known and is made after a backoff.
func TestVCSBranches(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		old := noon.Add(-100 * time.Hour)
		addCommit(data, "one", old)
		onBranch(data, "one", old.Add(time.Hour))
		b := newVCSBench(t, api, data)
		compare := "Comparisons"
		if api == github.APIREST {
			compare = "/repos/{owner}/{repo}/compare/{basehead...}"
		}
		b.read(false)
		n := activity.KnownNumber
		want := activity.VCSBranch{
			Name: "fix", IsCurrent: true, Ahead: n(1), Behind: n(0), First: old.Add(time.Hour),
		}
		requireFix := func() {
			t.Helper()
			got := b.branches("one")
			require.Len(t, got.List, 1)
			got.List[0].Head = ""
			require.Equal(t, want, got.List[0])
			require.Equal(t, "main", got.Trunk)
		}
		requireFix()
		_, sent := b.read(false)
		require.Empty(t, sent)
		b.reader = b.newReader()
		_, sent = b.read(false)
		require.Empty(t, sent, "another leader knows from the ledger what was read")

		b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", b.clock.Now().Add(time.Minute)) })
		_, sent = b.read(false)
		require.Equal(t, 1, sent[compare])
		want.Behind = n(1)
		requireFix()

		fault := githubtest.Fault{
			Match:  githubtest.Match{Operation: compare},
			Effect: githubtest.FieldError("c0.ref.compare", "FORBIDDEN", "no"),
		}
		if api == github.APIREST {
			isOfBranch := func(r githubtest.RequestInfo) bool { return r.Query == "page=1&per_page=1" }
			fault.Match = githubtest.Match{Route: compare, Func: isOfBranch}
			fault.Effect = githubtest.StatusBody(http.StatusForbidden,
				http.Header{"Content-Type": {"application/json"}}, `{"message":"no access"}`)
		}
		b.server.InjectFault(fault)
		b.server.Update(func(d *githubtest.Dataset) { onBranch(d, "one", b.clock.Now().Add(time.Minute)) })
		result, _ := b.read(false)
		require.Equal(t, 1, result.Failed)
		want.IsCurrent = false
		requireFix()
		for attempt := range 3 {
			if _, sent = b.read(false); attempt > 0 {
				require.Zero(t, sent[compare], "a backoff")
			}
		}
		b.server.ClearFaults()
		b.clock.Advance(24 * time.Hour)
		b.read(false)
		want.IsCurrent, want.Ahead = true, n(2)
		requireFix()
	})
}

// TestVCSBranchesOfAnOrganization checks that no more repositories are compared than have the branches that are shown,
// the newest first.
func TestVCSBranchesOfAnOrganization(t *testing.T) {
	t.Parallel()
	data := newDataset("a", "b", "c", "d")
	old := noon.Add(-100 * time.Hour)
	for i := range data.Repos {
		data.Repos[i].ID = int64(i + 1)
		addCommit(data, data.Repos[i].Name, old)
		onBranch(data, data.Repos[i].Name, old.Add(time.Hour))
	}
	b := newVCSBench(t, github.APIGraphQL, data)
	b.maxRefsPerOrg = 2
	b.reader = b.newReader()
	b.read(false)
	b.server.Update(func(d *githubtest.Dataset) {
		for i := range d.Repos {
			onBranch(d, d.Repos[i].Name, b.clock.Now().Add(time.Minute))
		}
	})
	b.read(false)
	for name, want := range map[string]uint64{"a": 1, "b": 1, "c": 2, "d": 2} {
		require.Equal(t, activity.KnownNumber(want), b.branches(name).List[0].Ahead, name)
	}
}
