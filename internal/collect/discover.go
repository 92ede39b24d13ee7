package collect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// ErrNoRepositories refuses a discovery that shows nothing of an organization of which there was something: an account
// that lost its access sees an empty list, and that must not end every series.
var ErrNoRepositories = errors.New("the credential sees no repository of the organization any more")

// discover finds out which repositories there are and plans what has to be read of them. It keeps one page at a time.
func (c *Collector) discover(ctx context.Context, cov *ledger.Coverage, sum *PassResult) (plan, error) {
	p := c.newPlanner(cov, sum.Start)
	suspected := c.unseenBefore(cov)
	p.wasUnseen = func(repo int64) bool { return suspected[repo] }
	first := true
	err := c.settings.Source.Discover(ctx, c.settings.Org, func(page []activity.Repository) error {
		if skewed := c.now(); first && skewed.Before(p.start) {
			p.start = skewed // only the first answer tells that GitHub's clock is behind ours
		}
		first = false
		p.addPage(page)
		c.recordPage(page, p.discovered)
		return nil
	})
	incomplete, ok := errors.AsType[*github.IncompleteError](err)
	if ok {
		c.permissions.recordListing(nil)
	} else {
		c.permissions.recordListing(err)
	}
	c.permissions.prune(cov)
	if err != nil && !ok {
		return plan{}, fmt.Errorf("discover repositories: %w", err)
	}
	absent := p.absent()
	if len(p.discovered) == 0 && len(absent) > 0 && incomplete == nil {
		return plan{}, ErrNoRepositories
	}
	explained := c.verifyAbsent(ctx, p, absent)
	sum.Repositories, sum.UnmatchedPatterns = p.numSelected(), p.matched.unmatched(p.filter)
	switch {
	case ctx.Err() != nil:
		return plan{}, context.Cause(ctx)
	case len(absent) > 0 && len(p.discovered)+len(p.presenceUnknown) == 0:
		return plan{}, ErrNoRepositories
	}
	if incomplete != nil && incomplete.Missing > explained {
		sum.Incomplete = incomplete
	}
	todo := p.finish()
	sum.VanishedRepositories = p.vanished
	c.recordAbsent(p)
	return todo, nil
}

func (c *Collector) newPlanner(cov *ledger.Coverage, began time.Time) *planner {
	p := &planner{
		org: c.settings.Org, cov: cov, start: began, lookback: c.settings.Lookback, filter: &c.settings.Filter,
		backfillEnabled: c.settings.BackfillEnabled, matched: c.settings.Filter.newPatternMatches(),
		discovered: make(map[int64]bool, len(cov.Repos)), presenceUnknown: make(map[int64]bool),
		transferred: make(map[int64]bool), unseen: make(map[int64]bool),
		plan: plan{ifUnread: make(map[int64]*ifUnread)},
	}
	p.deferralOf = func(repo int64, s activity.Stream) error { return c.backoffs.deferralOf(repo, s, p.start) }
	return p
}

// verifyAbsent asks for the repositories that were there and that the listing did not show: it may have shifted while it was read,
// and some of it may have been missing. It gives how many of them are there after all, or may be.
func (c *Collector) verifyAbsent(ctx context.Context, p *planner, absent []*ledger.RepoCoverage) int {
	if len(absent) == 0 {
		return 0
	}
	var asked []activity.Repository
	explained := 0
	for _, known := range absent {
		if err := c.backoffs.deferralOf(known.ID, presence, p.start); err != nil {
			explained++
			p.setPresenceUnknown(known, err)
			continue
		}
		asked = append(asked, c.repository(known))
	}
	c.settings.Source.Lookup(ctx, c.settings.Org, asked, func(s github.LookupResult) {
		switch {
		case s.Err != nil:
			explained++
			p.setPresenceUnknown(p.cov.Repos[s.ID], s.Err)
			if isRefused(s.Err) {
				c.backoffs.recordRefused(s.ID, presence, s.Err, p.start)
			}
		case s.Moved:
			p.transferred[s.ID] = true
		case s.Repo != nil:
			explained++
			page := []activity.Repository{*s.Repo}
			p.addPage(page)
			c.recordPage(page, p.discovered)
		}
	})
	return explained
}

// presence stands beside the streams for whether a repository is there: one that the credential may not see is looked
// up ever more rarely. The listing shows when it may again.
const presence = activity.Stream(activity.NumStreams)

// unseenBefore are the repositories that the pass before this one did not find. When another replica has made passes
// since, they are none.
func (c *Collector) unseenBefore(cov *ledger.Coverage) map[int64]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cov.Edge.After(c.unseenAt) {
		return nil
	}
	return c.unseen
}

// recordPage keeps the global ids of the repositories that are there: readings outside a pass and look-ups need them, and
// the coverage has the rest. What was refused of a stream that is switched off, or of a repository that is there again,
// is over.
func (c *Collector) recordPage(page []activity.Repository, there map[int64]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nodeIDs == nil {
		c.nodeIDs = make(map[int64]string)
	}
	for i := range page {
		r := &page[i]
		if there[r.ID] && r.NodeID != "" && c.nodeIDs[r.ID] != r.NodeID {
			c.nodeIDs[r.ID] = r.NodeID
		}
		c.backoffs.clear(r.ID, presence)
		for _, s := range activity.AllStreams() {
			if r.Signals.Disabled.Has(s) {
				c.backoffs.clear(r.ID, s)
			}
		}
	}
}

// recordAbsent drops what is not there any more, and keeps what the next pass has to know of what was not found.
func (c *Collector) recordAbsent(p *planner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.nodeIDs {
		if !p.discovered[id] && !p.presenceUnknown[id] && !p.unseen[id] {
			delete(c.nodeIDs, id)
		}
	}
	c.unseen, c.unseenAt = p.unseen, p.start
	c.notFound = maps.Clone(p.presenceUnknown)
	maps.Copy(c.notFound, p.unseen)
}

// repository is what is known of a repository.
func (c *Collector) repository(r *ledger.RepoCoverage) activity.Repository {
	c.mu.Lock()
	defer c.mu.Unlock()
	return activity.Repository{ID: r.ID, NodeID: c.nodeIDs[r.ID], Name: r.Name, Signals: r.Signals}
}
