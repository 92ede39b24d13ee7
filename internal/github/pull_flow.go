// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// wantsPullFlow reports whether the flow of pull requests is to be read, and has not failed yet.
func (r *reader) wantsPullFlow() bool {
	return r.wants(activity.StreamPullFlow)
}

// selectsPullFlow reports whether the query of a stream has the flow of pull requests.
func (r *reader) selectsPullFlow(s activity.Stream) bool {
	return s == activity.StreamPulls && r.wantsPullFlow()
}

// failPullFlow ends the reading of the flow of pull requests. The pull requests themselves are read on.
func (r *reader) failPullFlow(err error) {
	r.pullFlowErr = err
	r.request.Streams = r.request.Streams.Without(activity.StreamPullFlow)
}

// pullFlowStart returns the time from which the flow of pull requests is emitted: what happened before was recorded, or
// is in a gap of its own. It is zero in a window of the past: rows that one reading has emitted may be left out in the
// reading of another window.
func (r *reader) pullFlowStart() time.Time {
	const s = activity.StreamPullFlow
	switch {
	case !r.request.Until[s].IsZero() || len(r.request.PullScans) > 0:
		return time.Time{}
	case !r.request.GapStart[s].IsZero():
		return r.request.GapStart[s]
	default:
		return r.request.Since[s]
	}
}

// pullFlowEvents returns the events of the flow of a pull request.
func (r *reader) pullFlowEvents(p *flow.PullRequest) []activity.Event {
	start := r.pullFlowStart()
	return slices.DeleteFunc(r.client.settings.Flow.PullRequestEvents(p), func(e activity.Event) bool {
		return e.Time.Before(start)
	})
}

// withPullFlow adds the events of the flow of a pull request to the others. An error ends the flow alone, unless every
// further request would get it as well.
func (r *reader) withPullFlow(
	events []activity.Event, read func() (*flow.PullRequest, error),
) ([]activity.Event, error) {
	if !r.wantsPullFlow() {
		return events, nil
	}
	p, err := read()
	switch {
	case err != nil && isCommonError(err):
		return nil, err
	case err != nil:
		r.failPullFlow(err)
		return events, nil
	case p == nil:
		return events, nil
	}
	return append(events, r.pullFlowEvents(p)...), nil
}

// isCommonError reports whether an error is that of a limit, of the credential or of the context.
func isCommonError(err error) bool {
	return errors.As(err, new(*transport.LimitError)) || errors.As(err, new(*transport.CredentialError)) ||
		errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// issueFlowEvents returns the events of the flow of an issue.
func (r *reader) issueFlowEvents(number int64, created time.Time, closings []time.Time) []activity.Event {
	if !r.wants(activity.StreamIssueFlow) {
		return nil
	}
	return flow.IssueEvents(r.request.Repo.ID, number, created, closings)
}
