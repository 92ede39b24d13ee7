// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package dataset has the data that the scripted GitHub serves: rows of repositories, commits, pull requests and so on,
// read from files or built by a test, and the timeline that maps their times to served times.
package dataset

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Dataset is the activity of one organization. Its times are data times, which a Timeline maps to served times. Rows
// refer to a repository by its name and to an account by its login.
type Dataset struct {
	Org      Org
	Repos    []Repo
	Commits  []Commit
	Pulls    []Pull
	Reviews  []Review
	Comments []Comment
	// Issues has the issues that are more than their comments; see Issue.
	Issues []Issue
	// Users has the accounts that differ from what follows from their logins: with an id, of another type, deleted,
	// renamed.
	Users []User
	Teams []Team
}

// Org is the organization, and the period from From to Until that its data covers.
type Org struct {
	Login string    `json:"org"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	ID    int64     `json:"id,omitempty"`
	// CreatedAt is when the organization was created; zero means From.
	CreatedAt time.Time `json:"created_at,omitzero"`
	// The counts of rows, which Validate compares with the rows; 0 is not compared.
	Repos         int `json:"repos,omitempty"`
	Commits       int `json:"commits,omitempty"`
	Pulls         int `json:"pulls,omitempty"`
	Reviews       int `json:"reviews,omitempty"`
	IssueComments int `json:"issue_comments,omitempty"`
	Issues        int `json:"issues,omitempty"`
}

// Clone returns a deep copy.
func (d *Dataset) Clone() *Dataset {
	c := *d
	c.Repos, c.Commits, c.Pulls = slices.Clone(d.Repos), slices.Clone(d.Commits), slices.Clone(d.Pulls)
	c.Reviews, c.Comments, c.Users = slices.Clone(d.Reviews), slices.Clone(d.Comments), slices.Clone(d.Users)
	c.Issues, c.Teams = slices.Clone(d.Issues), slices.Clone(d.Teams)
	for i := range c.Teams {
		c.Teams[i].Members = slices.Clone(c.Teams[i].Members)
	}
	for i := range c.Issues {
		r := &c.Issues[i]
		r.Login, r.ClosedAt, r.ReopenedAt = clonePtr(r.Login), slices.Clone(r.ClosedAt), slices.Clone(r.ReopenedAt)
		r.TouchedAt = slices.Clone(r.TouchedAt)
	}
	for i := range c.Repos {
		r := &c.Repos[i]
		r.RenamedFrom, r.Pushes, r.Resets = slices.Clone(r.RenamedFrom), slices.Clone(r.Pushes), slices.Clone(r.Resets)
		r.Switches = slices.Clone(r.Switches)
		r.RepoDetails = r.cloneDetails()
		r.PullsOff, r.IssuesOff, r.Forbidden = slices.Clone(r.PullsOff), slices.Clone(r.IssuesOff), slices.Clone(
			r.Forbidden,
		)
	}
	for i := range c.Commits {
		r := &c.Commits[i]
		r.ParentSHAs, r.CoAuthors, r.Login = slices.Clone(r.ParentSHAs), slices.Clone(r.CoAuthors), clonePtr(r.Login)
	}
	for i := range c.Pulls {
		r := &c.Pulls[i]
		r.TouchedAt, r.Login, r.MergedBy = slices.Clone(r.TouchedAt), clonePtr(r.Login), clonePtr(r.MergedBy)
		r.MergedAt, r.ClosedAt = clonePtr(r.MergedAt), clonePtr(r.ClosedAt)
		r.ReadyAt, r.DraftAt = slices.Clone(r.ReadyAt), slices.Clone(r.DraftAt)
		r.Closings, r.ReopenedAt = slices.Clone(r.Closings), slices.Clone(r.ReopenedAt)
		r.ReviewRequests = slices.Clone(r.ReviewRequests)
	}
	for i := range c.Reviews {
		r := &c.Reviews[i]
		r.Login, r.SubmittedAt = clonePtr(r.Login), clonePtr(r.SubmittedAt)
		r.DismissedAt = clonePtr(r.DismissedAt)
	}
	for i := range c.Comments {
		c.Comments[i].Login = clonePtr(c.Comments[i].Login)
	}
	return &c
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// LastEventTime returns Org.Until or, when that is zero, the newest time of a commit, pull request, review, comment or
// issue.
func (d *Dataset) LastEventTime() time.Time {
	if !d.Org.Until.IsZero() {
		return d.Org.Until
	}
	var end time.Time
	for t := range d.times() {
		if t.After(end) {
			end = t
		}
	}
	return end
}

// times iterates over the times of all rows but the repositories.
func (d *Dataset) times() func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for _, r := range d.Commits {
			if !yield(r.PushTime()) {
				return
			}
		}
		for _, r := range d.Pulls {
			if !yield(r.CreatedAt) || r.MergedAt != nil && !yield(*r.MergedAt) || r.ClosedAt != nil &&
				!yield(*r.ClosedAt) {
				return
			}
		}
		for _, r := range d.Reviews {
			if r.SubmittedAt != nil && !yield(*r.SubmittedAt) {
				return
			}
		}
		for _, r := range d.Comments {
			if !yield(r.CreatedAt) || !yield(r.UpdatedAt) {
				return
			}
		}
		for _, r := range d.Issues {
			for _, at := range slices.Concat([]time.Time{r.CreatedAt}, r.ClosedAt, r.ReopenedAt) {
				if !yield(at) {
					return
				}
			}
		}
	}
}

// Repo returns a repository by its current name in any case, nil for none. The pointer is valid until Repos changes.
func (d *Dataset) Repo(name string) *Repo {
	for i := range d.Repos {
		if strings.EqualFold(d.Repos[i].Name, name) {
			return &d.Repos[i]
		}
	}
	return nil
}

// Pull returns a pull request, nil for none. The pointer is valid until Pulls changes.
func (d *Dataset) Pull(repo string, number int) *Pull {
	for i := range d.Pulls {
		if d.Pulls[i].Repo == repo && d.Pulls[i].Number == number {
			return &d.Pulls[i]
		}
	}
	return nil
}

// Comment returns a comment by its id, nil for none. The pointer is valid until Comments changes.
func (d *Dataset) Comment(id int64) *Comment {
	for i := range d.Comments {
		if d.Comments[i].ID == id {
			return &d.Comments[i]
		}
	}
	return nil
}

// Issue returns a row of Issues, nil for none. The pointer is valid until Issues changes.
func (d *Dataset) Issue(repo string, number int) *Issue {
	for i := range d.Issues {
		if d.Issues[i].Repo == repo && d.Issues[i].Number == number {
			return &d.Issues[i]
		}
	}
	return nil
}

// OpenedIssues returns all issues: the rows of Issues, and those that their first comment opened.
func (d *Dataset) OpenedIssues() []Issue {
	type key struct {
		repo   string
		number int
	}
	known, derived := make(map[key]bool), make(map[key]Issue)
	for _, p := range d.Pulls {
		known[key{p.Repo, p.Number}] = true
	}
	for _, is := range d.Issues {
		known[key{is.Repo, is.Number}] = true
	}
	for _, c := range d.Comments {
		at := key{c.Repo, c.Issue}
		if first, ok := derived[at]; !known[at] && (!ok || c.CreatedAt.Before(first.CreatedAt)) {
			derived[at] = Issue{Repo: c.Repo, Number: c.Issue, Login: c.Login, CreatedAt: c.CreatedAt}
		}
	}
	return slices.AppendSeq(slices.Clone(d.Issues), maps.Values(derived))
}

// Rename renames a repository in all rows; requests for the old name are redirected.
func (d *Dataset) Rename(old, name string) {
	r := d.Repo(old)
	if r == nil {
		return
	}
	old = r.Name
	r.Name, r.RenamedFrom = name, append(r.RenamedFrom, old)
	rename := func(s *string) {
		if *s == old {
			*s = name
		}
	}
	for i := range d.Commits {
		rename(&d.Commits[i].Repo)
	}
	for i := range d.Pulls {
		rename(&d.Pulls[i].Repo)
	}
	for i := range d.Reviews {
		rename(&d.Reviews[i].Repo)
	}
	for i := range d.Comments {
		rename(&d.Comments[i].Repo)
	}
	for i := range d.Issues {
		rename(&d.Issues[i].Repo)
	}
}

// User returns the row of a login in Users, and adds it when there is none. The pointer is valid until Users changes.
func (d *Dataset) User(login string) *User {
	for i := range d.Users {
		if d.Users[i].Login == login {
			return &d.Users[i]
		}
	}
	d.Users = append(d.Users, User{Login: login})
	return &d.Users[len(d.Users)-1]
}

// DeleteUser deletes an account: where it was an author, the author is null.
func (d *Dataset) DeleteUser(login string) { d.User(login).Deleted = true }

// RemoveRepo removes a repository from Repos; requests for it fail with 404 afterwards.
func (d *Dataset) RemoveRepo(name string) {
	d.Repos = slices.DeleteFunc(d.Repos, func(r Repo) bool { return r.Name == name })
}
