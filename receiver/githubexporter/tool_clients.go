// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/pdata/pcommon"
	noopmetric "go.opentelemetry.io/otel/metric/noop"
	nooptrace "go.opentelemetry.io/otel/trace/noop"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// This file has what a tool beside the collector needs to use a configuration as the receiver does.

// ErrAuthenticator is the error of a credential that an extension of the collector has.
var ErrAuthenticator = errors.New("an extension of the collector has the credential")

// NewGitHubClient returns a client for a tool: with the addresses and the credential of the configuration, a budget of
// its own, and two attempts. owner is the organization, or the enterprise, of the credential.
func (c *Config) NewGitHubClient(
	ctx context.Context, auth *AuthConfig, owner string, onAttempt func(transport.Attempt),
) (*transport.Client, error) {
	if auth.Authenticator != nil {
		return nil, ErrAuthenticator
	}
	settings := c.GitHub.transportSettings()
	settings.Retry.MaxAttempts, settings.Retry.InitialInterval = 2, time.Second
	settings.RateLimit.MinRemaining = 0 // a tool may use what the passes leave
	settings.OnAttempt, settings.UserAgent = onAttempt, "gxctl"
	var err error
	settings.HTTP, err = c.GitHub.ToClient(ctx, nil, component.TelemetrySettings{
		Logger: zap.NewNop(), TracerProvider: nooptrace.NewTracerProvider(),
		MeterProvider: noopmetric.NewMeterProvider(), Resource: pcommon.NewResource(),
	})
	if err != nil {
		return nil, err
	}
	if auth.Token != nil {
		settings.Credential = transport.TokenCredential(string(*auth.Token))
	} else if settings.Credential, err = appCredential(auth.App, owner); err != nil {
		return nil, err
	}
	return transport.New(settings)
}

// RabbitMQSettings returns the settings of the shared queue, without its observers.
func (c *Config) RabbitMQSettings(ctx context.Context) (rabbitqueue.Settings, error) {
	auth := rabbitqueue.ExternalAuth()
	if plain := c.RabbitMQ.Auth.Plain; plain != nil {
		auth = rabbitqueue.PlainAuth(plain.Username, string(plain.Password))
	}
	encryption, err := c.RabbitMQ.loadTLS(ctx)
	if err != nil {
		return rabbitqueue.Settings{}, err
	}
	var orgs []string
	for i := range c.Orgs {
		orgs = append(orgs, c.Orgs[i].key())
	}
	return rabbitqueue.Settings{
		URL: c.RabbitMQ.Endpoint, Auth: auth, TLS: encryption, Exchange: c.RabbitMQ.Exchange, Queue: c.RabbitMQ.Queue,
		DeadQueue: c.RabbitMQ.DeadLetterQueue, Orgs: orgs, Retries: c.Backfill.retries(),
		Prefetch: c.RabbitMQ.Prefetch, Consumers: c.Backfill.ConsumerCount, Now: time.Now, Logger: zap.NewNop(),
	}, nil
}

// CopilotRules returns which Copilot reports are read, by scope; empty where none are.
func (c *Config) CopilotRules() map[report.Scope]copilot.Rules {
	rules := make(map[report.Scope]copilot.Rules)
	if c.readsCopilot() {
		for _, scope := range c.Copilot.scopes() {
			rules[scope] = c.Copilot.rules(scope)
		}
	}
	return rules
}

// ReadsCopilotOf reports whether the Copilot reports of an organization are read.
func (c *Config) ReadsCopilotOf(org string) bool { return c.readsCopilot() && c.Copilot.readsOrg(org) }

// UsesStatistics reports whether weekly lines are read from GitHub's statistics of contributors.
func (c *Config) UsesStatistics() bool { return c.LOC.statistics() }

// NewView returns an empty view of an organization, with the labels of the configuration.
func (c *Config) NewView(org *OrgConfig) *ledgerview.View {
	return ledgerview.New(c.viewSettings(org, newUserLabels(&c.Actors)))
}

// UserLabel returns the value of the label user for a login; false for a user who is not shown.
func (c *Config) UserLabel(login string) (label string, shown bool) {
	return newUserLabels(&c.Actors).labelFor(activity.Actor{Login: login})
}

// IsOrg reports whether a text is the name of the organization, in any case.
func (c *OrgConfig) IsOrg(name string) bool { return strings.EqualFold(c.Name, name) }

// RepoName returns the name of a repository without the organization in front of it.
func (c *OrgConfig) RepoName(name string) string { return c.withoutOwner(name) }

// WebAddress returns the address of GitHub's pages, by that of the API
// (https://docs.github.com/enterprise-server/rest/using-the-rest-api/getting-started-with-the-rest-api).
func (c *GitHubConfig) WebAddress() string {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return "https://github.com"
	}
	return u.Scheme + "://" + strings.TrimPrefix(u.Host, "api.")
}

// IsMetricEnabled returns a function that reports whether a metric is emitted, by its name in metadata.yaml.
func (c *Config) IsMetricEnabled() (func(name string) bool, error) {
	settings := confmap.New()
	if err := settings.Marshal(c.MetricsBuilderConfig); err != nil {
		return nil, err
	}
	return func(name string) bool {
		enabled, _ := settings.Get("metrics::" + name + "::enabled").(bool)
		return enabled
	}, nil
}
