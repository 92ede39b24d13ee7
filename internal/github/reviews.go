// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
)

// approvedState is the state of a review that approves, as GraphQL and the reviews of REST have it.
const approvedState = "APPROVED"

// reviewEvents returns the events of the reviews of a pull request.
func (r *reader) reviewEvents(reviews []flow.Review) []activity.Event {
	events := make([]activity.Event, 0, len(reviews))
	for i := range reviews {
		review := &reviews[i]
		events = append(events, r.newEvent(
			activity.KindReviewSubmitted, activity.NumberID(review.ID), review.Author, review.At,
		))
	}
	return events
}
