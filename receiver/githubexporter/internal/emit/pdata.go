// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import "go.opentelemetry.io/collector/pdata/pmetric"

// points returns the data points of a gauge or a sum.
func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	if m.Type() == pmetric.MetricTypeSum {
		return m.Sum().DataPoints()
	}
	return m.Gauge().DataPoints()
}
