// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// streamSource reads one stream with both APIs. Its file, stream_NAME.go, has its variables and rows, the requests and
// the checks of the rows. The rows of commits, which several readers use, are in query_commits.go and rest_commits.go.
type streamSource struct {
	stream activity.Stream
	// readREST reads the stream with REST. Its error is that of the stream.
	readREST func(ctx context.Context, r *reader) error
	// activity is how the Activity query has the stream; nil where REST reads it with either setting of the API.
	activity *activitySource
	// isConditional says that with REST alone only a conditional request shows that the stream has not moved.
	isConditional bool
	// signal sets the stream's signals of a node of a listing, of which a part is missing when it is incomplete. It
	// reports whether they show each change of the stream.
	signal func(n *repositoryNode, m latestUpdates, isIncomplete bool, s *activity.Signals) bool
}

// activitySource is the part of the Activity query that is about one stream.
type activitySource struct {
	// selectFirst selects the first page.
	selectFirst func(req *ReadRequest, v *activityVariables)
	// selectMember selects the first page of one repository in a query for several.
	selectMember func(req *ReadRequest, v *memberVariables)
	// read reads the stream from its first page on. Its error is that of the stream.
	read func(ctx context.Context, r *reader, first *repositoryActivity, errs []graphqlError) error
	// isBounded reports whether the reading ends at what was read before, however far back it may reach in time.
	isBounded func(req *ReadRequest) bool
}
