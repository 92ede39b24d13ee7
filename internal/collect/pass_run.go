// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// passRun carries out the readings of a plan. It is safe for concurrent use.
type passRun struct {
	collector *Collector
	fence     uint64
	plan      *plan

	mu sync.Mutex
	// read has, by repository, the streams that were read.
	read map[int64]activity.Streams
	// observed are the repositories whose signals were recorded, or are unchanged.
	observed map[int64]bool
	// deferred are the streams that are not read as far back as they are missing.
	deferred []RepoStream
	// failures are the streams that could not be read, events is how many new events were recorded.
	failures []Failure
	events   int
	// unchanged is how many readings have found that nothing had happened.
	unchanged int
	// unavailable has the errors of unavailable streams, by repository.
	unavailable map[int64]map[activity.Stream]error
	// haltedBy is the error that every further request would get as well: of a limit or of the credential.
	haltedBy error
}

// newPassRun returns the run of a plan with the leader's fence.
func newPassRun(c *Collector, fence uint64, todo *plan) *passRun {
	return &passRun{
		collector: c, fence: fence, plan: todo, read: make(map[int64]activity.Streams), observed: make(map[int64]bool),
		unavailable: make(map[int64]map[activity.Stream]error),
	}
}

// prefetchSize is how many readings are prefetched together. Their first pages are held until they are read.
const prefetchSize = 50

// readAll carries out the readings, of several repositories at a time, those of unavailable repositories last. Its
// error is that of the store or of the context; errors of GitHub are failures.
func (r *passRun) readAll(ctx context.Context) error {
	r.markMinimal()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.collector.settings.Concurrency)
	for chunk := range slices.Chunk(r.plan.readings, prefetchSize) {
		if err := r.readChunk(ctx, groupCtx, group, r.newReadings(chunk)); err != nil {
			if first := group.Wait(); first != nil {
				return first
			}
			return err
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.recordUnavailable()
	return context.Cause(ctx)
}

// markMinimal makes the readings of unavailable repositories minimal and moves them behind the others.
func (r *passRun) markMinimal() {
	for i := range r.plan.readings {
		planned := &r.plan.readings[i]
		planned.isMinimal = r.collector.backoffs.isUnavailable(planned.repo.ID)
	}
	slices.SortStableFunc(r.plan.readings, func(a, b plannedReading) int {
		switch {
		case a.isMinimal == b.isMinimal:
			return 0
		case b.isMinimal:
			return -1
		default:
			return 1
		}
	})
}

// newReadings makes the readings of a part of the plan.
func (r *passRun) newReadings(chunk []plannedReading) []reading {
	readings := make([]reading, len(chunk))
	for i := range chunk {
		readings[i] = r.plan.newReading(&chunk[i], r.collector.nodeIDOf(chunk[i].repo.ID))
	}
	return readings
}

// recordUnavailable starts the backoff of unavailable streams. When several repositories are unavailable and none was
// read, the cause is not theirs and no backoff starts.
func (r *passRun) recordUnavailable() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.haltedBy != nil || (len(r.unavailable) > 1 && len(r.read) == 0) {
		return
	}
	for repo, streams := range r.unavailable {
		for s, err := range streams {
			r.collector.backoffs.recordUnavailable(repo, s, err, r.plan.start)
		}
	}
}

// readChunk prefetches some readings and starts them. Its error is that of the store or of the context.
func (r *passRun) readChunk(ctx, groupCtx context.Context, group *errgroup.Group, chunk []reading) error {
	if r.haltError() == nil {
		requests := make([]*github.ReadRequest, len(chunk))
		for i := range chunk {
			requests[i] = &chunk[i].request
			requests[i].SkipLines = r.collector.settings.WithoutLines
		}
		if err := r.collector.loadValidators(ctx, chunk); err != nil {
			return err
		}
		r.collector.settings.Source.Prefetch(ctx, requests)
	}
	for i := range chunk {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error { return r.readOne(groupCtx, &chunk[i]) })
	}
	return context.Cause(groupCtx)
}

// readOne carries out a reading and commits it. Its error is that of the store or of the context.
func (r *passRun) readOne(ctx context.Context, todo *reading) error {
	defer r.collector.clearPending(todo.request.Repo.ID)
	defer r.recordDeferred(todo)
	if err := r.haltError(); err != nil {
		r.recordFailures(todo, failAll(todo.request.Streams, err))
		return nil
	}
	pages := &pageCommitter{
		collector: r.collector, fence: r.fence, source: sourceLeader, repo: todo.request.Repo.ID, basis: r.plan.basis,
	}
	result := r.collector.readActivity(ctx, pages.withHeads(todo.request), todo.wanted,
		func(events []activity.Event) error { return pages.add(ctx, events) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if pages.err == nil {
		todo.extendCovered(&result)
		r.finish(ctx, pages, todo, &result)
	}
	r.record(todo, &result, pages.recorded)
	return pages.err
}

// finish commits the last page with the progress of the reading, unless that changes nothing.
func (r *passRun) finish(ctx context.Context, pages *pageCommitter, todo *reading, result *github.ReadResult) {
	entries := slices.Concat(
		validatorEntries(todo, result), r.collector.rewrittenEntries(todo, result),
		r.collector.stocks.moved(todo, result),
	)
	if len(pages.buffered) == 0 && len(entries) == 0 && todo.isNoop(result) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.unchanged++
		return
	}
	b := ledger.Batch{Progress: ledger.Progress{Repos: []ledger.RepoProgress{todo.progress(result)}}, Entries: entries}
	addRemovals(&b, todo.request.Repo.ID, result)
	pages.finish(ctx, b)
}

// record adds the result of a reading, and how many new events it recorded, to the run.
func (r *passRun) record(todo *reading, result *github.ReadResult, events int) {
	r.recordFailures(todo, result.Failed)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events += events
	r.observed[todo.request.Repo.ID] = true
	for _, s := range activity.AllStreams() {
		if todo.request.Streams.Has(s) && result.Failed[s] == nil {
			r.read[todo.request.Repo.ID] = r.read[todo.request.Repo.ID].With(s)
			r.collector.backoffs.clear(todo.request.Repo.ID, s)
			r.collector.permissions.record(todo.request.Repo.ID, s, nil)
		}
	}
}

// recordDeferred adds the streams that a reading leaves deferred.
func (r *passRun) recordDeferred(todo *reading) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range activity.AllStreams() {
		if todo.request.Streams.Has(s) && !todo.deferred[s].IsEmpty() {
			r.deferred = append(r.deferred, RepoStream{todo.request.Repo.ID, s})
		}
	}
}

// recordFailures adds the failed streams of a reading to the run, to the backoffs and to the permissions.
func (r *passRun) recordFailures(todo *reading, failed map[activity.Stream]error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	allFailed := len(failed) == todo.request.Streams.Len()
	for s, err := range failed {
		r.failures = append(r.failures, Failure{
			RepoID: todo.request.Repo.ID, Repo: todo.request.Repo.Name, Stream: s, Err: err, AllFailed: allFailed,
		})
		r.collector.permissions.record(todo.request.Repo.ID, s, err)
		switch {
		case isRefused(err):
			r.collector.backoffs.recordRefused(todo.request.Repo.ID, s, err, r.plan.start)
		case isUnavailable(err) && err != r.haltedBy: //nolint:errorlint // the same one
			if r.unavailable[todo.request.Repo.ID] == nil {
				r.unavailable[todo.request.Repo.ID] = make(map[activity.Stream]error)
			}
			r.unavailable[todo.request.Repo.ID][s] = err
		}
		if isPassWide(err) {
			r.haltedBy = err
		}
	}
}

// haltError returns the error that has halted the run, nil for none.
func (r *passRun) haltError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.haltedBy
}

// isPassWide reports whether every other request would get the error as well.
func isPassWide(err error) bool {
	var limit *transport.LimitError
	var credential *transport.CredentialError
	return errors.As(err, &limit) || errors.As(err, &credential)
}

// failAll returns a map with the same error for each of the streams.
func failAll(streams activity.Streams, err error) map[activity.Stream]error {
	failed := make(map[activity.Stream]error, activity.NumStreams)
	for _, s := range activity.AllStreams() {
		if streams.Has(s) {
			failed[s] = err
		}
	}
	return failed
}
