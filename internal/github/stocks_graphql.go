// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// stockGroupSize is the number of repositories of one query, pullStatesSize that of pull requests: a point each.
	stockGroupSize = 50
	pullStatesSize = 50
	// manyOpenPulls is the size of a stock of which a page may not have everything: its closed ones are asked for, too.
	manyOpenPulls = 90
	// stockOverlap is how far a page must reach back before the former stock: GitHub's replicas may lag.
	stockOverlap = 2 * time.Minute
)

// stocksVariables are the variables of the Stocks query.
type stocksVariables struct {
	PullsOf  []string `json:"pullsOf"`
	IssuesOf []string `json:"issuesOf"`
	Pulls    bool     `json:"pulls"`
	Ended    bool     `json:"ended"`
	Issues   bool     `json:"issues"`
}

func (stocksVariables) document() document { return stocksQuery }

// stocksData is the data of the Stocks query.
type stocksData struct {
	PullsOf  []*stockNode `json:"pullsOf"`
	IssuesOf []*stockNode `json:"issuesOf"`
}

// stockNode is a repository with its open pull requests, or with the number of its open issues.
type stockNode struct {
	DatabaseID int64           `json:"databaseId"`
	HasPulls   json.RawMessage `json:"hasPullRequestsEnabled"`
	HasIssues  json.RawMessage `json:"hasIssuesEnabled"`
	Pulls      *openPullList   `json:"pullRequests"`
	Ended      *openPullList   `json:"ended"`
	Issues     *openIssueList  `json:"issues"`
}

// openPullList is a page of pull requests.
type openPullList struct {
	TotalCount int             `json:"totalCount"`
	PageInfo   pageInfo        `json:"pageInfo"`
	Nodes      []*openPullNode `json:"nodes"`
}

// openPullNode is a pull request in a page.
type openPullNode struct {
	ID        string    `json:"id"`
	Number    int64     `json:"number"`
	CreatedAt time.Time `json:"createdAt"`
	UpdatedAt time.Time `json:"updatedAt"`
	IsDraft   bool      `json:"isDraft"`
}

// openIssueList has the number of open issues, and the oldest one.
type openIssueList struct {
	TotalCount int `json:"totalCount"`
	Nodes      []*struct {
		CreatedAt time.Time `json:"createdAt"`
	} `json:"nodes"`
}

// pendingStock is a repository whose stocks are being read.
type pendingStock struct {
	request *StockRequest
	result  StockResult
	rows    []openRow
	hasRows bool
}

// readGraphQL reads the stocks of repositories, group by group: first those that a page has completely.
func (s *stockReader) readGraphQL(ctx context.Context, requests []StockRequest) {
	isLarge := func(r *StockRequest) bool { return r.Pulls && len(r.Former.Pulls) > manyOpenPulls }
	for _, large := range []bool{false, true} {
		var list []*pendingStock
		for i := range requests {
			if isLarge(&requests[i]) == large {
				list = append(list, &pendingStock{
					request: &requests[i], result: StockResult{RepoID: requests[i].Repo.ID},
				})
			}
		}
		for _, group := range stockGroups(list) {
			groupCtx := transport.WithScope(ctx, transport.Scope{
				RepoID: group.repo(), Patience: s.client.transport.NewPatience(activityPatience, false),
			})
			s.readGroup(groupCtx, group, large)
			s.completeGroup(groupCtx, group)
			for _, p := range group {
				if p.hasRows && p.result.PullsErr == nil {
					p.result.Pulls = stockOf(p.rows)
				}
				s.onResult(p.result)
			}
		}
	}
}

// stockGroup are repositories whose stocks are read together.
type stockGroup []*pendingStock

// repo returns the id of the only repository of a group; 0 for several.
func (g stockGroup) repo() int64 {
	if len(g) > 1 {
		return 0
	}
	return g[0].request.Repo.ID
}

// stockGroups returns the groups in which repositories are read: those that have failed before each alone.
func stockGroups(list []*pendingStock) []stockGroup {
	var groups []stockGroup
	var together []*pendingStock
	for _, p := range list {
		if p.request.HasFailed {
			groups = append(groups, stockGroup{p})
		} else {
			together = append(together, p)
		}
	}
	for some := range slices.Chunk(together, stockGroupSize) {
		groups = append(groups, some)
	}
	return groups
}

// smallerGroup returns the size of the parts of a group that was too much. The parts of one that has a repository, or a
// pull request, which GitHub cannot serve succeed in turn with those that fail.
func smallerGroup(size int) int {
	if size > 10 {
		return 10
	}
	return 1
}

// readGroup requests the lists of some repositories together, and in parts where that is too much.
func (s *stockReader) readGroup(ctx context.Context, group []*pendingStock, large bool) {
	v := stocksVariables{PullsOf: []string{}, IssuesOf: []string{}, Ended: large}
	for _, p := range group {
		if p.request.Pulls {
			v.PullsOf = append(v.PullsOf, p.request.Repo.NodeID)
		}
		if p.request.Issues {
			v.IssuesOf = append(v.IssuesOf, p.request.Repo.NodeID)
		}
	}
	v.Pulls, v.Issues = len(v.PullsOf) > 0, len(v.IssuesOf) > 0
	err := s.check(ctx, nil)
	var data stocksData
	var errs []graphqlError
	if err == nil {
		data, errs, err = runQuery[stocksData](ctx, s.client, queryOptions{canShrink: len(group) > 1}, v)
		if transport.IsTooLarge(err) && len(group) > 1 {
			for part := range slices.Chunk(group, smallerGroup(len(group))) {
				s.readGroup(ctx, part, large)
			}
			return
		}
		_ = s.check(ctx, err)
	}
	if err == nil && (len(data.PullsOf) != len(v.PullsOf) || len(data.IssuesOf) != len(v.IssuesOf)) {
		err = missingDataError(stocksQuery, errs, "list of the requested nodes")
	}
	pulls, issues := 0, 0
	for _, p := range group {
		if p.request.Pulls {
			s.takePulls(ctx, p, data.PullsOf, errs, pulls, err)
			pulls++
		}
		if p.request.Issues {
			p.result.Issues, p.result.IssuesErr = issueStock(p, data.IssuesOf, errs, issues, err)
			issues++
		}
	}
}

// stockItem returns the i-th repository of a list, or the reason why it is missing.
func stockItem(p *pendingStock, list []*stockNode, name string, errs []graphqlError, i int) (*stockNode, error) {
	for k := range errs {
		if errs[k].isAtItem([]string{name}, i) {
			return nil, partError(stocksQuery, &errs[k])
		}
	}
	if list[i] == nil || list[i].DatabaseID != p.request.Repo.ID {
		return nil, missingDataError(stocksQuery, nil, "repository at its index")
	}
	return list[i], nil
}

// takePulls takes the open pull requests of a repository from a response that may have failed with err.
func (s *stockReader) takePulls(
	ctx context.Context, p *pendingStock, list []*stockNode, errs []graphqlError, i int, err error,
) {
	var node *stockNode
	if err == nil {
		node, err = stockItem(p, list, "pullsOf", errs, i)
	}
	switch {
	case err != nil:
	case string(node.HasPulls) == "false":
		err = errPullsOff()
	case node.Pulls == nil || node.Pulls.Nodes == nil:
		err = missingDataError(stocksQuery, errs, "open pull requests")
	case node.Pulls.TotalCount > maxOpenPulls:
		p.result.Pulls = &activity.PullStock{IsTooLarge: true}
		return
	default:
		p.rows, err = s.openRows(ctx, p.request, node)
	}
	p.result.PullsErr, p.hasRows = err, err == nil
}

// issueStock returns the number of open issues of a repository from a response that may have failed with err.
func issueStock(
	p *pendingStock, list []*stockNode, errs []graphqlError, i int, err error,
) (*activity.IssueStock, error) {
	var node *stockNode
	if err == nil {
		node, err = stockItem(p, list, "issuesOf", errs, i)
	}
	switch {
	case err != nil:
		return nil, err
	case string(node.HasIssues) == "false":
		return nil, notInActivity("issues are switched off")
	case node.Issues == nil || node.Issues.Nodes == nil, node.Issues.TotalCount > 0 && len(node.Issues.Nodes) == 0,
		len(node.Issues.Nodes) > 0 && node.Issues.Nodes[0] == nil:
		return nil, missingDataError(stocksQuery, errs, "open issues")
	}
	stock := &activity.IssueStock{Open: max(0, node.Issues.TotalCount)}
	if stock.Open > 0 {
		stock.Oldest = wholeSeconds(node.Issues.Nodes[0].CreatedAt)
	}
	return stock, nil
}

// openRows returns all open pull requests of a repository: those of the page, or those of the former stock with what
// has changed since, or those of a listing of its own.
func (s *stockReader) openRows(ctx context.Context, request *StockRequest, node *stockNode) ([]openRow, error) {
	rows, err := pageRows(node.Pulls)
	switch {
	case err != nil:
		return nil, err
	case node.Pulls.PageInfo.HasNextPage:
		if moved, ok := moveOn(&request.Former, rows, node); ok {
			return moved, nil
		}
		if rows, err = s.listOpen(s.scoped(ctx, request.Repo.ID), request.Repo.NodeID); err != nil {
			return nil, err
		}
	}
	settleRows(rows, &request.Former)
	return rows, nil
}

// pageRows returns the rows of a page.
func pageRows(list *openPullList) ([]openRow, error) {
	rows := make([]openRow, 0, len(list.Nodes))
	for _, n := range list.Nodes {
		if n == nil {
			return nil, missingDataError(stocksQuery, nil, "pull request at its index of the page")
		}
		rows = append(rows, openRow{nodeID: n.ID, OpenPull: activity.OpenPull{
			Number: n.Number, Created: wholeSeconds(n.CreatedAt), Updated: wholeSeconds(n.UpdatedAt),
			IsDraft: n.IsDraft,
		}})
	}
	return rows, nil
}

// moveOn returns the former stock without the pull requests that have ended since, with those of a page that has all
// open ones that were updated since. It returns false when the pages do not reach back to the former stock, and when
// the number is not GitHub's.
func moveOn(former *activity.PullStock, page []openRow, node *stockNode) ([]openRow, bool) {
	since := former.SeenAt.Add(-stockOverlap)
	if former.SeenAt.IsZero() || former.IsTooLarge || node.Ended == nil || len(page) == 0 ||
		!page[len(page)-1].Updated.Before(since) {
		return nil, false
	}
	ended := node.Ended.Nodes
	if node.Ended.PageInfo.HasNextPage &&
		(len(ended) == 0 || ended[len(ended)-1] == nil || !ended[len(ended)-1].UpdatedAt.Before(since)) {
		return nil, false
	}
	left := make(map[int64]bool)
	for _, n := range ended {
		if n == nil {
			return nil, false
		}
		left[n.Number] = true
	}
	settleRows(page, former)
	for i := range page {
		left[page[i].Number] = true // it is in the page
	}
	rows := page
	for i := range former.Pulls {
		if !left[former.Pulls[i].Number] {
			rows = append(rows, openRow{OpenPull: former.Pulls[i], isKnown: true})
		}
	}
	return rows, len(rows) == node.Pulls.TotalCount
}

// openPullsVariables are the variables of the OpenPulls query.
type openPullsVariables struct {
	ID    string  `json:"id"`
	After *string `json:"after"`
}

func (openPullsVariables) document() document { return openPullsQuery }

// listOpen lists the open pull requests of one repository.
func (s *stockReader) listOpen(ctx context.Context, id string) ([]openRow, error) {
	var all []openRow
	v := openPullsVariables{ID: id}
	for range maxOpenPulls / perPage {
		if err := s.check(ctx, nil); err != nil {
			return nil, err
		}
		data, errs, err := runQuery[struct {
			Node *stockNode `json:"node"`
		}](ctx, s.client, queryOptions{}, v)
		if err != nil {
			_ = s.check(ctx, err)
			return nil, err
		}
		if data.Node == nil || data.Node.Pulls == nil || data.Node.Pulls.Nodes == nil {
			return nil, missingDataError(openPullsQuery, errs, "open pull requests")
		}
		rows, err := pageRows(data.Node.Pulls)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
		next := data.Node.Pulls.PageInfo
		if !next.HasNextPage {
			return all, nil
		}
		if v.After != nil && *v.After == next.EndCursor {
			break
		}
		v.After = &next.EndCursor
	}
	return nil, errEndless(openPullsQuery.name)
}
