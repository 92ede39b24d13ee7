// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build upgrade

package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// TestMixedVersions runs a replica of another version and one of this version side by side on one Redis and one
// RabbitMQ, as a rolling update that is not over. While data arrive the leader changes again and again, by SIGTERM and
// by kill -9, so that each version reads what the other one wrote. No sum falls on any replica; in the end the page of
// this version is what the data say, and the other page is the same as far as its version has the metrics, whichever
// version leads.
func TestMixedVersions(t *testing.T) {
	before, after := proctest.ProgramPath(t, "GX_COLLECTOR_BEFORE"), proctest.ProgramPath(t, "GX_COLLECTOR")
	for name, order := range map[string][2]string{
		"the other version was first": {before, after},
		"this version was first":      {after, before},
	} {
		t.Run(name, func(t *testing.T) {
			testMixedVersions(t, order, after)
		})
	}
}

func testMixedVersions(t *testing.T, order [2]string, present string) {
	t.Helper()
	data := loadData(t)
	s := prepareSystem(t, systemSettings{
		data: data, timeline: githubtest.EndingAt(data, 72*time.Hour, time.Now(), 72*3600/400), replicas: 2,
		interval: 2 * time.Second, lookback: 1440 * time.Hour, backfill: ", dedup_ttl: 20s",
	})
	timeline := s.server.Timeline()
	s.server.HideAfter(timeline.Start)
	t.Setenv("GX_COLLECTOR", order[0])
	s.run(t)
	awaitLookbackRead(t, s)
	awaitDrained(t, s.replicas)
	s.replicas[1].Stop()
	s.replicas[1].binary = order[1]
	s.replicas[1].start(t)
	s.replicas[1].awaitCaughtUp(t)

	grows := watchTotals(t, s.replicas, func(series string, last, now float64) error {
		if now < last {
			return fmt.Errorf("%s fell from %v to %v", series, last, now)
		}
		return nil
	})
	s.server.ShowAll()
	led := map[string]int{}
	for round := range 8 {
		led[changeLeader(t, s, round%4 < 2)]++
	}
	require.Equal(t, map[string]int{order[0]: 4, order[1]: 4}, led)
	visible := time.Now()
	s.server.HideAfter(visible)

	newest, other := s.replicas[0], s.replicas[1]
	if newest.binary != present {
		newest, other = other, newest
	}
	prom := startPrometheus(t, newest.metrics)
	for _, graceful := range []bool{true, false} {
		awaitEqualWhereShared(t, s, newest, other)
		compareWithData(t, prom, data, timeline, visible)
		changeLeader(t, s, graceful)
	}
	awaitEqualWhereShared(t, s, newest, other)
	grows()
	requireTermsGrow(t, s.redis)
	for _, r := range s.replicas {
		t.Logf("fenced writes: %v", r.count(t.Context(),
			`gh_exporter_store_write_total{result="fenced",source="leader_scrape"}`))
		require.NotContains(t, r.Output(), "corrupt")
		r.Stop()
		requireNoSecret(t, r.Output())
	}
}

// changeLeader stops or kills the replica that leads, waits until the other one leads and has made a pass, and starts
// the first one again. It returns the program that leads now.
func changeLeader(t *testing.T, s *system, graceful bool) string {
	t.Helper()
	leader := awaitLeader(t, s.replicas)
	began, was, next := time.Now(), s.replicas[leader], s.replicas[1-leader]
	if graceful {
		was.Stop()
	} else {
		was.Kill()
	}
	took := awaitTerm(t, s.replicas, began, leader).Sub(began)
	require.Less(t, took, lease+2*time.Second)
	eventually(t, time.Minute, func() error {
		if last := next.lastLogged("Pass ended."); !last.After(began) {
			return fmt.Errorf("the last pass ended at %s", last)
		}
		return nil
	})
	was.start(t)
	was.awaitCaughtUp(t)
	return next.binary
}

// awaitEqualWhereShared waits until there is no gap, and every series that the other version shows is on the page of
// this version with the same value.
func awaitEqualWhereShared(t *testing.T, s *system, newest, other *replica) {
	t.Helper()
	passes := newPassCounter(time.Now())
	eventually(t, 2*time.Minute, func() error {
		return passes.checkComplete(t, s.replicas[awaitLeader(t, s.replicas)].collector, org)
	})
	eventually(t, time.Minute, func() error {
		want, got := sharedPage(t, other), sharedPage(t, newest)
		if len(totals(want)) == 0 {
			return fmt.Errorf("no sums are shown")
		}
		for series, value := range want {
			if got[series] != value {
				return fmt.Errorf("%s is %q, and %q on the other page", series, got[series], value)
			}
		}
		return nil
	})
}
