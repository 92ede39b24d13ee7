// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package githubexporter

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

func onRedis(t *testing.T) *Config {
	t.Helper()
	config := testConfig(testServer(t))
	config.Redis.Endpoints = []string{redistest.Start(t).Address}
	return config
}

// TestLeadAndLose begins and ends terms as fast as it can: each waits for the one before, and the last one works.
func TestLeadAndLose(t *testing.T) {
	t.Parallel()
	elector := newBallot()
	_, sink := replicaOf(t, onRedis(t), elector)
	for fence := uint64(1); fence <= 50; fence++ {
		ctx, end := context.WithCancel(t.Context())
		elector.terms <- ballotTerm{ctx, fence}
		if fence%2 == 0 {
			<-time.After(time.Duration(fence) * 100 * time.Microsecond)
		}
		end()
		require.Error(t, <-elector.ended)
	}
	elector.terms <- ballotTerm{t.Context(), 51}
	sink.until(t, func(names map[string]int) bool { return names["gh.activity.commits"] > 0 })
}

// TestFencedWrites: a leader whose writes are refused while its term lasts stops asking GitHub, counts the refusal, and
// leads no more until the other one has been silent.
func TestFencedWrites(t *testing.T) {
	t.Parallel()
	elector := newBallot()
	server := testServer(t)
	config := testConfig(server)
	config.Redis.Endpoints = []string{redistest.Start(t).Address}
	r, sink := replicaOf(t, config, elector)
	ctx, end := context.WithCancel(t.Context())
	elector.terms <- ballotTerm{ctx, 10}
	sink.until(t, func(names map[string]int) bool { return names["gh.activity.commits"] > 0 })
	_, err := r.store.Commit(t.Context(), 11, ledger.Batch{Org: "open-telemetry", Observed: time.Now()})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !r.monitor.Leads("open-telemetry") }, 20*time.Second,
		10*time.Millisecond)
	// Workers go on with the jobs that they have, as on every follower.
	passes := func() int {
		return server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == "Discover" })
	}
	asked := passes()
	sink.until(t, func(map[string]int) bool {
		fenced := int64(0)
		for _, md := range sink.AllMetrics() {
			fenced = max(fenced, valueOf(md, "gh.exporter.store_write",
				map[string]string{"source": "leader_scrape", "result": "fenced"}))
		}
		return fenced > 0
	})
	prober := &healthProber{store: r.store, orgs: r.orgs}
	require.ErrorContains(t, prober.leadershipError(time.Now(), true), "two elections lead it")
	<-time.After(5 * config.Orgs[0].ScrapeInterval)
	require.Equal(t, asked, passes(), "it makes passes all the same")
	end()
	require.ErrorIs(t, <-elector.ended, context.Canceled)
	elector.terms <- ballotTerm{t.Context(), 9}
	require.ErrorIs(t, <-elector.ended, errNewTerm, "a term that is older than what was written does not begin")
	elector.terms <- ballotTerm{t.Context(), 12}
	require.Eventually(t, func() bool { return r.monitor.Leads("open-telemetry") }, 20*time.Second, 10*time.Millisecond)
}

// TestEmitFromLeader: a follower emits what is about itself, under its identity, and a leader everything.
func TestEmitFromLeader(t *testing.T) {
	t.Parallel()
	elector := newBallot()
	config := onRedis(t)
	config.EmitFrom = emitFromLeader
	config.Snapshot = snapshotFull
	r, sink := replicaOf(t, config, elector)
	require.Eventually(t, r.orgs[0].view.IsCaughtUp, 10*time.Second, 10*time.Millisecond)
	sink.until(t, func(names map[string]int) bool { return names["gh.exporter.metrics_series_loaded"] > 5 })
	own := make(map[string]bool)
	for _, md := range sink.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			instance, there := rm.Resource().Attributes().Get("service.instance.id")
			require.True(t, there)
			require.Equal(t, r.emitter.InstanceID(), instance.Str())
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				own[m.Name()] = true
			}
		}
	}
	for _, name := range []string{
		"gh.exporter.leader", "gh.exporter.build_info", "gh.exporter.dependency_health",
		"gh.exporter.metrics_series_loaded", "gh.exporter.store_corrupt_records", "gh.exporter.queue_depth",
		"gh.exporter.ready", "gh.exporter.credential_refused",
	} {
		require.True(t, own[name], name)
	}
	for _, name := range []string{"gh.activity.commits", "gh.exporter.scrape_runs", "gh.exporter.gaps"} {
		require.False(t, own[name], name)
	}
	elector.terms <- ballotTerm{t.Context(), 1}
	sink.until(t, func(names map[string]int) bool {
		return names["gh.activity.commits"] > 0 && names["gh.exporter.leader"] > 0
	})
}

// TestContribElection leads with contrib's callbacks, whatever their order: a stop without a start, a start in a term
// that is over, two starts.
func TestContribElection(t *testing.T) {
	t.Parallel()
	elector := &callbacksOnly{}
	terms := newCallbackTermElection(elector)
	ctx, cancel := context.WithCancel(t.Context())
	began := make(chan context.Context)
	var active atomic.Int32
	done := make(chan error, 1)
	go func() {
		done <- terms.Lead(ctx, "", func(ctx context.Context, fence uint64) error {
			if active.Add(1) != 1 || fence != noFence {
				t.Error("two terms at once, or a fence")
			}
			defer active.Add(-1)
			began <- ctx
			<-ctx.Done()
			return nil
		})
	}()
	elector.stop()
	over, end := context.WithCancel(t.Context())
	end()
	elector.start(over)
	elector.start(t.Context())
	first := <-began
	if first.Err() != nil { // of the term that was over
		first = <-began
	}
	elector.stop()
	<-first.Done()
	elector.stop()
	elector.start(t.Context())
	second := <-began
	elector.start(t.Context()) // a new term without the end of the last one
	<-second.Done()
	third := <-began
	cancel()
	<-third.Done()
	require.ErrorIs(t, <-done, context.Canceled)

	config := onRedis(t)
	_, sink := replicaOf(t, config, elector)
	elector.start(t.Context())
	sink.until(t, func(names map[string]int) bool { return names["gh.activity.commits"] > 0 })
	elector.stop()
}
