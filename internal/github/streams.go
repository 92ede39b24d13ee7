// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "github.com/seed-358c4d9d/githubexporter/internal/activity"

// streamSources are the streams, in the order in which they are read.
var streamSources = []*streamSource{&commitSource, &pullSource, &issueSource, &releaseSource, &commentSource}

// ConditionalStreams are the streams of which, with REST alone, only a conditional request shows that they have not
// moved. With GraphQL discovery shows it, and most of what is requested then has changed: a condition would not pay.
var ConditionalStreams = func() (streams activity.Streams) {
	for _, s := range streamSources {
		if s.isConditional {
			streams = streams.With(s.stream)
		}
	}
	return streams.WithDependent()
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
