// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// maxPending is the number of pending jobs above which further gaps stay in the coverage alone.
	maxPending = 20_000
	// publishBatchSize is the number of jobs in one call of Publish.
	publishBatchSize = 100
)

// Causes of deferred publishing. Their text is a label of a metric.
const (
	CauseOrgCap    = "org_rate_cap"
	CauseSafetyCap = "global_safety_cap"
)

// Counters receives what happens to jobs. Its functions are called by Dispatch and must not block.
type Counters struct {
	Enqueued, Deduped func(reason Reason, n int)
	Deferred          func(cause string, n int)
}

// Publisher is the part of a queue that a dispatcher needs.
type Publisher interface {
	Publish(ctx context.Context, jobs []Job) (confirmed int, err error)
	Depth(ctx context.Context) (Depth, error)
}

// DispatchSettings configure a Dispatcher.
type DispatchSettings struct {
	Org      string
	Queue    Publisher
	Claims   Claims
	Counters Counters
	Now      func() time.Time
	// NewID returns an id that no other job has.
	NewID func() string
	// IsMissing reports whether a day of a report is still missing; it may be nil where there are no reports. It is
	// called after the claims were listed: a worker stores the report before it deletes the claim.
	IsMissing func(ctx context.Context, m *MissedReport) (bool, error)
	// Coalesce is the step that windows are aligned to: gaps that are closer become one job.
	Coalesce time.Duration
	// MaxPerMinute bounds the jobs that are published in a minute.
	MaxPerMinute int
	// StaleAfter is the age of a claim without a refresh after which its job counts as lost if the queue cannot hold it
	// any more, ExpireAfter the age after which the job is published again in any case.
	StaleAfter, ExpireAfter time.Duration
}

// Dispatcher publishes jobs for the gaps of one organization. It must not be used concurrently.
type Dispatcher struct {
	settings     DispatchSettings
	publishTimes []time.Time // of each job in the last minute
	lost         lostJobs
	misses       map[streamKey]*miss
	reports      []MissedReport
	countedTimes map[missedKey]int // MissedReport.Times that were counted
	deferred     map[deferredKey]bool
}

type streamKey struct {
	repo   int64
	stream activity.Stream
}

// miss is the reason why a pass did not read a stream. It is uncounted until Dispatch has found out whether a job is in
// progress.
type miss struct {
	reason      Reason
	isUncounted bool
}

type deferredKey struct {
	repo       int64
	streams    activity.Streams
	start, end int64
	report     string
}

// NewDispatcher returns a dispatcher without memory of earlier passes; the claims have that of earlier jobs.
func NewDispatcher(settings DispatchSettings) *Dispatcher {
	return &Dispatcher{
		settings:     settings,
		misses:       make(map[streamKey]*miss),
		countedTimes: make(map[missedKey]int),
		deferred:     make(map[deferredKey]bool),
		lost:         make(lostJobs),
	}
}

// RecordMiss records why a pass did not read a stream of a repository. The next Dispatch gives the reason to its job.
func (d *Dispatcher) RecordMiss(repo int64, s activity.Stream, reason Reason) {
	d.misses[streamKey{repo, s}] = &miss{reason: reason, isUncounted: true}
}

// DispatchResult has the numbers of one call of Dispatch.
type DispatchResult struct {
	// Published is the number of jobs that the queue confirmed, InProgress of those that had been published before,
	// Deferred of those that the caps hold back.
	Published, InProgress, Deferred int
	// RetryAt is the time at which the caps admit deferred jobs; zero when none was deferred.
	RetryAt time.Time
	// Oldest is the publishing time of the oldest job in progress; zero when there is none.
	Oldest time.Time
	// RepeatedlyLost is the number of windows whose jobs the queue confirmed and did not deliver, RepeatedLossThreshold
	// times or more in a row.
	RepeatedlyLost int
}

// Dispatch publishes jobs for the gaps that no claim covers, as far as the caps admit. busy returns the streams of a
// repository that a pass is about to read; they get no job. After an error unpublished gaps are still gaps: call again.
func (d *Dispatcher) Dispatch(
	ctx context.Context, cov *ledger.Coverage, busy func(repo int64) activity.Streams,
) (DispatchResult, error) {
	var result DispatchResult
	depth, err := d.settings.Queue.Depth(ctx)
	if err != nil {
		return result, fmt.Errorf("read the depth of the queue: %w", err)
	}
	all, err := d.settings.Claims.List(ctx, d.settings.Org)
	if err != nil {
		return result, fmt.Errorf("list the claims: %w", err)
	}
	live, stale := d.updateLost(cov, all, &depth)
	result.InProgress, result.Oldest = len(live), oldestPublished(live)
	result.RepeatedlyLost = countRepeatedlyLost(live)
	p := planner{
		org: d.settings.Org, align: d.settings.Coalesce, claimed: claimsByRepo(live), busyStreams: busy,
		reasonFor: d.reasonFor,
	}
	jobs, err := d.planReports(ctx, live)
	if err != nil {
		return result, err
	}
	jobs = append(jobs, p.planJobs(cov)...)
	d.countDeduped(cov, jobs)
	d.countDedupedReports(jobs)
	now := d.settings.Now()
	allowance := d.publishAllowance(now, &depth)
	result.Deferred = max(0, len(jobs)-allowance)
	d.countDeferred(jobs[len(jobs)-result.Deferred:], allowance < d.rateAllowance(now))
	result.Published, err = d.publishJobs(ctx, jobs[:len(jobs)-result.Deferred], &result)
	result.RepeatedlyLost += d.lost.countRepeatedlyLost()
	if result.Deferred > 0 {
		result.RetryAt = d.nextAllowanceAt(now)
	}
	if err != nil {
		return result, err
	}
	if len(stale) > 0 {
		err = d.settings.Claims.Delete(ctx, d.settings.Org, claimIDs(stale))
	}
	return result, err
}

// updateLost separates the claims of live jobs from stale ones, and updates the jobs that the queue has lost.
func (d *Dispatcher) updateLost(cov *ledger.Coverage, all []Claim, depth *Depth) (live, stale []Claim) {
	detector := lossDetector{
		now: d.settings.Now(), staleAfter: d.settings.StaleAfter, expireAfter: d.settings.ExpireAfter, depth: depth,
	}
	live, stale = detector.splitClaims(all)
	d.lost.add(stale, detector.isCertain(live, stale))
	d.lost.dropRead(cov, d.reports)
	return live, stale
}

// claimIDs returns the ids of claims.
func claimIDs(claims []Claim) []string {
	ids := make([]string, len(claims))
	for i := range claims {
		ids[i] = claims[i].ID
	}
	return ids
}

// oldestPublished returns when the oldest job in progress was published; zero when there is none.
func oldestPublished(claims []Claim) time.Time {
	var first time.Time
	for i := range claims {
		if at := claims[i].PublishedAt; !claims[i].DeadLettered && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// reasonFor returns ReasonInitial when the whole gap is from before the contact of the stream, else the reason that
// a pass recorded, else ReasonSweep.
func (d *Dispatcher) reasonFor(r *ledger.RepoCoverage, s activity.Stream, w activity.Window) Reason {
	if contact := r.Contact(s); contact.After(w.Start) {
		w.Start = contact
	}
	if !r.Missing[s].Overlaps(w) {
		return ReasonInitial
	}
	if recorded := d.misses[streamKey{r.ID, s}]; recorded != nil {
		return recorded.reason
	}
	return ReasonSweep
}

// countDeduped counts the streams that passes missed again while a job was in progress, and drops the reasons of gaps
// that were closed.
func (d *Dispatcher) countDeduped(cov *ledger.Coverage, todo []Job) {
	published := make(map[streamKey]bool)
	for i := range todo {
		for _, s := range activity.AllStreams() {
			if todo[i].Streams.Has(s) {
				published[streamKey{todo[i].RepoID, s}] = true
			}
		}
	}
	for key, recorded := range d.misses {
		r := cov.Repos[key.repo]
		switch {
		case r == nil || len(r.Gaps(key.stream)) == 0:
			delete(d.misses, key)
		case recorded.isUncounted && !published[key]:
			d.settings.Counters.Deduped(recorded.reason, 1)
		}
		recorded.isUncounted = false
	}
}

// rateAllowance returns how many jobs MaxPerMinute still admits.
func (d *Dispatcher) rateAllowance(now time.Time) int {
	d.publishTimes = slices.DeleteFunc(d.publishTimes, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	return max(0, d.settings.MaxPerMinute-len(d.publishTimes))
}

// publishAllowance returns how many jobs both caps admit now.
func (d *Dispatcher) publishAllowance(now time.Time, depth *Depth) int {
	return min(d.rateAllowance(now), max(0, maxPending-depth.Pending()))
}

// nextAllowanceAt returns when the caps may admit another job.
func (d *Dispatcher) nextAllowanceAt(now time.Time) time.Time {
	if len(d.publishTimes) == 0 || len(d.publishTimes) < d.settings.MaxPerMinute {
		return now.Add(time.Minute)
	}
	return d.publishTimes[0].Add(time.Minute)
}

// countDeferred counts each deferred job once, however many passes find it deferred.
func (d *Dispatcher) countDeferred(jobs []Job, safety bool) {
	cause := CauseOrgCap
	if safety {
		cause = CauseSafetyCap
	}
	still := make(map[deferredKey]bool, len(jobs))
	n := 0
	for i := range jobs {
		key := deferredKey{
			jobs[i].RepoID, jobs[i].Streams, jobs[i].Window.Start.Unix(), jobs[i].Window.End.Unix(),
			reportKey(jobs[i].Source, jobs[i].Repo),
		}
		if !d.deferred[key] {
			n++
		}
		still[key] = true
	}
	d.deferred = still
	if n > 0 {
		d.settings.Counters.Deferred(cause, n)
	}
}

// publishJobs claims and publishes jobs in batches, and adds repeatedly lost ones to result.
func (d *Dispatcher) publishJobs(ctx context.Context, jobs []Job, result *DispatchResult) (published int, err error) {
	lost := d.lost.byRepo()
	for part := range slices.Chunk(jobs, publishBatchSize) {
		claims, err := d.publishBatch(ctx, part, lost)
		published += len(claims)
		result.RepeatedlyLost += countRepeatedlyLost(claims)
		d.lost.dropPublished(claims)
		if err != nil {
			return published, err
		}
	}
	return published, nil
}

// publishBatch claims and publishes one batch. It returns the claims of the jobs that the queue confirmed and deletes
// those of the others.
func (d *Dispatcher) publishBatch(ctx context.Context, jobs []Job, lost map[int64][]Claim) ([]Claim, error) {
	now := d.settings.Now().UTC().Truncate(time.Millisecond)
	claims := make([]Claim, len(jobs))
	for i := range jobs {
		jobs[i].ID, jobs[i].CreatedAt = d.settings.NewID(), now
		claims[i] = newClaim(&jobs[i])
		claims[i].LostBefore = countLostBefore(lost[jobs[i].RepoID], &claims[i])
	}
	if err := d.settings.Claims.Put(ctx, d.settings.Org, claims); err != nil {
		return nil, fmt.Errorf("claim windows: %w", err)
	}
	confirmed, err := d.settings.Queue.Publish(ctx, jobs)
	d.countEnqueued(jobs[:confirmed], now)
	if err == nil {
		return claims, nil
	}
	// Not with ctx, whose end may be the error. A claim that cannot be deleted counts as lost after StaleAfter.
	_ = d.settings.Claims.Delete(context.WithoutCancel(ctx), d.settings.Org, claimIDs(claims[confirmed:]))
	return claims[:confirmed], fmt.Errorf("publish jobs: %w", err)
}

// countEnqueued counts published jobs by reason, and their times for the rate cap.
func (d *Dispatcher) countEnqueued(jobs []Job, now time.Time) {
	reasons := make(map[Reason]int)
	for i := range jobs {
		reasons[jobs[i].Reason]++
		d.publishTimes = append(d.publishTimes, now)
	}
	for _, reason := range slices.Sorted(maps.Keys(reasons)) {
		d.settings.Counters.Enqueued(reason, reasons[reason])
	}
}
