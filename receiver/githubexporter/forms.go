package githubexporter

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// providerName is the value of vcs.provider.name
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/vcs/).
const providerName = "github"

// schemaURL is that of the semantic conventions 1.44.0, by whose names resources are described. The generated code has
// the newest one for which there is a Go module; the attributes that are used are the same in both.
const schemaURL = "https://opentelemetry.io/schemas/1.44.0"

// forms has the activity metrics without their points, as metadata.yaml describes them and the configuration enables
// them. The generated builder makes them once; the points are added by hand, because there are many.
type forms struct {
	builder    *metadata.MetricsBuilder
	empty      pmetric.ScopeMetrics
	prototype  [ledger.NumMetrics]pmetric.Metric
	enabled    [ledger.NumMetrics]bool
	cumulative [ledger.NumMetrics]bool
}

// record is a method of the builder that records a point of an activity metric.
type record func(mb *metadata.MetricsBuilder, at pcommon.Timestamp, value int64, org, repo, user string)

// records are the builder's methods in the order of ledger.Metric.
var records = [ledger.NumMetrics]record{
	(*metadata.MetricsBuilder).RecordGhActivityCommits24hDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityPrsOpened24hDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityPrsMerged24hDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityReviewsSubmitted24hDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityIssueComments24hDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityLocAddedWeeklyDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityLocRemovedWeeklyDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityLastEventUnixtimeDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityCommitsDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityPrsOpenedDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityPrsMergedDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityReviewsSubmittedDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityIssueCommentsDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityLocAddedDataPoint,
	(*metadata.MetricsBuilder).RecordGhActivityLocRemovedDataPoint,
}

func newForms(r *githubReceiver) *forms {
	f := &forms{builder: metadata.NewMetricsBuilder(r.config.MetricsBuilderConfig, r.settings)}
	f.empty = pmetric.NewScopeMetrics()
	for m, record := range records {
		record(f.builder, pcommon.NewTimestampFromTime(time.Unix(0, 0)), 0, "", "", "")
		f.take(m, f.builder.Emit())
	}
	r.identity.putScope(f.empty.Scope())
	return f
}

// take keeps the form of a metric; a disabled one is not there.
func (f *forms) take(m int, md pmetric.Metrics) {
	if md.MetricCount() == 0 {
		return
	}
	scope := md.ResourceMetrics().At(0).ScopeMetrics().At(0)
	metric := scope.Metrics().At(0)
	points(metric).RemoveIf(func(pmetric.NumberDataPoint) bool { return true })
	f.prototype[m] = pmetric.NewMetric()
	metric.CopyTo(f.prototype[m])
	f.enabled[m] = true
	f.cumulative[m] = metric.Type() == pmetric.MetricTypeSum
	scope.Scope().CopyTo(f.empty.Scope())
	f.empty.SetSchemaUrl(scope.SchemaUrl())
}

// name is the metric's name, empty when it is disabled.
func (f *forms) name(m int) string {
	if !f.enabled[m] {
		return ""
	}
	return f.prototype[m].Name()
}

func (f *forms) scope(sm pmetric.ScopeMetrics) {
	f.empty.Scope().CopyTo(sm.Scope())
	sm.SetSchemaUrl(f.empty.SchemaUrl())
}

func (f *forms) resource(rm pmetric.ResourceMetrics, org string) {
	builder := f.builder.NewResourceBuilder()
	builder.SetVcsOwnerName(org)
	builder.SetVcsProviderName(providerName)
	builder.Emit().MoveTo(rm.Resource())
	rm.SetSchemaUrl(schemaURL)
}
