// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"slices"
	"strings"
	"time"
)

// view is the data as of a moment, seen by a credential.
type view struct {
	ix     *index
	now    time.Time
	cutoff time.Time // nothing dated after it is visible
	cred   *Credential
}

func (v view) visible(t time.Time) bool { return !t.After(v.cutoff) }

// reachedTime is the time if it is reached.
func (v view) reachedTime(t *time.Time) *time.Time {
	if t == nil || !v.visible(*t) {
		return nil
	}
	return t
}

func (v view) org(login string) *orgIndex {
	o := v.ix.orgs[strings.ToLower(login)]
	if o == nil || !v.cred.canSeeOwner(o.Login) {
		return nil
	}
	return o
}

// repo finds a repository by its address; moved reports that the address is a former one.
func (v view) repo(owner, name string) (r *repoIndex, moved bool) {
	r = v.ix.repos[repoKey(owner, name)]
	if r == nil {
		r, moved = v.ix.moved[repoKey(owner, name)], true
	}
	if r == nil || !v.repoVisible(r) {
		return nil, false
	}
	return r, moved
}

func (v view) repoByID(id int64) *repoIndex {
	if r := v.ix.byID[id]; r != nil && v.repoVisible(r) {
		return r
	}
	return nil
}

func (v view) repoVisible(r *repoIndex) bool {
	return v.visible(r.created) && v.cred.canSeeOwner(r.owner) && (!r.private() || !v.cred.PublicOnly)
}

// during reports whether one of the periods is now.
func (v view) during(periods []Period) bool {
	return slices.ContainsFunc(periods, func(p Period) bool {
		return v.visible(v.ix.tl.ToServed(p.Start)) && (p.End.IsZero() || !v.visible(v.ix.tl.ToServed(p.End)))
	})
}

func (v view) pullsOff(r *repoIndex) bool  { return v.during(r.PullsOff) }
func (v view) issuesOff(r *repoIndex) bool { return v.during(r.IssuesOff) }
func (v view) forbidden(r *repoIndex) bool { return v.during(r.Forbidden) }

func (v view) repos(o *orgIndex) []*repoIndex {
	var out []*repoIndex
	for _, r := range o.repos {
		if v.repoVisible(r) {
			out = append(out, r)
		}
	}
	return out
}

func (v view) commitVisible(c *commitIndex) bool {
	return !c.repo.Empty && v.visible(c.pushed) && v.reachedTime(c.gone) == nil
}

// defaultBranch is the branch that the newest visible switch names.
func (v view) defaultBranch(r *repoIndex) string {
	name := r.DefaultBranch
	var newest time.Time
	for _, s := range r.Switches {
		if at := v.ix.tl.ToServed(s.At); v.visible(at) && !at.Before(newest) && v.head(r, s.Branch) != nil {
			name, newest = s.Branch, at
		}
	}
	return name
}

// head is where a branch stands, nil if it does not exist.
func (v view) head(r *repoIndex, branch string) *commitIndex {
	if r.Empty {
		return nil
	}
	moves := r.branches[branch]
	for _, move := range slices.Backward(moves) {
		if v.visible(move.at) {
			return move.head
		}
	}
	return nil
}

// resolve finds a commit by branch name, hash or abbreviated hash.
func (v view) resolve(r *repoIndex, ref string) *commitIndex {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "refs/"), "heads/")
	if ref == "HEAD" {
		ref = v.defaultBranch(r)
	}
	if c := v.head(r, ref); c != nil {
		return c
	}
	if c := r.commits[ref]; c != nil && v.commitVisible(c) {
		return c
	}
	if len(ref) < 7 || len(ref) >= 40 {
		return nil
	}
	for sha, c := range r.commits {
		if strings.HasPrefix(sha, ref) && v.commitVisible(c) {
			return c
		}
	}
	return nil
}

func (v view) branchNames(r *repoIndex) []string {
	var names []string
	for name := range r.branches {
		if v.head(r, name) != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (v view) isEmpty(r *repoIndex) bool { return v.head(r, v.defaultBranch(r)) == nil }

// pushedAt is the newest visible push to any branch.
func (v view) pushedAt(r *repoIndex) time.Time {
	var newest time.Time
	see := func(t time.Time) {
		if v.visible(t) && t.After(newest) {
			newest = t
		}
	}
	for _, moves := range r.branches {
		for _, m := range moves {
			see(m.at)
		}
	}
	for _, t := range r.pushes {
		see(t)
	}
	if newest.IsZero() && !r.PushedAt.IsZero() {
		see(v.ix.tl.ToServed(r.PushedAt))
	}
	if newest.IsZero() {
		return r.created
	}
	return newest
}

func (v view) repoUpdatedAt(r *repoIndex) time.Time {
	if v.visible(r.updated) {
		return r.updated
	}
	return r.created
}

// pullState is a pull request as of now.
type pullState struct {
	*pullIndex
	state          string // OPEN, CLOSED or MERGED
	updated        time.Time
	merged, closed *time.Time
}

func (v view) pull(p *pullIndex) (pullState, bool) {
	if p == nil || !v.visible(p.created) {
		return pullState{}, false
	}
	s := pullState{
		pullIndex: p, state: "OPEN", updated: p.created, merged: v.reachedTime(p.merged),
		closed: v.reachedTime(p.closed),
	}
	if s.closed != nil {
		s.state = "CLOSED"
		s.touch(*s.closed)
	}
	if s.merged != nil {
		s.state = "MERGED"
		s.touch(*s.merged)
	}
	for _, t := range p.touched {
		if v.visible(t) {
			s.touch(t)
		}
	}
	for _, r := range p.reviews {
		if t := v.reachedTime(r.submitted); t != nil {
			s.touch(*t)
		}
	}
	if t := v.lastComment(p.comments); t != nil {
		s.touch(*t)
	}
	return s, true
}

func (s *pullState) touch(t time.Time) {
	if t.After(s.updated) {
		s.updated = t
	}
}

// pulls are the visible ones, none while they are switched off.
func (v view) pulls(r *repoIndex) []pullState {
	var out []pullState
	if v.pullsOff(r) {
		return nil
	}
	for _, p := range r.pulls {
		if s, ok := v.pull(p); ok {
			out = append(out, s)
		}
	}
	return out
}

func (v view) reviews(p *pullIndex) []*reviewIndex {
	var out []*reviewIndex
	for _, r := range p.reviews {
		if r.submitted == nil || v.visible(*r.submitted) {
			out = append(out, r)
		}
	}
	return out
}

// comments are the visible ones, by id.
func (v view) comments(all []*commentIndex) []*commentIndex {
	var out []*commentIndex
	for _, c := range all {
		if v.visible(c.created) {
			out = append(out, c)
		}
	}
	return out
}

func (v view) commentUpdated(c *commentIndex) time.Time {
	if v.visible(c.updated) {
		return c.updated
	}
	return c.created
}

func (v view) lastComment(all []*commentIndex) *time.Time {
	var newest *time.Time
	for _, c := range v.comments(all) {
		if t := v.commentUpdated(c); newest == nil || t.After(*newest) {
			newest = &t
		}
	}
	return newest
}

// issueState is an issue as of now. One without a row was opened by its first comment.
type issueState struct {
	*issueIndex
	created, updated time.Time
	login            *string
	// closings are those that are reached, closed the last of them unless it was reopened after it.
	closings []time.Time
	closed   *time.Time
	reopened bool
}

func (s *issueState) state() string {
	if s.closed != nil {
		return "CLOSED"
	}
	return "OPEN"
}

func (v view) issue(is *issueIndex) (issueState, bool) {
	if is == nil {
		return issueState{}, false
	}
	if is.Issue != nil {
		return v.issueOfRow(is)
	}
	comments := v.comments(is.comments)
	if len(comments) == 0 {
		return issueState{}, false
	}
	first := slices.MinFunc(comments, func(a, b *commentIndex) int { return a.created.Compare(b.created) })
	return issueState{issueIndex: is, created: first.created, login: first.Login, updated: *v.lastComment(is.comments)},
		true
}

// issueOfRow is the state of an issue that has a row.
func (v view) issueOfRow(is *issueIndex) (issueState, bool) {
	if !v.visible(is.opened) || v.reachedTime(is.gone) != nil {
		return issueState{}, false
	}
	s := issueState{issueIndex: is, created: is.opened, updated: is.opened, login: is.Login}
	newest := func(list []time.Time) (last time.Time) {
		for _, t := range list {
			if v.visible(t) && t.After(last) {
				last = t
			}
		}
		return last
	}
	for _, t := range is.closings {
		if v.visible(t) {
			s.closings = append(s.closings, t)
		}
	}
	closed, reopened := newest(is.closings), newest(is.reopenings)
	if !closed.IsZero() && closed.After(reopened) {
		s.closed = &closed
	}
	s.reopened = !reopened.IsZero() && s.closed == nil
	updates := []time.Time{closed, reopened, newest(is.touched)}
	if last := v.lastComment(is.comments); last != nil {
		updates = append(updates, *last)
	}
	s.updated = slices.MaxFunc(append(updates, s.updated), time.Time.Compare)
	return s, true
}

// issues are the visible ones, none while they are switched off.
func (v view) issues(r *repoIndex) []issueState {
	var out []issueState
	if v.issuesOff(r) {
		return nil
	}
	for _, is := range r.issues {
		if s, ok := v.issue(is); ok {
			out = append(out, s)
		}
	}
	return out
}
