// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// asksForStreams reports whether a request is for pull requests, issues or comments of a repository.
func asksForStreams(repo string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool {
		return r.Repo == repo && (asks("/repos/{owner}/{repo}/pulls")(r) ||
			asks("/repos/{owner}/{repo}/issues/comments")(r) || asks("/repos/{owner}/{repo}/issues")(r) ||
			(r.Operation == "Activity" && (r.Variables["pulls"] == true || r.Variables["issues"] == true)))
	}
}

// switchOff switches pull requests and issues of a repository off from now on.
func (b *bench) switchOff(repo string) {
	off := []githubtest.Period{{Start: b.clock.Now()}}
	b.server.Update(func(d *githubtest.Dataset) { d.Repo(repo).PullsOff, d.Repo(repo).IssuesOff = off, off })
}

func (b *bench) switchOn(repo string) {
	b.server.Update(func(d *githubtest.Dataset) { d.Repo(repo).PullsOff, d.Repo(repo).IssuesOff = nil, nil })
}

// TestSwitchedOff: nothing is asked of what is switched off, nothing is missing, and the windows slide. Switched on
// again, everything since it was read last is found, whatever was missing before that too.
func TestSwitchedOff(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		both(t, func(t *testing.T, alone bool, change func(*Settings)) {
			data := dataset("one", "two")
			pull(data, "one", 1, noon.Add(-time.Hour), nil)
			comment(data, "one", 1, noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			b.pass()
			b.fill()
			require.Equal(t, uint64(1), b.metrics().of("one", activity.KindPullRequestOpened))

			at := b.clock.Advance(interval).Add(-time.Minute) // not read before it is switched off
			b.server.Update(func(d *githubtest.Dataset) {
				pull(d, "one", 2, at, nil)
				comment(d, "one", 2, at)
				*data = *d
			})
			edge := b.coverage().Edge
			b.switchOff("one")
			b.server.ResetRequests()
			for range 3 {
				sum := b.pass()
				require.Equal(t, PassSuccess, sum.Status)
				b.clock.Advance(12 * time.Hour)
				b.requireNoGaps()
			}
			require.Zero(t, b.server.CountRequests(asksForStreams("one")))
			for s, v := range b.metrics() {
				require.Zero(
					t, v.Of[ledgerview.MetricCount+ledgerview.Metric(activity.KindPullRequestOpened.Index())],
					"the windows of %v slide", s,
				)
			}
			cov := b.coverage()
			off := cov.Repos[b.idOf("one")]
			require.Equal(t, activity.EveryStream.Without(activity.StreamCommits), off.Signals.Disabled)
			require.Equal(t, edge, off.Signals.DisabledSince)
			require.Equal(t, cov.Edge, cov.OldestUncovered())
			_, err := b.collector.Reconcile(t.Context(), 1)
			require.NoError(t, err)
			require.Zero(t, b.server.CountRequests(asksForStreams("one")), "nor does a reconciliation ask")
			filled, err := b.collector.Fill(
				t.Context(),
				FillRequest{
					Scope: activity.Scope{
						RepoID: off.ID, Streams: activity.EveryStream,
						Window: activity.Window{Start: noon.Add(-time.Hour), End: b.clock.Now()},
					},
					Force: true,
				},
			)
			require.NoError(t, err)
			require.Equal(t, commits, filled.Streams)
			require.Empty(t, filled.Failures)

			b.switchOn("one")
			b.clock.Advance(interval)
			sum := b.pass()
			require.Equal(t, PassSuccess, sum.Status)
			cov = b.coverage()
			require.Zero(t, cov.Repos[off.ID].Signals.Disabled)
			require.Zero(t, cov.Repos[off.ID].Signals.DisabledSince)
			b.fill()
			for range 3 { // without backfill, passes read what lags
				b.clock.Advance(interval)
				b.pass()
			}
			if !alone {
				b.requireNoGaps()
			}
			requireAllRecorded(t, b, data)
		})
	})
}

// idOf is the id of a repository.
func (b *bench) idOf(repo string) int64 {
	b.t.Helper()
	for id, r := range b.coverage().Repos {
		if r.Name == repo {
			return id
		}
	}
	require.Fail(b.t, "no such repository", repo)
	return 0
}

// TestOffWhileMissing: what was missing when the feature was switched off counts no more, and again afterwards.
func TestOffWhileMissing(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		pull(data, "one", 1, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
		b.server.InjectFault(
			githubtest.Fault{Match: githubtest.Match{Func: asksForStreams("one")}, Effect: githubtest.Status(404)},
		)
		at := b.clock.Advance(interval).Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			pull(d, "one", 2, at, nil)
			comment(d, "one", 2, at)
			*data = *d
		})
		require.Equal(t, PassPartial, b.pass().Status)
		cov := b.coverage()
		require.NotEmpty(t, cov.Gaps())
		orders := b.orders()
		b.switchOff("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireNoGaps()
		for _, order := range orders { // a job that was under way has nothing to do
			filled, err := b.collector.Fill(t.Context(), order)
			require.NoError(t, err)
			require.Zero(t, filled.Streams)
		}
		b.server.ClearFaults()
		b.switchOn("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status, "what was refused before is asked for at once")
		b.fill()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestOffAtFirstContact: what happened before is read when the feature is switched on.
func TestOffAtFirstContact(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		pull(data, "one", 1, noon.Add(-5*24*time.Hour), nil)
		comment(data, "one", 7, noon.Add(-5*24*time.Hour))
		b := newBench(t, api, data, handover)
		b.switchOff("one")
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fill()
		b.requireNoGaps()
		require.Zero(t, b.server.CountRequests(asksForStreams("one")))
		b.switchOn("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fill()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestPullsOffAlone: comments of issues go on, and come back as one stream.
func TestPullsOffAlone(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
		off := []githubtest.Period{{Start: b.clock.Now()}}
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").PullsOff = off })
		for _, events := range []int{2, 1} { // the first comment opens the issue
			at := b.clock.Advance(interval).Add(-time.Minute)
			b.server.Update(func(d *githubtest.Dataset) {
				comment(d, "one", 9, at)
				*data = *d
			})
			sum := b.pass()
			require.Equal(t, PassSuccess, sum.Status)
			require.Equal(t, events, sum.Events)
		}
		b.clock.Advance(interval)
		b.pass()
		b.server.ResetRequests()
		b.clock.Advance(interval)
		b.pass()
		if api == github.APIGraphQL {
			require.Zero(t, b.server.CountRequests(asksForStreams("one")), "the marks tell that nothing has happened")
		}
		requireAllRecorded(t, b, data)
	})
}

// TestOffWhileGone: a repository that returns has what it had, whatever was switched meanwhile.
func TestOffWhileGone(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
		repo := *data.Repo("one")
		b.switchOff("one")
		b.clock.Advance(interval)
		b.pass()
		at := b.clock.Now()
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").TransferredTo = "elsewhere" })
		b.clock.Advance(interval)
		b.pass()
		require.Equal(t, []string{"one"}, b.gone())
		b.server.Update(func(d *githubtest.Dataset) {
			commit(d, "one", at.Add(time.Minute))
			pull(d, "one", 3, at.Add(time.Minute), nil)
			*d.Repo("one") = repo
			*data = *d
		})
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fill()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestOffBeforeAPassNotices: a reading that meets what was switched off after the last pass has not read it, and it is
// still missing when it is switched on again.
func TestOffBeforeAPassNotices(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
		b.server.InjectFault(
			githubtest.Fault{Match: githubtest.Match{Func: asksForStreams("one")}, Effect: githubtest.Status(404)},
		)
		at := b.clock.Advance(interval).Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			pull(d, "one", 2, at, nil)
			comment(d, "one", 2, at)
			*data = *d
		})
		require.Equal(t, PassPartial, b.pass().Status)
		b.clock.Advance(time.Hour)
		b.pass() // what is missing is the workers' now
		b.server.ClearFaults()
		orders := b.orders()
		require.NotEmpty(t, orders)
		b.switchOff("one")
		for _, order := range orders {
			filled, err := b.collector.Fill(t.Context(), order)
			require.NoError(t, err)
			require.Len(t, filled.Failures, order.Streams.Len(), "an empty list says nothing")
		}
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireNoGaps()
		b.switchOn("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fill()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestCommentsBeforeOff: where one of issues and pull requests is switched off, comments are still read, and those from
// before are found: at first contact, and when the first one comes between two passes.
func TestCommentsBeforeOff(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]func(*githubtest.Repo, []githubtest.Period){
		"issues":        func(r *githubtest.Repo, off []githubtest.Period) { r.IssuesOff = off },
		"pull requests": func(r *githubtest.Repo, off []githubtest.Period) { r.PullsOff = off },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				data := dataset("met", "later")
				comment(data, "met", 7, noon.Add(-time.Hour))
				b := newBench(t, api, data, handover)
				begin := []githubtest.Period{{Start: noon.Add(-time.Minute)}}
				b.server.Update(func(d *githubtest.Dataset) { off(d.Repo("met"), begin) })
				b.pass()
				b.fill()
				at := b.clock.Advance(interval).Add(-time.Minute)
				b.server.Update(func(d *githubtest.Dataset) {
					comment(d, "later", 8, at)
					off(d.Repo("later"), []githubtest.Period{{Start: at.Add(time.Second)}})
				})
				require.Equal(t, PassSuccess, b.pass().Status)
				b.fill()
				b.requireNoGaps()
				for _, repo := range []string{"met", "later"} {
					require.Equal(t, uint64(1), b.metrics().of(repo, activity.KindIssueComment), repo)
				}
			})
		})
	}
}

// TestFlagsThatCannotBeDecoded: what is not known of a repository changes nothing of it, and it is not met.
func TestFlagsThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	for api, flags := range map[github.API][]string{
		github.APIGraphQL: {"**.isFork", "**.isArchived", "**.hasPullRequestsEnabled", "**.hasIssuesEnabled"},
		github.APIREST:    {"*.fork", "*.archived", "*.has_pull_requests", "*.has_issues"},
	} {
		for _, flag := range flags {
			t.Run(flag, func(t *testing.T) {
				t.Parallel()
				data := dataset("app", "off", "fork")
				data.Repo("fork").Fork = true
				pull(data, "off", 1, noon.Add(-5*24*time.Hour), nil)
				b := newBench(t, api, data, handover)
				b.switchOff("off")
				wrong := githubtest.ValueAt(flag, "12")
				b.server.InjectFault(
					githubtest.Fault{Match: githubtest.Match{Func: asks(discoverQuestion[api])}, Effect: wrong},
				)
				b.pass()
				require.Empty(t, b.coverage().Repos, "neither the filter nor what is off can be judged")
				b.server.ClearFaults()
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				before := b.coverage()
				require.Len(t, before.Repos, 2)
				b.server.InjectFault(
					githubtest.Fault{Match: githubtest.Match{Func: asks(discoverQuestion[api])}, Effect: wrong},
				)
				b.server.ResetRequests()
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				require.Zero(t, b.server.CountRequests(asksForStreams("off")))
				for id, r := range b.coverage().Repos {
					require.False(t, r.IsGone())
					require.Equal(t, before.Repos[id].Signals.Disabled, r.Signals.Disabled)
				}
			})
		}
	}
}
