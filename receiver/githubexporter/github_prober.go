// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

const (
	// probeTimeout is how long a server may take to respond to a probe: a slower one counts as down.
	probeTimeout = 2 * time.Second
	// maxConcurrentProbes is the number of organizations that are probed at a time.
	maxConcurrentProbes = 8
)

// githubProber sends probes to GitHub, requests that cost nothing of a rate limit, with the credentials of the
// organizations: they end a cooldown, find out why an organization got no response, and check the credentials of
// organizations that this replica does not lead. It is safe for concurrent use.
type githubProber struct {
	cooldown   *githubCooldown
	access     *githubAccess
	readErrors *readErrors
	monitor    *health.Monitor
	orgs       []*organization
	logger     *zap.Logger
}

// probe sends the probe of a cooldown when it is due. One credential that gets a response is enough. Without a cooldown
// it probes for the organizations that got no response: the reason may be another one by now.
func (p *githubProber) probe(ctx context.Context) {
	if p.cooldown.Err() == nil {
		p.probeUnavailableOrgs(ctx)
		return
	}
	if !p.cooldown.IsProbeDue(time.Now()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	var err error
	for _, org := range p.orgs {
		if err = org.client.Probe(ctx); err == nil || ctx.Err() != nil {
			break
		}
	}
	if p.cooldown.RecordProbe(err) {
		p.logger.Info("GitHub responds again; resuming requests.")
		return
	}
	for _, org := range p.orgs {
		if cooling := p.cooldown.Err(); cooling != nil {
			p.replaceReason(org.name, cooling)
		}
	}
}

// probeUnavailableOrgs probes for each organization that got no response. A probe that succeeds proves nothing: it is
// another request than the one that failed.
func (p *githubProber) probeUnavailableOrgs(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p.probeOrgs(ctx, p.readErrors.isUnavailable, func(org string, err error) {
		if err != nil {
			p.replaceReason(org, err)
		}
	})
}

// replaceReason replaces the reason why an organization got no response.
func (p *githubProber) replaceReason(org string, reason error) {
	p.readErrors.replace(org, reason)
	p.access.recordRequestError(org, reason)
}

// checkCredentials checks, every interval until ctx ends, the credentials that GitHub has not accepted yet of the
// organizations that this replica does not lead. Passes check the others.
func (p *githubProber) checkCredentials(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if p.cooldown.Err() == nil { // during a cooldown GitHub responds with nothing but errors
			p.probeOrgs(ctx, func(org string) bool {
				return !p.monitor.Leads(org) && p.access.needsCredentialCheck(org)
			}, p.access.recordCredentialCheck)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// probeOrgs probes for the organizations for which isDue is true and calls record with each result, concurrently,
// unless ctx has ended. It waits for all probes.
func (p *githubProber) probeOrgs(ctx context.Context, isDue func(org string) bool, record func(org string, err error)) {
	var group errgroup.Group
	group.SetLimit(maxConcurrentProbes)
	for _, org := range p.orgs {
		if !isDue(org.name) {
			continue
		}
		group.Go(func() error {
			probing, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			if err := org.client.Probe(probing); ctx.Err() == nil {
				record(org.name, err)
			}
			return nil
		})
	}
	_ = group.Wait() // record has the errors
}
