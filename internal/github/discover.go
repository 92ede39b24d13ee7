// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// listingConcurrency bounds the pages of a listing, or the lookups, in flight.
const listingConcurrency = 4

// Discover calls page for each page of the repositories that the credential can see in the organization, one page at
// a time and in no order. A repository may be repeated, and one that exists may be missing when the listing shifts
// meanwhile: Lookup finds out whether it is gone. The error is an *IncompleteError when all pages were read and
// GitHub did not return some of the repositories in them. Discover never searches: a search ends after 1,000 results.
func (c *Client) Discover(ctx context.Context, org string, page func([]activity.Repository) error) error {
	if c.settings.API == APIREST {
		return c.discoverREST(ctx, org, page)
	}
	err := c.discoverGraphQL(ctx, org, page)
	if errors.As(err, new(*SchemaError)) {
		return c.discoverREST(ctx, org, page) // what it does not tell of changes is read every time
	}
	return err
}

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

type pageInfo struct {
	HasNextPage bool   `json:"hasNextPage"`
	EndCursor   string `json:"endCursor"`
}

type repositoryNode struct {
	ID         string    `json:"id"`
	DatabaseID int64     `json:"databaseId"`
	Name       string    `json:"name"`
	IsArchived bool      `json:"isArchived"`
	IsFork     bool      `json:"isFork"`
	IsPrivate  bool      `json:"isPrivate"`
	IsEmpty    bool      `json:"isEmpty"`
	CreatedAt  time.Time `json:"createdAt"`
	PushedAt   time.Time `json:"pushedAt"`
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

// markedOrg has the newest pull request or issue of each repository of a page.
type markedOrg struct {
	Repositories struct {
		Nodes []*markedNode `json:"nodes"`
	} `json:"repositories"`
}

func (o *markedOrg) nodes() []*markedNode {
	if o == nil {
		return nil
	}
	return o.Repositories.Nodes
}

type markedNode struct {
	ID     string    `json:"id"`
	Pulls  *markList `json:"pullRequests"`
	Issues *markList `json:"issues"`
}

type markList struct {
	Nodes []*markNode `json:"nodes"`
}

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

func isOff(enabled *bool) bool { return enabled != nil && !*enabled }

// streamsOff returns the streams that have nothing to read: pull requests and issues where they are switched off, and
// comments where both are (https://docs.github.com/rest/repos/repos#get-a-repository). An unknown
// feature counts as switched on.
func streamsOff(pulls, issues *bool) activity.Streams {
	var off activity.Streams
	if isOff(pulls) {
		off = off.With(activity.StreamPulls)
	}
	if isOff(issues) {
		off = off.With(activity.StreamIssues)
	}
	if isOff(pulls) && isOff(issues) {
		off = off.With(activity.StreamComments)
	}
	return off
}

func (n *markedNode) pulls() *markList  { return n.Pulls }
func (n *markedNode) issues() *markList { return n.Issues }

// repository converts a node. isIncomplete says that GitHub did not return a part of it: then its push time and head
// are no signals.
func (n *repositoryNode) repository(m nodeMarks, isIncomplete bool) activity.Repository {
	repo := activity.Repository{
		ID: n.DatabaseID, NodeID: n.ID, Name: n.Name,
		Archived: n.IsArchived, Fork: n.IsFork, Private: n.IsPrivate, Empty: n.IsEmpty,
		FlagsUnknown: n.invalid.hasAny("isArchived", "isFork", "hasIssuesEnabled", "hasPullRequestsEnabled"),
		Signals: activity.Signals{
			PushedAt: n.PushedAt, Archived: n.IsArchived, Disabled: streamsOff(n.HasPulls, n.HasIssues),
		},
	}
	for _, source := range streamSources {
		if source.signal(n, m, isIncomplete, &repo.Signals) {
			repo.Signals.Streams = repo.Signals.Streams.With(source.stream)
		}
	}
	return repo
}

// repositoryName matches the names that GitHub allows; neither "." nor ".." is one.
var repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// isValidRepository reports whether a repository has an id and a name that GitHub allows. It reports one that has
// not.
func (c *Client) isValidRepository(id int64, name string) bool {
	if id > 0 && repositoryName.MatchString(name) && strings.Trim(name, ".") != "" {
		return true
	}
	err := fmt.Errorf("repository %d %q: no id, or a name that GitHub does not allow", id, transport.Printable(name))
	c.transport.ReportInvalidValue(err)
	return false
}
