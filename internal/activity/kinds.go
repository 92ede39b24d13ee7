// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import (
	"fmt"
	"slices"
	"time"
)

// Kind is the kind of an event. Its values are stored: a value keeps its meaning for ever, and a new kind gets a new
// one.
type Kind uint8

// The kinds of events. A new one is a constant here and a row of kindSpecs.
const (
	KindCommit Kind = iota + 1
	KindPullRequestOpened
	KindPullRequestMerged
	KindReviewSubmitted
	KindIssueComment
	KindIssueOpened
	KindIssueClosed
	KindFirstReview
	KindFirstApproval
	KindMergeTime
	KindMergeSize
	KindCloseTime
	KindIssueCloseTime
	KindReleasePublished
)

// The sizes of the table below, which a test compares with it.
const (
	// NumKinds is the number of kinds.
	NumKinds = 14
	// NumAuthorKinds is the number of kinds that are attributed to an author. Arrays over them are indexed by
	// Kind.Index.
	NumAuthorKinds = 8
	// NumMeasures is the number of measures of all kinds that are attributed to an author together.
	NumMeasures = 2
	// MaxMeasures is the largest number of measures that a kind has.
	MaxMeasures = 2
	// NumWindows is the number of metrics over windows of all sums together.
	NumWindows = 3*NumAuthorKinds + NumMeasures
)

// The measures of a commit, as indexes in Event.Measures.
const (
	CommitAdditions = iota
	CommitDeletions
)

// The measures of a merged pull request, as indexes in Event.Measures: those of KindMergeTime in seconds, and those of
// KindMergeSize. All other durations are measure 0 of their kinds, in seconds.
const (
	MergeTimeToMerge = 0
	MergeTimeInDraft = 1
	MergeSizeReviews = 0
	MergeSizeLines   = 1
)

// kindSpecs is the table of the kinds, in the order of their values. Windows, totals, histograms, codecs and metrics
// are derived from it.
var kindSpecs = [NumKinds]KindSpec{
	KindCommit - 1: {
		Name: "commit", Stream: StreamCommits, Attribution: AttributedToAuthor,
		CountMetrics: countMetrics("gh.activity.commits"),
		Measures: []MeasureSpec{
			CommitAdditions: {
				Name: "additions", Optional: true,
				SumMetrics: SumMetrics{
					Windows:     []WindowMetric{{SpanWeek, "gh.activity.loc_added_weekly"}},
					TotalMetric: "gh.activity.loc_added",
				},
			},
			CommitDeletions: {
				Name: "deletions", Optional: true,
				SumMetrics: SumMetrics{
					Windows:     []WindowMetric{{SpanWeek, "gh.activity.loc_removed_weekly"}},
					TotalMetric: "gh.activity.loc_removed",
				},
			},
		},
	},
	KindPullRequestOpened - 1: {
		Name: "pull_request_opened", Stream: StreamPulls, Attribution: AttributedToAuthor,
		CountMetrics: countMetrics("gh.activity.prs_opened"),
	},
	KindPullRequestMerged - 1: {
		Name: "pull_request_merged", Stream: StreamPulls, Attribution: AttributedToAuthor,
		CountMetrics: countMetrics("gh.activity.prs_merged"),
	},
	KindReviewSubmitted - 1: {
		Name: "review_submitted", Stream: StreamPulls, Attribution: AttributedToAuthor,
		CountMetrics: countMetrics("gh.activity.reviews_submitted"),
	},
	KindIssueComment - 1: {
		Name: "issue_comment", Stream: StreamComments, Attribution: AttributedToAuthor, CanVanish: true,
		CountMetrics: countMetrics("gh.activity.issue_comments"),
	},
	KindIssueOpened - 1: {
		Name: "issue_opened", Stream: StreamIssues, Attribution: AttributedToAuthor, CanVanish: true,
		CountMetrics: countMetrics("gh.activity.issues_opened"),
	},
	KindIssueClosed - 1: {
		Name: "issue_closed", Stream: StreamIssues, Attribution: AttributedToAuthor, CanVanish: true,
		CountMetrics: countMetrics("gh.activity.issues_closed"),
	},
	KindFirstReview - 1: {
		Name: "pull_request_first_review", Stream: StreamPullFlow, Attribution: AttributedToRepository,
		Measures: []MeasureSpec{{Name: "seconds", Histogram: durations("gh.pr.time_to_first_review")}},
	},
	KindFirstApproval - 1: {
		Name: "pull_request_first_approval", Stream: StreamPullFlow, Attribution: AttributedToRepository,
		Measures: []MeasureSpec{{Name: "seconds", Histogram: durations("gh.pr.time_to_approval")}},
	},
	KindMergeTime - 1: {
		Name: "pull_request_merge_time", Stream: StreamPullFlow, Attribution: AttributedToRepository,
		Measures: []MeasureSpec{
			MergeTimeToMerge: {Name: "seconds", Histogram: durations("gh.pr.time_to_merge")},
			MergeTimeInDraft: {Name: "draft seconds", Histogram: durations("gh.pr.draft")},
		},
	},
	KindMergeSize - 1: {
		Name: "pull_request_merge_size", Stream: StreamPullFlow, Attribution: AttributedToRepository,
		Measures: []MeasureSpec{
			MergeSizeReviews: {Name: "reviews", Histogram: HistogramSpec{
				Metric: "gh.pr.reviews", Bounds: []uint32{0, 1, 2, 3, 5, 10, 20},
				ZerosMetric: "gh.pr.merged_without_review",
			}},
			MergeSizeLines: {Name: "lines", Histogram: HistogramSpec{
				Metric: "gh.pr.lines", Bounds: []uint32{10, 50, 100, 250, 500, 1000, 5000},
			}},
		},
	},
	KindCloseTime - 1: {
		Name: "pull_request_close_time", Stream: StreamPullFlow, Attribution: AttributedToRepository,
		Measures: []MeasureSpec{{Name: "seconds", Histogram: durations("gh.pr.time_to_close")}},
	},
	KindIssueCloseTime - 1: {
		Name: "issue_close_time", Stream: StreamIssueFlow, Attribution: AttributedToRepository,
		Measures: []MeasureSpec{{Name: "seconds", Histogram: durations("gh.issue.time_to_close")}},
	},
	KindReleasePublished - 1: {
		Name: "release_published", Stream: StreamReleases, Attribution: AttributedToAuthor, CanVanish: true,
		CountMetrics: countMetrics("gh.activity.releases_published"),
	},
}

// KindSpec describes the events of a kind.
type KindSpec struct {
	// Name is the kind's name in logs.
	Name string
	// Stream is the stream by which the events are read.
	Stream Stream
	// Attribution says whose Event.Actor is.
	Attribution Attribution
	// CanVanish says that GitHub can delete the event, or transfer it to another repository, without a trace in the
	// listing of its stream: reconciliation compares what is recorded with what the listing has.
	CanVanish bool
	// CountMetrics names the metrics of the number of events; none of a kind that is attributed to the repository.
	CountMetrics SumMetrics
	// Measures are the measures of an event. Their order is stored: a new one is appended.
	Measures []MeasureSpec
}

// MeasureSpec describes a measure, a number that every event of a kind has.
type MeasureSpec struct {
	// Name is the measure's name in logs.
	Name string
	// Optional says that events may be recorded without it, because it is read apart from them.
	Optional bool
	// SumMetrics names the metrics of the sum of the measure over a user's events.
	SumMetrics SumMetrics
	// Histogram is the distribution of the measure over a repository's events, of a kind that is attributed to it.
	Histogram HistogramSpec
}

// HistogramSpec describes a cumulative histogram of a measure since the ledger started.
type HistogramSpec struct {
	Metric string
	// Bounds are the inclusive upper bounds of the buckets, ascending; a last bucket has what is above them. They are
	// stored by their index: they never change.
	Bounds []uint32
	// ZerosMetric is the sum of the events whose measure is 0, which is the first bound; empty for none.
	ZerosMetric string
}

// Bucket returns the index of the bucket of a value: len(Bounds) for one above all bounds.
func (h *HistogramSpec) Bucket(value uint32) int {
	i, _ := slices.BinarySearch(h.Bounds, value)
	return i
}

// durations returns the histogram of a duration in seconds.
func durations(metric string) HistogramSpec {
	const minute, hour, day = 60, 60 * 60, 24 * 60 * 60
	return HistogramSpec{Metric: metric, Bounds: []uint32{
		5 * minute, 15 * minute, 30 * minute, hour, 2 * hour, 4 * hour, 8 * hour,
		day, 2 * day, 3 * day, 5 * day, 7 * day, 14 * day, 30 * day,
	}}
}

// SumMetrics names the metrics of a sum over events: one for each window, the shortest first, and TotalMetric over all
// time since the ledger started.
type SumMetrics struct {
	Windows     []WindowMetric
	TotalMetric string
}

// WindowMetric is the metric of a sum over a window.
type WindowMetric struct {
	Span Span
	Name string
}

// countMetrics returns the metrics of the number of a kind's events.
func countMetrics(name string) SumMetrics {
	return SumMetrics{
		Windows:     []WindowMetric{{SpanDay, name + "_24h"}, {Span7Days, name + "_7d"}, {Span30Days, name + "_30d"}},
		TotalMetric: name,
	}
}

// Span is the window that a metric covers.
type Span uint8

// The spans.
const (
	SpanDay    Span = iota // the last 24 h
	Span7Days              // the last 7 days of 24 h
	Span30Days             // the last 30 days of 24 h
	SpanWeek               // the last complete week, which starts on Sunday 00:00 UTC
)

// NumSpans is the number of spans.
const NumSpans = 4

// Length returns the length of a span that ends at the time of evaluation, and 0 for SpanWeek, which does not.
func (s Span) Length() time.Duration {
	const day = 24 * time.Hour
	return [NumSpans]time.Duration{SpanDay: day, Span7Days: 7 * day, Span30Days: 30 * day}[s]
}

// Attribution says whose the actor of an event is.
type Attribution uint8

// The attributions.
const (
	// AttributedToAuthor is of an event whose actor is its author: the commit's, the pull request's for both opened and
	// merged, the reviewer, the commenter, the issue's for both opened and closed, the release's.
	AttributedToAuthor Attribution = iota
	// AttributedToRepository is of an event that belongs to no account: its actor is NoActor.
	AttributedToRepository
)

// Measures are the measures of an event, zero beyond those of its kind.
type Measures [MaxMeasures]uint32

// Lines returns the measures of a commit.
func Lines(additions, deletions uint32) Measures {
	return Measures{CommitAdditions: additions, CommitDeletions: deletions}
}

// count returns the number of measures up to the last one that is not zero.
func (m *Measures) count() int {
	n := len(m)
	for n > 0 && m[n-1] == 0 {
		n--
	}
	return n
}

// Kinds returns every kind in the order of the values.
func Kinds() [NumKinds]Kind {
	var kinds [NumKinds]Kind
	for i := range kinds {
		kinds[i] = Kind(i + 1)
	}
	return kinds
}

// authorKinds are the kinds that are attributed to an author, and kindIndexes the index of each kind among those of its
// attribution.
var authorKinds, kindIndexes = indexKinds()

// indexKinds numbers the kinds of each attribution.
func indexKinds() (author [NumAuthorKinds]Kind, indexes [NumKinds]int) {
	var next [AttributedToRepository + 1]int
	for i := range kindSpecs {
		attribution := kindSpecs[i].Attribution
		indexes[i] = next[attribution]
		if attribution == AttributedToAuthor {
			author[next[attribution]] = Kind(i + 1)
		}
		next[attribution]++
	}
	return author, indexes
}

// AuthorKinds returns the kinds that are attributed to an author, in the order of Index.
func AuthorKinds() [NumAuthorKinds]Kind { return authorKinds }

// Index returns the kind's index among the kinds of its attribution: for one that is attributed to an author 0 to
// NumAuthorKinds-1. The kind must be valid.
func (k Kind) Index() int { return kindIndexes[k-1] }

// IsValid reports whether k is one of the kinds.
func (k Kind) IsValid() bool { return k >= 1 && k <= NumKinds }

// Spec returns the description of a valid kind, which must not be changed.
func (k Kind) Spec() *KindSpec { return &kindSpecs[k-1] }

// IsOfRepository reports whether events of a valid kind are attributed to their repository and to no account.
func (k Kind) IsOfRepository() bool { return k.Spec().Attribution == AttributedToRepository }

// Stream returns the stream by which events of a valid kind are read.
func (k Kind) Stream() Stream { return k.Spec().Stream }

// NumMeasures returns the number of measures that events of a valid kind have.
func (k Kind) NumMeasures() int { return len(k.Spec().Measures) }

// String returns the kind's name in logs.
func (k Kind) String() string {
	if !k.IsValid() {
		return fmt.Sprintf("kind(%d)", uint8(k))
	}
	return k.Spec().Name
}
