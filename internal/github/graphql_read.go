package github

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	commitsFirst  = 100
	pullsFirst    = 25 // beside commits: one point together
	pullsFollowed = 50
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

// graphql reads commits and pull requests. The first page of both is one query.
func (r *reader) graphql(ctx context.Context) {
	commits, pulls := r.has(activity.StreamCommits), r.has(activity.StreamPulls)
	if !commits && !pulls {
		return
	}
	data, errs, err := r.first(ctx, commits, pulls)
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

// first asks for the first page. When that was too much, the streams are asked for one by one, by their own readings.
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
		"head": false, "pinned": false, "oid": nil, "lines": true, "commitsFirst": commitsFirst, "commitsAfter": nil,
		"since": nil, "until": nil, "pulls": false, "pullsFirst": pullsFirst, "pullsAfter": nil,
	}
	if r.request.SeenHead == "" {
		v["since"] = stamp(r.request.Since[activity.StreamCommits])
		if !r.request.Until.IsZero() {
			v["until"] = stamp(r.request.Until)
		}
	}
	return v
}

// activity asks, and asks for less when it was too much.
func (r *reader) activity(ctx context.Context, v map[string]any) (*repositoryActivity, []graphqlError, error) {
	for {
		small := v["commitsFirst"].(int) <= 10 && v["pullsFirst"].(int) <= 5
		data, errs, err := ask[activityData](ctx, r.client, activityQuery, !small, v)
		var unavailable *UnavailableError
		switch {
		case err == nil && data.repository() == nil:
			return nil, nil, missing(activityQuery, repositoryErrors(errs), "repository")
		case err == nil:
			return data.repository(), errs, nil
		case small || !errors.As(err, &unavailable):
			return nil, nil, err
		case unavailable.tooMuch:
			v["commitsFirst"], v["pullsFirst"] = max(10, v["commitsFirst"].(int)/2), max(5, v["pullsFirst"].(int)/2)
		default:
			data, errs, err = ask[activityData](ctx, r.client, activityQuery, false, v)
			if err == nil && data.repository() == nil {
				err = missing(activityQuery, repositoryErrors(errs), "repository")
			}
			return data.repository(), errs, err
		}
	}
}

func repositoryErrors(errs []graphqlError) []graphqlError {
	if list := under(errs, "byId"); list != nil {
		return list
	}
	return under(errs, "byName")
}

// graphqlCommits reads the commits from the first page on.
func (r *reader) graphqlCommits(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	target := data.target()
	if target == nil {
		if e := fieldError(errs, "defaultBranchRef", "target"); e != nil {
			return failure(activityQuery, e)
		}
		return nil // an empty repository
	}
	r.outcome.Head = target.OID
	if target.OID == r.request.SeenHead {
		return nil
	}
	w := newWalk(r.request.SeenHead, r.request.Since[activity.StreamCommits])
	v := r.variables()
	v["pinned"], v["oid"] = true, target.OID
	for range maxPages {
		more, err := r.commitPage(ctx, target, errs, w, v)
		if err != nil || !more {
			return err
		}
		if data, errs, err = r.activity(ctx, v); err != nil {
			return err
		}
		if target = data.target(); target == nil {
			return missing(activityQuery, errs, "commit")
		}
	}
	return errEndless(activityQuery.name)
}

// commitPage hands out a page and says whether another one is needed, for which it prepares the variables.
func (r *reader) commitPage(
	ctx context.Context, target *commitTarget, errs []graphqlError, w *walk, v map[string]any,
) (bool, error) {
	if target.History == nil || target.History.Nodes == nil || anyNull(target.History.Nodes) {
		var err error
		if target, err = r.withoutLines(ctx, errs, v); err != nil {
			return false, err
		}
	}
	nodes := target.History.Nodes
	fresh := nodes
	if r.request.SeenHead != "" {
		fresh = w.page(nodes)
	}
	if err := r.give(r.commitEvents(fresh)); err != nil {
		return false, err
	}
	info := target.History.PageInfo
	if !info.HasNextPage || (r.request.SeenHead != "" && w.done(nodes)) {
		return false, nil
	}
	if v["commitsAfter"] == info.EndCursor {
		return false, errEndless(activityQuery.name)
	}
	v["commitsAfter"] = info.EndCursor
	return true, nil
}

func anyNull(nodes []*commitNode) bool {
	for _, n := range nodes {
		if n == nil {
			return true
		}
	}
	return false
}

func fieldError(errs []graphqlError, names ...string) *graphqlError {
	for i := range errs {
		if slices.ContainsFunc(names, errs[i].atField) {
			return &errs[i]
		}
	}
	return nil
}

// withoutLines asks for a page again that the lines of a single commit made null, and then for the lines alone.
func (r *reader) withoutLines(ctx context.Context, errs []graphqlError, v map[string]any) (*commitTarget, error) {
	if e := fieldError(errs, "additions", "deletions"); e == nil {
		return nil, missing(activityQuery, errs, "history")
	}
	again := make(map[string]any, len(v))
	maps.Copy(again, v)
	again["lines"] = false
	data, errs, err := r.activity(ctx, again)
	if err != nil {
		return nil, err
	}
	target := data.target()
	if target == nil || target.History == nil || anyNull(target.History.Nodes) {
		return nil, missing(activityQuery, errs, "history")
	}
	return target, r.linesOf(ctx, target.History.Nodes)
}

type linesData struct {
	Nodes []*struct {
		OID       string `json:"oid"`
		Additions int    `json:"additions"`
		Deletions int    `json:"deletions"`
	} `json:"nodes"`
}

// linesOf fills in the lines of commits. For those that GraphQL does not tell REST is asked; what neither knows has none.
func (r *reader) linesOf(ctx context.Context, nodes []*commitNode) error {
	ids := make([]string, 0, len(nodes))
	byOID := make(map[string]*commitNode, len(nodes))
	for _, n := range nodes {
		if !n.merge() {
			ids = append(ids, n.ID)
			byOID[n.OID] = n
		}
	}
	if len(ids) == 0 {
		return nil
	}
	data, _, err := ask[linesData](ctx, r.client, linesQuery, false, map[string]any{"ids": ids})
	if err != nil {
		return err
	}
	for _, told := range data.Nodes {
		if told == nil || byOID[told.OID] == nil {
			continue
		}
		n := byOID[told.OID]
		n.Additions, n.Deletions = &told.Additions, &told.Deletions
		delete(byOID, told.OID)
	}
	for oid, n := range byOID {
		added, removed, err := r.commitLines(ctx, oid)
		if err != nil {
			return err
		}
		n.Additions, n.Deletions = &added, &removed
	}
	return nil
}

func (r *reader) commitEvents(nodes []*commitNode) []activity.Event {
	events := make([]activity.Event, 0, len(nodes))
	for _, n := range nodes {
		id, err := activity.CommitID(n.OID)
		if err != nil {
			r.client.settings.OnInvalid(err)
			continue
		}
		e := r.event(activity.KindCommit, id, n.Author.author(), n.CommittedDate)
		if !n.merge() && n.Additions != nil && n.Deletions != nil {
			e.Additions, e.Deletions = lines(*n.Additions), lines(*n.Deletions)
		}
		events = append(events, e)
	}
	return events
}

// graphqlPulls reads the pull requests from the first page on.
func (r *reader) graphqlPulls(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	first := data
	return r.scanPulls(ctx, func(ctx context.Context, cursor string) (pullPage, string, error) {
		if first == nil {
			v := r.variables()
			v["pulls"], v["pullsFirst"] = true, pullsFollowed
			if cursor != "" {
				v["pullsAfter"] = cursor
			}
			var err error
			if first, errs, err = r.activity(ctx, v); err != nil {
				return nil, "", err
			}
		}
		data, dataErrs := first, errs
		first = nil
		return r.pullPage(data, dataErrs)
	})
}

func (r *reader) pullPage(data *repositoryActivity, errs []graphqlError) (pullPage, string, error) {
	if data.Pulls == nil || data.Pulls.Nodes == nil {
		return nil, "", missing(activityQuery, errs, "pull requests")
	}
	rows := make(pullPage, 0, len(data.Pulls.Nodes))
	for _, n := range data.Pulls.Nodes {
		if n == nil || n.Reviews == nil {
			return nil, "", missing(activityQuery, errs, "pull request in its place of the page")
		}
		rows = append(rows, pullRow{updated: n.UpdatedAt, events: func(ctx context.Context) ([]activity.Event, error) {
			return r.pullEvents(ctx, n)
		}})
	}
	if info := data.Pulls.PageInfo; info.HasNextPage {
		return rows, info.EndCursor, nil
	}
	return rows, "", nil
}

func (r *reader) pullEvents(ctx context.Context, n *pullNode) ([]activity.Event, error) {
	events := r.pullRequest(n.Number, n.Author.actor(), n.CreatedAt, n.MergedAt)
	reviews := n.Reviews
	for range maxPages {
		events = append(events, r.reviewEvents(reviews.Nodes)...)
		if !reviews.PageInfo.HasNextPage {
			return events, nil
		}
		var err error
		if reviews, err = r.moreReviews(ctx, n.ID, reviews.PageInfo.EndCursor); err != nil {
			return nil, err
		}
	}
	return nil, errEndless(reviewsQuery.name)
}

func (r *reader) moreReviews(ctx context.Context, id, after string) (*reviewsOf, error) {
	type reviewsData struct {
		Node *struct {
			Reviews *reviewsOf `json:"reviews"`
		} `json:"node"`
	}
	data, errs, err := ask[reviewsData](ctx, r.client, reviewsQuery, false, map[string]any{"id": id, "after": after})
	if err != nil {
		return nil, err
	}
	if data.Node == nil || data.Node.Reviews == nil {
		return nil, missing(reviewsQuery, errs, "reviews")
	}
	if next := data.Node.Reviews.PageInfo; next.HasNextPage && next.EndCursor == after {
		return nil, errEndless(reviewsQuery.name)
	}
	return data.Node.Reviews, nil
}

func (r *reader) reviewEvents(nodes []*reviewNode) []activity.Event {
	events := make([]activity.Event, 0, len(nodes))
	for _, n := range nodes {
		if n == nil || n.SubmittedAt == nil {
			continue // pending: nobody has submitted it
		}
		id, err := strconv.ParseInt(n.FullDatabaseID.String(), 10, 64)
		if err != nil {
			r.client.settings.OnInvalid(err)
			continue
		}
		events = append(events, r.event(activity.KindReviewSubmitted, activity.NumberID(id), n.Author.actor(), *n.SubmittedAt))
	}
	return events
}
