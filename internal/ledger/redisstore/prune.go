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
	// removedAtOnce is how many members one command takes out of the set of keys.
	removedAtOnce = 500
	// slack is how much longer the log is kept than what is in it: Redis's clock may be behind that of the replicas.
	slack = 24 * time.Hour
)

// errChanged ends a pruning that somebody has outrun: another replica prunes, or a repository is back. The next one goes on.
var errChanged = errors.New("the ledger has changed meanwhile")

// Prune implements ledger.Store. Its steps can be interrupted between any two of them and are finished by the next
// pruning: first nothing older is admitted any more and repositories that left are forgotten (see forget.go), then the totals of the
// old events are carried, then their keys are forgotten, then the log is cut.
func (s *Store) Prune(ctx context.Context, org string, before time.Time) error {
	p := &pruning{store: s, org: org, keys: s.keys(org)}
	if err := p.load(ctx); err != nil || p.epoch == "" {
		return err
	}
	limit := before.UTC().Truncate(time.Second)
	if !limit.After(p.pruned) {
		limit = p.pruned // what was begun is finished
	} else if err := p.mark(ctx, limit); err != nil {
		return err
	}
	if !p.carried.Before(limit) && !p.swept.Before(limit) {
		return nil
	}
	if err := p.sweep(ctx, limit); err != nil {
		return fmt.Errorf("redis: prune %s: %w", org, err)
	}
	return nil
}

type pruning struct {
	store                  *Store
	org, epoch             string
	keys                   keys
	pruned, carried, swept time.Time
	last                   string
}

func (p *pruning) load(ctx context.Context) error {
	values, err := p.store.client.HMGet(ctx, p.keys.meta, "epoch", "pruned", "carried", "swept", "last").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", p.org, err)
	}
	p.epoch, p.last = text(values[0]), text(values[4])
	p.pruned, p.carried, p.swept = fromUnix(text(values[1])), fromUnix(text(values[2])), fromUnix(text(values[3]))
	return nil
}

// mark refuses and hides what is older from now on.
func (p *pruning) mark(ctx context.Context, limit time.Time) error {
	f, err := p.forgettable(ctx)
	if err != nil {
		return err
	}
	said, err := ledger.EncodeChange(ledger.Change{PrunedBefore: limit, Progress: f.said()})
	if err != nil {
		return err
	}
	args := append([]any{p.epoch, unix(p.pruned), unix(p.carried), unix(limit), said}, f.arguments()...)
	done, err := markScript.Run(ctx, p.store.client, p.keys.ofMark(), args...).Int()
	if err != nil {
		return fmt.Errorf("redis: prune %s: %w", p.org, err)
	}
	p.store.forget(p.org)
	if done == 0 {
		return fmt.Errorf("redis: prune %s: %w", p.org, errChanged)
	}
	if err := p.unmiss(ctx, limit); err != nil {
		return err
	}
	return p.load(ctx)
}

// ofMark are the keys that mark.lua wants.
func (k *keys) ofMark() []string {
	return []string{k.meta, k.log, k.cov, k.carried, k.samples, k.seen, k.series, k.tallies, k.removed}
}

// unmiss takes what is older out of what is missing: nobody wants it any more.
func (p *pruning) unmiss(ctx context.Context, limit time.Time) error {
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

// sweep carries, forgets and cuts.
func (p *pruning) sweep(ctx context.Context, limit time.Time) error {
	carry := make(map[string]*ledger.Totals)
	var forget []any
	var r reader
	err := p.store.scan(ctx, p.keys.log, p.last, func(entries []redis.XMessage) error {
		for _, entry := range entries {
			list, _ := r.events(nil, entry) // damage is reported by who follows
			for i := range list {
				forget = p.take(&list[i], limit, carry, forget)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.carried.Before(limit) {
		if err := p.carry(ctx, limit, carry); err != nil {
			return err
		}
	}
	return p.cut(ctx, limit, forget)
}

// take looks at an event of the log.
func (p *pruning) take(e *activity.Event, limit time.Time, carry map[string]*ledger.Totals, forget []any) []any {
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

func (p *pruning) carry(ctx context.Context, limit time.Time, carry map[string]*ledger.Totals) error {
	args := make([]any, 0, 4+2*len(carry))
	args = append(args, p.epoch, unix(p.carried), unix(limit), legacyOrder())
	for field, totals := range carry {
		args = append(args, field, formatTotals(totals))
	}
	done, err := carryScript.Run(ctx, p.store.client, []string{p.keys.meta, p.keys.series, p.keys.carried}, args...).Int()
	if err == nil && done == 0 {
		err = errChanged
	}
	return err
}

func (p *pruning) cut(ctx context.Context, limit time.Time, forget []any) error {
	pipe := p.store.client.Pipeline()
	for len(forget) > 0 {
		n := min(len(forget), removedAtOnce)
		pipe.SRem(ctx, p.keys.seen, forget[:n]...)
		pipe.HDel(ctx, p.keys.removed, fieldsOf(forget[:n])...)
		forget = forget[n:]
	}
	pipe.HSet(ctx, p.keys.meta, "swept", unix(limit))
	pipe.XTrimMinIDApprox(ctx, p.keys.log, p.trimBefore(limit), 0)
	_, err := pipe.Exec(ctx)
	return err
}

// legacyOrder are the ids of the totals that are stored without them.
func legacyOrder() string {
	var ids []string
	for _, id := range ledger.LegacyTotalIDs() {
		ids = append(ids, strconv.Itoa(int(id)))
	}
	return strings.Join(ids, " ")
}

// trimBefore is the id of the log before which entries are cut. The last entry stays, whatever Redis's clock says:
// without it the ledger is not whole.
func (p *pruning) trimBefore(limit time.Time) string {
	before := max(0, limit.Add(-slack).UnixMilli())
	if last, _, ok := strings.Cut(p.last, "-"); ok {
		if n, err := strconv.ParseInt(last, 10, 64); err == nil {
			before = min(before, n)
		}
	}
	return strconv.FormatInt(before, 10)
}

// fieldsOf are keys as the fields of a hash.
func fieldsOf(keys []any) []string {
	fields := make([]string, len(keys))
	for i, key := range keys {
		fields[i] = string(key.([]byte)) //nolint:forcetypeassert // appendKey made them
	}
	return fields
}
