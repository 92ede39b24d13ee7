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

// The bounds of a stock. With REST each open pull request is a request at the first reading of its repository.
const (
	maxOpenPulls     = 3000
	maxOpenPullsREST = 500
	// maxOpenIssuesREST bounds the open issues and pull requests together, which REST lists in pages of 100.
	maxOpenIssuesREST = 2000
	// maxStockRequestsREST is how many requests one call of ReadStocks sends with REST before it stops.
	maxStockRequestsREST = 300
)

// StockRequest asks for stocks of a repository.
type StockRequest struct {
	Repo          activity.Repository
	Pulls, Issues bool
	// Former are the open pull requests of the last reading. Those that were not updated since are not asked for again.
	Former activity.PullStock
	// HasFailed says that the last reading failed: the repository is read apart from others.
	HasFailed bool
}

// StockResult has the stocks of a repository, without SeenAt. What was not requested, or failed, is nil.
type StockResult struct {
	RepoID              int64
	Pulls               *activity.PullStock
	Issues              *activity.IssueStock
	PullsErr, IssuesErr error
}

// ReadStocks reads stocks, and calls onResult once for each repository that it has asked for. With REST it ends after a
// number of requests: the repositories behind have no result.
func (c *Client) ReadStocks(ctx context.Context, org string, requests []StockRequest, onResult func(StockResult)) {
	s := &stockReader{client: c, org: org, onResult: onResult}
	var nodes, single []StockRequest
	for i := range requests {
		if c.settings.API == APIREST || requests[i].Repo.NodeID == "" {
			single = append(single, requests[i])
		} else {
			nodes = append(nodes, requests[i])
		}
	}
	s.readGraphQL(ctx, nodes)
	s.readREST(ctx, single)
}

// stockReader is one call of Client.ReadStocks.
type stockReader struct {
	client   *Client
	org      string
	onResult func(StockResult)
	// requests counts those of REST.
	requests int
	// haltedBy is the error that every further request would get as well; nil for none.
	haltedBy error
}

// check returns the reason why no more requests are sent, and notes the error of the last one.
func (s *stockReader) check(ctx context.Context, err error) error {
	var limit *transport.LimitError
	var credential *transport.CredentialError
	if errors.As(err, &limit) || errors.As(err, &credential) {
		s.haltedBy = err
	}
	if s.haltedBy == nil {
		s.haltedBy = context.Cause(ctx)
	}
	return s.haltedBy
}

// scoped returns the context of the requests about a repository.
func (s *stockReader) scoped(ctx context.Context, repo int64) context.Context {
	return transport.WithScope(ctx, transport.Scope{
		RepoID: repo, Patience: s.client.transport.NewPatience(commentsPatience, false),
	})
}

// openRow is an open pull request in a listing.
type openRow struct {
	activity.OpenPull

	nodeID string
	// isKnown says that the former stock has what the listing does not have.
	isKnown bool
}

// settle completes rows by the former stock: a pull request that was not updated since is as it was.
func settleRows(rows []openRow, former *activity.PullStock) {
	known := make(map[int64]*activity.OpenPull, len(former.Pulls))
	for i := range former.Pulls {
		known[former.Pulls[i].Number] = &former.Pulls[i]
	}
	settled := former.SeenAt.Add(-settleAfter)
	for i := range rows {
		was, row := known[rows[i].Number], &rows[i]
		if was == nil || !was.Updated.Equal(row.Updated) || !was.Updated.Before(settled) {
			continue
		}
		row.IsReviewed, row.Awaited, row.isKnown = was.IsReviewed, was.Awaited, true
	}
}

// stockOf returns the stock of rows, in the order of their numbers.
func stockOf(rows []openRow) *activity.PullStock {
	stock := &activity.PullStock{Pulls: make([]activity.OpenPull, 0, len(rows))}
	for i := range rows {
		stock.Pulls = append(stock.Pulls, rows[i].OpenPull)
	}
	slices.SortFunc(stock.Pulls, func(a, b activity.OpenPull) int { return int(a.Number - b.Number) })
	stock.Pulls = slices.CompactFunc(stock.Pulls, func(a, b activity.OpenPull) bool { return a.Number == b.Number })
	return stock
}

// wholeSeconds returns a time as stocks have it.
func wholeSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
