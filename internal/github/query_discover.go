// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// discoverData is the data of the Discover query.
type discoverData struct {
	Organization *struct {
		Repositories struct {
			PageInfo pageInfo          `json:"pageInfo"`
			Nodes    []*repositoryNode `json:"nodes"`
		} `json:"repositories"`
	} `json:"organization"`
	Pulls  *markedOrg `json:"pulls"`
	Issues *markedOrg `json:"issues"`
}

// repositoryNode is a repository in a listing, or one that was looked up.
type repositoryNode struct {
	ID         string `json:"id"`
	DatabaseID int64  `json:"databaseId"`
	Name       string `json:"name"`
	repositoryFlags
	CreatedAt time.Time `json:"createdAt"`
	PushedAt  time.Time `json:"pushedAt"`
	// HasIssues and HasPulls are the features that are switched on. HasPulls is nil where the server's schema lacks
	// it.
	HasIssues *bool `json:"hasIssuesEnabled"`
	HasPulls  *bool `json:"hasPullRequestsEnabled"`
	Branch    *struct {
		Target *struct {
			OID string `json:"oid"`
		} `json:"target"`
	} `json:"defaultBranchRef"`

	invalid fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *repositoryNode) UnmarshalJSON(raw []byte) (err error) {
	type plain repositoryNode
	n.invalid, err = decodeRow(raw, (*plain)(n))
	n.checkHead()
	return err
}

// checkHead treats a head without an object name as a field that cannot be decoded.
func (n *repositoryNode) checkHead() {
	if n.Branch == nil || n.Branch.Target == nil || isObjectName(n.Branch.Target.OID) {
		return
	}
	n.Branch = nil
	if n.invalid == nil {
		n.invalid = make(fieldErrors)
	}
	n.invalid["defaultBranchRef"] = errNoHead
}

// repositoryFlags are properties of a repository that are true or false.
type repositoryFlags struct {
	IsArchived bool `json:"isArchived"`
	IsFork     bool `json:"isFork"`
	IsPrivate  bool `json:"isPrivate"`
	IsEmpty    bool `json:"isEmpty"`
}

// markedOrg has the newest pull request or issue of each repository of a page.
type markedOrg struct {
	Repositories struct {
		Nodes []*markedNode `json:"nodes"`
	} `json:"repositories"`
}

// nodes returns the repositories; nil without data.
func (o *markedOrg) nodes() []*markedNode {
	if o == nil {
		return nil
	}
	return o.Repositories.Nodes
}

// markedNode is a repository with the connection of its newest pull request or of its newest issue.
type markedNode struct {
	ID     string    `json:"id"`
	Pulls  *markList `json:"pullRequests"`
	Issues *markList `json:"issues"`
}

func (n *markedNode) pulls() *markList { return n.Pulls }

func (n *markedNode) issues() *markList { return n.Issues }

// markList has at most one row: the newest.
type markList struct {
	Nodes []*markNode `json:"nodes"`
}

// markNode is the newest pull request or issue of a repository.
type markNode struct {
	Number    int64     `json:"number"`
	UpdatedAt time.Time `json:"updatedAt"`

	// isInvalid says that a value cannot be decoded: the mark is unknown.
	isInvalid bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *markNode) UnmarshalJSON(raw []byte) error {
	type plain markNode
	wrong, err := decodeRow(raw, (*plain)(n))
	n.isInvalid = wrong != nil
	return err
}

// mark returns the newest of the list; false when GitHub did not return it.
func (l *markList) mark() (activity.LatestUpdate, bool) {
	switch {
	case l == nil || l.Nodes == nil:
		return activity.LatestUpdate{}, false
	case len(l.Nodes) == 0:
		return activity.LatestUpdate{}, true
	case l.Nodes[0] == nil || l.Nodes[0].isInvalid:
		return activity.LatestUpdate{}, false
	default:
		return activity.LatestUpdate{Number: l.Nodes[0].Number, UpdatedAt: l.Nodes[0].UpdatedAt}, true
	}
}

// nodeMarks are the marks of a page of repositories.
type nodeMarks struct{ pulls, issues marks }

func newNodeMarks(pulls, issues []*markedNode) nodeMarks {
	return nodeMarks{pulls: marksOf(pulls, (*markedNode).pulls), issues: marksOf(issues, (*markedNode).issues)}
}

// marks are the newest pull requests or issues by the node id of their repository. Those that the credential may not
// read, or that GitHub did not return, are missing.
type marks map[string]activity.LatestUpdate

func marksOf(nodes []*markedNode, list func(*markedNode) *markList) marks {
	byID := make(marks, len(nodes))
	for _, node := range nodes {
		if node == nil {
			continue
		}
		if mark, ok := list(node).mark(); ok {
			byID[node.ID] = mark
		}
	}
	return byID
}

// get returns the mark of a repository.
func (m marks) get(id string, enabled *bool) (activity.LatestUpdate, bool) {
	if isOff(enabled) {
		return activity.HiddenUpdate(), true
	}
	mark, ok := m[id]
	return mark, ok
}

// isOff reports whether a feature is known to be switched off.
func isOff(enabled *bool) bool { return enabled != nil && !*enabled }

// errNoHead is the error of a head that cannot be recorded: the ledger has heads by their object names.
var errNoHead = errors.New("a head without an object name")
