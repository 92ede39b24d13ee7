package githubexporter

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

var began = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// emitting is an emitter over one view that a test fills.
func emitting(tb testing.TB, change ...func(*Config)) (*emitter, *organization) {
	tb.Helper()
	config := createDefaultConfig().(*Config)
	for _, f := range change {
		f(config)
	}
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), consumertest.NewNop())
	require.NoError(tb, err)
	org := &organization{name: "acme", view: ledger.NewView(ledger.ViewSettings{
		Retention: 720 * time.Hour, Grace: time.Hour, Label: newUserLabels(&config.Actors).labelFor,
	})}
	return newEmitter(r), org
}

// fill puts users into repositories, each with some events of every kind in the last hours.
func fill(org *organization, repos, users, each int) {
	progress := ledger.Progress{Edge: began}
	var events []activity.Event
	for r := range repos {
		id := int64(r + 1)
		progress.Repos = append(progress.Repos, ledger.RepoProgress{
			ID: id, Name: fmt.Sprintf("repo-%d", r), FirstSeen: began, Since: began.AddDate(0, 0, -14),
		})
		for u := range users {
			actor := activity.Actor{ID: int64(u + 1), Login: fmt.Sprintf("user-%d", u)}
			for n := range int64(activity.NumKinds * each) {
				events = append(events, activity.Event{
					Kind: activity.Kinds()[n%activity.NumKinds], Repo: id, ID: activity.NumberID(int64(u)*1000 + n), Actor: actor,
					Time: began.Add(-time.Duration(u%20) * time.Hour),
				})
			}
		}
	}
	org.view.Apply(ledger.Change{Reset: true, CaughtUp: true, LedgerStart: began, Progress: progress, Events: events})
	org.summary = org.view.Summary()
}

func TestEmission(t *testing.T) {
	t.Parallel()
	e, org := emitting(t)
	fill(org, 2, 3, 1)
	chunks := e.buildActivity(org, began)
	require.Len(t, chunks, 1)
	rm := chunks[0].ResourceMetrics().At(0)
	require.Equal(t, "https://opentelemetry.io/schemas/1.44.0", rm.SchemaUrl())
	require.Equal(t, map[string]any{"vcs.owner.name": "acme", "vcs.provider.name": "github"}, rm.Resource().Attributes().AsRaw())
	require.Equal(t, ledger.NumMetrics, rm.ScopeMetrics().At(0).Metrics().Len())
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

// TestEndOfSeries: zeros while the retention lasts, then three staleness marks each, then nothing.
func TestEndOfSeries(t *testing.T) {
	t.Parallel()
	e, org := emitting(t)
	fill(org, 1, 1, 1)
	require.Equal(t, 15, e.buildActivity(org, began)[0].DataPointCount())
	later := func(days int) []pmetric.Metrics {
		now := began.AddDate(0, 0, days)
		org.view.Apply(ledger.Change{Progress: ledger.Progress{Edge: now}})
		return e.buildActivity(org, now)
	}
	idle := later(2)[0]
	require.Equal(t, 15, idle.DataPointCount())
	for _, m := range idle.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Type() == pmetric.MetricTypeGauge && m.Name() != "gh.activity.last_event_unixtime" {
			require.Zero(t, points(m).At(0).IntValue(), m.Name())
		}
	}
	require.Empty(t, later(31))
	for range markerEmissions {
		ended := marks(e, org, began.AddDate(0, 0, 31))
		require.Equal(t, 15, ended.Len(), "each mark has a metric of its own")
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
func marks(e *emitter, org *organization, at time.Time) pmetric.MetricSlice {
	all := pmetric.NewMetricSlice()
	org.ends.sendMarkers(e.templates, org.name, pcommon.NewTimestampFromTime(at), func(md pmetric.Metrics) bool {
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().MoveAndAppendTo(all)
		return true
	})
	return all
}

func TestDisabledMetric(t *testing.T) {
	t.Parallel()
	e, org := emitting(t, func(c *Config) { c.Metrics.GhActivityLastEventUnixtime.Enabled = false })
	fill(org, 1, 1, 1)
	for _, m := range e.buildActivity(org, began)[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		require.NotEqual(t, "gh.activity.last_event_unixtime", m.Name())
	}
}

func TestChunks(t *testing.T) {
	t.Parallel()
	e, org := emitting(t)
	fill(org, 10, 1000, 1)
	total := 0
	seen := make(map[string]bool)
	for _, md := range e.buildActivity(org, began) {
		require.LessOrEqual(t, md.DataPointCount(), maxChunkPoints+ledger.NumMetrics)
		total += md.DataPointCount()
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			for _, p := range points(m).All() {
				key := fmt.Sprint(m.Name(), p.Attributes().AsRaw())
				require.False(t, seen[key])
				seen[key] = true
			}
		}
	}
	require.Equal(t, 10*1000*ledger.NumMetrics, total)
}

func TestLabels(t *testing.T) {
	t.Parallel()
	ada, bot, ghost := activity.Actor{ID: 7, Login: "ada"}, activity.Bot(9, "renovate"), activity.Ghost()
	label := func(exclude ...string) ActorsConfig {
		return ActorsConfig{Bots: "include", Label: "login", Exclude: exclude}
	}
	for name, test := range map[string]struct {
		config ActorsConfig
		want   [3]string // of ada, the bot and the ghost; empty when not shown
	}{
		"login":        {ActorsConfig{Bots: "include", Label: "login"}, [3]string{"ada", "renovate[bot]", "ghost"}},
		"id":           {ActorsConfig{Bots: "include", Label: "id"}, [3]string{"7", "9", "ghost"}},
		"hashed":       {ActorsConfig{Bots: "include", Label: "hashed"}, [3]string{"7a05e1f0c8a7ba72", "", "ghost"}},
		"none":         {ActorsConfig{Bots: "include", Label: "none"}, [3]string{"_all", "_all", "_all"}},
		"without bots": {ActorsConfig{Bots: "exclude", Label: "login"}, [3]string{"ada", "", "ghost"}},
		"excluded":     {label("a*"), [3]string{"", "renovate[bot]", "ghost"}},
		"bot by name":  {label("Renovate[bot]", "renovateb", "{ada,ghost}"), [3]string{"ada", "", "ghost"}},
		"other case":   {label("ADA", "gh?st"), [3]string{"", "renovate[bot]", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			label := newUserLabels(&test.config).labelFor
			for i, actor := range []activity.Actor{ada, bot, ghost} {
				got, shown := label(actor)
				if name == "hashed" && actor.Login != "ghost" {
					require.Len(t, got, 16)
					require.NotContains(t, got, "a da")
					continue
				}
				require.Equal(t, test.want[i] != "", shown)
				require.Equal(t, test.want[i], got)
			}
		})
	}
}

// TestUnmatchedUsers: a pattern is unmatched until a user of any organization matches it, a bot that is not shown as
// well.
func TestUnmatchedUsers(t *testing.T) {
	t.Parallel()
	u := newUserLabels(&ActorsConfig{Bots: "exclude", Label: "login", Exclude: []string{"Ada", "*[bot]", "{a,b}", "bob"}})
	require.Equal(t, []string{"Ada", "*[bot]", "{a,b}", "bob"}, u.unmatchedPatterns())
	for _, a := range []activity.Actor{{ID: 7, Login: "ada"}, activity.Bot(9, "renovate"), activity.Ghost()} {
		u.labelFor(a)
	}
	require.Equal(t, []string{"{a,b}", "bob"}, u.unmatchedPatterns())
}

// TestAgentsInOlderRecords: what was recorded of an agent under another login, or without the mark of a bot, is a
// bot's.
func TestAgentsInOlderRecords(t *testing.T) {
	t.Parallel()
	shown, hidden := newUserLabels(&ActorsConfig{Bots: "include", Label: "login"}), newUserLabels(&ActorsConfig{Bots: "exclude", Label: "login"})
	for _, a := range []activity.Actor{{ID: 198982749, Login: "Copilot"}, activity.Bot(198982749, "copilot-swe-agent")} {
		label, _ := shown.labelFor(a)
		require.Equal(t, "Copilot[bot]", label)
		_, there := hidden.labelFor(a)
		require.False(t, there)
	}
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
	e, org := emitting(b)
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
	metrics.EnsureCapacity(ledger.NumMetrics)
	at := pcommon.NewTimestampFromTime(began)
	for m := range ledger.NumMetrics {
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
