// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

const (
	commits  = activity.StreamCommits
	pulls    = activity.StreamPulls
	comments = activity.StreamComments
)

// bench is a dispatcher with a clock, a coverage and a queue that the test controls.
type bench struct {
	t          *testing.T
	now        time.Time
	cov        ledger.Coverage
	queue      stubQueue
	claims     backfill.LocalClaims
	busy       map[int64]activity.Streams
	counted    map[string]int
	read       map[string]bool // names of reports
	dispatcher *backfill.Dispatcher
}

// stubQueue accepts published jobs; after an error, the first of a batch only.
type stubQueue struct {
	jobs    []backfill.Job
	depth   backfill.Depth
	accepts int // of a batch; negative for all
	err     error
}

func (q *stubQueue) Publish(_ context.Context, jobs []backfill.Job) (int, error) {
	n := len(jobs)
	if q.err != nil {
		n = min(n, q.accepts)
	}
	q.jobs = append(q.jobs, jobs[:n]...)
	return n, q.err
}

func (q *stubQueue) Depth(context.Context) (backfill.Depth, error) { return q.depth, nil }

func newBench(t *testing.T, change ...func(*backfill.DispatchSettings)) *bench {
	t.Helper()
	b := &bench{t: t, now: noon, counted: make(map[string]int), busy: make(map[int64]activity.Streams)}
	b.cov = ledger.Coverage{
		LedgerStart: noon.AddDate(0, -2, 0),
		Edge:        noon,
		Repos:       make(map[int64]*ledger.RepoCoverage),
	}
	b.read = make(map[string]bool)
	ids := 0
	settings := backfill.DispatchSettings{
		Org: "acme", Queue: &b.queue, Claims: &b.claims, Now: func() time.Time { return b.now },
		NewID: func() string { ids++; return fmt.Sprintf("job-%d", ids) },
		IsMissing: func(_ context.Context, m *backfill.MissedReport) (bool, error) {
			if m.Name == "" {
				return false, errors.New("store")
			}
			return !b.read[m.Name], nil
		},
		Counters: backfill.Counters{
			Enqueued: func(r backfill.Reason, n int) { b.counted["enqueued "+string(r)] += n },
			Deduped:  func(r backfill.Reason, n int) { b.counted["deduped "+string(r)] += n },
			Deferred: func(cause string, n int) { b.counted["deferred "+cause] += n },
		},
		Coalesce: 15 * time.Minute, MaxPerMinute: 100, StaleAfter: 5 * time.Minute, ExpireAfter: 12 * time.Hour,
	}
	for _, c := range change {
		c(&settings)
	}
	b.dispatcher = backfill.NewDispatcher(settings)
	return b
}

// addGap adds gaps to a repository that was first seen a month ago.
func (b *bench) addGap(repo int64, from, until time.Time, streams ...activity.Stream) {
	r := b.cov.Repos[repo]
	if r == nil {
		r = &ledger.RepoCoverage{
			ID:        repo,
			Name:      fmt.Sprintf("repo-%d", repo),
			FirstSeen: noon.AddDate(0, -1, 0),
			Since:     noon.AddDate(0, -2, 0),
		}
		b.cov.Repos[repo] = r
	}
	for _, s := range streams {
		r.Missing[s] = r.Missing[s].Add(activity.Window{Start: from, End: until})
	}
}

// closeWindow does what a worker does after it has read a job.
func (b *bench) closeWindow(job *backfill.Job) {
	r := b.cov.Repos[job.RepoID]
	for _, s := range activity.AllStreams() {
		if job.Streams.Has(s) {
			r.Missing[s] = r.Missing[s].Remove(job.Window)
		}
	}
	require.NoError(b.t, b.claims.Delete(b.t.Context(), "acme", []string{job.ID}))
}

func (b *bench) dispatch() backfill.DispatchResult {
	b.t.Helper()
	done, err := b.dispatcher.Dispatch(b.t.Context(), &b.cov, func(repo int64) activity.Streams { return b.busy[repo] })
	require.NoError(b.t, err)
	return done
}

// takePublished returns the jobs published since the last call, as text.
func (b *bench) takePublished() []string {
	var list []string
	for _, j := range b.queue.jobs {
		require.NoError(b.t, j.Validate())
		list = append(
			list,
			fmt.Sprintf(
				"%s %s %s-%s %s",
				j.Repo,
				j.Streams,
				j.Window.Start.Format("0102T15:04"),
				j.Window.End.Format("0102T15:04"),
				j.Reason,
			),
		)
	}
	b.queue.jobs = nil
	return list
}

func parseTime(text string) time.Time {
	t, err := time.Parse("0102T15:04:05", text)
	if err != nil {
		panic(err)
	}
	return t.AddDate(2026, 0, 0)
}

func TestDispatchCoalescesWindows(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T10:01:07"), parseTime("0311T10:04:00"), commits, pulls)
	b.addGap(1, parseTime("0311T10:16:00"), parseTime("0311T10:29:59"), commits, pulls) // the next step: adjoining
	b.addGap(1, parseTime("0311T10:01:07"), parseTime("0311T10:14:00"), comments)       // another window
	b.addGap(2, parseTime("0311T11:59:00"), parseTime("0311T12:00:00"), comments)
	b.cov.Repos[2].FirstSeen = parseTime("0311T11:58:00")                         // just before
	b.addGap(2, parseTime("0311T08:00:00"), parseTime("0311T08:15:00"), comments) // far away
	b.addGap(3, parseTime("0311T11:59:00"), parseTime("0311T12:00:00"), comments, pulls, commits)
	b.cov.Repos[3].GoneSince = noon
	b.dispatcher.RecordMiss(1, commits, backfill.ReasonPartial)
	b.dispatcher.RecordMiss(1, pulls, backfill.ReasonPartial)
	b.dispatcher.RecordMiss(2, comments, backfill.ReasonRateLimited)
	require.Equal(t, 4, b.dispatch().Published)
	require.Equal(t, []string{
		"repo-2 comments 0311T11:45-0311T12:00 rate_limited",
		"repo-1 commits+pulls 0311T10:00-0311T10:30 partial_scrape_error",
		"repo-1 comments 0311T10:00-0311T10:15 sweep",
		"repo-2 comments 0311T08:00-0311T08:15 initial_lookback",
	}, b.takePublished())
	require.Equal(t, 1, b.counted["enqueued rate_limited"])
}

func TestDispatchPublishesOneJobForAWindow(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T11:46:00"), parseTime("0311T11:50:00"), comments)
	b.dispatcher.RecordMiss(1, comments, backfill.ReasonScrapeError)
	b.dispatch()
	job := b.queue.jobs[0]
	require.Len(t, b.takePublished(), 1)
	// Missed again in the same step: the job that is under way will see it.
	b.addGap(1, parseTime("0311T11:50:00"), parseTime("0311T11:55:00"), comments)
	b.dispatcher.RecordMiss(1, comments, backfill.ReasonScrapeError)
	require.Equal(t, 1, b.dispatch().InProgress)
	require.Empty(t, b.takePublished())
	require.Equal(t, 1, b.counted["deduped scrape_error"])
	b.dispatch()
	require.Equal(t, 1, b.counted["deduped scrape_error"], "each miss is counted once")
	// Another stream, and a later step, are not under way.
	b.addGap(1, parseTime("0311T11:50:00"), parseTime("0311T12:02:00"), pulls)
	b.addGap(1, parseTime("0311T11:55:00"), parseTime("0311T12:02:00"), comments)
	b.dispatch()
	require.Equal(
		t,
		[]string{"repo-1 comments 0311T12:00-0311T12:15 scrape_error", "repo-1 pulls 0311T11:45-0311T12:15 sweep"},
		b.takePublished(),
	)
	b.closeWindow(&job)
	b.dispatch()
	require.Empty(t, b.takePublished())
}

// TestRetryingJobCoversLaterGaps: a stream that fails for hours has one job, and after its success one more for the
// later gaps.
func TestRetryingJobCoversLaterGaps(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T11:46:00"), parseTime("0311T11:50:00"), comments)
	b.dispatch()
	job := b.queue.jobs[0]
	b.takePublished()
	b.queue.depth.Retries = 1
	claim := newClaim(t, b)
	claim.Retrying = true
	for range 20 {
		b.now = b.now.Add(15 * time.Minute)
		claim.RefreshedAt = b.now
		require.NoError(t, b.claims.Put(t.Context(), "acme", []backfill.Claim{claim}))
		b.addGap(1, parseTime("0311T11:50:00"), b.now, comments)
		b.dispatch()
	}
	require.Empty(t, b.takePublished())
	b.closeWindow(&job)
	b.dispatch()
	require.Equal(t, []string{"repo-1 comments 0311T12:00-0311T17:00 sweep"}, b.takePublished())
}

func newClaim(t *testing.T, b *bench) backfill.Claim {
	t.Helper()
	claims, err := b.claims.List(t.Context(), "acme")
	require.NoError(t, err)
	require.Len(t, claims, 1)
	return claims[0]
}

// TestDispatchDeletesClaimsOfUnconfirmedJobs: the next call publishes what the queue did not confirm, and nothing else.
func TestDispatchDeletesClaimsOfUnconfirmedJobs(t *testing.T) {
	b := newBench(t)
	for repo := range int64(5) {
		b.addGap(repo+1, parseTime("0311T11:45:00"), parseTime("0311T12:00:00"), commits)
	}
	b.queue.err, b.queue.accepts = errors.New("connection lost"), 2
	_, err := b.dispatcher.Dispatch(t.Context(), &b.cov, func(int64) activity.Streams { return 0 })
	require.ErrorIs(t, err, b.queue.err)
	require.Len(t, b.takePublished(), 2)
	require.Equal(t, 2, b.counted["enqueued sweep"])
	b.queue.err = nil
	require.Equal(t, 3, b.dispatch().Published)
	require.Len(t, b.takePublished(), 3)
	require.Equal(t, 5, b.counted["enqueued sweep"])
}

// TestDispatchRepublishesStaleJobs: a stale job is published again once the queue is empty, and any job once it has
// expired.
func TestDispatchRepublishesStaleJobs(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T11:45:00"), parseTime("0311T12:00:00"), commits)
	b.queue.depth.Ready = 7
	b.dispatch()
	require.Len(t, b.takePublished(), 1)
	b.now = b.now.Add(time.Hour)
	b.dispatch()
	require.Empty(t, b.takePublished(), "it may be among those that wait")
	b.queue.depth.Ready = 0
	claim := newClaim(t, b)
	claim.RefreshedAt = b.now.Add(-4 * time.Minute)
	require.NoError(t, b.claims.Put(t.Context(), "acme", []backfill.Claim{claim}))
	b.dispatch()
	require.Empty(t, b.takePublished(), "there was a sign of it lately")
	b.now = b.now.Add(2 * time.Minute)
	b.dispatch()
	require.Len(t, b.takePublished(), 1)
	require.NotEqual(t, claim.ID, newClaim(t, b).ID)

	claim = newClaim(t, b)
	claim.DeadLettered = true
	require.NoError(t, b.claims.Put(t.Context(), "acme", []backfill.Claim{claim}))
	b.now = b.now.Add(11 * time.Hour)
	b.dispatch()
	require.Empty(t, b.takePublished(), "an operator may look at it")
	b.now = b.now.Add(time.Hour)
	b.dispatch()
	require.Len(t, b.takePublished(), 1)
}

// TestDispatchSkipsBusyStreams: streams that a pass is about to read get no job.
func TestDispatchSkipsBusyStreams(t *testing.T) {
	b := newBench(t)
	b.addGap(1, parseTime("0311T11:45:00"), parseTime("0311T12:00:00"), commits, pulls)
	b.busy[1] = activity.StreamsOf(commits)
	b.dispatch()
	require.Equal(t, []string{"repo-1 pulls 0311T11:45-0311T12:00 sweep"}, b.takePublished())
	delete(b.busy, 1)
	b.dispatch()
	require.Equal(t, []string{"repo-1 commits 0311T11:45-0311T12:00 sweep"}, b.takePublished())
}

// TestDispatchSplitsLongWindows: the newest piece comes first; pull requests stay whole, because their listing starts
// with the newest.
func TestDispatchSplitsLongWindows(t *testing.T) {
	b := newBench(t)
	for repo := range int64(2) {
		b.addGap(repo+1, noon.Add(-2160*time.Hour), noon, commits, pulls, comments)
		b.cov.Repos[repo+1].FirstSeen = noon
	}
	b.dispatch()
	require.Equal(t, []string{
		"repo-1 commits+comments 0304T12:00-0311T12:00 initial_lookback",
		"repo-2 commits+comments 0304T12:00-0311T12:00 initial_lookback",
		"repo-1 pulls 1211T12:00-0311T12:00 initial_lookback",
		"repo-2 pulls 1211T12:00-0311T12:00 initial_lookback",
		"repo-1 commits+comments 0218T12:00-0304T12:00 initial_lookback",
		"repo-2 commits+comments 0218T12:00-0304T12:00 initial_lookback",
		"repo-1 commits+comments 0121T12:00-0218T12:00 initial_lookback",
		"repo-2 commits+comments 0121T12:00-0218T12:00 initial_lookback",
		"repo-1 commits+comments 1211T12:00-0121T12:00 initial_lookback",
		"repo-2 commits+comments 1211T12:00-0121T12:00 initial_lookback",
	}, b.takePublished())
	b.dispatch()
	require.Empty(t, b.takePublished())
}

// TestOutageStorm: 5,000 repositories with a gap of an hour are published within the cap, none is dropped, and all gaps
// are closed in the end.
func TestOutageStorm(t *testing.T) {
	b := newBench(t)
	for repo := range int64(5000) {
		b.addGap(repo+1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits, pulls, comments)
		for _, s := range activity.AllStreams() {
			b.dispatcher.RecordMiss(repo+1, s, backfill.ReasonScrapeError)
		}
	}
	published := make(map[int64]int)
	var times []time.Time
	var held []backfill.Job
	for len(b.cov.Gaps()) > 0 {
		done := b.dispatch()
		for _, job := range b.queue.jobs {
			published[job.RepoID]++
			times = append(times, b.now)
		}
		require.Equal(t, len(b.queue.jobs), done.Published)
		held = append(held, b.queue.jobs...)
		b.queue.jobs = nil
		b.queue.depth.Ready = len(held)
		for n := 0; len(held) > 0 && n < 40; n++ { // workers
			b.closeWindow(&held[0])
			held = held[1:]
		}
		next := b.now.Add(20 * time.Second)
		if done.Deferred > 0 {
			require.False(t, done.RetryAt.After(b.now.Add(time.Minute)))
		}
		b.now = next
		require.Less(t, b.now.Sub(noon), 2*time.Hour)
	}
	require.Len(t, published, 5000)
	for repo, n := range published {
		require.Equal(t, 1, n, repo)
	}
	for i := range times { // in no minute more than the cap
		if i >= 100 {
			require.GreaterOrEqual(t, times[i].Sub(times[i-100]), time.Minute)
		}
	}
	require.Equal(t, 4900, b.counted["deferred "+backfill.CauseOrgCap])
	require.Equal(t, 5000, b.counted["enqueued "+string(backfill.ReasonScrapeError)])
	t.Logf("5,000 jobs in %s", b.now.Sub(noon))
}

// TestDispatchStopsAtSafetyCap: a very long queue gets no more jobs.
func TestDispatchStopsAtSafetyCap(t *testing.T) {
	b := newBench(t)
	for repo := range int64(10) {
		b.addGap(repo+1, parseTime("0311T11:00:00"), parseTime("0311T12:00:00"), commits)
	}
	b.queue.depth.Ready = 19_997
	done := b.dispatch()
	require.Equal(t, 3, done.Published)
	require.Equal(t, 7, done.Deferred)
	require.Equal(t, 7, b.counted["deferred "+backfill.CauseSafetyCap])
}
