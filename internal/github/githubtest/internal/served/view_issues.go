// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"slices"
	"time"
)

// IssueState is an issue at the time of a View. One without a row was opened by its first comment.
type IssueState struct {
	*Issue
	Created, Updated time.Time
	OpenedBy         *string
	// Closings are the closings that are reached. Closed is the last of them, nil when the issue is open.
	Closings   []time.Time
	Closed     *time.Time
	IsReopened bool
}

// State returns "OPEN" or "CLOSED".
func (s *IssueState) State() string {
	if s.Closed != nil {
		return "CLOSED"
	}
	return "OPEN"
}

// Issue returns the state of an issue, and false for nil and for one that is not visible.
func (v View) Issue(is *Issue) (IssueState, bool) {
	if is == nil {
		return IssueState{}, false
	}
	if is.Issue != nil {
		return v.issueOfRow(is)
	}
	comments := v.Comments(is.Comments)
	if len(comments) == 0 {
		return IssueState{}, false
	}
	first := slices.MinFunc(comments, func(a, b *Comment) int { return a.Created.Compare(b.Created) })
	return IssueState{Issue: is, Created: first.Created, OpenedBy: first.Login, Updated: *v.lastComment(is.Comments)},
		true
}

// issueOfRow returns the state of an issue that has a row.
func (v View) issueOfRow(is *Issue) (IssueState, bool) {
	if !v.IsVisible(is.Opened) || v.reachedTime(is.Gone) != nil {
		return IssueState{}, false
	}
	s := IssueState{Issue: is, Created: is.Opened, Updated: is.Opened, OpenedBy: is.Login}
	for _, t := range is.AllClosings {
		if v.IsVisible(t) {
			s.Closings = append(s.Closings, t)
		}
	}
	closed, reopened := v.newest(is.AllClosings), v.newest(is.Reopenings)
	if !closed.IsZero() && closed.After(reopened) {
		s.Closed = &closed
	}
	s.IsReopened = !reopened.IsZero() && s.Closed == nil
	updates := []time.Time{closed, reopened, v.newest(is.Touched)}
	if last := v.lastComment(is.Comments); last != nil {
		updates = append(updates, *last)
	}
	s.Updated = slices.MaxFunc(append(updates, s.Updated), time.Time.Compare)
	return s, true
}

// Issues returns the visible issues, in the order of their numbers; none while they are disabled.
func (v View) Issues(r *Repo) []IssueState {
	var out []IssueState
	if v.AreIssuesOff(r) {
		return nil
	}
	for _, is := range r.Issues {
		if s, ok := v.Issue(is); ok {
			out = append(out, s)
		}
	}
	return out
}

// Comments returns the visible ones of the comments, in the same order.
func (v View) Comments(all []*Comment) []*Comment {
	var out []*Comment
	for _, c := range all {
		if v.IsVisible(c.Created) {
			out = append(out, c)
		}
	}
	return out
}

// CommentUpdatedAt returns the time of the last edit that is reached.
func (v View) CommentUpdatedAt(c *Comment) time.Time {
	if v.IsVisible(c.Updated) {
		return c.Updated
	}
	return c.Created
}

// lastComment returns the newest update of the visible comments, nil for none.
func (v View) lastComment(all []*Comment) *time.Time {
	var newest *time.Time
	for _, c := range v.Comments(all) {
		if t := v.CommentUpdatedAt(c); newest == nil || t.After(*newest) {
			newest = &t
		}
	}
	return newest
}
