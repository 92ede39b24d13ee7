// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotapi"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/download"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

// newCopilotFiles returns the client that reads the files of reports, nil where no reports are read. It uses the
// certificates that the connection to GitHub trusts, and its proxy, but no credential.
func newCopilotFiles(ctx context.Context, config *Config, version string) (*download.Client, error) {
	if !config.readsCopilot() {
		return nil, nil //nolint:nilnil // documented
	}
	trusted, err := config.GitHub.TLS.LoadTLSConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("github::tls: %w", err)
	}
	if trusted != nil {
		trusted.Certificates, trusted.GetClientCertificate, trusted.ServerName = nil, nil, ""
	}
	proxy := http.ProxyFromEnvironment
	if config.GitHub.ProxyURL != "" {
		address, err := url.Parse(config.GitHub.ProxyURL)
		if err != nil {
			return nil, fmt.Errorf("github::proxy_url: %w", err)
		}
		proxy = http.ProxyURL(address)
	}
	return download.New(download.Settings{
		Hosts: config.Copilot.DownloadHosts, Timeout: config.Copilot.DownloadTimeout, TLS: trusted, Proxy: proxy,
		UserAgent: "githubexporter/" + version,
	})
}

// newCopilotReaders returns the readers of the Copilot reports in the ledger of an organization: its own, and those of
// the enterprise in that of the first organization, so that the enterprise is read once.
func (r *replica) newCopilotReaders(
	ctx context.Context, org *organization, shared *sharedParts, host component.Host,
) ([]*copilotReader, error) {
	config := &r.config.Copilot
	var readers []*copilotReader
	if !r.config.readsCopilot() {
		return nil, nil
	}
	if config.readsOrg(org.name) {
		owner := emit.CopilotOwner{Name: org.name}
		readers = append(readers, r.newCopilotReader(org, shared, owner, report.ScopeOrganization, org.client))
		readers[0].httpClient = org.httpClient
	}
	if config.readsEnterprise() && shared.config == &r.config.Orgs[0] {
		auth := AuthConfig(config.Enterprise.Auth)
		httpClient, err := r.newHTTPClient(ctx, &auth, host)
		if err != nil {
			return nil, fmt.Errorf("enterprise %s: %w", config.Enterprise.Slug, err)
		}
		settings, err := r.transportSettings(&auth, config.Enterprise.Slug, httpClient, shared)
		if err != nil {
			return nil, fmt.Errorf("enterprise %s: %w", config.Enterprise.Slug, err)
		}
		settings.OnAttempt = (&credentialState{}).observeFunc(shared.tallies, shared.logger)
		client, err := transport.New(settings)
		if err != nil {
			return nil, err
		}
		owner := emit.CopilotOwner{Name: config.Enterprise.Slug, Documents: config.Enterprise.owner()}
		reader := r.newCopilotReader(org, shared, owner, report.ScopeEnterprise, client)
		reader.httpClient = httpClient
		readers = append(readers, reader)
	}
	return readers, nil
}

// newCopilotReader returns the reader of an owner's reports, without its HTTP client.
func (r *replica) newCopilotReader(
	org *organization, shared *sharedParts, owner emit.CopilotOwner, scope report.Scope, client *transport.Client,
) *copilotReader {
	config := &r.config.Copilot
	source := backfill.SourceCopilot
	if scope == report.ScopeEnterprise {
		source = backfill.SourceCopilotEnterprise
	}
	var workers copilot.Workers
	if org.term.dispatcher != nil {
		workers = &copilotWorkers{dispatcher: org.term.dispatcher, source: source}
	}
	return &copilotReader{
		owner: owner, tallies: shared.tallies, logger: shared.logger.With(zap.String("copilot_owner", owner.Name)),
		source: source,
		documents: copilotstore.Settings{
			Org: org.name, Owner: owner.Documents, Committer: org.collector, Entries: shared.store,
		},
		settings: copilot.Settings{
			Owner: owner.Name, Rules: config.rules(scope), Usage: config.usage(), Files: r.files, Workers: workers,
			API: copilotapi.New(copilotapi.Settings{
				Client: client, Timeout: config.RequestTimeout, CheckPaused: r.cooldown.Err,
			}),
		},
	}
}

// copilotOwners returns the owners of the Copilot reports in the organization's ledger.
func (o *organization) copilotOwners() []emit.CopilotOwner {
	var owners []emit.CopilotOwner
	for _, reader := range o.term.copilot {
		owners = append(owners, reader.owner)
	}
	return owners
}

// copilotMetrics returns how the metrics of Copilot reports are shown; nil where no reports are read.
func (r *replica) copilotMetrics() *emit.CopilotSettings {
	config := &r.config.Copilot
	if !r.config.readsCopilot() {
		return nil
	}
	settings := &emit.CopilotSettings{
		ScopeLabel: config.ScopeLabel, PullRequests: config.PullRequestActivity, UserLabel: r.users.labelFor,
	}
	for _, scope := range config.scopes() {
		rules := config.rules(scope)
		for _, of := range rules.Reports {
			settings.Scopes = append(settings.Scopes, copilotScope(&copilot.Target{Type: of}))
		}
		if rules.Seats != nil {
			seats := copilot.Target{Type: report.Type{Scope: scope}, Seats: true}
			settings.Scopes = append(settings.Scopes, copilotScope(&seats))
		}
	}
	return settings
}
