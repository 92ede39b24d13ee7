package github

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	commitsFirst  = 100
	pullsFirst    = 25 // beside commits: one point together
	pullsFollowed = 50
	pullsLeast    = 5
)

// activityData is an answer of the query Activity.
type activityData struct {
	ByID   *repositoryActivity `json:"byId"`
	ByName *repositoryActivity `json:"byName"`
}

func (d *activityData) repository() *repositoryActivity {
	if d.ByID != nil {
		return d.ByID
	}
	return d.ByName
}

type repositoryActivity struct {
	DatabaseID int64 `json:"databaseId"`
	// HasPulls is the flag that pull requests are switched on, as it was answered; empty where the server does not know
	// it.
	HasPulls json.RawMessage `json:"hasPullRequestsEnabled"`
	Branch   *struct {
		Target *commitTarget `json:"target"`
	} `json:"defaultBranchRef"`
	Object *commitTarget `json:"object"`
	Pulls  *struct {
		PageInfo pageInfo    `json:"pageInfo"`
		Nodes    []*pullNode `json:"nodes"`
	} `json:"pullRequests"`
}

type commitTarget struct {
	OID     string `json:"oid"`
	History *struct {
		PageInfo pageInfo      `json:"pageInfo"`
		Nodes    []*commitNode `json:"nodes"`
	} `json:"history"`
}

func (a *repositoryActivity) target() *commitTarget {
	if a.Object != nil {
		return a.Object
	}
	if a.Branch != nil {
		return a.Branch.Target
	}
	return nil
}

type pullNode struct {
	ID        string     `json:"id"`
	Number    int64      `json:"number"`
	CreatedAt time.Time  `json:"createdAt"`
	MergedAt  *time.Time `json:"mergedAt"`
	UpdatedAt time.Time  `json:"updatedAt"`
	Author    *account   `json:"author"`
	Reviews   *reviewsOf `json:"reviews"`

	// wrong are the fields that cannot be decoded; the others are there.
	wrong fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *pullNode) UnmarshalJSON(raw []byte) (err error) {
	type plain pullNode
	n.wrong, err = decodeRow(raw, (*plain)(n))
	return err
}

type reviewsOf struct {
	PageInfo pageInfo      `json:"pageInfo"`
	Nodes    []*reviewNode `json:"nodes"`
}

type reviewNode struct {
	FullDatabaseID json.Number `json:"fullDatabaseId"`
	SubmittedAt    *time.Time  `json:"submittedAt"`
	Author         *account    `json:"author"`

	// wrong are the fields that cannot be decoded; the others are there.
	wrong fieldErrors
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *reviewNode) UnmarshalJSON(raw []byte) (err error) {
	type plain reviewNode
	n.wrong, err = decodeRow(raw, (*plain)(n))
	return err
}

// graphql reads commits and pull requests.
func (r *reader) graphql(ctx context.Context) {
	commits, pulls := r.has(activity.StreamCommits), r.has(activity.StreamPulls)
	if commits || pulls {
		r.graphqlStreams(ctx, commits, pulls)
	}
}

// graphqlStreams reads one or both. The first page of both is one query; where the credential may not read one of them
// that made the whole repository null, or the query fails at every size, they are read one by one.
func (r *reader) graphqlStreams(ctx context.Context, commits, pulls bool) {
	if commits && pulls && r.request.Minimal {
		r.graphqlApart(ctx)
		return
	}
	data, errs, err := r.first(ctx, commits, pulls)
	if commits && pulls && (errors.As(err, new(*ForbiddenError)) || mayHelpToSplit(err)) {
		r.graphqlApart(ctx)
		return
	}
	if err != nil {
		r.failBoth(commits, pulls, err)
		return
	}
	if commits {
		r.outcome.fail(activity.StreamCommits, r.resolveHeads(ctx, r.graphqlCommits(ctx, data, errs)))
	}
	if pulls {
		r.outcome.fail(activity.StreamPulls, r.graphqlPulls(ctx, data, errs))
	}
}

// graphqlApart reads pull requests and commits with queries of their own. Commits, which may need more than one, come
// last.
func (r *reader) graphqlApart(ctx context.Context) {
	r.graphqlStreams(ctx, false, true)
	r.graphqlStreams(ctx, true, false)
}

// mayHelpToSplit reports whether the parts of a question that failed may be answered: GitHub has answered, or run out
// of time.
func mayHelpToSplit(err error) bool {
	unavailable, ok := errors.AsType[*UnavailableError](err)
	return ok && (unavailable.tooMuch || unavailable.Status != 0)
}

func (r *reader) failBoth(commits, pulls bool, err error) {
	if commits {
		r.outcome.fail(activity.StreamCommits, err)
	}
	if pulls {
		r.outcome.fail(activity.StreamPulls, err)
	}
}

// first is the first page, asked for together with others or alone.
func (r *reader) first(ctx context.Context, commits, pulls bool) (*repositoryActivity, []graphqlError, error) {
	if data, errs := r.request.first.take(); data != nil {
		return data, errs, nil // by its id
	}
	v := r.variables()
	v["head"], v["pulls"] = commits, pulls
	if at := r.request.AtCommit; commits && at != "" {
		v["head"], v["pinned"], v["oid"] = false, true, at
	}
	return r.activity(ctx, v)
}

// variables are the query's with nothing asked for.
func (r *reader) variables() map[string]any {
	repo := &r.request.Repo
	v := map[string]any{
		"id": repo.NodeID, "owner": r.request.Org, "name": repo.Name, "byId": repo.NodeID != "", "byName": repo.NodeID == "",
		"head": false, "pinned": false, "oid": nil, "lines": !r.request.SkipLines && !r.linesApart,
		"commitsFirst": commitsFirst, "commitsAfter": nil, "since": nil, "until": nil,
		"pulls": false, "pullsFirst": pullsFirst, "pullsAfter": nil,
	}
	v["since"] = r.request.commitsSince()
	if r.request.ReadHead == "" {
		if until := r.request.Until[activity.StreamCommits]; !until.IsZero() {
			v["until"] = stamp(until)
		}
	}
	return v
}

// commitsSince is from when on commits are listed: a walk from head to head knows no time.
func (r *ReadRequest) commitsSince() any {
	if r.ReadHead != "" {
		return nil
	}
	return stamp(r.Since[activity.StreamCommits])
}

// activity asks for pages, and for commits without their lines where those with lines fail at every size.
func (r *reader) activity(ctx context.Context, full map[string]any) (*repositoryActivity, []graphqlError, error) {
	data, errs, err := r.activityPage(ctx, full)
	if !mayHelpToSplit(err) || !asksCommits(full) || full["pulls"] == true || full["lines"] != true {
		return data, errs, err
	}
	full["lines"] = false
	data, errs, err = r.activityPage(ctx, full)
	if err == nil {
		r.linesApart = true
		r.client.repos.setLinesApart(r.request.Repo.ID, r.client.settings.Now())
	}
	return data, errs, err
}

func asksCommits(v map[string]any) bool { return v["head"] == true || v["pinned"] == true }

// activityPage asks for pages of the size that works for the repository, and for smaller ones when that was too much.
func (r *reader) activityPage(ctx context.Context, full map[string]any) (*repositoryActivity, []graphqlError, error) {
	repo, memory := r.request.Repo.ID, &r.client.repos
	sizes := memory.size(repo)
	size, shrank := sizes.now(), false
	if r.request.Minimal {
		size = sizes.least()
	}
	q := question{split: asksCommits(full) && (full["pulls"] == true || full["lines"] == true)}
	for {
		q.smaller = size > sizes.least()
		data, errs, err := ask[activityData](ctx, r.client, activityQuery, q, sized(full, size))
		if next, ok := sizes.below(size, err); ok {
			size, shrank = next, true
			continue
		}
		if err != nil {
			r.request.Minimal = r.request.Minimal || errors.As(err, new(*UnavailableError)) // its parts are asked for in small pages
			return nil, nil, err
		}
		memory.worked(repo, sizes, size, shrank)
		r.request.Minimal = false // it is answered again
		if data.repository() == nil {
			return nil, nil, missing(activityQuery, repositoryErrors(errs), "repository")
		}
		return data.repository(), errs, r.same(data.repository())
	}
}

// same refuses another repository: one that was asked for by its name may have lost it to that.
func (r *reader) same(data *repositoryActivity) error {
	if r.request.Repo.NodeID != "" || data.DatabaseID == r.request.Repo.ID {
		return nil
	}
	return &NotFoundError{Response{Endpoint: activityQuery.name, Status: http.StatusOK, Message: "the name is another repository's"}}
}

// sized are the variables with pages of a size in percent.
func sized(full map[string]any, percent int) map[string]any {
	v := maps.Clone(full)
	v["commitsFirst"] = full["commitsFirst"].(int) * percent / 100
	v["pullsFirst"] = max(pullsLeast, full["pullsFirst"].(int)*percent/100)
	return v
}

func repositoryErrors(errs []graphqlError) []graphqlError {
	if list := under(errs, "byId"); list != nil {
		return list
	}
	return under(errs, "byName")
}
