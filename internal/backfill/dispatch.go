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
	// maxPending is how many jobs may wait in a queue before the rest stays where it is: in the coverage.
	maxPending = 20_000
	// publishBatchSize is how many jobs are published at a time.
	publishBatchSize = 100
)

// Causes why the publishing of a job is put off.
const (
	CauseOrgCap    = "org_rate_cap"
	CauseSafetyCap = "global_safety_cap"
)

// Counters are told what happens to jobs. Their methods must not block.
type Counters struct {
	Enqueued, Deduped func(reason Reason, n int)
	Deferred          func(cause string, n int)
}

// Publisher is the part of a queue that a dispatcher needs.
type Publisher interface {
	Publish(ctx context.Context, jobs []Job) (confirmed int, err error)
	Depth(ctx context.Context) (Depth, error)
}

// DispatchSettings are a dispatcher's.
type DispatchSettings struct {
	Org      string
	Queue    Publisher
	Claims   Claims
	Counters Counters
	Now      func() time.Time
	// NewID makes an id for a job.
	NewID func() string
	// Coalesce is the step that windows are aligned to: missing windows that are closer are one.
	Coalesce time.Duration
	// MaxPerMinute bounds how many jobs are published in a minute.
	MaxPerMinute int
	// StaleAfter is how long there may be no sign of a job while nothing waits in the queue, and ExpireAfter how long at all, before
	// it is published again.
	StaleAfter, ExpireAfter time.Duration
}

// Dispatcher publishes jobs for what is missing of one organization. It must not be used concurrently.
type Dispatcher struct {
	settings     DispatchSettings
	publishTimes []time.Time // of the last minute
	lost         lostJobs
	misses       map[streamKey]*miss
	deferred     map[deferredKey]bool
}

type streamKey struct {
	repo   int64
	stream activity.Stream
}

// miss is why a stream was not read; fresh until it was seen whether a job is under way.
type miss struct {
	reason      Reason
	isUncounted bool
}

type deferredKey struct {
	repo       int64
	streams    activity.Streams
	start, end int64
}

// NewDispatcher makes a dispatcher.
func NewDispatcher(settings DispatchSettings) *Dispatcher {
	return &Dispatcher{
		settings: settings, misses: make(map[streamKey]*miss), deferred: make(map[deferredKey]bool), lost: make(lostJobs),
	}
}

// RecordMiss notes why a stream of a repository was not read.
func (d *Dispatcher) RecordMiss(repo int64, s activity.Stream, reason Reason) {
	d.misses[streamKey{repo, s}] = &miss{reason: reason, isUncounted: true}
}

// DispatchResult says what one call of Dispatch did.
type DispatchResult struct {
	// Published is how many jobs the queue has confirmed, InProgress how many were there, Deferred how many were put off.
	Published, InProgress, Deferred int
	// RetryAt is when there is room for what was put off; zero when nothing was.
	RetryAt time.Time
	// Oldest is when the oldest job that is under way was published; zero when none is.
	Oldest time.Time
	// RepeatedlyLost are windows whose jobs the queue confirmed and did not deliver, several times in a row.
	RepeatedlyLost int
}

// Dispatch publishes jobs for what is missing, as far as none are under way and the caps allow. busy are the streams of a
// repository that a pass is about to read. After an error what was not published is still missing: call again.
func (d *Dispatcher) Dispatch(ctx context.Context, cov *ledger.Coverage, busy func(repo int64) activity.Streams) (DispatchResult, error) {
	var done DispatchResult
	depth, err := d.settings.Queue.Depth(ctx)
	if err != nil {
		return done, fmt.Errorf("ask the queue for its depth: %w", err)
	}
	all, err := d.settings.Claims.List(ctx, d.settings.Org)
	if err != nil {
		return done, fmt.Errorf("list the claims: %w", err)
	}
	quiet := lossDetector{now: d.settings.Now(), staleAfter: d.settings.StaleAfter, expireAfter: d.settings.ExpireAfter, depth: &depth}
	live, silent := quiet.splitClaims(all)
	done.InProgress, done.Oldest, done.RepeatedlyLost = len(live), oldestPublished(live), countRepeatedlyLost(live)
	d.lost.add(silent, quiet.isCertain(live, silent))
	d.lost.dropRead(cov)
	p := planner{org: d.settings.Org, align: d.settings.Coalesce, claimed: claimsByRepo(live), busyStreams: busy, reasonFor: d.reasonFor}
	todo := p.planJobs(cov)
	d.countDeduped(cov, todo)
	now := d.settings.Now()
	room := d.publishAllowance(now, &depth)
	done.Deferred = max(0, len(todo)-room)
	d.countDeferred(todo[len(todo)-done.Deferred:], room < d.rateAllowance(now))
	done.Published, err = d.publishJobs(ctx, todo[:len(todo)-done.Deferred], &done)
	done.RepeatedlyLost += d.lost.countRepeatedlyLost()
	if done.Deferred > 0 {
		done.RetryAt = d.nextAllowanceAt(now)
	}
	if err != nil {
		return done, err
	}
	if len(silent) > 0 {
		err = d.settings.Claims.Delete(ctx, d.settings.Org, claimIDs(silent))
	}
	return done, err
}

func claimIDs(claims []Claim) []string {
	ids := make([]string, len(claims))
	for i := range claims {
		ids[i] = claims[i].ID
	}
	return ids
}

func claimsByRepo(claims []Claim) map[int64][]Claim {
	m := make(map[int64][]Claim)
	for i := range claims {
		m[claims[i].RepoID] = append(m[claims[i].RepoID], claims[i])
	}
	return m
}

func oldestPublished(claims []Claim) time.Time {
	var first time.Time
	for i := range claims {
		if at := claims[i].PublishedAt; !claims[i].DeadLettered && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	return first
}

// reasonFor of a window: what a pass has said, unless all that is missing there is from before the first contact.
func (d *Dispatcher) reasonFor(r *ledger.RepoCoverage, s activity.Stream, w activity.Window) Reason {
	if r.FirstSeen.After(w.Start) {
		w.Start = r.FirstSeen
	}
	if !r.Missing[s].Overlaps(w) {
		return ReasonInitial
	}
	if said := d.misses[streamKey{r.ID, s}]; said != nil {
		return said.reason
	}
	return ReasonSweep
}

// countDeduped counts what passes have missed again while a job was under way, and forgets what is missing no more.
func (d *Dispatcher) countDeduped(cov *ledger.Coverage, todo []Job) {
	published := make(map[streamKey]bool)
	for i := range todo {
		for _, s := range activity.AllStreams() {
			if todo[i].Streams.Has(s) {
				published[streamKey{todo[i].RepoID, s}] = true
			}
		}
	}
	for key, said := range d.misses {
		r := cov.Repos[key.repo]
		switch {
		case r == nil || len(r.Gaps(key.stream)) == 0:
			delete(d.misses, key)
		case said.isUncounted && !published[key]:
			d.settings.Counters.Deduped(said.reason, 1)
		}
		said.isUncounted = false
	}
}

// rateAllowance is how many jobs the cap has room for.
func (d *Dispatcher) rateAllowance(now time.Time) int {
	d.publishTimes = slices.DeleteFunc(d.publishTimes, func(at time.Time) bool { return now.Sub(at) >= time.Minute })
	return max(0, d.settings.MaxPerMinute-len(d.publishTimes))
}

// publishAllowance is how many jobs may be published now.
func (d *Dispatcher) publishAllowance(now time.Time, depth *Depth) int {
	return min(d.rateAllowance(now), max(0, maxPending-depth.Pending()))
}

// nextAllowanceAt is when there is room again.
func (d *Dispatcher) nextAllowanceAt(now time.Time) time.Time {
	if len(d.publishTimes) == 0 || len(d.publishTimes) < d.settings.MaxPerMinute {
		return now.Add(time.Minute)
	}
	return d.publishTimes[0].Add(time.Minute)
}

// countDeferred counts each job once that is put off.
func (d *Dispatcher) countDeferred(jobs []Job, safety bool) {
	cause := CauseOrgCap
	if safety {
		cause = CauseSafetyCap
	}
	still := make(map[deferredKey]bool, len(jobs))
	n := 0
	for i := range jobs {
		key := deferredKey{jobs[i].RepoID, jobs[i].Streams, jobs[i].Window.Start.Unix(), jobs[i].Window.End.Unix()}
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

// publishJobs claims and publishes jobs, and gives back the claims of those that the queue did not confirm.
func (d *Dispatcher) publishJobs(ctx context.Context, jobs []Job, done *DispatchResult) (published int, err error) {
	lost := d.lost.byRepo()
	for part := range slices.Chunk(jobs, publishBatchSize) {
		claims, err := d.publishBatch(ctx, part, lost)
		published += len(claims)
		done.RepeatedlyLost += countRepeatedlyLost(claims)
		d.lost.dropPublished(claims)
		if err != nil {
			return published, err
		}
	}
	return published, nil
}

// publishBatch gives the claims of the jobs that the queue has confirmed.
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
	// Not with ctx, which may be what has ended. What cannot be given back is taken for lost after a while.
	_ = d.settings.Claims.Delete(context.WithoutCancel(ctx), d.settings.Org, claimIDs(claims[confirmed:]))
	return claims[:confirmed], fmt.Errorf("publish jobs: %w", err)
}

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
