package redisconn

import (
	"context"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// riskInterval is how often the masters are asked for their settings while they answer.
const riskInterval = 5 * time.Minute

// RiskWatch notices when the risks of Redis change. Servers that the user may not ask have none, and are asked once.
// It is not safe for concurrent use.
type RiskWatch struct {
	client  redis.UniversalClient
	onChange func(risks []string)

	lastRead time.Time // zero when the settings have to be asked for
	denied  bool
	risks   []string
}

// NewRiskWatch makes a watch that calls a function with the risks when they are others than before, at first none.
func NewRiskWatch(client redis.UniversalClient, changed func(risks []string)) *RiskWatch {
	return &RiskWatch{client: client, onChange: changed}
}

// Refresh asks for the risks when it is time to, or when Redis did not answer in between: then another server may have
// become the master. answers says whether Redis answers now.
func (w *RiskWatch) Refresh(ctx context.Context, answers bool) {
	if !answers {
		w.lastRead = time.Time{}
	}
	if !answers || w.denied || time.Since(w.lastRead) < riskInterval {
		return
	}
	w.lastRead = time.Now()
	risks, err := ReadRisks(ctx, w.client)
	w.denied = redis.IsPermissionError(err)
	if err != nil || slices.Equal(risks, w.risks) {
		return
	}
	w.risks = risks
	w.onChange(risks)
}
