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
	// removeBatchSize is how many members one command takes out of the set of keys.
	removeBatchSize = 500
	// logSlack is how much longer the log is kept than what is in it: Redis's clock may be behind that of the replicas.
	logSlack = 24 * time.Hour
)

// errConcurrentChange ends a pruning that somebody has outrun: another replica prunes, or a repository is back. The next one goes on.
var errConcurrentChange = errors.New("the ledger has changed meanwhile")

// Prune implements ledger.Store. Its steps can be interrupted between any two of them and are finished by the next
// pruning: first nothing older is admitted any more and repositories that left are forgotten (see forget.go), then the totals of the
// old events are carried, then their keys are forgotten, then the log is cut.
func (s *Store) Prune(ctx context.Context, org string, before time.Time) error {
	p := &pruning{store: s, org: org, keys: s.keys(org)}
	if err := p.loadState(ctx); err != nil || p.epoch == "" {
		return err
	}
	limit := before.UTC().Truncate(time.Second)
	if !limit.After(p.pruned) {
		limit = p.pruned // what was begun is finished
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

type pruning struct {
	store                  *Store
	org, epoch             string
	keys                   orgKeys
	pruned, carried, swept time.Time
	last                   string
}

func (p *pruning) loadState(ctx context.Context) error {
	values, err := p.store.client.HMGet(ctx, p.keys.meta, "epoch", "pruned", "carried", "swept", "last").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", p.org, err)
	}
	p.epoch, p.last = replyString(values[0]), replyString(values[4])
	p.pruned, p.carried, p.swept = parseOptionalTime(replyString(values[1])), parseOptionalTime(replyString(values[2])), parseOptionalTime(replyString(values[3]))
	return nil
}

// setPrunedBefore refuses and hides what is older from now on.
func (p *pruning) setPrunedBefore(ctx context.Context, limit time.Time) error {
	f, err := p.findPurgeable(ctx)
	if err != nil {
		return err
	}
	said, err := ledger.EncodeChange(ledger.Change{PrunedBefore: limit, Progress: f.progress()})
	if err != nil {
		return err
	}
	args := append([]any{p.epoch, encodeOptionalTime(p.pruned), encodeOptionalTime(p.carried), encodeOptionalTime(limit), said}, f.scriptLists()...)
	done, err := pruneScript.Run(ctx, p.store.client, p.keys.pruneScriptKeys(), args...).Int()
	if err != nil {
		return fmt.Errorf("redis: prune %s: %w", p.org, err)
	}
	p.store.invalidate(p.org)
	if done == 0 {
		return fmt.Errorf("redis: prune %s: %w", p.org, errConcurrentChange)
	}
	if err := p.dropOldGaps(ctx, limit); err != nil {
		return err
	}
	return p.loadState(ctx)
}

// pruneScriptKeys are the keys that mark.lua wants.
func (k *orgKeys) pruneScriptKeys() []string {
	return []string{k.meta, k.log, k.cov, k.carried, k.samples, k.seen, k.series, k.tallies, k.removed}
}

// dropOldGaps takes what is older out of what is missing: nobody wants it any more.
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

// carryAndTrim carries, forgets and cuts.
func (p *pruning) carryAndTrim(ctx context.Context, limit time.Time) error {
	carry := make(map[string]*ledger.Totals)
	var forget []any
	var r recordReader
	err := p.store.scanLog(ctx, p.keys.log, p.last, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			list, _ := r.decodeEntry(nil, entry) // damage is reported by who follows
			for i := range list {
				forget = p.classify(&list[i], limit, carry, forget)
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
	return p.trim(ctx, limit, forget)
}

// classify looks at an event of the log.
func (p *pruning) classify(e *activity.Event, limit time.Time, carry map[string]*ledger.Totals, forget []any) []any {
	if !e.Time.Before(limit) {
		return forget
	}
	if !e.Time.Before(p.carried) {
		field := seriesField(e.Repo, e.Actor)
		if carry[field] == nil {
			carry[field] = new(ledger.Totals)
		}
		carry[field].AddEvent(e)
	}
	if !e.Time.Before(p.swept) {
		forget = append(forget, appendKey(nil, e.Key()))
	}
	return forget
}

func (p *pruning) carryTotals(ctx context.Context, limit time.Time, carry map[string]*ledger.Totals) error {
	args := make([]any, 0, 4+2*len(carry))
	args = append(args, p.epoch, encodeOptionalTime(p.carried), encodeOptionalTime(limit), legacyTotalIDs())
	for field, totals := range carry {
		args = append(args, field, formatTotals(totals))
	}
	done, err := carryScript.Run(ctx, p.store.client, []string{p.keys.meta, p.keys.series, p.keys.carried}, args...).Int()
	if err == nil && done == 0 {
		err = errConcurrentChange
	}
	return err
}

func (p *pruning) trim(ctx context.Context, limit time.Time, forget []any) error {
	pipe := p.store.client.Pipeline()
	for len(forget) > 0 {
		n := min(len(forget), removeBatchSize)
		pipe.SRem(ctx, p.keys.seen, forget[:n]...)
		pipe.HDel(ctx, p.keys.removed, toStrings(forget[:n])...)
		forget = forget[n:]
	}
	pipe.HSet(ctx, p.keys.meta, "swept", encodeOptionalTime(limit))
	pipe.XTrimMinIDApprox(ctx, p.keys.log, p.trimMinID(limit), 0)
	_, err := pipe.Exec(ctx)
	return err
}

// legacyTotalIDs are the ids of the totals that are stored without them.
func legacyTotalIDs() string {
	var ids []string
	for _, id := range ledger.LegacyTotalIDs() {
		ids = append(ids, strconv.Itoa(int(id)))
	}
	return strings.Join(ids, " ")
}

// trimMinID is the id of the log before which entries are cut. The last entry stays, whatever Redis's clock says:
// without it the ledger is not whole.
func (p *pruning) trimMinID(limit time.Time) string {
	before := max(0, limit.Add(-logSlack).UnixMilli())
	if last, _, ok := strings.Cut(p.last, "-"); ok {
		if n, err := strconv.ParseInt(last, 10, 64); err == nil {
			before = min(before, n)
		}
	}
	return strconv.FormatInt(before, 10)
}

// toStrings are keys as the fields of a hash.
func toStrings(keys []any) []string {
	fields := make([]string, len(keys))
	for i, key := range keys {
		fields[i] = string(key.([]byte)) //nolint:forcetypeassert // appendKey made them
	}
	return fields
}
