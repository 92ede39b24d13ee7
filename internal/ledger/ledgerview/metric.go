// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Metric is the index of one of the activity metrics. It is stored nowhere: outside of this process metrics have names.
type Metric uint8

// The activity metrics: the sums over the shortest window of each in the order of Totals, the time of the last event,
// the totals in their order, and the sums over longer windows in the order of Totals.
const (
	MetricCount     Metric = 0
	MetricLastEvent        = MetricCount + Metric(ledger.NumTotals)
	MetricTotal            = MetricLastEvent + 1
	MetricLonger           = MetricTotal + Metric(ledger.NumTotals)
	NumMetrics             = int(MetricLonger) + activity.NumWindows - ledger.NumTotals
)

const _ = uint8(NumMetrics) // a Metric has 8 bits

// totalSpecs describes the totals by index.
var totalSpecs = ledger.TotalSpecs()

// lastEventName is the name of the one metric that is no sum over events.
const lastEventName = "gh.activity.last_event_unixtime"

// window is one of the windows over which a sum is shown.
type window struct {
	metric Metric
	span   activity.Span
}

// windows has the windows of each of the Totals, the shortest first.
var windows = makeWindows()

// makeWindows gives each window its metric.
func makeWindows() (windows [ledger.NumTotals][]window) {
	longer := MetricLonger
	for i := range totalSpecs {
		for n, w := range totalSpecs[i].Sum.Windows {
			metric := MetricCount + Metric(i)
			if n > 0 {
				metric = longer
				longer++
			}
			windows[i] = append(windows[i], window{metric, w.Span})
		}
	}
	return windows
}

// metricNames has the names of the metrics by index.
var metricNames = makeMetricNames()

// makeMetricNames returns the names of all metrics by index.
func makeMetricNames() (names [NumMetrics]string) {
	names[MetricLastEvent] = lastEventName
	for i := range totalSpecs {
		for n, w := range totalSpecs[i].Sum.Windows {
			names[windows[i][n].metric] = w.Name
		}
		names[int(MetricTotal)+i] = totalSpecs[i].Sum.TotalMetric
	}
	return names
}

// Name returns the metric's name in OpenTelemetry, as in metadata.yaml.
func (m Metric) Name() string { return metricNames[m] }

// MetricByName returns the activity metric with a name, and false if there is none.
func MetricByName(name string) (Metric, bool) {
	for i, candidate := range metricNames {
		if candidate == name {
			return Metric(i), true
		}
	}
	return 0, false
}

// WindowMetric returns the metric of the number of a kind's events within a span, and false if there is none.
func WindowMetric(k activity.Kind, span activity.Span) (Metric, bool) {
	for _, w := range windows[k.Index()] {
		if w.span == span {
			return w.metric, true
		}
	}
	return 0, false
}

// TotalMetric returns the metric of the number of a kind's events since the ledger started.
func TotalMetric(k activity.Kind) Metric {
	return MetricTotal + Metric(k.Index()) //nolint:gosec // a kind's index
}

// Mask is a set of metrics. Its size follows their number.
type Mask [(NumMetrics + 15) / 16]uint16

// MaskOf returns the set of the given metrics.
func MaskOf(metrics ...Metric) Mask {
	var set Mask
	for _, m := range metrics {
		set.Add(m)
	}
	return set
}

// Has reports whether m is in the set.
func (set Mask) Has(m Metric) bool { return set[m/16]&(1<<(m%16)) != 0 }

// Add adds m to the set.
func (set *Mask) Add(m Metric) { set[m/16] |= 1 << (m % 16) }

// Remove removes m from the set.
func (set *Mask) Remove(m Metric) { set[m/16] &^= 1 << (m % 16) }

// Without returns the metrics of the set that are not in o.
func (set Mask) Without(o Mask) Mask {
	for i := range set {
		set[i] &^= o[i]
	}
	return set
}

// Union returns the metrics that are in the set or in o.
func (set Mask) Union(o Mask) Mask {
	for i := range set {
		set[i] |= o[i]
	}
	return set
}

// IsEmpty reports whether no metric is in the set.
func (set Mask) IsEmpty() bool { return set == Mask{} }

// Values are the values of a series by metric, of those metrics that Present has. The last event is in Unix seconds.
type Values struct {
	Present Mask
	Of      [NumMetrics]uint64
	// StartTime is the time from which the totals count, in Unix seconds.
	StartTime int64
}

// set sets the value of a metric, which is present from now on.
func (v *Values) set(m Metric, value uint64) {
	v.Present.Add(m)
	v.Of[m] = value
}

// merge adds the values of another series that is shown under the same label.
func (v *Values) merge(o *Values) {
	for m := range Metric(NumMetrics) {
		switch {
		case !o.Present.Has(m):
		case m == MetricLastEvent:
			v.set(m, max(v.Of[m], o.Of[m]))
		default:
			v.set(m, v.Of[m]+o.Of[m])
		}
	}
}

// setTotals sets the totals of the kinds that have any events. Those in open are present.
func (v *Values) setTotals(totals *ledger.Totals, open Mask) {
	for i := range totals {
		m := MetricTotal + Metric(i)
		if totals[totalSpecs[i].Kind.Index()] == 0 {
			continue
		}
		if v.Of[m] = totals[i]; open.Has(m) {
			v.Present.Add(m)
		}
	}
}
