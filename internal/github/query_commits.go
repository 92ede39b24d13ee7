// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"strings"
	"time"
)

// commitsPageSize is the number of commits in a page of GraphQL.
const commitsPageSize = 100

// commitTarget is a commit with a page of the commits that it reaches.
type commitTarget struct {
	OID     string `json:"oid"`
	History *struct {
		PageInfo pageInfo      `json:"pageInfo"`
		Nodes    []*commitNode `json:"nodes"`
	} `json:"history"`
}

// commitVariables select a page of commits: of the default branch's head, or of the commit with the object name OID.
type commitVariables struct {
	Head         bool    `json:"head"`
	Pinned       bool    `json:"pinned"`
	OID          *string `json:"oid"`
	Lines        bool    `json:"lines"`
	CommitsFirst int     `json:"commitsFirst"`
	CommitsAfter *string `json:"commitsAfter"`
	Since        *string `json:"since"`
	Until        *string `json:"until"`
}

// selectCommit selects the commits that a commit reaches, instead of those of the default branch.
func (v *commitVariables) selectCommit(oid string) { v.Head, v.Pinned, v.OID = false, true, &oid }

// selectsCommits reports whether the query has commits at all.
func (v *commitVariables) selectsCommits() bool { return v.Head || v.Pinned }

// nextPage selects the page after a cursor. It reports whether the cursor is a new one.
func (v *commitVariables) nextPage(cursor string) bool {
	if v.CommitsAfter != nil && *v.CommitsAfter == cursor {
		return false
	}
	v.CommitsAfter = &cursor
	return true
}

// memberCommits select the first commits of a repository in a query for several.
type memberCommits struct {
	Commits bool    `json:"commits"`
	Since   *string `json:"since"`
}

// commitNode is a commit in a listing.
type commitNode struct {
	ID            string    `json:"id"`
	OID           string    `json:"oid"`
	CommittedDate time.Time `json:"committedDate"`
	Additions     *int      `json:"additions"`
	Deletions     *int      `json:"deletions"`
	Author        *gitActor `json:"author"`
	Parents       struct {
		TotalCount int `json:"totalCount"`
		Nodes      []*struct {
			OID string `json:"oid"`
		} `json:"nodes"`
	} `json:"parents"`

	// linesUnavailable says that the commit is left out of this reading, because GitHub does not return its lines.
	linesUnavailable bool
	// invalid has the fields that cannot be decoded.
	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *commitNode) UnmarshalJSON(raw []byte) (err error) {
	type plain commitNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	return err
}

// isMerge reports whether the commit has several parents: its lines do not count.
func (n *commitNode) isMerge() bool { return n.Parents.TotalCount > 1 }

// isObjectName reports whether a name is a SHA-1 or SHA-256 in the hexadecimal digits that git writes.
func isObjectName(name string) bool {
	return (len(name) == 40 || len(name) == 64) && strings.Trim(name, "0123456789abcdef") == ""
}
