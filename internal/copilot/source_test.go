// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/download"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
)

// start is the first moment of the simulations: in the morning, after the reports of the day were made.
var start = time.Date(2026, 11, 26, 6, 0, 0, 0, time.UTC)

// bench is a source with a clock, a store and the scripted GitHub, all in memory.
type bench struct {
	t        *testing.T
	now      time.Time
	server   *copilottest.Server
	store    map[string][]byte
	saveErr  error
	apiErr   error
	settings Settings
	source   *Source
	results  []Result
}

func newBench(t *testing.T, reports ...string) *bench {
	t.Helper()
	b := &bench{t: t, now: start, store: make(map[string][]byte)}
	b.server = copilottest.New(copilottest.Settings{
		Now: func() time.Time { return b.now }, FilesURL: "https://files.example", FilesPerReport: 3,
	})
	b.server.SetOrganization("acme", copilottest.Generate(6, 60, start.AddDate(0, 0, 20)))
	b.server.SetEnterprise("acme", copilottest.Generate(6, 60, start.AddDate(0, 0, 20)))
	b.settings = Settings{
		Owner: "acme", Rules: Rules{Interval: 6 * time.Hour}, API: b, Files: b, Store: b,
		Now: func() time.Time { return b.now }, OnResult: func(r Result) { b.results = append(b.results, r) },
	}
	for _, of := range report.Types() {
		if slices.Contains(reports, of.String()) {
			b.settings.Rules.Reports = append(b.settings.Rules.Reports, of)
		}
	}
	b.source = New(b.settings)
	return b
}

func (b *bench) Get(_ context.Context, _, path string) (Response, error) {
	if b.apiErr != nil {
		return Response{}, b.apiErr
	}
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	request.Header.Set("Authorization", "Bearer token")
	recorder := httptest.NewRecorder()
	b.server.API().ServeHTTP(recorder, request)
	return Response{recorder.Code, recorder.Body.Bytes()}, nil
}

func (b *bench) Read(_ context.Context, link string, use func(io.Reader) error) error {
	target, err := url.Parse(link)
	if err != nil || target.Host != "files.example" {
		return &download.Error{Reason: download.ReasonHost}
	}
	recorder := httptest.NewRecorder()
	b.server.Files().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, link, http.NoBody))
	switch recorder.Code {
	case http.StatusOK:
		return use(recorder.Body)
	case http.StatusForbidden:
		return &download.Error{Reason: download.ReasonExpired}
	default:
		return &download.Error{Reason: download.ReasonMissing}
	}
}

func (b *bench) Load(_ context.Context, name string) ([]byte, error) { return b.store[name], nil }

func (b *bench) Save(_ context.Context, documents []Document) error {
	if b.saveErr != nil {
		return b.saveErr
	}
	for _, document := range documents {
		require.LessOrEqual(b.t, len(document.Data), MaxDocument)
		if document.Data == nil {
			delete(b.store, document.Name)
		} else {
			b.store[document.Name] = document.Data
		}
	}
	return nil
}

// run runs the source once.
func (b *bench) run() time.Time {
	b.t.Helper()
	next, err := b.source.Run(b.t.Context())
	require.NoError(b.t, err)
	require.False(b.t, next.Before(b.now))
	return next
}

// runFor runs the source whenever it is due. Each run takes a second.
func (b *bench) runFor(span time.Duration) {
	b.t.Helper()
	end := b.now.Add(span)
	for b.now.Before(end) {
		next := b.run()
		b.now = b.now.Add(time.Second)
		if next.After(b.now) {
			b.now = next
		}
	}
}

// outcomes lists the results since the last call, as "TARGET outcome".
func (b *bench) outcomes() []string {
	var list []string
	for _, r := range b.results {
		text := r.Target.String() + " " + r.Outcome.String()
		if r.Failure != "" {
			text += " " + r.Failure
		}
		list = append(list, text)
	}
	b.results = nil
	return list
}

// report returns the stored report of a target, nil for none.
func (b *bench) report(target string) *Report {
	b.t.Helper()
	reports, err := ReadReports(func(name string) []byte { return b.store[name] })
	require.NoError(b.t, err)
	for i := range reports {
		if reports[i].Target.String() == target {
			return &reports[i]
		}
	}
	return nil
}

func (b *bench) samples(target string) []usage.Sample {
	b.t.Helper()
	found := b.report(target)
	if found == nil {
		return nil
	}
	samples := []usage.Sample{}
	require.NoError(b.t, found.EachSample(func(sample usage.Sample) { samples = append(samples, sample) }))
	return samples
}

// value returns the value of a metric of all users, -1 when it is absent.
func (b *bench) value(target string, metric usage.Metric) float64 {
	b.t.Helper()
	for _, sample := range b.samples(target) {
		if sample.Metric == metric && sample.Labels == (usage.Labels{}) {
			return sample.Value
		}
	}
	return -1
}

// TestRequestsOfADay counts the requests of ten days without trouble, after the first one, and compares them with what
// docs/copilot.md says of a day.
func TestRequestsOfADay(t *testing.T) {
	t.Parallel()
	documented := documentedRequests(t)
	for name, test := range map[string]struct {
		reports []string
		seats   bool
		// api and files are the requests of a day.
		api, files int
	}{
		"the default":      {[]string{"org_28d"}, false, documented.api, documented.files},
		"users":            {[]string{"org_users_28d"}, false, documented.api, 3}, // once, three files
		"teams":            {[]string{"org_teams_1d"}, false, documented.teams, 13},
		"repositories":     {[]string{"org_repos_1d"}, false, documented.repositories, 3},
		"seats":            {nil, true, documented.seats, 0},
		"an enterprise":    {[]string{"enterprise_28d", "enterprise_users_28d"}, false, 2 * documented.api, 7},
		"nothing selected": {nil, false, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, test.reports...)
			if test.seats {
				b.settings.Rules.Seats = new(report.Scope)
				b.source = New(b.settings)
			}
			b.runFor(24 * time.Hour)
			b.server.ResetRequests()
			const days = 10
			b.runFor(days * 24 * time.Hour)
			files := b.server.Count("file")
			api := b.server.Count("") - files
			t.Logf("%s: %.1f requests to the API and %.1f files a day", name, float64(api)/days, float64(files)/days)
			require.InDelta(t, test.api, float64(api)/days, 0.5)
			require.InDelta(t, test.files, float64(files)/days, 0.5)
			for _, request := range b.server.Requests() {
				require.NotEqual(t, 400, request.Status, "%+v", request)
				require.Less(t, request.Day, b.now.Format(time.DateOnly))
			}
			require.Less(t, len(b.store), 30)
		})
	}
}

// requestsOfADay are the numbers of a sentence in docs/copilot.md.
type requestsOfADay struct{ api, files, teams, repositories, seats int }

// documentedRequests returns what docs/copilot.md says.
func documentedRequests(t *testing.T) (of requestsOfADay) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "copilot.md"))
	require.NoError(t, err)
	sentence := strings.Join(strings.Fields(string(text)), " ")
	_, sentence, _ = strings.Cut(sentence, "With an interval of six hours")
	n, err := fmt.Sscanf(sentence, " this makes %d requests a day for each report of 28 days and up to %d downloads, "+
		"%d for teams, %d for repositories, and %d for seats",
		&of.api, &of.files, &of.teams, &of.repositories, &of.seats)
	require.NoError(t, err)
	require.Equal(t, 5, n)
	return of
}

// TestStoredSamples compares what is stored of each report with the data.
func TestStoredSamples(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d", "org_users_28d", "org_teams_1d", "org_repos_1d")
	b.settings.Rules.Seats = new(report.Scope)
	b.source = New(b.settings)
	b.run()
	require.Equal(t, []string{
		"org_28d success", "org_users_28d success", "org_teams_1d_2026-11-25 pending",
		"org_teams_1d_2026-11-24 success",
		"org_teams_1d_2026-11-23 success", "org_teams_1d_2026-11-22 success", "org_repos_1d_2026-11-25 pending",
		"org_repos_1d_2026-11-24 success", "org_repos_1d_2026-11-23 success", "org_repos_1d_2026-11-22 success",
		"org_seats success",
	}, b.outcomes())
	sums := make(map[string]float64)
	for _, target := range []string{"org_28d", "org_users_28d", "org_teams_1d_2026-11-24"} {
		for _, sample := range b.samples(target) {
			if sample.Metric == usage.MetricGenerations {
				sums[target] += sample.Value
			}
		}
	}
	require.Equal(t, sums["org_28d"], sums["org_users_28d"], "the users are everything that the aggregate has")
	require.Positive(t, sums["org_teams_1d_2026-11-24"])
	require.Len(t, b.samples("org_repos_1d_2026-11-24"), 6)
	require.Len(t, b.samples("org_seats"), 5)
	require.Nil(t, b.samples("org_1d_2026-11-24"))
	header := b.report("org_28d")
	require.Equal(t, "org 28d 2026-10-28 to 2026-11-24", header.Scope+" "+header.Window+" "+header.Span.String())
}

// TestNotThereYet checks each state: its outcome, and that the requests of a day in this state stay few.
func TestNotThereYet(t *testing.T) {
	t.Parallel()
	for state, want := range map[copilottest.State]string{
		copilottest.NoContent: "pending", copilottest.DayRefused: "pending", copilottest.NotFound: "pending",
		copilottest.Sentence: "pending", copilottest.EmptyBody: "pending", copilottest.NoLinks: "pending",
		copilottest.BadGateway: "pending", copilottest.ServiceUnavailable: "pending",
		copilottest.PolicyDisabled: "refused", copilottest.RoleRequired: "refused",
		copilottest.PermissionRequired: "refused", copilottest.OtherForbidden: "refused",
		copilottest.BadCredentials: "refused", copilottest.ServerError: "failure", copilottest.HTMLPage: "failure",
		copilottest.TruncatedBody: "failure",
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "org_28d")
			b.server.AddRule(copilottest.Rule{State: state})
			b.run()
			if state == copilottest.RoleRequired {
				require.ErrorContains(t, b.results[0].Err, "role_required: This endpoint requires admin")
			}
			require.Equal(t, "org_28d "+want, strings.Split(b.outcomes()[0], " response_")[0])
			b.runFor(24 * time.Hour)
			require.Less(t, b.server.Count("organization-28-day"), 32)
			days := b.server.Count("organization-1-day")
			require.Equal(t, want == "failure", days > 0, "days are read after failures alone")
			require.Less(t, b.server.Count(""), 140)
			b.server.ClearRules()
			b.runFor(7 * time.Hour)
			require.Positive(t, b.value("org_28d", usage.MetricGenerations))
			require.Empty(t, slices.Collect(maps.Keys(b.source.table.parts))[1:], "the days are gone")
		})
	}
}

// TestBackfill checks that the days which a failed report would have added are read one by one, and removed when a
// report has them.
func TestBackfill(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_users_28d")
	b.run()
	b.outcomes()
	b.now = b.now.Add(48 * time.Hour)
	b.server.AddRule(copilottest.Rule{Endpoint: "users-28-day", File: copilottest.Truncated})
	b.run()
	require.Equal(t, []string{"org_users_28d failure report_truncated"}, b.outcomes())
	next := b.run()
	require.Equal(t, []string{"org_users_1d_2026-11-25 success", "org_users_1d_2026-11-26 success"}, b.outcomes())
	require.Equal(t, b.now.Add(time.Minute), next)
	require.NotEmpty(t, b.samples("org_users_1d_2026-11-25"))
	require.NotEmpty(t, b.samples("org_users_28d"), "the report before stays")
	b.server.ClearRules()
	b.now = next
	b.run()
	require.Equal(t, []string{"org_users_28d success"}, b.outcomes())
	for name := range b.store {
		require.NotContains(t, name, "_1d_")
	}
}

// TestFailures checks the names of failures, and that the report before stays.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rule copilottest.Rule
		want string
	}{
		"HTML":     {copilottest.Rule{File: copilottest.HTML}, "report_markup"},
		"off list": {copilottest.Rule{Link: copilottest.UnlistedLink}, "download_host"},
		"missing":  {copilottest.Rule{Link: copilottest.LinkNotThere}, "download_missing"},
		"expired":  {copilottest.Rule{Link: copilottest.ExpiredLink}, "download_expired"},
	} {
		b := newBench(t, "org_users_28d")
		b.run()
		before := b.samples("org_users_28d")
		b.outcomes()
		b.server.ResetRequests()
		b.server.AddRule(test.rule)
		b.now = b.now.Add(25 * time.Hour)
		b.run()
		require.Equal(t, "org_users_28d failure "+test.want, b.outcomes()[0], name)
		require.Equal(t, before, b.samples("org_users_28d"))
		want := 1
		if test.rule.Link == copilottest.ExpiredLink {
			want = 2
		}
		require.Equal(t, want, b.server.Count("users-28-day"), name)
	}
	b := newBench(t, "org_28d")
	b.apiErr = errors.New("connection refused")
	b.run()
	require.Equal(t, []string{"org_28d failure api"}, b.outcomes())
}

// TestExpiredLinkIsRequestedAgainOnce: a new link is asked for at once.
func TestExpiredLinkIsRequestedAgainOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_users_28d")
	b.server.AddRule(copilottest.Rule{Link: copilottest.ExpiredLink, Times: 1})
	b.run()
	require.Equal(t, []string{"org_users_28d success"}, b.outcomes())
	require.Equal(t, 2, b.server.Count("users-28-day"))
}

// TestRemadeReport checks that an aggregate is stored again when its file was made again, and not otherwise; and that
// the files of users are read at most once a day.
func TestRemadeReport(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d", "org_users_28d")
	data := copilottest.Generate(3, 60, start.AddDate(0, 0, 20))
	b.server.SetOrganization("acme", data)
	b.run()
	before := b.value("org_28d", usage.MetricGenerations)
	b.outcomes()
	b.now = b.now.Add(6 * time.Hour)
	b.server.ResetRequests()
	b.run()
	require.Equal(t, []string{"org_28d unchanged", "org_users_28d unchanged"}, b.outcomes())
	require.Equal(t, 1, b.server.Count("file"))
	b.now = b.now.Add(6 * time.Hour)
	b.server.Remake(func() {
		for _, row := range data.Aggregates {
			row["code_generation_activity_count"] = 1000
		}
	})
	b.run()
	require.Equal(t, []string{"org_28d success", "org_users_28d unchanged"}, b.outcomes())
	require.NotEqual(t, before, b.value("org_28d", usage.MetricGenerations))
	b.settings.Rules.RefreshUnchanged = true
	b.source = New(b.settings)
	b.now = b.now.Add(6 * time.Hour)
	b.run()
	require.Equal(t, []string{"org_28d success", "org_users_28d success"}, b.outcomes())
}

// TestFailover checks that a new leader requests nothing that the one before has stored, also when the store refused a
// write in the middle.
func TestFailover(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d", "org_users_28d")
	b.run()
	b.server.ResetRequests()
	b.source = New(b.settings)
	b.run()
	require.Zero(t, b.server.Count(""))

	refused := errors.New("fenced")
	b.now = b.now.Add(24 * time.Hour)
	before := maps.Clone(b.store)
	b.saveErr = refused
	_, err := b.source.Run(t.Context())
	require.ErrorIs(t, err, refused)
	require.Equal(t, before, b.store)
	b.saveErr = nil
	b.source = New(b.settings)
	b.run()
	direct := newBench(t, "org_28d", "org_users_28d")
	direct.now = b.now
	direct.run()
	for _, target := range []string{"org_28d", "org_users_28d"} {
		require.Equal(t, direct.samples(target), b.samples(target))
	}
	b.store[progressName] = []byte("{")
	b.source = New(b.settings)
	b.outcomes()
	b.run()
	require.Equal(t, []string{"org_28d success", "org_users_28d success"}, b.outcomes(), "after a damaged progress")
}

// TestLimit checks that a limit ends the run, and that nothing is requested before it ends.
func TestLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d", "org_users_28d")
	until := b.now.Add(40 * time.Minute)
	b.apiErr = &LimitError{until, errors.New("primary limit")}
	require.Equal(t, until, b.run())
	require.Equal(t, []string{"org_28d limited"}, b.outcomes())
	b.apiErr = nil
	b.now = until
	b.run()
	require.Equal(t, []string{"org_28d success", "org_users_28d success"}, b.outcomes())
}

func TestEnterpriseServer(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d")
	b.settings.IsEnterpriseServer = true
	_, err := New(b.settings).Run(t.Context())
	require.ErrorIs(t, err, ErrUnsupported)
	require.Zero(t, b.server.Count(""))
	require.Empty(t, b.store)
}

func TestEndOfTerm(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d")
	reason := errors.New("the term is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	_, err := b.source.Run(ctx)
	require.ErrorIs(t, err, reason)
	require.Empty(t, b.store)
}

// TestManyUsers stores a report that needs several documents, and then a smaller one.
func TestManyUsers(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_users_28d")
	b.server.SetOrganization("acme", copilottest.Generate(4000, 3, start.AddDate(0, 0, -2)))
	b.run()
	require.Greater(t, len(b.store), 3)
	require.Len(t, b.samples("org_users_28d"), 4000*8+1)
	b.server.SetOrganization("acme", copilottest.Generate(4, 3, start.AddDate(0, 0, -2)))
	b.now = b.now.Add(25 * time.Hour)
	b.run()
	require.Len(t, b.store, 3, "progress, header, one part")
}

// TestDaysAreNeverToday checks the days of all targets around the ends of GitHub's history.
func TestDaysAreNeverToday(t *testing.T) {
	t.Parallel()
	of := report.Type{Content: report.ContentUsers, Window: report.WindowDay}
	rules := Rules{Reports: []report.Type{of, {Content: report.ContentUsers, Window: report.Window28Days}}}
	known := map[Target]Progress{
		{Type: of, Day: report.FirstDay - 1}: {Backfill: true}, {Type: of, Day: report.FirstDay}: {Backfill: true},
	}
	for now, want := range map[string]string{
		"2025-10-10": "", "2025-10-11": "2025-10-10", "2025-10-13": "2025-10-12 2025-10-11 2025-10-10",
		"2026-10-10": "2026-10-09 2026-10-08 2026-10-07 2026-10-06",
		"2026-10-11": "2026-10-10 2026-10-09 2026-10-08 2026-10-07",
	} {
		at, err := time.Parse(time.DateOnly, now)
		require.NoError(t, err)
		var days []string
		for _, target := range rules.Targets(at.Add(23*time.Hour), known) {
			if target.Day != 0 {
				days = append(days, target.Day.String())
			}
		}
		require.Equal(t, want, strings.Join(days, " "), now)
	}
}

// TestAbsentDayIsAbandoned checks that a backfilled day without a report does not stay a target for ever.
func TestAbsentDayIsAbandoned(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d")
	b.server.AddRule(copilottest.Rule{Endpoint: "organization-28-day", State: copilottest.ServerError})
	b.server.AddRule(copilottest.Rule{Endpoint: "organization-1-day", State: copilottest.NoContent})
	b.runFor(12 * 24 * time.Hour)
	backfilled := 0
	for target := range b.source.table.targets {
		if target.Day != 0 {
			backfilled++
		}
	}
	require.LessOrEqual(t, backfilled, giveUpAfter+2)
	require.Less(t, b.server.Count("organization-1-day"), 12*24*(giveUpAfter+1))
}

func TestDelays(t *testing.T) {
	t.Parallel()
	var waits []string
	p := Progress{}
	for range 6 {
		p = p.withState(start, Target{}, report.StateNoContent, 6*time.Hour)
		waits = append(waits, p.Wait.String())
	}
	require.Equal(t, "15m0s 30m0s 1h0m0s 2h0m0s 4h0m0s 4h0m0s", strings.Join(waits, " "))
	require.Equal(t, 20*time.Minute, pendingDelays.after(time.Hour, 20*time.Minute))
	for outcome := range Outcome(NumOutcomes) {
		require.NotEmpty(t, outcome.String())
	}
}

// readAll reads all samples of all reports.
func readAll(load func(name string) []byte) error {
	reports, err := ReadReports(load)
	for i := range reports {
		err = errors.Join(err, reports[i].EachSample(func(usage.Sample) {}))
	}
	return err
}

// TestCorruptReports checks documents that do not fit together.
func TestCorruptReports(t *testing.T) {
	t.Parallel()
	for name, documents := range map[string]map[string]string{
		"progress": {"progress": "{"},
		"header":   {"report/x": "{"}, "negative": {"report/x": `{"parts":-1}`}, "no part": {"report/x": `{"parts":1}`},
		"part": {"report/x": `{"parts":1}`, "report/x/0": "?"},
	} {
		err := readAll(func(name string) []byte {
			if text, ok := documents[name]; ok {
				return []byte(text)
			}
			if name == progressName {
				return []byte(`[{"stem":"x"}]`)
			}
			return nil
		})
		require.ErrorIs(t, err, ErrCorrupt, name)
	}
}

// TestProgressRoundTrip encodes the progress of every kind of target.
func TestProgressRoundTrip(t *testing.T) {
	t.Parallel()
	table := newProgressTable()
	for i, of := range report.Types() {
		target := Target{Type: of}
		if of.Window == report.WindowDay {
			target.Day = report.FirstDay
		}
		table.targets[target] = Progress{
			CheckedAt: start, ReadAt: start, Span: report.Span{First: 20_000, Last: 20_027}, CreatedAt: start,
			Wait:  time.Hour,
			State: report.StateNotFound, Failure: "api", RetryAt: start, Backfill: i%2 == 0, Abandoned: i%3 == 0,
		}
		table.stemOf(target)
		table.parts[target] = i
	}
	seats := Target{Type: report.Type{Scope: report.ScopeEnterprise}, Seats: true}
	table.targets[seats], table.stems[seats], table.parts[seats] = Progress{}, "enterprise_seats", 1
	document, err := table.encode()
	require.NoError(t, err)
	got, err := decodeProgress(document.Data)
	require.NoError(t, err)
	require.Equal(t, table, got)
	require.Less(t, len(document.Data), MaxDocument)
	_, err = decodeProgress([]byte("[5]"))
	require.ErrorIs(t, err, ErrCorrupt)
	require.Contains(t, fmt.Sprint(&LimitError{start, err}), "2026-11-26")
}

// TestSettingsChange checks that reports are read again when other samples are wanted, and removed when none are.
func TestSettingsChange(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d", "org_users_28d", "org_teams_1d")
	b.run()
	before := len(b.samples("org_users_28d"))
	b.outcomes()
	b.settings.Usage.Breakdown.Feature = true
	b.source = New(b.settings)
	b.now = b.now.Add(time.Minute)
	b.run()
	require.Contains(t, b.outcomes(), "org_users_28d success")
	require.Greater(t, len(b.samples("org_users_28d")), before)
	b.settings.Rules.Reports = b.settings.Rules.Reports[:1]
	b.source = New(b.settings)
	b.run()
	require.Empty(t, b.outcomes())
	require.Len(t, b.store, 3, "progress, header, one part: %v", slices.Collect(maps.Keys(b.store)))
}

// TestOtherWindow checks a file of other days than those of its report: it does not replace the samples.
func TestOtherWindow(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_users_28d")
	b.settings.Files = otherFile(`{"day":"2026-01-01","user_id":1,"loc_added_sum":5}`)
	b.source = New(b.settings)
	b.run()
	require.Equal(t, []string{"org_users_28d failure report_window"}, b.outcomes())
	require.Nil(t, b.samples("org_users_28d"))
}

type otherFile string

func (f otherFile) Read(_ context.Context, _ string, use func(io.Reader) error) error {
	return use(strings.NewReader(string(f)))
}

// FuzzDocuments decodes any bytes as each document.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`[{"content":1,"window":1,"day":"2026-11-24","parts":2,"progress":{"state":3,"wait":5}}]`))
	f.Add([]byte(`{"scope":"org","parts":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if table, err := decodeProgress(data); err == nil {
			document, err := table.encode()
			require.NoError(t, err)
			again, err := decodeProgress(document.Data)
			require.NoError(t, err)
			require.Len(t, again.targets, len(table.targets))
		}
		err := readAll(func(name string) []byte {
			switch name {
			case progressName:
				return []byte(`[{"stem":"x"}]`)
			case "report/x/1":
				return nil
			}
			return data
		})
		if err != nil {
			require.ErrorIs(t, err, ErrCorrupt)
		}
	})
}

// TestLoop lets the source run for five days by the clock of a bubble, with trouble on the second one.
func TestLoop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, "org_28d", "org_users_28d")
		began := time.Now()
		clock := func() time.Time { return start.Add(time.Since(began)) }
		b.server = copilottest.New(copilottest.Settings{Now: clock, FilesURL: "https://files.example"})
		b.server.SetOrganization("acme", copilottest.Generate(4, 60, start.AddDate(0, 0, 20)))
		b.settings.Now = clock
		time.AfterFunc(24*time.Hour+time.Minute, func() {
			b.server.AddRule(copilottest.Rule{State: copilottest.ServiceUnavailable})
		})
		time.AfterFunc(48*time.Hour+time.Minute, b.server.ClearRules)
		reason := errors.New("the term is over")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(5*24*time.Hour-time.Minute, func() { cancel(reason) })
		require.ErrorIs(t, New(b.settings).Loop(ctx), reason)
		require.Equal(t, 5*24*time.Hour-time.Minute, time.Since(began))
		count := make(map[string]int)
		for _, outcome := range b.outcomes() {
			count[outcome]++
		}
		// Six windows begin at midnight, the first one before the start. A day of trouble has eight requests: the
		// delays grow from 15 minutes to 4 hours.
		require.Equal(t, map[string]int{
			"org_28d success": 6, "org_28d unchanged": 11, "org_28d pending": 8,
			"org_users_28d success": 6, "org_users_28d unchanged": 11, "org_users_28d pending": 8,
		}, count)
	})
}
