// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Dataset is the activity of one organization: plain data, in data times. Rows refer to a repository by its name and
// to an account by its login.
type Dataset struct {
	Org      Org
	Repos    []Repo
	Commits  []Commit
	Pulls    []Pull
	Reviews  []Review
	Comments []Comment
	// Issues has issues that differ from what their comments say; see Issue.
	Issues []Issue
	// Users has accounts that differ from what their login says: with an id, of another type, deleted, renamed.
	Users []User
}

// Org is the organization and the period that its data covers.
type Org struct {
	Login string    `json:"org"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	ID    int64     `json:"id,omitempty"`
	// CreatedAt is when the organization was created, From when it is zero.
	CreatedAt time.Time `json:"created_at,omitzero"`
	// The counts are checked against the rows when a dataset is loaded, unless they are 0.
	Repos         int `json:"repos,omitempty"`
	Commits       int `json:"commits,omitempty"`
	Pulls         int `json:"pulls,omitempty"`
	Reviews       int `json:"reviews,omitempty"`
	IssueComments int `json:"issue_comments,omitempty"`
}

// Repo is a repository. Its push time follows from the commits; PushedAt counts only where there are none.
type Repo struct {
	Name          string    `json:"name"`
	DefaultBranch string    `json:"default_branch"`
	Private       bool      `json:"private"`
	Archived      bool      `json:"archived"`
	Fork          bool      `json:"fork"`
	CreatedAt     time.Time `json:"created_at"`
	PushedAt      time.Time `json:"pushed_at,omitzero"`
	// UpdatedAt is the last change of the repository object, CreatedAt when it is zero.
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// ID is made from the organization and the (first) name when it is 0.
	ID int64 `json:"id,omitempty"`
	// Visibility is "public", "private" or "internal"; empty follows Private.
	Visibility string `json:"visibility,omitempty"`
	Disabled   bool   `json:"disabled,omitempty"`
	Locked     bool   `json:"locked,omitempty"`
	// Empty hides all commits: a repository without any.
	Empty bool `json:"empty,omitempty"`
	// RenamedFrom has the former names, oldest first; requests for them are redirected.
	RenamedFrom []string `json:"renamed_from,omitempty"`
	// TransferredTo is the login of the owner that has the repository now.
	TransferredTo string `json:"transferred_to,omitempty"`
	// Pushes are pushes that brought no commit of the data: other branches, tags.
	Pushes []time.Time `json:"pushes,omitempty"`
	// Resets move a branch to an existing commit, as a force push does.
	Resets []Reset `json:"resets,omitempty"`
	// Switches make another branch the default one. Commits without a branch are pushed to DefaultBranch all the same.
	Switches []Switch `json:"switches,omitempty"`
	// Blocked makes every request for the repository answer 451.
	Blocked bool `json:"blocked,omitempty"`
	// PullsOff and IssuesOff are when the feature is switched off: then /pulls is 404, and so is /issues/comments while
	// both are off.
	PullsOff  []Period `json:"pulls_off,omitempty"`
	IssuesOff []Period `json:"issues_off,omitempty"`
	// Forbidden is when no credential may see the repository, as without the authorization for single sign-on: 403 in
	// REST, null and FORBIDDEN in GraphQL, and lists of REST leave it out and say so in X-GitHub-SSO.
	Forbidden []Period `json:"forbidden,omitempty"`
}

// Period is a part of time, without its end; a zero Until is no end.
type Period struct {
	Start time.Time `json:"from"`
	End   time.Time `json:"until,omitzero"`
}

// Reset is a force push that leaves a branch at an existing commit.
type Reset struct {
	Branch string    `json:"branch,omitempty"`
	SHA    string    `json:"sha"`
	At     time.Time `json:"at"`
}

// Switch makes a branch the default one from a time on. Only a branch that exists by then can be.
type Switch struct {
	Branch string    `json:"branch"`
	At     time.Time `json:"at"`
}

// Commit is a commit. Without ParentSHAs its first parent is the commit pushed before it on its branch and the others
// are older commits of that branch; a force push is a commit whose ParentSHAs leave its predecessor out.
type Commit struct {
	Repo string `json:"repo"`
	SHA  string `json:"sha"`
	// Login is the author's account, nil when the author's address belongs to none.
	Login       *string   `json:"login"`
	AuthoredAt  time.Time `json:"authored_at"`
	CommittedAt time.Time `json:"committed_at"`
	Additions   int       `json:"additions"`
	Deletions   int       `json:"deletions"`
	Parents     int       `json:"parents"`
	// ParentSHAs are the parents, first parent first; an empty list that is not nil makes a root commit.
	ParentSHAs []string `json:"parent_shas,omitempty"`
	// PushedAt is when the commit became visible, CommittedAt when it is zero.
	PushedAt time.Time `json:"pushed_at,omitzero"`
	// GoneAt is when the object is deleted, never when it is zero: requests that name it fail from then on. What a
	// branch reaches must stay.
	GoneAt time.Time `json:"gone_at,omitzero"`
	// Branch is the branch it was pushed to, the default branch when empty.
	Branch string `json:"branch,omitempty"`
	// NoAuthor leaves the author out altogether: `author: null` in GraphQL, `commit.author: null` in REST.
	NoAuthor bool `json:"no_author,omitempty"`
	// EmptyAuthor makes REST answer `author: {}`.
	EmptyAuthor bool `json:"empty_author,omitempty"`
	// AuthorName and AuthorEmail are what git recorded, made from the login when empty.
	AuthorName  string `json:"author_name,omitempty"`
	AuthorEmail string `json:"author_email,omitempty"`
	// CoAuthors are the logins of further authors.
	CoAuthors []string `json:"co_authors,omitempty"`
	// DiffUnavailable makes the commit's additions and deletions fail: GraphQL nulls the page it is on.
	DiffUnavailable bool `json:"diff_unavailable,omitempty"`
}

// Pull is a pull request. Its state and its update time are those of the moment it is served.
type Pull struct {
	Repo   string  `json:"repo"`
	Number int     `json:"number"`
	Login  *string `json:"login"`
	// State and UpdatedAt are not read: they follow from the times of the pull request, its reviews and comments.
	State     string     `json:"state"`
	CreatedAt time.Time  `json:"created_at"`
	MergedAt  *time.Time `json:"merged_at"`
	ClosedAt  *time.Time `json:"closed_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	// ID is made from the repository and the number when it is 0.
	ID int64 `json:"id,omitempty"`
	// MergedBy is the login of who merged, the author when nil.
	MergedBy *string `json:"merged_by,omitempty"`
	Draft    bool    `json:"draft,omitempty"`
	// TouchedAt are updates that nothing else shows: a label, a push to the pull request's branch.
	TouchedAt []time.Time `json:"touched_at,omitempty"`
}

// Review is a review of a pull request.
type Review struct {
	Repo  string  `json:"repo"`
	Pull  int     `json:"pull"`
	ID    int64   `json:"id"`
	Login *string `json:"login"`
	// SubmittedAt is nil as long as the review is PENDING; it is then served as if the token were its author's.
	SubmittedAt *time.Time `json:"submitted_at"`
	// State is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING.
	State string `json:"state"`
}

// Comment is a comment in the conversation of an issue or pull request. A comment on a number that is no pull request
// makes an issue.
type Comment struct {
	Repo      string    `json:"repo"`
	Issue     int       `json:"issue"`
	ID        int64     `json:"id"`
	Login     *string   `json:"login"`
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is the last edit: once it is reached the comment and its issue are updated then.
	UpdatedAt time.Time `json:"updated_at"`
}

// Issue is an issue. One that has comments and no row here was opened by its first comment and never closed.
type Issue struct {
	Repo   string  `json:"repo"`
	Number int     `json:"number"`
	Login  *string `json:"login"`
	// ID is made from the repository and the number when it is 0.
	ID        int64     `json:"id,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	// ClosedAt and ReopenedAt are all closings and reopenings, the oldest first.
	ClosedAt   []time.Time `json:"closed_at,omitempty"`
	ReopenedAt []time.Time `json:"reopened_at,omitempty"`
	// TouchedAt are updates that nothing else shows: a label, an edited title.
	TouchedAt []time.Time `json:"touched_at,omitempty"`
	// GoneAt is when it was deleted, transferred or made a discussion, never when it is zero.
	GoneAt time.Time `json:"gone_at,omitzero"`
}

// User is an account that differs from what its login says.
type User struct {
	// Login is the name that the rows use.
	Login string `json:"login"`
	ID    int64  `json:"id,omitempty"`
	// Type is User, Bot, Organization, Mannequin or EnterpriseUserAccount; empty follows the login: "name[bot]" is a
	// Bot.
	Type string `json:"type,omitempty"`
	// RenamedTo is the login that is served instead.
	RenamedTo string `json:"renamed_to,omitempty"`
	// Deleted accounts are served as null.
	Deleted bool `json:"deleted,omitempty"`
	// Slug is the login that GraphQL serves for a Bot, the login without "[bot]" when it is empty.
	Slug string `json:"slug,omitempty"`
	// UserInCommits serves a Bot as a User where it is the author of a commit, in both APIs.
	UserInCommits bool `json:"user_in_commits,omitempty"`
}

// CodingAgent is the account of GitHub's coding agent as GitHub serves it: "Copilot" in REST, "copilot-swe-agent" in
// GraphQL, and "Copilot" without a mark of a bot as the author of a commit. Its commits have the address
// CodingAgentAddress, linked to the account or not.
func CodingAgent() User {
	return User{Login: "Copilot", ID: 198982749, Type: "Bot", Slug: "copilot-swe-agent", UserInCommits: true}
}

// CodingAgentAddress is the address of the coding agent's commits.
const CodingAgentAddress = "198982749+Copilot@users.noreply.github.com"

// Clone is a deep copy.
func (d *Dataset) Clone() *Dataset {
	c := *d
	c.Repos, c.Commits, c.Pulls = slices.Clone(d.Repos), slices.Clone(d.Commits), slices.Clone(d.Pulls)
	c.Reviews, c.Comments, c.Users = slices.Clone(d.Reviews), slices.Clone(d.Comments), slices.Clone(d.Users)
	c.Issues = slices.Clone(d.Issues)
	for i := range c.Issues {
		r := &c.Issues[i]
		r.Login, r.ClosedAt, r.ReopenedAt = clonePtr(r.Login), slices.Clone(r.ClosedAt), slices.Clone(r.ReopenedAt)
		r.TouchedAt = slices.Clone(r.TouchedAt)
	}
	for i := range c.Repos {
		r := &c.Repos[i]
		r.RenamedFrom, r.Pushes, r.Resets = slices.Clone(r.RenamedFrom), slices.Clone(r.Pushes), slices.Clone(r.Resets)
		r.Switches = slices.Clone(r.Switches)
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
	}
	for i := range c.Reviews {
		r := &c.Reviews[i]
		r.Login, r.SubmittedAt = clonePtr(r.Login), clonePtr(r.SubmittedAt)
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

// LastEventTime is the period's end, or the newest time of any row when the organization does not say.
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

func (d *Dataset) times() func(func(time.Time) bool) {
	return func(yield func(time.Time) bool) {
		for _, r := range d.Commits {
			if !yield(r.pushed()) {
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

func (c *Commit) pushed() time.Time {
	if c.PushedAt.IsZero() {
		return c.CommittedAt
	}
	return c.PushedAt
}

// Repo finds a repository by its current name, nil if there is none. The pointer is good until Repos changes.
func (d *Dataset) Repo(name string) *Repo {
	for i := range d.Repos {
		if strings.EqualFold(d.Repos[i].Name, name) {
			return &d.Repos[i]
		}
	}
	return nil
}

// Pull finds a pull request, nil if there is none. The pointer is good until Pulls changes.
func (d *Dataset) Pull(repo string, number int) *Pull {
	for i := range d.Pulls {
		if d.Pulls[i].Repo == repo && d.Pulls[i].Number == number {
			return &d.Pulls[i]
		}
	}
	return nil
}

// Comment finds a comment by its id, nil if there is none. The pointer is good until Comments changes.
func (d *Dataset) Comment(id int64) *Comment {
	for i := range d.Comments {
		if d.Comments[i].ID == id {
			return &d.Comments[i]
		}
	}
	return nil
}

// Issue finds a row of Issues, nil if there is none. The pointer is good until Issues changes.
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

// Rename gives a repository a new name in all rows; the old one is redirected.
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

// User is the account of a login in Users, added if need be. The pointer is good until Users changes.
func (d *Dataset) User(login string) *User {
	for i := range d.Users {
		if d.Users[i].Login == login {
			return &d.Users[i]
		}
	}
	d.Users = append(d.Users, User{Login: login})
	return &d.Users[len(d.Users)-1]
}

// DeleteUser deletes an account: it is null wherever it was an author.
func (d *Dataset) DeleteUser(login string) { d.User(login).Deleted = true }

// RemoveRepo takes a repository out of Repos; requests for it answer 404 afterwards.
func (d *Dataset) RemoveRepo(name string) {
	d.Repos = slices.DeleteFunc(d.Repos, func(r Repo) bool { return r.Name == name })
}
