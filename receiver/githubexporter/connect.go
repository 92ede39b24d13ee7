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
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// graceIntervals is how many scrape intervals the coverage may lag before the windows stop sliding.
const graceIntervals = 3

// newOrganization puts an organization together. Its error is one of the configuration.
func (r *githubReceiver) newOrganization(
	ctx context.Context, config *OrgConfig, host component.Host, troubles *readErrors,
) (*organization, error) {
	logger := r.settings.Logger.With(zap.String("org", config.Name))
	tallies := &collect.Tallies{}
	limits := &credentialState{}
	httpClient, err := r.httpClient(ctx, config, host)
	if err != nil {
		return nil, err
	}
	guarded := &termStore{Store: r.store}
	org := &organization{
		name: config.Name, config: config, retention: r.config.Retention, reconcileInterval: r.config.ReconcileInterval,
		logger: logger, telemetry: r.telemetry,
		store: guarded, termStore: guarded, leases: r.leases, lease: r.leases.leaseFor(config.key()),
		http: httpClient, tallies: tallies, queue: r.jobs, credentialState: limits, monitor: r.monitor,
		cooldown:  r.cooldown,
		health:    &orgHealth{org: config.Name, readErrors: troubles, access: r.access, logger: logger},
		passEnded: wakeup.NewSignal(),
		view: ledger.NewView(ledger.ViewSettings{
			Retention: r.config.Retention,
			Grace:     max(time.Minute, graceIntervals*config.ScrapeInterval),
			Label:     r.users.labelFor,

			WeeklyLinesFromEntries: r.config.LOC.statistics(),
			ZeroFor:                r.config.Counters.zeroFor(r.config.EmitInterval),
		}),
	}
	r.access.add(org.name, org.view.Edge)
	count := limits.observeFunc(tallies, logger)
	observe := func(o github.Attempt) {
		count(o)
		if !o.IsProbe {
			org.watchdog.heartbeat(time.Now())
			if o.Err != nil {
				r.access.recordRequestError(org.name, o.Err)
			}
		}
	}
	if org.client, err = r.githubClient(config, httpClient, observe, org); err != nil {
		return nil, err
	}
	if r.config.LOC.statistics() {
		settings := r.config.LOC.settings(r.config.Retention)
		settings.Source, settings.CheckPaused = org.client, r.cooldown.Err
		org.weekly = newWeeklyLines(settings)
	}
	org.collector, err = r.newCollector(config, org, tallies)
	return org, err
}

func (r *githubReceiver) newCollector(
	config *OrgConfig, org *organization, tallies *collect.Tallies,
) (*collect.Collector, error) {
	filter, err := config.filter()
	if err != nil {
		return nil, err
	}
	return collect.New(collect.Settings{
		Org: config.Name, Source: org.client, Store: org.store, Filter: filter, Concurrency: config.Concurrency,
		Interval: config.ScrapeInterval, Lookback: config.Lookback, BackfillEnabled: r.jobs != nil,
		WithoutLines: r.config.LOC.statistics(), Now: time.Now, Skew: org.client.Skew,
		ShowsLogin: org.view.ShowsLogin, Tracer: metadata.Tracer(r.settings.TelemetrySettings),
	}, tallies), nil
}

// httpClient is the collector's HTTP client: TLS, proxy, headers, tracing, and the authenticator where there is one.
func (r *githubReceiver) httpClient(ctx context.Context, config *OrgConfig, host component.Host) (*http.Client, error) {
	settings := r.config.GitHub.ClientConfig
	if id := config.Auth.Authenticator; id != nil {
		settings.Auth = configoptional.Some(configauth.Config{AuthenticatorID: *id})
	}
	return settings.ToClient(ctx, host.GetExtensions(), r.settings.TelemetrySettings)
}

func (r *githubReceiver) githubClient(
	config *OrgConfig, httpClient *http.Client, observe func(github.Attempt), org *organization,
) (*github.Client, error) {
	credential, shared, err := r.credentials.resolve(&config.Auth, config.Name, r.config.GitHub.Endpoint)
	if err != nil {
		return nil, err
	}
	c := &r.config.GitHub
	return github.New(github.Settings{
		HTTP: httpClient, Endpoint: c.Endpoint, GraphQLEndpoint: c.GraphQLEndpoint, API: github.API(c.API),
		Credential: credential, Budget: shared, Timeout: c.Timeout,
		Retry: github.RetrySettings{
			MaxAttempts: c.Retry.MaxAttempts, InitialInterval: c.Retry.InitialInterval, MaxInterval: c.Retry.MaxInterval,
		},
		RateLimit: budget.Policy{
			MinRemaining: c.RateLimit.MinRemaining, ResetBuffer: c.RateLimit.ResetBuffer,
			SecondaryBackoff: c.RateLimit.SecondaryBackoff, MaxConcurrentRequests: c.RateLimit.MaxConcurrentRequests,
		},
		Concurrency: config.Concurrency, OnAttempt: observe,
		OnResult:       func(reply github.RequestResult) { r.observeResponse(config.Name, &reply) },
		OnInvalidValue: org.recordInvalidValue, OnSchemaError: org.logSchemaError, CheckPaused: r.cooldown.Err, Now: time.Now,
		UserAgent: "githubexporter/" + r.settings.BuildInfo.Version,
	})
}
