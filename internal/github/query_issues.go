// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "time"

// The numbers of issues in a page of GraphQL: of the first one beside commits and pull requests, which is one point
// together, of the following ones, and of the smallest one.
const (
	issuesPageSize     = 20
	issuesNextPageSize = 50
	minIssuesPageSize  = 5
)

// issueNode is an issue in a listing.
type issueNode struct {
	Number    int64        `json:"number"`
	CreatedAt time.Time    `json:"createdAt"`
	UpdatedAt time.Time    `json:"updatedAt"`
	Author    *account     `json:"author"`
	Closings  *closingList `json:"timelineItems"`

	invalid fieldErrors
}

// closingList has the newest hundred closings of an issue.
type closingList struct {
	PageInfo struct {
		HasPreviousPage bool `json:"hasPreviousPage"`
	} `json:"pageInfo"`
	Nodes []*struct {
		CreatedAt time.Time `json:"createdAt"`
	} `json:"nodes"`
}

// times returns when the issue was closed, once for each closing.
func (l *closingList) times() []time.Time {
	var times []time.Time
	for _, node := range l.Nodes {
		if node != nil {
			times = append(times, node.CreatedAt)
		}
	}
	return times
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *issueNode) UnmarshalJSON(raw []byte) (err error) {
	type plain issueNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// issueVariables select a page of issues that were updated at a time or later.
type issueVariables struct {
	Issues      bool    `json:"issues"`
	IssuesFirst int     `json:"issuesFirst"`
	IssuesAfter *string `json:"issuesAfter"`
	IssuesSince *string `json:"issuesSince"`
}

// memberIssues select the first issues of a repository in a query for several.
type memberIssues struct {
	Issues      bool    `json:"issues"`
	IssuesSince *string `json:"issuesSince"`
}
