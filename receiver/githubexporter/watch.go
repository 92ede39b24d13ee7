package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// probeTimeout is how long a dependency may take to answer a probe: one that is slower is as good as down.
const probeTimeout = 2 * time.Second

// healthProber probes what this replica depends on.
type healthProber struct {
	receiver *githubReceiver
	emitter  *emitter
}

func newHealthProber(r *githubReceiver, e *emitter) *healthProber {
	return &healthProber{receiver: r, emitter: e}
}

// initialStates are the states before anything was heard of a dependency: what is needed and was not reached yet counts as down,
// lest a replica say for a moment that it is ready.
func initialStates(c *Config) map[string]error {
	states := map[string]error{
		health.Exporter: errNotCaughtUp, health.GitHubAccess: errNeverRead, health.Scheduler: nil, health.GitHub: nil, health.GitHubCore: nil,
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
		case <-w.receiver.store.probeRequested:
		case <-w.emitter.pipelineChanged:
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
	if w.receiver.store.ping != nil {
		asking.Go(func() { w.probeStore(ctx, min(interval, probeTimeout)) })
	}
	asking.Go(func() { w.receiver.probeGitHub(ctx) })
	w.evaluate(time.Now())
}

// probeStore asks whether the store can be written to.
func (w *healthProber) probeStore(ctx context.Context, within time.Duration) {
	probe, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := w.receiver.store.ping(probe)
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no response within %s: %w", within, err)
	}
	w.receiver.monitor.SetDependencies(map[string]error{w.receiver.store.dependency: err})
}

// evaluate says how what is in this process does.
func (w *healthProber) evaluate(now time.Time) {
	states := map[string]error{health.Scheduler: w.schedulerError(now), health.Exporter: w.exporterError(now)}
	if w.receiver.config.LOC.statistics() {
		states[health.WeeklyLines] = w.linesError(now)
	}
	if w.receiver.config.Redis.Enabled() {
		states[health.Leadership] = w.receiver.leadershipError(now, w.receiver.monitor.IsHealthy(health.Redis))
	}
	w.receiver.monitor.SetDependencies(states)
	_ = w.receiver.access.refresh() // the monitor has it
}

// schedulerError says which loop does not move.
func (w *healthProber) schedulerError(now time.Time) error {
	var errs []error
	for _, org := range w.receiver.orgs {
		if err := org.watchdog.stuckError(now, org.config.ScrapeInterval); err != nil {
			errs = append(errs, fmt.Errorf("organization %s: %w", org.name, err))
		}
	}
	return errors.Join(errs...)
}

// exporterError says which view is not fresh, or that the pipeline takes nothing.
func (w *healthProber) exporterError(now time.Time) error {
	errs := []error{w.emitter.pipelineError()}
	for _, org := range w.receiver.orgs {
		if !org.view.IsCaughtUp() {
			errs = append(errs, fmt.Errorf("organization %s: %w", org.name, errNotCaughtUp))
		} else if err := w.receiver.store.followError(org.name); err != nil {
			errs = append(errs, fmt.Errorf("organization %s: the view cannot follow the store: %w", org.name, err))
		}
	}
	if age := w.emitter.sinceLastEmission(now); age > staleAfter(w.receiver.config.EmitInterval) {
		errs = append(errs, fmt.Errorf("nothing was emitted since %s", now.Add(-age).UTC().Format(time.RFC3339)))
	}
	return errors.Join(errs...)
}

// staleAfter is how long there may be no emission.
func staleAfter(interval time.Duration) time.Duration { return max(3*interval, 30*time.Second) }
