// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// ReconcileResult describes a reconciliation.
type ReconcileResult struct {
	// Repositories is how many repositories were read.
	Repositories int
	// Found is how many events the passes had missed, without those of the flow, which are measured of the others:
	// FoundFlow has them. Both stay 0 while the change signals are reliable.
	Found, FoundFlow int
	Failures         []Failure
	// sweeps has, by repository and kind, the events that exist on GitHub, for removeVanished.
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
	c.requestCountsAgain(&cov, from)
	for _, r := range cov.Repos {
		if r.IsGone() {
			continue
		}
		active := isActive(&r.Signals, from)
		c.stocks.verify(r, active)
		if !active {
			continue
		}
		result.Repositories++
		if err := c.reconcileRepo(ctx, fence, &cov, r, &result); err != nil {
			return result, err
		}
	}
	return result, c.removeVanished(ctx, fence, &result)
}

// removeVanished removes, in one batch, the recorded events of the last 24 h that the repositories do not have any
// more: a comment or an issue was deleted or transferred.
func (c *Collector) removeVanished(ctx context.Context, fence uint64, result *ReconcileResult) error {
	if len(result.sweeps) == 0 {
		return nil
	}
	_, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{Sweeps: result.sweeps})
	return err
}

// isActive reports whether anything has changed, or may have, since a time.
func isActive(s *activity.Signals, since time.Time) bool {
	return s.PushedAt.After(since) || s.Pulls.UpdatedAt.After(since) || s.Issues.UpdatedAt.After(since) ||
		s.Releases.Published > since.Unix() ||
		(s.Streams != activity.EveryStream && !s.Archived)
}

// reconcileRepo reads one repository and adds what it found to result.
func (c *Collector) reconcileRepo(
	ctx context.Context, fence uint64, cov *ledger.Coverage, r *ledger.RepoCoverage, result *ReconcileResult,
) error {
	request := github.ReadRequest{
		Org: c.settings.Org, Repo: c.Repository(r), Streams: activity.EveryStream &^ r.Signals.Disabled,
		WholeLists: true,
	}
	var settled [activity.NumStreams]time.Time
	for _, s := range activity.AllStreams() {
		settled[s] = cov.RepoEdge(r, s).Add(-readOverlap)
		request.Since[s] = cov.Edge.Add(-recentWindow)
	}
	present := newSweeps(&request, &settled)
	pages := &pageCommitter{repo: r.ID}
	read := c.readActivity(ctx, pages.withHeads(request), newWantedSince(r), func(events []activity.Event) error {
		present.add(events)
		return c.commitReconciled(ctx, fence, splitByTime(events, &settled), pages.progress(), result)
	})
	result.sweeps = append(result.sweeps, present.complete(read.Failed)...)
	for s, err := range read.Failed {
		result.Failures = append(result.Failures, Failure{RepoID: r.ID, Repo: r.Name, Stream: s, Err: err})
	}
	return context.Cause(ctx)
}

// commitReconciled commits a page in parts, whose receipts show what the passes had missed, and adds that to result.
func (c *Collector) commitReconciled(
	ctx context.Context, fence uint64, page pageParts, progress ledger.Progress, result *ReconcileResult,
) error {
	found, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{Events: page.old, Progress: progress})
	if err != nil {
		return err
	}
	result.Found += found.Recorded
	c.tallies.AddN(TallyReconciled, uint64(found.Recorded)) //nolint:gosec // a count
	if len(page.oldFlow) > 0 {
		found, err = c.commit(ctx, fence, sourceLeader, ledger.Batch{Events: page.oldFlow, Progress: progress})
		if err != nil {
			return err
		}
		result.FoundFlow += found.Recorded
	}
	if len(page.fresh) > 0 {
		_, err = c.commit(ctx, fence, sourceLeader, ledger.Batch{Events: page.fresh, Progress: progress})
	}
	return err
}

// sweeps collect the events that a repository has, of each kind that can vanish.
type sweeps []ledger.Sweep

// newSweeps returns the sweeps of the requested streams, from the start of each to the time up to which passes have
// read it.
func newSweeps(request *github.ReadRequest, settled *[activity.NumStreams]time.Time) sweeps {
	var list sweeps
	for _, kind := range activity.AuthorKinds() {
		s := kind.Stream()
		if !kind.Spec().CanVanish || !request.Streams.Has(s) {
			continue
		}
		list = append(list, ledger.Sweep{
			Repo: request.Repo.ID, Kind: kind, Present: make(map[activity.ID]struct{}),
			Window: activity.Window{Start: request.Since[s], End: settled[s]},
		})
	}
	return list
}

// add adds the events of a page.
func (l sweeps) add(events []activity.Event) {
	for i := range events {
		for k := range l {
			if l[k].Kind == events[i].Kind {
				l[k].Present[events[i].ID] = struct{}{}
			}
		}
	}
}

// complete returns the sweeps of the streams that were read completely.
func (l sweeps) complete(failed map[activity.Stream]error) []ledger.Sweep {
	return slices.DeleteFunc(l, func(s ledger.Sweep) bool { return failed[s.Kind.Stream()] != nil })
}

// pageParts are the events of a page: those that the passes should have found, those of the flow among them, and those
// that the next pass will find.
type pageParts struct{ old, oldFlow, fresh []activity.Event }

// splitByTime splits the events of a page by the times up to which passes have read.
func splitByTime(events []activity.Event, settled *[activity.NumStreams]time.Time) pageParts {
	var page pageParts
	for _, e := range events {
		switch s := e.Kind.Stream(); {
		case !e.Time.Before(settled[s]):
			page.fresh = append(page.fresh, e)
		case activity.FlowStreams.Has(s):
			page.oldFlow = append(page.oldFlow, e)
		default:
			page.old = append(page.old, e)
		}
	}
	return page
}
