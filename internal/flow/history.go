// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// history is what the changes of a pull request say.
type history struct {
	created time.Time
	changes []Change // the oldest first
	drafts  []activity.Window
	// approvals are the dismissed reviews that had been approvals.
	approvals map[int64]bool
}

// distantFuture ends the draft of a pull request that is a draft now.
var distantFuture = time.Unix(1<<40, 0)

func newHistory(p *PullRequest) *history {
	h := &history{created: p.Created, approvals: make(map[int64]bool)}
	for _, c := range p.Changes {
		if c.Type == Dismissed && c.Approved {
			h.approvals[c.Review] = true
		}
		if p.isKnown(c.At) {
			h.changes = append(h.changes, c)
		}
	}
	slices.SortStableFunc(h.changes, func(a, b Change) int { return a.At.Compare(b.At) })
	if p.Open {
		h.dropLastClosing()
	}
	h.drafts = h.draftWindows(p.Draft)
	return h
}

// dropLastClosing drops the closing that was not reopened of a pull request that was read as open: it happened later,
// in the second of its last update.
func (h *history) dropLastClosing() {
	last := -1
	for i, c := range h.changes {
		switch c.Type {
		case Closed:
			last = i
		case Reopened:
			last = -1
		case ReadyForReview, ConvertedToDraft, ReviewRequested, Dismissed:
		}
	}
	if last >= 0 {
		h.changes = slices.Delete(h.changes, last, last+1)
	}
}

// draftWindows returns when the pull request was a draft. The first change shows whether it was created as one;
// without any it has always been what it is now.
func (h *history) draftWindows(isDraft bool) []activity.Window {
	var windows []activity.Window
	var since time.Time // of the draft that has not ended; zero without one
	decided := false
	for _, c := range h.changes {
		switch c.Type {
		case ReadyForReview:
			if !decided {
				since = h.created
			}
			if !since.IsZero() {
				windows = append(windows, activity.Window{Start: since, End: c.At})
			}
			since, decided = time.Time{}, true
		case ConvertedToDraft:
			if since.IsZero() {
				since = c.At
			}
			decided = true
		case Closed, Reopened, ReviewRequested, Dismissed:
		}
	}
	if !decided && isDraft {
		since = h.created
	}
	if !since.IsZero() {
		windows = append(windows, activity.Window{Start: since, End: distantFuture})
	}
	return windows
}

// inDraft returns how long the pull request was a draft in a window.
func (h *history) inDraft(start, end time.Time) time.Duration {
	var total time.Duration
	for _, w := range h.drafts {
		if w.Start.Before(start) {
			w.Start = start
		}
		if w.End.After(end) {
			w.End = end
		}
		if !w.IsEmpty() {
			total += w.End.Sub(w.Start)
		}
	}
	return total
}

// waited returns the time of a clock at an event, in seconds.
func (h *history) waited(clock Clock, at time.Time) uint32 {
	switch clock {
	case ClockCreated:
		return seconds(at.Sub(h.created))
	case ClockRequested:
		start := h.lastBefore(ReviewRequested, at)
		return seconds(at.Sub(start) - h.inDraft(start, at))
	case ClockReady:
	}
	start := h.lastBefore(ReadyForReview, at)
	return seconds(at.Sub(start) - h.inDraft(start, at))
}

// lastBefore returns the time of the last change of a type up to a time; without one that of the creation.
func (h *history) lastBefore(change ChangeType, at time.Time) time.Time {
	last := h.created
	for _, c := range h.changes {
		if c.Type == change && !c.At.After(at) {
			last = c.At
		}
	}
	return last
}

// closings returns when the pull request was closed without a merge. The last closing of a merged one belongs to the
// merge unless it was reopened after it.
func (h *history) closings(merged time.Time) []time.Time {
	var list []time.Time
	isOpen := true
	for _, c := range h.changes {
		switch c.Type {
		case Closed:
			list = append(list, c.At)
			isOpen = false
		case Reopened:
			isOpen = true
		case ReadyForReview, ConvertedToDraft, ReviewRequested, Dismissed:
		}
	}
	if !merged.IsZero() && !isOpen {
		list = list[:len(list)-1]
	}
	return list
}

// approved reports whether a review is, or was until its dismissal, an approval.
func (h *history) approved(r Review) bool { return r.Approves || h.approvals[r.ID] }
