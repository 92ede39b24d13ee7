package githubexporter

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
)

// riskInterval is how often Redis is asked for the settings that endanger the ledger. It is asked sooner after it did not
// answer: then another server may have become the master.
const riskInterval = 5 * time.Minute

// riskWatch warns of settings of Redis that endanger the ledger, once each time that they change. A user who may not use
// INFO is not warned, and it is asked once.
type riskWatch struct {
	client redis.UniversalClient
	logger *zap.Logger
	ask    func(ctx context.Context) error // whether Redis can be written to

	checked time.Time // zero when the settings have to be asked for
	denied  bool
	risks   []string
}

// ping asks whether Redis can be written to, and now and then for its settings. It is called by one goroutine.
func (w *riskWatch) ping(ctx context.Context) error {
	if err := w.ask(ctx); err != nil {
		w.checked = time.Time{}
		return err
	}
	if w.denied || time.Since(w.checked) < riskInterval {
		return nil
	}
	w.checked = time.Now()
	risks, err := redisconn.Risks(ctx, w.client)
	w.denied = redis.IsPermissionError(err)
	if err != nil || slices.Equal(risks, w.risks) {
		return nil //nolint:nilerr // Redis answers: what it may not say is no trouble
	}
	w.risks = risks
	if len(risks) == 0 {
		w.logger.Info("Redis keeps what it is given again.")
		return nil
	}
	w.logger.Warn("The settings of Redis endanger the ledger: what it loses is read from GitHub again, and cumulative sums begin "+
		"from zero. Set maxmemory-policy to noeviction and appendonly to yes, or use a Redis of its own.",
		zap.String("settings", strings.Join(risks, "; ")))
	return nil
}
