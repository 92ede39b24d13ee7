// Package redisbudget shares a credential's budget with all replicas, in Redis: a hash of what is known of the limits,
// "<prefix>:1:{budget:<credential>}:known", and a sorted set of the requests that are on their way, ...":flight". Times are
// milliseconds since the epoch, by GitHub's clock. The 1 is the version of this layout.
package redisbudget

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/rediskeys"
)

const (
	// patience is how long a request waits for Redis before it goes on with what this process knows, and so do all others for
	// the time of aside.
	patience = 250 * time.Millisecond
	aside    = time.Second
	// keep is how long what is known outlives the last request. It is longer than every honest limit.
	keep = 25 * time.Hour
	// mostMissed bounds the endings that are kept for Redis while it does not answer.
	mostMissed = 64
)

var (
	//go:embed scripts/begin.lua
	beginSource string
	//go:embed scripts/end.lua
	endSource string

	beginScript = redis.NewScript(beginSource)
	endScript   = redis.NewScript(endSource)
)

// Settings are a budget's.
type Settings struct {
	// Prefix begins the names of the keys, Credential names what the limits are of; it is no secret.
	Prefix, Credential string
	// OnDegraded is told once that this process goes on with what it knows by itself, and with nil that it does no more.
	OnDegraded func(err error)
}

// Budget is a budget in Redis. It never fails: without Redis it is one of this process. It does not own its client.
type Budget struct {
	client   redis.UniversalClient
	settings Settings
	keys     []string
	local    github.LocalBudget

	mu    sync.Mutex
	alone time.Time // until when Redis is not asked, by this machine's clock; zero when it answers
	// missed are the endings that Redis was not told, in their order.
	missed []github.Settlement
}

var _ github.Budget = (*Budget)(nil)

// New makes a budget.
func New(client redis.UniversalClient, settings Settings) *Budget {
	prefix, credential := rediskeys.Prefix(settings.Prefix), settings.Credential
	keys := []string{prefix.Budget(credential, "known"), prefix.Budget(credential, "flight")}
	return &Budget{client: client, settings: settings, keys: keys}
}

// Reserve implements github.Budget.
func (b *Budget) Reserve(ctx context.Context, q github.Reservation) (github.BudgetState, error) {
	known, err := b.local.Reserve(ctx, q)
	if err != nil || b.aside() {
		return known, err
	}
	if !known.IsReserved(q.Resource, q.Now) {
		if err = b.makeUp(ctx, q.Now); err != nil {
			err = b.trouble(ctx, err)
		}
		return known, err
	}
	shared, err := b.begin(ctx, &q)
	if err != nil {
		if err = b.trouble(ctx, err); err != nil { // nobody will end it, and the script may have taken a place all the same
			_, _ = b.Settle(context.WithoutCancel(ctx), github.Settlement{ID: q.ID, Resource: q.Resource, Now: q.Now})
		}
		return known, err
	}
	b.together()
	b.local.Merge(&shared, q.Now)
	if !shared.IsReserved(q.Resource, q.Now) { // the place in this process is given back
		_, err = b.local.Settle(ctx, github.Settlement{ID: q.ID, Resource: q.Resource, Now: q.Now})
	}
	return shared, err
}

func (b *Budget) begin(ctx context.Context, q *github.Reservation) (github.BudgetState, error) {
	if err := b.makeUp(ctx, q.Now); err != nil {
		return github.BudgetState{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	guessed := 0
	if q.UnsyncedClock {
		guessed = 1
	}
	answer, err := beginScript.Run(ctx, b.client, b.keys,
		q.Now.UnixMilli(), q.ID, q.ExpiresAt.UnixMilli(), q.MaxInFlight, string(q.Resource), q.Interval.Milliseconds(), q.Burst.Milliseconds(),
		github.MaxGitHubComLimit, github.MaxLimitDuration.Milliseconds(), keep.Milliseconds(), guessed).Slice()
	if err != nil {
		return github.BudgetState{}, fmt.Errorf("redis: %w", err)
	}
	return decode(answer)
}

// Settle implements github.Budget.
func (b *Budget) Settle(ctx context.Context, e github.Settlement) (time.Time, error) {
	until, err := b.local.Settle(ctx, e)
	if err != nil {
		return until, err
	}
	if b.aside() {
		b.miss(e, until)
		return until, nil
	}
	shared := until
	if err = b.makeUp(ctx, e.Now); err == nil {
		shared, err = b.end(ctx, &e)
	}
	if err != nil {
		b.miss(e, until)
		return until, b.trouble(ctx, err)
	}
	return shared, nil
}

// Refresh implements github.Budget. While Redis does not answer, this process keeps what it knows.
func (b *Budget) Refresh(ctx context.Context, now time.Time) error {
	if b.aside() {
		return nil
	}
	reading, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	fields, err := b.client.HGetAll(reading, b.keys[0]).Result()
	if err != nil {
		return b.trouble(ctx, fmt.Errorf("redis: %w", err))
	}
	b.together()
	known := github.BudgetState{
		Quotas: make(map[github.Resource]github.Quota), Primary: make(map[github.Resource]github.Limit),
	}
	for name, value := range fields {
		put(&known, name, number(value))
	}
	b.local.Merge(&known, now)
	return nil
}

// Quotas implements github.Budget.
func (b *Budget) Quotas(now time.Time) map[github.Resource]github.Quota { return b.local.Quotas(now) }

// miss keeps an ending for when Redis answers again, its limit with the end that this process has given it. A good answer of then
// says nothing of limits that were met since.
func (b *Budget) miss(e github.Settlement, until time.Time) {
	e.Success = false
	if e.Limited {
		e.LimitEnd = until
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.missed = bounded(append(b.missed, e))
}

// bounded leaves out the oldest of too many endings, those with a limit last: what else they tell, later ones tell again.
func bounded(missed []github.Settlement) []github.Settlement {
	for len(missed) > mostMissed {
		i := max(0, slices.IndexFunc(missed, func(e github.Settlement) bool { return !e.Limited }))
		missed = slices.Delete(missed, i, i+1)
	}
	return missed
}

// makeUp tells Redis the endings that it was not told.
func (b *Budget) makeUp(ctx context.Context, now time.Time) error {
	b.mu.Lock()
	missed := b.missed
	b.missed = nil
	b.mu.Unlock()
	for i, e := range missed {
		e.Now = now // what others have told since is judged by the time of now
		if _, err := b.end(ctx, &e); err != nil {
			b.mu.Lock()
			b.missed = bounded(append(missed[i:], b.missed...))
			b.mu.Unlock()
			return err
		}
	}
	if len(missed) > 0 {
		b.together()
	}
	return nil
}

func (b *Budget) end(ctx context.Context, e *github.Settlement) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	limited, good := "", 0
	switch {
	case e.Limited && e.Secondary:
		limited = "secondary"
	case e.Limited:
		limited = "primary"
	}
	if e.Success {
		good = 1
	}
	till, err := endScript.Run(ctx, b.client, b.keys,
		e.Now.UnixMilli(), e.ID, string(e.Resource), e.Quota.Remaining, e.Quota.Limit, milli(e.Quota.Reset), good, limited, milli(e.LimitEnd),
		e.InitialBackoff.Milliseconds(), github.MaxBackoff.Milliseconds(), keep.Milliseconds(), github.MaxLimitDuration.Milliseconds()).Int64()
	if err != nil {
		return time.Time{}, fmt.Errorf("redis: %w", err)
	}
	return at(till), nil
}

// aside reports whether Redis is not asked for a moment, because it did not answer.
func (b *Budget) aside() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.alone)
}

// together notes that Redis answers.
func (b *Budget) together() {
	b.mu.Lock()
	again := !b.alone.IsZero()
	b.alone = time.Time{}
	b.mu.Unlock()
	if again {
		b.settings.OnDegraded(nil)
	}
}

// trouble goes on without Redis, unless it was the caller who gave up.
func (b *Budget) trouble(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.mu.Lock()
	begun := b.alone.IsZero()
	b.alone = time.Now().Add(aside)
	b.mu.Unlock()
	if begun {
		b.settings.OnDegraded(err)
	}
	return nil
}

// decode reads what the script says. A value that cannot be is taken for none.
func decode(answer []any) (github.BudgetState, error) {
	if len(answer) != 4 {
		return github.BudgetState{}, errors.New("redis: an answer of another form")
	}
	flight, ok1 := answer[0].(int64)
	busy, ok2 := answer[1].(int64)
	fields, ok3 := answer[3].([]any)
	if !ok1 || !ok2 || !ok3 {
		return github.BudgetState{}, errors.New("redis: an answer of another form")
	}
	known := github.BudgetState{
		Quotas: make(map[github.Resource]github.Quota), Primary: make(map[github.Resource]github.Limit),
		InFlight: int(flight), SlotsFull: busy != 0, PacedUntil: at(number(answer[2])),
	}
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		put(&known, name, number(fields[i+1]))
	}
	return known, nil
}

// put sets what a field of the hash says: "secondary" and "secondary:met", or "<resource>:closed", ":closed:met", ":remaining", ":limit"
// and ":reset".
func put(known *github.BudgetState, field string, value int64) {
	name, what, _ := strings.Cut(field, ":")
	resource := github.Resource(name)
	closed := known.Primary[resource]
	switch {
	case field == "secondary":
		known.Secondary.End = at(value)
	case field == "secondary:met":
		known.Secondary.MetAt = at(value)
	case what == "closed":
		closed.End = at(value)
		known.Primary[resource] = closed
	case what == "closed:met":
		closed.MetAt = at(value)
		known.Primary[resource] = closed
	default:
		putQuota(known, resource, what, value)
	}
}

func putQuota(known *github.BudgetState, resource github.Resource, what string, value int64) {
	quota := known.Quotas[resource]
	switch what {
	case "remaining":
		quota.Remaining = int(value)
	case "limit":
		quota.Limit = int(value)
	case "reset":
		quota.Reset = at(value)
	default:
		return
	}
	known.Quotas[resource] = quota
}

func number(v any) int64 {
	text, _ := v.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// at is a time of the store, zero for 0.
func at(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func milli(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
