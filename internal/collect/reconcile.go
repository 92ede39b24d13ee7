// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// ReconcileResult describes a reconciliation.
type ReconcileResult struct {
	// Repositories is how many repositories were read.
	Repositories int
	// Found is how many events the passes had missed. It stays 0 while the change signals are reliable.
	Found    int
	Failures []Failure
	// sweeps has, by repository, the comments that exist on GitHub, for removeMissingComments.
	sweeps []ledger.Sweep
}

// Reconcile reads the last 24 h of the recently active repositories whatever their signals are, except for disabled
// streams. It is meant to run right after a pass: events since the pass are recorded and not counted as found. Its
// error is that of the store or of the context.
func (c *Collector) Reconcile(ctx context.Context, fence uint64) (ReconcileResult, error) {
	var result ReconcileResult
	cov, err := c.Coverage(ctx)
	if err != nil {
		return result, err
	}
	from := cov.Edge.Add(-recentWindow)
	for _, r := range cov.Repos {
		if r.IsGone() || !isActive(&r.Signals, from) {
			continue
		}
		result.Repositories++
		if err := c.reconcileRepo(ctx, fence, &cov, r, &result); err != nil {
			return result, err
		}
	}
	return result, c.removeMissingComments(ctx, fence, &result)
}

// removeMissingComments removes, in one batch, the recorded comments of the last 24 h that the repositories do not have
// any more: they were deleted, or their issue was transferred.
func (c *Collector) removeMissingComments(ctx context.Context, fence uint64, result *ReconcileResult) error {
	if len(result.sweeps) == 0 {
		return nil
	}
	_, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{Sweeps: result.sweeps})
	return err
}

// isActive reports whether anything has changed, or may have, since a time.
func isActive(s *activity.Signals, since time.Time) bool {
	return s.PushedAt.After(since) || s.Pulls.UpdatedAt.After(since) || s.Issues.UpdatedAt.After(since) ||
		(s.Streams != activity.EveryStream && !s.Archived)
}

// reconcileRepo reads one repository and adds what it found to result.
func (c *Collector) reconcileRepo(
	ctx context.Context, fence uint64, cov *ledger.Coverage, r *ledger.RepoCoverage, result *ReconcileResult,
) error {
	request := github.ReadRequest{
		Org: c.settings.Org, Repo: c.Repository(r), Streams: activity.EveryStream &^ r.Signals.Disabled,
	}
	var settled [activity.NumStreams]time.Time
	for _, s := range activity.AllStreams() {
		settled[s] = cov.RepoEdge(r, s).Add(-readOverlap)
		request.Since[s] = cov.Edge.Add(-recentWindow)
	}
	comments := ledger.Sweep{
		Repo: r.ID, Kind: activity.KindIssueComment, Present: make(map[activity.ID]struct{}),
		Window: activity.Window{Start: request.Since[activity.StreamComments], End: settled[activity.StreamComments]},
	}
	pages := &pageCommitter{repo: r.ID}
	read := c.readActivity(ctx, pages.withHeads(request), func(events []activity.Event) error {
		for i := range events {
			if events[i].Kind == comments.Kind {
				comments.Present[events[i].ID] = struct{}{}
			}
		}
		old, fresh := splitByTime(events, &settled)
		found, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{Events: old, Progress: pages.progress()})
		if err != nil {
			return err
		}
		result.Found += found.Recorded
		c.tallies.AddN(TallyReconciled, uint64(found.Recorded)) //nolint:gosec // a count
		if len(fresh) == 0 {
			return nil
		}
		_, err = c.commit(ctx, fence, sourceLeader, ledger.Batch{Events: fresh, Progress: pages.progress()})
		return err
	})
	if request.Streams.Has(activity.StreamComments) && read.Failed[activity.StreamComments] == nil {
		result.sweeps = append(result.sweeps, comments)
	}
	for s, err := range read.Failed {
		result.Failures = append(result.Failures, Failure{RepoID: r.ID, Repo: r.Name, Stream: s, Err: err})
	}
	return context.Cause(ctx)
}

// splitByTime splits events into those that the passes should have found and those that the next pass will find.
func splitByTime(events []activity.Event, settled *[activity.NumStreams]time.Time) (old, fresh []activity.Event) {
	for _, e := range events {
		if e.Time.Before(settled[e.Kind.Stream()]) {
			old = append(old, e)
		} else {
			fresh = append(fresh, e)
		}
	}
	return old, fresh
}
