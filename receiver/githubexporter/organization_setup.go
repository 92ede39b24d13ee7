// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/configauth"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// graceIntervals is how many scrape intervals the coverage may lag before the windows stop sliding.
const graceIntervals = 3

// organization is one organization with its roles: the follower runs on every replica, the job reader wherever jobs are
// consumed, and the term has the roles of a leader.
type organization struct {
	name        string
	config      *OrgConfig
	client      *github.Client
	collector   *collect.Collector
	view        *ledgerview.View
	state       *orgState
	credential  *credentialState
	leaderWatch *leaderWatch
	follower    *follower
	reader      *jobReader
	term        *term
}

// roles are what the roles of an organization share while they are put together.
type roles struct {
	config   *OrgConfig
	logger   *zap.Logger
	tallies  *collect.Tallies
	http     *http.Client
	store    *termStore
	watchdog *watchdog
	health   *orgHealth
}

// newOrganization puts an organization together. wake requests an emission now. Its error is one of the configuration.
func (r *githubReceiver) newOrganization(
	ctx context.Context, config *OrgConfig, host component.Host, wake func(),
) (*organization, error) {
	httpClient, err := r.httpClient(ctx, config, host)
	if err != nil {
		return nil, err
	}
	r.httpClients = append(r.httpClients, httpClient)
	logger := r.settings.Logger.With(zap.String("org", config.Name))
	shared := &roles{
		config: config, logger: logger, tallies: &collect.Tallies{}, http: httpClient,
		store: &termStore{Store: r.store}, watchdog: &watchdog{},
		health: &orgHealth{org: config.Name, readErrors: r.readErrors, access: r.access, logger: logger},
	}
	org := &organization{
		name: config.Name, config: config, state: newOrgState(wake), credential: &credentialState{},
		view: ledgerview.New(ledgerview.Settings{
			Retention: r.config.Retention,
			Grace:     max(time.Minute, graceIntervals*config.ScrapeInterval),
			Label:     r.users.labelFor,

			WeeklyLinesFromEntries: r.config.LOC.statistics(),
			ZeroFor:                r.config.Counters.zeroFor(r.config.EmitInterval),
		}),
	}
	r.access.add(org.name, org.view.Edge)
	if org.client, err = r.githubClient(shared, org.credential); err != nil {
		return nil, err
	}
	if org.collector, err = r.newCollector(org, shared); err != nil {
		return nil, err
	}
	r.addRoles(org, shared)
	return org, nil
}

// addRoles makes the roles of an organization that has its client, its collector and its view.
func (r *githubReceiver) addRoles(org *organization, shared *roles) {
	logger, lease := shared.logger, r.leases.leaseOf(org.config.key())
	org.leaderWatch = &leaderWatch{
		lease: lease, view: org.view, interval: org.config.ScrapeInterval, logger: logger, state: org.state,
	}
	var rounds *lineRounds
	if r.config.LOC.statistics() {
		settings := r.config.LOC.settings(r.config.Retention)
		settings.Org, settings.Concurrency = org.name, org.config.Concurrency
		settings.Source, settings.CheckPaused = org.client, r.cooldown.Err
		settings.OnInvalidEntry = func() { shared.tallies.Add(collect.TallyInvalid) }
		settings.OnQuotaExhausted = func() { shared.tallies.Add(collect.TallyLinesWait) }
		rounds = newLineRounds(settings, org.collector, org.view, logger)
	}
	var dispatcher *gapDispatcher
	if r.jobs != nil {
		dispatcher = &gapDispatcher{
			org: org.name, key: org.config.key(), logger: logger, store: shared.store, collector: org.collector,
			tallies: shared.tallies, cooldown: r.cooldown, state: org.state, queue: r.jobs,
			config: &r.config.Backfill, passEnded: wakeup.NewSignal(),
		}
	}
	org.follower = &follower{
		org: org.name, store: shared.store, view: org.view, leaderWatch: org.leaderWatch, weekly: rounds,
		logger: logger, state: org.state,
	}
	org.reader = &jobReader{
		collector: org.collector, cooldown: r.cooldown, tallies: shared.tallies, logger: logger,
	}
	org.term = &term{
		handover: &leaderHandover{
			org: org.name, lease: lease, store: shared.store, watch: org.leaderWatch, logger: logger,
		},
		fences: &fencePublisher{
			org: org.name, lease: lease, store: shared.store, view: org.view, watch: org.leaderWatch,
			watchdog: shared.watchdog, logger: logger,
		},
		store: shared.store, monitor: r.monitor, dispatcher: dispatcher, rounds: rounds,
		loop: r.newPassLoop(org, shared, func(result *collect.PassResult, err error) {
			if dispatcher != nil {
				dispatcher.recordPass(result)
			}
			if err == nil {
				rounds.signalPass(result.Start)
			}
		}),
	}
}

func (r *githubReceiver) newPassLoop(
	org *organization, shared *roles, onPass func(*collect.PassResult, error),
) *passLoop {
	return &passLoop{
		org: org.name, interval: org.config.ScrapeInterval, logger: shared.logger, telemetry: r.telemetry,
		collector: org.collector, tallies: shared.tallies, cooldown: r.cooldown, health: shared.health,
		watchdog: shared.watchdog, state: org.state, onPass: onPass,
		maintenance: &maintenance{
			org: org.name, store: shared.store, collector: org.collector, logger: shared.logger,
			retention: r.config.Retention, reconcileInterval: r.config.ReconcileInterval,
		},
	}
}

func (r *githubReceiver) newCollector(org *organization, shared *roles) (*collect.Collector, error) {
	config := org.config
	filter, err := config.filter()
	if err != nil {
		return nil, err
	}
	return collect.New(collect.Settings{
		Org: config.Name, Source: org.client, Store: shared.store, Filter: filter, Concurrency: config.Concurrency,
		Interval: config.ScrapeInterval, Lookback: config.Lookback, BackfillEnabled: r.jobs != nil,
		WithoutLines: r.config.LOC.statistics(), Now: time.Now, Skew: org.client.Skew,
		ShowsLogin: org.view.ShowsLogin, Tracer: metadata.Tracer(r.settings.TelemetrySettings),
	}, shared.tallies), nil
}

// httpClient is the collector's HTTP client: TLS, proxy, headers, tracing, and the authenticator where there is one.
func (r *githubReceiver) httpClient(ctx context.Context, config *OrgConfig, host component.Host) (*http.Client, error) {
	settings := r.config.GitHub.ClientConfig
	if id := config.Auth.Authenticator; id != nil {
		settings.Auth = configoptional.Some(configauth.Config{AuthenticatorID: *id})
	}
	return settings.ToClient(ctx, host.GetExtensions(), r.settings.TelemetrySettings)
}

// githubClient makes the client of an organization. Its attempts are counted, and are signs of life of the pass loop.
func (r *githubReceiver) githubClient(shared *roles, state *credentialState) (*github.Client, error) {
	config := shared.config
	credential, limits, err := r.credentials.resolve(&config.Auth, config.Name, r.config.GitHub.Endpoint)
	if err != nil {
		return nil, err
	}
	count := state.observeFunc(shared.tallies, shared.logger)
	observe := func(a github.Attempt) {
		count(a)
		if !a.IsProbe {
			shared.watchdog.heartbeat(time.Now())
			if a.Err != nil {
				r.access.recordRequestError(config.Name, a.Err)
			}
		}
	}
	invalid := &invalidValues{tallies: shared.tallies, logger: shared.logger}
	c := &r.config.GitHub
	return github.New(github.Settings{
		HTTP: shared.http, Endpoint: c.Endpoint, GraphQLEndpoint: c.GraphQLEndpoint, API: github.API(c.API),
		Credential: credential, Budget: limits, Timeout: c.Timeout,
		Retry: github.RetrySettings{
			MaxAttempts: c.Retry.MaxAttempts, InitialInterval: c.Retry.InitialInterval,
			MaxInterval: c.Retry.MaxInterval,
		},
		RateLimit: budget.Policy{
			MinRemaining: c.RateLimit.MinRemaining, ResetBuffer: c.RateLimit.ResetBuffer,
			SecondaryBackoff: c.RateLimit.SecondaryBackoff, MaxConcurrentRequests: c.RateLimit.MaxConcurrentRequests,
		},
		Concurrency: config.Concurrency, OnAttempt: observe,
		OnResult:       func(reply github.RequestResult) { r.observeResponse(config.Name, &reply) },
		OnInvalidValue: invalid.record, OnSchemaError: logSchemaError(shared.logger),
		CheckPaused: r.cooldown.Err, Now: time.Now,
		UserAgent: "githubexporter/" + r.settings.BuildInfo.Version,
	})
}
