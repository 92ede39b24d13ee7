// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestWhenStocksAreShown: a stock is shown while its stream is covered and it is not due for longer than the grace.
func TestWhenStocksAreShown(t *testing.T) {
	t.Parallel()
	const repo = 7
	start := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	grace := 10 * time.Minute
	issues := func(open int, at time.Time) ledger.Entry {
		data := ledger.EncodeIssueStock(&activity.IssueStock{SeenAt: at, Open: open})
		return ledger.Entry{EntryKey: ledger.OpenIssuesKey(repo), Data: data, Observed: at}
	}
	due := func(at time.Time) ledger.Entry {
		return ledger.Entry{EntryKey: ledger.StockDueKey(repo, activity.StreamIssues), Observed: at}
	}
	passAt := func(at time.Time, changes ...ledger.RepoProgress) ledger.Progress {
		return ledger.Progress{Edge: at, Repos: changes}
	}
	missed := ledger.RepoProgress{ID: repo, Missed: []ledger.StreamWindow{{
		Stream: activity.StreamIssues, Window: activity.Window{Start: start, End: start.Add(time.Hour)},
	}}}
	off := ledger.RepoProgress{ID: repo, Observed: start.Add(time.Hour), Signals: &activity.Signals{
		Disabled: activity.StreamsOf(activity.StreamIssues), DisabledSince: start,
	}}
	purged := ledger.RepoProgress{ID: repo, Presence: ledger.PresencePurged}
	gone := ledger.RepoProgress{ID: repo, Presence: ledger.PresenceGone, GoneSince: start}
	unknown := ledger.Entry{EntryKey: ledger.OpenIssuesKey(repo), Data: []byte{9}, Observed: start}
	hour := start.Add(time.Hour)
	later := func(changes []ledger.RepoProgress, entries ...ledger.Entry) ledger.Change {
		return ledger.Change{Progress: passAt(hour, changes...), Entries: entries}
	}
	for name, test := range map[string]struct {
		change ledger.Change
		now    time.Time
		want   bool
	}{
		"covered":              {ledger.Change{}, start, true},
		"within the grace":     {ledger.Change{}, start.Add(grace), true},
		"no pass for long":     {ledger.Change{}, start.Add(grace + time.Second), false},
		"passes go on":         {later(nil), hour, true},
		"the stream is missed": {later([]ledger.RepoProgress{missed}), hour, false},
		"due within the grace": {later(nil, due(start.Add(55*time.Minute))), hour, true},
		"due for long":         {later(nil, due(start.Add(5*time.Minute))), hour, false},
		"read again": {
			later(nil, due(start.Add(5*time.Minute)), issues(3, start.Add(6*time.Minute))), hour, true,
		},
		"switched off":            {later([]ledger.RepoProgress{off}), hour, false},
		"gone":                    {later([]ledger.RepoProgress{gone}), hour, false},
		"purged":                  {later([]ledger.RepoProgress{purged}), hour, false},
		"data of a later version": {later(nil, unknown), hour, false},
	} {
		v := New(Settings{Grace: grace, Retention: time.Hour})
		v.Apply(ledger.Change{
			CaughtUp: true, LedgerStart: start,
			Progress: passAt(start, ledger.RepoProgress{
				ID: repo, Name: "one", FirstSeen: start.Add(-time.Hour), Since: start.Add(-2 * time.Hour),
				Presence: ledger.PresenceReadable, Streams: activity.EveryStream,
			}),
			Entries: []ledger.Entry{issues(3, start)},
		})
		v.Apply(test.change)
		shown := v.RepoStocks(repo, test.now)
		require.Nil(t, shown.Pulls, name)
		if test.want {
			require.Equal(t, &IssueCounts{Open: 3}, shown.Issues, name)
		} else {
			require.Nil(t, shown.Issues, name)
		}
	}
}
