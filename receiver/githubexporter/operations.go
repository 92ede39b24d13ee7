package githubexporter

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// selfMetrics makes the exporter's own metrics. Those of an organization are the same whichever replica emits them, and
// come from the replicas that show the organization. Those of the replica carry its identity, and come from every
// replica (docs/own-metrics.md).
type selfMetrics struct {
	receiver  *githubReceiver
	builder   *metadata.MetricsBuilder
	templates *metricTemplates
	identity  identity
	build     buildInfo
	started   pcommon.Timestamp
	ended     *endedSeries
	writes    writeSum
}

func newSelfMetrics(r *githubReceiver) *selfMetrics {
	started := pcommon.NewTimestampFromTime(time.Now())
	return &selfMetrics{
		receiver: r, templates: newMetricTemplates(r), started: started,
		identity: r.identity, build: readBuildInfo(&r.settings.BuildInfo), ended: newEndedSeries(),
		builder: metadata.NewMetricsBuilder(r.config.MetricsBuilderConfig, r.settings, metadata.WithStartTime(started)),
	}
}

// buildMetrics are the exporter's own metrics now.
func (o *selfMetrics) buildMetrics(now time.Time) pmetric.Metrics {
	at := pcommon.NewTimestampFromTime(now)
	all := pmetric.NewMetrics()
	for _, org := range o.receiver.orgs {
		if org.emits {
			o.recordOrganization(org, now, at)
			o.emitOrganization(org, all)
		} else {
			o.ended.dropResource(o.organizationResource(org.name)) // another replica goes on with its series
		}
		o.recordReplicaOf(org, at)
		o.emitReplica(org.name, all)
	}
	o.recordReplica(now, at)
	o.emitReplica("", all)
	o.ended.appendMarkers(all, at)
	return all
}

// organizationResource is what the series of an organization are under.
func (o *selfMetrics) organizationResource(org string) pcommon.Resource {
	resource := o.builder.NewResourceBuilder()
	resource.SetVcsOwnerName(org)
	resource.SetVcsProviderName(providerName)
	return resource.Emit()
}

// emitOrganization adds what was recorded of an organization. Its sums begin with its ledger, on every replica and
// after every restart.
func (o *selfMetrics) emitOrganization(org *organization, all pmetric.Metrics) {
	start := o.started
	if began := org.summary.LedgerStart; !began.IsZero() {
		start = pcommon.NewTimestampFromTime(began)
	}
	md := o.builder.Emit(
		metadata.WithResource(o.organizationResource(org.name)), metadata.WithStartTimeOverride(start))
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			o.identity.setScopeInstance(sm.Scope())
		}
	}
	appendTo(all, md)
}

// emitReplica adds what was recorded of this replica, about an organization unless org is empty.
func (o *selfMetrics) emitReplica(org string, all pmetric.Metrics) {
	resource := o.builder.NewResourceBuilder()
	resource.SetServiceInstanceID(o.identity.instance)
	if org != "" {
		resource.SetVcsOwnerName(org)
	}
	resource.SetVcsProviderName(providerName)
	md := o.builder.Emit(metadata.WithResource(resource.Emit()))
	o.identity.setReceiverLabel(md)
	appendTo(all, md)
}

// appendTo moves metrics to the end of all.
func appendTo(all, md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		rm.SetSchemaUrl(schemaURL)
	}
	md.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
}

// recordOrganization records what is about one organization. Before the view has caught up nothing of it is known.
func (o *selfMetrics) recordOrganization(org *organization, now time.Time, at pcommon.Timestamp) {
	if lastRun, _, _ := org.lastPass(); !lastRun.IsZero() {
		o.builder.RecordGhExporterLeaderCycleLastRunUnixtimeDataPoint(at, lastRun.Unix(), org.name)
	}
	if o.receiver.monitor.Leads(org.name) {
		for _, permission := range org.collector.MissingPermissions() {
			o.builder.RecordGhExporterMissingPermissionDataPoint(at, 1, org.name, permission)
		}
	}
	sum := &org.summary
	if !sum.CaughtUp || sum.LedgerStart.IsZero() {
		return
	}
	series, events := o.receiver.store.Sizes(org.name)
	o.builder.RecordGhExporterStoreSeriesDataPoint(at, int64(series), org.name)
	o.builder.RecordGhExporterStoreEventsDataPoint(at, int64(events), org.name)
	o.recordCoverage(org, now, at, sum)
	counts := o.countersOf(sum, now)
	o.recordCounters(org, at, counts)
	o.recordRequests(org, at, counts)
	if o.receiver.config.Backfill.Enabled {
		o.recordBackfill(org, at, counts)
	}
	o.recordLines(org, now, at, counts)
}

func (o *selfMetrics) recordCoverage(org *organization, now time.Time, at pcommon.Timestamp, sum *ledger.Summary) {
	o.builder.RecordGhExporterGapsDataPoint(at, int64(sum.Gaps), org.name)
	oldest := sum.OldestUncovered
	if oldest.IsZero() {
		oldest = sum.LedgerStart // an organization that could never be read lags since then
	}
	o.builder.RecordGhExporterCoverageLagDataPoint(at, max(0, now.Sub(oldest).Seconds()), org.name)
}

// sharedCounters are the shared counters of an organization.
type sharedCounters struct {
	tallies map[ledger.TallyKey]uint64
	// showsZero counters are shown at 0.
	showsZero bool
}

// countersOf returns the shared counters. Those of a new ledger are shown at 0 for counters::zero_for before their
// values, so that increase() sees the first increment, whenever it was. All replicas agree, for the ledger knows when
// it began.
func (o *selfMetrics) countersOf(sum *ledger.Summary, now time.Time) sharedCounters {
	unborn := now.Before(sum.LedgerStart.Add(o.receiver.config.Counters.zeroFor(o.receiver.config.EmitInterval)))
	return sharedCounters{tallies: sum.Tallies, showsZero: unborn}
}

// value returns the value of a counter, 0 for one that nothing was added to.
func (c sharedCounters) value(name string, labels ...string) int64 {
	if c.showsZero {
		return 0
	}
	key := ledger.TallyKey{Name: name}
	copy(key.Labels[:], labels)
	return int64(c.tallies[key]) //nolint:gosec // no counter gets there
}

// endpoints are those that requests were made to, in order.
func (c sharedCounters) endpoints() []string {
	seen := make(map[string]struct{})
	for key := range c.tallies {
		if key.Name == collect.TallyRequests || key.Name == collect.TallyDeprecated {
			seen[key.Labels[0]] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// recordCounters records the shared counters whose labels are enumerations, every value from the start on.
func (o *selfMetrics) recordCounters(org *organization, at pcommon.Timestamp, c sharedCounters) {
	b := o.builder
	b.RecordGhExporterReconciledEventsDataPoint(at, c.value(collect.TallyReconciled), org.name)
	b.RecordGhExporterSeriesOverflowDataPoint(at, c.value(ledger.TallySeriesOverflow), org.name)
	b.RecordGhExporterGithubSecondaryLimitHitsDataPoint(at, c.value(collect.TallySecondary), org.name)
	b.RecordGhExporterGithubMispricedQueriesDataPoint(at, c.value(collect.TallyMispriced), org.name)
	b.RecordGhExporterInvalidValuesDataPoint(at, c.value(collect.TallyInvalid), org.name)
	for result, value := range metadata.MapAttributeRunResult {
		b.RecordGhExporterScrapeRunsDataPoint(at, c.value(collect.TallyRuns, result), org.name, value)
	}
	for resource, value := range metadata.MapAttributeResource {
		b.RecordGhExporterGithubPointsDataPoint(at, c.value(collect.TallyPoints, resource), org.name, value)
	}
}

// recordRequests records the shared counters with the label endpoint, of which every status class shows once the
// endpoint is known.
func (o *selfMetrics) recordRequests(org *organization, at pcommon.Timestamp, c sharedCounters) {
	for _, endpoint := range c.endpoints() {
		for class, value := range metadata.MapAttributeStatusClass {
			n := c.value(collect.TallyRequests, endpoint, class)
			o.builder.RecordGhExporterGithubRequestsDataPoint(at, n, org.name, endpoint, value)
		}
		n := c.value(collect.TallyDeprecated, endpoint)
		o.builder.RecordGhExporterGithubDeprecationsDataPoint(at, n, org.name, endpoint)
	}
}

// recordBackfill records the shared counters of backfill jobs.
func (o *selfMetrics) recordBackfill(org *organization, at pcommon.Timestamp, c sharedCounters) {
	b := o.builder
	for reason, value := range metadata.MapAttributeJobReason {
		b.RecordGhExporterBackfillJobsEnqueuedDataPoint(at, c.value(collect.TallyEnqueued, reason), org.name, value)
		b.RecordGhExporterBackfillJobsDedupedDataPoint(at, c.value(collect.TallyDeduped, reason), org.name, value)
	}
	for cause, value := range metadata.MapAttributeDeferReason {
		b.RecordGhExporterBackfillEnqueuesDroppedDataPoint(at, c.value(collect.TallyDeferred, cause), org.name, value)
	}
	for result, value := range metadata.MapAttributeJobResult {
		b.RecordGhExporterBackfillJobsProcessedDataPoint(at, c.value(collect.TallyJobs, result), org.name, value)
	}
}

// recordReplicaOf records what this replica knows and does about an organization.
func (o *selfMetrics) recordReplicaOf(org *organization, at pcommon.Timestamp) {
	o.builder.RecordGhExporterLeaderDataPoint(at, boolValue(o.receiver.monitor.Leads(org.name)), org.name)
	if lastRun, took, _ := org.lastPass(); !lastRun.IsZero() {
		o.builder.RecordGhExporterScrapeDurationDataPoint(at, took.Seconds(), org.name)
	}
	if expires := org.credentialState.expiry(); !expires.IsZero() {
		o.builder.RecordGhExporterCredentialExpiresUnixtimeDataPoint(at, expires.Unix(), org.name)
	}
	o.recordLimits(org, at)
}

// recordLimits records the rate limits that are known and not over. Without the id of an App's installation they would be
// another series.
func (o *selfMetrics) recordLimits(org *organization, at pcommon.Timestamp) {
	if org.client.IsInstallationPending() {
		return
	}
	installation := ""
	if id := org.client.InstallationID(); id != 0 {
		installation = strconv.FormatInt(id, 10)
	}
	b := o.builder
	for resource, q := range org.client.Quotas() {
		value, left := metadata.MapAttributeResource[string(resource)], int64(q.Remaining)
		b.RecordGhExporterGithubRateLimitRemainingDataPoint(at, left, org.name, installation, value)
		b.RecordGhExporterGithubRateLimitResetUnixtimeDataPoint(at, q.Reset.Unix(), org.name, installation, value)
		if q.Limit > 0 { // an answer may lack it
			b.RecordGhExporterGithubRateLimitDataPoint(at, int64(q.Limit), org.name, installation, value)
		}
		if resource == budget.ResourceREST {
			b.RecordGhAppRateLimitRemainingDataPoint(at, left, org.name, installation)
		}
	}
}

// recordReplica records what is about this replica as a whole.
func (o *selfMetrics) recordReplica(now time.Time, at pcommon.Timestamp) {
	o.builder.RecordGhExporterBuildInfoDataPoint(
		at, 1, o.build.version, o.build.revision, o.build.goVersion, o.build.collector)
	o.recordView(at)
	o.recordStoreWrites(now, at)
	o.builder.RecordGhExporterStoreCorruptRecordsDataPoint(at, o.receiver.store.corrupt.Load())
	if alone := o.receiver.store.isInFallback; alone != nil {
		o.builder.RecordGhExporterStoreFallbackDataPoint(at, boolValue(alone()))
	}
	o.recordHealth(at)
	o.recordQueue(now, at)
}

// recordView records how large the views are, and how long they took to catch up, once all of them have.
func (o *selfMetrics) recordView(at pcommon.Timestamp) {
	var (
		caughtUp time.Duration
		shown    [ledger.NumMetrics]int
	)
	for _, org := range o.receiver.orgs {
		if !org.summary.CaughtUp {
			return
		}
		_, _, took := org.lastPass()
		caughtUp = max(caughtUp, took)
		for m, n := range org.seriesShown {
			shown[m] += n
		}
	}
	o.builder.RecordGhExporterMetricsCacheRefreshDurationDataPoint(at, caughtUp.Seconds())
	for m, n := range shown {
		if name := o.templates.name(m); name != "" {
			o.builder.RecordGhExporterMetricsSeriesLoadedDataPoint(at, int64(n), name)
		}
	}
}

// writeSum is the state of the one shared counter that is summed over the organizations.
type writeSum struct {
	start time.Time
	total int64
}

// startOf returns when the sum began: with the oldest ledger, or with the newest after a ledger that began again let
// the sum fall.
func (w *writeSum) startOf(total int64, oldest, newest time.Time) time.Time {
	switch {
	case total < w.total:
		w.start = newest
	case w.start.IsZero():
		w.start = oldest
	}
	w.total = total
	return w.start
}

// recordStoreWrites records the writes to the store once all organizations are known.
func (o *selfMetrics) recordStoreWrites(now time.Time, at pcommon.Timestamp) {
	type label struct{ source, result string }
	var oldest, newest time.Time
	sums, total := make(map[label]int64), int64(0)
	for _, org := range o.receiver.orgs {
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
		c := o.countersOf(sum, now)
		for source := range metadata.MapAttributeSource {
			for result := range metadata.MapAttributeWriteResult {
				n := c.value(collect.TallyStoreWrites, source, result)
				sums[label{source, result}] += n
				total += n
			}
		}
	}
	if oldest.IsZero() {
		return
	}
	start := o.writes.startOf(total, oldest, newest)
	o.builder.Reset(metadata.WithStartTime(pcommon.NewTimestampFromTime(start)))
	defer o.builder.Reset(metadata.WithStartTime(o.started))
	for l, n := range sums {
		o.builder.RecordGhExporterStoreWriteDataPoint(
			at, n, metadata.MapAttributeSource[l.source], metadata.MapAttributeWriteResult[l.result])
	}
}

// recordHealth records the dependencies, those that are an organization's for each organization.
func (o *selfMetrics) recordHealth(at pcommon.Timestamp) {
	report := o.receiver.monitor.Report()
	for i := range report.Dependencies {
		d := &report.Dependencies[i]
		if !strings.HasPrefix(d.Name, health.GitHub) && d.Name != health.Leadership {
			o.builder.RecordGhExporterDependencyHealthDataPoint(at, boolValue(d.Healthy), d.Name, "")
			continue
		}
		for _, org := range o.receiver.orgs {
			healthy := o.receiver.healthOf(org, d.Name, d.Healthy)
			o.builder.RecordGhExporterDependencyHealthDataPoint(at, boolValue(healthy), d.Name, org.name)
		}
	}
}

// healthOf reports whether a dependency is healthy for an organization; all is the state over all of them, which is
// that of each where no more is known.
func (r *githubReceiver) healthOf(org *organization, dependency string, all bool) bool {
	switch dependency {
	case health.GitHub, health.GitHubCore:
		return org.health.readErrors.errorOf(org.name) == nil
	case health.GitHubAccess:
		return r.access.errorOf(org.name) == nil
	case health.Leadership:
		return org.leaderWatch.isHealthy()
	default:
		return all
	}
}

// recordQueue records the backlog as this replica saw it last. What is not known is not shown.
func (o *selfMetrics) recordQueue(now time.Time, at pcommon.Timestamp) {
	j := o.receiver.jobs
	if j == nil {
		return
	}
	seen, known := j.lastBacklog()
	if !known {
		return
	}
	for name, n := range seen.depth {
		o.builder.RecordGhExporterQueueDepthDataPoint(at, int64(n), name)
	}
	for i := range seen.queues {
		queue := &seen.queues[i]
		o.builder.RecordGhExporterQueueInvalidMessagesDataPoint(at, seen.invalid[queue.Name], queue.Name)
		o.builder.RecordGhExporterQueueReturnedMessagesDataPoint(at, seen.returned[queue.Name], queue.Name)
		age := 0.0
		if oldest := o.oldestJob(queue); queue.Ready > 0 && !oldest.IsZero() {
			age = max(0, now.Sub(oldest).Seconds())
		}
		o.builder.RecordGhExporterQueueOldestMessageAgeDataPoint(at, age, queue.Name)
	}
}

// oldestJob is when the oldest job of a queue was published, as far as it is known.
func (o *selfMetrics) oldestJob(queue *backfill.QueueDepth) time.Time {
	oldest := queue.Oldest
	for _, org := range o.receiver.orgs {
		if queue.Org != "" && queue.Org != org.config.key() {
			continue
		}
		if at := org.oldestJobInFlight(); !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

// boolValue is 1 for true.
func boolValue(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
