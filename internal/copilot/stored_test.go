// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// restart makes a new source with the settings, as after a takeover.
func (b *bench) restart() { b.source = New(b.settings) }

// missedDays returns the names of the stored documents of missed days.
func (b *bench) missedDays() (names []string) {
	for name := range b.store {
		if strings.Contains(name, "_1d_") {
			names = append(names, name)
		}
	}
	return names
}

// TestMissedDaysEndWithTheirReport checks that days which a report of users missed are neither requested nor kept after
// the report was switched off.
func TestMissedDaysEndWithTheirReport(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d", "org_users_28d")
	b.run()
	b.now = b.now.Add(48 * time.Hour)
	b.server.AddRule(copilottest.Rule{Endpoint: "users-28-day", File: copilottest.Truncated})
	b.run()
	b.run()
	require.NotEmpty(t, b.missedDays())
	b.now = b.now.Add(48 * time.Hour)
	b.run() // two more days are missed, and not read yet
	b.outcomes()
	b.settings.Rules.Reports = b.settings.Rules.Reports[:1]
	b.restart()
	b.runFor(24 * time.Hour)
	for _, outcome := range b.outcomes() {
		require.Contains(t, outcome, "org_28d ")
	}
	require.Empty(t, b.missedDays())
}

// TestSeatsSwitchedOff checks that seats are removed, also while the aggregate of the same owner is read.
func TestSeatsSwitchedOff(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d")
	scope := report.ScopeOrganization
	b.settings.Rules.Seats = &scope
	b.restart()
	b.run()
	require.Contains(t, b.store, "report/org_seats")
	b.settings.Rules.Seats = nil
	b.restart()
	b.run()
	require.NotContains(t, b.store, "report/org_seats")
	require.Contains(t, b.store, "report/org_28d")
}

// TestLongFailure checks that a report which fails for longer than its window has a bounded number of missed days, and
// that none is left when it succeeds.
func TestLongFailure(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_users_28d")
	b.server.SetOrganization("acme", copilottest.Generate(2, 120, start.AddDate(0, 0, 80)))
	b.run()
	b.server.AddRule(copilottest.Rule{Endpoint: "users-28-day", Link: copilottest.LinkWithError})
	most := 0
	for range 70 {
		b.runFor(24 * time.Hour)
		most = max(most, len(b.source.table.targets))
	}
	require.Greater(t, most, 28)
	require.LessOrEqual(t, most, maxMissedDays+2)
	b.server.ClearRules()
	b.runFor(24 * time.Hour)
	require.Empty(t, b.missedDays())
}

// TestClockThatWasAhead checks that a request with a clock that was ten days ahead does not delay the next ones.
func TestClockThatWasAhead(t *testing.T) {
	t.Parallel()
	b := newBench(t, "org_28d")
	b.run()
	b.now = b.now.Add(240 * time.Hour)
	b.run()
	b.now = b.now.Add(7 * time.Hour)
	b.apiErr = &LimitError{RetryAt: b.now.Add(time.Hour), Err: errors.New("limit")}
	b.run()
	b.apiErr = nil
	b.now = start.Add(time.Hour)
	b.restart()
	b.outcomes()
	b.runFor(13 * time.Hour)
	require.NotEmpty(t, b.outcomes())
}

// TestDamagedDocument checks that a report of which a document is damaged, lost or of another version is read again
// when a term begins.
func TestDamagedDocument(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(b *bench){
		"part":        func(b *bench) { b.store["report/org_users_28d/0"] = []byte{1, 2, 3} },
		"lost part":   func(b *bench) { delete(b.store, "report/org_users_28d/0") },
		"header":      func(b *bench) { b.store["report/org_users_28d"] = []byte("{") },
		"lost header": func(b *bench) { delete(b.store, "report/org_users_28d") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, "org_users_28d")
			b.run()
			want := b.samples("org_users_28d")
			b.outcomes()
			damage(b)
			b.restart()
			b.run()
			require.Equal(t, []string{"org_users_28d success"}, b.outcomes())
			require.Equal(t, want, b.samples("org_users_28d"))
		})
	}
}
