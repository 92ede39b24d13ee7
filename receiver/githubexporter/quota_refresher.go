// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

const (
	// maxConcurrentRefreshes is the number of budgets that are read at a time.
	maxConcurrentRefreshes = 8
	// maxRefreshLead is the time before an emission at which the budgets are read, or a quarter of the interval if that
	// is less.
	maxRefreshLead = time.Second
)

// quotaRefresher reads the shared budgets into this process shortly before each emission, so that a replica that sends
// no requests to GitHub emits the same quotas as those that do. It reads the store, never GitHub.
type quotaRefresher struct {
	orgs     []*organization
	endpoint string        // of GitHub
	interval time.Duration // of the emissions
}

// run refreshes before every emission until ctx ends.
func (r *quotaRefresher) run(ctx context.Context) {
	lead := min(r.interval/4, maxRefreshLead)
	for ctx.Err() == nil {
		now := time.Now()
		at := now.Truncate(r.interval).Add(r.interval - lead)
		if !at.After(now) {
			at = at.Add(r.interval)
		}
		if wakeup.SleepUntil(ctx, at) != nil {
			return
		}
		var group errgroup.Group
		group.SetLimit(maxConcurrentRefreshes)
		for _, org := range r.orgPerCredential() {
			group.Go(func() error { return org.client.RefreshQuotas(ctx) })
		}
		_ = group.Wait() // after an error the quotas are those that this process knows
	}
}

// orgPerCredential returns one organization for each credential.
func (r *quotaRefresher) orgPerCredential() []*organization {
	var list []*organization
	seen := make(map[string]bool)
	for _, org := range r.orgs {
		name := credentialName(&org.config.Auth, org.name, r.endpoint)
		if !seen[name] {
			seen[name] = true
			list = append(list, org)
		}
	}
	return list
}
