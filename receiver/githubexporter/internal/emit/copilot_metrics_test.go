// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
)

// copilotNow is in the morning, after the reports of the day were made.
var copilotNow = time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)

// copilotBench reads scripted reports into a ledger, and emits them from a view.
type copilotBench struct {
	ledger.Store

	t       *testing.T
	now     time.Time
	server  *copilottest.Server
	emitter *Emitter
	org     *organization
	sink    *consumertest.MetricsSink
}

func newCopilotBench(t *testing.T, change func(*CopilotSettings), owners ...CopilotOwner) *copilotBench {
	t.Helper()
	b := &copilotBench{
		Store: memstore.New(memstore.Settings{}), t: t, now: copilotNow, sink: new(consumertest.MetricsSink),
	}
	b.server = copilottest.New(copilottest.Settings{
		Now: func() time.Time { return b.now }, FilesURL: "https://files.example", FilesPerReport: 3,
	})
	b.server.SetOrganization("acme", copilottest.Generate(6, 60, copilotNow.AddDate(0, 0, 20)))
	b.server.SetEnterprise("big", copilottest.Generate(9, 60, copilotNow.AddDate(0, 0, 20)))
	settings := &CopilotSettings{
		ScopeLabel: true, PullRequests: true,
		UserLabel: func(a activity.Actor) (string, bool) { return a.Login, true },
	}
	if change != nil {
		change(settings)
	}
	b.emitter, b.org = newTestEmitter(t, func(s *Settings) { s.Copilot, s.Next = settings, b.sink })
	for _, owner := range owners {
		b.org.copilot = append(b.org.copilot, &copilotReports{CopilotOwner: owner})
	}
	b.org.emits = true
	return b
}

func (b *copilotBench) Now() time.Time { return b.now }

func (b *copilotBench) Coverage(ctx context.Context) (ledger.Coverage, error) {
	return b.Store.Coverage(ctx, "acme")
}

func (b *copilotBench) CommitAsLeader(ctx context.Context, fence uint64, batch ledger.Batch) (ledger.Receipt, error) {
	batch.Org, batch.Observed = "acme", b.now
	return b.Commit(ctx, fence, batch)
}

func (b *copilotBench) CommitAsWorker(ctx context.Context, batch ledger.Batch) (ledger.Receipt, error) {
	return b.CommitAsLeader(ctx, 0, batch)
}

func (b *copilotBench) Get(_ context.Context, _, path string) (copilot.Response, error) {
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	request.Header.Set("Authorization", "Bearer token")
	recorder := httptest.NewRecorder()
	b.server.API().ServeHTTP(recorder, request)
	return copilot.Response{Status: recorder.Code, Body: recorder.Body.Bytes()}, nil
}

func (b *copilotBench) Read(_ context.Context, link string, use func(io.Reader) error) error {
	recorder := httptest.NewRecorder()
	b.server.Files().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, link, http.NoBody))
	return use(recorder.Body)
}

// read reads the reports of an owner, by their names.
func (b *copilotBench) read(owner CopilotOwner, change func(*copilot.Settings), reports ...string) {
	b.t.Helper()
	settings := copilot.Settings{
		Owner: owner.Name, API: b, Files: b, Now: b.Now, Rules: copilot.Rules{Interval: 6 * time.Hour},
		Store: copilotstore.New(copilotstore.Settings{
			Org: "acme", Owner: owner.Documents, Committer: b, Entries: b, Fence: 1,
		}),
		OnResult: func(r copilot.Result) { require.NotEqual(b.t, copilot.OutcomeFailed, r.Outcome, "%v", r.Err) },
	}
	for _, of := range report.Types() {
		if slices.Contains(reports, of.String()) {
			settings.Rules.Reports = append(settings.Rules.Reports, of)
		}
	}
	if slices.Contains(reports, "org_seats") {
		scope := report.ScopeOrganization
		settings.Rules.Seats = &scope
	}
	if change != nil {
		change(&settings)
	}
	_, err := copilot.New(settings).Run(b.t.Context())
	require.NoError(b.t, err)
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	_ = b.Follow(ctx, "acme", func(c ledger.Change) error {
		b.org.View.Apply(c)
		if c.CaughtUp {
			cancel()
		}
		return nil
	})
}

// emit returns the points of an emission by series, and its staleness markers.
func (b *copilotBench) emit() (values map[string]float64, markers []string) {
	b.t.Helper()
	b.sink.Reset()
	b.emitter.emitCopilot(b.t.Context(), b.org, pcommon.NewTimestampFromTime(b.now))
	values = make(map[string]float64)
	for _, md := range b.sink.AllMetrics() {
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			for _, point := range points(m).All() {
				name := m.Name() + labelText(point.Attributes())
				if point.Flags().NoRecordedValue() {
					markers = append(markers, name)
					continue
				}
				require.NotContains(b.t, values, name)
				values[name] = point.DoubleValue()
				if point.ValueType() == pmetric.NumberDataPointValueTypeInt {
					values[name] = float64(point.IntValue())
				}
			}
		}
	}
	return values, markers
}

func labelText(attributes pcommon.Map) string {
	var labels []string
	for name, value := range attributes.All() {
		labels = append(labels, name+"="+value.Str())
	}
	slices.Sort(labels)
	return "{" + strings.Join(labels, ",") + "}"
}

// sumRows sums a field of the rows of the 28 days that end with the newest one.
func sumRows(rows []copilottest.Row, field string, only func(copilottest.Row) bool) float64 {
	sum := 0.0
	for _, row := range rows {
		day := row["day"].(string)
		if day < "2026-10-28" || day > "2026-11-24" || (only != nil && !only(row)) {
			continue
		}
		switch value := row[field].(type) {
		case int:
			sum += float64(value)
		case float64:
			sum += value
		}
	}
	return sum
}

var (
	ofOrg        = CopilotOwner{Name: "acme"}
	ofEnterprise = CopilotOwner{Name: "big", Documents: ledger.CopilotOwner{Enterprise: "big"}}
)

// TestCopilotMetrics compares the series of all reports with sums over the rows.
func TestCopilotMetrics(t *testing.T) {
	t.Parallel()
	b := newCopilotBench(t, nil, ofOrg, ofEnterprise)
	b.read(ofOrg, nil, "org_28d", "org_users_28d", "org_teams_1d", "org_repos_1d", "org_seats")
	b.read(ofEnterprise, nil, "enterprise_28d")
	got, markers := b.emit()
	require.Empty(t, markers)
	data := copilottest.Generate(6, 60, copilotNow.AddDate(0, 0, 20))
	big := copilottest.Generate(9, 60, copilotNow.AddDate(0, 0, 20))
	want := map[string]float64{
		"gh.copilot.usage.loc_added_sum{org=acme,repo=*,scope=org,user=all,window=28d}": sumRows(
			data.Aggregates, "loc_added_sum", nil),
		"gh.copilot.usage.loc_added_sum{org=big,repo=*,scope=enterprise,user=all,window=28d}": sumRows(
			big.Aggregates, "loc_added_sum", nil),
		"gh.copilot.usage.pull_requests_total_created{org=acme,repo=*,scope=org,user=all,window=28d}":        9 * 28,
		"gh.copilot.usage.pull_requests_total_created{org=acme,repo=web,scope=org_repos,user=all,window=1d}": 9,
		"gh.copilot.pull_requests{org=acme,scope=org,what=merged,window=28d}":                                5 * 28,
		"gh.copilot.pull_requests{org=acme,repo=web,scope=org_repos,what=merged,window=1d}":                  5,
		"gh.copilot.active_users{kind=any,org=acme,scope=org,window=28d}":                                    6,
		"gh.copilot.active_users{kind=any,org=big,scope=enterprise,window=28d}":                              9,
		"gh.copilot.seats{org=acme,scope=org,state=total}":                                                   8,
		"gh.copilot.seats{org=acme,scope=org,state=never_used}":                                              2,
		"gh.copilot.report_day_unixtime{org=acme,scope=org}":                                                 newestDay,
		"gh.copilot.report_day_unixtime{org=acme,scope=org_users}":                                           newestDay,
		"gh.copilot.minutes_to_merge{org=acme,scope=org,what=any}":                                           90.5 + 22,
		"gh.copilot.minutes_to_merge{org=acme,repo=web,scope=org_repos,what=any}":                            90.5 + 22,
	}
	for i := range 6 {
		login := fmt.Sprintf("user-%d", i)
		of := func(row copilottest.Row) bool { return row["user_login"] == login }
		for _, field := range []string{
			"user_initiated_interaction_count", "code_generation_activity_count", "code_acceptance_activity_count",
			"loc_added_sum",
		} {
			want["gh.copilot.usage."+field+"{org=acme,repo=*,scope=org_users,user="+login+",window=28d}"] = sumRows(
				data.Users, field, of)
		}
		want["gh.copilot.ai_credits_used{org=acme,scope=org_users,user="+login+",window=28d}"] = sumRows(
			data.Users, "ai_credits_used", of)
	}
	for series, value := range want {
		require.Contains(t, got, series)
		require.InDelta(t, value, got[series], 1e-9, series)
	}
	teams := 0
	for series := range got {
		if strings.Contains(series, "team=team-1") {
			teams++
			require.Contains(t, series, "user=all")
		}
	}
	require.Equal(t, 8, teams, "seven counters and the credits")
}

// newestDay is the start of the newest day of the reports.
var newestDay = float64(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC).Unix())

// TestCopilotLabels switches labels off and on.
func TestCopilotLabels(t *testing.T) {
	t.Parallel()
	b := newCopilotBench(t, func(s *CopilotSettings) {
		s.ScopeLabel, s.PullRequests = false, false
		s.UserLabel = func(a activity.Actor) (string, bool) { return "_all", a.Login != "user-0" }
	}, ofOrg)
	change := func(s *copilot.Settings) { s.Usage.ByDay, s.Usage.Breakdown.Feature = true, true }
	b.read(ofOrg, change, "org_28d", "org_users_28d")
	got, _ := b.emit()
	data := copilottest.Generate(6, 60, copilotNow.AddDate(0, 0, 20))
	shown := func(row copilottest.Row) bool { return row["user_login"] != "user-0" && row["day"] == "2026-11-24" }
	all := func(row copilottest.Row) bool { return row["day"] == "2026-11-24" }
	require.InDelta(t, sumRows(data.Users, "loc_added_sum", shown),
		got["gh.copilot.usage.loc_added_sum{day=2026-11-24,org=acme,repo=*,user=_all}"], 0)
	require.InDelta(t, sumRows(data.Aggregates, "loc_added_sum", all),
		got["gh.copilot.usage.loc_added_sum{day=2026-11-24,org=acme,repo=*,user=all}"], 0)
	require.Contains(t, got,
		"gh.copilot.usage.loc_added_sum{day=2026-11-24,feature=code_completion,org=acme,repo=*,user=all}")
	for series := range got {
		require.NotContains(t, series, "pull_requests")
		require.NotContains(t, series, "minutes_to_merge")
		if !strings.Contains(series, "report_day") {
			require.NotContains(t, series, "scope=")
		}
	}
}

// TestCopilotStaleness ends series that are gone, with three markers each, and brings them back.
func TestCopilotStaleness(t *testing.T) {
	t.Parallel()
	b := newCopilotBench(t, nil, ofOrg)
	b.read(ofOrg, nil, "org_28d", "org_users_28d")
	before, _ := b.emit()
	again, markers := b.emit()
	require.Equal(t, before, again)
	require.Empty(t, markers)
	b.read(ofOrg, nil, "org_28d")
	var gone []string
	for i := range 4 {
		values, markers := b.emit()
		require.Less(t, len(values), len(before))
		slices.Sort(markers)
		switch i {
		case 0:
			gone = markers
			require.Len(t, gone, len(before)-len(values))
		case 3:
			require.Empty(t, markers)
		default:
			require.Equal(t, gone, markers)
		}
	}
	b.read(ofOrg, nil, "org_28d", "org_users_28d")
	back, markers := b.emit()
	require.Equal(t, before, back)
	require.Empty(t, markers)
	for _, reports := range b.org.copilot {
		reports.clear() // another replica emits from now on
		require.Empty(t, reports.ended)
	}
}

// TestCopilotBackfill shows the newest of the days that were read because a report of 28 days failed.
func TestCopilotBackfill(t *testing.T) {
	t.Parallel()
	for _, scopeLabel := range []bool{true, false} {
		b := newCopilotBench(t, func(s *CopilotSettings) { s.ScopeLabel = scopeLabel }, ofOrg)
		b.read(ofOrg, nil, "org_28d")
		b.now = b.now.AddDate(0, 0, 2)
		b.server.AddRule(copilottest.Rule{Endpoint: "organization-28-day", File: copilottest.HTML})
		ignore := func(s *copilot.Settings) { s.OnResult = nil }
		b.read(ofOrg, ignore, "org_28d")
		b.read(ofOrg, ignore, "org_28d")
		got, _ := b.emit()
		const metric = "gh.copilot.usage.pull_requests_total_created{org=acme,repo=*,"
		if scopeLabel {
			require.InDelta(t, 9*28, got[metric+"scope=org,user=all,window=28d}"], 0)
			require.InDelta(t, 9, got[metric+"scope=org,user=all,window=1d}"], 0)
		} else {
			require.InDelta(t, 9*28, got[metric+"user=all}"], 0)
		}
		require.InDelta(t, newestDay+2*24*60*60, got["gh.copilot.report_day_unixtime{org=acme,scope=org}"], 0)
	}
}

// TestCopilotOutdated: 28 days after its newest day, a report that is not replaced ends with staleness markers, and
// only its age stays. A report of these days, as when Copilot is switched on again, brings the series back.
func TestCopilotOutdated(t *testing.T) {
	t.Parallel()
	b := newCopilotBench(t, nil, ofOrg)
	b.read(ofOrg, nil, "org_28d", "org_users_28d", "org_seats")
	shown, _ := b.emit()
	age := map[string]float64{
		"gh.copilot.report_day_unixtime{org=acme,scope=org}":       newestDay,
		"gh.copilot.report_day_unixtime{org=acme,scope=org_users}": newestDay,
	}
	b.now = time.Unix(int64(newestDay), 0).UTC().AddDate(0, 0, 28).Add(23 * time.Hour)
	last, markers := b.emit()
	require.Equal(t, shown, last)
	require.Empty(t, markers)

	b.now = b.now.Add(time.Hour) // the seats were read later
	outdated, markers := b.emit()
	for name := range outdated {
		require.Regexp(t, `^gh\.copilot\.(report_day_unixtime|seats)\{`, name)
	}
	require.Len(t, markers, len(shown)-len(outdated))
	b.now = b.now.AddDate(0, 0, 7)
	outdated, _ = b.emit()
	require.Equal(t, age, outdated)

	b.server.SetOrganization("acme", copilottest.Generate(6, 60, b.now))
	b.read(ofOrg, nil, "org_28d", "org_users_28d", "org_seats")
	back, markers := b.emit()
	require.Len(t, back, len(shown))
	require.Empty(t, markers)
}
