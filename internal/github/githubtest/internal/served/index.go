// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
)

// NewIndex builds the index of datasets, whose repositories have ids. It keeps references to their rows.
func NewIndex(sets []*dataset.Dataset, tl dataset.Timeline) *Index {
	ix := &Index{
		Timeline: tl, OrgByLogin: map[string]*Org{}, OrgByID: map[int64]*Org{}, repos: map[string]*Repo{},
		moved: map[string]*Repo{}, RepoByID: map[int64]*Repo{}, UserByLogin: map[string]*Account{},
		UserByID: map[int64]*Account{}, TeamByID: map[int64]*Team{},
	}
	for _, d := range sets {
		ix.addOrg(d)
	}
	for _, d := range sets {
		ix.addDataset(d)
	}
	return ix
}

func (ix *Index) addOrg(d *dataset.Dataset) {
	o := &Org{Org: d.Org, DatabaseID: cmp.Or(d.Org.ID, dataset.NumericID("org", d.Org.Login))}
	o.Created = ix.Timeline.ToServed(d.Org.From)
	if !d.Org.CreatedAt.IsZero() {
		o.Created = ix.Timeline.ToServed(d.Org.CreatedAt)
	}
	ix.OrgByLogin[strings.ToLower(d.Org.Login)] = o
	ix.OrgByID[o.DatabaseID] = o
}

func (ix *Index) addDataset(d *dataset.Dataset) {
	for _, u := range d.Users {
		ix.addUser(u)
	}
	repos := map[string]*Repo{}
	for i := range d.Repos {
		repos[d.Repos[i].Name] = ix.addRepo(d.Org.Login, &d.Repos[i])
	}
	ix.addCommits(d, repos)
	ix.addPulls(d, repos)
	ix.addIssues(d, repos)
	ix.addComments(d, repos)
	ix.addTeams(d)
}

func (ix *Index) addUser(u dataset.User) *Account {
	a := &Account{
		Login: u.Login, Type: u.Type, Slug: u.Slug, ID: u.ID, Deleted: u.Deleted, UserInCommits: u.UserInCommits,
	}
	if u.RenamedTo != "" {
		a.Login = u.RenamedTo
	}
	if a.Type == "" {
		a.Type = "User"
		if strings.HasSuffix(u.Login, "[bot]") {
			a.Type = "Bot"
		}
	}
	if a.ID == 0 {
		a.ID = dataset.NumericID("user", u.Login)
	}
	ix.UserByLogin[u.Login], ix.UserByID[a.ID] = a, a
	return a
}

// ensureAccount adds the account of a login that has no row in Users. nil is no account.
func (ix *Index) ensureAccount(login *string) {
	if login != nil && ix.UserByLogin[*login] == nil {
		ix.addUser(dataset.User{Login: *login})
	}
}

func (ix *Index) addRepo(org string, r *dataset.Repo) *Repo {
	ri := &Repo{
		Repo: r, Owner: cmp.Or(r.TransferredTo, org), Created: ix.Timeline.ToServed(r.CreatedAt),
		repoCommits: repoCommits{Commits: map[string]*Commit{}, branches: map[string][]branchMove{}},
		repoPulls:   repoPulls{PullByNumber: map[int]*Pull{}}, repoIssues: repoIssues{IssueByNumber: map[int]*Issue{}},
	}
	r.DefaultBranch = cmp.Or(r.DefaultBranch, "main")
	ri.ServedVisibility = cmp.Or(r.Visibility, map[bool]string{true: "private", false: "public"}[r.Private])
	ri.DatabaseID, ri.Updated = r.ID, ri.Created
	if !r.UpdatedAt.IsZero() {
		ri.Updated = ix.Timeline.ToServed(r.UpdatedAt)
	}
	for _, t := range r.Pushes {
		ri.otherPushes = append(ri.otherPushes, ix.Timeline.ToServed(t))
	}
	for i := range r.Releases {
		if login := &r.Releases[i].Login; *login != "" {
			ix.ensureAccount(login)
		}
	}
	ix.registerRepo(org, ri)
	return ri
}

// registerRepo adds a repository under its present address and its former ones.
func (ix *Index) registerRepo(org string, ri *Repo) {
	for _, old := range ri.RenamedFrom {
		ix.moved[repoKey(org, old)] = ri
	}
	if ri.Owner != org {
		ix.moved[repoKey(org, ri.Name)] = ri
	}
	ix.repos[repoKey(ri.Owner, ri.Name)] = ri
	ix.RepoByID[ri.DatabaseID] = ri
	if o := ix.OrgByLogin[strings.ToLower(ri.Owner)]; o != nil {
		o.Repositories = append(o.Repositories, ri)
	}
}

func (ix *Index) addPulls(d *dataset.Dataset, repos map[string]*Repo) {
	for i := range d.Pulls {
		p := &d.Pulls[i]
		if r := repos[p.Repo]; r != nil {
			ix.addPull(r, p)
		}
	}
	for i := range d.Reviews {
		rv := &d.Reviews[i]
		r := repos[rv.Repo]
		if r == nil || r.PullByNumber[rv.Pull] == nil {
			continue
		}
		pull := r.PullByNumber[rv.Pull]
		ix.ensureAccount(rv.Login)
		pull.Reviews = append(pull.Reviews, &Review{
			Review: rv, OfPull: pull, Submitted: ix.servedPtr(rv.SubmittedAt), Dismissed: ix.servedPtr(rv.DismissedAt),
		})
	}
	for _, r := range repos {
		slices.SortFunc(r.Pulls, func(a, b *Pull) int { return cmp.Compare(a.Number, b.Number) })
		for _, p := range r.Pulls {
			slices.SortStableFunc(p.Reviews, func(a, b *Review) int { return cmp.Compare(a.SortKey(), b.SortKey()) })
		}
	}
}

func (ix *Index) addPull(r *Repo, p *dataset.Pull) {
	pi := &Pull{
		Pull: p, Repository: r, Created: ix.Timeline.ToServed(p.CreatedAt), Merged: ix.servedPtr(p.MergedAt),
		Closed:     ix.servedPtr(p.ClosedAt),
		DatabaseID: cmp.Or(p.ID, dataset.NumericID("pull", fmt.Sprintf("%d#%d", r.DatabaseID, p.Number))),
	}
	if pi.Merged != nil && pi.Closed == nil {
		pi.Closed = pi.Merged
	}
	pi.Touched = ix.servedTimes(p.TouchedAt)
	pi.Readied, pi.Drafted = ix.servedTimes(p.ReadyAt), ix.servedTimes(p.DraftAt)
	pi.Closings, pi.Reopenings = ix.servedTimes(p.Closings), ix.servedTimes(p.ReopenedAt)
	if pi.Closed != nil {
		pi.Closings = append(pi.Closings, *pi.Closed)
	}
	for i := range p.ReviewRequests {
		pi.Requests = append(pi.Requests, ix.reviewRequest(&p.ReviewRequests[i]))
	}
	pi.MergeCommitSHA = fmt.Sprintf("%08x%032d", pi.DatabaseID, p.Number)
	ix.ensureAccount(p.Login)
	ix.ensureAccount(p.MergedBy)
	r.Pulls = append(r.Pulls, pi)
	r.PullByNumber[p.Number] = pi
}

// reviewRequest returns a request for a review in served times. The account of its user exists.
func (ix *Index) reviewRequest(r *dataset.ReviewRequest) *ReviewRequest {
	if r.Login != "" {
		ix.ensureAccount(&r.Login)
	}
	request := &ReviewRequest{ReviewRequest: r, Requested: ix.Timeline.ToServed(r.At)}
	if !r.RemovedAt.IsZero() {
		request.Removed = ix.servedPtr(&r.RemovedAt)
	}
	return request
}

// servedTimes returns the served times of data times.
func (ix *Index) servedTimes(list []time.Time) []time.Time {
	out := make([]time.Time, len(list))
	for i, t := range list {
		out[i] = ix.Timeline.ToServed(t)
	}
	return out
}

// servedPtr returns the served time of a data time, nil for nil.
func (ix *Index) servedPtr(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	s := ix.Timeline.ToServed(*t)
	return &s
}

func (ix *Index) addIssues(d *dataset.Dataset, repos map[string]*Repo) {
	for i := range d.Issues {
		row := &d.Issues[i]
		r := repos[row.Repo]
		if r == nil || r.PullByNumber[row.Number] != nil {
			continue
		}
		ix.ensureAccount(row.Login)
		is := r.ensureIssue(row.Number)
		is.Issue, is.DatabaseID = row, cmp.Or(row.ID, is.DatabaseID)
		is.Opened, is.AllClosings = ix.Timeline.ToServed(row.CreatedAt), ix.servedTimes(row.ClosedAt)
		is.Reopenings, is.Touched = ix.servedTimes(row.ReopenedAt), ix.servedTimes(row.TouchedAt)
		if !row.GoneAt.IsZero() {
			is.Gone = ix.servedPtr(&row.GoneAt)
		}
	}
}

// ensureIssue returns the issue with a number, added if need be.
func (r *Repo) ensureIssue(number int) *Issue {
	is := r.IssueByNumber[number]
	if is == nil {
		id := dataset.NumericID("issue", fmt.Sprintf("%d#%d", r.DatabaseID, number))
		is = &Issue{Number: number, Repository: r, DatabaseID: id}
		r.IssueByNumber[number] = is
		r.Issues = append(r.Issues, is)
	}
	return is
}

func (ix *Index) addComments(d *dataset.Dataset, repos map[string]*Repo) {
	for i := range d.Comments {
		c := &d.Comments[i]
		r := repos[c.Repo]
		if r == nil {
			continue
		}
		ix.ensureAccount(c.Login)
		ci := &Comment{
			Comment: c, Repository: r, Created: ix.Timeline.ToServed(c.CreatedAt),
			Updated: ix.Timeline.ToServed(c.CreatedAt),
		}
		if c.UpdatedAt.After(c.CreatedAt) {
			ci.Updated = ix.Timeline.ToServed(c.UpdatedAt)
		}
		r.Comments = append(r.Comments, ci)
	}
	for _, r := range repos {
		slices.SortStableFunc(r.Comments, func(a, b *Comment) int { return cmp.Compare(a.ID, b.ID) })
		for _, c := range r.Comments {
			r.attachComment(c)
		}
		slices.SortFunc(r.Issues, func(a, b *Issue) int { return cmp.Compare(a.Number, b.Number) })
	}
}

// attachComment adds a comment to the pull request or the issue of its number.
func (r *Repo) attachComment(c *Comment) {
	if p := r.PullByNumber[c.Issue]; p != nil {
		c.OfPull = p
		p.Comments = append(p.Comments, c)
		return
	}
	is := r.ensureIssue(c.Issue)
	c.OfIssue = is
	is.Comments = append(is.Comments, c)
}
