// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package served

import (
	"slices"
	"time"
)

// The names of changes, as REST has them in "event"
// (https://docs.github.com/rest/using-the-rest-api/issue-event-types).
const (
	ChangeClosed    = "closed"
	ChangeMerged    = "merged"
	ChangeReopened  = "reopened"
	ChangeReady     = "ready_for_review"
	ChangeDraft     = "convert_to_draft"
	ChangeRequested = "review_requested"
	ChangeDismissed = "review_dismissed"
)

// Change is a change of a pull request. Review is the one of a dismissal, Request that of a request for a review.
type Change struct {
	Name    string
	At      time.Time
	Review  *Review
	Request *ReviewRequest
}

// Changes returns the changes of a pull request that are reached, the oldest first.
func (v View) Changes(p *Pull) []Change {
	var all []Change
	add := func(name string, times ...time.Time) {
		for _, at := range times {
			all = append(all, Change{Name: name, At: at})
		}
	}
	all = append(all, p.draftChanges()...)
	for _, r := range p.Requests {
		all = append(all, Change{Name: ChangeRequested, At: r.Requested, Request: r})
	}
	for _, r := range p.Reviews {
		if r.Dismissed != nil {
			all = append(all, Change{Name: ChangeDismissed, At: *r.Dismissed, Review: r})
		}
	}
	closings := p.Closings
	if p.Merged != nil && len(closings) > 0 {
		closings = closings[:len(closings)-1] // the last one is that of the merge
	}
	add(ChangeClosed, closings...)
	add(ChangeReopened, p.Reopenings...)
	if p.Merged != nil {
		add(ChangeMerged, *p.Merged)
		add(ChangeClosed, p.Closings[len(closings):]...)
	}
	all = slices.DeleteFunc(all, func(c Change) bool { return !v.IsVisible(c.At) })
	slices.SortStableFunc(all, func(a, b Change) int { return a.At.Compare(b.At) })
	return all
}

// ReviewState returns the state of a review.
func (v View) ReviewState(r *Review) string {
	if v.reachedTime(r.Dismissed) != nil {
		return "DISMISSED"
	}
	return r.State
}

// draftChanges returns when a pull request became ready for review and a draft again, in the order in which it
// happened: several may be served as one second.
func (p *Pull) draftChanges() []Change {
	readied, drafted, isDraft := p.Readied, p.Drafted, p.Draft
	var changes []Change
	for len(readied)+len(drafted) > 0 {
		list, name := &drafted, ChangeDraft
		if len(drafted) == 0 || (len(readied) > 0 && isReadyFirst(readied[0], drafted[0], isDraft)) {
			list, name = &readied, ChangeReady
		}
		changes = append(changes, Change{Name: name, At: (*list)[0]})
		*list, isDraft = (*list)[1:], name == ChangeDraft
	}
	return changes
}

// isReadyFirst reports whether a pull request became ready before it became a draft. Of one second, what it was
// decides.
func isReadyFirst(readied, drafted time.Time, isDraft bool) bool {
	return readied.Before(drafted) || (readied.Equal(drafted) && isDraft)
}
