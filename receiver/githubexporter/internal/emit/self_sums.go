// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// counterSum is the state of the shared counters that are summed over the organizations.
type counterSum struct {
	start time.Time // of the sums as they were emitted last
	total int64     // value of all their series then
}

// startOf returns the start of the sum: that of the oldest ledger or, after the sum fell because a ledger started
// again, that of the newest.
func (w *counterSum) startOf(total int64, oldest, newest time.Time) time.Time {
	switch {
	case total < w.total:
		w.start = newest
	case w.start.IsZero():
		w.start = oldest
	}
	w.total = total
	return w.start
}

// summedKeys returns the keys of the shared counters that are summed over the organizations, with all values of their
// labels.
func (s *selfMetrics) summedKeys() []ledger.TallyKey {
	var keys []ledger.TallyKey
	add := func(name, first, second string) {
		keys = append(keys, ledger.TallyKey{Name: name, Labels: [2]string{first, second}})
	}
	for source := range metadata.MapAttributeSource {
		for result := range metadata.MapAttributeWriteResult {
			add(collect.TallyStoreWrites, source, result)
		}
	}
	if s.settings.Copilot == nil {
		return keys
	}
	for _, scope := range s.settings.Copilot.Scopes {
		for result := range metadata.MapAttributeCopilotRunResult {
			add(collect.TallyCopilotRuns, scope, result)
		}
		for result := range metadata.MapAttributeCopilotDownloadResult {
			add(collect.TallyCopilotDownloads, scope, result)
		}
		for reason := range metadata.MapAttributeCopilotDropReason {
			add(collect.TallyCopilotDrops, scope, reason)
		}
	}
	return keys
}

// recordSums records the shared counters that are summed over the organizations, once all of them are known: the writes
// to the store, and those of Copilot reports.
func (s *selfMetrics) recordSums(orgs []*organization, now time.Time, at pcommon.Timestamp) {
	var oldest, newest time.Time
	keys := s.summedKeys()
	sums, total := make(map[ledger.TallyKey]int64), int64(0)
	for _, org := range orgs {
		sum := &org.summary
		if !sum.CaughtUp {
			return
		}
		if sum.LedgerStart.IsZero() {
			continue // nothing was written yet
		}
		if oldest.IsZero() || sum.LedgerStart.Before(oldest) {
			oldest = sum.LedgerStart
		}
		if sum.LedgerStart.After(newest) {
			newest = sum.LedgerStart
		}
		c := s.countersOf(sum, now)
		for _, key := range keys {
			n := c.value(key.Name, key.Labels[:]...)
			sums[key] += n
			total += n
		}
	}
	if oldest.IsZero() {
		return
	}
	start := s.sums.startOf(total, oldest, newest)
	s.builder.Reset(metadata.WithStartTime(pcommon.NewTimestampFromTime(start)))
	defer s.builder.Reset(metadata.WithStartTime(s.started))
	for key, n := range sums {
		s.recordSum(at, key, n)
	}
}

// recordSum records a counter that is summed over the organizations.
func (s *selfMetrics) recordSum(at pcommon.Timestamp, key ledger.TallyKey, n int64) {
	first, second := key.Labels[0], key.Labels[1]
	switch key.Name {
	case collect.TallyStoreWrites:
		s.builder.RecordGhExporterStoreWriteDataPoint(
			at, n, metadata.MapAttributeSource[first], metadata.MapAttributeWriteResult[second])
	case collect.TallyCopilotRuns:
		s.builder.RecordGhExporterCopilotScrapeRunsDataPoint(
			at, n, metadata.MapAttributeCopilotScope[first], metadata.MapAttributeCopilotRunResult[second])
	case collect.TallyCopilotDownloads:
		s.builder.RecordGhExporterCopilotReportDownloadDataPoint(
			at, n, metadata.MapAttributeCopilotScope[first], metadata.MapAttributeCopilotDownloadResult[second])
	case collect.TallyCopilotDrops:
		s.builder.RecordGhExporterCopilotRecordsDroppedDataPoint(
			at, n, metadata.MapAttributeCopilotScope[first], metadata.MapAttributeCopilotDropReason[second])
	}
}
