package activity

import (
	"math/bits"
	"strings"
)

// Stream is what is read and covered together in a repository.
type Stream uint8

// The streams, in the order of their stored values.
const (
	StreamCommits  Stream = iota // commits of the default branch, with their lines
	StreamPulls                  // pull requests with their reviews
	StreamComments               // conversation comments of issues and pull requests
)

// NumStreams is the number of streams. Arrays over streams are indexed by the stream itself.
const NumStreams = 3

// AllStreams lists every stream.
func AllStreams() [NumStreams]Stream {
	return [NumStreams]Stream{StreamCommits, StreamPulls, StreamComments}
}

// String is the stream's name in logs and messages.
func (s Stream) String() string {
	switch s {
	case StreamCommits:
		return "commits"
	case StreamPulls:
		return "pulls"
	case StreamComments:
		return "comments"
	default:
		return "unknown"
	}
}

// Stream is the stream by which events of the kind are read.
func (k Kind) Stream() Stream {
	switch k {
	case KindCommit:
		return StreamCommits
	case KindIssueComment:
		return StreamComments
	case KindPullRequestOpened, KindPullRequestMerged, KindReviewSubmitted:
		return StreamPulls
	}
	return StreamPulls
}

// Streams is a set of streams.
type Streams uint8

// StreamsOf is the set of the given streams.
func StreamsOf(streams ...Stream) Streams {
	var set Streams
	for _, s := range streams {
		set |= 1 << s
	}
	return set
}

// EveryStream is the set of all streams.
const EveryStream Streams = 1<<NumStreams - 1

// Has reports whether s is in the set.
func (set Streams) Has(s Stream) bool { return set&(1<<s) != 0 }

// With is the set with s in it.
func (set Streams) With(s Stream) Streams { return set | 1<<s }

// Without is the set with s taken out.
func (set Streams) Without(s Stream) Streams { return set &^ (1 << s) }

// Len is how many streams are in the set.
func (set Streams) Len() int { return bits.OnesCount8(uint8(set)) }

// String lists the names, joined by "+".
func (set Streams) String() string {
	var names []string
	for _, s := range AllStreams() {
		if set.Has(s) {
			names = append(names, s.String())
		}
	}
	return strings.Join(names, "+")
}
