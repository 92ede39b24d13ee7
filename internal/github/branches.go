// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// branchGroupSize is the number of repositories of one Branches query, and comparisonGroupSize that of branches in
	// one Comparisons query: GitHub walks the history for each of them.
	branchGroupSize     = 50
	comparisonGroupSize = 25
	// maxComparisons and maxComparisonsREST are how many branches one call of ReadBranches compares. With REST each is
	// a request.
	maxComparisons     = 500
	maxComparisonsREST = 100
)

// BranchesRequest asks for the branches of a repository.
type BranchesRequest struct {
	Repo activity.Repository
	// Former are the branches of the last reading. What has not moved since is not compared again.
	Former activity.Branches
}

// BranchesResult has the branches of a repository. They are valid where IsListed is set.
type BranchesResult struct {
	RepoID   int64
	Branches activity.Branches
	IsListed bool
	// IsComplete says that all of them are current.
	IsComplete bool
	// Err is why the list, or a comparison, could not be read; nil where only the bound on comparisons was reached.
	Err error
}

// ReadBranches reads the branches of repositories in the background: the first maxRefs of a page of them by name,
// compared with the default branch. It calls onResult once for each repository that it came to, and ends at a limit, a
// refused credential, and its bound on comparisons.
func (c *Client) ReadBranches(
	ctx context.Context, org string, requests []BranchesRequest, maxRefs int, onResult func(BranchesResult),
) {
	r := &branchReader{client: c, org: org, maxRefs: maxRefs, onResult: onResult}
	var nodes, single []*BranchesRequest
	for i := range requests {
		if c.settings.API == APIREST || requests[i].Repo.NodeID == "" {
			single = append(single, &requests[i])
		} else {
			nodes = append(nodes, &requests[i])
		}
	}
	r.left = maxComparisons
	for group := range slices.Chunk(nodes, branchGroupSize) {
		r.readGroup(ctx, group)
	}
	r.left = maxComparisonsREST
	for _, request := range single {
		r.readREST(ctx, request)
	}
}

// branchReader is one call of Client.ReadBranches.
type branchReader struct {
	client   *Client
	org      string
	maxRefs  int
	onResult func(BranchesResult)
	// left is how many branches may still be compared.
	left int
	// isHalted says that no more requests are sent.
	isHalted bool
}

// canGoOn reports whether more requests are sent after an error.
func (r *branchReader) canGoOn(ctx context.Context, err error) bool {
	r.isHalted = r.isHalted || ctx.Err() != nil || isHalting(err)
	return !r.isHalted && r.left > 0
}

// scoped returns the context of requests about a repository, or about several for 0.
func (r *branchReader) scoped(ctx context.Context, repo int64) context.Context {
	return transport.WithScope(ctx, transport.Scope{RepoID: repo, Priority: budget.Background})
}

// branchRow is a branch in a listing.
type branchRow struct{ name, head string }

// branchReading is a repository whose branches are being read.
type branchReading struct {
	request *BranchesRequest
	result  BranchesResult
	// trunk is the name of the default branch as GitHub has it.
	trunk string
	// due are the indexes of the branches that are to be compared.
	due []int
}

// newFailedReading returns a reading without a list, because of an error.
func newFailedReading(request *BranchesRequest, err error) *branchReading {
	return &branchReading{request: request, result: BranchesResult{RepoID: request.Repo.ID, Err: err}}
}

// newBranchReading returns the reading of a listing: the numbers of a former one are current where neither the branch
// nor the default branch has moved.
func (r *branchReader) newBranchReading(
	request *BranchesRequest, trunk branchRow, rows []branchRow, hasMore bool,
) *branchReading {
	former := &request.Former
	reading := newFailedReading(request, nil)
	reading.result.IsListed, reading.trunk = true, trunk.name
	b := &reading.result.Branches
	b.Trunk, b.Head, b.IsCut = transport.Printable(trunk.name), trunk.head, hasMore
	isSameTrunk := former.Trunk == b.Trunk && former.Head == b.Head
	known := make(map[string]*activity.VCSBranch, len(former.List))
	for i := range former.List {
		known[former.List[i].Name] = &former.List[i]
	}
	for _, row := range rows {
		if row.name == trunk.name {
			continue
		}
		if len(b.List) >= r.maxRefs {
			b.IsCut = true
			break
		}
		branch := activity.VCSBranch{Name: transport.Printable(row.name)}
		if was := known[branch.Name]; was != nil {
			branch = *was
			branch.IsCurrent = was.IsCurrent && isSameTrunk && was.Head == row.head
		}
		if branch.Head = row.head; row.head == trunk.head {
			branch = equalBranch(branch.Name, row.head)
		}
		if !branch.IsCurrent {
			reading.due = append(reading.due, len(b.List))
		}
		b.List = append(b.List, branch)
	}
	return reading
}

// equalBranch is a branch with the head of the default branch.
func equalBranch(name, head string) activity.VCSBranch {
	zero := activity.KnownNumber(0)
	return activity.VCSBranch{Name: name, Head: head, IsCurrent: true, Ahead: zero, Behind: zero}
}

// comparison is how a commit relates to the default branch.
type comparison struct {
	base, head    string
	ahead, behind int64
	// first is the time of the oldest commit ahead; zero for none.
	first time.Time
}

// record records the comparison of the i-th branch, nil for one that GitHub cannot make: its numbers are unknown. One
// of other commits, because the default branch has moved meanwhile, is made again.
func (b *branchReading) record(i int, c *comparison) {
	branch := &b.result.Branches.List[i]
	switch {
	case c == nil:
		*branch = activity.VCSBranch{Name: branch.Name, Head: branch.Head, IsCurrent: true}
	case c.base == b.result.Branches.Head && c.head == branch.Head:
		branch.IsCurrent = true
		branch.Ahead, branch.Behind = numberOf(&c.ahead, 1), numberOf(&c.behind, 1)
		branch.First = factTime(c.first)
		if c.ahead == 0 {
			branch.First = time.Time{}
		}
	}
}

// recordError records why a branch could not be compared.
func (b *branchReading) recordError(err error) { b.result.Err = errors.Join(b.result.Err, err) }

// report passes a result on, unless the reading was halted before anything was read.
func (r *branchReader) report(ctx context.Context, b *branchReading) {
	b.result.IsComplete = b.result.IsListed && !slices.ContainsFunc(b.result.Branches.List,
		func(branch activity.VCSBranch) bool { return !branch.IsCurrent })
	if isHalting(b.result.Err) || ctx.Err() != nil {
		b.result.Err = nil // it is no fault of the repository
	}
	if b.result.IsListed || b.result.Err != nil {
		r.onResult(b.result)
	}
}
