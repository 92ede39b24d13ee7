// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"math"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// PullRequest is a pull request with its complete history, as of one reading.
type PullRequest struct {
	// Repo is GitHub's id of the repository.
	Repo    int64
	Number  int64
	Author  activity.Actor
	Created time.Time
	// Updated is when it was updated last. Parts of it may have been read after its state: what happened later is left
	// to the next reading.
	Updated time.Time
	// Open says that it is neither closed nor merged now.
	Open bool
	// Draft says that it is a draft now.
	Draft bool
	// Merged is the time of the merge; zero for none.
	Merged time.Time
	// Lines are the lines added and removed.
	Lines int64
	// Reviews are the submitted reviews, in any order.
	Reviews []Review
	// Changes are the changes of its state, in any order.
	Changes []Change
}

// updateDelay is how much later than the update that it makes a change may be dated: GitHub does not promise one time
// for both. What is dated later happened after the state was read.
const updateDelay = 5 * time.Second

// isKnown reports whether what happened at a time belongs to the state that was read.
func (p *PullRequest) isKnown(at time.Time) bool { return !at.After(p.Updated.Add(updateDelay)) }

// Review is a submitted review.
type Review struct {
	ID     int64
	Author activity.Actor
	At     time.Time
	// Approves says that its present state is an approval. A dismissed review has another state: see Dismissed.
	Approves bool
}

// ChangeType is the type of a change of a pull request.
type ChangeType uint8

// The types of changes
// (https://docs.github.com/rest/using-the-rest-api/issue-event-types).
const (
	Closed ChangeType = iota + 1
	Reopened
	ReadyForReview
	ConvertedToDraft
	ReviewRequested
	Dismissed
)

// Change is a change of a pull request.
type Change struct {
	Type ChangeType
	At   time.Time
	// Review is the id of a dismissed review, and Approved says that it was an approval until then.
	Review   int64
	Approved bool
}

// Clock says when the time until a review, an approval or an end begins.
type Clock uint8

// The clocks. Without the change that they name, each begins with the creation.
const (
	// ClockReady begins with the last time that the pull request became ready for review. Time in draft does not count.
	ClockReady Clock = iota
	// ClockCreated begins with the creation. Time in draft counts.
	ClockCreated
	// ClockRequested begins with the last request for a review. Time in draft does not count.
	ClockRequested
)

// Rules say what counts.
type Rules struct {
	Clock Clock
	// Bots says that reviews by bots and agents count.
	Bots bool
}

// PullRequestEvents returns the events of a pull request.
func (r Rules) PullRequestEvents(p *PullRequest) []activity.Event {
	h := newHistory(p)
	reviews := r.countedReviews(p)
	var events []activity.Event
	add := func(kind activity.Kind, id activity.ID, at time.Time, measures ...uint32) {
		e := activity.Event{Kind: kind, Repo: p.Repo, ID: id, Actor: activity.NoActor(), Time: at}
		copy(e.Measures[:], measures)
		events = append(events, e)
	}
	number := activity.NumberID(p.Number)
	if len(reviews) > 0 {
		at := reviews[0].At
		add(activity.KindFirstReview, number, at, h.waited(r.Clock, at))
	}
	if i := slices.IndexFunc(reviews, h.approved); i >= 0 {
		at := reviews[i].At
		add(activity.KindFirstApproval, number, at, h.waited(r.Clock, at))
	}
	if at := p.Merged; !at.IsZero() {
		add(activity.KindMergeTime, number, at, h.waited(r.Clock, at), seconds(h.inDraft(p.Created, at)))
		before := countBefore(reviews, at)
		add(activity.KindMergeSize, number, at, before, uint32(min(math.MaxUint32, max(0, p.Lines))))
	}
	for _, at := range h.closings(p.Merged) {
		add(activity.KindCloseTime, activity.OccurrenceID(p.Number, at), at, h.waited(r.Clock, at))
	}
	return events
}

// countedReviews returns the reviews by others, the oldest first.
func (r Rules) countedReviews(p *PullRequest) []Review {
	reviews := slices.DeleteFunc(slices.Clone(p.Reviews), func(review Review) bool {
		return review.Author.IsSameAccount(p.Author) || (!r.Bots && isMachine(review.Author)) || !p.isKnown(review.At)
	})
	slices.SortFunc(reviews, func(a, b Review) int {
		if d := a.At.Compare(b.At); d != 0 {
			return d
		}
		return int(min(1, max(-1, a.ID-b.ID)))
	})
	return reviews
}

// isMachine reports whether an actor is a bot or an agent.
func isMachine(a activity.Actor) bool {
	kind := a.AccountType()
	return kind == activity.AccountBot || kind == activity.AccountAgent
}

// countBefore returns the number of reviews up to a time.
func countBefore(reviews []Review, at time.Time) uint32 {
	n := uint32(0)
	for i := range reviews {
		if !reviews[i].At.After(at) {
			n++
		}
	}
	return n
}

// seconds returns a duration in whole seconds.
func seconds(d time.Duration) uint32 {
	return uint32(min(math.MaxUint32, max(0, int64(d/time.Second))))
}
