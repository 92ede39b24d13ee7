// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// markerEmissions is how many emissions say that a series has ended: the pipeline may refuse one.
const markerEmissions = 3

// endedSeries knows the series of the exporter's own metrics that the last emissions had, and marks those that are not
// shown any more as ended. A backend would go on with the last value for minutes otherwise.
type endedSeries struct {
	emission int
	shown    map[ownSeries]int // the emission that showed the series last
	// resources and metrics have what a mark needs beside the attributes, without any points.
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

// separator is in no attribute: GitHub's names are ASCII, and the collector's ids are, too.
const separator = "\xff"

// attributesKey joins attributes, which have texts as values, in their order.
func attributesKey(attributes pcommon.Map) string {
	var key strings.Builder
	for name, value := range attributes.All() {
		key.WriteString(name + separator + value.Str() + separator)
	}
	return key.String()
}

// dropResource removes the series of a resource that another process goes on with: they have not ended.
func (e *endedSeries) dropResource(resource pcommon.Resource) {
	key := attributesKey(resource.Attributes())
	for series := range e.shown {
		if series.resource == key {
			delete(e.shown, series)
		}
	}
}

// appendMarkers notes the series of an emission and adds marks for those that ended in the last ones.
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

// appendMarker makes the mark of a series. Each needs a metric of its own: the Prometheus exporter leaves out the
// points of a metric that come after one without a value.
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

// recordShown remembers what is shown.
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

func withoutMetrics(rm pmetric.ResourceMetrics, sm pmetric.ScopeMetrics) pmetric.ResourceMetrics {
	empty := pmetric.NewResourceMetrics()
	rm.Resource().CopyTo(empty.Resource())
	empty.SetSchemaUrl(rm.SchemaUrl())
	scope := empty.ScopeMetrics().AppendEmpty()
	sm.Scope().CopyTo(scope.Scope())
	scope.SetSchemaUrl(sm.SchemaUrl())
	return empty
}

// withoutPoints copies a metric but for its points.
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
