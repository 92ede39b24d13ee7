// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// selfMetrics makes the exporter's own metrics. Those of an organization are the same whichever replica emits them, and
// come from the replicas that emit the organization. Those of the replica carry its identity, and come from every
// replica (docs/own-metrics.md). It belongs to the emitter.
type selfMetrics struct {
	settings  *Settings
	builder   *metadata.MetricsBuilder
	templates *metricTemplates
	// copilotTemplates is nil where Copilot reports are not shown.
	copilotTemplates *copilotTemplates
	identity         identity
	build            buildInfo
	started          pcommon.Timestamp
	ended            *endedSeries
	sums             counterSum
}

func newSelfMetrics(
	settings *Settings, id identity, templates *metricTemplates, copilot *copilotTemplates,
) *selfMetrics {
	started := pcommon.NewTimestampFromTime(time.Now())
	return &selfMetrics{
		settings: settings, templates: templates, copilotTemplates: copilot, started: started,
		identity: id, build: readBuildInfo(&settings.Receiver.BuildInfo), ended: newEndedSeries(),
		builder: metadata.NewMetricsBuilder(settings.Metrics, settings.Receiver, metadata.WithStartTime(started)),
	}
}

// buildMetrics returns the exporter's own metrics at a time, with the staleness markers of those that ended.
func (s *selfMetrics) buildMetrics(orgs []*organization, now time.Time) pmetric.Metrics {
	at := pcommon.NewTimestampFromTime(now)
	all := pmetric.NewMetrics()
	for _, org := range orgs {
		if org.emits {
			s.recordOrganization(org, now, at)
			s.emitOrganization(org, all)
		} else {
			s.ended.dropResource(s.organizationResource(org.Org)) // another replica emits its series
		}
		s.recordReplicaOf(org, at)
		s.emitReplica(org.Org, all)
	}
	s.recordReplica(orgs, now, at)
	s.emitReplica("", all)
	s.ended.appendMarkers(all, at)
	return all
}

// organizationResource returns the resource of the series of an organization.
func (s *selfMetrics) organizationResource(org string) pcommon.Resource {
	resource := s.builder.NewResourceBuilder()
	resource.SetVcsOwnerName(org)
	resource.SetVcsProviderName(providerName)
	return resource.Emit()
}

// emitOrganization moves the recorded points of an organization into all. Their start is the start of its ledger, on
// every replica and after every restart.
func (s *selfMetrics) emitOrganization(org *organization, all pmetric.Metrics) {
	start := s.started
	if began := org.summary.LedgerStart; !began.IsZero() {
		start = pcommon.NewTimestampFromTime(began)
	}
	md := s.builder.Emit(
		metadata.WithResource(s.organizationResource(org.Org)), metadata.WithStartTimeOverride(start))
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			s.identity.setScopeInstance(sm.Scope())
		}
	}
	appendTo(all, md)
}

// emitReplica moves the recorded points of this replica into all: those about an organization unless org is empty.
func (s *selfMetrics) emitReplica(org string, all pmetric.Metrics) {
	resource := s.builder.NewResourceBuilder()
	resource.SetServiceInstanceID(s.identity.instance)
	if org != "" {
		resource.SetVcsOwnerName(org)
	}
	resource.SetVcsProviderName(providerName)
	md := s.builder.Emit(metadata.WithResource(resource.Emit()))
	s.identity.setReceiverLabel(md)
	appendTo(all, md)
}

// appendTo moves metrics to the end of all.
func appendTo(all, md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		rm.SetSchemaUrl(schemaURL)
	}
	md.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
}

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

// recordQueue records the backlog as this replica observed it last; nothing when the last observation failed.
func (s *selfMetrics) recordQueue(orgs []*organization, now time.Time, at pcommon.Timestamp) {
	seen, known := s.settings.Replica.Backlog()
	if !known {
		return
	}
	for name, n := range seen.Depth {
		s.builder.RecordGhExporterQueueDepthDataPoint(at, int64(n), name)
	}
	for i := range seen.Queues {
		queue := &seen.Queues[i]
		s.builder.RecordGhExporterQueueInvalidMessagesDataPoint(at, seen.Invalid[queue.Name], queue.Name)
		s.builder.RecordGhExporterQueueReturnedMessagesDataPoint(at, seen.Returned[queue.Name], queue.Name)
		age := 0.0
		if oldest := s.oldestJob(orgs, queue); queue.Ready > 0 && !oldest.IsZero() {
			age = max(0, now.Sub(oldest).Seconds())
		}
		s.builder.RecordGhExporterQueueOldestMessageAgeDataPoint(at, age, queue.Name)
	}
}

// oldestJob returns when the oldest job of a queue was published, as far as that is known; zero when it is not.
func (s *selfMetrics) oldestJob(orgs []*organization, queue *backfill.QueueDepth) time.Time {
	oldest := queue.Oldest
	for _, org := range orgs {
		if queue.Org != "" && queue.Org != strings.ToLower(org.Org) {
			continue
		}
		if at := org.Status.OldestJob(); !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

// boolValue returns 1 for true and 0 for false.
func boolValue(b bool) int64 {
	if b {
		return 1
	}
	return 0
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
