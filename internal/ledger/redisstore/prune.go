package redisstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// removedAtOnce is how many members one command takes out of the set of keys.
	removedAtOnce = 500
	// scannedAtOnce is how many fields one step of a scan of a hash looks at.
	scannedAtOnce = 500
	// slack is how much longer the log is kept than what is in it: Redis's clock may be behind that of the replicas.
	slack = 24 * time.Hour
)

// Prune implements ledger.Store. Its steps can be interrupted between any two of them and are finished by the next
// pruning: first nothing older is admitted any more and repositories that left are forgotten, then the totals of the old events
// are carried, then old samples are taken out, then the keys of the old events are forgotten, then the log is cut.
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
	cov, err := p.store.Coverage(ctx, p.org)
	if err != nil {
		return err
	}
	change := ledger.Change{Pruned: limit, Progress: ledger.Progress{Repos: cov.Forgettable(limit)}}
	said, err := ledger.EncodeChange(change)
	if err != nil {
		return err
	}
	lists, err := p.forgetting(ctx, change.Progress.Repos)
	if err != nil {
		return err
	}
	args := append([]any{p.epoch, unix(p.pruned), unix(limit), said}, lists...)
	done, err := markScript.Run(ctx, p.store.client, []string{p.keys.meta, p.keys.log, p.keys.cov, p.keys.carried}, args...).Int()
	if err != nil {
		return fmt.Errorf("redis: prune %s: %w", p.org, err)
	}
	p.store.forget(p.org)
	if done == 0 {
		return fmt.Errorf("redis: prune %s: another replica prunes", p.org)
	}
	if err := p.unmiss(ctx, limit); err != nil {
		return err
	}
	return p.load(ctx)
}

// forgetting are the lists that mark.lua wants for the repositories that are forgotten.
func (p *pruning) forgetting(ctx context.Context, repos []ledger.RepoProgress) ([]any, error) {
	var gone, known []any
	for i := range repos {
		id := repos[i].ID
		gone = append(gone, goneField(id), stamp(repos[i].GoneSince))
		known = append(known, contactField(id), nameField(id), goneField(id), signalsField(id))
		for _, stream := range activity.AllStreams() {
			known = append(known, missingField(id, stream))
		}
	}
	totals, err := p.totalsOf(ctx, repos)
	var args []any
	for _, list := range [][]any{gone, known, totals} {
		args = append(append(args, len(list)), list...)
	}
	return args, err
}

// totalsOf are the fields of the hash "carried" that are some repositories'.
func (p *pruning) totalsOf(ctx context.Context, repos []ledger.RepoProgress) ([]any, error) {
	if len(repos) == 0 {
		return nil, nil
	}
	wanted := make(map[int64]bool, len(repos))
	for i := range repos {
		wanted[repos[i].ID] = true
	}
	var list []any
	for cursor := uint64(0); ; {
		fields, next, err := p.store.client.HScan(ctx, p.keys.carried, cursor, "", scannedAtOnce).Result()
		if err != nil {
			return nil, fmt.Errorf("redis: prune %s: %w", p.org, err)
		}
		for i := 0; i+1 < len(fields); i += 2 {
			if repo, ok := repoOfSeries(fields[i]); ok && wanted[repo] {
				list = append(list, fields[i])
			}
		}
		if cursor = next; cursor == 0 {
			return list, nil
		}
	}
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
			list, _ := r.events(nil, field(entry, "e")) // damage is reported by who follows
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
	if err := p.dropSamples(ctx, limit); err != nil {
		return err
	}
	return p.cut(ctx, limit, forget)
}

// leaveOut takes the series of repositories that are forgotten out of those to carry, and out of the ledger.
func (p *pruning) leaveOut(ctx context.Context, carry map[string]*ledger.Totals) error {
	of := make(map[string][]string) // by the field that every repository has
	for series := range carry {
		if repo, ok := repoOfSeries(series); ok {
			of[contactField(repo)] = append(of[contactField(repo)], series)
		}
	}
	for fields := range slices.Chunk(slices.Collect(maps.Keys(of)), scannedAtOnce) {
		values, err := p.store.client.HMGet(ctx, p.keys.cov, fields...).Result()
		if err != nil {
			return err
		}
		for i, value := range values {
			if value != nil {
				continue
			}
			if err := p.store.client.HDel(ctx, p.keys.series, of[fields[i]]...).Err(); err != nil {
				return err
			}
			for _, series := range of[fields[i]] {
				delete(carry, series)
			}
		}
	}
	return nil
}

// dropSamples takes out samples that were observed before a time.
func (p *pruning) dropSamples(ctx context.Context, limit time.Time) error {
	for cursor := "0"; ; {
		next, err := expireScript.Run(ctx, p.store.client, []string{p.keys.samples}, cursor, scannedAtOnce, stamp(limit)).Text()
		if err != nil {
			return err
		}
		if cursor = next; cursor == "0" {
			return nil
		}
	}
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
		carry[field].Count(e)
	}
	if !e.Time.Before(p.swept) {
		forget = append(forget, appendKey(nil, e))
	}
	return forget
}

func (p *pruning) carry(ctx context.Context, limit time.Time, carry map[string]*ledger.Totals) error {
	if err := p.leaveOut(ctx, carry); err != nil {
		return err
	}
	args := make([]any, 0, 4+len(carry)*(1+ledger.NumTotals))
	args = append(args, p.epoch, unix(p.carried), unix(limit), ledger.NumTotals)
	for field, totals := range carry {
		args = append(args, field)
		for _, n := range totals {
			args = append(args, strconv.FormatUint(n, 10))
		}
	}
	done, err := carryScript.Run(ctx, p.store.client, []string{p.keys.meta, p.keys.series, p.keys.carried}, args...).Int()
	if err == nil && done == 0 {
		err = errors.New("another replica prunes")
	}
	return err
}

func (p *pruning) cut(ctx context.Context, limit time.Time, forget []any) error {
	pipe := p.store.client.Pipeline()
	for len(forget) > 0 {
		n := min(len(forget), removedAtOnce)
		pipe.SRem(ctx, p.keys.seen, forget[:n]...)
		forget = forget[n:]
	}
	pipe.HSet(ctx, p.keys.meta, "swept", unix(limit))
	pipe.XTrimMinIDApprox(ctx, p.keys.log, strconv.FormatInt(max(0, limit.Add(-slack).UnixMilli()), 10), 0)
	_, err := pipe.Exec(ctx)
	return err
}
