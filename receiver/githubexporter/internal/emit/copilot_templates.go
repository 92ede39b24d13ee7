// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// copilotTemplates are the metrics of Copilot without points, as metricTemplates are those of activity. A disabled one
// is not enabled.
type copilotTemplates struct {
	template [usage.NumMetrics]pmetric.Metric
	enabled  [usage.NumMetrics]bool
}

func newCopilotTemplates(settings *Settings) *copilotTemplates {
	builder := metadata.NewMetricsBuilder(settings.Metrics, settings.Receiver)
	f := &copilotTemplates{}
	for m := range usage.NumMetrics {
		recordCopilot(builder, usage.Metric(m))
		md := builder.Emit()
		if md.MetricCount() == 0 {
			continue
		}
		metric := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		points(metric).RemoveIf(func(pmetric.NumberDataPoint) bool { return true })
		f.template[m] = pmetric.NewMetric()
		metric.CopyTo(f.template[m])
		f.enabled[m] = true
	}
	return f
}

// recordCopilot records a point of a metric, from which its template is made.
func recordCopilot(b *metadata.MetricsBuilder, m usage.Metric) {
	const at = pcommon.Timestamp(0)
	switch m {
	case usage.MetricInteractions:
		b.RecordGhCopilotUsageUserInitiatedInteractionCountDataPoint(at, 0, "", "", "")
	case usage.MetricGenerations:
		b.RecordGhCopilotUsageCodeGenerationActivityCountDataPoint(at, 0, "", "", "")
	case usage.MetricAcceptances:
		b.RecordGhCopilotUsageCodeAcceptanceActivityCountDataPoint(at, 0, "", "", "")
	case usage.MetricLinesSuggestedToAdd:
		b.RecordGhCopilotUsageLocSuggestedToAddSumDataPoint(at, 0, "", "", "")
	case usage.MetricLinesSuggestedToDelete:
		b.RecordGhCopilotUsageLocSuggestedToDeleteSumDataPoint(at, 0, "", "", "")
	case usage.MetricLinesAdded:
		b.RecordGhCopilotUsageLocAddedSumDataPoint(at, 0, "", "", "")
	case usage.MetricLinesDeleted:
		b.RecordGhCopilotUsageLocDeletedSumDataPoint(at, 0, "", "", "")
	case usage.MetricPRsCreated:
		b.RecordGhCopilotUsagePullRequestsTotalCreatedDataPoint(at, 0, "", "", "")
	case usage.MetricPRsReviewed:
		b.RecordGhCopilotUsagePullRequestsTotalReviewedDataPoint(at, 0, "", "", "")
	case usage.MetricPRsCreatedByCopilot:
		b.RecordGhCopilotUsagePullRequestsTotalCreatedByCopilotDataPoint(at, 0, "", "", "")
	case usage.MetricPRsReviewedByCopilot:
		b.RecordGhCopilotUsagePullRequestsTotalReviewedByCopilotDataPoint(at, 0, "", "", "")
	case usage.MetricActiveUsers:
		b.RecordGhCopilotActiveUsersDataPoint(at, 0, "", "", "")
	case usage.MetricSeats:
		b.RecordGhCopilotSeatsDataPoint(at, 0, "", "")
	case usage.MetricPullRequests:
		b.RecordGhCopilotPullRequestsDataPoint(at, 0, "", "")
	case usage.MetricMinutesToMerge:
		b.RecordGhCopilotMinutesToMergeDataPoint(at, 0, "", "")
	case usage.MetricCreditsUsed:
		b.RecordGhCopilotAiCreditsUsedDataPoint(at, 0, "", "")
	case usage.MetricCLI:
		b.RecordGhCopilotCliDataPoint(at, 0, "", "")
	case usage.MetricAdoptionUsers:
		b.RecordGhCopilotAdoptionUsersDataPoint(at, 0, "", "")
	case usage.MetricReportDay:
		b.RecordGhCopilotReportDayUnixtimeDataPoint(at, 0, "", "")
	}
}
