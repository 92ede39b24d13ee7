// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// activityData is the data of the Activity query.
type activityData struct {
	ByID   *repositoryActivity `json:"byId"`
	ByName *repositoryActivity `json:"byName"`
}

// repository returns the repository, by whichever of the two it was requested; nil when it is missing.
func (d *activityData) repository() *repositoryActivity {
	if d.ByID != nil {
		return d.ByID
	}
	return d.ByName
}

// repositoryActivity is the repository in the data of the Activity and Activities queries. A stream that was not
// selected is nil, and so is one that is missing.
type repositoryActivity struct {
	DatabaseID int64 `json:"databaseId"`
	// HasPulls is the raw flag that pull requests are switched on; empty where the server's schema lacks it.
	HasPulls json.RawMessage `json:"hasPullRequestsEnabled"`
	// HasIssues is the raw flag that issues are switched on.
	HasIssues json.RawMessage `json:"hasIssuesEnabled"`
	Branch    *struct {
		Target *commitTarget `json:"target"`
	} `json:"defaultBranchRef"`
	Object *commitTarget `json:"object"`
	Pulls  *struct {
		PageInfo pageInfo    `json:"pageInfo"`
		Nodes    []*pullNode `json:"nodes"`
	} `json:"pullRequests"`
	Issues *struct {
		PageInfo pageInfo     `json:"pageInfo"`
		Nodes    []*issueNode `json:"nodes"`
	} `json:"issues"`
	Releases *releaseList `json:"releases"`
}

// activityVariables are the variables of the Activity query.
type activityVariables struct {
	repositoryVariables
	commitVariables
	pullVariables
	issueVariables
	releaseVariables
}

func (*activityVariables) document() document { return activityQuery }

// selectsOthers reports whether the query has a stream beside commits.
func (v *activityVariables) selectsOthers() bool { return v.Pulls || v.Issues || v.Releases }

// withPageSize returns the variables with the page sizes reduced to a percentage.
func (v *activityVariables) withPageSize(percent int) *activityVariables {
	sized := *v
	sized.CommitsFirst = v.CommitsFirst * percent / 100
	sized.PullsFirst = max(minPullsPageSize, v.PullsFirst*percent/100)
	sized.IssuesFirst = max(minIssuesPageSize, v.IssuesFirst*percent/100)
	return &sized
}

// repositoryVariables select the repository, by its id or by its name.
type repositoryVariables struct {
	ID     string `json:"id"`
	Owner  string `json:"owner"`
	Name   string `json:"name"`
	ByID   bool   `json:"byId"`
	ByName bool   `json:"byName"`
}

// prefetchedPage is the first page of a reading, from a query for several repositories.
type prefetchedPage struct {
	data *repositoryActivity
	errs []graphqlError
}

// consume returns the page, and drops it: requests live longer. It returns nil when it was consumed before.
func (p *prefetchedPage) consume() (*repositoryActivity, []graphqlError) {
	if p == nil {
		return nil, nil
	}
	data, errs := p.data, p.errs
	*p = prefetchedPage{}
	return data, errs
}

// memberVariables are the variables of one repository in the Activities query. Their names have its index as a suffix.
type memberVariables struct {
	ID string `json:"id"`
	memberCommits
	memberPulls
	memberIssues
	memberReleases
}

// target returns the commit from which commits are listed: the requested one, or else the head of the default branch;
// nil for none.
func (a *repositoryActivity) target() *commitTarget {
	if a.Object != nil {
		return a.Object
	}
	if a.Branch != nil {
		return a.Branch.Target
	}
	return nil
}

// readActivity reads streams of the Activity query. The first page of all of them is one request. They are read one by
// one where the credential may not read one of them, which makes the whole repository null, and where the query fails
// at every page size.
func (r *reader) readActivity(ctx context.Context, sources []*streamSource) {
	isOne := len(sources) == 1
	if !isOne && r.request.Minimal {
		r.readApart(ctx, sources)
		return
	}
	data, errs, err := r.requestFirstPage(ctx, sources)
	if !isOne && (errors.As(err, new(*transport.ForbiddenError)) || canSplit(err)) {
		r.readApart(ctx, sources)
		return
	}
	if canSplit(err) && r.selectsPullFlow(sources[0].stream) {
		r.failPullFlow(err)
		data, errs, err = r.requestFirstPage(ctx, sources)
	}
	for _, s := range sources {
		if err == nil {
			r.result.setFailed(s.stream, s.activity.read(ctx, r, data, errs))
		} else {
			r.result.setFailed(s.stream, err)
		}
	}
}

// readApart reads streams with queries of their own, the last of the table first: commits may need more than one query.
func (r *reader) readApart(ctx context.Context, sources []*streamSource) {
	for _, s := range slices.Backward(sources) {
		r.readActivity(ctx, []*streamSource{s})
	}
}

// canSplit reports whether the parts of a query that failed may succeed: GitHub has responded, or run out of time.
func canSplit(err error) bool {
	unavailable, ok := errors.AsType[*transport.UnavailableError](err)
	return ok && (unavailable.TooLarge || unavailable.Status != 0)
}

// requestFirstPage returns the first page of streams: the prefetched one, or that of a request of its own.
func (r *reader) requestFirstPage(
	ctx context.Context, sources []*streamSource,
) (*repositoryActivity, []graphqlError, error) {
	if data, errs := r.request.prefetched.consume(); data != nil {
		return data, errs, nil // found by its id
	}
	v := r.newActivityVariables()
	for _, s := range sources {
		s.activity.selectFirst(r.request, &v)
	}
	return r.requestActivity(ctx, &v)
}

// newActivityVariables returns the variables of the Activity query for the repository, with no stream selected.
func (r *reader) newActivityVariables() activityVariables {
	repo := &r.request.Repo
	return activityVariables{
		repositoryVariables: repositoryVariables{
			ID: repo.NodeID, Owner: r.request.Org, Name: repo.Name, ByID: repo.NodeID != "", ByName: repo.NodeID == "",
		},
		commitVariables: commitVariables{
			Lines: !r.request.SkipLines && !r.linesApart, CommitsFirst: commitsPageSize,
			Since: r.request.commitsSince(), Until: r.request.commitsUntil(),
		},
		pullVariables: pullVariables{
			PullsFirst: pullsPageSize, flowVariables: newFlowVariables(r.client.settings.Flow, false),
		},
		issueVariables:   issueVariables{IssuesFirst: issuesPageSize, IssuesSince: r.request.issuesSince()},
		releaseVariables: releaseVariables{ReleasesFirst: releasesPageSize},
	}
}

// requestActivity requests a page, and commits without their lines where those with lines fail at every page size.
func (r *reader) requestActivity(
	ctx context.Context, full *activityVariables,
) (*repositoryActivity, []graphqlError, error) {
	data, errs, err := r.requestActivityPage(ctx, full)
	if !canSplit(err) || !full.selectsCommits() || full.selectsOthers() || !full.Lines {
		return data, errs, err
	}
	full.Lines = false
	data, errs, err = r.requestActivityPage(ctx, full)
	if err == nil {
		r.linesApart = true
		r.client.state.repos.setLinesApart(r.request.Repo.ID, r.client.transport.Now())
	}
	return data, errs, err
}

// requestActivityPage requests a page of the size that worked for the repository before, and smaller ones when that
// was too much.
func (r *reader) requestActivityPage(
	ctx context.Context, full *activityVariables,
) (*repositoryActivity, []graphqlError, error) {
	repo, memory := r.request.Repo.ID, &r.client.state.repos
	sizes := memory.pageSizeOf(repo)
	size, shrank := sizes.current(), false
	if r.request.Minimal {
		size = sizes.smallest()
	}
	q := queryOptions{isSplit: full.PullFlow || full.selectsCommits() && (full.selectsOthers() || full.Lines)}
	for {
		q.canShrink = size > sizes.smallest()
		data, errs, err := runQuery[activityData](ctx, r.client, q, full.withPageSize(size))
		if next, ok := sizes.next(size, err); ok {
			size, shrank = next, true
			continue
		}
		if err != nil {
			// Its parts follow in small pages.
			r.request.Minimal = r.request.Minimal || errors.As(err, new(*transport.UnavailableError))
			return nil, nil, err
		}
		memory.recordSuccess(repo, sizes, size, shrank)
		r.request.Minimal = false // GitHub responds again
		if data.repository() == nil {
			return nil, nil, missingDataError(activityQuery, repositoryErrors(errs), "repository")
		}
		return data.repository(), errs, r.checkIdentity(data.repository())
	}
}

// notInActivity is the error of something that a response to the Activity query shows to be missing.
func notInActivity(message string) error {
	return &transport.NotFoundError{Response: transport.Response{
		Endpoint: activityQuery.name, Status: http.StatusOK, Message: message,
	}}
}

// checkIdentity refuses the data of another repository, which has taken over the name that was requested.
func (r *reader) checkIdentity(data *repositoryActivity) error {
	if r.request.Repo.NodeID != "" || data.DatabaseID == r.request.Repo.ID {
		return nil
	}
	return notInActivity("the name is another repository's")
}

// repositoryErrors returns the first error of the repository itself or of something in it; nothing for none.
func repositoryErrors(errs []graphqlError) []graphqlError {
	if list := firstErrorUnder(errs, "byId"); list != nil {
		return list
	}
	return firstErrorUnder(errs, "byName")
}
