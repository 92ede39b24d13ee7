// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// requestedDays are workers that do nothing but remember what was requested.
type requestedDays struct {
	days          []MissedDay
	isUnreachable bool
}

func (r *requestedDays) Request(days []MissedDay) bool {
	r.days = days
	return !r.isUnreachable
}

func (r *requestedDays) String() string {
	var list []string
	for _, d := range r.days {
		list = append(list, fmt.Sprintf("%s in %s after %s, %d", d.Target, d.Stem, d.Failure, d.Times))
	}
	return strings.Join(list, "\n")
}

// newMissingBench returns a bench whose report of 28 days has failed, so that a day is missing, and its workers.
func newMissingBench(t *testing.T, reports ...string) (*bench, *requestedDays) {
	t.Helper()
	b := newBench(t, reports...)
	workers := &requestedDays{}
	b.settings.Workers = workers
	b.source = New(b.settings)
	b.run()
	require.Empty(t, workers.days)
	b.now = b.now.Add(24 * time.Hour)
	for _, endpoint := range []string{"organization-28-day", "users-28-day", "enterprise-28-day"} {
		b.server.AddRule(copilottest.Rule{Endpoint: endpoint, Link: copilottest.LinkWithError})
	}
	b.run()
	b.outcomes()
	return b, workers
}

// readDay reads a requested day as a worker.
func (b *bench) readDay(d *MissedDay) *Result {
	b.t.Helper()
	result, err := ReadDay(b.t.Context(), b.settings, d.Target, d.Stem)
	require.NoError(b.t, err)
	return result
}

// TestWorkersReadMissedDays checks that the source requests a missed day and does not read it, that a worker's report
// has the values of the source's own, is shown at once, and ends the request.
func TestWorkersReadMissedDays(t *testing.T) {
	t.Parallel()
	for _, report28 := range []string{"org_28d", "org_users_28d", "enterprise_28d"} {
		b, workers := newMissingBench(t, report28)
		name := strings.Replace(report28, "28d", "1d", 1)
		target := name + "_2026-11-25"
		stem := fmt.Sprintf("%s_%d", name, report.DayOf(b.now.AddDate(0, 0, -2))%stemNumbers)
		require.Equal(t, target+" in "+stem+" after download_missing, 1", workers.String())
		require.Equal(t, b.now.Add(time.Minute), b.run())
		b.now = b.now.Add(time.Minute)
		b.run()
		require.Equal(t, target+" in "+stem+" after download_missing, 2", workers.String())
		require.Zero(t, b.server.Count(strings.Replace(endpointOf(name), "28", "1", 1)))
		require.Nil(t, b.report(target))

		day := workers.days[0]
		progress := string(b.store[progressName])
		b.outcomes()
		require.Equal(t, OutcomeRead, b.readDay(&day).Outcome)
		require.Equal(t, []string{target + " success"}, b.outcomes())
		require.Equal(t, progress, string(b.store[progressName]), "only the source writes the progress")
		got := b.samples(target)
		require.NotEmpty(t, got)
		window := b.samples(report28)

		b.server.ResetRequests()
		before := maps.Clone(b.store)
		require.Nil(t, b.readDay(&day), "a second delivery")
		require.Equal(t, before, b.store)
		require.Zero(t, b.server.Count(""))

		b.source = New(b.settings) // another leader
		b.run()
		require.Empty(t, workers.days)
		require.Zero(t, b.server.Count(endpointOf(name)))
		require.Equal(t, b.now, b.source.table.targets[day.Target].ReadAt)

		alone, _ := newMissingBench(t, report28)
		alone.settings.Workers = nil
		alone.source = New(alone.settings)
		alone.run()
		require.Equal(t, alone.samples(target), got)
		require.Equal(t, alone.samples(report28), window, "the last values stay")

		b.server.ClearRules()
		b.now = b.now.Add(time.Hour)
		b.run()
		require.Nil(t, b.report(target), "the report of 28 days has the day")
		before = maps.Clone(b.store)
		b.server.ResetRequests()
		require.Nil(t, b.readDay(&day), "a late delivery")
		require.Equal(t, before, b.store)
		require.Zero(t, b.server.Count(""))
	}
}

// endpointOf returns the endpoint of a report of a day.
func endpointOf(name string) string {
	return map[string]string{
		"org_1d": "organization-1-day", "org_users_1d": "users-1-day", "enterprise_1d": "enterprise-1-day",
	}[name]
}

// TestSourceReadsWithoutWorkers: while no worker can be given anything, the source reads the days itself.
func TestSourceReadsWithoutWorkers(t *testing.T) {
	t.Parallel()
	b, workers := newMissingBench(t, "org_users_28d")
	workers.isUnreachable = true
	b.run()
	require.Equal(t, []string{"org_users_1d_2026-11-25 success"}, b.outcomes())
	require.Empty(t, workers.days)
	day := MissedDay{Target: Target{Type: b.settings.Rules.Reports[0], Day: report.DayOf(b.now) - 2}}
	day.Target.Type.Window = report.WindowDay
	day.Stem = b.source.table.stems[day.Target]
	require.Nil(t, b.readDay(&day), "a job from before the queue failed")
}

// interruptedFiles calls a function before it reads a file.
type interruptedFiles struct {
	Files

	interrupt func()
}

func (f *interruptedFiles) Read(ctx context.Context, link string, use func(io.Reader) error) error {
	f.interrupt()
	return f.Files.Read(ctx, link, use)
}

// TestDayIsCoveredMeanwhile: a report of 28 days that comes while a worker reads a day of it wins.
func TestDayIsCoveredMeanwhile(t *testing.T) {
	t.Parallel()
	b, workers := newMissingBench(t, "org_28d")
	day := workers.days[0]
	settings := b.settings
	var before map[string][]byte
	settings.Files = &interruptedFiles{b, func() {
		b.server.ClearRules()
		b.now = b.now.Add(time.Hour)
		b.run()
		before = maps.Clone(b.store)
	}}
	result, err := ReadDay(t.Context(), settings, day.Target, day.Stem)
	require.NoError(t, err)
	require.Nil(t, result)
	require.Equal(t, before, b.store)
}

// TestDayIsNotThere: what is no report stores nothing; its result says how the job goes on.
func TestDayIsNotThere(t *testing.T) {
	t.Parallel()
	for want, rule := range map[string]copilottest.Rule{
		"pending":                  {State: copilottest.NoContent},
		"refused":                  {State: copilottest.PolicyDisabled},
		"failure download_missing": {Link: copilottest.LinkWithError},
		"failure report_truncated": {File: copilottest.Truncated},
	} {
		b, workers := newMissingBench(t, "org_users_28d")
		rule.Endpoint = "users-1-day"
		b.server.AddRule(rule)
		before := maps.Clone(b.store)
		result := b.readDay(&workers.days[0])
		require.Error(t, result.Err)
		require.Equal(t, []string{"org_users_1d_2026-11-25 " + want}, b.outcomes())
		require.Equal(t, before, b.store)
		until := b.now.Add(time.Hour)
		b.apiErr = &LimitError{until, errors.New("primary limit")}
		require.Equal(t, until, b.readDay(&workers.days[0]).NextAt)
		b.apiErr = nil
		b.server.ClearRules()
		require.Equal(t, OutcomeRead, b.readDay(&workers.days[0]).Outcome)
	}
}

// TestMissedDayIsGivenUp: a day that no worker can read is not requested for ever.
func TestMissedDayIsGivenUp(t *testing.T) {
	t.Parallel()
	b, workers := newMissingBench(t, "org_28d")
	stem := workers.days[0].Stem
	for range giveUpAfter + 3 {
		b.run()
		b.now = b.now.Add(24 * time.Hour)
	}
	require.NotEmpty(t, workers.days, "of later days")
	require.NotContains(t, workers.String(), stem)
	require.Zero(t, b.server.Count("organization-1-day"))
	require.LessOrEqual(t, len(workers.days), giveUpAfter+1)
}

// TestStoredDayOfOthers: documents of another day with the same stem, or of other settings, are not those of the day,
// and none of them stays.
func TestStoredDayOfOthers(t *testing.T) {
	t.Parallel()
	b, workers := newMissingBench(t, "org_users_28d")
	day := workers.days[0]
	other := Header{Scope: "org_users", Span: report.Span{First: 20_000, Last: 20_000}, Parts: 3}
	raw, err := json.Marshal(other)
	require.NoError(t, err)
	b.store[headerName(day.Stem)] = raw
	for part := range 3 {
		b.store[partName(day.Stem, part)] = nil
	}
	b.run()
	require.Len(t, workers.days, 1)
	require.Nil(t, b.report(day.Target.String()))
	require.Equal(t, OutcomeRead, b.readDay(&day).Outcome)
	require.NotContains(t, b.store, partName(day.Stem, 1))

	b.settings.Usage.Breakdown.Feature = true // the leader has other settings than the worker before
	b.source = New(b.settings)
	b.run()
	require.Len(t, workers.days, 3, "the report of 28 days is to be read again, too, and fails")
	require.Equal(t, day.Stem, workers.days[2].Stem)
	fewer := len(b.samples(day.Target.String()))
	for _, missed := range workers.days {
		require.Equal(t, OutcomeRead, b.readDay(&missed).Outcome)
	}
	require.Greater(t, len(b.samples(day.Target.String())), fewer)
	b.run()
	require.Empty(t, workers.days)

	b.store[progressName] = []byte("{")
	require.Nil(t, b.readDay(&day), "the leader reads everything again")
}

func TestParseStem(t *testing.T) {
	t.Parallel()
	for _, of := range report.Types() {
		target, err := ParseStem(of.String()+"_12", 20_000)
		if of.Window == report.Window28Days {
			require.Error(t, err)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, Target{Type: of, Day: 20_000}, target)
	}
	for _, stem := range []string{"", "_", "org_1d", "widgets", "org_seats", strings.Repeat("x", 1000)} {
		_, err := ParseStem(stem, 20_000)
		require.Error(t, err)
		require.Less(t, len(err.Error()), 200)
	}
}
