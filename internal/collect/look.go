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

// look finds out which repositories there are and plans what has to be read of them. It keeps one page at a time.
func (c *Collector) look(ctx context.Context, cov *ledger.Coverage, sum *PassResult) (plan, error) {
	p := c.planner(cov, sum.Start)
	suspected := c.suspectsOf(cov)
	p.suspected = func(repo int64) bool { return suspected[repo] }
	first := true
	err := c.settings.Source.Discover(ctx, c.settings.Org, func(page []activity.Repository) error {
		if skewed := c.now(); first && skewed.Before(p.began) {
			p.began = skewed // only the first answer tells that GitHub's clock is behind ours
		}
		first = false
		p.page(page)
		c.remember(page, p.there)
		return nil
	})
	incomplete, ok := errors.AsType[*github.IncompleteError](err)
	if ok {
		c.permissions.noteListing(nil)
	} else {
		c.permissions.noteListing(err)
	}
	c.permissions.prune(cov)
	if err != nil && !ok {
		return plan{}, fmt.Errorf("discover repositories: %w", err)
	}
	absent := p.absent()
	if len(p.there) == 0 && len(absent) > 0 && incomplete == nil {
		return plan{}, ErrNoRepositories
	}
	explained := c.lookUp(ctx, p, absent)
	sum.Repositories, sum.UnmatchedPatterns = p.selected(), p.matched.unmatched(p.filter)
	switch {
	case ctx.Err() != nil:
		return plan{}, context.Cause(ctx)
	case len(absent) > 0 && len(p.there)+len(p.unknown) == 0:
		return plan{}, ErrNoRepositories
	}
	if incomplete != nil && incomplete.Missing > explained {
		sum.Incomplete = incomplete
	}
	todo := p.finish()
	sum.VanishedRepositories = p.vanishing
	c.forget(p)
	return todo, nil
}

func (c *Collector) planner(cov *ledger.Coverage, began time.Time) *planner {
	p := &planner{
		org: c.settings.Org, cov: cov, began: began, lookback: c.settings.Lookback, filter: &c.settings.Filter,
		handover: c.settings.BackfillEnabled, matched: c.settings.Filter.newMatching(),
		there: make(map[int64]bool, len(cov.Repos)), unknown: make(map[int64]bool),
		moved: make(map[int64]bool), suspects: make(map[int64]bool),
		plan: plan{behind: make(map[int64]*behind)},
	}
	p.putOff = func(repo int64, s activity.Stream) error { return c.refusals.putOff(repo, s, p.began) }
	return p
}

// lookUp asks for the repositories that were there and that the listing did not show: it may have shifted while it was read,
// and some of it may have been missing. It gives how many of them are there after all, or may be.
func (c *Collector) lookUp(ctx context.Context, p *planner, absent []*ledger.RepoCoverage) int {
	if len(absent) == 0 {
		return 0
	}
	var asked []activity.Repository
	explained := 0
	for _, known := range absent {
		if err := c.refusals.putOff(known.ID, presence, p.began); err != nil {
			explained++
			p.unsure(known, err)
			continue
		}
		asked = append(asked, c.repository(known))
	}
	c.settings.Source.Lookup(ctx, c.settings.Org, asked, func(s github.LookupResult) {
		switch {
		case s.Err != nil:
			explained++
			p.unsure(p.cov.Repos[s.ID], s.Err)
			if refused(s.Err) {
				c.refusals.note(s.ID, presence, s.Err, p.began)
			}
		case s.Moved:
			p.moved[s.ID] = true
		case s.Repo != nil:
			explained++
			page := []activity.Repository{*s.Repo}
			p.page(page)
			c.remember(page, p.there)
		}
	})
	return explained
}

// presence stands beside the streams for whether a repository is there: one that the credential may not see is looked
// up ever more rarely. The listing shows when it may again.
const presence = activity.Stream(activity.NumStreams)

// suspectsOf are the repositories that the pass before this one did not find. When another replica has made passes
// since, they are none.
func (c *Collector) suspectsOf(cov *ledger.Coverage) map[int64]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cov.Edge.After(c.suspectedAt) {
		return nil
	}
	return c.suspects
}

// remember keeps the global ids of the repositories that are there: readings outside a pass and look-ups need them, and
// the coverage has the rest. What was refused of a stream that is switched off, or of a repository that is there again,
// is over.
func (c *Collector) remember(page []activity.Repository, there map[int64]bool) {
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
		c.refusals.forget(r.ID, presence)
		for _, s := range activity.AllStreams() {
			if r.Signals.Disabled.Has(s) {
				c.refusals.forget(r.ID, s)
			}
		}
	}
}

// forget drops what is not there any more, and keeps what the next pass has to know of what was not found.
func (c *Collector) forget(p *planner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id := range c.nodeIDs {
		if !p.there[id] && !p.unknown[id] && !p.suspects[id] {
			delete(c.nodeIDs, id)
		}
	}
	c.suspects, c.suspectedAt = p.suspects, p.began
	c.absent = maps.Clone(p.unknown)
	maps.Copy(c.absent, p.suspects)
}

// repository is what is known of a repository.
func (c *Collector) repository(r *ledger.RepoCoverage) activity.Repository {
	c.mu.Lock()
	defer c.mu.Unlock()
	return activity.Repository{ID: r.ID, NodeID: c.nodeIDs[r.ID], Name: r.Name, Signals: r.Signals}
}
