// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

var began = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// shownMetrics is the number of metrics that are shown of a series by default: without the windows of 30 days.
const shownMetrics = ledgerview.NumMetrics - activity.NumAuthorKinds

// noStatus is the status of an organization that a test sets the term of. Its other methods are not called.
type noStatus struct {
	Status
	term time.Time
}

func (s *noStatus) TermStart() time.Time { return s.term }

// newTestEmitter returns an emitter, and an organization with a view that a test fills.
func newTestEmitter(tb testing.TB, change ...func(*Settings)) (*Emitter, *organization) {
	tb.Helper()
	received := receivertest.NewNopSettings(metadata.Type)
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: received.ID, ReceiverCreateSettings: received,
	})
	require.NoError(tb, err)
	const interval = 30 * time.Second
	settings := Settings{
		Metrics: metadata.NewDefaultMetricsBuilderConfig(), Receiver: received, Next: consumertest.NewNop(), Obs: obs,
		Interval: interval, ZeroFor: 2 * interval, Backfill: true,
	}
	for _, f := range change {
		f(&settings)
	}
	e := New(settings)
	e.Add(Source{Org: "acme", Status: &noStatus{}, View: ledgerview.New(ledgerview.Settings{
		Retention: 720 * time.Hour, Grace: time.Hour,
		Label: func(a activity.Actor) (string, bool) { return a.Login, true },
	})})
	return e, e.orgs[0]
}

// fill puts users into repositories, each with some events of every kind in the last hours.
func fill(org *organization, repos, users, each int) {
	progress := ledger.Progress{Edge: began}
	var events []activity.Event
	for r := range repos {
		id := int64(r + 1)
		progress.Repos = append(progress.Repos, ledger.RepoProgress{
			ID: id, Name: fmt.Sprintf("repo-%d", r), FirstSeen: began, Since: began.AddDate(0, 0, -14),
			Streams: activity.EveryStream,
		})
		for u := range users {
			actor := activity.Actor{ID: int64(u + 1), Login: fmt.Sprintf("user-%d", u)}
			for n := range int64(activity.NumAuthorKinds * each) {
				events = append(events, activity.Event{
					Kind: activity.AuthorKinds()[n%activity.NumAuthorKinds], Repo: id,
					ID: activity.NumberID(int64(u)*1000 + n), Actor: actor,
					Time: began.Add(-time.Duration(u%20) * time.Hour),
				})
			}
		}
	}
	org.View.Apply(ledger.Change{Reset: true, CaughtUp: true, LedgerStart: began, Progress: progress, Events: events})
	org.summary = org.View.Summary()
}

func TestEmission(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 2, 3, 1)
	chunks := e.buildActivity(org, began)
	require.Len(t, chunks, 1)
	rm := chunks[0].ResourceMetrics().At(0)
	require.Equal(t, "https://opentelemetry.io/schemas/1.44.0", rm.SchemaUrl())
	require.Equal(t, map[string]any{"vcs.owner.name": "acme", "vcs.provider.name": "github"},
		rm.Resource().Attributes().AsRaw())
	require.Equal(t, shownMetrics, rm.ScopeMetrics().At(0).Metrics().Len())
	for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
		require.Equal(t, 6, points(m).Len(), m.Name())
		require.NotEmpty(t, m.Description())
		point := points(m).At(0)
		require.Equal(t, pcommon.NewTimestampFromTime(began), point.Timestamp())
		labels := make([]string, 0, 3)
		for label := range point.Attributes().All() {
			labels = append(labels, label)
		}
		require.Equal(t, []string{"org", "repo", "user"}, labels)
		if m.Type() == pmetric.MetricTypeSum {
			require.True(t, m.Sum().IsMonotonic())
			require.Equal(t, pmetric.AggregationTemporalityCumulative, m.Sum().AggregationTemporality())
			require.Equal(t, pcommon.NewTimestampFromTime(began.AddDate(0, 0, -14)), point.StartTimestamp())
		}
	}
}

// TestTemplatesHaveTheirNames: the template of a metric is the one that metadata.yaml has under its name.
func TestTemplatesHaveTheirNames(t *testing.T) {
	t.Parallel()
	e, _ := newTestEmitter(t)
	for m := range ledgerview.NumMetrics {
		want := ledgerview.Metric(m).Name()
		if strings.HasSuffix(want, "_30d") {
			want = "" // disabled by default
		}
		require.Equal(t, want, e.templates.name(m))
	}
	require.Len(t, recordsByName, ledgerview.NumMetrics)
}

// TestEndOfSeries: zeros while the retention lasts, then three staleness marks each, then nothing.
func TestEndOfSeries(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 1, 1, 1)
	require.Equal(t, shownMetrics, e.buildActivity(org, began)[0].DataPointCount())
	later := func(days int) []pmetric.Metrics {
		now := began.AddDate(0, 0, days)
		org.View.Apply(ledger.Change{Progress: ledger.Progress{Edge: now}})
		return e.buildActivity(org, now)
	}
	idle := later(8)[0]
	require.Equal(t, shownMetrics, idle.DataPointCount())
	for _, m := range idle.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Type() == pmetric.MetricTypeGauge && m.Name() != "gh.activity.last_event_unixtime" {
			require.Zero(t, points(m).At(0).IntValue(), m.Name())
		}
	}
	require.Empty(t, later(31))
	for range markerEmissions {
		ended := marks(e, org, began.AddDate(0, 0, 31))
		require.Equal(t, shownMetrics, ended.Len(), "each mark has a metric of its own")
		for _, m := range ended.All() {
			require.Equal(t, 1, points(m).Len())
			require.True(t, points(m).At(0).Flags().NoRecordedValue())
		}
		org.ends.recordAccepted()
	}
	require.Empty(t, later(32))
	require.Zero(t, marks(e, org, began.AddDate(0, 0, 32)).Len())
}

// marks are the staleness marks of an emission.
func marks(e *Emitter, org *organization, at time.Time) pmetric.MetricSlice {
	all := pmetric.NewMetricSlice()
	org.ends.sendMarkers(e.templates, org.Org, pcommon.NewTimestampFromTime(at), func(md pmetric.Metrics) bool {
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().MoveAndAppendTo(all)
		return true
	})
	return all
}

func TestDisabledMetric(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, func(s *Settings) { s.Metrics.Metrics.GhActivityLastEventUnixtime.Enabled = false })
	fill(org, 1, 1, 1)
	for _, m := range e.buildActivity(org, began)[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		require.NotEqual(t, "gh.activity.last_event_unixtime", m.Name())
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 10, 1000, 1)
	total := 0
	seen := make(map[string]bool)
	for _, md := range e.buildActivity(org, began) {
		require.LessOrEqual(t, md.DataPointCount(), maxChunkPoints+ledgerview.NumMetrics)
		total += md.DataPointCount()
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			for _, p := range points(m).All() {
				key := fmt.Sprint(m.Name(), p.Attributes().AsRaw())
				require.False(t, seen[key])
				seen[key] = true
			}
		}
	}
	require.Equal(t, 10*1000*shownMetrics, total)
}

// BenchmarkEmission emits views, beside the same number of points built by hand without a view behind them.
func BenchmarkEmission(b *testing.B) {
	for _, size := range []struct {
		name               string
		repos, users, each int
	}{
		{"500,000 points", 100, 334, 1},
		{"1,000,000 events over 100,000 series", 1000, 100, 2},
	} {
		b.Run(size.name, func(b *testing.B) {
			b.Run("view", func(b *testing.B) { emitView(b, size.repos, size.users, size.each) })
			b.Run("by hand", func(b *testing.B) { emitByHand(b, size.repos, size.users) })
		})
	}
}

func emitView(b *testing.B, repos, users, each int) {
	b.Helper()
	e, org := newTestEmitter(b)
	fill(org, repos, users, each)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for _, md := range e.buildActivity(org, began) {
			n += md.DataPointCount()
		}
		b.ReportMetric(float64(n), "points")
	}
}

func emitByHand(b *testing.B, repos, count int) {
	b.Helper()
	users := make([]string, count)
	for u := range users {
		users[u] = fmt.Sprintf("user-%d", u)
	}
	b.ReportAllocs()
	for b.Loop() {
		md := byHand(repos, users)
		b.ReportMetric(float64(md.DataPointCount()), "points")
	}
}

func byHand(repos int, users []string) pmetric.Metrics {
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	metrics.EnsureCapacity(ledgerview.NumMetrics)
	at := pcommon.NewTimestampFromTime(began)
	for m := range ledgerview.NumMetrics {
		metric := metrics.AppendEmpty()
		metric.SetName(fmt.Sprintf("metric-%d", m))
		list := metric.SetEmptyGauge().DataPoints()
		list.EnsureCapacity(repos * len(users))
		for r := range repos {
			repo := fmt.Sprintf("repo-%d", r)
			for _, user := range users {
				point := list.AppendEmpty()
				point.SetTimestamp(at)
				point.SetIntValue(1)
				attributes := point.Attributes()
				attributes.EnsureCapacity(3)
				attributes.PutStr("org", "acme")
				attributes.PutStr("repo", repo)
				attributes.PutStr("user", user)
			}
		}
	}
	return md
}
