package github

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// graphqlCommits reads the commits from the first page on.
func (r *reader) graphqlCommits(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	target := data.target()
	if at := r.request.AtCommit; at != "" && (target == nil || target.OID != at) {
		return noSuchCommit(errs)
	}
	if target == nil {
		if e := errorIn(errs, "defaultBranchRef"); e != nil {
			return failure(activityQuery, e)
		}
		if r.request.hadCommits() { // one that had commits cannot become empty
			return &NotFoundError{Response{Endpoint: activityQuery.name, Status: http.StatusOK, Message: "no commits where there were some"}}
		}
		return nil // an empty repository
	}
	if !isObjectName(target.OID) {
		return &UnavailableError{Response: Response{Endpoint: activityQuery.name, Status: http.StatusOK}, Err: errNoHead}
	}
	r.outcome.Head = target.OID
	if target.OID == r.request.ReadHead {
		return nil
	}
	w := newWalk(r.request.ReadHead, r.request.Since[activity.StreamCommits])
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
	target, err := r.wholePage(ctx, target, errs, v)
	if err != nil {
		return false, err
	}
	nodes := target.History.Nodes
	fresh := nodes
	if r.request.ReadHead != "" {
		fresh = w.page(nodes)
	}
	r.heads.addNodes(nodes)
	if r.linesApart && !r.request.SkipLines {
		if err := r.linesOf(ctx, fresh); err != nil {
			return false, err
		}
	}
	if err := r.giveListed(r.commitEvents(fresh)); err != nil {
		return false, err
	}
	if err := r.checkLines(ctx); err != nil {
		return false, err
	}
	info := target.History.PageInfo
	if !info.HasNextPage || (r.request.ReadHead != "" && w.done(nodes)) {
		return false, nil
	}
	if v["commitsAfter"] == info.EndCursor {
		return false, errEndless(activityQuery.name)
	}
	v["commitsAfter"] = info.EndCursor
	return true, nil
}

// wholePage is a page of which nothing is missing, or an error.
func (r *reader) wholePage(ctx context.Context, target *commitTarget, errs []graphqlError, v map[string]any) (*commitTarget, error) {
	if err := unanswered(activityQuery, errs, "history"); err != nil {
		return nil, err
	}
	if target.History == nil || target.History.Nodes == nil || anyNull(target.History.Nodes) {
		return r.withoutLines(ctx, errs, v)
	}
	return target, nil
}

func anyNull(nodes []*commitNode) bool {
	for _, n := range nodes {
		if n == nil {
			return true
		}
	}
	return false
}

// errorIn is the first error of a field or of something below it.
func errorIn(errs []graphqlError, name string) *graphqlError {
	for i := range errs {
		if slices.Contains(errs[i].Path, any(name)) {
			return &errs[i]
		}
	}
	return nil
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
	if err := unanswered(activityQuery, errs, "history"); err != nil {
		return nil, err
	}
	return target, r.linesOf(ctx, target.History.Nodes)
}

func (r *reader) commitEvents(nodes []*commitNode) []activity.Event {
	events := make([]activity.Event, 0, len(nodes))
	for _, n := range nodes {
		if n.withoutLines {
			continue
		}
		if n.wrong != nil {
			r.client.invalidRow(activityQuery.name, n.wrong)
			if !n.wrong.only("additions", "deletions") {
				continue
			}
		}
		id, err := activity.CommitID(n.OID)
		if err != nil {
			r.client.settings.OnInvalidValue(err)
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
