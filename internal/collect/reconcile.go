package collect

import (
	"context"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// ReconcileResult says what a reconciliation did.
type ReconcileResult struct {
	Repositories int
	// Found is how many events only the reconciliation found. It stays 0 while the change signals are as good as we
	// think.
	Found    int
	Failures []Failure
	// sweeps say which comments the repositories have.
	sweeps []ledger.Sweep
}

// Reconcile reads the last 24 h of the recently active repositories again without asking what changed, but for the
// streams that are switched off. Run it right after a pass: what has happened since is recorded, but it is not counted
// as found.
func (c *Collector) Reconcile(ctx context.Context, fence uint64) (ReconcileResult, error) {
	var sum ReconcileResult
	cov, err := c.readCoverage(ctx)
	if err != nil {
		return sum, err
	}
	from := cov.Edge.Add(-recentWindow)
	for _, r := range cov.Repos {
		if r.IsGone() || !isActive(&r.Signals, from) {
			continue
		}
		sum.Repositories++
		if err := c.reconcileRepo(ctx, fence, &cov, r, &sum); err != nil {
			return sum, err
		}
	}
	return sum, c.removeMissingComments(ctx, fence, &sum)
}

// removeMissingComments removes the comments of the last 24 h that the repositories do not have any more: they were deleted, or moved
// away with their issue. One batch does it for all repositories.
func (c *Collector) removeMissingComments(ctx context.Context, fence uint64, sum *ReconcileResult) error {
	if len(sum.sweeps) == 0 {
		return nil
	}
	_, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{Sweeps: sum.sweeps})
	return err
}

// isActive reports whether anything moved, or may have, since a time.
func isActive(s *activity.Signals, since time.Time) bool {
	return s.PushedAt.After(since) || s.Pulls.UpdatedAt.After(since) || s.Issues.UpdatedAt.After(since) ||
		(s.Streams != activity.EveryStream && !s.Archived)
}

func (c *Collector) reconcileRepo(
	ctx context.Context, fence uint64, cov *ledger.Coverage, r *ledger.RepoCoverage, sum *ReconcileResult,
) error {
	request := github.ReadRequest{Org: c.settings.Org, Repo: c.repository(r), Streams: activity.EveryStream &^ r.Signals.Disabled}
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
	outcome := c.readActivity(ctx, pages.withHeads(request), func(events []activity.Event) error {
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
		sum.Found += found.Recorded
		c.tallies.AddN(TallyReconciled, uint64(found.Recorded)) //nolint:gosec // a count
		if len(fresh) == 0 {
			return nil
		}
		_, err = c.commit(ctx, fence, sourceLeader, ledger.Batch{Events: fresh, Progress: pages.progress()})
		return err
	})
	if request.Streams.Has(activity.StreamComments) && outcome.Failed[activity.StreamComments] == nil {
		sum.sweeps = append(sum.sweeps, comments)
	}
	for s, err := range outcome.Failed {
		sum.Failures = append(sum.Failures, Failure{RepoID: r.ID, Repo: r.Name, Stream: s, Err: err})
	}
	return context.Cause(ctx)
}

// splitByTime parts the events that the passes should have found from those which the next pass will find.
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
