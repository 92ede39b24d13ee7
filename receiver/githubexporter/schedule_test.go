// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// slowSource is an organization without repositories that takes its time to say so.
type slowSource struct {
	takes  func(pass int32) time.Duration
	passes atomic.Int32
	there  atomic.Int32
	most   atomic.Int32
}

func (*slowSource) Prefetch(context.Context, []*github.ReadRequest) {}

func (*slowSource) ReadStocks(context.Context, string, []github.StockRequest, func(github.StockResult)) {
}

func (*slowSource) CountsLimit() int { return 1 }

func (*slowSource) ReadCounts(
	context.Context, string, []activity.Repository, func(int64, activity.RepoCounts),
) {
}

func (s *slowSource) Discover(ctx context.Context, _ string, page func([]activity.Repository) error) error {
	s.most.Store(max(s.most.Load(), s.there.Add(1)))
	defer s.there.Add(-1)
	select {
	case <-time.After(s.takes(s.passes.Add(1))):
		return page(nil)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *slowSource) Lookup(context.Context, string, []activity.Repository, func(github.LookupResult)) {
}

func (s *slowSource) Read(context.Context, github.ReadRequest, func([]activity.Event) error) github.ReadResult {
	return github.ReadResult{}
}

// newTestLoop returns the pass loop of an organization with a ledger in memory.
func newTestLoop(t *testing.T, source collect.Source, logger *zap.Logger) *passLoop {
	t.Helper()
	telemetry, err := metadata.NewTelemetryBuilder(componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	const org = "acme"
	store := memstore.New(memstore.Settings{})
	monitor := health.NewMonitor([]string{org}, nil, time.Now, func(health.Report) {})
	tallies := &collect.Tallies{}
	collector := collect.New(collect.Settings{Org: org, Source: source, Store: store, Now: time.Now}, tallies)
	return &passLoop{
		org: org, logger: logger, telemetry: telemetry, collector: collector, tallies: tallies,
		cooldown: health.NewCooldown(health.CooldownSettings{}), state: newOrgState(func() {}),
		watchdog: &watchdog{interval: time.Minute},
		health: &orgHealth{
			org: org, readErrors: newReadErrors(monitor), access: newGitHubAccess(monitor), logger: logger,
		},
		maintenance: &maintenance{
			org: org, store: store, collector: collector, logger: logger, retention: 720 * time.Hour,
		},
	}
}

// TestAPassThatTakesLongerThanTheInterval is followed by the next one when it ends, is never overlapped by it, and is
// said to be too long; one that is in time is not.
func TestAPassThatTakesLongerThanTheInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.WarnLevel)
		source := &slowSource{takes: func(pass int32) time.Duration {
			if pass <= 3 {
				return 150 * time.Second
			}
			return time.Second
		}}
		ctx, cancel := context.WithTimeout(t.Context(), 3*150*time.Second+3*time.Second)
		defer cancel()
		loop := newTestLoop(t, source, zap.New(core))
		loop.run(ctx, 1)
		require.Equal(t, int32(4), source.passes.Load(), "no pass is waited for and none is left out")
		require.Equal(t, int32(1), source.most.Load())
		warned := logs.FilterMessage("Pass took longer than scrape_interval; the next pass starts at once.").All()
		require.Len(t, warned, 3)
		require.Equal(t, 150*time.Second, warned[0].ContextMap()["took"])
		require.Equal(t, time.Minute, warned[0].ContextMap()["scrape_interval"])
		require.Equal(t, 1, logs.FilterMessageSnippet("No repository of the organization is read").Len(),
			"once for all passes")
		require.Len(t, logs.All(), 4)
	})
}
