// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

// healthProber probes the store and GitHub, and computes the states of the parts of this process: the passes, the
// emission, the weekly lines, the leadership. One goroutine runs it.
type healthProber struct {
	config   *Config
	store    *backend
	monitor  *health.Monitor
	access   *githubAccess
	emission emission
	github   *githubProber
	copilot  *copilotHealth
	orgs     []*organization
}

// emission is the part of the emitter that the prober reads.
type emission interface {
	PipelineError() error
	SinceLastEmission(now time.Time) time.Duration
	Changed() <-chan struct{}
}

// run probes at every interval until ctx ends, and at once when the store requests it or the emission changed.
func (w *healthProber) run(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		w.probe(ctx, interval)
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-w.store.probeRequested:
		case <-w.emission.Changed():
		}
	}
}

// probe probes all dependencies concurrently, so that one that hangs does not delay the states of the others.
func (w *healthProber) probe(ctx context.Context, interval time.Duration) {
	var probes sync.WaitGroup
	defer probes.Wait()
	if w.store.probe != nil {
		probes.Go(func() { w.probeStore(ctx, min(interval, probeTimeout)) })
	}
	probes.Go(func() { w.github.probe(ctx) })
	w.evaluate(time.Now())
}

// probeStore reports whether the store can be written to within a duration.
func (w *healthProber) probeStore(ctx context.Context, within time.Duration) {
	probe, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := w.store.probe.ping(probe)
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no response within %s: %w", within, err)
	}
	w.monitor.SetDependencies(map[string]error{w.store.probe.dependency: err})
}

// evaluate reports the states of the parts of this process.
func (w *healthProber) evaluate(now time.Time) {
	states := map[string]error{health.Scheduler: w.schedulerError(now), health.Exporter: w.exporterError(now)}
	if w.config.LOC.statistics() {
		states[health.WeeklyLines] = w.linesError(now)
	}
	if w.config.Teams.Enabled {
		states[health.GitHubTeams] = w.teamsError()
	}
	if w.config.Redis.Enabled() {
		states[health.Leadership] = w.leadershipError(now, w.monitor.IsHealthy(health.Redis))
	}
	if w.copilot != nil {
		w.copilot.evaluate(w.orgs, w.monitor)
		maps.Copy(states, w.copilot.states())
	}
	w.monitor.SetDependencies(states)
	w.access.refresh()
}

// schedulerError returns the organizations whose pass loop is stuck; nil when there is none.
func (w *healthProber) schedulerError(now time.Time) error {
	var errs []error
	for _, org := range w.orgs {
		if err := org.term.loop.watchdog.stuckError(now); err != nil {
			errs = append(errs, fmt.Errorf("organization %s: %w", org.name, err))
		}
	}
	return errors.Join(errs...)
}

// exporterError joins the last pipeline error, the organizations whose view is behind the store, and an emission that
// is overdue; nil when there is none.
func (w *healthProber) exporterError(now time.Time) error {
	errs := []error{w.emission.PipelineError()}
	for _, org := range w.orgs {
		if !org.view.IsCaughtUp() {
			errs = append(errs, fmt.Errorf("organization %s: %w", org.name, errNotCaughtUp))
		} else if err := w.store.followError(org.name); err != nil {
			errs = append(errs, fmt.Errorf("organization %s: the view cannot follow the store: %w", org.name, err))
		}
	}
	if age := w.emission.SinceLastEmission(now); age > overdueAfter(w.config.EmitInterval) {
		errs = append(errs, fmt.Errorf("nothing was emitted since %s", now.Add(-age).UTC().Format(time.RFC3339)))
	}
	return errors.Join(errs...)
}

// overdueAfter returns for how long there may be no emission.
func overdueAfter(interval time.Duration) time.Duration { return max(3*interval, 30*time.Second) }

// linesError returns the organizations with weekly lines that were not confirmed for too long.
func (w *healthProber) linesError(now time.Time) error {
	var errs []error
	for _, org := range w.orgs {
		stale, example := 0, ""
		if org.term.rounds != nil {
			org.term.rounds.eachState(now, func(repo string, _ *loc.State, mode loc.Mode) {
				if mode == loc.ModeStale {
					stale++
					example = repo
				}
			})
		}
		if stale > 0 {
			errs = append(errs,
				fmt.Errorf("organization %s: the weekly lines of %d repositories, such as %s, are stale", org.name,
					stale, example))
		}
	}
	return errors.Join(errs...)
}

// teamsError returns why the teams of organizations that this replica leads cannot be read; nil when they can.
func (w *healthProber) teamsError() error {
	var errs []error
	for _, org := range w.orgs {
		if err := org.term.teams.err(); err != nil {
			errs = append(errs, fmt.Errorf("organization %s: %w", org.name, err))
		}
	}
	return errors.Join(errs...)
}

// leadershipError returns the organizations that no replica leads; nil when there is none. It is a warning where it is
// one for each of them. isStoreHealthy says that the store responds.
func (w *healthProber) leadershipError(now time.Time, isStoreHealthy bool) error {
	var errs []error
	isWarning := true
	for _, org := range w.orgs {
		err := org.leaderWatch.leadershipError(now, isStoreHealthy && org.view.IsCaughtUp() &&
			w.store.followError(org.name) == nil)
		if err == nil {
			continue
		}
		isWarning = isWarning && errors.As(err, new(*health.Warning))
		errs = append(errs, fmt.Errorf("organization %s: %w", org.name, err))
	}
	err := errors.Join(errs...)
	if err != nil && isWarning {
		return &health.Warning{Err: err}
	}
	if err != nil {
		return errors.New(err.Error()) // without the type of a warning among them
	}
	return nil
}
