// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"math/bits"
	"strings"
)

// Stream is a part of a repository's activity that is read, and whose coverage is recorded, on its own.
type Stream uint8

// The streams, in the order of their stored values.
const (
	StreamCommits   Stream = iota // commits of the default branch, with their lines
	StreamPulls                   // pull requests with their reviews
	StreamComments                // conversation comments of issues and pull requests
	StreamIssues                  // issues with their closings, without pull requests
	StreamPullFlow                // durations and sizes of pull requests: read with StreamPulls, recorded apart
	StreamIssueFlow               // durations of issues: read with StreamIssues, recorded apart
	StreamReleases                // published releases
)

// NumStreams is the number of streams. Arrays over streams are indexed by the Stream itself.
const NumStreams = 7

// AllStreams returns every stream, in the order of their values.
func AllStreams() [NumStreams]Stream {
	return [NumStreams]Stream{
		StreamCommits, StreamPulls, StreamComments, StreamIssues, StreamPullFlow, StreamIssueFlow, StreamReleases,
	}
}

// Base returns the stream in whose listing a stream is read: another one for a stream that is recorded apart. What is
// read of such a stream can fail, or be switched off, without the other one, and ledgers may have the other one alone.
// Its signals are those of the other one.
func (s Stream) Base() Stream {
	switch s {
	case StreamPullFlow:
		return StreamPulls
	case StreamIssueFlow:
		return StreamIssues
	default:
		return s
	}
}

// FlowStreams are the streams of durations and sizes.
const FlowStreams Streams = 1<<StreamPullFlow | 1<<StreamIssueFlow

// String returns the stream's name in logs, in stored keys and in the messages of jobs.
func (s Stream) String() string {
	switch s {
	case StreamCommits:
		return "commits"
	case StreamPulls:
		return "pulls"
	case StreamComments:
		return "comments"
	case StreamIssues:
		return "issues"
	case StreamPullFlow:
		return "pull_flow"
	case StreamIssueFlow:
		return "issue_flow"
	case StreamReleases:
		return "releases"
	default:
		return "unknown"
	}
}

// Streams is a set of streams, a bit for each.
type Streams uint8

// StreamsOf returns the set of the given streams.
func StreamsOf(streams ...Stream) Streams {
	var set Streams
	for _, s := range streams {
		set |= 1 << s
	}
	return set
}

// EveryStream is the set of all streams.
const EveryStream Streams = 1<<NumStreams - 1

// FirstStreams are the streams of ledgers that do not record which streams their repositories have.
const FirstStreams Streams = 1<<StreamCommits | 1<<StreamPulls | 1<<StreamComments

// Has reports whether s is in the set.
func (set Streams) Has(s Stream) bool { return set&(1<<s) != 0 }

// With returns the set with s added.
func (set Streams) With(s Stream) Streams { return set | 1<<s }

// Without returns the set with s removed.
func (set Streams) Without(s Stream) Streams { return set &^ (1 << s) }

// WithDependent returns the set with the streams added that are read in the listings of its streams.
func (set Streams) WithDependent() Streams {
	for _, s := range AllStreams() {
		if set.Has(s.Base()) {
			set = set.With(s)
		}
	}
	return set
}

// Len returns the number of streams in the set.
func (set Streams) Len() int { return bits.OnesCount8(uint8(set)) }

// String returns the names of the streams, joined by "+".
func (set Streams) String() string {
	var names []string
	for _, s := range AllStreams() {
		if set.Has(s) {
			names = append(names, s.String())
		}
	}
	return strings.Join(names, "+")
}
