// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// maxPages bounds the pages of a listing with either API, so that a next page that never ends does end.
const maxPages = 5000

// reader reads one repository.
type reader struct {
	client  *Client
	request *ReadRequest
	// asked are the streams that the caller wants; request has those besides in whose listings they are read.
	asked  activity.Streams
	emit   func([]activity.Event) error
	result ReadResult
	// former is what the reading finds out about the heads of former readings.
	former formerTips
	// headReported says that ReadRequest.OnHead was called.
	headReported bool
	// linesApart says that commits are requested without their lines, which follow in requests of their own: GitHub
	// may not be able to compute them in time.
	linesApart bool
	// forWeeklyLines says that the lines of a week are read, which is repeated when it fails.
	forWeeklyLines bool
	// pullFlowErr is why no more is read of the flow of pull requests; nil while it is.
	pullFlowErr error
	lines       linesTracker
}

// emitValid emits the valid events of a page, with their times in whole seconds. Invalid ones are reported.
func (r *reader) emitValid(events []activity.Event) error {
	good := events[:0]
	for i := range events {
		e := &events[i]
		e.Time = e.Time.UTC().Truncate(time.Second)
		if err := e.Validate(); err != nil {
			r.client.transport.ReportInvalidValue(err)
			continue
		}
		good = append(good, *e)
	}
	if len(good) == 0 {
		return nil
	}
	return r.emit(good)
}

// newEvent makes an event of the repository.
func (r *reader) newEvent(kind activity.Kind, id activity.ID, actor activity.Actor, at time.Time) activity.Event {
	return activity.Event{Kind: kind, Repo: r.request.Repo.ID, ID: id, Actor: actor, Time: at}
}

// wants reports whether a stream is to be read.
func (r *reader) wants(s activity.Stream) bool { return r.request.Streams.Has(s) }

// clampLines limits a number of lines to what an event holds.
func clampLines(n int) uint32 {
	return uint32(min(max(0, n), 1<<31))
}

// errEndless returns the error of a listing whose next page never ends.
func errEndless(endpoint string) error {
	return malformed(endpoint, fmt.Sprintf("the listing has more than %d pages, or repeats itself", maxPages))
}

// path returns the path of something in the repository, for a REST request.
func (r *reader) path(rest string) string { return repoPath(r.request.Org, &r.request.Repo, rest) }
