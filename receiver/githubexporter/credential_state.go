// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// credentialState has what GitHub reported last of an organization's credential, except the rate limits, which the
// budget has. It is safe for concurrent use.
type credentialState struct {
	mu sync.Mutex
	// expires is when the credential expires; zero when it does not, or when that is unknown. expiryReported has the
	// APIs whose responses had an expiry.
	expires        time.Time
	expiryReported map[budget.Resource]bool
	// deprecated has the endpoints whose deprecation was logged.
	deprecated map[string]bool
}

// observeFunc returns a function that counts an attempt of a request in the tallies, and records what its response
// reported of the credential.
func (l *credentialState) observeFunc(tallies *collect.Tallies, logger *zap.Logger) func(transport.Attempt) {
	var mispriced sync.Once
	return func(o transport.Attempt) {
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
func (l *credentialState) setExpiry(o *transport.Attempt) {
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

// expiry returns when the credential expires; zero when it does not, or when that is unknown.
func (l *credentialState) expiry() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expires
}

// isNewlyDeprecated reports whether the deprecation of an endpoint was not reported to it before.
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
