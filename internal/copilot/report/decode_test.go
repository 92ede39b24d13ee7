// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestValues decodes the forms of each optional value.
func TestValues(t *testing.T) {
	t.Parallel()
	type row struct {
		Count  Count     `json:"count"`
		Amount Amount    `json:"amount"`
		Flag   Flag      `json:"flag"`
		ID     ID        `json:"id"`
		Day    Day       `json:"day"`
		Time   Timestamp `json:"time"`
	}
	day, err := ParseDay("2026-11-02")
	require.NoError(t, err)
	at := Timestamp{Time: time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)}
	for text, want := range map[string]row{
		`{}`: {},
		`{"count":null,"amount":null,"flag":null,"id":null,"day":null,"time":null}`: {},
		`{"count":0,"amount":0,"flag":false,"id":""}`:                               {Count: CountOf(0), Amount: AmountOf(0), Flag: FlagOf(false)},
		`{"count":7,"amount":7.25,"flag":true,"id":5}`:                              {Count: CountOf(7), Amount: AmountOf(7.25), Flag: FlagOf(true), ID: "5"},
		`{"count":7.0,"id":"5"}`:                                                    {Count: CountOf(7), ID: "5"},
		`{"count":1e3,"amount":1e3,"id":"MDQ6"}`:                                    {Count: CountOf(1000), Amount: AmountOf(1000), ID: "MDQ6"},
		`{"count":-0,"amount":-0.0}`:                                                {Count: CountOf(0), Amount: AmountOf(0)},
		`{"day":"2026-11-02","time":"2026-11-02T03:04:05Z"}`:                        {Day: day, Time: at},
		`{"day":"2026-11-02T00:00:00Z","time":"2026-11-02T05:04:05+02:00"}`:         {Day: day, Time: at},
		`{"time":"2026-11-02 03:04:05"}`:                                            {Time: at},
		fmt.Sprintf(`{"count":%d}`, MaxCount):                                       {Count: CountOf(MaxCount)},
	} {
		var got row
		count, field, problem := decodeObject([]byte(text), &got, new(textCache))
		require.Nil(t, problem, text)
		require.Zero(t, count, "%s: %s", text, field)
		if got.Amount == AmountOf(0) {
			got.Amount = AmountOf(0) // -0 is equal to 0
		}
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		`{"count":-1}`, `{"count":1.5}`, `{"count":1e300}`, `{"count":1e999}`, `{"count":"7"}`, `{"count":true}`,
		`{"count":{}}`, `{"count":[1]}`, `{"count":9223372036854775807}`, `{"count":99999999999999999999}`,
		`{"amount":-0.1}`, `{"amount":1e300}`, `{"amount":1e999}`, `{"amount":"1"}`, `{"amount":false}`,
		`{"flag":1}`, `{"flag":"true"}`, `{"flag":[]}`, `{"id":0}`, `{"id":-5}`, `{"id":1.5}`, `{"id":1e3}`,
		`{"id":"a b"}`, `{"id":"\u0000"}`, `{"id":"` + strings.Repeat("x", 65) + `"}`, `{"id":[]}`, `{"id":true}`,
		`{"day":"2026-13-02"}`, `{"day":"02.11.2026"}`, `{"day":20261102}`, `{"day":"0001-01-01"}`, `{"day":"9999-01-01"}`,
		`{"day":"1970-01-01"}`, `{"day":""}`, `{"time":"now"}`, `{"time":5}`, `{"time":"0001-01-01T00:00:00Z"}`,
		`{"time":{}}`,
	} {
		var got row
		count, _, problem := decodeObject([]byte(text), &got, new(textCache))
		require.Nil(t, problem, text)
		require.Equal(t, int64(1), count, text)
		require.Equal(t, !strings.HasPrefix(text, `{"time"`), got.Time.IsAbsent(), text)
		got.Time = Timestamp{}
		require.Equal(t, row{}, got, text)
	}
}

// TestInvalidValueLosesNothingElse puts an invalid value in each place of a row, and compares what is decoded of the
// other places.
func TestInvalidValueLosesNothingElse(t *testing.T) {
	t.Parallel()
	for path, test := range map[string]struct{ text, want string }{
		"day":                         {`{"day":5,"user_id":1}`, `{"user_id":1}`},
		"user_login":                  {`{"user_login":{"a":1},"user_id":1}`, `{"user_id":1}`},
		"totals_by_ide":               {`{"totals_by_ide":"x","user_id":1}`, `{"user_id":1}`},
		"totals_by_ide.loc_added_sum": {`{"totals_by_ide":[{"ide":"vim","loc_added_sum":-1}],"user_id":1}`, `{"totals_by_ide":[{"ide":"vim"}],"user_id":1}`},
		"totals_by_ide.ide":           {`{"totals_by_ide":[{"ide":1,"loc_added_sum":1}]}`, `{"totals_by_ide":[{"loc_added_sum":1}]}`},
		"totals_by_feature":           {`{"totals_by_feature":[[],{"feature":"x","loc_added_sum":2}]}`, `{"totals_by_feature":[{"feature":"x","loc_added_sum":2}]}`},
		"totals_by_cli":               {`{"totals_by_cli":[1],"user_id":1}`, `{"user_id":1}`},
		"totals_by_cli.token_usage":   {`{"totals_by_cli":{"token_usage":7,"session_count":2}}`, `{"totals_by_cli":{"session_count":2}}`},
		"totals_by_cli.token_usage.output_tokens_sum": {`{"totals_by_cli":{"token_usage":{"output_tokens_sum":[],"prompt_tokens_sum":2}}}`, `{"totals_by_cli":{"token_usage":{"prompt_tokens_sum":2}}}`},
	} {
		var got, want User
		count, field, problem := decodeObject([]byte(test.text), &got, new(textCache))
		require.Nil(t, problem)
		require.Equal(t, int64(1), count, path)
		require.Equal(t, path, field)
		count, field, problem = decodeObject([]byte(test.want), &want, new(textCache))
		require.Nil(t, problem)
		require.Zero(t, count, field)
		require.Equal(t, want, got, path)
	}
}

// TestAggregateShapes reads the wrapped and the flat shape, several of them, and files without a day.
func TestAggregateShapes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want string
	}{
		"wrapped":           {`{"report_start_day":"2026-10-01","report_end_day":"2026-10-28","created_at":"2026-10-29T03:00:00Z","day_totals":[{"day":"2026-10-19"},{"day":"2026-10-02"}]}`, "2026-10-01 to 2026-10-28: [2026-10-19 2026-10-02] 2026-10-29"},
		"flat":              {`{"day":"2026-10-19","daily_active_users":1}`, ": [2026-10-19] 0001-01-01"},
		"flat in lines":     {`{"day":"2026-10-19"}` + "\n" + `{"day":"2026-10-18"}`, ": [2026-10-19 2026-10-18] 0001-01-01"},
		"flat in an array":  {`[{"day":"2026-10-19"},{"day":"2026-10-18"}]`, ": [2026-10-19 2026-10-18] 0001-01-01"},
		"no days yet":       {`{"report_start_day":"2026-10-01","report_end_day":"2026-10-01","day_totals":[]}`, "2026-10-01: [] 0001-01-01"},
		"null":              {`{"day_totals":null,"day":"2026-10-19"}`, ": [2026-10-19] 0001-01-01"},
		"no day":            {`{"daily_active_users":1}`, "no_day"},
		"empty object":      {`{}`, "no_day"},
		"empty file":        {``, "no_day"},
		"invalid day":       {`{"day":"yesterday"}`, "no_day"},
		"another kind":      {`{"day_totals":{"a":1}}`, "no_day"},
		"a sentence":        {`"no report"`, "no_row"},
		"broken day totals": {`{"day_totals":[{"day":"2026-10-19"},5]}`, ": [2026-10-19] 0001-01-01"},
	} {
		var days []Day
		header, _, err := ReadAggregates(strings.NewReader(test.text), Limits{}, func(day *Aggregate) error {
			days = append(days, day.Day)
			return nil
		})
		if problem, ok := errors.AsType[*Error](err); ok {
			require.Equal(t, test.want, problem.Problem.String(), name)
			continue
		}
		require.NoError(t, err)
		created := header.CreatedAt.Format(time.DateOnly)
		require.Equal(t, test.want, fmt.Sprintf("%s: %s %s", header.Span, days, created), name)
	}
}

func TestCleanLabel(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 100)
	for text, want := range map[string]string{
		"code_completion": "code_completion", "Phase 1": "Phase 1", " c#\n": "c#", "a\x00b": "a b", "": "", "\t": "",
		"größe": "größe", "a\u202eb": "a b", "\ufffd": "", long: long[:128],
		strings.Repeat("x", 200): strings.Repeat("x", 128),
	} {
		require.Equal(t, want, CleanLabel(text))
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	first := FirstDay
	require.Equal(t, "2025-10-10", first.String())
	require.Equal(t, first, DayOf(time.Date(2025, 10, 10, 23, 59, 59, 999, time.UTC)))
	require.Equal(t, first+1, DayOf(time.Date(2025, 10, 10, 23, 0, 0, 0, time.FixedZone("", -2*3600))))
	require.Zero(t, DayOf(time.Time{}))
	require.Empty(t, Day(0).String())
	require.True(t, Day(0).Time().IsZero())
	span := Span{first, first + 27}
	require.Equal(t, 28, span.Len())
	require.Equal(t, "2025-10-10 to 2025-11-06", span.String())
	require.True(t, span.Contains(first) && span.Contains(first+27))
	require.False(t, span.Contains(first-1) || span.Contains(first+28) || Span{}.Contains(0))
	require.Zero(t, Span{}.Len())
	require.Zero(t, Span{first, first - 1}.Len())
}

func TestReadLinks(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		state  State
		want   string
	}{
		"28 days":               {200, `{"download_links":["https://a.example/1?sig=x","https://a.example/2"],"report_start_day":"2026-10-01","report_end_day":"2026-10-28"}`, StateReady, "2 files of 2026-10-01 to 2026-10-28"},
		"a day":                 {200, `{"download_links":["https://a.example/1"],"report_day":"2026-11-02","new":{}}`, StateReady, "1 files of 2026-11-02"},
		"no links":              {200, `{"download_links":[],"report_day":"2026-11-02"}`, StateEmpty, ""},
		"null for links":        {200, `{"download_links":null}`, StateEmpty, ""},
		"sentence":              {200, `"No report is available for this day."`, StateNotice, ""},
		"empty":                 {200, " \n", StateEmpty, ""},
		"null":                  {200, "null", StateEmpty, ""},
		"empty object":          {200, "{}", StateEmpty, ""},
		"HTML":                  {200, "<html>", StateMalformed, ""},
		"truncated":             {200, `{"download_links":["https://a.exa`, StateMalformed, ""},
		"truncated sentence":    {200, `"No rep`, StateMalformed, ""},
		"no window":             {200, `{"download_links":["https://a.example/1"]}`, StateMalformed, ""},
		"window backwards":      {200, `{"download_links":["https://a.example/1"],"report_start_day":"2026-10-02","report_end_day":"2026-10-01"}`, StateMalformed, ""},
		"invalid day":           {200, `{"download_links":["https://a.example/1"],"report_day":"x"}`, StateMalformed, ""},
		"not a URL":             {200, `{"download_links":["https://a.example/1","/file"],"report_day":"2026-11-02"}`, StateMalformed, ""},
		"number for a link":     {200, `{"download_links":[5],"report_day":"2026-11-02"}`, StateMalformed, ""},
		"204":                   {204, "", StateNoContent, ""},
		"400":                   {400, `{"message":"day must be within the last year"}`, StateDayRefused, ""},
		"404":                   {404, `{"message":"Not Found"}`, StateNotFound, ""},
		"502":                   {502, "<html>", StateGenerating, ""},
		"503":                   {503, "", StateGenerating, ""},
		"500":                   {500, "", StateFailed, ""},
		"418":                   {418, "", StateFailed, ""},
		"401":                   {401, `{"message":"Bad credentials"}`, StateUnauthenticated, ""},
		"policy":                {403, `{"message":"Copilot usage metrics policy is disabled for this organization"}`, StatePolicyDisabled, ""},
		"policy of an owner":    {403, `{"message":"Copilot metrics are disabled. Ask an owner or admin."}`, StatePolicyDisabled, ""},
		"scope":                 {403, `{"message":"This operation needs the \"read:org\" scope."}`, StatePermissionRequired, ""},
		"single sign-on":        {403, `{"message":"Resource protected by organization SAML enforcement."}`, StateForbidden, ""},
		"role":                  {403, `{"message":"You must be an admin or have the relevant organization role to view Copilot metrics."}`, StateRoleRequired, ""},
		"integration":           {403, `{"message":"Resource not accessible by integration"}`, StatePermissionRequired, ""},
		"personal token":        {403, `{"message":"Resource not accessible by personal access token"}`, StatePermissionRequired, ""},
		"other 403":             {403, `{"message":"Sorry."}`, StateForbidden, ""},
		"403 without JSON":      {403, "<html>", StateForbidden, ""},
		"links with status 403": {403, `{"download_links":["https://a.example/1"],"report_day":"2026-11-02"}`, StateForbidden, ""},
	} {
		links, state := ReadLinks(test.status, []byte(test.body))
		require.Equal(t, test.state, state, name)
		if test.want == "" {
			require.Empty(t, links.URLs, name)
			continue
		}
		require.Equal(t, test.want, links.String(), name)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", links, links, links, links), "example")
	}
	pending, refused := 0, 0
	for _, state := range States() {
		require.NotEmpty(t, state.String())
		if state.IsPending() {
			pending++
		}
		if state.IsRefused() {
			refused++
		}
		require.False(t, state.IsPending() && state.IsRefused())
	}
	require.Equal(t, 6, pending)
	require.Equal(t, 5, refused)
}

func TestMessage(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"message":"Not Found","status":"404"}`: "Not Found", `"No report."`: "No report.", `{"message":"a\nb\u0000c"}`: "a b c",
		`"https://a.example/1?sig=x"`: "", `{"message":5}`: "", "<html>": "", "": "", "{}": "",
		`"` + strings.Repeat("x", 400) + `"`: strings.Repeat("x", 300),
	} {
		require.Equal(t, want, Message([]byte(body)), body)
	}
}

// TestTypes lists the routes of https://docs.github.com/rest/copilot/copilot-usage-metrics.
func TestTypes(t *testing.T) {
	t.Parallel()
	var got []string
	for _, kind := range Types() {
		got = append(got, kind.String()+" "+kind.Route())
	}
	require.Equal(t, []string{
		"org_28d /orgs/{org}/copilot/metrics/reports/organization-28-day/latest",
		"org_1d /orgs/{org}/copilot/metrics/reports/organization-1-day",
		"org_users_28d /orgs/{org}/copilot/metrics/reports/users-28-day/latest",
		"org_users_1d /orgs/{org}/copilot/metrics/reports/users-1-day",
		"org_teams_1d /orgs/{org}/copilot/metrics/reports/user-teams-1-day",
		"org_repos_1d /orgs/{org}/copilot/metrics/reports/repos-1-day",
		"enterprise_28d /enterprises/{enterprise}/copilot/metrics/reports/enterprise-28-day/latest",
		"enterprise_1d /enterprises/{enterprise}/copilot/metrics/reports/enterprise-1-day",
		"enterprise_users_28d /enterprises/{enterprise}/copilot/metrics/reports/users-28-day/latest",
		"enterprise_users_1d /enterprises/{enterprise}/copilot/metrics/reports/users-1-day",
		"enterprise_teams_1d /enterprises/{enterprise}/copilot/metrics/reports/user-teams-1-day",
		"enterprise_repos_1d /enterprises/{enterprise}/copilot/metrics/reports/repos-1-day",
	}, got)
	require.Equal(t, "/orgs/a%2Fb/copilot/metrics/reports/users-1-day?day=2025-10-10",
		Type{ScopeOrganization, ContentUsers, WindowDay}.Path("a/b", FirstDay))
	require.Equal(t, "/enterprises/acme/copilot/metrics/reports/enterprise-28-day/latest",
		Type{ScopeEnterprise, ContentAggregate, Window28Days}.Path("acme", 0))
}

func TestSeatBodies(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "[]", "<html>", `"x"`, `{"seats":[`, "{} {}"} {
		_, _, err := ParseSeats([]byte(text))
		var problem *Error
		require.ErrorAs(t, err, &problem, text)
		_, _, err = ParseBilling([]byte(text))
		require.ErrorAs(t, err, &problem, text)
	}
	page, stats, err := ParseSeats([]byte(`{"total_seats":-1,"seats":[{"last_activity_at":"never"},{"last_activity_at":null},{}]}`))
	require.NoError(t, err)
	require.Equal(t, int64(2), stats.InvalidValues)
	require.True(t, page.Total.IsZero())
	require.False(t, page.Seats[0].LastActivityAt.IsAbsent(), "no time does not say that it was never used")
	require.True(t, page.Seats[1].LastActivityAt.IsAbsent())
	require.True(t, page.Seats[2].LastActivityAt.IsAbsent())
}

// TestStatsAdd checks that the first invalid field of several files stays.
func TestStatsAdd(t *testing.T) {
	t.Parallel()
	total := Stats{Bytes: 1, Rows: 2}
	total.Add(Stats{Bytes: 10, Rows: 20, InvalidValues: 3, InvalidField: "a"})
	total.Add(Stats{InvalidValues: 4, InvalidField: "b"})
	require.Equal(t, Stats{11, 22, 7, "a"}, total)
}

func checkCounts(t *testing.T, value reflect.Value) {
	t.Helper()
	switch v := value.Interface().(type) {
	case Count:
		n, ok := v.Get()
		require.True(t, n >= 0 && n <= MaxCount && (ok || n == 0))
	case Amount:
		n, ok := v.Get()
		require.True(t, n >= 0 && n <= MaxAmount && (ok || n == 0))
	case Timestamp, Day, Flag, ID, string:
	default:
		switch value.Kind() {
		case reflect.Pointer:
			if !value.IsNil() {
				checkCounts(t, value.Elem())
			}
		case reflect.Slice:
			for i := range value.Len() {
				checkCounts(t, value.Index(i))
			}
		default:
			for _, field := range value.Fields() {
				checkCounts(t, field)
			}
		}
	}
}

// FuzzRows reads any bytes as each report. Whatever they are, values are in their ranges and errors have a kind.
func FuzzRows(f *testing.F) {
	for _, seed := range []string{
		`{"day":"2026-11-02","user_id":1,"loc_added_sum":-1,"totals_by_ide":[{"ide":"vim"},5]}`, `[{},{}]`, "<a/>",
		`{"day_totals":[{"day":"2026-11-02","pull_requests":{"total_created":1e300}}],"created_at":"x"}`,
		`{"team_id":"7","slug":"a"}`, `{"repo_id":5,"pull_request_review_times":[{"total_merged":1.5}]}`, "\x1f\x8b\x08",
		`{"a":[[[[[]]]]]}`, "{\"a\":\"\xff\"}",
	} {
		f.Add([]byte(seed))
	}
	limits := Limits{RowBytes: 1 << 16, TotalBytes: 1 << 18}
	f.Fuzz(func(t *testing.T, file []byte) {
		check := func(err error) {
			var problem *Error
			if err != nil && !errors.As(err, &problem) { // of a gzip stream
				require.NotErrorIs(t, err, io.EOF)
			}
		}
		_, err := ReadUsers(bytes.NewReader(file), limits, func(row *User) error {
			checkCounts(t, reflect.ValueOf(*row))
			return nil
		})
		check(err)
		_, err = ReadTeams(bytes.NewReader(file), limits, func(*TeamMember) error { return nil })
		check(err)
		_, err = ReadRepositories(bytes.NewReader(file), limits, func(row *Repository) error {
			checkCounts(t, reflect.ValueOf(*row))
			return nil
		})
		check(err)
		_, _, err = ReadAggregates(bytes.NewReader(file), limits, func(row *Aggregate) error {
			checkCounts(t, reflect.ValueOf(*row))
			return nil
		})
		check(err)
	})
}

// FuzzReader compares the rows with those of the standard library wherever it accepts all values of a text.
func FuzzReader(f *testing.F) {
	for _, seed := range []string{"{}{}", "{\"a\":\"b\\\"\"}\n[1]", "\"a\" 1 null", "[[1],2]", "{\"a\":[{}]}\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		rows, err := readAll(bytes.NewReader(file), Limits{RowBytes: 1 << 16})
		var want []string
		decoder := json.NewDecoder(bytes.NewReader(file))
		for {
			var raw json.RawMessage
			if decodeErr := decoder.Decode(&raw); errors.Is(decodeErr, io.EOF) {
				break
			} else if decodeErr != nil {
				return
			}
			if !strings.ContainsRune("{[\"", rune(raw[0])) {
				return // two numbers without a separator may be one
			}
			want = append(want, string(raw))
		}
		var problem *Error
		if len(want) > 0 && want[0][0] == '[' || errors.As(err, &problem) && problem.Problem != ProblemTruncated {
			return // a list of rows; or not UTF-8, nested, large
		}
		require.NoError(t, err)
		require.Equal(t, want, rows)
	})
}

// FuzzResponses reads any bytes as the responses of the API.
func FuzzResponses(f *testing.F) {
	f.Add(200, []byte(`{"download_links":["https://a.example/1"],"report_day":"2026-11-02"}`))
	f.Add(403, []byte(`{"message":"Resource not accessible by integration"}`))
	f.Add(200, []byte(`{"total_seats":1,"seats":[{"assignee":null}],"seat_breakdown":{"total":5}}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		links, state := ReadLinks(status, body)
		require.Equal(t, state == StateReady, len(links.URLs) > 0)
		require.Equal(t, state == StateReady, links.Span.Len() > 0)
		require.Less(t, int(state), NumStates)
		if page, _, err := ParseSeats(body); err == nil {
			checkCounts(t, reflect.ValueOf(page))
		}
		if billing, _, err := ParseBilling(body); err == nil {
			checkCounts(t, reflect.ValueOf(billing))
		}
	})
}

// BenchmarkUsers reads 1,000 rows of the usual size, and beside it the same rows with encoding/json alone: into the
// same type, and into one of plain numbers and texts, which does not know what is absent or invalid.
func BenchmarkUsers(b *testing.B) {
	file := strings.Repeat(benchmarkRow(b)+"\n", 1000)
	for _, bench := range []struct {
		name string
		read func() error
	}{
		{"product", func() error {
			_, err := ReadUsers(strings.NewReader(file), Limits{}, func(*User) error { return nil })
			return err
		}},
		{"encoding_json", func() error { return decodeRows[User](file) }},
		{"encoding_json_plain", func() error { return decodeRows[plainUser](file) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(file)))
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.read(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// decodeRows decodes rows with encoding/json.
func decodeRows[T any](file string) error {
	decoder := json.NewDecoder(strings.NewReader(file))
	for {
		var row T
		if err := decoder.Decode(&row); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// plainCounters and plainUser are Counters and User with plain types.
type plainCounters struct {
	Interactions           int64 `json:"user_initiated_interaction_count"`
	Generations            int64 `json:"code_generation_activity_count"`
	Acceptances            int64 `json:"code_acceptance_activity_count"`
	LinesSuggestedToAdd    int64 `json:"loc_suggested_to_add_sum"`
	LinesSuggestedToDelete int64 `json:"loc_suggested_to_delete_sum"`
	LinesAdded             int64 `json:"loc_added_sum"`
	LinesDeleted           int64 `json:"loc_deleted_sum"`
}

type plainTotals struct {
	plainCounters
	IDE      string `json:"ide"`
	Feature  string `json:"feature"`
	Language string `json:"language"`
	Model    string `json:"model"`
}

type plainUser struct {
	Day   string          `json:"day"`
	ID    json.RawMessage `json:"user_id"`
	Login string          `json:"user_login"`
	plainCounters
	ByIDE           []plainTotals `json:"totals_by_ide"`
	ByFeature       []plainTotals `json:"totals_by_feature"`
	ByLanguage      []plainTotals `json:"totals_by_language_feature"`
	ByLanguageModel []plainTotals `json:"totals_by_language_model"`
	ByModel         []plainTotals `json:"totals_by_model_feature"`
	CreditsUsed     float64       `json:"ai_credits_used"`
}
