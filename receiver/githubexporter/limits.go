package githubexporter

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// limits keeps what GitHub last said of an organization's credential: its rate limits and its end.
type limits struct {
	mu   sync.Mutex
	last map[string]limit
	// expires is when the credential ends, as GitHub said last; zero when it does not end, or GitHub does not say.
	// expiryTold are the APIs whose answers said so.
	expires    time.Time
	expiryTold map[github.Resource]bool
	// deprecated are the endpoints of which the end was logged.
	deprecated map[string]bool
}

type limit struct {
	resource  string
	remaining int64
	reset     time.Time
}

// observer counts each request and keeps the limits that its answer told.
func (l *limits) observer(tallies *collect.Tallies, logger *zap.Logger) func(github.Observation) {
	var mispriced sync.Once
	return func(o github.Observation) {
		if o.Mispriced {
			tallies.Add(collect.TallyMispriced)
			mispriced.Do(func() {
				logger.Warn("A GraphQL query does not cost what GitHub's formula says; the answer counts. Others like it are only counted.",
					zap.String("query", o.Endpoint), zap.Int("predicted", o.Price), zap.Int("points", o.Points))
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
				logger.Warn("GitHub announces the end of an endpoint. Look for a newer version of the exporter; "+
					"further announcements are only counted.",
					zap.String("endpoint", o.Endpoint), zap.String("announced", o.Deprecation))
			}
		}
		l.setExpiry(&o)
		if !o.Reset.IsZero() {
			l.set(limit{resource: string(o.Resource), remaining: int64(o.Remaining), reset: o.Reset})
		}
	}
}

func (l *limits) set(told limit) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = make(map[string]limit)
	}
	l.last[told.resource] = told
}

// setExpiry keeps when the credential ends. A good answer that does not tell, where one of the same API did, is of a
// credential that does not end: an authenticator may have replaced it.
func (l *limits) setExpiry(o *github.Observation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !o.CredentialExpires.IsZero():
		l.expires = o.CredentialExpires
		if l.expiryTold == nil {
			l.expiryTold = make(map[github.Resource]bool)
		}
		l.expiryTold[o.Resource] = true
	case o.StatusClass == "2xx" && l.expiryTold[o.Resource]:
		l.expires = time.Time{}
		clear(l.expiryTold)
	}
}

// expiry is when the credential ends; zero when that is not known.
func (l *limits) expiry() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.expires
}

// isNewlyDeprecated reports whether the end of an endpoint is announced for the first time.
func (l *limits) isNewlyDeprecated(endpoint string) bool {
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

func (l *limits) all() []limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]limit, 0, len(l.last))
	for _, told := range l.last {
		list = append(list, told)
	}
	return list
}
