// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// credentialState keeps what GitHub last reported of an organization's credential beside its rate limits, which the
// budget has.
type credentialState struct {
	mu sync.Mutex
	// expires is when the credential expires, as GitHub reported last; zero when it does not, or when that is
	// unknown.
	// expiryReported has the APIs whose responses had an expiry.
	expires        time.Time
	expiryReported map[budget.Resource]bool
	// deprecated are the endpoints of which the end was logged.
	deprecated map[string]bool
}

// observeFunc counts each request and keeps what its answer reported of the credential.
func (l *credentialState) observeFunc(tallies *collect.Tallies, logger *zap.Logger) func(github.Attempt) {
	var mispriced sync.Once
	return func(o github.Attempt) {
		if o.Mispriced {
			tallies.Add(collect.TallyMispriced)
			mispriced.Do(func() {
				logger.Warn("The cost of a GraphQL query differs from GitHub's formula; using the reported cost. "+
					"Further occurrences are only counted.",
					zap.String("query", o.Endpoint), zap.Int("predicted", o.PredictedPoints),
					zap.Int("points", o.Points))
			})
		}
		tallies.Add(collect.TallyRequests, o.Endpoint, o.StatusClass)
		tallies.AddN(collect.TallyPoints, uint64(max(0, o.Points)), string(o.Resource))
		if o.SecondaryLimit {
			tallies.Add(collect.TallySecondary)
		}
		if o.Deprecation != "" {
			tallies.Add(collect.TallyDeprecated, o.Endpoint)
			if l.isNewlyDeprecated(o.Endpoint) {
				logger.Warn("GitHub announced the deprecation of an endpoint. Look for a newer version of the "+
					"exporter; further announcements are only counted.",
					zap.String("endpoint", o.Endpoint), zap.String("announced", o.Deprecation))
			}
		}
		l.setExpiry(&o)
	}
}

// setExpiry records when the credential expires. A 2xx response without an expiry clears it if the same API reported
// one before: the authenticator may have switched to a credential that does not expire.
func (l *credentialState) setExpiry(o *github.Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !o.CredentialExpires.IsZero():
		l.expires = o.CredentialExpires
		if l.expiryReported == nil {
			l.expiryReported = make(map[budget.Resource]bool)
		}
		l.expiryReported[o.Resource] = true
	case o.StatusClass == "2xx" && l.expiryReported[o.Resource]:
		l.expires = time.Time{}
		clear(l.expiryReported)
	}
}

// expiry is when the credential ends; zero when that is not known.
func (l *credentialState) expiry() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expires
}

// isNewlyDeprecated reports whether the end of an endpoint is announced for the first time.
func (l *credentialState) isNewlyDeprecated(endpoint string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.deprecated[endpoint] {
		return false
	}
	if l.deprecated == nil {
		l.deprecated = make(map[string]bool)
	}
	l.deprecated[endpoint] = true
	return true
}

// maxConcurrentRefreshes is how many budgets are read at a time.
const maxConcurrentRefreshes = 8

// refreshLimits reads the shared budgets shortly before each emission, so that a replica that asks GitHub nothing shows
// the same limits as those that do. It asks the store, never GitHub.
func (r *githubReceiver) refreshLimits(ctx context.Context, interval time.Duration) {
	lead := min(interval/4, time.Second)
	for ctx.Err() == nil {
		now := time.Now()
		at := now.Truncate(interval).Add(interval - lead)
		if !at.After(now) {
			at = at.Add(interval)
		}
		if wakeup.SleepUntil(ctx, at) != nil {
			return
		}
		var group errgroup.Group
		group.SetLimit(maxConcurrentRefreshes)
		for _, org := range r.orgPerCredential() {
			group.Go(func() error { return org.client.RefreshQuotas(ctx) })
		}
		_ = group.Wait() // without the store the limits are those that this process knows
	}
}

// orgPerCredential returns one organization for each credential.
func (r *githubReceiver) orgPerCredential() []*organization {
	var list []*organization
	seen := make(map[string]bool)
	for _, org := range r.orgs {
		name := credentialName(&org.config.Auth, org.name, r.config.GitHub.Endpoint)
		if !seen[name] {
			seen[name] = true
			list = append(list, org)
		}
	}
	return list
}
