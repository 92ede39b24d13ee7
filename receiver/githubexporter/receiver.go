// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// transport names how the activity gets here, in the collector's own telemetry.
const transport = "http"

// githubReceiver runs the organizations and emits their views. Every goroutine it starts ends with its context, and
// Shutdown waits for them.
type githubReceiver struct {
	replica

	config      *Config
	settings    receiver.Settings
	next        consumer.Metrics
	obs         *receiverhelper.ObsReport
	telemetry   *metadata.TelemetryBuilder
	emitter     *emit.Emitter
	orgs        []*organization
	httpClients []*http.Client
	roleChanged wakeup.Signal // has a token when this replica has begun or ceased to lead
	cancel      context.CancelFunc
	tasks       sync.WaitGroup
}

// replica is what the organizations of a receiver share. Start makes it.
type replica struct {
	store      *backend
	election   leaderElection
	leases     *leases
	monitor    *health.Monitor
	cooldown   *health.Cooldown
	access     *access
	readErrors *readErrors
	jobs       *jobQueue // nil without backfill
	users      *userLabels
	// credentials are used while the organizations are put together.
	credentials *credentials
}

func newReceiver(config *Config, settings receiver.Settings, next consumer.Metrics) (*githubReceiver, error) {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: settings.ID, Transport: transport, ReceiverCreateSettings: settings,
	})
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &githubReceiver{
		config: config, settings: settings, next: next, obs: obs, telemetry: telemetry,
		roleChanged: wakeup.NewSignal(),
	}, nil
}

// Start begins reading and emitting. It fails where only another configuration can help, never because GitHub or
// another server is unavailable.
func (r *githubReceiver) Start(ctx context.Context, host component.Host) error {
	var err error
	if r.election, err = r.findElection(host); err != nil {
		return err
	}
	r.leases = newLeases(r.config, r.settings.ID, r.election)
	r.monitor = newMonitor(r.config, host)
	r.monitor.SetDependencies(initialStates(r.config))
	r.cooldown = newCooldown(r.config, r.monitor)
	if r.store, err = openBackend(ctx, r.config, r.settings, host); err != nil {
		return err
	}
	if r.jobs, err = r.openJobs(ctx); err != nil {
		return errors.Join(err, r.store.close(ctx))
	}
	r.readErrors = newReadErrors(r.monitor)
	r.access = newAccess(r.monitor)
	r.credentials = newCredentials(r.store.budget)
	r.users = newUserLabels(&r.config.Actors)
	status := r.newEmitter()
	wake := func() { r.emitter.Wake(); r.store.requestProbe(); r.roleChanged.Notify() }
	for i := range r.config.Orgs {
		org, err := r.newOrganization(ctx, &r.config.Orgs[i], host, wake)
		if err != nil {
			r.jobs.close()
			return errors.Join(fmt.Errorf("organization %s: %w", r.config.Orgs[i].Name, err), r.store.close(ctx))
		}
		r.orgs = append(r.orgs, org)
		status.orgs[org.name] = org
		r.emitter.Add(emit.Source{Org: org.name, View: org.view, Status: orgStatus{org}})
	}
	// The context of Start ends with it; the work ends with Shutdown.
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.run(ctx)
	return nil
}

// newEmitter makes the emitter without organizations, and the status that it reads.
func (r *githubReceiver) newEmitter() *replicaStatus {
	status := &replicaStatus{
		monitor: r.monitor, store: r.store, jobs: r.jobs, access: r.access, readErrors: r.readErrors,
		orgs: make(map[string]*organization),
	}
	r.emitter = emit.New(emit.Settings{
		Metrics: r.config.MetricsBuilderConfig, Receiver: r.settings, Next: r.next, Obs: r.obs, Replica: status,
		Interval: r.config.EmitInterval, ZeroFor: r.config.Counters.zeroFor(r.config.EmitInterval),
		Elected: r.config.LeaderElection != nil, FromLeader: r.config.EmitFrom == emitFromLeader,
		Backfill: r.config.Backfill.Enabled, OnEmission: r.reportUnmatchedUsers,
	})
	return status
}

// run starts what every replica does, follow the store, emit and watch its health, and the campaign for what leaders
// do.
func (r *githubReceiver) run(ctx context.Context) {
	for _, org := range r.orgs {
		r.tasks.Go(func() { org.follower.run(ctx) })
	}
	r.tasks.Go(func() { r.emitter.Run(ctx) })
	watch := r.newHealthProber()
	r.tasks.Go(func() { watch.run(ctx, r.config.GitHub.Health.ProbeInterval) })
	if r.config.Redis.Enabled() {
		r.tasks.Go(func() { r.refreshLimits(ctx, r.config.EmitInterval) })
	}
	if r.config.LeaderElection != nil {
		r.tasks.Go(func() { r.checkCredentials(ctx, r.config.GitHub.Health.ProbeInterval) })
	}
	if r.jobs != nil {
		r.tasks.Go(func() { r.jobs.consume(ctx) })
	}
	r.campaign(ctx)
}

// shutdownGrace is how long what runs may take to end by itself.
const shutdownGrace = 700 * time.Millisecond

// awaitTasks waits until everything has stopped. What still waits for an answer of the store after a while gets none
// any more.
func (r *githubReceiver) awaitTasks() {
	interrupt := time.AfterFunc(shutdownGrace, r.store.interrupt)
	defer interrupt.Stop()
	r.tasks.Wait()
}

// Shutdown stops everything at once and waits until it has stopped.
func (r *githubReceiver) Shutdown(ctx context.Context) error {
	if r.cancel == nil {
		return nil // never started
	}
	r.cancel()
	r.awaitTasks()
	r.jobs.close()
	for _, client := range r.httpClients {
		client.CloseIdleConnections()
	}
	r.telemetry.Shutdown()
	return r.store.close(ctx)
}
