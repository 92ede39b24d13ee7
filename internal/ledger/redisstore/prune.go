// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// removeBatchSize is the number of keys of events that one command deletes.
	removeBatchSize = 500
	// logSlack is added to the retention of log entries: Redis's clock may be behind that of the replicas.
	logSlack = 24 * time.Hour
)

// errConcurrentChange is the error of a pruning during which another replica has pruned, or a repository has returned.
// The next pruning continues it.
var errConcurrentChange = errors.New("the ledger was changed concurrently")

// Prune implements ledger.Store. It sets the limit, before which no event is admitted, and purges repositories that are
// gone (see purge.go); then it carries the totals of the old events, deletes their keys and trims the log. A pruning
// that was interrupted between two steps is completed by the next one.
func (s *Store) Prune(ctx context.Context, org string, before time.Time) error {
	p := &pruning{store: s, org: org, keys: s.keys(org)}
	if err := p.loadState(ctx); err != nil || p.epoch == "" {
		return err
	}
	limit := before.UTC().Truncate(time.Second)
	if !limit.After(p.pruned) {
		limit = p.pruned // complete an interrupted pruning
	} else if err := p.setPrunedBefore(ctx, limit); err != nil {
		return err
	}
	if !p.carried.Before(limit) && !p.swept.Before(limit) {
		return nil
	}
	if err := p.carryAndTrim(ctx, limit); err != nil {
		return fmt.Errorf("redis: prune %s: %w", org, err)
	}
	return nil
}

// pruning is one call of Prune.
type pruning struct {
	store *Store
	org   string
	keys  orgKeys

	// The state of the ledger. The times are the limits that each step has completed.
	epoch, last            string
	pruned, carried, swept time.Time
}

// loadState reads what the organization's meta says of earlier prunings.
func (p *pruning) loadState(ctx context.Context) error {
	values, err := p.store.client.HMGet(ctx, p.keys.meta, "epoch", "pruned", "carried", "swept", "last").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", p.org, err)
	}
	p.epoch, p.last = replyString(values[0]), replyString(values[4])
	p.pruned, p.carried = parseOptionalTime(replyString(values[1])), parseOptionalTime(replyString(values[2]))
	p.swept = parseOptionalTime(replyString(values[3]))
	return nil
}

// setPrunedBefore sets the limit: events and gaps before it are refused and hidden from now on.
func (p *pruning) setPrunedBefore(ctx context.Context, limit time.Time) error {
	purge, err := p.findPurgeable(ctx)
	if err != nil {
		return err
	}
	frame, err := ledger.EncodeChange(ledger.Change{PrunedBefore: limit, Progress: purge.progress()})
	if err != nil {
		return err
	}
	a := p.pruneArguments(limit, frame, &purge)
	applied, err := pruneScript.Run(ctx, p.store.client, a.keys, a.values...).Int()
	if err != nil {
		return fmt.Errorf("redis: prune %s: %w", p.org, err)
	}
	p.store.invalidate(p.org)
	if applied == 0 {
		return fmt.Errorf("redis: prune %s: %w", p.org, errConcurrentChange)
	}
	if err := p.dropOldGaps(ctx, limit); err != nil {
		return err
	}
	return p.loadState(ctx)
}

// pruneArguments returns the arguments of the prune script.
func (p *pruning) pruneArguments(limit time.Time, frame []byte, purge *purgeSet) *scriptArguments {
	a := newScriptArguments(9, 16)
	a.key("meta", p.keys.meta)
	a.key("log", p.keys.log)
	a.key("cov", p.keys.cov)
	a.key("carried", p.keys.carried)
	a.key("entries", p.keys.entries)
	a.key("seen", p.keys.seen)
	a.key("series", p.keys.series)
	a.key("tallies", p.keys.tallies)
	a.key("removed", p.keys.removed)
	a.value("epoch", p.epoch)
	a.value("expected_pruned", encodeOptionalTime(p.pruned))
	a.value("expected_carried", encodeOptionalTime(p.carried))
	a.value("pruned", encodeOptionalTime(limit))
	a.value("frame", frame)
	purge.addTo(a)
	return a
}

// dropOldGaps commits the parts of gaps before the limit as read.
func (p *pruning) dropOldGaps(ctx context.Context, limit time.Time) error {
	cov, err := p.store.Coverage(ctx, p.org)
	if err != nil {
		return err
	}
	var progress ledger.Progress
	for _, r := range cov.Repos {
		read := ledger.RepoProgress{ID: r.ID}
		for _, stream := range activity.AllStreams() {
			if missing := r.Missing[stream]; len(missing) > 0 && missing[0].Start.Before(limit) {
				read.Read = append(read.Read, ledger.StreamWindow{
					Stream: stream, Window: activity.Window{Start: missing[0].Start, End: limit},
				})
			}
		}
		if len(read.Read) > 0 {
			progress.Repos = append(progress.Repos, read)
		}
	}
	if len(progress.Repos) == 0 {
		return nil
	}
	_, err = p.store.Commit(ctx, 0, ledger.Batch{Org: p.org, Progress: progress})
	return err
}

// carryAndTrim scans the log once for events before the limit, carries their totals, deletes their keys and trims.
func (p *pruning) carryAndTrim(ctx context.Context, limit time.Time) error {
	carry := make(map[string]*ledger.CarriedTotals)
	var expired []any
	var r recordReader
	err := p.store.scanLog(ctx, p.keys.log, p.last, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			list, _ := r.decodeEntry(nil, entry) // followers report invalid records
			for i := range list {
				expired = p.classify(&list[i], limit, carry, expired)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.carried.Before(limit) {
		if err := p.carryTotals(ctx, limit, carry); err != nil {
			return err
		}
	}
	return p.trim(ctx, limit, expired)
}

// classify adds an event of the log to the totals to carry and to the keys to delete, unless these steps are completed
// for it or it is not before the limit. It returns the keys.
func (p *pruning) classify(
	e *activity.Event, limit time.Time, carry map[string]*ledger.CarriedTotals, expired []any,
) []any {
	if !e.Time.Before(limit) {
		return expired
	}
	if !e.Time.Before(p.carried) {
		field := seriesField(e.Repo, e.Actor)
		if carry[field] == nil {
			carry[field] = new(ledger.CarriedTotals)
		}
		carry[field].AddEvent(e)
	}
	if !e.Time.Before(p.swept) {
		expired = append(expired, appendKey(nil, e.Key()))
	}
	return expired
}

// carryTotals runs the carry script.
func (p *pruning) carryTotals(ctx context.Context, limit time.Time, carry map[string]*ledger.CarriedTotals) error {
	a := p.carryArguments(limit, carry)
	applied, err := carryScript.Run(ctx, p.store.client, a.keys, a.values...).Int()
	if err == nil && applied == 0 {
		err = errConcurrentChange
	}
	return err
}

// carryArguments returns the arguments of the carry script. carry has the totals to add by field of the hash "carried".
func (p *pruning) carryArguments(limit time.Time, carry map[string]*ledger.CarriedTotals) *scriptArguments {
	a := newScriptArguments(3, 4+2*len(carry))
	a.key("meta", p.keys.meta)
	a.key("series", p.keys.series)
	a.key("carried", p.keys.carried)
	a.value("epoch", p.epoch)
	a.value("expected_carried", encodeOptionalTime(p.carried))
	a.value("limit", encodeOptionalTime(limit))
	a.value("legacy", legacyTotalIDs())
	totals := make([]any, 0, 2*len(carry))
	for field, sums := range carry {
		totals = append(totals, field, formatTotals(sums))
	}
	a.remaining("totals", totals)
	return a
}

// trim deletes the keys of events and the log entries before the limit.
func (p *pruning) trim(ctx context.Context, limit time.Time, expired []any) error {
	pipe := p.store.client.Pipeline()
	for len(expired) > 0 {
		n := min(len(expired), removeBatchSize)
		pipe.SRem(ctx, p.keys.seen, expired[:n]...)
		pipe.HDel(ctx, p.keys.removed, toStrings(expired[:n])...)
		expired = expired[n:]
	}
	pipe.HSet(ctx, p.keys.meta, "swept", encodeOptionalTime(limit))
	pipe.XTrimMinIDApprox(ctx, p.keys.log, p.trimMinID(limit), 0)
	_, err := pipe.Exec(ctx)
	return err
}

// legacyTotalIDs returns the ids of totals that are stored without ids, in their order.
func legacyTotalIDs() string {
	var ids []string
	for _, id := range ledger.LegacyTotalIDs() {
		ids = append(ids, strconv.Itoa(int(id)))
	}
	return strings.Join(ids, " ")
}

// trimMinID returns the id before which log entries are deleted. The last entry always stays: a ledger without it
// counts as damaged.
func (p *pruning) trimMinID(limit time.Time) string {
	before := max(0, limit.Add(-logSlack).UnixMilli())
	if last, _, ok := strings.Cut(p.last, "-"); ok {
		if n, err := strconv.ParseInt(last, 10, 64); err == nil {
			before = min(before, n)
		}
	}
	return strconv.FormatInt(before, 10)
}

// toStrings converts keys of events to strings.
func toStrings(keys []any) []string {
	fields := make([]string, len(keys))
	for i, key := range keys {
		fields[i] = string(key.([]byte)) //nolint:forcetypeassert // appendKey made them
	}
	return fields
}
