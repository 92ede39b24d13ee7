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
	Draft    bool    `json:"draft,omitempty"`
	// TouchedAt are times of updates that have no other trace in the data: a label, a push to the branch.
	TouchedAt []time.Time `json:"touched_at,omitempty"`
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
}
