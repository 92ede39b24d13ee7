// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

// probeTimeout is how long a dependency may take to answer a probe: one that is slower is as good as down.
const probeTimeout = 2 * time.Second

// healthProber probes the dependencies of this replica and evaluates its parts. One goroutine runs it.
type healthProber struct {
	config   *Config
	store    *backend
	monitor  *health.Monitor
	access   *access
	emission emission
	orgs     []*organization
	// probeGitHub probes GitHub where that is due; leadership returns which organization no replica leads.
	probeGitHub func(ctx context.Context)
	leadership  func(now time.Time, isStoreKnown bool) error
}

// emission is what the prober reads of the emitter.
type emission interface {
	PipelineError() error
	SinceLastEmission(now time.Time) time.Duration
	Changed() <-chan struct{}
}

func (r *githubReceiver) newHealthProber() *healthProber {
	return &healthProber{
		config: r.config, store: r.store, monitor: r.monitor, access: r.access, emission: r.emitter, orgs: r.orgs,
		probeGitHub: r.probeGitHub, leadership: r.leadershipError,
	}
}

// initialStates are the states before anything was heard of a dependency: what is needed and was not reached yet counts
// as down, lest a replica say for a moment that it is ready.
func initialStates(c *Config) map[string]error {
	states := map[string]error{
		health.Exporter: errNotCaughtUp, health.GitHubAccess: errNeverRead, health.Scheduler: nil, health.GitHub: nil,
		health.GitHubCore: nil,
	}
	switch {
	case c.Redis.Enabled():
		states[health.Redis], states[health.Leadership] = errNotProbed, nil
	case c.Storage != "":
		states[health.Storage] = errNotProbed
	}
	if c.Backfill.Enabled && c.RabbitMQ.Enabled() {
		states[health.AMQP], states[health.Consumer] = errNotProbed, errNotProbed
	}
	return states
}

// run probes at every interval, and at once when the store was in trouble or a view has caught up.
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

var (
	errNotCaughtUp = errors.New("the view has not caught up yet")
	errNotProbed   = errors.New("not probed yet")
)

// probe asks all dependencies at the same time, so that one that hangs keeps no other from being known.
func (w *healthProber) probe(ctx context.Context, interval time.Duration) {
	var asking sync.WaitGroup
	defer asking.Wait()
	if w.store.ping != nil {
		asking.Go(func() { w.probeStore(ctx, min(interval, probeTimeout)) })
	}
	asking.Go(func() { w.probeGitHub(ctx) })
	w.evaluate(time.Now())
}

// probeStore asks whether the store can be written to.
func (w *healthProber) probeStore(ctx context.Context, within time.Duration) {
	probe, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := w.store.ping(probe)
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no response within %s: %w", within, err)
	}
	w.monitor.SetDependencies(map[string]error{w.store.dependency: err})
}

// evaluate says how what is in this process does.
func (w *healthProber) evaluate(now time.Time) {
	states := map[string]error{health.Scheduler: w.schedulerError(now), health.Exporter: w.exporterError(now)}
	if w.config.LOC.statistics() {
		states[health.WeeklyLines] = w.linesError(now)
	}
	if w.config.Redis.Enabled() {
		states[health.Leadership] = w.leadership(now, w.monitor.IsHealthy(health.Redis))
	}
	w.monitor.SetDependencies(states)
	_ = w.access.refresh() // the monitor has it
}

// schedulerError says which loop does not move.
func (w *healthProber) schedulerError(now time.Time) error {
	var errs []error
	for _, org := range w.orgs {
		if err := org.term.loop.watchdog.stuckError(now, org.config.ScrapeInterval); err != nil {
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
	if age := w.emission.SinceLastEmission(now); age > staleAfter(w.config.EmitInterval) {
		errs = append(errs, fmt.Errorf("nothing was emitted since %s", now.Add(-age).UTC().Format(time.RFC3339)))
	}
	return errors.Join(errs...)
}

// staleAfter is how long there may be no emission.
func staleAfter(interval time.Duration) time.Duration { return max(3*interval, 30*time.Second) }

// linesError returns the organizations with weekly lines that were not confirmed for too long.
func (w *healthProber) linesError(now time.Time) error {
	var errs []error
	for _, org := range w.orgs {
		stale, one := 0, ""
		if org.term.rounds != nil {
			org.term.rounds.eachState(now, func(repo string, _ *loc.State, mode loc.Mode) {
				if mode == loc.ModeStale {
					stale++
					one = repo
				}
			})
		}
		if stale > 0 {
			errs = append(errs,
				fmt.Errorf("organization %s: the weekly lines of %d repositories, such as %s, are stale", org.name,
					stale, one))
		}
	}
	return errors.Join(errs...)
}
