// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// RepoStocks are what is open in a repository; nil where that is unknown.
type RepoStocks struct {
	Pulls  *PullCounts
	Issues *IssueCounts
}

// PullCounts are counts of the open pull requests.
type PullCounts struct {
	// Ready and Draft are all of them. Unreviewed are those that are ready and have no review but the author's own.
	Ready, Draft, Unreviewed int
	// Awaited is how many users and teams are asked for a review and have not submitted one.
	Awaited int
	// Oldest is the creation of the oldest one; zero for none.
	Oldest time.Time
}

// IssueCounts are counts of the open issues.
type IssueCounts struct {
	Open int
	// Oldest is the creation of the oldest one; zero for none.
	Oldest time.Time
}

// repoStocks are the last observations of the stocks of a repository.
type repoStocks struct {
	pulls      *PullCounts
	pullsSeen  time.Time
	issues     *IssueCounts
	issuesSeen time.Time
}

// applyStock applies a new observation. Data that this version does not know, and a stock that is too large to be read,
// leave nothing to show.
func (v *View) applyStock(entry *ledger.Entry) {
	r := v.stocks[entry.Repo]
	if r == nil {
		r = &repoStocks{}
		v.stocks[entry.Repo] = r
	}
	if entry.Name == ledger.EntryOpenPulls {
		r.pulls, r.pullsSeen = nil, entry.Observed
		if stock, err := ledger.DecodePullStock(entry.Data); err == nil && !stock.IsTooLarge {
			counts := countPulls(&stock)
			r.pulls = &counts
		}
		return
	}
	r.issues, r.issuesSeen = nil, entry.Observed
	if stock, err := ledger.DecodeIssueStock(entry.Data); err == nil && !stock.IsTooLarge {
		r.issues = &IssueCounts{Open: stock.Open, Oldest: stock.Oldest}
	}
}

// countPulls counts the open pull requests of a stock.
func countPulls(stock *activity.PullStock) (c PullCounts) {
	for i := range stock.Pulls {
		p := &stock.Pulls[i]
		c.Awaited += p.Awaited
		if c.Oldest.IsZero() || p.Created.Before(c.Oldest) {
			c.Oldest = p.Created
		}
		switch {
		case p.IsDraft:
			c.Draft++
		case p.IsReviewed:
			c.Ready++
		default:
			c.Ready++
			c.Unreviewed++
		}
	}
	return c
}

// RepoStocks returns what is open in a repository at a time. A stock is unknown where its stream is switched off or was
// not read for longer than the grace, and where it has been due for longer than that.
func (v *View) RepoStocks(repo int64, now time.Time) RepoStocks {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stocksAt(repo, now)
}

// stocksAt is RepoStocks with the lock held.
func (v *View) stocksAt(repo int64, now time.Time) (s RepoStocks) {
	r, cov := v.stocks[repo], v.cov.Repos[repo]
	if r == nil || cov == nil || cov.IsGone() {
		return s
	}
	if v.isStockCurrent(cov, activity.StreamPulls, r.pullsSeen, now) {
		s.Pulls = r.pulls
	}
	if v.isStockCurrent(cov, activity.StreamIssues, r.issuesSeen, now) {
		s.Issues = r.issues
	}
	return s
}

// isStockCurrent reports whether a stock that was seen at a time may be shown at now.
func (v *View) isStockCurrent(cov *ledger.RepoCoverage, s activity.Stream, seen, now time.Time) bool {
	limit := now.Add(-v.settings.Grace)
	if cov.Signals.Disabled.Has(s) || v.cov.RepoEdge(cov, s).Before(limit) {
		return false
	}
	due := v.entries[ledger.StockDueKey(cov.ID, s)].Observed
	return !due.After(seen) || !due.Before(limit)
}
