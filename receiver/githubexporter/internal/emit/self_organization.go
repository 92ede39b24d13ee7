// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// recordOrganization records the metrics of one organization; most of them only once its view has caught up.
func (s *selfMetrics) recordOrganization(org *organization, now time.Time, at pcommon.Timestamp) {
	if lastRun, _, _ := org.Status.LastPass(); !lastRun.IsZero() {
		s.builder.RecordGhExporterLeaderCycleLastRunUnixtimeDataPoint(at, lastRun.Unix(), org.Org)
	}
	if s.settings.Replica.Leads(org.Org) {
		for _, permission := range org.Status.MissingPermissions() {
			s.builder.RecordGhExporterMissingPermissionDataPoint(at, 1, org.Org, permission)
		}
	}
	sum := &org.summary
	if !sum.CaughtUp || sum.LedgerStart.IsZero() {
		return
	}
	series, events := s.settings.Replica.Sizes(org.Org)
	s.builder.RecordGhExporterStoreSeriesDataPoint(at, int64(series), org.Org)
	s.builder.RecordGhExporterStoreEventsDataPoint(at, int64(events), org.Org)
	s.recordCoverage(org, now, at, sum)
	s.recordUsers(org, at)
	s.recordTeams(org, now, at, sum)
	counts := s.countersOf(sum, now)
	s.recordPassCounters(org, at, counts)
	s.recordRequests(org, at, counts)
	if s.settings.Backfill {
		s.recordBackfill(org, at, counts)
	}
	s.recordLines(org, now, at, counts)
}

// recordCoverage records the gaps and the lag of the coverage.
func (s *selfMetrics) recordCoverage(org *organization, now time.Time, at pcommon.Timestamp, sum *ledgerview.Summary) {
	s.builder.RecordGhExporterGapsDataPoint(at, int64(sum.Gaps), org.Org)
	oldest := sum.OldestUncovered
	if oldest.IsZero() {
		oldest = sum.LedgerStart // an organization that could never be read lags since then
	}
	s.builder.RecordGhExporterCoverageLagDataPoint(at, max(0, now.Sub(oldest).Seconds()), org.Org)
}

// recordUsers records the users of the last visit.
func (s *selfMetrics) recordUsers(org *organization, at pcommon.Timestamp) {
	for user, accountType := range org.View.Users() {
		s.builder.RecordGhUserInfoDataPoint(at, 1, org.Org, user, accountType.String())
	}
}

// recordTeams records the members of the teams, and their readings; nothing where no teams are read.
func (s *selfMetrics) recordTeams(org *organization, now time.Time, at pcommon.Timestamp, sum *ledgerview.Summary) {
	if !s.settings.Teams {
		return
	}
	for member := range org.View.Teams(now) {
		s.builder.RecordGhUserTeamInfoDataPoint(at, 1, org.Org, member.User, member.Team)
	}
	if readAt := org.View.TeamsReadAt(); !readAt.IsZero() {
		s.builder.RecordGhExporterTeamsLastReadUnixtimeDataPoint(at, readAt.Unix(), org.Org)
	}
	counts := s.countersOf(sum, now)
	for result, value := range metadata.MapAttributeTeamReadResult {
		s.builder.RecordGhExporterTeamReadsDataPoint(at, counts.value(collect.TallyTeamReads, result), org.Org, value)
	}
}

// recordLines records the modes of the weekly lines of repositories, where they come from GitHub's statistics.
func (s *selfMetrics) recordLines(org *organization, now time.Time, at pcommon.Timestamp, c sharedCounters) {
	isFromStatistics := org.Status.EachLinesState(now, func(repo string, state *loc.State, mode loc.Mode) {
		for _, m := range loc.Modes() {
			value := metadata.MapAttributeLocMode[m.String()]
			s.builder.RecordGhExporterLocSourceModeDataPoint(at, boolValue(m == mode), org.Org, repo, value)
		}
		if state.Fallback {
			s.builder.RecordGhExporterLocFallbackIncompleteDataPoint(at, boolValue(state.Incomplete), org.Org, repo)
		}
	})
	if isFromStatistics {
		waits := c.value(collect.TallyLinesWait)
		s.builder.RecordGhExporterLocFallbackBudgetExhaustedDataPoint(at, waits, org.Org)
	}
}
