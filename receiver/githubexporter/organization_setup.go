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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/teams"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// graceIntervals is the number of scrape intervals by which the coverage may lag before the windows stop sliding.
const graceIntervals = 3

// sharedParts are the parts of an organization that several of its roles use.
type sharedParts struct {
	config   *OrgConfig
	logger   *zap.Logger
	tallies  *collect.Tallies
	store    *termStore
	source   *github.Client
	watchdog *watchdog
	health   *orgHealth
}

// newOrganization puts an organization together; nothing of it runs yet. wake requests an emission now and must not
// block. The error is one of the configuration.
func (r *replica) newOrganization(
	ctx context.Context, config *OrgConfig, host component.Host, wake func(),
) (*organization, error) {
	httpClient, err := r.newHTTPClient(ctx, &config.Auth, host)
	if err != nil {
		return nil, err
	}
	logger := r.settings.Logger.With(zap.String("org", config.Name))
	shared := &sharedParts{
		config: config, logger: logger, tallies: &collect.Tallies{}, store: &termStore{Store: r.store},
		watchdog: &watchdog{interval: config.ScrapeInterval},
		health:   &orgHealth{org: config.Name, readErrors: r.readErrors, access: r.access, logger: logger},
	}
	org := &organization{
		name: config.Name, config: config, httpClient: httpClient, state: newOrgState(wake),
		credential: &credentialState{},
		view:       ledgerview.New(r.config.viewSettings(config, r.users)),
	}
	r.access.add(org.name, org.view.Edge)
	if org.client, err = r.newTransport(org, shared); err != nil {
		return nil, err
	}
	shared.source = github.New(org.client, github.Settings{
		API: github.API(r.config.GitHub.API), Flow: r.config.Flow.rules(), OnSchemaError: logSchemaError(logger),
		Topics: r.config.RepositoryLabels.Topics, Properties: r.config.RepositoryLabels.Properties,
	})
	if org.collector, err = r.newCollector(org, shared); err != nil {
		return nil, err
	}
	if err := r.addRoles(org, shared); err != nil {
		return nil, err
	}
	org.term.copilot, err = r.newCopilotReaders(ctx, org, shared, host)
	return org, err
}

// viewSettings returns the settings of the view of an organization.
func (c *Config) viewSettings(org *OrgConfig, users *userLabels) ledgerview.Settings {
	return ledgerview.Settings{
		Retention: c.Retention,
		Grace:     max(time.Minute, graceIntervals*org.ScrapeInterval),
		Label:     users.labelFor,

		WeeklyLinesFromEntries: c.LOC.statistics(),
		ZeroFor:                c.Counters.zeroFor(c.EmitInterval),
		Teams:                  c.teamSettings(),
	}
}

// teamSettings returns which teams views show; nil for none.
func (c *Config) teamSettings() *ledgerview.TeamSettings {
	selection, err := c.Teams.selection()
	if !c.Teams.Enabled || err != nil {
		return nil
	}
	return &ledgerview.TeamSettings{Shows: selection.Shows, KeepFor: teams.KeepTime(c.Teams.Interval)}
}

// newTeamReader returns the reader of the teams of an organization; nil where no teams are read.
func (r *replica) newTeamReader(org *organization, shared *sharedParts) (*teamReader, error) {
	if !r.config.Teams.Enabled {
		return nil, nil //nolint:nilnil // documented
	}
	selection, err := r.config.Teams.selection()
	return &teamReader{
		settings: teams.Settings{
			Org: org.name, Source: shared.source, Committer: org.collector, View: org.view, Selection: selection,
			Interval: r.config.Teams.Interval,
		},
		gate: newTermGate(org.view), tallies: shared.tallies, checkPaused: r.cooldown.Err, logger: shared.logger,
	}, err
}

// addRoles makes the roles of an organization that has its client, its collector and its view.
func (r *replica) addRoles(org *organization, shared *sharedParts) error {
	logger, lease := shared.logger, r.leases.leaseOf(org.config.key())
	org.leaderWatch = &leaderWatch{
		lease: lease, view: org.view, interval: org.config.ScrapeInterval, logger: logger, state: org.state,
	}
	rounds := r.newLineRounds(org, shared)
	teamsReader, err := r.newTeamReader(org, shared)
	if err != nil {
		return err
	}
	var gates []*termGate // of the work that waits for the first pass
	if rounds != nil {
		gates = append(gates, rounds.gate)
	}
	if teamsReader != nil {
		gates = append(gates, teamsReader.gate)
	}
	var dispatcher *gapDispatcher
	if r.jobs != nil {
		dispatcher = &gapDispatcher{
			org: org.name, key: org.config.key(), logger: logger, store: shared.store, collector: org.collector,
			tallies: shared.tallies, cooldown: r.cooldown.Cooldown, state: org.state, queue: r.jobs,
			config: &r.config.Backfill, passEnded: wakeup.NewSignal(),
			copilot: make(map[string]*copilotJobs),
		}
	}
	org.follower = &follower{
		org: org.name, store: shared.store, view: org.view, leaderWatch: org.leaderWatch, gates: gates,
		logger: logger, state: org.state,
	}
	org.reader = &jobReader{
		collector: org.collector, cooldown: r.cooldown.Cooldown, tallies: shared.tallies, logger: logger,
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
		teams: teamsReader, loop: r.newPassLoop(org, shared, dispatcher, gates),
	}
	return nil
}

// newLineRounds returns the rounds over the weekly lines of an organization; nil where they come from the commits.
func (r *replica) newLineRounds(org *organization, shared *sharedParts) *lineRounds {
	if !r.config.LOC.statistics() {
		return nil
	}
	settings := r.config.LOC.settings(r.config.Retention)
	settings.Org, settings.Concurrency = org.name, org.config.Concurrency
	settings.Source, settings.CheckPaused = shared.source, r.cooldown.Err
	settings.OnInvalidEntry = func() { shared.tallies.Add(collect.TallyInvalid) }
	settings.OnQuotaExhausted = func() { shared.tallies.Add(collect.TallyLinesWait) }
	return newLineRounds(settings, org.collector, org.view, shared.logger)
}

// newPassLoop returns the pass loop of an organization. dispatcher is nil without backfill.
func (r *replica) newPassLoop(
	org *organization, shared *sharedParts, dispatcher *gapDispatcher, gates []*termGate,
) *passLoop {
	return &passLoop{
		org: org.name, logger: shared.logger, telemetry: r.telemetry, collector: org.collector,
		tallies: shared.tallies, cooldown: r.cooldown.Cooldown, health: shared.health, watchdog: shared.watchdog,
		state: org.state, dispatcher: dispatcher, gates: gates,
		vcs: org.collector.NewVCSReader(r.config.vcsReading(shared.source)),
		maintenance: &maintenance{
			org: org.name, store: shared.store, collector: org.collector, logger: shared.logger,
			retention: r.config.Retention, reconcileInterval: r.config.ReconcileInterval,
		},
	}
}

// newCollector returns the collector of an organization that has its client and its view.
func (r *replica) newCollector(org *organization, shared *sharedParts) (*collect.Collector, error) {
	config := org.config
	filter, err := config.filter()
	if err != nil {
		return nil, err
	}
	return collect.New(collect.Settings{
		Org: config.Name, Source: shared.source, Store: shared.store, Filter: filter, Concurrency: config.Concurrency,
		Interval: config.ScrapeInterval, Lookback: config.Lookback, BackfillEnabled: r.jobs != nil,
		WithoutLines: r.config.LOC.statistics(), ReadsStocks: r.config.showsStocks(),
		DisabledStreams: r.config.Flow.disabledStreams(), Now: time.Now, Skew: org.client.Skew,
		ShowsLogin: org.view.ShowsLogin, Tracer: metadata.Tracer(r.settings.TelemetrySettings),
	}, shared.tallies), nil
}

// newHTTPClient returns the collector's HTTP client: with TLS, proxy, headers, tracing, and the authenticator where one
// is configured.
func (r *replica) newHTTPClient(ctx context.Context, auth *AuthConfig, host component.Host) (*http.Client, error) {
	settings := r.config.GitHub.ClientConfig
	if id := auth.Authenticator; id != nil {
		settings.Auth = configoptional.Some(configauth.Config{AuthenticatorID: *id})
	}
	return settings.ToClient(ctx, host.GetExtensions(), r.settings.TelemetrySettings)
}

// newTransport returns the client that sends an organization's requests to GitHub. Each of its attempts is counted, and
// is a heartbeat for the watchdog of the pass loop unless it is a probe.
func (r *replica) newTransport(org *organization, shared *sharedParts) (*transport.Client, error) {
	config := shared.config
	settings, err := r.transportSettings(&config.Auth, config.Name, org.httpClient, shared)
	if err != nil {
		return nil, err
	}
	count := org.credential.observeFunc(shared.tallies, shared.logger)
	settings.OnAttempt = func(a transport.Attempt) {
		count(a)
		if !a.IsProbe {
			shared.watchdog.heartbeat(time.Now())
			if a.Err != nil {
				r.access.recordRequestError(config.Name, a.Err)
			}
		}
	}
	settings.Concurrency = config.Concurrency
	settings.OnResult = func(result transport.RequestResult) { r.cooldown.recordResult(config.Name, &result) }
	return transport.New(settings)
}

// transportSettings returns the settings of a client with the credential of an organization or enterprise, without its
// observers.
func (r *replica) transportSettings(
	auth *AuthConfig, owner string, httpClient *http.Client, shared *sharedParts,
) (transport.Settings, error) {
	credential, limits, err := r.credentials.resolve(auth, owner, r.config.GitHub.Endpoint)
	invalid := &invalidValues{tallies: shared.tallies, logger: shared.logger}
	settings := r.config.GitHub.transportSettings()
	settings.HTTP, settings.Credential, settings.Budget = httpClient, credential, limits
	settings.OnInvalidValue, settings.CheckPaused, settings.Now = invalid.record, r.cooldown.Err, time.Now
	settings.UserAgent = "githubexporter/" + r.settings.BuildInfo.Version
	return settings, err
}

// transportSettings returns the settings of requests, without a credential and observers.
func (c *GitHubConfig) transportSettings() transport.Settings {
	return transport.Settings{
		Endpoint: c.Endpoint, GraphQLEndpoint: c.GraphQLEndpoint, Timeout: c.Timeout,
		Retry: transport.RetrySettings{
			MaxAttempts: c.Retry.MaxAttempts, InitialInterval: c.Retry.InitialInterval,
			MaxInterval: c.Retry.MaxInterval,
		},
		RateLimit: budget.Policy{
			MinRemaining: c.RateLimit.MinRemaining, ResetBuffer: c.RateLimit.ResetBuffer,
			SecondaryBackoff: c.RateLimit.SecondaryBackoff, MaxConcurrentRequests: c.RateLimit.MaxConcurrentRequests,
		},
	}
}
