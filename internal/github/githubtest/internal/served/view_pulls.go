// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"slices"
	"time"
)

// PullState is a pull request at the time of a View: Merged and Closed are nil until they are reached.
type PullState struct {
	*Pull
	State          string // OPEN, CLOSED or MERGED
	Updated        time.Time
	Merged, Closed *time.Time
	IsDraft        bool
	// Awaited are the requests for reviews that are neither removed nor followed by a review of the user.
	Awaited []*ReviewRequest
}

// Pull returns the state of a pull request, and false for nil and for one that is not visible yet.
func (v View) Pull(p *Pull) (PullState, bool) {
	if p == nil || !v.IsVisible(p.Created) {
		return PullState{}, false
	}
	s := PullState{
		Pull: p, State: "OPEN", Updated: p.Created, Merged: v.reachedTime(p.Merged), Closed: v.closedAt(p),
	}
	switch {
	case s.Merged != nil:
		s.State = "MERGED"
		s.touch(*s.Merged)
	case s.Closed != nil:
		s.State = "CLOSED"
	}
	for _, t := range slices.Concat(p.Touched, p.Readied, p.Drafted, p.Closings, p.Reopenings) {
		if v.IsVisible(t) {
			s.touch(t)
		}
	}
	s.IsDraft = v.isDraft(p)
	for _, r := range p.Requests {
		v.addRequest(&s, r)
	}
	for _, r := range p.Reviews {
		for _, t := range []*time.Time{v.reachedTime(r.Submitted), v.reachedTime(r.Dismissed)} {
			if t != nil {
				s.touch(*t)
			}
		}
	}
	if t := v.lastComment(p.Comments); t != nil {
		s.touch(*t)
	}
	return s, true
}

// closedAt returns when a pull request was closed; nil when it is open.
func (v View) closedAt(p *Pull) *time.Time {
	if merged := v.reachedTime(p.Merged); merged != nil {
		return v.reachedTime(p.Closed)
	}
	closed, reopened := v.newest(p.Closings), v.newest(p.Reopenings)
	if closed.After(reopened) {
		return &closed
	}
	return nil
}

// isDraft reports whether a pull request is a draft.
func (v View) isDraft(p *Pull) bool {
	isDraft := p.Draft
	for _, change := range p.draftChanges() {
		if v.IsVisible(change.At) {
			isDraft = change.Name == ChangeDraft
		}
	}
	return isDraft
}

// addRequest adds a request for a review, or its removal, to the state of a pull request.
func (v View) addRequest(s *PullState, r *ReviewRequest) {
	if !v.IsVisible(r.Requested) {
		return
	}
	s.touch(r.Requested)
	if at := v.reachedTime(r.Removed); at != nil {
		s.touch(*at)
		return
	}
	isReviewed := slices.ContainsFunc(s.Reviews, func(review *Review) bool {
		at := v.reachedTime(review.Submitted)
		return at != nil && !at.Before(r.Requested) && review.Login != nil && *review.Login == r.Login
	})
	if !isReviewed {
		s.Awaited = append(s.Awaited, r)
	}
}

// newest returns the newest of the times that are reached, zero for none.
func (v View) newest(list []time.Time) (last time.Time) {
	for _, t := range list {
		if v.IsVisible(t) && t.After(last) {
			last = t
		}
	}
	return last
}

// touch records an update.
func (s *PullState) touch(t time.Time) {
	if t.After(s.Updated) {
		s.Updated = t
	}
}

// Pulls returns the visible pull requests, in the order of their numbers; none while they are disabled.
func (v View) Pulls(r *Repo) []PullState {
	var out []PullState
	if v.ArePullsOff(r) {
		return nil
	}
	for _, p := range r.Pulls {
		if s, ok := v.Pull(p); ok {
			out = append(out, s)
		}
	}
	return out
}

// Reviews returns the visible reviews of a pull request, in the order of their submission.
func (v View) Reviews(p *Pull) []*Review {
	var out []*Review
	for _, r := range p.Reviews {
		if r.Submitted == nil || v.IsVisible(*r.Submitted) {
			out = append(out, r)
		}
	}
	return out
}
