// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// recordReplicaOf records the metrics of this replica about one organization.
func (s *selfMetrics) recordReplicaOf(org *organization, at pcommon.Timestamp) {
	s.builder.RecordGhExporterLeaderDataPoint(at, boolValue(s.settings.Replica.Leads(org.Org)), org.Org)
	if lastRun, took, _ := org.Status.LastPass(); !lastRun.IsZero() {
		s.builder.RecordGhExporterScrapeDurationDataPoint(at, took.Seconds(), org.Org)
	}
	refused := s.settings.Replica.IsCredentialRefused(org.Org)
	s.builder.RecordGhExporterCredentialRefusedDataPoint(at, boolValue(refused), org.Org)
	if expires := org.Status.CredentialExpiry(); !expires.IsZero() {
		s.builder.RecordGhExporterCredentialExpiresUnixtimeDataPoint(at, expires.Unix(), org.Org)
	}
	s.recordLimits(org, at)
}

// recordLimits records the quotas of an organization's credential, once the installation of an App is known: without
// its id they would be another series.
func (s *selfMetrics) recordLimits(org *organization, at pcommon.Timestamp) {
	installation, quotas, ok := org.Status.Quotas()
	if !ok {
		return
	}
	b := s.builder
	for resource, q := range quotas {
		value, left := metadata.MapAttributeResource[string(resource)], int64(q.Remaining)
		b.RecordGhExporterGithubRateLimitRemainingDataPoint(at, left, org.Org, installation, value)
		b.RecordGhExporterGithubRateLimitResetUnixtimeDataPoint(at, q.Reset.Unix(), org.Org, installation, value)
		if q.Limit > 0 { // a response may lack it
			b.RecordGhExporterGithubRateLimitDataPoint(at, int64(q.Limit), org.Org, installation, value)
		}
		if resource == budget.ResourceREST {
			b.RecordGhAppRateLimitRemainingDataPoint(at, left, org.Org, installation)
		}
	}
}

// recordReplica records the metrics of this replica about no single organization.
func (s *selfMetrics) recordReplica(orgs []*organization, now time.Time, at pcommon.Timestamp) {
	s.builder.RecordGhExporterBuildInfoDataPoint(
		at, 1, s.build.version, s.build.revision, s.build.goVersion, s.build.collector)
	s.recordView(orgs, at)
	s.recordSums(orgs, now, at)
	s.builder.RecordGhExporterStoreCorruptRecordsDataPoint(at, s.settings.Replica.CorruptRecords())
	if active, ok := s.settings.Replica.Fallback(); ok {
		s.builder.RecordGhExporterStoreFallbackDataPoint(at, boolValue(active))
	}
	s.recordHealth(orgs, at)
	s.recordQueue(orgs, now, at)
}

// recordView records the size of the views and how long they took to catch up, once all of them have.
func (s *selfMetrics) recordView(orgs []*organization, at pcommon.Timestamp) {
	var (
		caughtUp time.Duration
		shown    [ledgerview.NumMetrics]int
		copilot  [usage.NumMetrics]int
		repos    [numRepoMetrics]int
	)
	for _, org := range orgs {
		if !org.summary.CaughtUp {
			return
		}
		_, _, took := org.Status.LastPass()
		caughtUp = max(caughtUp, took)
		for m, n := range org.seriesShown {
			shown[m] += n
		}
		for m, n := range org.repos.count {
			repos[m] += n
		}
		for _, reports := range org.copilot {
			for m, n := range reports.shown {
				copilot[m] += n
			}
		}
	}
	s.builder.RecordGhExporterMetricsCacheRefreshDurationDataPoint(at, caughtUp.Seconds())
	for m, n := range shown {
		if name := s.templates.name(m); name != "" {
			s.builder.RecordGhExporterMetricsSeriesLoadedDataPoint(at, int64(n), name)
		}
	}
	for m, n := range repos {
		if n > 0 {
			name := s.templates.repos.template[m].Name()
			s.builder.RecordGhExporterMetricsSeriesLoadedDataPoint(at, int64(n), name)
		}
	}
	for m, n := range copilot {
		if n > 0 {
			name := s.copilotTemplates.template[m].Name()
			s.builder.RecordGhExporterMetricsSeriesLoadedDataPoint(at, int64(n), name)
		}
	}
}

// recordHealth records the readiness and the state of each dependency, for each organization where it may differ
// between them.
func (s *selfMetrics) recordHealth(orgs []*organization, at pcommon.Timestamp) {
	report := s.settings.Replica.Report()
	s.builder.RecordGhExporterReadyDataPoint(at, boolValue(report.Ready))
	for i := range report.Dependencies {
		d := &report.Dependencies[i]
		if !strings.HasPrefix(d.Name, health.GitHub) && d.Name != health.Leadership {
			s.builder.RecordGhExporterDependencyHealthDataPoint(at, boolValue(d.Healthy), d.Name, "")
			continue
		}
		for _, org := range orgs {
			healthy := s.settings.Replica.IsHealthyFor(org.Org, d.Name, d.Healthy)
			s.builder.RecordGhExporterDependencyHealthDataPoint(at, boolValue(healthy), d.Name, org.Org)
		}
	}
}
