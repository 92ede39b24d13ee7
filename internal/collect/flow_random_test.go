// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"testing"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// lastMove returns when a pull request changed last.
func lastMove(d *githubtest.Dataset, p *githubtest.Pull) time.Time {
	last := p.CreatedAt
	for _, list := range [][]time.Time{p.ReadyAt, p.DraftAt, p.Closings, p.ReopenedAt} {
		for _, at := range list {
			last = laterOf(last, at)
		}
	}
	for i := range d.Reviews {
		r := &d.Reviews[i]
		if r.Repo == p.Repo && r.Pull == p.Number {
			last = laterOf(last, *r.SubmittedAt)
			if r.DismissedAt != nil {
				last = laterOf(last, *r.DismissedAt)
			}
		}
	}
	return last
}

// movePull makes a change of a pull request that is possible in its state.
func (c *randomOrg) movePull(d *githubtest.Dataset, p *githubtest.Pull, at time.Time) {
	if p.MergedAt != nil || !lastMove(d, p).Before(at) {
		return
	}
	isOpen := len(p.Closings) == len(p.ReopenedAt)
	isDraft := (len(p.ReadyAt)+len(p.DraftAt))%2 == 1 != p.Draft
	switch action := c.rnd.IntN(6); {
	case !isOpen && action < 3:
		p.ReopenedAt = append(p.ReopenedAt, at)
	case isOpen && action == 0:
		p.Closings = append(p.Closings, at)
	case isOpen && action == 1:
		p.MergedAt = &at
	case isOpen && action < 4 && isDraft:
		p.ReadyAt = append(p.ReadyAt, at)
	case isOpen && action < 4:
		p.DraftAt = append(p.DraftAt, at)
	default:
		addReview(d, p.Repo, p.Number, at)
		if c.rnd.IntN(3) == 0 {
			d.Reviews[len(d.Reviews)-1].Login = p.Login
		}
	}
}

// moveIssue opens an issue, or closes or reopens one.
func (c *randomOrg) moveIssue(d *githubtest.Dataset, repo string, at time.Time) {
	var issues []*githubtest.Issue
	for i := range d.Issues {
		if d.Issues[i].Repo == repo {
			issues = append(issues, &d.Issues[i])
		}
	}
	if len(issues) < 2 || c.rnd.IntN(3) == 0 {
		d.Issues = append(d.Issues, githubtest.Issue{
			Repo: repo, Number: 2000 + len(d.Issues), Login: new("kim"), CreatedAt: at,
		})
		return
	}
	issue := issues[c.rnd.IntN(len(issues))]
	last := issue.CreatedAt
	for _, list := range [][]time.Time{issue.ClosedAt, issue.ReopenedAt} {
		for _, moved := range list {
			last = laterOf(last, moved)
		}
	}
	switch {
	case !last.Before(at):
	case len(issue.ClosedAt) == len(issue.ReopenedAt):
		issue.ClosedAt = append(issue.ClosedAt, at)
	default:
		issue.ReopenedAt = append(issue.ReopenedAt, at)
	}
}

// flowEvents returns the events of the flow of the data as of a time.
func flowEvents(t *testing.T, d *githubtest.Dataset, now time.Time) (list []dataEvent) {
	t.Helper()
	account := func(login string) activity.Actor { return activity.Actor{Login: login} }
	for i := range d.Pulls {
		p := &d.Pulls[i]
		known := &flow.PullRequest{
			Repo: d.Repo(p.Repo).ID, Number: int64(p.Number), Author: account(*p.Login), Created: p.CreatedAt,
			Updated: now, Open: p.MergedAt == nil && len(p.Closings) == len(p.ReopenedAt),
			Draft: (len(p.ReadyAt)+len(p.DraftAt))%2 == 1 != p.Draft, Lines: int64(p.Additions + p.Deletions),
		}
		for kind, times := range map[flow.ChangeType][]time.Time{
			flow.Closed: p.Closings, flow.Reopened: p.ReopenedAt, flow.ReadyForReview: p.ReadyAt,
			flow.ConvertedToDraft: p.DraftAt,
		} {
			for _, at := range times {
				known.Changes = append(known.Changes, flow.Change{Type: kind, At: at})
			}
		}
		if p.MergedAt != nil {
			known.Merged = *p.MergedAt
			known.Changes = append(known.Changes, flow.Change{Type: flow.Closed, At: *p.MergedAt})
		}
		for k := range d.Reviews {
			if r := &d.Reviews[k]; r.Repo == p.Repo && r.Pull == p.Number {
				known.Reviews = append(known.Reviews, flow.Review{
					ID: r.ID, Author: account(*r.Login), At: *r.SubmittedAt, Approves: r.State == "APPROVED",
				})
			}
		}
		for _, e := range (flow.Rules{}).PullRequestEvents(known) {
			list = append(list, dataEvent{e, e.Time})
		}
	}
	for i := range d.Issues {
		issue := &d.Issues[i]
		repo := d.Repo(issue.Repo).ID
		for _, e := range flow.IssueEvents(repo, int64(issue.Number), issue.CreatedAt, issue.ClosedAt) {
			list = append(list, dataEvent{e, e.Time})
		}
	}
	return list
}
