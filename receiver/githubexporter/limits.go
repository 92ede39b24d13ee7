package githubexporter

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// limits keeps what GitHub last said of the rate limits of an organization's credential.
type limits struct {
	mu   sync.Mutex
	last map[string]limit
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

func (l *limits) all() []limit {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := make([]limit, 0, len(l.last))
	for _, told := range l.last {
		list = append(list, told)
	}
	return list
}
