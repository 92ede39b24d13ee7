// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// transportName is the value of the attribute transport in the collector's own telemetry of receivers.
const transportName = "http"

// githubReceiver reads the organizations and emits their views. Every goroutine that it starts ends with the context of
// run, and Shutdown waits for them.
type githubReceiver struct {
	replica

	next     consumer.Metrics
	obs      *receiverhelper.ObsReport
	election leaderElection
	emitter  *emit.Emitter
	orgs     []*organization
	cancel   context.CancelFunc
	// hideDetails removes the organizations from the pages of extensions.
	hideDetails func()
	tasks       sync.WaitGroup
}

// newReceiver returns a receiver that Start starts.
func newReceiver(config *Config, settings receiver.Settings, next consumer.Metrics) (*githubReceiver, error) {
	obs, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: settings.ID, Transport: transportName, ReceiverCreateSettings: settings,
	})
	if err != nil {
		return nil, err
	}
	telemetry, err := metadata.NewTelemetryBuilder(settings.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &githubReceiver{
		replica: replica{config: config, settings: settings, telemetry: telemetry}, next: next, obs: obs,
	}, nil
}

// Start begins reading and emitting. It fails where only another configuration can help, never because GitHub or
// another server is unavailable.
func (r *githubReceiver) Start(ctx context.Context, host component.Host) error {
	var err error
	if r.election, err = findElection(r.config, host, r.settings.Logger); err != nil {
		return err
	}
	r.leases = newLeases(r.config, r.settings.ID, r.election)
	r.monitor = newMonitor(r.config, host)
	r.monitor.SetDependencies(initialStates(r.config))
	r.cooldown = newGitHubCooldown(r.config, r.monitor, r.settings.Logger)
	if r.store, err = openBackend(ctx, r.config, r.settings, host); err != nil {
		return err
	}
	if r.jobs, err = openJobQueue(ctx, r.config, r.settings, r.monitor, r.store.claims); err != nil {
		return errors.Join(err, r.store.close(ctx))
	}
	r.readErrors = newReadErrors(r.monitor)
	r.access = newGitHubAccess(r.monitor)
	r.credentials = newCredentials(r.store.budget)
	r.users = newUserLabels(&r.config.Actors)
	r.copilot = newCopilotHealth(r.config)
	if r.config.Copilot.Enabled && !r.config.readsCopilot() {
		r.settings.Logger.Info("Copilot reports are not read: GitHub Enterprise Server has none.")
	}
	if r.files, err = newCopilotFiles(ctx, r.config, r.settings.BuildInfo.Version); err != nil {
		r.jobs.close()
		return errors.Join(err, r.store.close(ctx))
	}
	status := &replicaStatus{replica: &r.replica, orgs: make(map[string]*organization)}
	r.emitter = r.newEmitter(status)
	for i := range r.config.Orgs {
		org, err := r.newOrganization(ctx, &r.config.Orgs[i], host, r.wake)
		if err != nil {
			r.jobs.close()
			return errors.Join(fmt.Errorf("organization %s: %w", r.config.Orgs[i].Name, err), r.store.close(ctx))
		}
		r.orgs, status.orgs[org.name] = append(r.orgs, org), org
		if r.jobs != nil {
			org.addReaders(r.jobs.worker)
		}
		r.emitter.Add(emit.Source{Org: org.name, View: org.view, Status: org, Copilot: org.copilotOwners()})
	}
	// The context of Start ends with it; the work ends with Shutdown.
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	r.run(ctx)
	r.hideDetails = r.addToPages(host)
	return nil
}

// wake requests an emission, a probe, and a new decision whether this replica consumes jobs. It does not block.
func (r *githubReceiver) wake() {
	r.emitter.Wake()
	r.store.probeRequested.Notify()
	r.jobs.signalRoleChange()
}

// newEmitter returns the emitter, without organizations.
func (r *githubReceiver) newEmitter(status *replicaStatus) *emit.Emitter {
	unmatched := &unmatchedUsers{
		labels: r.users, monitor: r.monitor, emitInterval: r.config.EmitInterval, logger: r.settings.Logger,
	}
	return emit.New(emit.Settings{
		Metrics: r.config.MetricsBuilderConfig, Receiver: r.settings, Next: r.next, Obs: r.obs, Replica: status,
		Interval: r.config.EmitInterval, ZeroFor: r.config.Counters.zeroFor(r.config.EmitInterval),
		Elected: r.config.LeaderElection != nil, FromLeader: r.config.EmitFrom == emitFromLeader,
		Backfill: r.config.Backfill.Enabled, Teams: r.config.Teams.Enabled, Copilot: r.copilotMetrics(),
		VCS:    r.config.vcsEmission(),
		Topics: r.config.RepositoryLabels.Topics, Properties: r.config.RepositoryLabels.Properties,
		OnEmission: func(now time.Time) { unmatched.check(r.orgs, now) },
	})
}

// run starts what every replica does, and the campaign for what leaders do. Everything ends with ctx.
func (r *githubReceiver) run(ctx context.Context) {
	for _, org := range r.orgs {
		r.tasks.Go(func() { org.follower.run(ctx) })
	}
	r.tasks.Go(func() { r.emitter.Run(ctx) })
	probeInterval := r.config.GitHub.Health.ProbeInterval
	prober := &githubProber{
		cooldown: r.cooldown, access: r.access, readErrors: r.readErrors, monitor: r.monitor, orgs: r.orgs,
		logger: r.settings.Logger,
	}
	watch := &healthProber{
		config: r.config, store: r.store, monitor: r.monitor, access: r.access, emission: r.emitter, github: prober,
		copilot: r.copilot, orgs: r.orgs,
	}
	r.tasks.Go(func() { watch.run(ctx, probeInterval) })
	if r.config.Redis.Enabled() {
		quotas := &quotaRefresher{orgs: r.orgs, endpoint: r.config.GitHub.Endpoint, interval: r.config.EmitInterval}
		r.tasks.Go(func() { quotas.run(ctx) })
	}
	if r.config.LeaderElection != nil {
		r.tasks.Go(func() { prober.checkCredentials(ctx, probeInterval) })
	}
	if r.jobs != nil {
		r.tasks.Go(func() { r.jobs.consume(ctx) })
	}
	leading := &campaign{election: r.election, leases: r.leases, orgs: r.orgs}
	r.tasks.Go(func() { leading.run(ctx) })
}

// awaitTasks waits until all goroutines have ended. After shutdownGrace it makes operations of the store fail.
func (r *githubReceiver) awaitTasks() {
	interrupt := time.AfterFunc(shutdownGrace, r.store.interrupt)
	defer interrupt.Stop()
	r.tasks.Wait()
}

// Shutdown ends all goroutines and waits for them, then closes the connections.
func (r *githubReceiver) Shutdown(ctx context.Context) error {
	if r.cancel == nil {
		return nil // never started
	}
	r.hideDetails()
	r.cancel()
	r.awaitTasks()
	r.jobs.close()
	for _, org := range r.orgs {
		org.httpClient.CloseIdleConnections()
		for _, reader := range org.term.copilot {
			reader.httpClient.CloseIdleConnections()
		}
	}
	if r.files != nil {
		r.files.Close()
	}
	r.telemetry.Shutdown()
	return r.store.close(ctx)
}
