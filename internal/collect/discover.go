// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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

// ErrNoRepositories is the error of a discovery that finds no repository of an organization that had some: GitHub lists
// none to an account that has lost its access, and that must not end every series.
var ErrNoRepositories = errors.New("the credential sees no repository of the organization any more")

// discover lists the repositories and plans what has to be read of them. It holds one page in memory at a time. Its
// error says that the organization could not be listed.
func (c *Collector) discover(ctx context.Context, cov *ledger.Coverage, result *PassResult) (plan, error) {
	p := c.newPlanner(cov, result.Start)
	first := true
	err := c.settings.Source.Discover(ctx, c.settings.Org, func(page []activity.Repository) error {
		if skewed := c.Now(); first && skewed.Before(p.start) {
			p.start = skewed // the first response shows that GitHub's clock is behind this one
		}
		first = false
		p.addPage(page)
		c.recordPage(page, p.presence.discovered)
		return nil
	})
	incomplete, isIncomplete := errors.AsType[*github.IncompleteError](err)
	if isIncomplete {
		c.permissions.recordListing(nil)
	} else {
		c.permissions.recordListing(err)
	}
	c.permissions.prune(cov)
	if err != nil && !isIncomplete {
		return plan{}, fmt.Errorf("discover repositories: %w", err)
	}
	absent := p.presence.absent(cov)
	if len(p.presence.discovered) == 0 && len(absent) > 0 && incomplete == nil {
		return plan{}, ErrNoRepositories
	}
	explained := c.verifyAbsent(ctx, p, absent)
	result.Repositories, result.UnmatchedPatterns = p.presence.numSelected(), p.matched.unmatched(p.filter)
	switch {
	case ctx.Err() != nil:
		return plan{}, context.Cause(ctx)
	case len(absent) > 0 && p.presence.isEmpty():
		return plan{}, ErrNoRepositories
	}
	if incomplete != nil && incomplete.Missing > explained {
		result.Incomplete = incomplete
	}
	if result.Incomplete == nil && !p.facts.hasUnknown && len(p.presence.unknown) == 0 {
		p.facts.addTotals()
	}
	if err := c.loadFacts(ctx, cov, &p.facts); err != nil {
		return plan{}, err
	}
	todo := p.finish()
	todo.facts = c.changedFacts(&p.facts, todo.start)
	result.VanishedRepositories = p.presence.vanished
	c.recordAbsent(p)
	return todo, nil
}

// newPlanner returns the planner of a pass that starts at a time.
func (c *Collector) newPlanner(cov *ledger.Coverage, start time.Time) *planner {
	unseen := c.unseenBefore(cov)
	p := &planner{
		passWindows: passWindows{
			org: c.settings.Org, cov: cov, start: start, backfillEnabled: c.settings.BackfillEnabled,
		},
		lookback: c.settings.Lookback, filter: &c.settings.Filter, disabled: c.settings.DisabledStreams,
		matched:  c.settings.Filter.newPatternMatches(),
		presence: newPresence(len(cov.Repos), func(repo int64) bool { return unseen[repo] }),
		plan:     plan{ifUnread: make(map[int64]*ifUnread)},
		facts:    newFactsPlan(c.facts.digestsOf(cov)),
	}
	p.deferralOf = func(repo int64, s activity.Stream) error { return c.backoffs.deferralOf(repo, s, p.start) }
	p.onSelected = func(r *activity.Repository) { c.stocks.observe(r, p.start) }
	return p
}

// verifyAbsent looks up the readable repositories that the listing did not show: it may have shifted while it was read,
// or be incomplete. It returns how many of them are readable or may be.
func (c *Collector) verifyAbsent(ctx context.Context, p *planner, absent []*ledger.RepoCoverage) int {
	if len(absent) == 0 {
		return 0
	}
	var requested []activity.Repository
	explained := 0
	for _, repoCov := range absent {
		if err := c.backoffs.deferralOf(repoCov.ID, streamPresence, p.start); err != nil {
			explained++
			p.setPresenceUnknown(repoCov, err)
			continue
		}
		requested = append(requested, c.Repository(repoCov))
	}
	c.settings.Source.Lookup(ctx, c.settings.Org, requested, func(found github.LookupResult) {
		switch {
		case found.Err != nil:
			explained++
			p.setPresenceUnknown(p.cov.Repos[found.ID], found.Err)
			if isRefused(found.Err) {
				c.backoffs.recordRefused(found.ID, streamPresence, found.Err, p.start)
			}
		case found.Moved:
			p.presence.transferred[found.ID] = true
		case found.Repo != nil:
			explained++
			page := []activity.Repository{*found.Repo}
			p.addPage(page)
			c.recordPage(page, p.presence.discovered)
		}
	})
	return explained
}

// streamPresence is the key of the backoff of lookups, beside those of the streams: a repository that the credential
// may not read is looked up ever more rarely. It is cleared when the listing shows the repository.
const streamPresence = activity.Stream(activity.NumStreams)

// unseenBefore returns the repositories that the previous pass did not find; none when another replica has made passes
// since.
func (c *Collector) unseenBefore(cov *ledger.Coverage) map[int64]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if cov.Edge.After(c.unseenAt) {
		return nil
	}
	return c.unseen
}

// recordPage stores the global ids of the selected repositories of a page: fills and lookups need them, and the
// coverage has everything else. It clears the backoff of disabled streams and of the lookups of the repositories.
func (c *Collector) recordPage(page []activity.Repository, selected map[int64]bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.nodeIDs == nil {
		c.nodeIDs = make(map[int64]string)
	}
	for i := range page {
		r := &page[i]
		if selected[r.ID] && r.NodeID != "" && c.nodeIDs[r.ID] != r.NodeID {
			c.nodeIDs[r.ID] = r.NodeID
		}
		c.backoffs.clear(r.ID, streamPresence)
		for _, s := range activity.AllStreams() {
			if r.Signals.Disabled.Has(s) {
				c.backoffs.clear(r.ID, s)
			}
		}
	}
}

// recordAbsent drops the global ids of repositories that are gone, and stores which repositories this pass did not
// find, for the next pass and for PendingStreams.
func (c *Collector) recordAbsent(p *planner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	presence := &p.presence
	for id := range c.nodeIDs {
		if !presence.discovered[id] && !presence.unknown[id] && !presence.unseen[id] {
			delete(c.nodeIDs, id)
		}
	}
	c.unseen, c.unseenAt = presence.unseen, p.start
	c.notFound = maps.Clone(presence.unknown)
	maps.Copy(c.notFound, presence.unseen)
}

// nodeIDOf returns the global id of a repository; empty when no pass has discovered it.
func (c *Collector) nodeIDOf(repo int64) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodeIDs[repo]
}

// Repository returns a repository as the coverage has it, with its global id if a pass has discovered it.
func (c *Collector) Repository(r *ledger.RepoCoverage) activity.Repository {
	return activity.Repository{ID: r.ID, NodeID: c.nodeIDOf(r.ID), Name: r.Name, Signals: r.Signals}
}
