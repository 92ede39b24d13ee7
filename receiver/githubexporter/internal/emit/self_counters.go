// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// sharedCounters are the shared counters of an organization.
type sharedCounters struct {
	tallies map[ledger.TallyKey]uint64
	// showsZero says that every counter is shown as 0.
	showsZero bool
}

// countersOf returns the shared counters. Those of a new ledger are shown at 0 for counters::zero_for before their
// values, so that increase() sees the first increment, whenever it was. All replicas agree, because the start is that
// of the ledger.
func (s *selfMetrics) countersOf(sum *ledgerview.Summary, now time.Time) sharedCounters {
	showsZero := now.Before(sum.LedgerStart.Add(s.settings.ZeroFor))
	return sharedCounters{tallies: sum.Tallies, showsZero: showsZero}
}

// value returns the value of a counter; 0 for one that was never incremented.
func (c sharedCounters) value(name string, labels ...string) int64 {
	if c.showsZero {
		return 0
	}
	key := ledger.TallyKey{Name: name}
	copy(key.Labels[:], labels)
	return int64(c.tallies[key]) //nolint:gosec // no counter gets there
}

// endpoints returns the endpoints that requests were made to, sorted.
func (c sharedCounters) endpoints() []string {
	seen := make(map[string]struct{})
	for key := range c.tallies {
		if key.Name == collect.TallyRequests || key.Name == collect.TallyDeprecated {
			seen[key.Labels[0]] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// recordPassCounters records the shared counters of passes and of limits, with all values of their labels. Those of
// endpoints and of backfill have methods of their own.
func (s *selfMetrics) recordPassCounters(org *organization, at pcommon.Timestamp, c sharedCounters) {
	b := s.builder
	b.RecordGhExporterReconciledEventsDataPoint(at, c.value(collect.TallyReconciled), org.Org)
	b.RecordGhExporterSeriesOverflowDataPoint(at, c.value(ledger.TallySeriesOverflow), org.Org)
	b.RecordGhExporterGithubSecondaryLimitHitsDataPoint(at, c.value(collect.TallySecondary), org.Org)
	b.RecordGhExporterGithubMispricedQueriesDataPoint(at, c.value(collect.TallyMispriced), org.Org)
	b.RecordGhExporterInvalidValuesDataPoint(at, c.value(collect.TallyInvalid), org.Org)
	for result, value := range metadata.MapAttributeRunResult {
		b.RecordGhExporterScrapeRunsDataPoint(at, c.value(collect.TallyRuns, result), org.Org, value)
	}
	for resource, value := range metadata.MapAttributeResource {
		b.RecordGhExporterGithubPointsDataPoint(at, c.value(collect.TallyPoints, resource), org.Org, value)
	}
}

// recordRequests records the shared counters with the label endpoint, for each endpoint with all status classes.
func (s *selfMetrics) recordRequests(org *organization, at pcommon.Timestamp, c sharedCounters) {
	for _, endpoint := range c.endpoints() {
		for class, value := range metadata.MapAttributeStatusClass {
			n := c.value(collect.TallyRequests, endpoint, class)
			s.builder.RecordGhExporterGithubRequestsDataPoint(at, n, org.Org, endpoint, value)
		}
		n := c.value(collect.TallyDeprecated, endpoint)
		s.builder.RecordGhExporterGithubDeprecationsDataPoint(at, n, org.Org, endpoint)
	}
}

// recordBackfill records the shared counters of backfill jobs.
func (s *selfMetrics) recordBackfill(org *organization, at pcommon.Timestamp, c sharedCounters) {
	b := s.builder
	for reason, value := range metadata.MapAttributeJobReason {
		b.RecordGhExporterBackfillJobsEnqueuedDataPoint(at, c.value(collect.TallyEnqueued, reason), org.Org, value)
		b.RecordGhExporterBackfillJobsDedupedDataPoint(at, c.value(collect.TallyDeduped, reason), org.Org, value)
	}
	for cause, value := range metadata.MapAttributeDeferReason {
		b.RecordGhExporterBackfillEnqueuesDroppedDataPoint(at, c.value(collect.TallyDeferred, cause), org.Org, value)
	}
	for result, value := range metadata.MapAttributeJobResult {
		b.RecordGhExporterBackfillJobsProcessedDataPoint(at, c.value(collect.TallyJobs, result), org.Org, value)
	}
}
