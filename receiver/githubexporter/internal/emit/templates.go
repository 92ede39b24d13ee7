// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// providerName is the value of vcs.provider.name
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/vcs/).
const providerName = "github"

// schemaURL is the schema of the semantic conventions 1.44.0, which have the names of the resource attributes. The
// generated code has the newest one for which there is a Go module; the attributes that are used are the same in both.
const schemaURL = "https://opentelemetry.io/schemas/1.44.0"

// metricTemplates are the activity metrics without points, as metadata.yaml describes them and the configuration
// enables them. The generated builder makes them once; the points are made without it, because there are many. It does
// not change.
type metricTemplates struct {
	builder    *metadata.MetricsBuilder
	emptyScope pmetric.ScopeMetrics
	template   [ledgerview.NumMetrics]pmetric.Metric
	enabled    [ledgerview.NumMetrics]bool
	cumulative [ledgerview.NumMetrics]bool
	repos      *repoTemplates
}

//go:generate go run -C ../../../../internal/tools ./recordgen ../../receiver/githubexporter/internal/metadata/generated_metrics.go ../../receiver/githubexporter/internal/emit/generated_records.go

// record is a method of the builder that records a point of an activity metric; recordsByName has them by the metric's
// name.
type record func(mb *metadata.MetricsBuilder, at pcommon.Timestamp, value int64, org, repo, user string)

func newMetricTemplates(settings *Settings, id *identity) *metricTemplates {
	f := &metricTemplates{builder: metadata.NewMetricsBuilder(settings.Metrics, settings.Receiver)}
	f.emptyScope = pmetric.NewScopeMetrics()
	for m := range ledgerview.NumMetrics {
		record := recordsByName[ledgerview.Metric(m).Name()]
		record(f.builder, pcommon.NewTimestampFromTime(time.Unix(0, 0)), 0, "", "", "")
		f.addTemplate(m, f.builder.Emit())
	}
	f.repos = newRepoTemplates(f)
	id.setScopeInstance(f.emptyScope.Scope())
	return f
}

// addTemplate adds the template of a metric; none for a disabled one.
func (f *metricTemplates) addTemplate(m int, md pmetric.Metrics) {
	if md.MetricCount() == 0 {
		return
	}
	scope := md.ResourceMetrics().At(0).ScopeMetrics().At(0)
	metric := scope.Metrics().At(0)
	points(metric).RemoveIf(func(pmetric.NumberDataPoint) bool { return true })
	f.template[m] = pmetric.NewMetric()
	metric.CopyTo(f.template[m])
	f.enabled[m] = true
	f.cumulative[m] = metric.Type() == pmetric.MetricTypeSum
	f.adoptScope(scope)
}

// adoptScope makes the scope that of all metrics of organizations. They have the same one.
func (f *metricTemplates) adoptScope(scope pmetric.ScopeMetrics) {
	scope.Scope().CopyTo(f.emptyScope.Scope())
	f.emptyScope.SetSchemaUrl(scope.SchemaUrl())
}

// name returns the metric's name; empty when it is disabled.
func (f *metricTemplates) name(m int) string {
	if !f.enabled[m] {
		return ""
	}
	return f.template[m].Name()
}

// setScope sets the scope of an organization's metrics.
func (f *metricTemplates) setScope(sm pmetric.ScopeMetrics) {
	f.emptyScope.Scope().CopyTo(sm.Scope())
	sm.SetSchemaUrl(f.emptyScope.SchemaUrl())
}

// setResource sets the resource of an organization's metrics.
func (f *metricTemplates) setResource(rm pmetric.ResourceMetrics, org string) {
	builder := f.builder.NewResourceBuilder()
	builder.SetVcsOwnerName(org)
	builder.SetVcsProviderName(providerName)
	builder.Emit().MoveTo(rm.Resource())
	rm.SetSchemaUrl(schemaURL)
}
