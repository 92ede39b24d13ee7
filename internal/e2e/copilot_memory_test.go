// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
)

// TestCopilotMemory reads a users report of 2,000,000 rows, 100,000 users on 20 days each, with 0.7 to 2 kB in a row,
// which are made while they are sent. The largest resident set of the collector from the first row to the emission of
// the sums is at most 64 MiB above that of the same collector before, when it had read nothing but activity.
func TestCopilotMemory(t *testing.T) {
	const limit = 64 << 20
	g := startCopilotGitHub(t)
	large := copilottest.NewLarge(100_000, 20)
	require.Equal(t, 2_000_000, large.Rows())
	g.SetOrganization(org, &copilottest.Dataset{Large: large})
	g.hold.Lock()
	gx := startCollector(t, g.config(embedded+"\nactors: {label: none}", `enabled: true, org_28d: false,
  org_users_28d: true, seats: false, download_hosts: [127.0.0.2], scrape_interval: 1h, download_timeout: 10m`))
	gx.awaitComplete(t, org)
	<-g.waiting // for the first file
	gx.ResetPeakMemory()
	gx.awaitComplete(t, org)
	idle := gx.PeakMemory()
	gx.ResetPeakMemory()
	began := time.Now()
	g.hold.Unlock()
	want := largeSeries(large, g.Newest())
	eventually(t, 10*time.Minute, func() error { // the limit of a machine that does much else
		if diff := cmp.Diff(want, gx.copilotSeries(t)); diff != "" {
			return fmt.Errorf("series of Copilot: %s", diff)
		}
		return nil
	})
	took := time.Since(began)
	gx.awaitComplete(t, org) // with several emissions
	above := gx.PeakMemory() - idle
	t.Logf("%d rows of %d bytes in %s: %d MiB above the %d MiB of the idle collector", large.Rows(), g.FileBytes()/
		int64(large.Rows()), took.Round(time.Second), above>>20, idle>>20)
	require.Less(t, above, int64(limit))
	gx.awaitValue(t, 1, `gh_exporter_copilot_scrape_runs_total{result="success",scope="org_users"}`)
	for _, reason := range []string{"duplicate", "outside_window", "unidentified", "max_records", "max_users"} {
		gx.awaitValue(t, 0, fmt.Sprintf(
			`gh_exporter_copilot_records_dropped_total{reason=%q,scope="org_users"}`, reason))
	}
}

// largeSeries returns the series of a large report with the sums over all users.
func largeSeries(large *copilottest.Large, newest string) map[string]float64 {
	e := &copilotExpectation{copilotSwitches: &copilotSwitches{}, owner: org, series: make(map[string]float64)}
	labels := []string{"user", "_all", "scope", "org_users", "window", "28d"}
	for _, field := range copilotCounters {
		e.add("gh_copilot_usage_"+field, large.Total(field), append([]string{"repo", "*"}, labels...)...)
	}
	e.add("gh_copilot_ai_credits_used", large.Total("ai_credits_used"), labels...)
	day, _ := time.Parse(time.DateOnly, newest)
	e.add("gh_copilot_report_day_unixtime", float64(day.Unix()), "scope", "org_users")
	return e.series
}
