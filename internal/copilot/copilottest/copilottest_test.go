// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/download"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
)

var now = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

const newest = "2026-11-26"

type bench struct {
	t        *testing.T
	server   *copilottest.Running
	download *download.Client
}

func newBench(t *testing.T, settings copilottest.Settings) *bench {
	t.Helper()
	settings.Now = func() time.Time { return now }
	server := copilottest.Start(t, settings)
	data := copilottest.Generate(6, 40, now.AddDate(0, 0, -2))
	server.SetOrganization("acme", data)
	server.SetEnterprise("acme-corp", data)
	client, err := download.New(download.Settings{Hosts: []string{"127.0.0.1"}, TLS: server.TLS})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return &bench{t, server, client}
}

func (b *bench) get(path string) (int, []byte) {
	b.t.Helper()
	request, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.server.APIURL+path, http.NoBody)
	require.NoError(b.t, err)
	request.Header.Set("Authorization", "Bearer token")
	response, err := http.DefaultClient.Do(request)
	require.NoError(b.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(b.t, err)
	return response.StatusCode, body
}

func (b *bench) links(of report.Type, day string) (report.Links, report.State) {
	b.t.Helper()
	owner := "acme"
	if of.Scope == report.ScopeEnterprise {
		owner = "acme-corp"
	}
	var parsed report.Day
	if day != "" {
		var err error
		parsed, err = report.ParseDay(day)
		require.NoError(b.t, err)
	}
	status, body := b.get(of.Path(owner, parsed))
	return report.ReadLinks(status, body)
}

// read returns the number of rows of a report, with the sum of the interactions of aggregates or users.
func (b *bench) read(of report.Type, links report.Links) (rows int64, interactions float64, err error) {
	aggregates := usage.NewAggregates(usage.Settings{Span: links.Span})
	users := usage.NewUsers(usage.Settings{Span: links.Span}, nil)
	teams := usage.NewTeams(usage.Settings{Span: links.Span})
	for _, link := range links.URLs {
		err = b.download.Read(b.t.Context(), link, func(file io.Reader) error {
			var err error
			var stats report.Stats
			limits := report.Limits{}
			switch of.Content {
			case report.ContentAggregate:
				_, stats, err = report.ReadAggregates(file, limits, func(r *report.Aggregate) error {
					aggregates.Add(r)
					return nil
				})
			case report.ContentUsers:
				stats, err = report.ReadUsers(file, limits, func(r *report.User) error { users.Add(r); return nil })
			case report.ContentTeams:
				stats, err = report.ReadTeams(file, limits, func(r *report.TeamMember) error {
					teams.Add(r)
					return nil
				})
			default:
				stats, err = report.ReadRepositories(file, limits, func(*report.Repository) error { return nil })
			}
			rows += stats.Rows
			return err
		})
		if err != nil {
			return rows, 0, err
		}
	}
	for _, samples := range []func(func(usage.Sample) bool){aggregates.Samples(), users.Samples()} {
		for sample := range samples {
			if sample.Metric == usage.MetricInteractions {
				interactions += sample.Value
			}
		}
	}
	return rows, interactions, nil
}

// TestAllReports reads the twelve reports, and compares the aggregates with the users.
func TestAllReports(t *testing.T) {
	t.Parallel()
	b := newBench(t, copilottest.Settings{FilesPerReport: 3})
	got := make(map[string]string)
	for _, of := range report.Types() {
		day := ""
		if of.Window == report.WindowDay {
			day = newest
		}
		links, state := b.links(of, day)
		require.Equal(t, report.StateReady, state, of)
		rows, interactions, err := b.read(of, links)
		require.NoError(t, err)
		got[of.String()] = fmt.Sprintf("%s: %d rows, %v interactions", links, rows, interactions)
	}
	for _, owner := range []string{"org", "enterprise"} {
		for name, want := range map[string]string{
			"_28d":       "1 files of 2026-10-30 to 2026-11-26: 1 rows, 212 interactions",
			"_users_28d": "3 files of 2026-10-30 to 2026-11-26: 112 rows, 212 interactions",
			"_1d":        "1 files of 2026-11-26: 1 rows, 0 interactions",
			"_users_1d":  "2 files of 2026-11-26: 4 rows, 0 interactions",
			"_teams_1d":  "2 files of 2026-11-26: 4 rows, 0 interactions",
			"_repos_1d":  "1 files of 2026-11-26: 1 rows, 0 interactions",
		} {
			require.Equal(t, want, got[owner+name], owner+name)
		}
	}
	for _, request := range b.server.Requests() {
		require.Equal(t, request.Endpoint != "file", request.HasCredential)
		require.Equal(t, http.StatusOK, request.Status)
	}
	require.Equal(t, 12, b.server.Count("")-b.server.Count("file"))
}

// TestDays requests the first and the last days.
func TestDays(t *testing.T) {
	t.Parallel()
	b := newBench(t, copilottest.Settings{})
	for day, want := range map[string][2]report.State{
		"2026-11-28": {report.StateDayRefused, report.StateDayRefused},
		"2026-11-29": {report.StateDayRefused, report.StateDayRefused},
		"2026-11-27": {report.StateNoContent, report.StateNotFound},
		newest:       {report.StateReady, report.StateReady},
		"2025-11-28": {report.StateReady, report.StateReady},
		"2025-11-27": {report.StateDayRefused, report.StateDayRefused},
	} {
		for scope, state := range want {
			_, got := b.links(report.Type{Scope: report.Scope(scope), Window: report.WindowDay}, day)
			require.Equal(t, state, got, day)
		}
	}
	status, _ := b.get("/orgs/unknown/copilot/metrics/reports/users-28-day/latest")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = b.get("/orgs/acme/copilot/metrics/reports/enterprise-28-day/latest")
	require.Equal(t, http.StatusNotFound, status)
	status, _ = b.get("/orgs/acme/copilot/metrics")
	require.Equal(t, http.StatusNotFound, status)
}

func TestStates(t *testing.T) {
	t.Parallel()
	for state, want := range map[copilottest.State]report.State{
		copilottest.NoContent: report.StateNoContent, copilottest.DayRefused: report.StateDayRefused,
		copilottest.NotFound: report.StateNotFound, copilottest.Sentence: report.StateNotice,
		copilottest.EmptyBody: report.StateEmpty, copilottest.NoLinks: report.StateEmpty,
		copilottest.BadGateway: report.StateGenerating, copilottest.ServiceUnavailable: report.StateGenerating,
		copilottest.PolicyDisabled: report.StatePolicyDisabled, copilottest.RoleRequired: report.StateRoleRequired,
		copilottest.PermissionRequired: report.StatePermissionRequired,
		copilottest.OtherForbidden:     report.StateForbidden, copilottest.BadCredentials: report.StateUnauthenticated,
		copilottest.ServerError: report.StateFailed, copilottest.HTMLPage: report.StateMalformed,
		copilottest.TruncatedBody: report.StateMalformed, copilottest.RateLimited: report.StateFailed,
	} {
		b := newBench(t, copilottest.Settings{})
		of := report.Type{Content: report.ContentUsers, Window: report.WindowDay}
		b.server.AddRule(copilottest.Rule{Endpoint: "users-1-day", Day: newest, Times: 1, State: state})
		_, got := b.links(of, "2026-11-25")
		require.Equal(t, report.StateReady, got, "another day")
		_, got = b.links(of, newest)
		require.Equal(t, want, got, state)
		_, got = b.links(of, newest)
		require.Equal(t, report.StateReady, got, "the second request")
	}
}

func TestLinkFaults(t *testing.T) {
	t.Parallel()
	for fault, want := range map[copilottest.LinkFault]download.Reason{
		copilottest.PlainLink: download.ReasonLink, copilottest.LoopbackLink: download.ReasonNetwork,
		copilottest.PrivateLink: download.ReasonHost, copilottest.UnlistedLink: download.ReasonHost,
		copilottest.ExpiredLink: download.ReasonExpired, copilottest.LinkWithUser: download.ReasonLink,
		copilottest.LinkNotThere: download.ReasonMissing, copilottest.LinkWithError: download.ReasonStatus,
		copilottest.LinkIsBusy:       download.ReasonStatus,
		copilottest.UnlistedRedirect: download.ReasonRedirect, copilottest.LoopbackRedirect: download.ReasonNetwork,
		copilottest.RelativeLink: 0,
	} {
		b := newBench(t, copilottest.Settings{})
		b.server.AddRule(copilottest.Rule{Link: fault})
		links, state := b.links(report.Type{Content: report.ContentUsers}, "")
		if fault == copilottest.RelativeLink {
			require.Equal(t, report.StateMalformed, state)
			continue
		}
		require.Equal(t, report.StateReady, state)
		_, _, err := b.read(report.Type{Content: report.ContentUsers}, links)
		failure, ok := errors.AsType[*download.Error](err)
		require.True(t, ok, "%s: %v", fault, err)
		require.Equal(t, want.String(), failure.Reason.String(), fault)
		require.NotContains(t, err.Error(), "sig")
	}
}

func TestFileFaults(t *testing.T) {
	t.Parallel()
	const problemNone = report.Problem(100)
	for fault, want := range map[copilottest.FileFault]report.Problem{
		copilottest.ByteOrderMark: problemNone, copilottest.Gzip: problemNone, copilottest.CarriageReturns: problemNone,
		copilottest.NoLastLineFeed: problemNone, copilottest.Array: problemNone, copilottest.UnknownFields: problemNone,
		copilottest.DuplicateRows: problemNone, copilottest.NumbersForIDs: problemNone,
		copilottest.Truncated: report.ProblemTruncated, copilottest.ShortBody: report.ProblemTruncated,
		copilottest.HTML: report.ProblemMarkup, copilottest.XMLError: report.ProblemMarkup,
		copilottest.UTF16: report.ProblemEncoding, copilottest.Latin1: report.ProblemEncoding,
		copilottest.BrokenRow: report.ProblemSyntax, copilottest.LongRow: report.ProblemRowSize,
		copilottest.Nested: report.ProblemNesting, copilottest.SentenceFile: report.ProblemNoRow,
	} {
		for _, of := range []report.Type{
			{Content: report.ContentUsers},
			{Content: report.ContentAggregate},
			{Content: report.ContentUsers, Window: report.WindowDay},
		} {
			b := newBench(t, copilottest.Settings{FilesPerReport: 2})
			b.server.AddRule(copilottest.Rule{File: fault})
			day := ""
			if of.Window == report.WindowDay {
				day = "2026-11-25"
			}
			links, state := b.links(of, day)
			require.Equal(t, report.StateReady, state)
			_, interactions, err := b.read(of, links)
			if want == problemNone {
				require.NoError(t, err, fault)
				require.Equal(t, map[string]float64{"": 212, "2026-11-25": 4}[day], interactions, "%s in %s", fault, of)
				continue
			}
			problem, ok := errors.AsType[*report.Error](err)
			require.True(t, ok, "%s: %v", fault, err)
			require.Equal(t, want.String(), problem.Problem.String(), fault)
		}
	}
	for _, fault := range []copilottest.FileFault{
		copilottest.NegativeNumbers, copilottest.HugeNumbers, copilottest.EmptyFile,
	} {
		b := newBench(t, copilottest.Settings{})
		b.server.AddRule(copilottest.Rule{File: fault})
		links, _ := b.links(report.Type{Content: report.ContentUsers}, "")
		_, interactions, err := b.read(report.Type{Content: report.ContentUsers}, links)
		require.NoError(t, err)
		require.Zero(t, interactions)
	}
}

// TestRemake checks that a report that is made again has other numbers, and another created_at.
func TestRemake(t *testing.T) {
	t.Parallel()
	b := newBench(t, copilottest.Settings{})
	of := report.Type{}
	read := func() (header report.AggregateHeader) {
		links, _ := b.links(of, "")
		require.NoError(t, b.download.Read(t.Context(), links.URLs[0], func(file io.Reader) (err error) {
			header, _, err = report.ReadAggregates(file, report.Limits{}, func(*report.Aggregate) error { return nil })
			return err
		}))
		return header
	}
	require.True(t, read().CreatedAt.Equal(now))
	require.Equal(t, "2026-10-30 to 2026-11-26", read().Span.String())
	changed := false
	b.server.Remake(func() { changed = true })
	require.True(t, changed)
	require.Equal(t, newest, b.server.Newest())
	b.server.ResetRequests()
	b.server.ClearRules()
	require.Zero(t, b.server.Count(""))
}

// TestSeats reads the pages of the list by their links, and the summary.
func TestSeats(t *testing.T) {
	t.Parallel()
	b := newBench(t, copilottest.Settings{})
	seats := usage.NewSeats()
	_, body := b.get("/orgs/acme/copilot/billing")
	billing, _, err := report.ParseBilling(body)
	require.NoError(t, err)
	seats.SetBilling(&billing)
	for page := 1; page <= 3; page++ {
		_, body := b.get(fmt.Sprintf("/orgs/acme/copilot/billing/seats?per_page=3&page=%d", page))
		parsed, _, err := report.ParseSeats(body)
		require.NoError(t, err)
		require.Len(t, parsed.Seats, []int{3, 3, 2}[page-1])
		seats.AddPage(&parsed)
	}
	seats.SetComplete()
	var got []string
	for sample := range seats.Samples() {
		got = append(got, fmt.Sprintf("%s=%v", sample.Labels.Kind, sample.Value))
	}
	slices.Sort(got)
	require.Equal(t, "active=6 inactive=2 never_used=2 pending=1 total=8", strings.Join(got, " "))
	status, _ := b.get("/enterprises/acme-corp/copilot/billing")
	require.Equal(t, http.StatusNotFound, status, "enterprises have no summary")
	status, _ = b.get("/enterprises/acme-corp/copilot/billing/seats")
	require.Equal(t, http.StatusOK, status)
}

// TestDemoDataAddUp: every dimension adds up to the total of its row as in GitHub's reports, and the same arguments
// give the same data.
func TestDemoDataAddUp(t *testing.T) {
	t.Parallel()
	logins := []string{"ann", "ben", "cid", "dan", "eva", "fay", "gus", "hal"}
	data := copilottest.GenerateDemo(logins, 40, now)
	require.Equal(t, data, copilottest.GenerateDemo(logins, 40, now))
	require.Len(t, data.Aggregates, 40)
	require.NotEmpty(t, data.Users)
	for _, row := range slices.Concat(data.Aggregates, data.Users) {
		for _, array := range []string{"totals_by_feature", "totals_by_language_feature", "totals_by_ide"} {
			sum := 0
			for _, part := range row[array].([]copilottest.Row) {
				sum += part["code_generation_activity_count"].(int)
			}
			require.Equal(t, row["code_generation_activity_count"], sum, "%s of %v", array, row["day"])
		}
	}
	for _, row := range data.Aggregates {
		require.LessOrEqual(t, row["daily_active_users"], row["weekly_active_users"])
		require.LessOrEqual(t, row["weekly_active_users"], row["monthly_active_users"])
	}
}
