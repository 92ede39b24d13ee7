// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// markerEmissions is the number of emissions that have a staleness marker of an ended series: the pipeline may reject
// one.
const markerEmissions = 3

// endedSeries finds the series of the exporter's own metrics that were in the last emissions and are not in this one,
// such as those of a leader after its term, and adds staleness markers for them: a backend would show the last value
// for minutes. It belongs to the emitter.
type endedSeries struct {
	emission int               // number of the last emission
	shown    map[ownSeries]int // number of the emission that had the series last
	// resources and metrics are the resources and the metrics of markers, without points.
	resources map[string]pmetric.ResourceMetrics
	metrics   map[string]pmetric.Metric
}

// ownSeries identifies a series: the attributes of its resource, the name of its metric, its own attributes.
type ownSeries struct{ resource, metric, attributes string }

func newEndedSeries() *endedSeries {
	return &endedSeries{
		shown: make(map[ownSeries]int), resources: make(map[string]pmetric.ResourceMetrics),
		metrics: make(map[string]pmetric.Metric),
	}
}

// separator occurs in no attribute: the names of GitHub and the ids of the collector are ASCII.
const separator = "\xff"

// attributesKey returns the attributes, whose values are texts, as one text in their order.
func attributesKey(attributes pcommon.Map) string {
	var key strings.Builder
	for name, value := range attributes.All() {
		key.WriteString(name + separator + value.Str() + separator)
	}
	return key.String()
}

// dropResource drops the series of a resource that another process emits from now on: they have not ended and get no
// markers.
func (e *endedSeries) dropResource(resource pcommon.Resource) {
	key := attributesKey(resource.Attributes())
	for series := range e.shown {
		if series.resource == key {
			delete(e.shown, series)
		}
	}
}

// appendMarkers records the series of an emission, and adds staleness markers to it for those that ended in the last
// ones.
func (e *endedSeries) appendMarkers(md pmetric.Metrics, at pcommon.Timestamp) {
	e.emission++
	for _, rm := range md.ResourceMetrics().All() {
		e.recordShown(rm)
	}
	marked := make(map[string]pmetric.MetricSlice)
	for series, last := range e.shown {
		switch {
		case last == e.emission:
			continue
		case e.emission-last > markerEmissions:
			delete(e.shown, series)
			continue
		}
		metrics, there := marked[series.resource]
		if !there {
			rm := md.ResourceMetrics().AppendEmpty()
			e.resources[series.resource].CopyTo(rm)
			metrics = rm.ScopeMetrics().At(0).Metrics()
			marked[series.resource] = metrics
		}
		e.appendMarker(metrics.AppendEmpty(), series, at)
	}
}

// appendMarker makes a metric the staleness marker of a series. Each marker needs a metric of its own: the Prometheus
// exporter leaves out the points of a metric that come after one without a value.
func (e *endedSeries) appendMarker(metric pmetric.Metric, series ownSeries, at pcommon.Timestamp) {
	e.metrics[series.metric].CopyTo(metric)
	point := points(metric).AppendEmpty()
	point.SetTimestamp(at)
	point.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	parts := strings.Split(series.attributes, separator)
	for i := 0; i+1 < len(parts); i += 2 {
		point.Attributes().PutStr(parts[i], parts[i+1])
	}
}

// recordShown records the series of a resource as shown in this emission.
func (e *endedSeries) recordShown(rm pmetric.ResourceMetrics) {
	resource := attributesKey(rm.Resource().Attributes())
	for _, sm := range rm.ScopeMetrics().All() {
		if _, known := e.resources[resource]; !known {
			e.resources[resource] = withoutMetrics(rm, sm)
		}
		for _, m := range sm.Metrics().All() {
			if _, known := e.metrics[m.Name()]; !known {
				e.metrics[m.Name()] = withoutPoints(m)
			}
			for _, point := range points(m).All() {
				e.shown[ownSeries{resource, m.Name(), attributesKey(point.Attributes())}] = e.emission
			}
		}
	}
}

// withoutMetrics returns a copy of a resource with one scope and no metrics.
func withoutMetrics(rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics) pmetric.ResourceMetrics {
	empty := pmetric.NewResourceMetrics()
	rm.Resource().CopyTo(empty.Resource())
	empty.SetSchemaUrl(rm.SchemaUrl())
	scope := empty.ScopeMetrics().AppendEmpty()
	sm.Scope().CopyTo(scope.Scope())
	scope.SetSchemaUrl(sm.SchemaUrl())
	return empty
}

// withoutPoints returns a copy of a metric without its points.
func withoutPoints(m pmetric.Metric) pmetric.Metric {
	empty := pmetric.NewMetric()
	empty.SetName(m.Name())
	empty.SetDescription(m.Description())
	empty.SetUnit(m.Unit())
	if m.Type() != pmetric.MetricTypeSum {
		empty.SetEmptyGauge()
		return empty
	}
	sum := empty.SetEmptySum()
	sum.SetIsMonotonic(m.Sum().IsMonotonic())
	sum.SetAggregationTemporality(m.Sum().AggregationTemporality())
	return empty
}
