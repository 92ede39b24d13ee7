// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// activityPatience and commentsPatience are how many time-outs the failed requests of one reading may last: those
	// for the streams of the Activity query, and those for the others. With the default settings both are less than a
	// scrape interval.
	activityPatience = 6
	commentsPatience = 2
)

// Read emits the events of a repository page by page. Events may be repeated, and may be older than the window; of a
// stream that did not fail, none in the window is missing. An error of emit ends the streams that are not complete.
func (c *Client) Read(ctx context.Context, req ReadRequest, emit func([]activity.Event) error) ReadResult {
	asked := req
	req = asked.withBases()
	r := &reader{client: c, request: &req, asked: asked.Streams, emit: emit, former: newFormerTips(&req)}
	r.linesApart = c.state.repos.areLinesApart(req.Repo.ID, c.transport.Now())
	activityCtx := transport.WithScope(ctx, transport.Scope{
		RepoID: req.Repo.ID, Patience: c.transport.NewPatience(activityPatience, req.Minimal), Priority: req.Priority,
	})
	if sources := r.activitySources(); c.settings.API == APIREST {
		r.readREST(activityCtx, sources)
	} else if len(sources) > 0 {
		r.readActivity(activityCtx, sources)
	}
	r.recordMissedLines()
	for _, s := range streamSources {
		if s.activity == nil && r.wants(s.stream) {
			commentsCtx := transport.WithScope(ctx, transport.Scope{
				RepoID: req.Repo.ID, Priority: req.Priority,
				Patience: c.transport.NewPatience(commentsPatience, req.Minimal),
			})
			r.readREST(commentsCtx, []*streamSource{s})
		}
	}
	r.shareResults(&asked)
	return r.result
}

// readREST reads streams with REST.
func (r *reader) readREST(ctx context.Context, sources []*streamSource) {
	for _, s := range sources {
		r.result.setFailed(s.stream, s.readREST(ctx, r))
	}
}
