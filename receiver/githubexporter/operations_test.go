package githubexporter

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// TestEndOfOwnSeries: a series of the exporter's own metrics that is not shown any more is marked as ended in some
// emissions, under the resource that it had, and never while it is shown.
func TestEndOfOwnSeries(t *testing.T) {
	t.Parallel()
	e, _ := emitting(t)
	o, at := e.operations, pcommon.NewTimestampFromTime(began)
	series := selfSeries{record: recordPermission, org: "acme", label: "issues"}
	for range 2 {
		o.show(series, at, 1)
		require.Empty(t, o.marks("acme", at), "it is shown")
		require.Empty(t, o.marks("other", at))
		o.builder.Emit()
		for range endMarks {
			marks := o.marks("acme", at)
			require.Len(t, marks, 1)
			rm := marks[0].ResourceMetrics().At(0)
			require.Equal(t, map[string]any{"vcs.owner.name": "acme", "vcs.provider.name": "github"}, rm.Resource().Attributes().AsRaw())
			metric := rm.ScopeMetrics().At(0).Metrics().At(0)
			require.Equal(t, "gh.exporter.missing_permission", metric.Name())
			point := points(metric).At(0)
			require.True(t, point.Flags().NoRecordedValue())
			require.Equal(t, map[string]any{"org": "acme", "permission": "issues"}, point.Attributes().AsRaw())
		}
		require.Empty(t, o.marks("acme", at))
		require.Empty(t, o.shown)
	}
}
