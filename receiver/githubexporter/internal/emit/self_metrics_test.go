// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// TestEndOfOwnSeries: a series of the exporter's own metrics that is not shown any more is marked as ended in some
// emissions, under the resource that it had, and never while it is shown. One that another process goes on with is not
// marked.
func TestEndOfOwnSeries(t *testing.T) {
	t.Parallel()
	e, _ := newTestEmitter(t)
	o, at := e.selfMetrics, pcommon.NewTimestampFromTime(began)
	emission := func(permissions ...string) pmetric.Metrics {
		for _, p := range permissions {
			o.builder.RecordGhExporterMissingPermissionDataPoint(at, 1, "acme", p)
		}
		o.builder.RecordGhExporterGapsDataPoint(at, 0, "acme")
		md := o.builder.Emit(metadata.WithResource(o.organizationResource("acme")))
		shown := md.DataPointCount()
		o.ended.appendMarkers(md, at)
		require.Equal(t, 1+len(permissions), shown)
		return md
	}
	for range 2 {
		require.Equal(t, 1, emission("issues").ResourceMetrics().Len(), "it is shown")
		for range markerEmissions {
			md := emission()
			require.Equal(t, 2, md.ResourceMetrics().Len())
			rm := md.ResourceMetrics().At(1)
			want := map[string]any{"vcs.owner.name": "acme", "vcs.provider.name": "github"}
			require.Equal(t, want, rm.Resource().Attributes().AsRaw())
			require.Equal(t, metadata.ScopeName, rm.ScopeMetrics().At(0).Scope().Name())
			require.Equal(t, 1, rm.ScopeMetrics().At(0).Metrics().Len())
			metric := rm.ScopeMetrics().At(0).Metrics().At(0)
			require.Equal(t, "gh.exporter.missing_permission", metric.Name())
			point := points(metric).At(0)
			require.True(t, point.Flags().NoRecordedValue())
			require.Equal(t, map[string]any{"org": "acme", "permission": "issues"}, point.Attributes().AsRaw())
		}
		require.Equal(t, 1, emission().ResourceMetrics().Len())
	}
	emission("issues")
	emission()
	require.Equal(t, 1, emission("issues").ResourceMetrics().Len(), "it is back")
	o.ended.dropResource(o.organizationResource("acme"))
	require.Equal(t, 1, emission().ResourceMetrics().Len())
}

// zeroTallies are counters of a ledger that began a while ago.
func zeroTallies(tallies map[ledger.TallyKey]uint64) *ledgerview.Summary {
	return &ledgerview.Summary{CaughtUp: true, LedgerStart: began, Tallies: tallies}
}

func tally(name string, labels ...string) ledger.TallyKey {
	key := ledger.TallyKey{Name: name}
	copy(key.Labels[:], labels)
	return key
}

// TestEnumerationsBeginAtZero: every value of an enumerated label is shown at 0 before anything was counted, and a new
// ledger shows zeros for two intervals whatever was counted meanwhile. An endpoint shows all its status classes.
func TestEnumerationsBeginAtZero(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	o, at := e.selfMetrics, pcommon.NewTimestampFromTime(began)
	tallies := map[ledger.TallyKey]uint64{
		tally(collect.TallyRuns, "failure"): 3, tally(collect.TallyRequests, "Discover", "5xx"): 2,
		tally(collect.TallyEnqueued, "sweep"): 4,
	}
	record := func(after time.Duration, tallies map[ledger.TallyKey]uint64) pmetric.Metrics {
		c := o.countersOf(zeroTallies(tallies), began.Add(after))
		o.recordPassCounters(org, at, c)
		o.recordRequests(org, at, c)
		o.recordBackfill(org, at, c)
		return o.builder.Emit()
	}
	interval := o.settings.Interval
	for _, after := range []time.Duration{0, 2*interval - time.Second, 2 * interval} {
		value := int64(0)
		if after == 2*interval {
			value = 1
		}
		md := record(after, tallies)
		for _, result := range []string{"success", "partial", "skipped_unhealthy", "skipped_limited"} {
			require.Zero(t, seriesValue(t, md, "gh.exporter.scrape_runs", "result", result))
		}
		require.Equal(t, 3*value, seriesValue(t, md, "gh.exporter.scrape_runs", "result", "failure"))
		require.Equal(t, 4*value, seriesValue(t, md, "gh.exporter.backfill_jobs_enqueued", "reason", "sweep"))
		for _, class := range []string{"2xx", "3xx", "4xx", "error"} {
			require.Zero(t, seriesValue(t, md, "gh.exporter.github_requests", "status_class", class))
		}
		require.Equal(t, 2*value, seriesValue(t, md, "gh.exporter.github_requests", "status_class", "5xx"))
		require.Zero(t, seriesValue(t, md, "gh.exporter.github_deprecations", "endpoint", "Discover"))
		for metric, labels := range map[string][]string{
			"gh.exporter.github_points": {"resource", "rest", "graphql"},
			"gh.exporter.backfill_jobs_processed": {
				"result", "processed", "failed", "expired", "discarded",
				"duplicate",
			},
			"gh.exporter.backfill_enqueues_dropped": {"reason", "org_rate_cap", "global_safety_cap"},
			"gh.exporter.backfill_jobs_deduped":     {"reason", "scrape_error", "rate_limited", "leader_gap"},
		} {
			for _, label := range labels[1:] {
				require.Zero(t, seriesValue(t, md, metric, labels[0], label))
			}
		}
	}
}

// seriesValue is the value of the one series with a label.
func seriesValue(t *testing.T, md pmetric.Metrics, metric, label, value string) int64 {
	t.Helper()
	found := []int64{}
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() != metric {
				continue
			}
			for _, point := range points(m).All() {
				if v, ok := point.Attributes().Get(label); ok && v.Str() == value {
					found = append(found, point.IntValue())
				}
			}
		}
	}
	require.Len(t, found, 1, "%s{%s=%q}", metric, label, value)
	return found[0]
}

// TestStartOfStoreWrites: the sum over all organizations begins with the oldest ledger; when one begins again and the
// sum falls, it begins with that.
func TestStartOfStoreWrites(t *testing.T) {
	t.Parallel()
	var w counterSum
	newest := began.Add(time.Hour)
	require.Equal(t, began, w.startOf(5, began, newest))
	require.Equal(t, began, w.startOf(7, began, newest))
	again := began.Add(2 * time.Hour)
	require.Equal(t, again, w.startOf(3, began, again))
	require.Equal(t, again, w.startOf(9, began, again))
}

// TestIdentity: the collector's own identity counts, one without gets its own, and a receiver with a name says so on
// the metrics of the replica.
func TestIdentity(t *testing.T) {
	t.Parallel()
	settings := &Settings{Receiver: receivertest.NewNopSettings(metadata.Type)}
	own := newIdentity(settings)
	require.NotEmpty(t, own.instance)
	require.NotEqual(t, own.instance, newIdentity(settings).instance)
	settings.Receiver.Resource = pcommon.NewResource()
	settings.Receiver.Resource.Attributes().PutStr("service.instance.id", "replica-7")
	require.Equal(t, "replica-7", newIdentity(settings).instance)

	settings.Receiver.ID = component.NewIDWithName(metadata.Type, "second")
	settings.Elected = true
	id := newIdentity(settings)
	require.Equal(t, identity{instance: "replica-7", receiver: "githubexporter/second", inScope: true}, id)
	settings.FromLeader = true
	require.False(t, newIdentity(settings).inScope, "the leader's streams go on under the next one")

	e, _ := newTestEmitter(t)
	o := e.selfMetrics
	o.identity = id
	for _, org := range []string{"acme", ""} {
		o.builder.RecordGhExporterLeaderDataPoint(o.started, 1, org)
		all := pmetric.NewMetrics()
		o.emitReplica(org, all)
		rm := all.ResourceMetrics().At(0)
		instance, _ := rm.Resource().Attributes().Get("service.instance.id")
		require.Equal(t, "replica-7", instance.Str())
		_, owned := rm.Resource().Attributes().Get("vcs.owner.name")
		require.Equal(t, org != "", owned)
		point := points(rm.ScopeMetrics().At(0).Metrics().At(0)).At(0)
		require.Equal(t, map[string]any{"org": org, "receiver": "githubexporter/second"}, point.Attributes().AsRaw())
		require.Equal(t, 0, rm.ScopeMetrics().At(0).Scope().Attributes().Len())
	}
}

func TestBuildInfo(t *testing.T) {
	t.Parallel()
	b := readBuildInfo(&component.BuildInfo{Version: "1.2.3"})
	require.Equal(t, "1.2.3", b.version)
	require.NotEmpty(t, b.revision)
	require.NotEmpty(t, b.collector)
	require.Contains(t, b.goVersion, "go1.")
}

// TestWakesAreMerged: emissions have timestamps that strictly grow, those that are asked for keep their distance from
// the one before and from the next multiple of the interval, and none of the multiples is left out.
func TestWakesAreMerged(t *testing.T) {
	t.Parallel()
	const interval = time.Second
	e, _ := newTestEmitter(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	go func() { // ask for emissions all the time
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			<-ticker.C
			e.Wake()
		}
	}()
	var last time.Time
	ticks := 0
	for range 12 {
		at := e.awaitNext(ctx, last, interval)
		name := fmt.Sprintf("%s after %s", at, last)
		if !last.IsZero() {
			require.GreaterOrEqual(t, at.Sub(last), wakeGap(interval)/2, name)
			require.Equal(t, last.Truncate(interval), at.Add(-1).Truncate(interval), "a multiple was left out: %s",
				name)
		}
		if at.Equal(at.Truncate(interval)) {
			ticks++
		}
		last = at
	}
	require.GreaterOrEqual(t, ticks, 2)
}

// TestNewLeaderEmitsFromAMultipleOn: where only leaders emit, a new one does so from the first multiple of the
// interval in its term on, also when that is emitted late, and ceases at once.
func TestNewLeaderEmitsFromAMultipleOn(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, func(s *Settings) { s.FromLeader, s.Elected = true, true })
	status := org.Status.(*noStatus)
	interval := e.settings.Interval
	tick := began.Truncate(interval)
	first, second := tick.Add(-time.Second), tick.Add(interval+time.Second)
	for i, step := range []struct {
		term, at time.Time
		want     bool
	}{
		{time.Time{}, tick.Add(-interval), false},
		{first, tick.Add(-500 * time.Millisecond), false},
		{first, tick, true},
		{first, tick.Add(time.Second), true},
		{time.Time{}, tick.Add(2 * time.Second), false},
		{second, tick.Add(interval), false}, // it is late
		{second, tick.Add(interval + 2*time.Second), false},
		{second, tick.Add(2 * interval), true},
		{second.Add(interval), tick.Add(2*interval + 2*time.Second), false}, // another may have led in between
	} {
		status.term = step.term
		e.updateEmits(org, step.at)
		require.Equal(t, step.want, org.emits, i)
	}
	e.settings.Elected = false
	e.updateEmits(org, tick.Add(time.Second))
	require.True(t, org.emits, "there is no other replica")
	e.settings.FromLeader, status.term = false, time.Time{}
	e.updateEmits(org, tick.Add(time.Second))
	require.True(t, org.emits)
}

// TestTeamInfo: each member of a selected team has a series, with activity or without, and it ends with the team.
func TestTeamInfo(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	org.View = ledgerview.New(ledgerview.Settings{Retention: 24 * time.Hour, Teams: &ledgerview.TeamSettings{
		Shows: func(*ledger.Team) bool { return true }, KeepFor: time.Hour,
	}})
	ada := activity.Actor{ID: 1, Login: "ada"}
	backend := ledger.Team{ID: 7, Slug: "backend", Members: []activity.Actor{ada, {ID: 2, Login: "bob"}}}
	apply := func(data []byte, at time.Time) {
		state := ledger.TeamsState{ReadAt: at}
		org.View.Apply(ledger.Change{LedgerStart: began, Entries: []ledger.Entry{
			{EntryKey: ledger.TeamKey(7, 0), Data: data, Observed: at},
			{EntryKey: ledger.TeamsStateKey(), Data: state.Encode(), Observed: at},
		}, Tallies: []ledger.Tally{
			{TallyKey: ledger.TallyKey{Name: collect.TallyTeamReads, Labels: [2]string{"success"}}, Add: 1},
		}})
	}
	s := e.selfMetrics
	shown := func(now time.Time) (list []string) {
		at, summary := pcommon.NewTimestampFromTime(now), org.View.Summary()
		s.recordTeams(org, now, at, &summary)
		md := s.builder.Emit(metadata.WithResource(s.organizationResource("acme")))
		s.ended.appendMarkers(md, at)
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				for _, point := range points(m).All() {
					var labels []string
					for _, name := range []string{"team", "user", "result"} {
						if value, ok := point.Attributes().Get(name); ok {
							labels = append(labels, value.Str())
						}
					}
					value := strconv.FormatInt(point.IntValue(), 10)
					if point.Flags().NoRecordedValue() {
						value = "ended"
					}
					list = append(list, fmt.Sprintf("%s%v %s", strings.TrimPrefix(m.Name(), "gh."), labels, value))
				}
			}
		}
		slices.Sort(list)
		return list
	}
	apply(backend.Encode()[0], began)
	require.Empty(t, shown(began), "teams are off")
	s.settings.Teams, s.settings.ZeroFor = true, 0
	reads := func(success int, members ...string) []string {
		return append([]string{
			"exporter.team_reads[failure] 0", "exporter.team_reads[limited] 0", "exporter.team_reads[partial] 0",
			"exporter.team_reads[refused] 0", fmt.Sprintf("exporter.team_reads[success] %d", success),
			fmt.Sprintf("exporter.teams_last_read_unixtime[] %d", began.Unix()),
		}, members...)
	}
	require.Equal(t, reads(1, "user.team.info[backend ada] 1", "user.team.info[backend bob] 1"), shown(began))
	backend.Members = backend.Members[:1]
	apply(backend.Encode()[0], began)
	require.Equal(t, reads(2, "user.team.info[backend ada] 1", "user.team.info[backend bob] ended"), shown(began),
		"bob left")
	require.Equal(t, reads(2, "user.team.info[backend ada] ended", "user.team.info[backend bob] ended"),
		shown(began.Add(time.Hour)), "not read for too long")
}

// TestUserInfo: each user with a series has one, whatever the number of repositories, and it ends with the series.
func TestUserInfo(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 2, 3, 1)
	s := e.selfMetrics
	kinds := func(now time.Time) (list []string) {
		at := pcommon.NewTimestampFromTime(now)
		e.buildActivity(org, now)
		s.recordUsers(org, at)
		md := s.builder.Emit(metadata.WithResource(s.organizationResource("acme")))
		s.ended.appendMarkers(md, at)
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				for _, point := range points(m).All() {
					kind, _ := point.Attributes().Get("kind")
					list = append(list, fmt.Sprint(m.Name(), " ", kind.Str(), " ", point.Flags().NoRecordedValue()))
				}
			}
		}
		return list
	}
	require.Equal(t, slices.Repeat([]string{"gh.user.info person false"}, 3), kinds(began))
	later := began.AddDate(0, 0, 31)
	org.View.Apply(ledger.Change{Progress: ledger.Progress{Edge: later}})
	require.Equal(t, slices.Repeat([]string{"gh.user.info person true"}, 3), kinds(later))
}
