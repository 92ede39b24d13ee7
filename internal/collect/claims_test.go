// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// breaking is a store that takes so many more commits; negative for all.
type breaking struct {
	*recorded

	mu   sync.Mutex
	left int
}

func (f *breaking) set(left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = left
}

func (f *breaking) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	f.mu.Lock()
	fails := f.left == 0
	f.left--
	f.mu.Unlock()
	if fails {
		return ledger.Receipt{}, errors.New("down")
	}
	return f.recorded.Commit(ctx, fence, b)
}

// asksForCommits reports whether a request is for new commits.
func asksForCommits(r githubtest.RequestInfo) bool {
	return r.Operation == "Activity" || r.Operation == "Activities" || r.Route == commitsRoute ||
		r.Route == compareRoute
}

// later makes some passes, an interval apart, and has every gap read.
func (b *bench) later(passes int) {
	b.t.Helper()
	for range passes {
		b.clock.Advance(interval)
		b.pass()
		b.fill()
	}
}

func (b *bench) requireNoGaps() {
	b.t.Helper()
	cov := b.coverage()
	require.Empty(b.t, cov.Gaps())
}

// requireLastDay: of a stream, nothing of the last 24 h before noon is missing.
func (b *bench) requireLastDay(s activity.Stream) {
	b.t.Helper()
	cov := b.coverage()
	for _, gap := range cov.Gaps() {
		require.False(
			b.t, gap.Stream == s && gap.Window.End.After(noon.Add(-24*time.Hour)), "%s: missing %v", gap.Name,
			gap.Window,
		)
	}
}

// both runs a test where workers read the gaps, and where none does.
func both(t *testing.T, test func(t *testing.T, alone bool, change func(*Settings))) {
	t.Helper()
	t.Run("handover", func(t *testing.T) { t.Parallel(); test(t, false, handover) })
	t.Run("alone", func(t *testing.T) { t.Parallel(); test(t, true, func(*Settings) {}) })
}

// TestHeadOfAPassThatEnded: a pass that ends before its end leaves a head behind, and what it has not read is missing
// all the same.
func TestHeadOfAPassThatEnded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, alone bool, change func(*Settings)) {
		pause := interval
		if alone {
			pause = 25 * time.Hour
		}
		eachAPI(t, func(t *testing.T, api github.API) {
			data := dataset("one")
			commit(data, "one", noon.AddDate(0, 0, -5))
			commit(data, "one", noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			store := &breaking{recorded: b.store}
			b.collector.settings.Store = store
			for range 2 { // the first contact; a reading
				store.set(1)
				_, err := b.collector.Pass(t.Context(), 1)
				require.Error(t, err)
				b.clock.Advance(pause)
			}
			store.set(-1)
			b.later(3)
			b.requireNoGaps()
			require.Equal(t, uint64(2), b.metrics().of("one", activity.KindCommit))
		})
	})
}

// TestFirstPushThatFails: what is pushed to an empty repository may be old, also when the first pass after it cannot
// read it.
func TestFirstPushThatFails(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := dataset("one", "two")
			commit(data, "two", noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			b.pass()
			b.fill()
			b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) {
				for i := range 10 {
					commit(d, "one", noon.Add(-time.Duration(100-i)*time.Hour)).PushedAt = b.clock.Now()
				}
			})
			armed := b.server.InjectFault(
				githubtest.Fault{
					Match:  githubtest.Match{Func: asksForCommits},
					Effect: githubtest.Status(http.StatusServiceUnavailable),
				},
			)
			b.pass()
			require.Positive(t, armed.Hits())
			armed.Disarm()
			b.later(3)
			b.requireNoGaps()
			require.Equal(t, uint64(10), b.metrics().of("one", activity.KindCommit))
		})
	})
}

// TestLastPushBeforeTheArchive: an archived repository is read once more, and then no more.
func TestLastPushBeforeTheArchive(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		commit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
		at := b.clock.Now().Add(time.Minute)
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			commit(d, "one", at)
			pull(d, "one", 1, at, &at)
			comment(d, "one", 7, at)
			d.Repo("one").Archived = true
		})
		b.later(3)
		b.requireNoGaps()
		metrics := b.metrics()
		require.Equal(t, uint64(2), metrics.of("one", activity.KindCommit))
		require.Equal(t, uint64(1), metrics.of("one", activity.KindPullRequestMerged))
		require.Equal(t, uint64(1), metrics.of("one", activity.KindIssueComment))
		b.server.ResetRequests()
		b.later(2)
		require.Zero(t, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Repo == "one" }))
		at = b.clock.Now()
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").Archived = false; comment(d, "one", 7, at) })
		b.later(1)
		require.Equal(t, uint64(2), b.metrics().of("one", activity.KindIssueComment))
	})
}

// TestGoneBeforeTheFirstEdge: what left before any pass has ended is gone, too, and nothing of the time until it
// returns is claimed.
func TestGoneBeforeTheFirstEdge(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one", "two"), handover)
		store := &breaking{recorded: b.store, left: 1}
		b.collector.settings.Store = store
		_, err := b.collector.Pass(t.Context(), 1)
		require.Error(t, err)
		store.set(-1)
		at := b.clock.Now().Add(time.Minute)
		b.server.Update(
			func(d *githubtest.Dataset) { comment(d, "one", 7, at); d.Repo("one").TransferredTo = "elsewhere" },
		)
		b.clock.Advance(interval)
		b.pass()
		gone := 0
		for _, r := range b.coverage().Repos {
			if r.IsGone() {
				gone++
			}
		}
		require.Equal(t, 1, gone)
		b.clock.Advance(interval)
		b.pass()
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").TransferredTo = "" })
		b.later(3)
		b.requireNoGaps()
		require.Equal(t, uint64(1), b.metrics().of("one", activity.KindIssueComment))
	})
}

// TestOldReviewsCanWait: pull requests from before the last day whose reviews need questions of their own are left to
// workers, so that they neither fail nor delay what is new.
func TestOldReviewsCanWait(t *testing.T) {
	t.Parallel()
	old := noon.AddDate(0, 0, -5)
	reviewed := func(d *githubtest.Dataset, repo string, n int) {
		number, at := len(d.Pulls)+1, old.Add(time.Duration(len(d.Pulls))*time.Second)
		pull(d, repo, number, at, nil)
		for range n {
			review(d, repo, number, at)
		}
	}
	const more = 51 // one more than comes with the row
	both(t, func(t *testing.T, alone bool, change func(*Settings)) {
		data := dataset("one")
		reviewed(data, "one", more)
		pull(data, "one", 2, noon.Add(-time.Hour), nil)
		b := newBench(t, github.APIGraphQL, data, change)
		b.server.InjectFault(
			githubtest.Fault{
				Match: githubtest.Match{Operation: "Reviews"}, Effect: githubtest.Status(http.StatusBadGateway),
			},
		)
		b.pass()
		require.Zero(t, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == "Reviews" }))
		b.later(3)
		b.requireLastDay(activity.StreamPulls)
	})
	t.Run("limit", func(t *testing.T) {
		t.Parallel()
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("r%02d", i))
		}
		data := dataset(names...)
		for _, name := range names {
			for range 10 {
				reviewed(data, name, more)
			}
			pull(data, name, len(data.Pulls)+1, noon.Add(-time.Hour), nil)
			comment(data, name, len(data.Pulls), noon.Add(-time.Hour))
		}
		b := inProcessBench(t, github.APIGraphQL, data, func(server *githubtest.Settings, client *github.Settings,
			_ *Settings,
		) {
			server.Limits.GraphQL = 150
			client.Timeout = time.Minute
		})
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireLastDay(activity.StreamPulls)
	})
}

// TestOldCommentsThatFail: when the time before the last day cannot be read with it, the last day is read alone.
func TestOldCommentsThatFail(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := dataset("one")
			comment(data, "one", 1, noon.Add(-time.Hour))
			comment(data, "one", 1, noon.AddDate(0, 0, -5))
			b := newBench(t, api, data, change)
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
				Route: commentsRoute,
				Func: func(r githubtest.RequestInfo) bool {
					return strings.Contains(r.Query, "since=2026-02")
				},
			}, Effect: githubtest.Status(http.StatusBadGateway)})
			b.pass()
			require.Equal(
				t, 2, b.server.CountRequests(about(commentsRoute)), "it is not asked again what may be too much",
			)
			b.later(3)
			b.requireLastDay(activity.StreamComments)
		})
	})
}

// TestNothingAfterAnOutage: what has not changed in three days leaves nothing to workers.
func TestNothingAfterAnOutage(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, dataset("one"), handover)
		b.later(2)
		b.clock.Advance(72 * time.Hour)
		b.pass()
		b.requireNoGaps()
	})
}

// TestQuietAtAContactThatEnded: streams that were quiet at a first contact are as good as read, whatever becomes of the
// pass. An old commit that is pushed right afterwards, and cannot be read at first, is not taken for a part of that.
func TestQuietAtAContactThatEnded(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := dataset("one")
			comment(data, "one", 1, noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			store := &breaking{recorded: b.store, left: 1}
			b.collector.settings.Store = store
			_, err := b.collector.Pass(t.Context(), 1)
			require.Error(t, err)
			store.set(-1)
			b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) {
				commit(d, "one", noon.AddDate(0, 0, -2)).PushedAt = b.clock.Now().Add(-time.Minute)
			})
			armed := b.server.InjectFault(
				githubtest.Fault{
					Match:  githubtest.Match{Func: asksForCommits},
					Effect: githubtest.Status(http.StatusServiceUnavailable),
				},
			)
			b.pass()
			require.Positive(t, armed.Hits())
			armed.Disarm()
			b.later(3)
			b.requireNoGaps()
			require.Equal(t, uint64(1), b.metrics().of("one", activity.KindCommit))
		})
	})
}

// TestALostRecordIsReadAgain: what a store has lost is missing in its coverage, while the heads that were read are
// still known.
func TestALostRecordIsReadAgain(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := dataset("one", "two")
			for day := range 10 {
				for _, repo := range []string{"one", "two"} {
					at := noon.Add(-time.Duration(24*day+2) * time.Hour)
					commit(data, repo, at)
					pull(data, repo, len(data.Pulls)+1, at, &at)
					comment(data, repo, len(data.Pulls), at)
				}
			}
			b := newBench(t, api, data, change)
			b.pass()
			b.fill()
			b.later(1)
			cov := b.coverage()
			cov.Invalidate(time.Time{})
			lost := ledger.Progress{Edge: cov.Edge}
			for _, r := range cov.Repos {
				p := ledger.RepoProgress{
					ID: r.ID, Name: r.Name, FirstSeen: r.FirstSeen, Since: r.Since, Signals: &r.Signals,
					Observed: r.Observed,
				}
				for s, windows := range r.Missing {
					for _, w := range windows {
						p.Missed = append(p.Missed, ledger.StreamWindow{Stream: activity.Stream(s), Window: w})
					}
				}
				lost.Repos = append(lost.Repos, p)
			}
			b.store = newRecorded()
			b.collector.settings.Store = b.store
			_, err := b.store.Commit(t.Context(), 1, ledger.Batch{Org: org, Observed: b.clock.Now(), Progress: lost})
			require.NoError(t, err)
			b.later(3)
			b.requireNoGaps()
			requireAllRecorded(t, b, data)
		})
	})
}
