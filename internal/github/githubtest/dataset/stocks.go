// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"slices"
	"time"
)

// Stocks are what is open in a repository at a time, computed from the rows alone: what a test compares with.
type Stocks struct {
	// HasPulls and HasIssues say that the feature is switched on. The counts of another one are zero.
	HasPulls, HasIssues bool
	// Ready and Draft are open pull requests, Unreviewed those that are ready and have no review by others, Awaited the
	// requests for reviews of open ones without an answer.
	Ready, Draft, Unreviewed, Awaited int
	Issues                            int
	// OldestPull and OldestIssue are the creations of the oldest ones, zero without one.
	OldestPull, OldestIssue time.Time
}

// StocksAt returns the stocks of a repository at a data time.
func (d *Dataset) StocksAt(repo string, at time.Time) Stocks {
	row := d.Repo(repo)
	s := Stocks{HasPulls: !during(row.PullsOff, at), HasIssues: !during(row.IssuesOff, at)}
	for i := range d.Pulls {
		if p := &d.Pulls[i]; p.Repo == repo && s.HasPulls && p.isOpenAt(at) {
			s.addPull(d, p, at)
		}
	}
	for _, is := range d.OpenedIssues() {
		if is.Repo != repo || !s.HasIssues || !is.isOpenAt(at) {
			continue
		}
		s.Issues++
		s.OldestIssue = earlier(s.OldestIssue, is.CreatedAt)
	}
	return s
}

// addPull adds an open pull request.
func (s *Stocks) addPull(d *Dataset, p *Pull, at time.Time) {
	s.OldestPull = earlier(s.OldestPull, p.CreatedAt)
	reviews := make(map[string]time.Time) // by others, the last of each
	for i := range d.Reviews {
		r := &d.Reviews[i]
		isOf := r.Repo == p.Repo && r.Pull == p.Number
		if !isOf || r.SubmittedAt == nil || r.SubmittedAt.After(at) {
			continue
		}
		if by := loginOf(r.Login); by != loginOf(p.Login) && r.SubmittedAt.After(reviews[by]) {
			reviews[by] = *r.SubmittedAt
		}
	}
	for _, request := range p.ReviewRequests {
		last, answered := reviews[request.Login]
		isRemoved := !request.RemovedAt.IsZero() && !request.RemovedAt.After(at)
		if !request.At.After(at) && !isRemoved && (!answered || last.Before(request.At)) {
			s.Awaited++
		}
	}
	if p.isDraftAt(at) {
		s.Draft++
		return
	}
	s.Ready++
	if len(reviews) == 0 {
		s.Unreviewed++
	}
}

// loginOf returns a login, that of deleted accounts for nil.
func loginOf(login *string) string {
	if login == nil {
		return "ghost"
	}
	return *login
}

// isOpenAt reports whether a pull request exists and is neither merged nor closed.
func (p *Pull) isOpenAt(at time.Time) bool {
	ended := func(t *time.Time) bool { return t != nil && !t.After(at) }
	return !p.CreatedAt.After(at) && !ended(p.MergedAt) && !ended(p.ClosedAt) &&
		countUntil(p.Closings, at) <= countUntil(p.ReopenedAt, at)
}

// countUntil returns how many of the times are reached.
func countUntil(list []time.Time, at time.Time) int {
	return len(slices.DeleteFunc(slices.Clone(list), func(t time.Time) bool { return t.After(at) }))
}

// isDraftAt reports whether the last change of its kind made it a draft.
func (p *Pull) isDraftAt(at time.Time) bool {
	draft, last := p.Draft, time.Time{}
	for _, t := range p.ReadyAt {
		if !t.After(at) && t.After(last) {
			draft, last = false, t
		}
	}
	for _, t := range p.DraftAt {
		if !t.After(at) && t.After(last) {
			draft, last = true, t
		}
	}
	return draft
}

// isOpenAt reports whether an issue exists and its last closing was followed by a reopening.
func (is *Issue) isOpenAt(at time.Time) bool {
	if is.CreatedAt.After(at) || !is.GoneAt.IsZero() && !is.GoneAt.After(at) {
		return false
	}
	return countUntil(is.ClosedAt, at) == countUntil(is.ReopenedAt, at)
}

// during reports whether a time is in one of the periods.
func during(periods []Period, at time.Time) bool {
	return slices.ContainsFunc(periods, func(p Period) bool {
		return !at.Before(p.Start) && (p.End.IsZero() || at.Before(p.End))
	})
}

// earlier returns the earlier one of two times, of which a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}
