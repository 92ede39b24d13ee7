// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// repoMetric is the index of a metric by repository. It is stored nowhere: outside of this process metrics have names.
type repoMetric uint8

// The metrics by repository. A new one is a constant here and a row of repoRecords.
const (
	repoInfo repoMetric = iota
	repoCount
	repoStars
	repoForks
	repoWatchers
	repoSize
	repoBranches
	repoTags
	repoReleases
	repoCreated
	repoPushed
	repoLastEvent
	repoLatestRelease
	repoOpenPulls
	repoOldestPull
	repoUnreviewed
	repoReviewRequests
	repoOpenIssues
	repoOldestIssue
	vcsRepositoryCount
	vcsChangeCount
	vcsContributorCount
	vcsRefCount
	vcsChangeDuration
	vcsChangeTimeToApproval
	vcsChangeTimeToMerge
	vcsRefLinesDelta
	vcsRefRevisionsDelta
	vcsRefTime
	prFirstReview
	prApproval
	prMerge
	prDraft
	prReviews
	prMergedUnreviewed
	prLines
	prClose
	issueClose
	numRepoMetrics
)

// repoRecord describes a metric by repository.
type repoRecord struct {
	// record records a point with the builder, from which the template is made.
	record func(b *metadata.MetricsBuilder)
	// isHistogram says that the metric is a cumulative histogram. The generated builder knows none: metadata.yaml has
	// its name, description, unit, labels and `enabled` as those of a sum.
	isHistogram bool
	// isConventional says that the metric is one of the semantic conventions, with their attributes.
	isConventional bool
}

// repoRecords has the metrics by repository.
var repoRecords = [numRepoMetrics]repoRecord{
	repoInfo: {record: func(b *metadata.MetricsBuilder) { b.RecordGhRepoInfoDataPoint(0, 1, "", "", "", "", "") }},
	repoCount: {record: func(b *metadata.MetricsBuilder) {
		b.RecordGhRepoCountDataPoint(0, 0, "", "", "")
	}},
	repoStars:         recordOf((*metadata.MetricsBuilder).RecordGhRepoStarsDataPoint),
	repoForks:         recordOf((*metadata.MetricsBuilder).RecordGhRepoForksDataPoint),
	repoWatchers:      recordOf((*metadata.MetricsBuilder).RecordGhRepoWatchersDataPoint),
	repoSize:          recordOf((*metadata.MetricsBuilder).RecordGhRepoSizeDataPoint),
	repoBranches:      recordOf((*metadata.MetricsBuilder).RecordGhRepoBranchesDataPoint),
	repoTags:          recordOf((*metadata.MetricsBuilder).RecordGhRepoTagsDataPoint),
	repoReleases:      recordOf((*metadata.MetricsBuilder).RecordGhRepoReleasesDataPoint),
	repoCreated:       recordOf((*metadata.MetricsBuilder).RecordGhRepoCreatedUnixtimeDataPoint),
	repoPushed:        recordOf((*metadata.MetricsBuilder).RecordGhRepoPushedUnixtimeDataPoint),
	repoLastEvent:     recordOf((*metadata.MetricsBuilder).RecordGhRepoLastEventUnixtimeDataPoint),
	repoLatestRelease: recordOf((*metadata.MetricsBuilder).RecordGhRepoLatestReleaseUnixtimeDataPoint),
	repoOpenPulls: {record: func(b *metadata.MetricsBuilder) {
		b.RecordGhRepoOpenPullRequestsDataPoint(0, 0, "", "", metadata.AttributePullStateReady)
	}},
	repoOldestPull:     recordOf((*metadata.MetricsBuilder).RecordGhRepoOldestOpenPullRequestUnixtimeDataPoint),
	repoUnreviewed:     recordOf((*metadata.MetricsBuilder).RecordGhRepoPullRequestsUnreviewedDataPoint),
	repoReviewRequests: recordOf((*metadata.MetricsBuilder).RecordGhRepoReviewRequestsDataPoint),
	repoOpenIssues:     recordOf((*metadata.MetricsBuilder).RecordGhRepoOpenIssuesDataPoint),
	repoOldestIssue:    recordOf((*metadata.MetricsBuilder).RecordGhRepoOldestOpenIssueUnixtimeDataPoint),
	vcsRepositoryCount: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsRepositoryCountDataPoint(0, 0, "")
	}),
	vcsChangeCount: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsChangeCountDataPoint(0, 0, "", "", "", metadata.AttributeVcsChangeStateOpen)
	}),
	vcsContributorCount: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsContributorCountDataPoint(0, 0, "", "", "")
	}),
	vcsRefCount: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsRefCountDataPoint(0, 0, "", "", "", metadata.AttributeVcsRefTypeBranch)
	}),
	vcsChangeDuration: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsChangeDurationDataPoint(0, 0, "", "", "", metadata.AttributeVcsChangeStateOpen, "")
	}),
	vcsChangeTimeToApproval: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsChangeTimeToApprovalDataPoint(0, 0, "", "", "", "", "")
	}),
	vcsChangeTimeToMerge: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsChangeTimeToMergeDataPoint(0, 0, "", "", "", "", "")
	}),
	vcsRefLinesDelta: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsRefLinesDeltaDataPoint(0, 0, "", "", "", "", metadata.AttributeVcsRefHeadTypeBranch, "",
			metadata.AttributeVcsRefBaseTypeBranch, metadata.AttributeVcsLineChangeTypeAdded)
	}),
	vcsRefRevisionsDelta: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsRefRevisionsDeltaDataPoint(0, 0, "", "", "", "", metadata.AttributeVcsRefHeadTypeBranch, "",
			metadata.AttributeVcsRefBaseTypeBranch, metadata.AttributeVcsRevisionDeltaDirectionAhead)
	}),
	vcsRefTime: conventional(func(b *metadata.MetricsBuilder) {
		b.RecordVcsRefTimeDataPoint(0, 0, "", "", "", "", metadata.AttributeVcsRefHeadTypeBranch)
	}),

	prFirstReview:      histogramOf((*metadata.MetricsBuilder).RecordGhPrTimeToFirstReviewDataPoint),
	prApproval:         histogramOf((*metadata.MetricsBuilder).RecordGhPrTimeToApprovalDataPoint),
	prMerge:            histogramOf((*metadata.MetricsBuilder).RecordGhPrTimeToMergeDataPoint),
	prDraft:            histogramOf((*metadata.MetricsBuilder).RecordGhPrDraftDataPoint),
	prReviews:          histogramOf((*metadata.MetricsBuilder).RecordGhPrReviewsDataPoint),
	prMergedUnreviewed: recordOf((*metadata.MetricsBuilder).RecordGhPrMergedWithoutReviewDataPoint),
	prLines:            histogramOf((*metadata.MetricsBuilder).RecordGhPrLinesDataPoint),
	prClose:            histogramOf((*metadata.MetricsBuilder).RecordGhPrTimeToCloseDataPoint),
	issueClose:         histogramOf((*metadata.MetricsBuilder).RecordGhIssueTimeToCloseDataPoint),
}

// conventional returns the record of a metric of the semantic conventions.
func conventional(record func(b *metadata.MetricsBuilder)) repoRecord {
	return repoRecord{record: record, isConventional: true}
}

// recordOf returns the record of a metric with the labels org and repo.
func recordOf(
	record func(b *metadata.MetricsBuilder, at pcommon.Timestamp, value int64, org, repo string),
) repoRecord {
	return repoRecord{record: func(b *metadata.MetricsBuilder) { record(b, 0, 0, "", "") }}
}

// histogramOf returns the record of a histogram with the labels org and repo.
func histogramOf(
	record func(b *metadata.MetricsBuilder, at pcommon.Timestamp, value int64, org, repo string),
) repoRecord {
	of := recordOf(record)
	of.isHistogram = true
	return of
}

// repoMask is a set of metrics by repository.
type repoMask uint64

const _ = uint(64 - numRepoMetrics) // a mask has a bit for each

// mask returns the set of one metric.
func (m repoMetric) mask() repoMask { return 1 << m }

// repoTemplates are the metrics by repository without points, as metricTemplates are those of activity. One that is
// disabled is not enabled. They do not change.
type repoTemplates struct {
	template [numRepoMetrics]pmetric.Metric
	enabled  [numRepoMetrics]bool
}

// mask returns the set of the enabled metrics.
func (f *repoTemplates) mask() repoMask {
	var mask repoMask
	for m := range numRepoMetrics {
		if f.enabled[m] {
			mask |= m.mask()
		}
	}
	return mask
}

// newRepoTemplates makes the templates with the builder of those of activity, which get their scope.
func newRepoTemplates(all *metricTemplates) *repoTemplates {
	f := &repoTemplates{}
	for m := range numRepoMetrics {
		repoRecords[m].record(all.builder)
		md := all.builder.Emit()
		if md.MetricCount() == 0 {
			continue
		}
		scope := md.ResourceMetrics().At(0).ScopeMetrics().At(0)
		all.adoptScope(scope)
		f.template[m], f.enabled[m] = withoutPoints(scope.Metrics().At(0)), true
		if repoRecords[m].isHistogram {
			f.template[m].SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
	}
	return f
}
