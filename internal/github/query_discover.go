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
	Pulls  *latestUpdatesOrg `json:"pulls"`
	Issues *latestUpdatesOrg `json:"issues"`

	Releases *releaseSignalsOrg `json:"releases"`

	// hasReleaseList says that the lists of releases were requested.
	hasReleaseList bool
}

// releaseSignalsOrg has the signals of releases of each repository of a page.
type releaseSignalsOrg struct {
	Repositories struct {
		Nodes []*releaseSignalNode `json:"nodes"`
	} `json:"repositories"`
}

// nodes returns the repositories; nil without data.
func (o *releaseSignalsOrg) nodes() []*releaseSignalNode {
	if o == nil {
		return nil
	}
	return o.Repositories.Nodes
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
	factFields
	Branch *struct {
		Name   string `json:"name"`
		Target *struct {
			OID string `json:"oid"`
		} `json:"target"`
	} `json:"defaultBranchRef"`

	// invalid has the fields that cannot be decoded.
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

// latestUpdatesOrg has the newest pull request or issue of each repository of a page.
type latestUpdatesOrg struct {
	Repositories struct {
		Nodes []*latestUpdateNode `json:"nodes"`
	} `json:"repositories"`
}

// nodes returns the repositories; nil without data.
func (o *latestUpdatesOrg) nodes() []*latestUpdateNode {
	if o == nil {
		return nil
	}
	return o.Repositories.Nodes
}

// latestUpdateNode is a repository with the connection of its newest pull request or of its newest issue.
type latestUpdateNode struct {
	ID     string            `json:"id"`
	Pulls  *latestUpdateList `json:"pullRequests"`
	Issues *latestUpdateList `json:"issues"`
}

// pulls returns the connection of pull requests; nil when it is missing.
func (n *latestUpdateNode) pulls() *latestUpdateList { return n.Pulls }

// issues returns the connection of issues; nil when it is missing.
func (n *latestUpdateNode) issues() *latestUpdateList { return n.Issues }

// latestUpdateList has at most one row: the newest.
type latestUpdateList struct {
	Nodes []*latestUpdateRow `json:"nodes"`
}

// latestUpdateRow is the newest pull request or issue of a repository.
type latestUpdateRow struct {
	Number    int64     `json:"number"`
	UpdatedAt time.Time `json:"updatedAt"`

	// isInvalid says that a value cannot be decoded: the latest update is unknown.
	isInvalid bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *latestUpdateRow) UnmarshalJSON(raw []byte) error {
	type plain latestUpdateRow
	wrong, err := decodeRow(raw, (*plain)(n))
	n.isInvalid = wrong != nil
	return err
}

// latestUpdate returns the newest of the list; false when GitHub did not return it.
func (l *latestUpdateList) latestUpdate() (activity.LatestUpdate, bool) {
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

// latestUpdates are the newest pull requests and issues, and the releases, of the repositories of a page.
type latestUpdates struct {
	pulls, issues updatesByNodeID
	// releases are by node id.
	releases map[string]activity.ReleaseSignal
}

func newLatestUpdates(pulls, issues []*latestUpdateNode, releases map[string]activity.ReleaseSignal) latestUpdates {
	return latestUpdates{
		pulls:    newUpdatesByNodeID(pulls, (*latestUpdateNode).pulls),
		issues:   newUpdatesByNodeID(issues, (*latestUpdateNode).issues),
		releases: releases,
	}
}

// updatesByNodeID has the newest pull requests, or issues, by the node id of their repository. Those that the
// credential may not read, or that GitHub did not return, are missing.
type updatesByNodeID map[string]activity.LatestUpdate

func newUpdatesByNodeID(nodes []*latestUpdateNode, list func(*latestUpdateNode) *latestUpdateList) updatesByNodeID {
	byID := make(updatesByNodeID, len(nodes))
	for _, node := range nodes {
		if node == nil {
			continue
		}
		if latest, ok := list(node).latestUpdate(); ok {
			byID[node.ID] = latest
		}
	}
	return byID
}

// get returns the latest update of a repository by its node id, and whether it is known. That of a feature that is
// switched off is activity.HiddenUpdate.
func (m updatesByNodeID) get(id string, enabled *bool) (activity.LatestUpdate, bool) {
	if isDisabled(enabled) {
		return activity.HiddenUpdate(), true
	}
	latest, ok := m[id]
	return latest, ok
}

// isDisabled reports whether a feature is known to be switched off; nil is unknown.
func isDisabled(enabled *bool) bool { return enabled != nil && !*enabled }

// errNoHead is the error of a head that cannot be recorded: the ledger has heads by their object names.
var errNoHead = errors.New("a head without an object name")
