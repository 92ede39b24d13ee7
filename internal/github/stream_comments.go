// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// commentSource reads the conversation comments of issues and pull requests, with REST in either mode.
var commentSource = streamSource{
	stream:        activity.StreamComments,
	readREST:      commentFeed.read,
	isConditional: true,
	signal: func(n *repositoryNode, m latestUpdates, _ bool, s *activity.Signals) (ok bool) {
		if _, ok = m.pulls.get(n.ID, n.HasPulls); ok {
			s.Issues, ok = m.issues.get(n.ID, n.HasIssues)
		}
		return ok
	},
}

const commentsEndpoint = "/repos/{owner}/{repo}/issues/comments"

// commentRows is the format of a page of comments.
var commentRows = listFormat(isCompleteComment, "id", "user", "created_at", "updated_at")

// isCompleteComment reports whether a row has what every comment has.
func isCompleteComment(r *gogithub.IssueComment, wrong fieldErrors) bool {
	return wrong.isPresent(r.ID != nil, "id") && wrong.isPresent(r.CreatedAt != nil, "created_at") &&
		wrong.isPresent(r.UpdatedAt != nil, "updated_at") && isCompleteUser(r.User)
}

// commentFeed is the feed of a repository
// (https://docs.github.com/rest/issues/comments#list-issue-comments-for-a-repository).
var commentFeed = updateFeed[gogithub.IssueComment]{
	stream: activity.StreamComments, endpoint: commentsEndpoint, path: "/issues/comments", rows: commentRows,
	updatedAt: func(row *gogithub.IssueComment) *gogithub.Timestamp { return row.UpdatedAt },
	emit: func(_ context.Context, r *reader, rows []*gogithub.IssueComment, invalid map[int]fieldErrors) error {
		return r.emitValid(r.commentEvents(rows, invalid))
	},
}

// commentEvents converts rows. It drops and reports those that cannot be decoded.
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
