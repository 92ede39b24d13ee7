// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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
	return values("sort", "updated", "direction", "asc", "since", formatTime(since),
		"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number))
}

// readComments reads the feed of a repository
// (https://docs.github.com/rest/issues/comments#list-issue-comments-for-a-repository) by update time, the oldest
// first. The next page begins at the last time of the one before: comments that are edited or deleted meanwhile move
// rows only in pages that were read.
func (r *reader) readComments(ctx context.Context) error {
	since, until := r.request.Since[activity.StreamComments], r.request.Until[activity.StreamComments]
	former := r.validator(activity.StreamComments)
	if former.ETag != "" {
		since = former.Since // validates the same request: it has what is new, too
	}
	gapStart := r.request.GapStart[activity.StreamComments]
	if !gapStart.IsZero() {
		since = gapStart // one page may have all of it
	}
	for number, pages := 1, 0; pages < maxPages; pages++ {
		rows, info, err := get(ctx, r.client, restRequest{
			endpoint: commentsEndpoint, path: r.path("/issues/comments"), query: commentsQuery(since, number),
			etag: former.ETag, noRetry: !gapStart.IsZero(),
		}, commentRows)
		if _, ok := errors.AsType[*UnavailableError](err); ok && !gapStart.IsZero() {
			gapStart, since = time.Time{}, r.request.Since[activity.StreamComments]
			continue // the gap may be too much
		}
		if err != nil {
			return err
		}
		if info.unchanged {
			r.result.GapCoveredFrom[activity.StreamComments] = gapStart
			r.keepValidator(activity.StreamComments, former)
			return nil
		}
		if !gapStart.IsZero() && info.next {
			gapStart, since = time.Time{}, r.request.Since[activity.StreamComments]
			continue // it has not: backfill reads the gap
		}
		if pages == 0 && len(rows) < perPage/2 && !info.next { // new comments will be on this page
			r.keepValidator(activity.StreamComments, Validator{ETag: info.etag, Since: since})
		}
		former.ETag = ""
		if err := r.emitValid(r.commentEvents(rows, info.invalid)); err != nil {
			return err
		}
		if len(rows) == 0 || !info.next {
			r.result.GapCoveredFrom[activity.StreamComments] = gapStart
			return nil
		}
		last := lastUpdate(rows)
		switch {
		case !until.IsZero() && last.After(until):
			return nil // what was updated later was read with what is later
		case last.After(since):
			since, number = last, 1
		default:
			number++ // all rows of the page have one time
		}
	}
	return errEndless(commentsEndpoint)
}

// lastUpdate returns the update time of the last row that has one; zero if none has.
func lastUpdate(rows []*gogithub.IssueComment) time.Time {
	for _, row := range slices.Backward(rows) {
		if row.UpdatedAt != nil {
			return row.GetUpdatedAt().Time
		}
	}
	return time.Time{}
}

func (r *reader) commentEvents(rows []*gogithub.IssueComment, invalid map[int]fieldErrors) []activity.Event {
	events := make([]activity.Event, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			r.client.reportInvalidRow(commentsEndpoint, invalid[i])
			continue
		}
		id := activity.NumberID(row.GetID())
		e := r.newEvent(activity.KindIssueComment, id, restActor(row.GetUser()), row.GetCreatedAt().Time)
		events = append(events, e)
	}
	return events
}
