package githubexporter

import (
	"strconv"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// operations makes the exporter's own metrics.
type operations struct {
	receiver *githubReceiver
	builder  *metadata.MetricsBuilder
	forms    *forms
	started  pcommon.Timestamp
	// ending makes the marks of series that end, shown has the series that the last emissions had.
	ending *metadata.MetricsBuilder
	shown  map[selfSeries]int
}

// selfSeries is a series of the exporter's own metrics that ends when there is nothing to show.
type selfSeries struct {
	record     recordSelf
	org, label string
}

// recordSelf names the method of the builder that records a point of such a series.
type recordSelf uint8

const (
	recordExpiry recordSelf = iota
	recordPermission
)

// recordAt records a point.
func (s *selfSeries) recordAt(builder *metadata.MetricsBuilder, at pcommon.Timestamp, value int64) {
	switch s.record {
	case recordExpiry:
		builder.RecordGhExporterCredentialExpiresUnixtimeDataPoint(at, value, s.org)
	case recordPermission:
		builder.RecordGhExporterMissingPermissionDataPoint(at, value, s.org, s.label)
	}
}

// endMarks is how many emissions say that a series has ended: the pipeline may refuse one.
const endMarks = 3

func newOperations(r *githubReceiver) *operations {
	started := pcommon.NewTimestampFromTime(time.Now())
	return &operations{
		receiver: r, forms: newForms(r), started: started,
		builder: metadata.NewMetricsBuilder(r.config.MetricsBuilderConfig, r.settings, metadata.WithStartTime(started)),
		ending:  metadata.NewMetricsBuilder(r.config.MetricsBuilderConfig, r.settings),
		shown:   make(map[selfSeries]int),
	}
}

// resource is an organization's.
func (o *operations) resource(org string) pcommon.Resource {
	resource := o.builder.NewResourceBuilder()
	resource.SetVcsOwnerName(org)
	resource.SetVcsProviderName(providerName)
	return resource.Emit()
}

// show records a point of a series of which the end is marked.
func (o *operations) show(series selfSeries, at pcommon.Timestamp, value int64) {
	series.recordAt(o.builder, at, value)
	o.shown[series] = endMarks + 1
}

// marks are metrics that end the series of an organization which were shown before and are not now. Each needs a metric
// of its own: the Prometheus exporter leaves out the points of a metric that come after one without a value.
func (o *operations) marks(org string, at pcommon.Timestamp) []pmetric.Metrics {
	var ends []pmetric.Metrics
	for series, left := range o.shown {
		if series.org != org {
			continue
		}
		if left--; left < 0 {
			delete(o.shown, series)
			continue
		}
		o.shown[series] = left
		if left == endMarks {
			continue // it is shown now
		}
		series.recordAt(o.ending, at, 0)
		md := o.ending.Emit(metadata.WithResource(o.resource(org)))
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					points(m).At(0).SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
				}
			}
		}
		ends = append(ends, md)
	}
	return ends
}

// whole is what is summed up over all organizations.
type whole struct {
	writes   map[ledger.TallyKey]uint64
	shown    [ledger.NumMetrics]int
	caughtUp time.Duration
}

// metrics are the exporter's own metrics now.
func (o *operations) metrics(now time.Time) pmetric.Metrics {
	at := pcommon.NewTimestampFromTime(now)
	all := whole{writes: make(map[ledger.TallyKey]uint64)}
	var ends []pmetric.Metrics
	for _, org := range o.receiver.orgs {
		began := o.organization(org, now, at, &all)
		ends = append(ends, o.marks(org.name, at)...)
		o.builder.EmitForResource(
			metadata.WithResource(o.resource(org.name)),
			metadata.WithStartTimeOverride(pcommon.NewTimestampFromTime(began)))
	}
	o.whole(at, &all)
	o.queue(now, at)
	resource := o.builder.NewResourceBuilder()
	resource.SetVcsProviderName(providerName)
	md := o.builder.Emit(metadata.WithResource(resource.Emit()))
	for _, end := range ends {
		end.ResourceMetrics().MoveAndAppendTo(md.ResourceMetrics())
	}
	return md
}

// organization records what is about one organization, and gives when its ledger began.
func (o *operations) organization(org *organization, now time.Time, at pcommon.Timestamp, all *whole) time.Time {
	lastRun, lastTook, caughtUp := org.state()
	all.caughtUp = max(all.caughtUp, caughtUp)
	if !lastRun.IsZero() {
		o.builder.RecordGhExporterLeaderCycleLastRunUnixtimeDataPoint(at, lastRun.Unix(), org.name)
		o.builder.RecordGhExporterScrapeDurationDataPoint(at, lastTook.Seconds(), org.name)
	}
	o.limits(org, at)
	o.credential(org, at)
	o.builder.RecordGhExporterLeaderDataPoint(at, flag(o.receiver.monitor.Leads(org.name)), org.name)
	sum := &org.summary
	if !sum.Caught || sum.Began.IsZero() {
		return now // nothing was ever recorded
	}
	series, events := o.receiver.store.Sizes(org.name)
	o.builder.RecordGhExporterStoreSeriesDataPoint(at, int64(series), org.name)
	o.builder.RecordGhExporterStoreEventsDataPoint(at, int64(events), org.name)
	o.coverage(org, now, at, sum)
	o.tallies(org, at, sum, all)
	o.lines(org, now, at, sum)
	for m, n := range org.shown {
		all.shown[m] += n
	}
	return sum.Began
}

func (o *operations) coverage(org *organization, now time.Time, at pcommon.Timestamp, sum *ledger.Summary) {
	o.builder.RecordGhExporterGapsDataPoint(at, int64(sum.Gaps), org.name)
	oldest := sum.Oldest
	if oldest.IsZero() {
		oldest = sum.Began // an organization that could never be read lags since then
	}
	o.builder.RecordGhExporterCoverageLagDataPoint(at, max(0, now.Sub(oldest).Seconds()), org.name)
}

func (o *operations) limits(org *organization, at pcommon.Timestamp) {
	installation := ""
	if id := org.client.Installation(); id != 0 {
		installation = strconv.FormatInt(id, 10)
	}
	for _, l := range org.limits.all() {
		resource := metadata.MapAttributeResource[l.resource]
		o.builder.RecordGhExporterGithubRateLimitRemainingDataPoint(at, l.remaining, org.name, installation, resource)
		o.builder.RecordGhExporterGithubRateLimitResetUnixtimeDataPoint(at, l.reset.Unix(), org.name, installation, resource)
		if resource == metadata.AttributeResourceRest {
			o.builder.RecordGhAppRateLimitRemainingDataPoint(at, l.remaining, org.name, installation)
		}
	}
}

// credential records when the credential ends, as this replica knows it, and on the leader what the credential may not
// read.
func (o *operations) credential(org *organization, at pcommon.Timestamp) {
	if expires := org.limits.expiry(); !expires.IsZero() {
		o.show(selfSeries{record: recordExpiry, org: org.name}, at, expires.Unix())
	}
	if !o.receiver.monitor.Leads(org.name) {
		return
	}
	for _, permission := range org.collector.MissingPermissions() {
		o.show(selfSeries{record: recordPermission, org: org.name, label: permission}, at, 1)
	}
}

// tallies records the shared counters. Those without labels start at zero, so that their first increase is seen.
func (o *operations) tallies(org *organization, at pcommon.Timestamp, sum *ledger.Summary, all *whole) {
	count := func(name string) int64 { return asInt(sum.Tallies[ledger.TallyKey{Name: name}]) }
	o.builder.RecordGhExporterReconciledEventsDataPoint(at, count(collect.TallyReconciled), org.name)
	o.builder.RecordGhExporterSeriesOverflowDataPoint(at, count(ledger.TallySeriesOverflow), org.name)
	o.builder.RecordGhExporterGithubSecondaryLimitHitsDataPoint(at, count(collect.TallySecondary), org.name)
	o.builder.RecordGhExporterGithubMispricedQueriesDataPoint(at, count(collect.TallyMispriced), org.name)
	o.builder.RecordGhExporterInvalidValuesDataPoint(at, count(collect.TallyInvalid), org.name)
	for key, n := range sum.Tallies {
		first, second := key.Labels[0], key.Labels[1]
		switch key.Name {
		case collect.TallyRuns:
			o.builder.RecordGhExporterScrapeRunsDataPoint(at, asInt(n), org.name, metadata.MapAttributeRunResult[first])
		case collect.TallyRequests:
			class := metadata.MapAttributeStatusClass[second]
			o.builder.RecordGhExporterGithubRequestsDataPoint(at, asInt(n), org.name, first, class)
		case collect.TallyPoints:
			o.builder.RecordGhExporterGithubPointsDataPoint(at, asInt(n), org.name, metadata.MapAttributeResource[first])
		case collect.TallyDeprecated:
			o.builder.RecordGhExporterGithubDeprecationsDataPoint(at, asInt(n), org.name, first)
		case collect.TallyStoreWrites:
			all.writes[key] += n
		case collect.TallyEnqueued:
			o.builder.RecordGhExporterBackfillJobsEnqueuedDataPoint(at, asInt(n), org.name, metadata.MapAttributeJobReason[first])
		case collect.TallyDeduped:
			o.builder.RecordGhExporterBackfillJobsDedupedDataPoint(at, asInt(n), org.name, metadata.MapAttributeJobReason[first])
		case collect.TallyDeferred:
			o.builder.RecordGhExporterBackfillEnqueuesDroppedDataPoint(at, asInt(n), org.name, metadata.MapAttributeDeferReason[first])
		case collect.TallyJobs:
			o.builder.RecordGhExporterBackfillJobsProcessedDataPoint(at, asInt(n), org.name, metadata.MapAttributeJobResult[first])
		}
	}
}

// whole records what is about the receiver.
func (o *operations) whole(at pcommon.Timestamp, all *whole) {
	for key, n := range all.writes {
		source, result := metadata.MapAttributeSource[key.Labels[0]], metadata.MapAttributeWriteResult[key.Labels[1]]
		o.builder.RecordGhExporterStoreWriteDataPoint(at, asInt(n), source, result)
	}
	for m, n := range all.shown {
		if name := o.forms.name(m); name != "" {
			o.builder.RecordGhExporterMetricsSeriesLoadedDataPoint(at, int64(n), name)
		}
	}
	o.builder.RecordGhExporterMetricsCacheRefreshDurationDataPoint(at, all.caughtUp.Seconds())
	o.builder.RecordGhExporterStoreCorruptRecordsDataPoint(at, o.receiver.store.corrupt.Load())
	if alone := o.receiver.store.alone; alone != nil {
		o.builder.RecordGhExporterStoreFallbackDataPoint(at, flag(alone()))
	}
	report := o.receiver.monitor.Report()
	for i := range report.Dependencies {
		d := &report.Dependencies[i]
		o.builder.RecordGhExporterDependencyHealthDataPoint(at, flag(d.Healthy), d.Name)
	}
}

// queue records the backlog as it was seen last. What is not known is not shown.
func (o *operations) queue(now time.Time, at pcommon.Timestamp) {
	j := o.receiver.jobs
	if j == nil {
		return
	}
	seen, known := j.seen()
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
		if oldest := o.oldestJob(queue); queue.Jobs > 0 && !oldest.IsZero() {
			age = max(0, now.Sub(oldest).Seconds())
		}
		o.builder.RecordGhExporterQueueOldestMessageAgeDataPoint(at, age, queue.Name)
	}
}

// oldestJob is when the oldest job of a queue was published, as far as it is known.
func (o *operations) oldestJob(queue *backfill.QueueDepth) time.Time {
	oldest := queue.Oldest
	for _, org := range o.receiver.orgs {
		if queue.Org != "" && queue.Org != org.config.key() {
			continue
		}
		if at := org.oldestUnderWay(); !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}

// flag is 1 for true.
func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func asInt(n uint64) int64 { return int64(n) } //nolint:gosec // no counter gets there
