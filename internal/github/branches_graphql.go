// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// branchesVariables are the variables of the Branches query.
type branchesVariables struct {
	IDs []string `json:"ids"`
}

func (branchesVariables) document() document { return branchesQuery }

// branchesData is the data of the Branches query.
type branchesData struct {
	Nodes []*branchesNode `json:"nodes"`
}

// branchesNode is a repository with its branches.
type branchesNode struct {
	DatabaseID int64    `json:"databaseId"`
	Trunk      *refNode `json:"defaultBranchRef"`
	Refs       *struct {
		PageInfo pageInfo   `json:"pageInfo"`
		Nodes    []*refNode `json:"nodes"`
	} `json:"refs"`
}

// refNode is a branch.
type refNode struct {
	Name   string      `json:"name"`
	Target *targetNode `json:"target"`
}

// targetNode is a commit of which the name is used.
type targetNode struct {
	OID string `json:"oid"`
}

// row returns the branch as a row; false for one without a commit.
func (n *refNode) row() (branchRow, bool) {
	if n == nil || n.Name == "" || n.Target == nil || !isObjectName(n.Target.OID) {
		return branchRow{}, false
	}
	return branchRow{name: n.Name, head: n.Target.OID}, true
}

// readGroup lists the branches of some repositories with one query, or with two where that is too much, and compares
// them.
func (r *branchReader) readGroup(ctx context.Context, group []*BranchesRequest) {
	if !r.canGoOn(ctx, nil) {
		return
	}
	v := branchesVariables{IDs: make([]string, len(group))}
	for i := range group {
		v.IDs[i] = group[i].Repo.NodeID
	}
	data, errs, err := runQuery[branchesData](r.scoped(ctx, 0), r.client, queryOptions{canShrink: len(group) > 1}, v)
	if transport.IsTooLarge(err) && len(group) > 1 {
		r.readGroup(ctx, group[:len(group)/2])
		r.readGroup(ctx, group[len(group)/2:])
		return
	}
	if err == nil && len(data.Nodes) != len(group) {
		err = missingDataError(branchesQuery, firstErrorUnder(errs, "nodes"), "list of the requested nodes")
	}
	r.canGoOn(ctx, err)
	readings := make([]*branchReading, len(group))
	for i, request := range group {
		itemErr := err
		if err == nil {
			itemErr = nodeError(branchesQuery, errs, i)
		}
		if itemErr == nil {
			readings[i], itemErr = r.readingOfNode(request, data.Nodes[i])
		}
		if itemErr != nil {
			readings[i] = newFailedReading(request, itemErr)
		}
	}
	r.compareGroup(ctx, readings)
	for _, reading := range readings {
		r.report(ctx, reading)
	}
}

// readingOfNode returns the reading of a node.
func (r *branchReader) readingOfNode(request *BranchesRequest, n *branchesNode) (*branchReading, error) {
	if n == nil || n.DatabaseID != request.Repo.ID || n.Refs == nil {
		return nil, missingDataError(branchesQuery, nil, "repository at its index")
	}
	trunk, _ := n.Trunk.row() // none in an empty repository
	rows := make([]branchRow, 0, len(n.Refs.Nodes))
	for _, node := range n.Refs.Nodes {
		row, ok := node.row()
		if !ok || trunk.head == "" {
			return nil, missingDataError(branchesQuery, nil, "commit of a branch")
		}
		rows = append(rows, row)
	}
	return r.newBranchReading(request, trunk, rows, n.Refs.PageInfo.HasNextPage), nil
}

// dueComparison is a branch that is to be compared.
type dueComparison struct {
	of    *branchReading
	index int
}

// compareGroup compares the branches of some repositories that are due, as many as may be.
func (r *branchReader) compareGroup(ctx context.Context, readings []*branchReading) {
	var due []dueComparison
	for _, reading := range readings {
		for _, i := range reading.due {
			due = append(due, dueComparison{reading, i})
		}
	}
	due = due[:min(len(due), r.left)]
	for group := range slices.Chunk(due, comparisonGroupSize) {
		r.compare(ctx, group)
	}
}

// comparisonVariables are the variables of a branch in the Comparisons query.
type comparisonVariables struct {
	ID   string `json:"id"`
	Base string `json:"base"`
	Head string `json:"head"`
}

// comparisonsVariables are the variables of the Comparisons query, which has some for each branch.
type comparisonsVariables []comparisonVariables

func (v comparisonsVariables) document() document { return comparisonsQuery[len(v)] }

// MarshalJSON implements json.Marshaler: the variables of a branch have its index in their names.
func (v comparisonsVariables) MarshalJSON() ([]byte, error) {
	object := make(map[string]json.RawMessage, 3*len(v))
	for i := range v {
		if err := addFields(object, v[i], strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	return json.Marshal(object)
}

// comparedNode is a repository with a comparison; nil where it cannot be made.
type comparedNode struct {
	Ref *struct {
		Compare *comparisonNode `json:"compare"`
	} `json:"ref"`
}

// comparisonNode is a comparison.
type comparisonNode struct {
	Ahead   *int64      `json:"aheadBy"`
	Behind  *int64      `json:"behindBy"`
	Base    *targetNode `json:"baseTarget"`
	Head    *targetNode `json:"headTarget"`
	Commits struct {
		Nodes []*struct {
			CommittedDate time.Time `json:"committedDate"`
		} `json:"nodes"`
	} `json:"commits"`
}

// compare compares some branches with one query, or with two where that is too much. What is too much alone is unknown.
func (r *branchReader) compare(ctx context.Context, due []dueComparison) {
	if !r.canGoOn(ctx, nil) {
		return
	}
	v := make(comparisonsVariables, len(due))
	for i, d := range due {
		b := &d.of.result.Branches
		v[i] = comparisonVariables{
			ID: d.of.request.Repo.NodeID, Base: "refs/heads/" + d.of.trunk, Head: b.List[d.index].Head,
		}
	}
	data, errs, err := runQuery[map[string]json.RawMessage](
		r.scoped(ctx, 0), r.client, queryOptions{canShrink: len(due) > 1}, v)
	if transport.IsTooLarge(err) && len(due) > 1 {
		r.compare(ctx, due[:len(due)/2])
		r.compare(ctx, due[len(due)/2:])
		return
	}
	r.left -= len(due)
	r.canGoOn(ctx, err)
	for i, d := range due {
		c, itemErr := (*comparison)(nil), err
		if err == nil {
			c, itemErr = comparisonOf(data, errs, "c"+strconv.Itoa(i))
		}
		if itemErr != nil && !transport.IsTooLarge(itemErr) {
			d.of.recordError(itemErr)
			continue
		}
		d.of.record(d.index, c)
	}
}

// comparisonOf returns a comparison of a response; nil for one that GitHub cannot make.
func comparisonOf(data map[string]json.RawMessage, errs []graphqlError, name string) (*comparison, error) {
	for i := range errs {
		if !errs[i].isUnder(name) {
			continue
		}
		err := partError(comparisonsQuery[1], &errs[i])
		if _, ok := errors.AsType[*transport.NotFoundError](err); ok && len(errs[i].Path) > 1 {
			return nil, nil
		}
		return nil, err
	}
	var node *comparedNode
	if err := json.Unmarshal(data[name], &node); err != nil || node == nil {
		return nil, missingDataError(comparisonsQuery[1], nil, "repository "+name)
	}
	if node.Ref == nil || node.Ref.Compare == nil {
		return nil, nil
	}
	c := node.Ref.Compare
	if c.Ahead == nil || c.Behind == nil || c.Base == nil || c.Head == nil {
		return nil, missingDataError(comparisonsQuery[1], nil, "numbers of a comparison")
	}
	found := &comparison{base: c.Base.OID, head: c.Head.OID, ahead: *c.Ahead, behind: *c.Behind}
	if nodes := c.Commits.Nodes; len(nodes) > 0 && nodes[0] != nil {
		found.first = nodes[0].CommittedDate
	}
	return found, nil
}
