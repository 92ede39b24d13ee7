// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"time"
)

// Issue is an issue. One that has comments and no row here was opened by its first comment and never closed.
type Issue struct {
	Repo   string  `json:"repo"`
	Number int     `json:"number"`
	Login  *string `json:"login"`
	// ID is derived from the repository and the number when it is 0.
	ID        int64     `json:"id,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	// ClosedAt and ReopenedAt are all closings and reopenings, the oldest first.
	ClosedAt   []time.Time `json:"closed_at,omitempty"`
	ReopenedAt []time.Time `json:"reopened_at,omitempty"`
	// TouchedAt are times of updates that have no other trace in the data: a label, an edited title.
	TouchedAt []time.Time `json:"touched_at,omitempty"`
	// GoneAt is when it was deleted, transferred or made a discussion; zero means never.
	GoneAt time.Time `json:"gone_at,omitzero"`
}

// Comment is a comment on an issue or a pull request. A comment on a number that has neither opens an issue.
type Comment struct {
	Repo string `json:"repo"`
	// Issue is the number of the issue or pull request.
	Issue     int       `json:"issue"`
	ID        int64     `json:"id"`
	Login     *string   `json:"login"`
	CreatedAt time.Time `json:"created_at"`
	// UpdatedAt is the time of the last edit, which also updates the issue; until then CreatedAt is served.
	UpdatedAt time.Time `json:"updated_at"`
}
