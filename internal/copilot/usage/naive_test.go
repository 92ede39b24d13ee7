// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// The naive computations below start from the rows as JSON objects and go through all of them for each sample. They
// share nothing with the package.

type object = map[string]any

var counterFields = []string{
	"user_initiated_interaction_count", "code_generation_activity_count", "code_acceptance_activity_count",
	"loc_suggested_to_add_sum", "loc_suggested_to_delete_sum", "loc_added_sum", "loc_deleted_sum",
}

var arrayFields = map[string]string{ // label to array
	"feature": "totals_by_feature", "ide": "totals_by_ide", "language": "totals_by_language_feature",
	"model": "totals_by_model_feature",
}

var pullRequestFields = []string{
	"total_created", "total_reviewed", "total_created_by_copilot", "total_reviewed_by_copilot",
}

func dayText(i int) string {
	return time.Date(2026, 10, 1+i, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
}

func span(days int) report.Span {
	first := report.DayOf(time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC))
	return report.Span{First: first, Last: first + report.Day(days) - 1}
}

// drawCounters sets each counter to a value, to null, or not at all.
func drawCounters(t *rapid.T, into object, fields []string) {
	for _, field := range fields {
		switch rapid.IntRange(0, 4).Draw(t, field) {
		case 0:
		case 1:
			into[field] = nil
		default:
			into[field] = rapid.IntRange(0, 50).Draw(t, field)
		}
	}
}

func drawArrays(t *rapid.T, row object) {
	for label, field := range map[string]string{
		"ide": "totals_by_ide", "feature": "totals_by_feature", "language": "totals_by_language_feature",
		"model": "totals_by_model_feature",
	} {
		var list []object
		for range rapid.IntRange(0, 3).Draw(t, field) {
			element := object{label: rapid.SampledFrom([]string{"a", "b", "others"}).Draw(t, label)}
			drawCounters(t, element, counterFields)
			list = append(list, element)
		}
		if list != nil || rapid.Bool().Draw(t, "empty") {
			row[field] = list
		}
	}
}

func drawUserRow(t *rapid.T) object {
	id := rapid.IntRange(1, 3).Draw(t, "user")
	row := object{
		"day": dayText(rapid.IntRange(-1, 4).Draw(t, "day")), "user_id": id, "user_login": fmt.Sprintf("user-%d", id),
	}
	drawCounters(t, row, counterFields)
	drawArrays(t, row)
	if rapid.Bool().Draw(t, "credits") {
		row["ai_credits_used"] = float64(rapid.IntRange(0, 100).Draw(t, "credits")) / 4
	}
	return row
}

// inSpan returns the first row of each user and day, or of each day, within the first days of October 2026.
func inSpan(rows []object, days int) []object {
	var kept []object
	seen := make(map[string]bool)
	for _, row := range rows {
		key := fmt.Sprint(row["day"], row["user_id"])
		isInside := false
		for i := range days {
			isInside = isInside || row["day"] == dayText(i)
		}
		if isInside && !seen[key] {
			seen[key] = true
			kept = append(kept, row)
		}
	}
	return kept
}

// naive is metric and labels, in any spelling that the tests agree on, to the value.
type naive map[string]float64

func (n naive) add(value any, metric Metric, labels ...string) {
	var number float64
	switch v := value.(type) {
	case int:
		number = float64(v)
	case float64:
		number = v
	default:
		return // null, or not there
	}
	n[metric.String()+" "+strings.Join(labels, ",")] += number
}

// addRow adds everything that is added up of a row.
func (n naive) addRow(row object, settings Settings, subject string) {
	day := ""
	if settings.ByDay {
		day = row["day"].(string)
	}
	for metric, field := range counterFields {
		n.add(row[field], Metric(metric), subject, day, "")
		for label, isOn := range map[string]bool{
			"feature": settings.Breakdown.Feature, "ide": settings.Breakdown.IDE,
			"language": settings.Breakdown.Language, "model": settings.Breakdown.Model,
		} {
			list, _ := row[arrayFields[label]].([]object)
			for _, element := range list {
				if isOn {
					n.add(element[field], Metric(metric), subject, day, label+"="+element[label].(string))
				}
			}
		}
	}
	n.add(row["ai_credits_used"], MetricCreditsUsed, subject, "", "")
}

// spell returns samples in the spelling of naive. Each may be there once.
func spell(t require.TestingT, samples iter.Seq[Sample]) naive {
	n := make(naive)
	for s := range samples {
		l := s.Labels
		dimension := ""
		for label, value := range map[string]string{
			"feature": l.Feature, "ide": l.IDE, "language": l.Language, "model": l.Model,
		} {
			if value != "" {
				require.Empty(t, dimension)
				dimension = label + "=" + value
			}
		}
		subject := l.Team
		if l.User != (User{}) {
			subject = string(l.User.ID) + " " + l.User.Login
		}
		labels := []string{subject, l.Day.String(), dimension}
		if l.Kind != "" {
			labels = append(labels, l.Window, l.Kind)
		}
		key := s.Metric.String() + " " + strings.Join(labels, ",")
		require.NotContains(t, n, key)
		n[key] = s.Value
	}
	return n
}

func encodeRows(t require.TestingT, rows []object) *bytes.Reader {
	var file bytes.Buffer
	for _, row := range rows {
		require.NoError(t, json.NewEncoder(&file).Encode(row))
	}
	return bytes.NewReader(file.Bytes())
}

func drawSettings(t *rapid.T, days int) Settings {
	return Settings{
		Span: span(days), ByDay: rapid.Bool().Draw(t, "by day"),
		Breakdown: Breakdown{
			rapid.Bool().Draw(t, "feature"), rapid.Bool().Draw(t, "ide"), rapid.Bool().Draw(t, "language"),
			rapid.Bool().Draw(t, "model"),
		},
	}
}

// TestUsersAreTheNaiveSums compares users reports in several files with the naive sums.
func TestUsersAreTheNaiveSums(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.IntRange(1, 4).Draw(t, "days")
		settings := drawSettings(t, days)
		rows := rapid.SliceOfN(rapid.Custom(drawUserRow), 0, 12).Draw(t, "rows")
		cut := rapid.IntRange(0, len(rows)).Draw(t, "cut")
		users := NewUsers(settings, nil)
		for _, file := range [][]object{rows[:cut], rows[cut:]} {
			_, err := report.ReadUsers(encodeRows(t, file), report.Limits{}, func(row *report.User) error {
				users.Add(row)
				return nil
			})
			require.NoError(t, err)
		}
		want := make(naive)
		newest := ""
		for _, row := range inSpan(rows, days) {
			want.addRow(row, settings, fmt.Sprintf("%d %s", row["user_id"], row["user_login"]))
			newest = max(newest, row["day"].(string))
		}
		if newest != "" {
			at, err := time.Parse(time.DateOnly, newest)
			require.NoError(t, err)
			want.add(float64(at.Unix()), MetricReportDay, "", "", "")
		}
		require.Equal(t, want, spell(t, users.Samples()))
		require.Equal(t, newest, users.Newest().String())
		counts := users.Counts()
		require.Equal(t, int64(len(inSpan(rows, days))), counts.Used)
		require.Equal(t, int64(len(rows)), counts.Used+counts.Dropped[DropDuplicate]+counts.Dropped[DropOutsideWindow])
		requireRoundTrip(t, users.Samples())
	})
}

// TestTeamsAreTheNaiveJoin compares the join of two reports of days with the naive one.
func TestTeamsAreTheNaiveJoin(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		settings := drawSettings(t, 2)
		rows := rapid.SliceOfN(rapid.Custom(drawUserRow), 0, 8).Draw(t, "rows")
		members := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) object {
			team := rapid.IntRange(1, 3).Draw(t, "team")
			return object{
				"day":     dayText(rapid.IntRange(0, 2).Draw(t, "day")),
				"user_id": rapid.IntRange(1, 4).Draw(t, "user"), "team_id": team, "slug": fmt.Sprintf("team-%d", team),
			}
		}), 0, 12).Draw(t, "members")
		teams := NewTeams(settings)
		_, err := report.ReadTeams(encodeRows(t, members), report.Limits{}, func(row *report.TeamMember) error {
			teams.Add(row)
			return nil
		})
		require.NoError(t, err)
		users := NewUsers(settings, teams)
		_, err = report.ReadUsers(encodeRows(t, rows), report.Limits{}, func(row *report.User) error {
			users.Add(row)
			return nil
		})
		require.NoError(t, err)
		want := make(naive)
		for _, row := range inSpan(rows, 2) {
			for team := 1; team <= 3; team++ {
				if slices.ContainsFunc(members, func(m object) bool {
					return m["day"] == row["day"] && m["user_id"] == row["user_id"] && m["team_id"] == team
				}) {
					want.addRow(row, settings, fmt.Sprintf("team-%d", team))
				}
			}
		}
		require.Equal(t, want, spell(t, users.Samples()))
		requireRoundTrip(t, users.Samples())
	})
}

func drawDay(t *rapid.T) object {
	row := object{"day": dayText(rapid.IntRange(-1, 4).Draw(t, "day"))}
	drawCounters(t, row, counterFields)
	drawArrays(t, row)
	drawCounters(t, row, []string{
		"daily_active_users", "weekly_active_users", "monthly_active_users", "monthly_active_chat_users",
		"monthly_active_agent_users", "daily_active_cli_users", "weekly_active_copilot_cloud_agent_users",
		"monthly_passive_copilot_code_review_users", "daily_active_copilot_code_review_users",
		"daily_active_copilot_app_users",
	})
	pulls := object{}
	drawCounters(t, pulls, append([]string{
		"total_merged", "total_merged_created_by_copilot", "total_merged_reviewed_by_copilot", "total_suggestions",
		"total_applied_suggestions", "total_copilot_suggestions", "total_copilot_applied_suggestions",
		"median_minutes_to_merge", "median_minutes_to_merge_copilot_authored",
		"median_minutes_to_merge_copilot_reviewed",
	}, pullRequestFields...))
	row["pull_requests"] = pulls
	if rapid.Bool().Draw(t, "cli") {
		cli, tokens := object{}, object{}
		drawCounters(t, cli, []string{"session_count", "request_count", "prompt_count"})
		drawCounters(t, tokens, []string{"prompt_tokens_sum", "output_tokens_sum"})
		cli["token_usage"] = tokens
		row["totals_by_cli"] = cli
	}
	if rapid.Bool().Draw(t, "phases") {
		row["totals_by_ai_adoption_phase"] = []object{
			{"phase": "Phase 1", "phase_number": 1, "total_engaged_users": 3},
			{"phase": "No Cohort"},
			{"phase_number": 2, "total_engaged_users": 4},
		}
	}
	return row
}

// The samples beside the counters: where they come from, and their labels.
var (
	pullRequestKinds = map[string]string{
		"total_merged": "merged", "total_merged_created_by_copilot": "merged_created_by_copilot",
		"total_merged_reviewed_by_copilot": "merged_reviewed_by_copilot", "total_suggestions": "suggestions",
		"total_applied_suggestions": "applied_suggestions", "total_copilot_suggestions": "copilot_suggestions",
		"total_copilot_applied_suggestions": "copilot_applied_suggestions",
	}
	mergeKinds = map[string]string{
		"median_minutes_to_merge":                  "any",
		"median_minutes_to_merge_copilot_authored": "copilot_authored",
		"median_minutes_to_merge_copilot_reviewed": "copilot_reviewed",
	}
	activeKinds = map[string][2]string{
		"daily_active_users": {"1d", "any"}, "weekly_active_users": {"7d", "any"},
		"monthly_active_users": {"28d", "any"}, "monthly_active_chat_users": {"28d", "chat"},
		"monthly_active_agent_users": {"28d", "agent"}, "daily_active_cli_users": {"1d", "cli"},
		"weekly_active_copilot_cloud_agent_users":   {"7d", "cloud_agent"},
		"monthly_passive_copilot_code_review_users": {"28d", "review_passive"},
		"daily_active_copilot_code_review_users":    {"1d", "review_active"},
		"daily_active_copilot_app_users":            {"1d", "app"},
	}
	cliKinds = map[string]string{"session_count": "sessions", "request_count": "requests", "prompt_count": "prompts"}
)

func naiveAggregates(rows []object, settings Settings) naive {
	want := make(naive)
	slices.SortFunc(rows, func(a, b object) int { return strings.Compare(a["day"].(string), b["day"].(string)) })
	medians := make(map[string]any)
	for _, row := range rows {
		want.addRow(row, settings, "")
		pulls := row["pull_requests"].(object)
		for i, field := range pullRequestFields {
			day := ""
			if settings.ByDay {
				day = row["day"].(string)
			}
			want.add(pulls[field], MetricPRsCreated+Metric(i), "", day, "")
		}
		for field, kind := range pullRequestKinds {
			want.add(pulls[field], MetricPullRequests, "", "", "", "", kind)
		}
		for field, kind := range mergeKinds {
			if pulls[field] != nil {
				medians[kind] = pulls[field]
			}
		}
		if cli, ok := row["totals_by_cli"].(object); ok {
			for field, kind := range cliKinds {
				want.add(cli[field], MetricCLI, "", "", "", "", kind)
			}
			tokens := cli["token_usage"].(object)
			want.add(tokens["prompt_tokens_sum"], MetricCLI, "", "", "", "", "prompt_tokens")
			want.add(tokens["output_tokens_sum"], MetricCLI, "", "", "", "", "output_tokens")
		}
	}
	for kind, median := range medians {
		want.add(median, MetricMinutesToMerge, "", "", "", "", kind)
	}
	if len(rows) == 0 {
		return want
	}
	newest := rows[len(rows)-1]
	for field, labels := range activeKinds {
		want.add(newest[field], MetricActiveUsers, "", "", "", labels[0], labels[1])
	}
	if newest["totals_by_ai_adoption_phase"] != nil {
		want.add(3, MetricAdoptionUsers, "", "", "", "", "Phase 1")
		want.add(4, MetricAdoptionUsers, "", "", "", "", "Phase 2")
	}
	at, _ := time.Parse(time.DateOnly, newest["day"].(string))
	want.add(float64(at.Unix()), MetricReportDay, "", "", "")
	return want
}

// TestAggregatesAreTheNaiveValues compares both shapes of aggregate reports, in any order of the days, with the naive
// values.
func TestAggregatesAreTheNaiveValues(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		days := rapid.IntRange(1, 4).Draw(t, "days")
		settings := drawSettings(t, days)
		rows := rapid.SliceOfN(rapid.Custom(drawDay), 0, 6).Draw(t, "rows")
		file := encodeRows(t, []object{{
			"day_totals": rows, "report_start_day": dayText(0), "report_end_day": dayText(days),
		}})
		if len(rows) > 0 && rapid.Bool().Draw(t, "flat") {
			file = encodeRows(t, rows)
		}
		aggregates := NewAggregates(settings)
		_, _, err := report.ReadAggregates(file, report.Limits{}, func(row *report.Aggregate) error {
			aggregates.Add(row)
			return nil
		})
		if rows == nil {
			return // null for the days is no report
		}
		require.NoError(t, err)
		require.Equal(t, naiveAggregates(inSpan(rows, days), settings), spell(t, aggregates.Samples()))
		require.Equal(t, int64(len(inSpan(rows, days))), aggregates.Counts().Used)
		requireRoundTrip(t, aggregates.Samples())
	})
}

// requireRoundTrip checks that documents of a small size have the samples in their order.
func requireRoundTrip(t require.TestingT, samples iter.Seq[Sample]) {
	var got []Sample
	for _, document := range Encode(samples, 200) {
		require.LessOrEqual(t, len(document), 200)
		part, err := decodeAll(document)
		require.NoError(t, err)
		got = append(got, part...)
	}
	require.Equal(t, slices.Collect(samples), got)
}
