// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/semconv/v1.41.0/vcsconv"
)

// instrument is a metric as the code that is generated from the semantic conventions describes it.
type instrument interface {
	Name() string
	Unit() string
	Description() string
}

// TestVCSConventions compares each metric with the code that is generated from the conventions. The instruments are
// those of the embedded types: an up-down counter is a sum that is not monotonic. What it has of these metrics is the
// same in the versions 1.41 and 1.43, the newest ones of the oldest and of the newest module that is supported.
func TestVCSConventions(t *testing.T) {
	t.Parallel()
	e, _ := newTestEmitter(t, enableVCS)
	for m, test := range map[repoMetric]struct {
		instrument
		isUpDownCounter bool
	}{
		vcsRepositoryCount:      {vcsconv.RepositoryCount{}, true},
		vcsChangeCount:          {vcsconv.ChangeCount{}, true},
		vcsContributorCount:     {vcsconv.ContributorCount{}, false},
		vcsRefCount:             {vcsconv.RefCount{}, true},
		vcsChangeDuration:       {vcsconv.ChangeDuration{}, false},
		vcsChangeTimeToApproval: {vcsconv.ChangeTimeToApproval{}, false},
		vcsChangeTimeToMerge:    {vcsconv.ChangeTimeToMerge{}, false},
		vcsRefLinesDelta:        {vcsconv.RefLinesDelta{}, false},
		vcsRefRevisionsDelta:    {vcsconv.RefRevisionsDelta{}, false},
		vcsRefTime:              {vcsconv.RefTime{}, false},
	} {
		metric := e.templates.repos.template[m]
		require.Equal(t, []string{test.Name(), test.Unit(), test.Description()},
			[]string{metric.Name(), metric.Unit(), metric.Description()})
		if !test.isUpDownCounter {
			require.Equal(t, pmetric.MetricTypeGauge, metric.Type(), test.Name())
			continue
		}
		require.Equal(t, pmetric.MetricTypeSum, metric.Type(), test.Name())
		require.False(t, metric.Sum().IsMonotonic(), test.Name())
		require.Equal(t, pmetric.AggregationTemporalityCumulative, metric.Sum().AggregationTemporality())
	}
}
