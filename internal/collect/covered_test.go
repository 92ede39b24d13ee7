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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// failingAfter is a store that accepts left more commits and fails the others; negative accepts all.
type failingAfter struct {
	*countingStore

	mu   sync.Mutex
	left int
}

// failAfter sets the number of commits that are accepted.
func (f *failingAfter) failAfter(left int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left = left
}

func (f *failingAfter) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	f.mu.Lock()
	fails := f.left == 0
	f.left--
	f.mu.Unlock()
	if fails {
		return ledger.Receipt{}, errors.New("down")
	}
	return f.countingStore.Commit(ctx, fence, b)
}

// isCommitRequest reports whether a request is for new commits.
func isCommitRequest(r githubtest.RequestInfo) bool {
	return r.Operation == "Activity" || r.Operation == "Activities" || r.Route == commitsRoute ||
		r.Route == compareRoute
}

// passAndFill makes passes, an interval apart, and reads every gap after each.
func (b *bench) passAndFill(passes int) {
	b.t.Helper()
	for range passes {
		b.clock.Advance(interval)
		b.pass()
		b.fillGaps()
	}
}

func (b *bench) requireNoGaps() {
	b.t.Helper()
	cov := b.coverage()
	require.Empty(b.t, cov.Gaps())
}

// requireLastDayRead requires that the last 24 h before noon have no gap of a stream.
func (b *bench) requireLastDayRead(s activity.Stream) {
	b.t.Helper()
	cov := b.coverage()
	for _, gap := range cov.Gaps() {
		require.False(
			b.t, gap.Stream == s && gap.Window.End.After(noon.Add(-24*time.Hour)), "%s: missing %v", gap.Name,
			gap.Window,
		)
	}
}

// withAndWithoutBackfill runs a test with backfill, and without it.
func withAndWithoutBackfill(t *testing.T, test func(t *testing.T, alone bool, change func(*Settings))) {
	t.Helper()
	t.Run("handover", func(t *testing.T) { t.Parallel(); test(t, false, enableBackfill) })
	t.Run("alone", func(t *testing.T) { t.Parallel(); test(t, true, func(*Settings) {}) })
}

// TestPassEndsAfterRecordingAHead: a pass that is interrupted after it has recorded a head leaves what it has not read
// as a gap.
func TestPassEndsAfterRecordingAHead(t *testing.T) {
	t.Parallel()
	withAndWithoutBackfill(t, func(t *testing.T, alone bool, change func(*Settings)) {
		pause := interval
		if alone {
			pause = 25 * time.Hour
		}
		eachAPI(t, func(t *testing.T, api github.API) {
			data := newDataset("one")
			addCommit(data, "one", noon.AddDate(0, 0, -5))
			addCommit(data, "one", noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			store := &failingAfter{countingStore: b.store}
			b.collector.settings.Store = store
			for range 2 { // the first contact; a reading
				store.failAfter(1)
				_, err := b.collector.Pass(t.Context(), 1)
				require.Error(t, err)
				b.clock.Advance(pause)
			}
			store.failAfter(-1)
			b.passAndFill(3)
			b.requireNoGaps()
			require.Equal(t, uint64(2), b.metrics().total("one", activity.KindCommit))
		})
	})
}

// TestFirstPushThatFails: old commits that are pushed to an empty repository are read, also when the first pass after
// the push cannot read them.
func TestFirstPushThatFails(t *testing.T) {
	t.Parallel()
	withAndWithoutBackfill(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := newDataset("one", "two")
			addCommit(data, "two", noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			b.pass()
			b.fillGaps()
			b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) {
				for i := range 10 {
					addCommit(d, "one", noon.Add(-time.Duration(100-i)*time.Hour)).PushedAt = b.clock.Now()
				}
			})
			armed := b.server.InjectFault(
				githubtest.Fault{
					Match:  githubtest.Match{Func: isCommitRequest},
					Effect: githubtest.Status(http.StatusServiceUnavailable),
				},
			)
			b.pass()
			require.Positive(t, armed.Hits())
			armed.Disarm()
			b.passAndFill(3)
			b.requireNoGaps()
			require.Equal(t, uint64(10), b.metrics().total("one", activity.KindCommit))
		})
	})
}

// TestPushBeforeArchivingIsRead: an archived repository is read once more, and then not again.
func TestPushBeforeArchivingIsRead(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		addCommit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		at := b.clock.Now().Add(time.Minute)
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			addCommit(d, "one", at)
			addPull(d, "one", 1, at, &at)
			addComment(d, "one", 7, at)
			d.Repo("one").Archived = true
		})
		b.passAndFill(3)
		b.requireNoGaps()
		metrics := b.metrics()
		require.Equal(t, uint64(2), metrics.total("one", activity.KindCommit))
		require.Equal(t, uint64(1), metrics.total("one", activity.KindPullRequestMerged))
		require.Equal(t, uint64(1), metrics.total("one", activity.KindIssueComment))
		b.server.ResetRequests()
		b.passAndFill(2)
		require.Zero(t, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Repo == "one" }))
		at = b.clock.Now()
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").Archived = false; addComment(d, "one", 7, at) })
		b.passAndFill(1)
		require.Equal(t, uint64(2), b.metrics().total("one", activity.KindIssueComment))
	})
}

// TestRepositoryGoneBeforeTheFirstEdge: a repository that leaves before any pass has ended is gone, too, and nothing of
// the time until it returns is covered.
func TestRepositoryGoneBeforeTheFirstEdge(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, newDataset("one", "two"), enableBackfill)
		store := &failingAfter{countingStore: b.store, left: 1}
		b.collector.settings.Store = store
		_, err := b.collector.Pass(t.Context(), 1)
		require.Error(t, err)
		store.failAfter(-1)
		at := b.clock.Now().Add(time.Minute)
		b.server.Update(
			func(d *githubtest.Dataset) { addComment(d, "one", 7, at); d.Repo("one").TransferredTo = "elsewhere" },
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
		b.passAndFill(3)
		b.requireNoGaps()
		require.Equal(t, uint64(1), b.metrics().total("one", activity.KindIssueComment))
	})
}

// TestOldReviewsAreLeftToBackfill: pull requests from before the last day whose reviews need requests of their own are
// left to backfill, so that they neither fail nor delay what is new.
func TestOldReviewsAreLeftToBackfill(t *testing.T) {
	t.Parallel()
	old := noon.AddDate(0, 0, -5)
	reviewed := func(d *githubtest.Dataset, repo string, n int) {
		number, at := len(d.Pulls)+1, old.Add(time.Duration(len(d.Pulls))*time.Second)
		addPull(d, repo, number, at, nil)
		for range n {
			addReview(d, repo, number, at)
		}
	}
	const more = 51 // one more than a row contains
	withAndWithoutBackfill(t, func(t *testing.T, alone bool, change func(*Settings)) {
		data := newDataset("one")
		reviewed(data, "one", more)
		addPull(data, "one", 2, noon.Add(-time.Hour), nil)
		b := newBench(t, github.APIGraphQL, data, change)
		b.server.InjectFault(
			githubtest.Fault{
				Match: githubtest.Match{Operation: "Reviews"}, Effect: githubtest.Status(http.StatusBadGateway),
			},
		)
		b.pass()
		require.Zero(t, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == "Reviews" }))
		b.passAndFill(3)
		b.requireLastDayRead(activity.StreamPulls)
	})
	t.Run("limit", func(t *testing.T) {
		t.Parallel()
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("r%02d", i))
		}
		data := newDataset(names...)
		for _, name := range names {
			for range 10 {
				reviewed(data, name, more)
			}
			addPull(data, name, len(data.Pulls)+1, noon.Add(-time.Hour), nil)
			addComment(data, name, len(data.Pulls), noon.Add(-time.Hour))
		}
		b := newInProcessBench(t, github.APIGraphQL, data, func(server *githubtest.Settings, client *transport.Settings,
			_ *Settings,
		) {
			server.Limits.GraphQL = 150
			client.Timeout = time.Minute
		})
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireLastDayRead(activity.StreamPulls)
	})
}

// TestLastDayIsReadAloneWhenOlderCommentsFail: when the time before the last day cannot be read together with it, the
// last day is read alone.
func TestLastDayIsReadAloneWhenOlderCommentsFail(t *testing.T) {
	t.Parallel()
	withAndWithoutBackfill(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := newDataset("one")
			addComment(data, "one", 1, noon.Add(-time.Hour))
			addComment(data, "one", 1, noon.AddDate(0, 0, -5))
			b := newBench(t, api, data, change)
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
				Route: commentsRoute,
				Func: func(r githubtest.RequestInfo) bool {
					return strings.Contains(r.Query, "since=2026-02")
				},
			}, Effect: githubtest.Status(http.StatusBadGateway)})
			b.pass()
			require.Equal(
				t, 2, b.server.CountRequests(isRoute(commentsRoute)), "the same large request is not repeated",
			)
			b.passAndFill(3)
			b.requireLastDayRead(activity.StreamComments)
		})
	})
}

// TestOutageWithoutActivityLeavesNoGap: a repository that has not changed in an outage of three days has no gap
// afterwards.
func TestOutageWithoutActivityLeavesNoGap(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, newDataset("one"), enableBackfill)
		b.passAndFill(2)
		b.clock.Advance(72 * time.Hour)
		b.pass()
		b.requireNoGaps()
	})
}

// TestFirstContactInterrupted: streams that were quiet at a first contact count as read, also when the pass is
// interrupted. An old commit that is pushed right afterwards, and cannot be read at first, does not count as read with
// them.
func TestFirstContactInterrupted(t *testing.T) {
	t.Parallel()
	withAndWithoutBackfill(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := newDataset("one")
			addComment(data, "one", 1, noon.Add(-time.Hour))
			b := newBench(t, api, data, change)
			store := &failingAfter{countingStore: b.store, left: 1}
			b.collector.settings.Store = store
			_, err := b.collector.Pass(t.Context(), 1)
			require.Error(t, err)
			store.failAfter(-1)
			b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) {
				addCommit(d, "one", noon.AddDate(0, 0, -2)).PushedAt = b.clock.Now().Add(-time.Minute)
			})
			armed := b.server.InjectFault(
				githubtest.Fault{
					Match:  githubtest.Match{Func: isCommitRequest},
					Effect: githubtest.Status(http.StatusServiceUnavailable),
				},
			)
			b.pass()
			require.Positive(t, armed.Hits())
			armed.Disarm()
			b.passAndFill(3)
			b.requireNoGaps()
			require.Equal(t, uint64(1), b.metrics().total("one", activity.KindCommit))
		})
	})
}

// TestLostRecordIsReadAgain: what a store has lost is a gap of its coverage, although the coverage still has the heads
// up to which commits were read.
func TestLostRecordIsReadAgain(t *testing.T) {
	t.Parallel()
	withAndWithoutBackfill(t, func(t *testing.T, _ bool, change func(*Settings)) {
		eachAPI(t, func(t *testing.T, api github.API) {
			data := newDataset("one", "two")
			for day := range 10 {
				for _, repo := range []string{"one", "two"} {
					at := noon.Add(-time.Duration(24*day+2) * time.Hour)
					addCommit(data, repo, at)
					addPull(data, repo, len(data.Pulls)+1, at, &at)
					addComment(data, repo, len(data.Pulls), at)
				}
			}
			b := newBench(t, api, data, change)
			b.pass()
			b.fillGaps()
			b.passAndFill(1)
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
			b.store = newCountingStore()
			b.collector.settings.Store = b.store
			_, err := b.store.Commit(t.Context(), 1, ledger.Batch{Org: org, Observed: b.clock.Now(), Progress: lost})
			require.NoError(t, err)
			b.passAndFill(3)
			b.requireNoGaps()
			requireAllRecorded(t, b, data)
		})
	})
}
