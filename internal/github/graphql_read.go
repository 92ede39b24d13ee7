package github

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	commitsFirst  = 100
	pullsFirst    = 25 // beside commits: one point together
	pullsFollowed = 50
	commitsLeast  = 10
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
	Branch *struct {
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
}

type reviewsOf struct {
	PageInfo pageInfo      `json:"pageInfo"`
	Nodes    []*reviewNode `json:"nodes"`
}

type reviewNode struct {
	FullDatabaseID json.Number `json:"fullDatabaseId"`
	SubmittedAt    *time.Time  `json:"submittedAt"`
	Author         *account    `json:"author"`
}

// graphql reads commits and pull requests.
func (r *reader) graphql(ctx context.Context) {
	commits, pulls := r.has(activity.StreamCommits), r.has(activity.StreamPulls)
	if commits || pulls {
		r.graphqlStreams(ctx, commits, pulls)
	}
}

// graphqlStreams reads one or both. The first page of both is one query; where the credential may not read one of them
// that made the whole repository null, they are read one by one.
func (r *reader) graphqlStreams(ctx context.Context, commits, pulls bool) {
	data, errs, err := r.first(ctx, commits, pulls)
	if commits && pulls && errors.As(err, new(*ForbiddenError)) {
		r.graphqlStreams(ctx, true, false)
		r.graphqlStreams(ctx, false, true)
		return
	}
	if err != nil {
		r.failBoth(commits, pulls, err)
		return
	}
	if commits {
		r.outcome.fail(activity.StreamCommits, r.graphqlCommits(ctx, data, errs))
	}
	if pulls {
		r.outcome.fail(activity.StreamPulls, r.graphqlPulls(ctx, data, errs))
	}
}

func (r *reader) failBoth(commits, pulls bool, err error) {
	if commits {
		r.outcome.fail(activity.StreamCommits, err)
	}
	if pulls {
		r.outcome.fail(activity.StreamPulls, err)
	}
}

// first asks for the first page.
func (r *reader) first(ctx context.Context, commits, pulls bool) (*repositoryActivity, []graphqlError, error) {
	v := r.variables()
	v["head"], v["pulls"] = commits, pulls
	return r.activity(ctx, v)
}

// variables are the query's with nothing asked for.
func (r *reader) variables() map[string]any {
	repo := &r.request.Repo
	v := map[string]any{
		"id": repo.NodeID, "owner": r.request.Org, "name": repo.Name, "byId": repo.NodeID != "", "byName": repo.NodeID == "",
		"head": false, "pinned": false, "oid": nil, "lines": !r.request.WithoutLines, "commitsFirst": r.size(commitsFirst, commitsLeast), "commitsAfter": nil,
		"since": nil, "until": nil, "pulls": false, "pullsFirst": r.size(pullsFirst, pullsLeast), "pullsAfter": nil,
	}
	if r.request.SeenHead == "" {
		v["since"] = stamp(r.request.Since[activity.StreamCommits])
		if until := r.request.Until[activity.StreamCommits]; !until.IsZero() {
			v["until"] = stamp(until)
		}
	}
	return v
}

// size is a page size that is no more than what worked for this repository.
func (r *reader) size(most, least int) int { return max(least, most>>r.halved) }

// activity asks, and asks for less when it was too much, from then on.
func (r *reader) activity(ctx context.Context, v map[string]any) (*repositoryActivity, []graphqlError, error) {
	for {
		small := v["commitsFirst"].(int) <= commitsLeast && v["pullsFirst"].(int) <= pullsLeast
		data, errs, err := ask[activityData](ctx, r.client, activityQuery, !small, v)
		var unavailable *UnavailableError
		switch {
		case err == nil && data.repository() == nil:
			return nil, nil, missing(activityQuery, repositoryErrors(errs), "repository")
		case err == nil:
			return data.repository(), errs, nil
		case small || !errors.As(err, &unavailable) || !unavailable.tooMuch:
			return nil, nil, err
		}
		r.halved++
		v["commitsFirst"], v["pullsFirst"] = max(commitsLeast, v["commitsFirst"].(int)/2), max(pullsLeast, v["pullsFirst"].(int)/2)
	}
}

func repositoryErrors(errs []graphqlError) []graphqlError {
	if list := under(errs, "byId"); list != nil {
		return list
	}
	return under(errs, "byName")
}
