// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"
	"time"
)

// The numbers of pull requests in a page of GraphQL: of the first one beside commits, which is one point together, of
// the following ones, and of the smallest one.
const (
	pullsPageSize     = 25
	pullsNextPageSize = 50
	minPullsPageSize  = 5
)

// memberPulls select the first pull requests of a repository in a query for several.
type memberPulls struct {
	Pulls bool `json:"pulls"`
}

// pullNode is a pull request in a listing, with its first reviews.
type pullNode struct {
	ID        string            `json:"id"`
	Number    int64             `json:"number"`
	CreatedAt time.Time         `json:"createdAt"`
	MergedAt  *time.Time        `json:"mergedAt"`
	UpdatedAt time.Time         `json:"updatedAt"`
	Author    *account          `json:"author"`
	Reviews   *reviewConnection `json:"reviews"`

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *pullNode) UnmarshalJSON(raw []byte) (err error) {
	type plain pullNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// reviewConnection is a page of the reviews of a pull request.
type reviewConnection struct {
	PageInfo pageInfo      `json:"pageInfo"`
	Nodes    []*reviewNode `json:"nodes"`
}

// reviewNode is a review. SubmittedAt is nil while it is pending.
type reviewNode struct {
	FullDatabaseID json.Number `json:"fullDatabaseId"`
	SubmittedAt    *time.Time  `json:"submittedAt"`
	Author         *account    `json:"author"`

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *reviewNode) UnmarshalJSON(raw []byte) (err error) {
	type plain reviewNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// pullVariables select a page of pull requests.
type pullVariables struct {
	Pulls      bool    `json:"pulls"`
	PullsFirst int     `json:"pullsFirst"`
	PullsAfter *string `json:"pullsAfter"`
}
