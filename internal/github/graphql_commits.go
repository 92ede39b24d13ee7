package github

import (
	"context"
	"net/http"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// readCommitsGraphQL reads the commits from the first page on.
func (r *reader) readCommitsGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	target := data.target()
	if at := r.request.AtCommit; at != "" && (target == nil || target.OID != at) {
		return missingCommitError(errs)
	}
	if target == nil {
		if e := errorBelow(errs, "defaultBranchRef"); e != nil {
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
	r.result.Head = target.OID
	if target.OID == r.request.ReadHead {
		return nil
	}
	w := newWalk(r.request.ReadHead, r.request.Since[activity.StreamCommits])
	v := r.variables()
	v.selectCommit(target.OID)
	for range maxPages {
		more, err := r.handleCommitPage(ctx, target, errs, w, &v)
		if err != nil || !more {
			return err
		}
		if data, errs, err = r.requestActivity(ctx, &v); err != nil {
			return err
		}
		if target = data.target(); target == nil {
			return missing(activityQuery, errs, "commit")
		}
	}
	return errEndless(activityQuery.name)
}

// handleCommitPage hands out a page and says whether another one is needed, for which it prepares the variables.
func (r *reader) handleCommitPage(
	ctx context.Context, target *commitTarget, errs []graphqlError, w *historyWalk, v *activityVariables,
) (bool, error) {
	target, err := r.completePage(ctx, target, errs, v)
	if err != nil {
		return false, err
	}
	nodes := target.History.Nodes
	fresh := nodes
	if r.request.ReadHead != "" {
		fresh = w.newCommits(nodes)
	}
	r.former.addNodes(nodes)
	if r.linesApart && !r.request.SkipLines {
		if err := r.fillLines(ctx, fresh); err != nil {
			return false, err
		}
	}
	if err := r.emitListed(r.commitEvents(fresh)); err != nil {
		return false, err
	}
	if err := r.checkLines(ctx); err != nil {
		return false, err
	}
	info := target.History.PageInfo
	if !info.HasNextPage || (r.request.ReadHead != "" && w.isComplete(nodes)) {
		return false, nil
	}
	if !v.nextPage(info.EndCursor) {
		return false, errEndless(activityQuery.name)
	}
	return true, nil
}

// completePage is a page of which nothing is missing, or an error.
func (r *reader) completePage(ctx context.Context, target *commitTarget, errs []graphqlError, v *activityVariables) (*commitTarget, error) {
	if err := unanswered(activityQuery, errs, "history"); err != nil {
		return nil, err
	}
	if target.History == nil || target.History.Nodes == nil || hasNull(target.History.Nodes) {
		return r.requestWithoutLines(ctx, errs, v)
	}
	return target, nil
}

func hasNull(nodes []*commitNode) bool {
	for _, n := range nodes {
		if n == nil {
			return true
		}
	}
	return false
}

// errorBelow is the first error of a field or of something below it.
func errorBelow(errs []graphqlError, name string) *graphqlError {
	for i := range errs {
		if slices.Contains(errs[i].Path, any(name)) {
			return &errs[i]
		}
	}
	return nil
}

func errorAt(errs []graphqlError, names ...string) *graphqlError {
	for i := range errs {
		if slices.ContainsFunc(names, errs[i].atField) {
			return &errs[i]
		}
	}
	return nil
}

// requestWithoutLines asks for a page again that the lines of a single commit made null, and then for the lines alone.
func (r *reader) requestWithoutLines(ctx context.Context, errs []graphqlError, v *activityVariables) (*commitTarget, error) {
	if e := errorAt(errs, "additions", "deletions"); e == nil {
		return nil, missing(activityQuery, errs, "history")
	}
	again := *v
	again.Lines = false
	data, errs, err := r.requestActivity(ctx, &again)
	if err != nil {
		return nil, err
	}
	target := data.target()
	if target == nil || target.History == nil || hasNull(target.History.Nodes) {
		return nil, missing(activityQuery, errs, "history")
	}
	if err := unanswered(activityQuery, errs, "history"); err != nil {
		return nil, err
	}
	return target, r.fillLines(ctx, target.History.Nodes)
}

func (r *reader) commitEvents(nodes []*commitNode) []activity.Event {
	events := make([]activity.Event, 0, len(nodes))
	for _, n := range nodes {
		if n.linesUnavailable {
			continue
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(activityQuery.name, n.invalid)
			if !n.invalid.hasOnly("additions", "deletions") {
				continue
			}
		}
		id, err := activity.CommitID(n.OID)
		if err != nil {
			r.client.settings.OnInvalidValue(err)
			continue
		}
		e := r.newEvent(activity.KindCommit, id, n.Author.actor(), n.CommittedDate)
		if !n.isMerge() && n.Additions != nil && n.Deletions != nil {
			e.Additions, e.Deletions = clampLines(*n.Additions), clampLines(*n.Deletions)
		}
		events = append(events, e)
	}
	return events
}
