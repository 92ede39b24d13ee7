// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

func userRow(id string, day report.Day, interactions int64) *report.User {
	row := &report.User{ID: report.ID(id), Login: "login-" + id, Day: day}
	row.Interactions = report.CountOf(interactions)
	return row
}

// TestUserNames checks the login of a user who was renamed, users without an id, and rows that name no user.
func TestUserNames(t *testing.T) {
	t.Parallel()
	u := NewUsers(Settings{Span: span(3)}, nil)
	for i, login := range []string{"second", "newest", "first", ""} {
		u.Add(&report.User{
			ID: "1", Login: login, Day: span(3).First + report.Day([]int{1, 2, 0, 0}[i]),
			Counters: report.Counters{Interactions: report.CountOf(1)},
		})
	}
	u.Add(userRow("", span(3).First, 5))
	u.Add(&report.User{Day: span(3).First})
	var got []string
	for s := range u.Samples() {
		got = append(got, fmt.Sprintf("%s %s=%v", s.Labels.User.ID, s.Labels.User.Login, s.Value))
	}
	require.Equal(t, []string{"1 newest=3", " login-=5"}, got[:2])
	require.Equal(t, [NumDrops]int64{DropDuplicate: 1, DropUnidentified: 1}, u.Counts().Dropped)
}

// TestCaps checks what is dropped above the bounds.
func TestCaps(t *testing.T) {
	t.Parallel()
	settings := Settings{Span: span(28), MaxRecords: 5, MaxUsers: 2}
	u := NewUsers(settings, nil)
	for i := range 7 {
		u.Add(userRow(strconv.Itoa(i%3), span(28).First+report.Day(i), 1))
	}
	require.Equal(t, Counts{4, [NumDrops]int64{DropMaxUsers: 1, DropMaxRecords: 2}}, u.Counts())
	teams := NewTeams(Settings{Span: span(28), MaxRecords: 1})
	for _, member := range []report.TeamMember{{}, {UserID: "1", TeamID: "2", Day: span(1).First}} {
		teams.Add(&member)
	}
	require.Equal(t, [NumDrops]int64{DropUnidentified: 1, DropMaxRecords: 1}, teams.Counts().Dropped)
	for _, drop := range Drops() {
		require.NotEmpty(t, drop.String())
	}
	long := NewUsers(Settings{Span: report.Span{First: span(1).First, Last: span(1).First + 1000}}, nil)
	long.Add(userRow("1", span(1).First+MaxSpan, 1))
	require.Equal(t, int64(1), long.Counts().Dropped[DropOutsideWindow])
}

// TestTeamLabels checks teams of an enterprise that have the same slug, and teams without an id.
func TestTeamLabels(t *testing.T) {
	t.Parallel()
	day := span(1).First
	teams := NewTeams(Settings{Span: span(1)})
	for _, member := range []report.TeamMember{
		{UserID: "1", TeamID: "7", Slug: "core"},
		{UserID: "1", TeamID: "8", Slug: "core"},
		{UserID: "1", TeamID: "9", Slug: "web"},
		{UserID: "1", Slug: "ops", Owner: report.Owner{Organization: "3"}},
		{UserID: "1", TeamID: "10"},
		{UserID: "2", TeamID: "9", Slug: "web"},
		{UserID: "1", TeamID: "9", Slug: "web"},
	} {
		member.Day = day
		teams.Add(&member)
	}
	u := NewUsers(Settings{Span: span(1)}, teams)
	u.Add(userRow("1", day, 5))
	u.Add(userRow("3", day, 5))
	got := make(map[string]float64)
	for s := range u.Samples() {
		got[s.Labels.Team] = s.Value
	}
	require.Equal(t, map[string]float64{"core/7": 5, "core/8": 5, "web": 5, "ops": 5, "/10": 5}, got)
	require.Equal(t, int64(1), teams.Counts().Dropped[DropDuplicate])
}

// TestNewestDayHasNoCount checks that a distinct count of an older day is not shown in the place of a missing one.
func TestNewestDayHasNoCount(t *testing.T) {
	t.Parallel()
	a := NewAggregates(Settings{Span: span(28)})
	older, newest := report.Aggregate{Day: span(28).First}, report.Aggregate{Day: span(28).First + 1}
	older.Daily, older.Weekly, newest.Daily = report.CountOf(9), report.CountOf(9), report.CountOf(0)
	a.Add(&newest)
	a.Add(&older)
	for s := range a.Samples() {
		if s.Metric == MetricActiveUsers {
			require.Equal(t, Sample{MetricActiveUsers, Labels{Window: "1d", Kind: "any"}, 0}, s)
		}
	}
	require.Empty(t, slices.Collect(NewAggregates(Settings{Span: span(1)}).Samples()))
}

// TestLargeCounts checks that sums do not overflow.
func TestLargeCounts(t *testing.T) {
	t.Parallel()
	u := NewUsers(Settings{Span: span(1)}, nil)
	u.table.add(0, 0, &report.Counters{Interactions: report.CountOf(math.MaxInt64 - 1)}, &report.Breakdowns{})
	u.table.add(0, 0, &report.Counters{Interactions: report.CountOf(report.MaxCount)}, &report.Breakdowns{})
	require.Equal(t, int64(math.MaxInt64), u.table.sum(0, 0))
}

func TestSeats(t *testing.T) {
	t.Parallel()
	parse := func(pages ...string) *Seats {
		s := NewSeats()
		for _, text := range pages {
			page, _, err := report.ParseSeats([]byte(text))
			require.NoError(t, err)
			s.AddPage(&page)
		}
		return s
	}
	values := func(s *Seats) string {
		var list []string
		for sample := range s.Samples() {
			list = append(list, fmt.Sprintf("%s=%v", sample.Labels.Kind, sample.Value))
		}
		return strings.Join(list, " ")
	}
	pages := []string{
		`{"total_seats":5,"seats":[{"assignee":{"id":1},"last_activity_at":null},{"assignee":null}]}`,
		`{"seats":[{"assignee":{"id":"1"},"last_activity_at":"2026-11-02T00:00:00Z"},{"assignee":{"id":2}},
			{"assignee":{"id":3},"last_activity_at":"never"},{"assignee":{"login":"x"}},{"assignee":{}}]}`,
	}
	s := parse(pages...)
	require.Equal(t, "total=5", values(s), "a list that is not complete has no number of seats that were never used")
	s.SetComplete()
	require.Equal(t, "total=5 never_used=2", values(s))
	billing, _, err := report.ParseBilling([]byte(`{"seat_breakdown":{"total":7,"active_this_cycle":4,"pending_invitation":0}}`))
	require.NoError(t, err)
	s.SetBilling(&billing)
	require.Equal(t, "total=7 active=4 pending=0 never_used=2", values(s))
	require.Empty(t, values(NewSeats()))
}

func TestMetricNames(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for m := range Metric(NumMetrics) {
		require.Contains(t, m.String(), "gh_copilot_")
		require.False(t, seen[m.String()])
		seen[m.String()] = true
	}
	require.Empty(t, Metric(NumMetrics).String())
}

// decodeAll returns the samples of a document.
func decodeAll(document []byte) ([]Sample, error) {
	var samples []Sample
	err := Decode(document, func(sample Sample) { samples = append(samples, sample) })
	return samples, err
}

func TestDecodeInvalid(t *testing.T) {
	t.Parallel()
	valid := Encode(slices.Values([]Sample{
		{MetricCreditsUsed, Labels{User: User{"1", "a"}}, 1.5},
		{MetricAcceptances, Labels{Day: 20_000, Feature: "a"}, 7},
	}), 1000)[0]
	samples, err := decodeAll(valid)
	require.NoError(t, err)
	require.Len(t, samples, 2)
	for size := range valid {
		if part, err := decodeAll(valid[:size]); err == nil {
			require.Less(t, len(part), 2)
		}
	}
	for _, data := range [][]byte{
		nil,
		{1},
		{codecVersion, NumMetrics, 0, 0},
		{codecVersion, 0, 0xff, 0x7f, 0},
		{codecVersion, 0, 1, 0, 0, 0},
		{codecVersion, 0, 1, 5, 0},
		{codecVersion, sameLabels, 1},
		Encode(slices.Values([]Sample{{Value: math.NaN()}}), 100)[0],
		Encode(slices.Values([]Sample{{Value: math.Inf(1)}}), 100)[0],
		Encode(slices.Values([]Sample{{Value: -1}}), 100)[0],
	} {
		_, err := decodeAll(data)
		require.ErrorIs(t, err, ErrInvalid, "%v", data)
	}
}

// FuzzDecode decodes any bytes. What is accepted is encoded and decoded to the same samples.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{codecVersion, 0, 1, 0, 1, 'a', 7, sameLabels | 1, 8})
	f.Add(Encode(slices.Values([]Sample{{MetricCreditsUsed, Labels{Team: "x", Day: 20_000}, 0.25}}), 100)[0])
	f.Fuzz(func(t *testing.T, data []byte) {
		samples, err := decodeAll(data)
		if err != nil {
			return
		}
		for i := range samples {
			require.True(t, samples[i].Value >= 0 && !math.IsInf(samples[i].Value, 0))
		}
		var again []Sample
		for _, document := range Encode(slices.Values(samples), 64) {
			part, err := decodeAll(document)
			require.NoError(t, err)
			again = append(again, part...)
		}
		require.Equal(t, samples, again)
	})
}

// TestMemoryOfManyRows adds 400,000 rows of 14,000 users, and checks the memory that a user needs.
func TestMemoryOfManyRows(t *testing.T) {
	const users, limit = 14_000, 250 // bytes a user
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	u := NewUsers(Settings{Span: span(28)}, nil)
	for day := range report.Day(28) {
		for i := range users {
			u.Add(userRow(strconv.Itoa(100_000+i), span(28).First+day, 1))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Equal(t, int64(users*28), u.Counts().Used)
	perUser := (after.HeapAlloc - before.HeapAlloc) / users
	t.Logf("%d bytes a user", perUser)
	require.Less(t, perUser, uint64(limit))
	runtime.KeepAlive(u)
}
