// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package redisbudget shares a credential's budget between replicas, in Redis: a hash of the state of the limits,
// "<prefix>:1:{budget:<credential>}:known", and a sorted set of the requests in flight, ...":flight". Times are
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

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/rediskeys"
)

const (
	// redisTimeout bounds one round trip to Redis. After a failure the circuit is open for circuitOpenFor: this process
	// goes on with its local budget.
	redisTimeout   = 250 * time.Millisecond
	circuitOpenFor = time.Second
	// retention is how long the keys outlive the last request. It is longer than every limit.
	retention = 25 * time.Hour
	// maxPending bounds the settlements that are queued while Redis is unavailable.
	maxPending = 64
)

var (
	//go:embed scripts/reserve.lua
	reserveSource string
	//go:embed scripts/settle.lua
	settleSource string

	reserveScript = redis.NewScript(reserveSource)
	settleScript  = redis.NewScript(settleSource)
)

// Settings configure a Budget.
type Settings struct {
	// Prefix is that of the keys' names, Credential the name of the credential in them; it is no secret.
	Prefix, Credential string
	// OnDegraded is called once with an error when the budget becomes local to this process, and with nil when it is
	// shared again. It must not block.
	OnDegraded func(err error)
}

// Budget is a budget in Redis, and that of this process while Redis is unavailable: it does not fail. It does not own
// its client. It is safe for concurrent use.
type Budget struct {
	client   redis.UniversalClient
	settings Settings
	keys     []string
	local    budget.Local

	mu sync.Mutex
	// circuitOpenUntil is until when Redis is not called, by the local clock; zero when the last call succeeded.
	circuitOpenUntil time.Time
	// pending are the settlements that have not reached Redis, oldest first.
	pending []budget.Settlement
}

var _ budget.Budget = (*Budget)(nil)

// New returns a budget. It does no I/O.
func New(client redis.UniversalClient, settings Settings) *Budget {
	prefix, credential := rediskeys.Prefix(settings.Prefix), settings.Credential
	keys := []string{prefix.Budget(credential, "known"), prefix.Budget(credential, "flight")}
	return &Budget{client: client, settings: settings, keys: keys}
}

// Reserve implements budget.Budget. It reserves a slot of this process first.
func (b *Budget) Reserve(ctx context.Context, r budget.Reservation) (budget.State, error) {
	local, err := b.local.Reserve(ctx, r)
	if err != nil || b.isCircuitOpen() {
		return local, err
	}
	if !local.IsReserved(r.Resource, r.Now) {
		if err = b.replayPending(ctx, r.Now); err != nil {
			err = b.openCircuit(ctx, err)
		}
		return local, err
	}
	shared, err := b.reserveShared(ctx, &r)
	if err != nil {
		if err = b.openCircuit(ctx, err); err != nil {
			// The caller will not settle it, and the script may have reserved a slot.
			_, _ = b.Settle(context.WithoutCancel(ctx), budget.Settlement{ID: r.ID, Resource: r.Resource, Now: r.Now})
		}
		return local, err
	}
	b.closeCircuit()
	b.local.Merge(&shared, r.Now)
	if !shared.IsReserved(r.Resource, r.Now) { // release the slot of this process
		_, err = b.local.Settle(ctx, budget.Settlement{ID: r.ID, Resource: r.Resource, Now: r.Now})
	}
	return shared, err
}

// reserveShared reserves a slot in Redis, after the queued settlements.
func (b *Budget) reserveShared(ctx context.Context, r *budget.Reservation) (budget.State, error) {
	if err := b.replayPending(ctx, r.Now); err != nil {
		return budget.State{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	unsynced := 0
	if r.UnsyncedClock {
		unsynced = 1
	}
	reply, err := reserveScript.Run(ctx, b.client, b.keys,
		r.Now.UnixMilli(), r.ID, r.ExpiresAt.UnixMilli(), r.MaxInFlight, string(r.Resource),
		r.Interval.Milliseconds(), r.Burst.Milliseconds(), budget.MaxGitHubComLimit,
		budget.MaxLimitDuration.Milliseconds(),
		retention.Milliseconds(), unsynced).Slice()
	if err != nil {
		return budget.State{}, fmt.Errorf("redis: %w", err)
	}
	return decodeState(reply)
}

// Settle implements budget.Budget. A settlement that does not reach Redis is replayed later.
func (b *Budget) Settle(ctx context.Context, s budget.Settlement) (time.Time, error) {
	localEnd, err := b.local.Settle(ctx, s)
	if err != nil {
		return localEnd, err
	}
	if b.isCircuitOpen() {
		b.queuePending(s, localEnd)
		return localEnd, nil
	}
	sharedEnd := localEnd
	if err = b.replayPending(ctx, s.Now); err == nil {
		sharedEnd, err = b.settleShared(ctx, &s)
	}
	if err != nil {
		b.queuePending(s, localEnd)
		return localEnd, b.openCircuit(ctx, err)
	}
	return sharedEnd, nil
}

// Refresh implements budget.Budget. While the circuit is open it does nothing.
func (b *Budget) Refresh(ctx context.Context, now time.Time) error {
	if b.isCircuitOpen() {
		return nil
	}
	reading, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	fields, err := b.client.HGetAll(reading, b.keys[0]).Result()
	if err != nil {
		return b.openCircuit(ctx, fmt.Errorf("redis: %w", err))
	}
	b.closeCircuit()
	state := newState()
	for name, value := range fields {
		setField(&state, name, parseNumber(value))
	}
	b.local.Merge(&state, now)
	return nil
}

// Quotas implements budget.Budget with the quotas that this process has merged.
func (b *Budget) Quotas(now time.Time) map[budget.Resource]budget.Quota { return b.local.Quotas(now) }

// queuePending queues a settlement for replayPending, a limit with the end that the local budget gave it. Its Success
// is dropped: limits may be exceeded before it is replayed.
func (b *Budget) queuePending(s budget.Settlement, localEnd time.Time) {
	s.Success = false
	if s.Limited {
		s.LimitEnd = localEnd
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending = trimPending(append(b.pending, s))
}

// trimPending drops the oldest of too many settlements, those with a limit last: newer ones repeat what the others
// report.
func trimPending(pending []budget.Settlement) []budget.Settlement {
	for len(pending) > maxPending {
		i := max(0, slices.IndexFunc(pending, func(s budget.Settlement) bool { return !s.Limited }))
		pending = slices.Delete(pending, i, i+1)
	}
	return pending
}

// replayPending sends the queued settlements to Redis, with now as their time: the script compares them with what
// other replicas have reported since.
func (b *Budget) replayPending(ctx context.Context, now time.Time) error {
	b.mu.Lock()
	pending := b.pending
	b.pending = nil
	b.mu.Unlock()
	for i, s := range pending {
		s.Now = now
		if _, err := b.settleShared(ctx, &s); err != nil {
			b.mu.Lock()
			b.pending = trimPending(append(pending[i:], b.pending...))
			b.mu.Unlock()
			return err
		}
	}
	if len(pending) > 0 {
		b.closeCircuit()
	}
	return nil
}

// settleShared settles a request in Redis and returns the end of the limit that was exceeded, zero for none.
func (b *Budget) settleShared(ctx context.Context, s *budget.Settlement) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	limited, success := "", 0
	switch {
	case s.Limited && s.Secondary:
		limited = "secondary"
	case s.Limited:
		limited = "primary"
	}
	if s.Success {
		success = 1
	}
	end, err := settleScript.Run(ctx, b.client, b.keys,
		s.Now.UnixMilli(), s.ID, string(s.Resource), s.Quota.Remaining, s.Quota.Limit, toMillis(s.Quota.Reset), success,
		limited, toMillis(s.LimitEnd), s.InitialBackoff.Milliseconds(), budget.MaxBackoff.Milliseconds(),
		retention.Milliseconds(), budget.MaxLimitDuration.Milliseconds()).Int64()
	if err != nil {
		return time.Time{}, fmt.Errorf("redis: %w", err)
	}
	return fromMillis(end), nil
}

// isCircuitOpen reports whether Redis is not called for a moment, because a call failed.
func (b *Budget) isCircuitOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Now().Before(b.circuitOpenUntil)
}

// closeCircuit records that Redis has responded.
func (b *Budget) closeCircuit() {
	b.mu.Lock()
	wasDegraded := !b.circuitOpenUntil.IsZero()
	b.circuitOpenUntil = time.Time{}
	b.mu.Unlock()
	if wasDegraded {
		b.settings.OnDegraded(nil)
	}
}

// openCircuit records a failure of Redis and returns nil; when ctx has ended it returns the cause and records nothing.
func (b *Budget) openCircuit(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	b.mu.Lock()
	isFirst := b.circuitOpenUntil.IsZero()
	b.circuitOpenUntil = time.Now().Add(circuitOpenFor)
	b.mu.Unlock()
	if isFirst {
		b.settings.OnDegraded(err)
	}
	return nil
}

// newState returns a state with empty maps.
func newState() budget.State {
	return budget.State{
		Quotas: make(map[budget.Resource]budget.Quota), Primary: make(map[budget.Resource]budget.Limit),
	}
}

// errReply is the error of a reply of the reserve script that decodeState cannot read.
var errReply = errors.New("redis: unexpected reply of the budget script")

// decodeState decodes the reply of the reserve script: {in flight, slots full (0 or 1), paced until, fields of the
// hash}. A field whose value is invalid counts as absent.
func decodeState(reply []any) (budget.State, error) {
	if len(reply) != 4 {
		return budget.State{}, errReply
	}
	inFlight, ok1 := reply[0].(int64)
	slotsFull, ok2 := reply[1].(int64)
	fields, ok3 := reply[3].([]any)
	if !ok1 || !ok2 || !ok3 {
		return budget.State{}, errReply
	}
	state := newState()
	state.InFlight, state.SlotsFull = int(inFlight), slotsFull != 0
	state.PacedUntil = fromMillis(parseNumber(reply[2]))
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		setField(&state, name, parseNumber(fields[i+1]))
	}
	return state, nil
}

// setField sets a field of the hash: "secondary" and "secondary:met", or "<resource>:closed", ":closed:met",
// ":remaining", ":limit" and ":reset". Others are ignored.
func setField(state *budget.State, field string, value int64) {
	name, suffix, _ := strings.Cut(field, ":")
	resource := budget.Resource(name)
	limit := state.Primary[resource]
	switch {
	case field == "secondary":
		state.Secondary.EndsAt = fromMillis(value)
	case field == "secondary:met":
		state.Secondary.MetAt = fromMillis(value)
	case suffix == "closed":
		limit.EndsAt = fromMillis(value)
		state.Primary[resource] = limit
	case suffix == "closed:met":
		limit.MetAt = fromMillis(value)
		state.Primary[resource] = limit
	default:
		setQuotaField(state, resource, suffix, value)
	}
}

// setQuotaField sets a field of a resource's quota by the suffix of its name.
func setQuotaField(state *budget.State, resource budget.Resource, suffix string, value int64) {
	quota := state.Quotas[resource]
	switch suffix {
	case "remaining":
		quota.Remaining = int(value)
	case "limit":
		quota.Limit = int(value)
	case "reset":
		quota.Reset = fromMillis(value)
	default:
		return
	}
	state.Quotas[resource] = quota
}

// parseNumber parses a decimal string, 0 for anything else.
func parseNumber(v any) int64 {
	text, _ := v.(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// fromMillis decodes a stored time, zero for 0.
func fromMillis(ms int64) time.Time {
	if ms <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// toMillis encodes a time, 0 for zero.
func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
