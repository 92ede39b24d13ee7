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

// isPullOrCommentRequest returns a function that reports whether a request is for pull requests or comments of a
// repository.
func isPullOrCommentRequest(repo string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool {
		return r.Repo == repo && (isRequest("/repos/{owner}/{repo}/pulls")(r) ||
			isRequest("/repos/{owner}/{repo}/issues/comments")(r) || isRequest("/repos/{owner}/{repo}/issues")(r) ||
			(r.Operation == "Activity" && (r.Variables["pulls"] == true || r.Variables["issues"] == true)))
	}
}

// disableFeatures disables the pull requests and issues of a repository.
func (b *bench) disableFeatures(repo string) {
	off := []githubtest.Period{{Start: b.clock.Now()}}
	b.server.Update(func(d *githubtest.Dataset) { d.Repo(repo).PullsOff, d.Repo(repo).IssuesOff = off, off })
}

// enableFeatures enables the pull requests and issues of a repository.
func (b *bench) enableFeatures(repo string) {
	b.server.Update(func(d *githubtest.Dataset) { d.Repo(repo).PullsOff, d.Repo(repo).IssuesOff = nil, nil })
}

// TestDisabledStreams: a disabled stream is not requested and has no gaps, and the windows of its metrics move on. When
// it is enabled again, everything since it was read last is found, and gaps from before as well.
func TestDisabledStreams(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		withAndWithoutBackfill(t, func(t *testing.T, alone bool, change func(*Settings)) {
			data := newDataset("one", "two")
			addPull(data, "one", 1, noon.Add(-time.Hour), nil)
			addComment(data, "one", 1, noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			b.pass()
			b.fillGaps()
			require.Equal(t, uint64(1), b.metrics().total("one", activity.KindPullRequestOpened))

			at := b.clock.Advance(interval).Add(-time.Minute) // not read before it is switched off
			b.server.Update(func(d *githubtest.Dataset) {
				addPull(d, "one", 2, at, nil)
				addComment(d, "one", 2, at)
				*data = *d
			})
			edge := b.coverage().Edge
			b.disableFeatures("one")
			b.server.ResetRequests()
			for range 3 {
				result := b.pass()
				require.Equal(t, PassSuccess, result.Status)
				b.clock.Advance(12 * time.Hour)
				b.requireNoGaps()
			}
			require.Zero(t, b.server.CountRequests(isPullOrCommentRequest("one")))
			for s, v := range b.metrics() {
				require.Zero(
					t, v.Of[ledgerview.MetricCount+ledgerview.Metric(activity.KindPullRequestOpened.Index())],
					"the windows of %v slide", s,
				)
			}
			cov := b.coverage()
			off := cov.Repos[b.repoID("one")]
			require.Equal(t, activity.EveryStream&^activity.StreamsOf(activity.StreamCommits, activity.StreamReleases),
				off.Signals.Disabled)
			require.Equal(t, edge, off.Signals.DisabledSince)
			require.Equal(t, cov.Edge, cov.OldestUncovered())
			_, err := b.collector.Reconcile(t.Context(), 1)
			require.NoError(t, err)
			require.Zero(t, b.server.CountRequests(isPullOrCommentRequest("one")),
				"nor does a reconciliation request it")
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
			require.Equal(t, commits.With(activity.StreamReleases), filled.Streams)
			require.Empty(t, filled.Failures)

			b.enableFeatures("one")
			b.clock.Advance(interval)
			result := b.pass()
			require.Equal(t, PassSuccess, result.Status)
			cov = b.coverage()
			require.Zero(t, cov.Repos[off.ID].Signals.Disabled)
			require.Zero(t, cov.Repos[off.ID].Signals.DisabledSince)
			b.fillGaps()
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

// repoID returns the id of a repository.
func (b *bench) repoID(repo string) int64 {
	b.t.Helper()
	for id, r := range b.coverage().Repos {
		if r.Name == repo {
			return id
		}
	}
	require.Fail(b.t, "no such repository", repo)
	return 0
}

// TestGapOfADisabledStream: a gap does not count while its stream is disabled, and counts again afterwards.
func TestGapOfADisabledStream(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addPull(data, "one", 1, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		b.server.InjectFault(
			githubtest.Fault{
				Match:  githubtest.Match{Func: isPullOrCommentRequest("one")},
				Effect: githubtest.Status(404),
			},
		)
		at := b.clock.Advance(interval).Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			addPull(d, "one", 2, at, nil)
			addComment(d, "one", 2, at)
			*data = *d
		})
		require.Equal(t, PassPartial, b.pass().Status)
		cov := b.coverage()
		require.NotEmpty(t, cov.Gaps())
		orders := b.fillRequests()
		b.disableFeatures("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireNoGaps()
		for _, order := range orders { // a job that was under way has nothing to do
			filled, err := b.collector.Fill(t.Context(), order)
			require.NoError(t, err)
			require.Zero(t, filled.Streams)
		}
		b.server.ClearFaults()
		b.enableFeatures("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status, "a stream that was refused before is requested at once")
		b.fillGaps()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestStreamDisabledAtFirstContact: what happened before a stream is enabled is read when it is enabled.
func TestStreamDisabledAtFirstContact(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addPull(data, "one", 1, noon.Add(-5*24*time.Hour), nil)
		addComment(data, "one", 7, noon.Add(-5*24*time.Hour))
		b := newBench(t, api, data, enableBackfill)
		b.disableFeatures("one")
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fillGaps()
		b.requireNoGaps()
		require.Zero(t, b.server.CountRequests(isPullOrCommentRequest("one")))
		b.enableFeatures("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fillGaps()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestOnlyPullsDisabled: comments of issues are still read, and both streams are complete when pull requests are
// enabled again.
func TestOnlyPullsDisabled(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		off := []githubtest.Period{{Start: b.clock.Now()}}
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").PullsOff = off })
		for _, events := range []int{2, 1} { // the first comment opens the issue
			at := b.clock.Advance(interval).Add(-time.Minute)
			b.server.Update(func(d *githubtest.Dataset) {
				addComment(d, "one", 9, at)
				*data = *d
			})
			result := b.pass()
			require.Equal(t, PassSuccess, result.Status)
			require.Equal(t, events, result.Events)
		}
		b.clock.Advance(interval)
		b.pass()
		b.server.ResetRequests()
		b.clock.Advance(interval)
		b.pass()
		if api == github.APIGraphQL {
			require.Zero(t, b.server.CountRequests(isPullOrCommentRequest("one")),
				"the marks tell that nothing has happened")
		}
		requireAllRecorded(t, b, data)
	})
}

// TestStreamDisabledWhileRepositoryIsGone: a repository that returns has what it had, whatever was disabled or enabled
// meanwhile.
func TestStreamDisabledWhileRepositoryIsGone(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		repo := *data.Repo("one")
		b.disableFeatures("one")
		b.clock.Advance(interval)
		b.pass()
		at := b.clock.Now()
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").TransferredTo = "elsewhere" })
		b.clock.Advance(interval)
		b.pass()
		require.Equal(t, []string{"one"}, b.goneRepos())
		b.server.Update(func(d *githubtest.Dataset) {
			addCommit(d, "one", at.Add(time.Minute))
			addPull(d, "one", 3, at.Add(time.Minute), nil)
			*d.Repo("one") = repo
			*data = *d
		})
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fillGaps()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestStreamDisabledAfterThePass: a reading of a stream that was disabled after the last pass has not covered it, and
// it is a gap again when the stream is enabled.
func TestStreamDisabledAfterThePass(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		b.server.InjectFault(
			githubtest.Fault{
				Match:  githubtest.Match{Func: isPullOrCommentRequest("one")},
				Effect: githubtest.Status(404),
			},
		)
		at := b.clock.Advance(interval).Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			addPull(d, "one", 2, at, nil)
			addComment(d, "one", 2, at)
			*data = *d
		})
		require.Equal(t, PassPartial, b.pass().Status)
		b.clock.Advance(time.Hour)
		b.pass() // the gap is left to backfill now
		b.server.ClearFaults()
		orders := b.fillRequests()
		require.NotEmpty(t, orders)
		b.disableFeatures("one")
		for _, order := range orders {
			filled, err := b.collector.Fill(t.Context(), order)
			require.NoError(t, err)
			require.Len(t, filled.Failures, order.Streams.Len(), "an empty list says nothing")
		}
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireNoGaps()
		b.enableFeatures("one")
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fillGaps()
		b.requireNoGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestCommentsFromBeforeDisabling: where only one of issues and pull requests is disabled, comments are still read, and
// those from before are found: at first contact, and when the first comment comes between two passes.
func TestCommentsFromBeforeDisabling(t *testing.T) {
	t.Parallel()
	for name, off := range map[string]func(*githubtest.Repo, []githubtest.Period){
		"issues":        func(r *githubtest.Repo, off []githubtest.Period) { r.IssuesOff = off },
		"pull requests": func(r *githubtest.Repo, off []githubtest.Period) { r.PullsOff = off },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				data := newDataset("met", "later")
				addComment(data, "met", 7, noon.Add(-time.Hour))
				b := newBench(t, api, data, enableBackfill)
				begin := []githubtest.Period{{Start: noon.Add(-time.Minute)}}
				b.server.Update(func(d *githubtest.Dataset) { off(d.Repo("met"), begin) })
				b.pass()
				b.fillGaps()
				at := b.clock.Advance(interval).Add(-time.Minute)
				b.server.Update(func(d *githubtest.Dataset) {
					addComment(d, "later", 8, at)
					off(d.Repo("later"), []githubtest.Period{{Start: at.Add(time.Second)}})
				})
				require.Equal(t, PassSuccess, b.pass().Status)
				b.fillGaps()
				b.requireNoGaps()
				for _, repo := range []string{"met", "later"} {
					require.Equal(t, uint64(1), b.metrics().total(repo, activity.KindIssueComment), repo)
				}
			})
		})
	}
}

// TestUndecodableFlags: a flag that cannot be decoded changes nothing of a recorded repository, and a new repository
// with one is not recorded.
func TestUndecodableFlags(t *testing.T) {
	t.Parallel()
	for api, flags := range map[github.API][]string{
		github.APIGraphQL: {"**.isFork", "**.isArchived", "**.hasPullRequestsEnabled", "**.hasIssuesEnabled"},
		github.APIREST:    {"*.fork", "*.archived", "*.has_pull_requests", "*.has_issues"},
	} {
		for _, flag := range flags {
			t.Run(flag, func(t *testing.T) {
				t.Parallel()
				data := newDataset("app", "off", "fork")
				data.Repo("fork").Fork = true
				addPull(data, "off", 1, noon.Add(-5*24*time.Hour), nil)
				b := newBench(t, api, data, enableBackfill)
				b.disableFeatures("off")
				wrong := githubtest.ValueAt(flag, "12")
				b.server.InjectFault(
					githubtest.Fault{Match: githubtest.Match{Func: isRequest(discoverRequest[api])}, Effect: wrong},
				)
				b.pass()
				require.Empty(t, b.coverage().Repos, "neither the filter nor what is off can be judged")
				b.server.ClearFaults()
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				before := b.coverage()
				require.Len(t, before.Repos, 2)
				b.server.InjectFault(
					githubtest.Fault{Match: githubtest.Match{Func: isRequest(discoverRequest[api])}, Effect: wrong},
				)
				b.server.ResetRequests()
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				require.Zero(t, b.server.CountRequests(isPullOrCommentRequest("off")))
				for id, r := range b.coverage().Repos {
					require.False(t, r.IsGone())
					require.Equal(t, before.Repos[id].Signals.Disabled, r.Signals.Disabled)
				}
			})
		}
	}
}
