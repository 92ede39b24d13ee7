// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build upgrade

package e2e

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// TestRollingUpdate replaces three replicas on one Redis and one RabbitMQ by those of another version, one after the
// other, and back again. While nothing happens at GitHub no sum of any replica changes; then data arrive, replicas are
// replaced again, and no sum falls; in the end every page is correct.
func TestRollingUpdate(t *testing.T) {
	data := loadData(t)
	timeline := githubtest.EndingAt(data, 72*time.Hour, time.Now(), 72*3600/400)
	s := prepareSystem(
		t,
		systemSettings{
			data: data, timeline: timeline, replicas: 3, interval: 2 * time.Second, lookback: 1440 * time.Hour,
			backfill: ", dedup_ttl: 20s",
		},
	)
	timeline = s.server.Timeline()
	s.server.HideAfter(timeline.Start)
	before, after := proctest.ProgramPath(t, "GX_COLLECTOR_BEFORE"), proctest.ProgramPath(t, "GX_COLLECTOR")
	t.Setenv("GX_COLLECTOR", before)
	s.run(t)
	awaitDrained(t, s.replicas)
	awaitLookbackRead(t, s)

	want := totals(sharedPage(t, s.replicas[0]))
	require.NotEmpty(t, want)
	still := watchTotals(t, s.replicas, func(series string, _, now float64) error {
		if value, ok := want[series]; ok && now != value {
			return fmt.Errorf("%s moved from %v to %v", series, value, now)
		}
		return nil
	})
	for _, version := range []string{after, before, after} {
		replaceReplicas(t, s, version)
		if version == after {
			awaitDrained(t, s.replicas)
		}
		require.Subset(t, totals(sharedPage(t, s.replicas[0])), want)
	}
	still()

	grows := watchTotals(t, s.replicas, func(series string, last, now float64) error {
		if now < last {
			return fmt.Errorf("%s fell from %v to %v", series, last, now)
		}
		return nil
	})
	s.server.ShowAll()
	for _, version := range []string{before, after, before, after} {
		replaceReplicas(t, s, version)
	}
	visible := time.Now()
	s.server.HideAfter(visible)
	awaitDrained(t, s.replicas)
	grows()
	compareWithData(t, startPrometheus(t, s.replicas[0].metrics), data, timeline, visible)
	requireTermsGrow(t, s.redis)
	for _, r := range s.replicas {
		r.Stop()
		requireNoSecret(t, r.Output())
	}
}

// replaceReplicas restarts one replica after the other with a program, and waits after each until a replica has made a
// pass.
func replaceReplicas(t *testing.T, s *system, program string) {
	t.Helper()
	for _, r := range s.replicas {
		r.Stop()
		r.binary = program
		began := time.Now()
		r.start(t)
		r.awaitCaughtUp(t)
		lastPass := func() (last time.Time) {
			for _, r := range s.replicas {
				if at := r.lastLogged("Pass ended."); at.After(last) {
					last = at
				}
			}
			return last
		}
		eventually(t, time.Minute, func() error {
			if last := lastPass(); last.Before(began.Add(2 * time.Second)) {
				return fmt.Errorf("the last pass ended at %s", last)
			}
			return nil
		})
	}
}

// awaitCaughtUp waits until a replica shows activity.
func (r *replica) awaitCaughtUp(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		page, err := r.page(t.Context())
		if err == nil && len(totals(sharedSeries(page))) == 0 {
			err = fmt.Errorf("no sums are shown")
		}
		return err
	})
}

// awaitLookbackRead waits until the look-back was read: no replica shows a gap.
func awaitLookbackRead(t *testing.T, s *system) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		for i, r := range s.replicas {
			if gaps, err := r.value(
				t.Context(),
				fmt.Sprintf(`gh_exporter_gaps{org=%q}`, org),
			); err != nil ||
				gaps != 0 {
				return fmt.Errorf("replica %d: %v gaps, %w", i, gaps, err)
			}
		}
		return nil
	})
}

// totals returns the cumulative sums among series of a page.
func totals(series map[string]string) map[string]float64 {
	sums := make(map[string]float64)
	for name, text := range series {
		metric, _, _ := strings.Cut(name, "{")
		if value, err := strconv.ParseFloat(text, 64); err == nil && strings.HasSuffix(metric, "_total") {
			sums[name] = value
		}
	}
	return sums
}

// watchTotals compares every sum of every replica with its last value four times a second, until the returned function
// is called, which reports what check has found.
func watchTotals(t *testing.T, replicas []*replica, check func(series string, last, now float64) error) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	var mu sync.Mutex
	var wrong []error
	seen := 0
	for i, r := range replicas {
		watching.Go(func() {
			last := make(map[string]float64)
			for tick := time.Tick(250 * time.Millisecond); ctx.Err() == nil; {
				select {
				case <-ctx.Done():
				case <-tick:
				}
				page, err := r.page(ctx)
				if err != nil {
					continue // it is being replaced
				}
				now := totals(sharedSeries(page))
				mu.Lock()
				for series, value := range now {
					if err := check(series, last[series], value); err != nil {
						wrong = append(wrong, fmt.Errorf("replica %d: %w", i, err))
					}
				}
				seen += len(now)
				mu.Unlock()
				maps.Copy(last, now)
			}
		})
	}
	return func() {
		t.Helper()
		cancel()
		watching.Wait()
		require.NotZero(t, seen)
		require.Empty(t, wrong, "%d of %d values", len(wrong), seen)
		t.Logf("%d values seen", seen)
	}
}
