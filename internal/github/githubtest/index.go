// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// index is the data of all organizations in served times, with everything resolved that a request looks up. It is
// rebuilt after each change and never changes itself.
type index struct {
	tl       Timeline
	orgs     map[string]*orgIndex
	orgsByID map[int64]*orgIndex
	repos    map[string]*repoIndex // by lower-case owner/name
	moved    map[string]*repoIndex // by lower-case former owner/name
	byID     map[int64]*repoIndex
	users    map[string]*account
	byUserID map[int64]*account
}

type orgIndex struct {
	Org
	id      int64
	created time.Time
	repos   []*repoIndex
}

type repoIndex struct {
	*Repo
	owner string
	// visibility is Visibility or, where that is empty, what Private says.
	visibility string
	id         int64
	created    time.Time
	updated    time.Time
	pushes     []time.Time
	commits    map[string]*commitIndex
	branches   map[string][]move
	pulls      []*pullIndex
	byNumber   map[int]*pullIndex
	issues     []*issueIndex
	issueNo    map[int]*issueIndex
	comments   []*commentIndex
}

// move is a branch head from a time on.
type move struct {
	at   time.Time
	head *commitIndex
}

type commitIndex struct {
	*Commit
	repo                        *repoIndex
	parents                     []*commitIndex
	shas                        []string
	authored, committed, pushed time.Time
	gone                        *time.Time
}

type pullIndex struct {
	*Pull
	repo            *repoIndex
	id              int64
	created         time.Time
	merged, closed  *time.Time
	touched         []time.Time
	reviews         []*reviewIndex
	comments        []*commentIndex
	mergeCommitHash string
}

type reviewIndex struct {
	*Review
	pull      *pullIndex
	submitted *time.Time
}

// issueIndex is an issue that is no pull request; it exists through its row or through its comments.
type issueIndex struct {
	*Issue   // nil for one that exists through its comments
	number   int
	id       int64
	repo     *repoIndex
	comments []*commentIndex
	opened   time.Time
	closings []time.Time
	// reopenings and touched are the other updates.
	reopenings, touched []time.Time
	gone                *time.Time
}

type commentIndex struct {
	*Comment
	repo             *repoIndex
	pull             *pullIndex
	issue            *issueIndex
	created, updated time.Time
}

// account is who a login is served as.
type account struct {
	login, typ string
	slug       string // the login in GraphQL of a Bot, empty for the one in REST without its suffix
	id         int64
	deleted    bool
	// userInCommits says that it is a User as the author of a commit.
	userInCommits bool
}

func (a *account) bot() bool { return a.typ == "Bot" }

func buildIndex(sets []*Dataset, tl Timeline) *index {
	ix := &index{
		tl: tl, orgs: map[string]*orgIndex{}, orgsByID: map[int64]*orgIndex{}, repos: map[string]*repoIndex{},
		moved: map[string]*repoIndex{}, byID: map[int64]*repoIndex{}, users: map[string]*account{},
		byUserID: map[int64]*account{},
	}
	for _, d := range sets {
		ix.addOrg(d)
	}
	for _, d := range sets {
		ix.addDataset(d)
	}
	return ix
}

func (ix *index) addOrg(d *Dataset) {
	o := &orgIndex{Org: d.Org, id: cmp.Or(d.Org.ID, numericID("org", d.Org.Login))}
	o.created = ix.tl.ToServed(d.Org.From)
	if !d.Org.CreatedAt.IsZero() {
		o.created = ix.tl.ToServed(d.Org.CreatedAt)
	}
	ix.orgs[strings.ToLower(d.Org.Login)] = o
	ix.orgsByID[o.id] = o
}

func (ix *index) addDataset(d *Dataset) {
	for _, u := range d.Users {
		ix.addUser(u)
	}
	repos := map[string]*repoIndex{}
	for i := range d.Repos {
		repos[d.Repos[i].Name] = ix.addRepo(d.Org.Login, &d.Repos[i])
	}
	ix.addCommits(d, repos)
	ix.addPulls(d, repos)
	ix.addIssues(d, repos)
	ix.addComments(d, repos)
}

func (ix *index) addUser(u User) *account {
	a := &account{
		login: u.Login, typ: u.Type, slug: u.Slug, id: u.ID, deleted: u.Deleted, userInCommits: u.UserInCommits,
	}
	if u.RenamedTo != "" {
		a.login = u.RenamedTo
	}
	if a.typ == "" {
		a.typ = "User"
		if strings.HasSuffix(u.Login, "[bot]") {
			a.typ = "Bot"
		}
	}
	if a.id == 0 {
		a.id = numericID("user", u.Login)
	}
	ix.users[u.Login], ix.byUserID[a.id] = a, a
	return a
}

// ensureAccount makes sure that an account exists, so that later look-ups do not write.
func (ix *index) ensureAccount(login *string) {
	if login != nil && ix.users[*login] == nil {
		ix.addUser(User{Login: *login})
	}
}

// account is the account of a login, nil for none and for a deleted one.
func (ix *index) account(login *string) *account {
	if login == nil {
		return nil
	}
	if a := ix.users[*login]; a != nil && !a.deleted {
		return a
	}
	return nil
}

// committer is the account of a login as the author of a commit.
func (ix *index) committer(login *string) *account {
	a := ix.account(login)
	if a == nil || !a.userInCommits {
		return a
	}
	user := *a
	user.typ = "User"
	return &user
}

func (ix *index) addRepo(org string, r *Repo) *repoIndex {
	ri := &repoIndex{
		Repo: r, owner: cmp.Or(r.TransferredTo, org), commits: map[string]*commitIndex{}, branches: map[string][]move{},
		byNumber: map[int]*pullIndex{}, issueNo: map[int]*issueIndex{}, created: ix.tl.ToServed(r.CreatedAt),
	}
	r.DefaultBranch = cmp.Or(r.DefaultBranch, "main")
	ri.visibility = cmp.Or(r.Visibility, map[bool]string{true: "private", false: "public"}[r.Private])
	ri.id, ri.updated = r.ID, ri.created
	if !r.UpdatedAt.IsZero() {
		ri.updated = ix.tl.ToServed(r.UpdatedAt)
	}
	for _, t := range r.Pushes {
		ri.pushes = append(ri.pushes, ix.tl.ToServed(t))
	}
	ix.registerRepo(org, ri)
	return ri
}

// registerRepo enters a repository under its present address and its former ones.
func (ix *index) registerRepo(org string, ri *repoIndex) {
	for _, old := range ri.RenamedFrom {
		ix.moved[repoKey(org, old)] = ri
	}
	if ri.owner != org {
		ix.moved[repoKey(org, ri.Name)] = ri
	}
	ix.repos[repoKey(ri.owner, ri.Name)] = ri
	ix.byID[ri.id] = ri
	if o := ix.orgs[strings.ToLower(ri.owner)]; o != nil {
		o.repos = append(o.repos, ri)
	}
}

// assignRepoIDs gives every repository an id that stays when it is renamed.
func (d *Dataset) assignRepoIDs() {
	for i := range d.Repos {
		r := &d.Repos[i]
		if r.ID == 0 {
			r.ID = numericID("repo", d.Org.Login+"/"+slices.Concat(r.RenamedFrom, []string{r.Name})[0])
		}
	}
}

func repoKey(owner, name string) string { return strings.ToLower(owner + "/" + name) }

func (r *repoIndex) private() bool { return r.visibility != "public" }

func (r *repoIndex) fullName() string { return r.owner + "/" + r.Name }

func (ix *index) addPulls(d *Dataset, repos map[string]*repoIndex) {
	for i := range d.Pulls {
		p := &d.Pulls[i]
		if r := repos[p.Repo]; r != nil {
			ix.addPull(r, p)
		}
	}
	for i := range d.Reviews {
		rv := &d.Reviews[i]
		r := repos[rv.Repo]
		if r == nil || r.byNumber[rv.Pull] == nil {
			continue
		}
		pull := r.byNumber[rv.Pull]
		ix.ensureAccount(rv.Login)
		pull.reviews = append(
			pull.reviews, &reviewIndex{Review: rv, pull: pull, submitted: ix.servedPtr(rv.SubmittedAt)},
		)
	}
	for _, r := range repos {
		slices.SortFunc(r.pulls, func(a, b *pullIndex) int { return cmp.Compare(a.Number, b.Number) })
		for _, p := range r.pulls {
			slices.SortStableFunc(p.reviews, func(a, b *reviewIndex) int { return cmp.Compare(a.key(), b.key()) })
		}
	}
}

func (ix *index) addPull(r *repoIndex, p *Pull) {
	pi := &pullIndex{
		Pull: p, repo: r, created: ix.tl.ToServed(p.CreatedAt), merged: ix.servedPtr(p.MergedAt),
		closed: ix.servedPtr(p.ClosedAt),
		id:     cmp.Or(p.ID, numericID("pull", fmt.Sprintf("%d#%d", r.id, p.Number))),
	}
	if pi.merged != nil && pi.closed == nil {
		pi.closed = pi.merged
	}
	for _, t := range p.TouchedAt {
		pi.touched = append(pi.touched, ix.tl.ToServed(t))
	}
	pi.mergeCommitHash = fmt.Sprintf("%08x%032d", pi.id, p.Number)
	ix.ensureAccount(p.Login)
	ix.ensureAccount(p.MergedBy)
	r.pulls = append(r.pulls, pi)
	r.byNumber[p.Number] = pi
}

func (ix *index) servedPtr(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	s := ix.tl.ToServed(*t)
	return &s
}

func (ix *index) addIssues(d *Dataset, repos map[string]*repoIndex) {
	served := func(list []time.Time) []time.Time {
		out := make([]time.Time, len(list))
		for i, t := range list {
			out[i] = ix.tl.ToServed(t)
		}
		return out
	}
	for i := range d.Issues {
		row := &d.Issues[i]
		r := repos[row.Repo]
		if r == nil || r.byNumber[row.Number] != nil {
			continue
		}
		ix.ensureAccount(row.Login)
		is := r.ensureIssue(row.Number)
		is.Issue, is.id = row, cmp.Or(row.ID, is.id)
		is.opened, is.closings = ix.tl.ToServed(row.CreatedAt), served(row.ClosedAt)
		is.reopenings, is.touched = served(row.ReopenedAt), served(row.TouchedAt)
		if !row.GoneAt.IsZero() {
			is.gone = ix.servedPtr(&row.GoneAt)
		}
	}
}

// ensureIssue returns the issue with a number, added if need be.
func (r *repoIndex) ensureIssue(number int) *issueIndex {
	is := r.issueNo[number]
	if is == nil {
		is = &issueIndex{number: number, repo: r, id: numericID("issue", fmt.Sprintf("%d#%d", r.id, number))}
		r.issueNo[number] = is
		r.issues = append(r.issues, is)
	}
	return is
}

func (ix *index) addComments(d *Dataset, repos map[string]*repoIndex) {
	for i := range d.Comments {
		c := &d.Comments[i]
		r := repos[c.Repo]
		if r == nil {
			continue
		}
		ix.ensureAccount(c.Login)
		ci := &commentIndex{
			Comment: c, repo: r, created: ix.tl.ToServed(c.CreatedAt), updated: ix.tl.ToServed(c.CreatedAt),
		}
		if c.UpdatedAt.After(c.CreatedAt) {
			ci.updated = ix.tl.ToServed(c.UpdatedAt)
		}
		r.comments = append(r.comments, ci)
	}
	for _, r := range repos {
		slices.SortStableFunc(r.comments, func(a, b *commentIndex) int { return cmp.Compare(a.ID, b.ID) })
		for _, c := range r.comments {
			r.attachComment(c)
		}
		slices.SortFunc(r.issues, func(a, b *issueIndex) int { return cmp.Compare(a.number, b.number) })
	}
}

func (r *repoIndex) attachComment(c *commentIndex) {
	if p := r.byNumber[c.Issue]; p != nil {
		c.pull = p
		p.comments = append(p.comments, c)
		return
	}
	is := r.ensureIssue(c.Issue)
	c.issue = is
	is.comments = append(is.comments, c)
}

// key sorts reviews in the order of their submission, pending ones last.
func (r *reviewIndex) key() string {
	if r.submitted == nil {
		return "~" + sortKey(time.Time{}, r.ID)
	}
	return sortKey(*r.submitted, r.ID)
}

// sortKey is a string that sorts by time and then by id.
func sortKey(t time.Time, id int64) string {
	return fmt.Sprintf("%s|%020d", t.UTC().Format(time.RFC3339), id)
}
