// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"time"
)

// Pull is a pull request. Its state and its update time follow from the times that are reached when it is served.
type Pull struct {
	Repo   string  `json:"repo"`
	Number int     `json:"number"`
	Login  *string `json:"login"`
	// State and UpdatedAt are ignored: they follow from the times of the pull request, its reviews and comments.
	State     string     `json:"state"`
	CreatedAt time.Time  `json:"created_at"`
	MergedAt  *time.Time `json:"merged_at"`
	ClosedAt  *time.Time `json:"closed_at"`
	UpdatedAt time.Time  `json:"updated_at"`
	// ID is derived from the repository and the number when it is 0.
	ID int64 `json:"id,omitempty"`
	// MergedBy is the login of the account that merged, nil for the author.
	MergedBy *string `json:"merged_by,omitempty"`
	// Draft says that it was created as a draft. ReadyAt and DraftAt are when it was marked as ready for review, and
	// was made a draft again; each is an update.
	Draft   bool        `json:"draft,omitempty"`
	ReadyAt []time.Time `json:"ready_at,omitempty"`
	DraftAt []time.Time `json:"draft_at,omitempty"`
	// Closings are when it was closed besides ClosedAt, and ReopenedAt is when it was reopened; each is an update.
	Closings   []time.Time `json:"closings,omitempty"`
	ReopenedAt []time.Time `json:"reopened_at,omitempty"`
	// Head is its branch, empty for a name after its number. IsFork says that the branch is one of a fork.
	Head   string `json:"head,omitempty"`
	IsFork bool   `json:"is_fork,omitempty"`
	// Additions and Deletions are the lines that it changes.
	Additions int `json:"additions,omitempty"`
	Deletions int `json:"deletions,omitempty"`
	// ReviewRequests are the requests for reviews, in any order.
	ReviewRequests []ReviewRequest `json:"review_requests,omitempty"`
	// TouchedAt are times of updates that have no other trace in the data: a label, a push to the branch.
	TouchedAt []time.Time `json:"touched_at,omitempty"`
}

// ReviewRequest asks a user or a team for a review: one of Login and Team is set. A user who submits a review is not
// asked any more (https://docs.github.com/rest/pulls/review-requests). The request and its removal are updates.
type ReviewRequest struct {
	Login string    `json:"login,omitempty"`
	Team  string    `json:"team,omitempty"`
	At    time.Time `json:"at"`
	// RemovedAt is when the request was removed, or a member of the team submitted a review; zero means never.
	RemovedAt time.Time `json:"removed_at,omitzero"`
}

// Review is a review of a pull request.
type Review struct {
	Repo  string  `json:"repo"`
	Pull  int     `json:"pull"`
	ID    int64   `json:"id"`
	Login *string `json:"login"`
	// SubmittedAt is nil for a PENDING review, which is served although only its author could see it.
	SubmittedAt *time.Time `json:"submitted_at"`
	// State is APPROVED, CHANGES_REQUESTED, COMMENTED, DISMISSED or PENDING.
	State string `json:"state"`
	// DismissedAt is when it was dismissed: from then on its state is DISMISSED. The dismissal is an update of the pull
	// request. Nil means never, or that the data do not have the state before.
	DismissedAt *time.Time `json:"dismissed_at,omitempty"`
}
