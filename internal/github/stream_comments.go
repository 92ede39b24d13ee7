package github

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// commentSource reads the conversation comments of issues and pull requests, with REST in either mode.
var commentSource = streamSource{
	stream:        activity.StreamComments,
	readREST:      func(ctx context.Context, r *reader) error { return r.readComments(ctx) },
	isConditional: true,
	signal: func(n *repositoryNode, m nodeMarks, _ bool, s *activity.Signals) (ok bool) {
		if _, ok = m.pulls.get(n.ID, n.HasPulls); ok {
			s.Issues, ok = m.issues.get(n.ID, n.HasIssues)
		}
		return ok
	},
}

const commentsEndpoint = "/repos/{owner}/{repo}/issues/comments"

// commentRows is the format of a page of comments.
var commentRows = listOf(isCompleteComment, "id", "user", "created_at", "updated_at")

func isCompleteComment(r *gogithub.IssueComment, wrong fieldErrors) bool {
	return wrong.present(r.ID != nil, "id") && wrong.present(r.CreatedAt != nil, "created_at") &&
		wrong.present(r.UpdatedAt != nil, "updated_at") && isCompleteUser(r.User)
}

func commentsQuery(since time.Time, number int) url.Values {
	return values("sort", "updated", "direction", "asc", "since", stamp(since),
		"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number))
}

// readComments reads the conversation comments of issues and pull requests, with both APIs: REST has them in one feed
// (https://docs.github.com/rest/issues/comments#list-issue-comments-for-a-repository). They are listed by update time,
// the oldest first, and the next page begins with the last time of the one before: comments that are edited or deleted
// meanwhile move rows only behind us.
func (r *reader) readComments(ctx context.Context) error {
	since, until := r.request.Since[activity.StreamComments], r.request.Until[activity.StreamComments]
	had := r.validator(activity.StreamComments)
	if had.ETag != "" {
		since = had.Since // what has come since is read with what was there then
	}
	back := r.request.GapStart[activity.StreamComments]
	if !back.IsZero() {
		since = back // all of it may be one page
	}
	for number, pages := 1, 0; pages < maxPages; pages++ {
		rows, told, err := get(ctx, r.client, restRequest{
			endpoint: commentsEndpoint, path: r.path("/issues/comments"), query: commentsQuery(since, number),
			etag: had.ETag, noRetry: !back.IsZero(),
		}, commentRows)
		if _, ok := errors.AsType[*UnavailableError](err); ok && !back.IsZero() {
			back, since = time.Time{}, r.request.Since[activity.StreamComments]
			continue // it may be too much
		}
		if err != nil {
			return err
		}
		if told.unchanged {
			r.result.GapCoveredFrom[activity.StreamComments] = back
			r.keep(activity.StreamComments, had)
			return nil
		}
		if !back.IsZero() && told.next {
			back, since = time.Time{}, r.request.Since[activity.StreamComments]
			continue // it is not: what is older than asked for is left for later
		}
		if pages == 0 && len(rows) < perPage/2 && !told.next { // what is new will be on this page
			r.keep(activity.StreamComments, Validator{ETag: told.etag, Since: since})
		}
		had.ETag = ""
		if err := r.emitValid(r.commentEvents(rows, told.invalid)); err != nil {
			return err
		}
		if len(rows) == 0 || !told.next {
			r.result.GapCoveredFrom[activity.StreamComments] = back
			return nil
		}
		last := lastUpdate(rows)
		switch {
		case !until.IsZero() && last.After(until):
			return nil // what was updated later was read with what is later
		case last.After(since):
			since, number = last, 1
		default:
			number++ // the whole page has one time
		}
	}
	return errEndless(commentsEndpoint)
}

// lastUpdate is the update time of the last row that has one.
func lastUpdate(rows []*gogithub.IssueComment) time.Time {
	for _, row := range slices.Backward(rows) {
		if row.UpdatedAt != nil {
			return row.GetUpdatedAt().Time
		}
	}
	return time.Time{}
}

func (r *reader) commentEvents(rows []*gogithub.IssueComment, broken map[int]fieldErrors) []activity.Event {
	events := make([]activity.Event, 0, len(rows))
	for i, row := range rows {
		if broken[i] != nil {
			r.client.reportInvalidRow(commentsEndpoint, broken[i])
			continue
		}
		id := activity.NumberID(row.GetID())
		events = append(events, r.newEvent(activity.KindIssueComment, id, restActor(row.GetUser()), row.GetCreatedAt().Time))
	}
	return events
}
