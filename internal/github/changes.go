// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// changesGroupSize is the number of repositories of one Changes query, detailedGroupSize that of one with the
	// approvals or lines of each pull request.
	changesGroupSize  = 50
	detailedGroupSize = 10
	// maxChangePages bounds the pages of open pull requests of a repository: of more, drafts are not counted.
	maxChangePages = 30
)

// ChangeDetails are what is requested of single pull requests besides their number by state.
type ChangeDetails struct {
	// MaxRows is how many open ones, and how many merged ones, a result has; 0 for none.
	MaxRows int
	// States requests since when the open ones are in their state, Approvals the first approval of each, and Lines
	// those of the open ones. REST has none of them in a list.
	States, Approvals, Lines bool
}

// ChangesResult has the pull requests of a repository, or the reason why they are unknown.
type ChangesResult struct {
	RepoID  int64
	Changes activity.Changes
	Err     error
}

// ReadChanges reads the pull requests of repositories by state, and calls onResult once for each repository, until a
// limit or a refused credential ends the reading. With REST the closed and merged ones are not known: it lists both
// together.
func (c *Client) ReadChanges(
	ctx context.Context, org string, repos []activity.Repository, details ChangeDetails, onResult func(ChangesResult),
) {
	r := &changesReader{client: c, org: org, details: details, onResult: onResult}
	var nodes, single []activity.Repository
	for i := range repos {
		if c.settings.API == APIREST || repos[i].NodeID == "" {
			single = append(single, repos[i])
		} else {
			nodes = append(nodes, repos[i])
		}
	}
	size := changesGroupSize
	if details.States || details.Approvals || details.Lines {
		size = detailedGroupSize
	}
	for group := range slices.Chunk(nodes, size) {
		r.readGroup(ctx, group)
	}
	for i := range single {
		r.readREST(ctx, &single[i])
	}
}

// changesReader is one call of Client.ReadChanges.
type changesReader struct {
	client   *Client
	org      string
	details  ChangeDetails
	onResult func(ChangesResult)
	// isHalted says that no more requests are sent.
	isHalted bool
}

// canGoOn reports whether more requests are sent after an error.
func (r *changesReader) canGoOn(ctx context.Context, err error) bool {
	r.isHalted = r.isHalted || ctx.Err() != nil || isHalting(err)
	return !r.isHalted
}

// isHalting reports whether every further request would get the same error.
func isHalting(err error) bool {
	_, limited := errors.AsType[*transport.LimitError](err)
	_, refused := errors.AsType[*transport.CredentialError](err)
	return limited || refused
}

// report passes a result on, unless the reading was halted.
func (r *changesReader) report(ctx context.Context, result ChangesResult) {
	if r.canGoOn(ctx, result.Err) {
		r.onResult(result)
	}
}

// changesVariables are the variables of the Changes query.
type changesVariables struct {
	IDs       []string `json:"ids"`
	After     *string  `json:"after"`
	Merged    int      `json:"merged"`
	Details   bool     `json:"details"`
	States    bool     `json:"states"`
	Approvals bool     `json:"approvals"`
	Lines     bool     `json:"lines"`
}

func (changesVariables) document() document { return changesQuery }

// changesData is the data of the Changes query.
type changesData struct {
	Nodes []*changesNode `json:"nodes"`
}

// changesNode is a repository with its pull requests.
type changesNode struct {
	DatabaseID int64          `json:"databaseId"`
	Open       changeNodeList `json:"open"`
	Closed     changeNodeList `json:"closed"`
	Merged     changeNodeList `json:"merged"`
}

// changeNodeList is a page of pull requests.
type changeNodeList struct {
	TotalCount uint64        `json:"totalCount"`
	PageInfo   pageInfo      `json:"pageInfo"`
	Nodes      []*changeNode `json:"nodes"`
}

// changeNode is a pull request.
type changeNode struct {
	Number    int64      `json:"number"`
	IsDraft   bool       `json:"isDraft"`
	CreatedAt time.Time  `json:"createdAt"`
	MergedAt  *time.Time `json:"mergedAt"`
	HeadRef   string     `json:"headRefName"`
	BaseRef   string     `json:"baseRefName"`
	IsFork    bool       `json:"isCrossRepository"`
	Additions *uint64    `json:"additions"`
	Deletions *uint64    `json:"deletions"`
	// Timeline is nil when it was not requested.
	Timeline *struct {
		Nodes []*struct {
			CreatedAt time.Time `json:"createdAt"`
		} `json:"nodes"`
	} `json:"timelineItems"`
	Reviews struct {
		Nodes []*struct {
			SubmittedAt *time.Time `json:"submittedAt"`
		} `json:"nodes"`
	} `json:"reviews"`
}

// readGroup reads some repositories with one query, and in halves where that is too much.
func (r *changesReader) readGroup(ctx context.Context, group []activity.Repository) {
	if !r.canGoOn(ctx, nil) {
		return
	}
	data, errs, err := r.request(ctx, group, nil)
	if transport.IsTooLarge(err) && len(group) > 1 {
		r.readGroup(ctx, group[:len(group)/2])
		r.readGroup(ctx, group[len(group)/2:])
		return
	}
	if err == nil && len(data.Nodes) != len(group) {
		err = missingDataError(changesQuery, firstErrorUnder(errs, "nodes"), "list of the requested nodes")
	}
	for i := range group {
		result := ChangesResult{RepoID: group[i].ID, Err: err}
		if err == nil {
			result = r.resultOf(ctx, &group[i], data.Nodes[i], nodeError(changesQuery, errs, i))
		}
		r.report(ctx, result)
	}
}

// nodeError returns the error of the i-th of the nodes of a query, or of something in it; nil for none.
func nodeError(doc document, errs []graphqlError, i int) error {
	for k := range errs {
		if errs[k].isAtItem(lookupPath, i) {
			return partError(doc, &errs[k])
		}
	}
	return nil
}

// request requests a page of open pull requests, with everything else.
func (r *changesReader) request(
	ctx context.Context, group []activity.Repository, after *string,
) (changesData, []graphqlError, error) {
	ids := make([]string, len(group))
	for i := range group {
		ids[i] = group[i].NodeID
	}
	if len(group) == 1 {
		ctx = transport.WithScope(ctx, transport.Scope{RepoID: group[0].ID})
	}
	return runQuery[changesData](ctx, r.client, queryOptions{canShrink: len(group) > 1}, changesVariables{
		IDs: ids, After: after, Merged: min(max(1, r.details.MaxRows), perPage), Details: r.details.MaxRows > 0,
		States: r.details.States, Approvals: r.details.Approvals, Lines: r.details.Lines,
	})
}

// resultOf returns the result of a node. Where a page does not have all open pull requests it requests the others.
func (r *changesReader) resultOf(
	ctx context.Context, repo *activity.Repository, node *changesNode, err error,
) ChangesResult {
	result := ChangesResult{RepoID: repo.ID, Err: err}
	if err == nil && (node == nil || node.DatabaseID != repo.ID) {
		result.Err = missingDataError(changesQuery, nil, "repository at its index")
	}
	if result.Err != nil {
		return result
	}
	changes := &result.Changes
	changes.Count[activity.ChangeClosed] = activity.KnownNumber(node.Closed.TotalCount)
	changes.Count[activity.ChangeMerged] = activity.KnownNumber(node.Merged.TotalCount)
	rows := changeRowsOf(node.Open.Nodes)
	page := node.Open
	for number := 1; page.PageInfo.HasNextPage && number < maxChangePages; number++ {
		data, errs, err := r.request(ctx, []activity.Repository{*repo}, &page.PageInfo.EndCursor)
		if err == nil {
			err = nodeError(changesQuery, errs, 0)
		}
		if err == nil && (len(data.Nodes) != 1 || data.Nodes[0] == nil) {
			err = missingDataError(changesQuery, nil, "repository at its index")
		}
		if err != nil {
			return ChangesResult{RepoID: repo.ID, Err: err}
		}
		page = data.Nodes[0].Open
		rows = append(rows, changeRowsOf(page.Nodes)...)
	}
	r.addOpen(changes, rows, !page.PageInfo.HasNextPage)
	r.addRows(changes, changeRowsOf(node.Merged.Nodes), false)
	return result
}

// changeRowsOf converts the nodes of a page.
func changeRowsOf(nodes []*changeNode) []activity.VCSChange {
	rows := make([]activity.VCSChange, 0, len(nodes))
	for _, n := range nodes {
		if n == nil || n.Number <= 0 {
			continue
		}
		row := activity.VCSChange{
			Number: n.Number, State: openState(n.IsDraft), Created: wholeSeconds(n.CreatedAt),
			Head: transport.Printable(n.HeadRef), Base: transport.Printable(n.BaseRef),
			IsFork: n.IsFork,
		}
		if n.Timeline != nil {
			row.Since = row.Created
			if items := n.Timeline.Nodes; len(items) > 0 && items[0] != nil {
				row.Since = wholeSeconds(items[0].CreatedAt)
			}
		}
		if n.MergedAt != nil {
			row.State, row.Since = activity.ChangeMerged, wholeSeconds(*n.MergedAt)
		}
		if reviews := n.Reviews.Nodes; len(reviews) > 0 && reviews[0] != nil && reviews[0].SubmittedAt != nil {
			row.Approved = wholeSeconds(*reviews[0].SubmittedAt)
		}
		if n.Additions != nil && n.Deletions != nil {
			row.Added, row.Removed = activity.KnownNumber(*n.Additions), activity.KnownNumber(*n.Deletions)
		}
		rows = append(rows, row)
	}
	return rows
}

// openState returns the state of an open pull request.
func openState(isDraft bool) activity.ChangeState {
	if isDraft {
		return activity.ChangeWIP
	}
	return activity.ChangeOpen
}

// addOpen adds the open pull requests, the newest first. Those that are drafts are counted when all are there.
func (r *changesReader) addOpen(c *activity.Changes, rows []activity.VCSChange, isComplete bool) {
	slices.SortStableFunc(rows, func(a, b activity.VCSChange) int { return int(b.Number - a.Number) })
	rows = slices.CompactFunc(rows, func(a, b activity.VCSChange) bool { return a.Number == b.Number })
	if isComplete {
		var count [activity.NumChangeStates]uint64
		for i := range rows {
			count[rows[i].State]++
		}
		for _, s := range []activity.ChangeState{activity.ChangeOpen, activity.ChangeWIP} {
			c.Count[s] = activity.KnownNumber(count[s])
		}
	}
	r.addRows(c, rows, !isComplete)
}

// addRows adds the first rows to the list, as many as are wanted.
func (r *changesReader) addRows(c *activity.Changes, rows []activity.VCSChange, isCut bool) {
	if r.details.MaxRows == 0 {
		return
	}
	if len(rows) > r.details.MaxRows {
		rows, isCut = rows[:r.details.MaxRows], true
	}
	c.IsCut = c.IsCut || isCut
	c.List = append(c.List, rows...)
	slices.SortFunc(c.List, func(a, b activity.VCSChange) int { return int(a.Number - b.Number) })
	c.List = slices.CompactFunc(c.List, func(a, b activity.VCSChange) bool { return a.Number == b.Number })
}
