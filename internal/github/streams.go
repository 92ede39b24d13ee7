// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// streamSource reads one stream with both APIs. Its file has the requests, the rows and their checks.
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
	signal func(n *repositoryNode, m nodeMarks, isIncomplete bool, s *activity.Signals) bool
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

// streamSources are the streams, in the order in which they are read.
var streamSources = []*streamSource{&commitSource, &pullSource, &issueSource, &commentSource}

// ConditionalStreams are the streams of which, with REST alone, only a conditional request shows that they have not
// moved. With GraphQL discovery shows it, and most of what is requested then has changed: a condition would not pay.
var ConditionalStreams = func() (streams activity.Streams) {
	for _, s := range streamSources {
		if s.isConditional {
			streams = streams.With(s.stream)
		}
	}
	return streams
}()

// activitySources returns the wanted streams that the Activity query has.
func (r *reader) activitySources() []*streamSource {
	var list []*streamSource
	for _, s := range streamSources {
		if s.activity != nil && r.wants(s.stream) {
			list = append(list, s)
		}
	}
	return list
}
