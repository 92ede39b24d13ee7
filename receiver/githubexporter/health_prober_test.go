// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// TestHangingDependency: a store that does not answer keeps nothing else from being known, and counts as down in time.
func TestHangingDependency(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		config := createDefaultConfig().(*Config)
		config.Redis.Endpoints = []string{"127.0.0.1:6379"}
		monitor := newMonitor(config, componenttest.NewNopHost())
		monitor.SetDependencies(initialStates(config))
		emitter := &stubEmission{err: errors.New("data refused due to high memory usage")}
		prober := &healthProber{
			config: config, monitor: monitor, access: newGitHubAccess(monitor), emission: emitter,
			store: &backend{probe: &storeProbe{dependency: health.Redis, ping: func(ctx context.Context) error {
				<-ctx.Done()
				return context.Cause(ctx)
			}}},
			github: &githubProber{cooldown: newGitHubCooldown(config, monitor, zap.NewNop())},
		}
		go prober.probe(t.Context(), time.Minute)
		synctest.Wait()
		require.Equal(t, errNotProbed.Error(), detailOf(monitor, health.Redis))
		require.Contains(t, detailOf(monitor, health.Exporter), "data refused due to high memory usage")
		time.Sleep(probeTimeout) //nolint:forbidigo // in a bubble
		synctest.Wait()
		require.Contains(t, detailOf(monitor, health.Redis), "no response within 2s")

		emitter.err = errors.New("queue is full")
		prober.evaluate(time.Now())
		require.Contains(t, detailOf(monitor, health.Exporter), "queue is full", "the present reason")
	})
}

// stubEmission is an emitter whose pipeline returns an error.
type stubEmission struct{ err error }

func (s *stubEmission) PipelineError() error                    { return s.err }
func (*stubEmission) SinceLastEmission(time.Time) time.Duration { return 0 }
func (*stubEmission) Changed() <-chan struct{}                  { return nil }

// detailOf is the reason of a dependency.
func detailOf(monitor *health.Monitor, name string) string {
	report := monitor.Report()
	for i := range report.Dependencies {
		if report.Dependencies[i].Name == name {
			return report.Dependencies[i].Detail
		}
	}
	return ""
}
