package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// blockTimeout is how long a read of the log waits for something new. It bounds how long stopping takes.
	blockTimeout = 250 * time.Millisecond
	// checkInterval is how often followers look whether the log is still the one that they follow.
	checkInterval = 2 * time.Second
	// replyTimeout is how long Redis may take beyond that.
	replyTimeout = 2 * time.Second
	// retryInterval is the wait after Redis could not be read.
	retryInterval = time.Second
	// logPageSize is how many commits are read at once.
	logPageSize = 500
)

// errLogReplaced ends the following of a log that is not what it was.
var errLogReplaced = errors.New("the log is another one")

// applyError wraps the error of a caller's apply, which ends Follow.
type applyError struct{ error }

// Follow implements ledger.Store. Trouble with Redis does not end it: the follower goes on where it was, or with a new
// snapshot when the log is not what it was.
func (s *Store) Follow(ctx context.Context, org string, apply func(ledger.Change) error) error {
	f := &follower{store: s, org: org, keys: s.keys(org), apply: func(c ledger.Change) error {
		if err := apply(c); err != nil {
			return applyError{err}
		}
		return nil
	}}
	troubled := false
	for {
		err := f.step(ctx)
		var mine applyError
		switch {
		case errors.As(err, &mine):
			return mine.error
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case (err != nil) != troubled:
			troubled = err != nil
			s.settings.OnFollowError(org, err)
		}
		if err != nil {
			pause(ctx, retryInterval)
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// follower is one caller of Follow.
type follower struct {
	store *Store
	org   string
	keys  orgKeys
	apply func(ledger.Change) error

	epoch   string // of the log that is followed
	last    string // the last entry applied
	caughtUp  bool   // a snapshot was applied
	lastCheck time.Time
	snapshotStart   time.Time // of the snapshot
	reader  recordReader
}

func (f *follower) now() time.Time { return f.store.settings.Now() }

// step takes a snapshot, or what is new.
func (f *follower) step(ctx context.Context) error {
	if !f.caughtUp {
		return f.applySnapshot(ctx)
	}
	if refresh := f.store.settings.SnapshotInterval; refresh > 0 && f.now().Sub(f.snapshotStart) >= refresh {
		return f.applySnapshot(ctx)
	}
	n, err := f.readNew(ctx)
	if err == nil && n == 0 && f.now().Sub(f.lastCheck) >= checkInterval {
		err = f.checkLog(ctx)
	}
	if errors.Is(err, errLogReplaced) {
		return f.restart(ctx)
	}
	return err
}

// restart takes a new snapshot. Of a ledger that has just begun, because Redis lost its memory, it waits until a pass has
// looked at everything: what is known is better than a part.
func (f *follower) restart(ctx context.Context) error {
	values, err := f.store.client.HMGet(ctx, f.keys.meta, "epoch", "edge").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", f.org, err)
	}
	if epoch, edge := replyString(values[0]), replyString(values[1]); f.epoch != "" && epoch != f.epoch && edge == "" {
		pause(ctx, retryInterval)
		return nil
	}
	return f.applySnapshot(ctx)
}

// readNew applies the entries that are new.
func (f *follower) readNew(ctx context.Context) (int, error) {
	from := f.last
	if from == "" {
		from = "0"
	}
	limited, cancel := context.WithTimeout(ctx, blockTimeout+replyTimeout) // the library would wait for 10 s more
	defer cancel()
	streams, err := f.store.client.XRead(limited, &redis.XReadArgs{
		Streams: []string{f.keys.log, from}, Count: logPageSize, Block: blockTimeout,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("redis: read the log of %s: %w", f.org, err)
	}
	n := 0
	for _, stream := range streams {
		for _, entry := range stream.Messages {
			if entryField(entry, "p") != f.last {
				return n, errLogReplaced
			}
			if err := f.applyEntry(entry); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

func entryField(entry redis.XMessage, name string) string { return replyString(entry.Values[name]) }

// applyEntry applies an entry of the log. It has been applied even when apply fails: no caller goes on after that.
func (f *follower) applyEntry(entry redis.XMessage) error {
	f.last = entry.ID
	var c ledger.Change
	if frame := entryField(entry, "c"); frame != "" {
		decoded, err := ledger.DecodeChange([]byte(frame))
		if err != nil {
			f.store.reportCorrupt(f.keys.log, entry.ID, err)
		} else {
			c = decoded
		}
	}
	var err error
	if c.Events, err = f.reader.decodeEntry(nil, entry); err != nil {
		f.store.reportCorrupt(f.keys.log, entry.ID, err)
	}
	if c.Removed, err = decodeKeys(entryField(entry, "r")); err != nil {
		f.store.reportCorrupt(f.keys.log, entry.ID, err)
	}
	if c.Restored, err = decodeKeys(entryField(entry, "b")); err != nil {
		f.store.reportCorrupt(f.keys.log, entry.ID, err)
	}
	if folded, err := strconv.ParseUint(entryField(entry, "f"), 10, 32); err == nil {
		c.Tallies = append(c.Tallies, ledger.Tally{TallyKey: ledger.TallyKey{Name: ledger.TallySeriesOverflow}, Add: folded})
	}
	c.Reset, c.CaughtUp = false, false
	return f.apply(c)
}

// checkLog looks whether the log is still the one that is followed: Redis may have lost its memory, or a part of it in a
// failover.
func (f *follower) checkLog(ctx context.Context) error {
	f.lastCheck = f.now()
	pipe := f.store.client.Pipeline()
	meta := pipe.HMGet(ctx, f.keys.meta, "epoch", "last")
	seen, series := pipe.SCard(ctx, f.keys.seen), pipe.HLen(ctx, f.keys.series)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", f.org, err)
	}
	f.store.cacheSizes(f.org, series.Val(), seen.Val())
	epoch, last := replyString(meta.Val()[0]), replyString(meta.Val()[1])
	switch {
	case f.epoch == "" && last == f.last:
		f.epoch = epoch // the ledger began, and the follower has it from its first entry on
		return nil
	case epoch != f.epoch:
		return errLogReplaced
	case last == f.last:
		return nil
	}
	// There are entries that the log does not give, unless they came since.
	if n, err := f.readNew(ctx); err != nil || n > 0 {
		return err
	}
	return errLogReplaced
}

// cacheSizes keeps the sizes of a hash and of a set, each of which has a mark.
func (s *Store) cacheSizes(org string, series, events int64) {
	k := s.cacheOf(org)
	k.series.Store(max(0, series-1))
	k.events.Store(max(0, events-1))
}

// applySnapshot applies the whole ledger.
func (f *follower) applySnapshot(ctx context.Context) error {
	f.snapshotStart = f.now()
	c, err := f.readContents(ctx)
	if err != nil {
		return err
	}
	if !c.isIntact() {
		return fmt.Errorf("redis: %s: %w", f.org, errDamaged)
	}
	f.store.cacheSizes(f.org, c.series, c.seen)
	f.caughtUp = false
	f.epoch, f.last, f.reader = c.meta["epoch"], c.meta["last"], recordReader{}
	first := ledger.Change{
		Reset: true, LedgerStart: parseOptionalTime(c.meta["began"]), Progress: f.store.decodeProgress(f.keys.cov, c.meta["edge"], c.cov),
		Tallies: f.store.decodeTallies(f.keys.tallies, c.tallies), Entries: f.store.decodeEntries(f.keys.samples, c.samples),
	}
	if err := f.apply(first); err != nil {
		return err
	}
	if err := f.applyCarried(c.carried); err != nil {
		return err
	}
	if err := f.applyEvents(ctx, parseOptionalTime(c.meta["carried"])); err != nil {
		return err
	}
	if now, err := f.store.client.HMGet(ctx, f.keys.meta, "epoch", "carried").Result(); err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", f.org, err)
	} else if replyString(now[0]) != c.meta["epoch"] || replyString(now[1]) != c.meta["carried"] {
		return nil // pruned meanwhile, so that entries may be missing: once more
	}
	f.caughtUp, f.lastCheck = true, f.now()
	return f.apply(ledger.Change{Removed: f.decodeRemoved(c.removed), PrunedBefore: parseOptionalTime(c.meta["pruned"]), CaughtUp: true})
}

// decodeRemoved are the keys of the events that are not there any more.
func (f *follower) decodeRemoved(fields map[string]string) []activity.Key {
	keys := make([]activity.Key, 0, len(fields))
	for member := range fields {
		if member == markerField {
			continue
		}
		list, err := decodeKeys(member)
		if err != nil {
			f.store.reportCorrupt(f.keys.removed, strconv.Quote(member), err)
			continue
		}
		keys = append(keys, list...)
	}
	return keys
}

func (f *follower) applyCarried(fields map[string]string) error {
	list := make([]ledger.CarriedTotals, 0, min(len(fields), ledger.SnapshotChunk))
	for series, totals := range fields {
		if series == markerField {
			continue
		}
		c, err := f.reader.decodeCarried(series, totals)
		if err != nil {
			f.store.reportCorrupt(f.keys.carried, strconv.Quote(series), err)
			continue
		}
		if list = append(list, c); len(list) == ledger.SnapshotChunk {
			if err := f.apply(ledger.Change{Carried: list}); err != nil {
				return err
			}
			list = make([]ledger.CarriedTotals, 0, ledger.SnapshotChunk)
		}
	}
	return f.apply(ledger.Change{Carried: list})
}

// applyEvents applies the events of the log up to the snapshot's moment, but for those that are carried already.
func (f *follower) applyEvents(ctx context.Context, carried time.Time) error {
	last := ""
	err := f.store.scanLog(ctx, f.keys.log, f.last, func(entries []redis.XMessage) (err error) {
		if last, err = f.verifyChain(ctx, last, entries); err != nil {
			return err
		}
		var list []activity.Event
		for _, entry := range entries {
			from := len(list)
			var err error
			if list, err = f.reader.decodeEntry(list, entry); err != nil {
				f.store.reportCorrupt(f.keys.log, entry.ID, err)
			}
			if !carried.IsZero() {
				list = list[:from+filterNotBefore(list[from:], carried)]
			}
		}
		return f.apply(ledger.Change{Events: list})
	})
	if err == nil && last != f.last {
		return fmt.Errorf("redis: %s: %w: the log ends before its last entry", f.org, errDamaged)
	}
	return err
}

// filterNotBefore moves the events that are not older to the front and gives their number.
func filterNotBefore(list []activity.Event, before time.Time) int {
	n := 0
	for i := range list {
		if !list[i].Time.Before(before) {
			list[n] = list[i]
			n++
		}
	}
	return n
}

// scanLog gives the entries of a log from its beginning up to last. The next ones are read while the caller looks at some.
func (s *Store) scanLog(ctx context.Context, log, last string, visit func([]redis.XMessage) error) error {
	if last == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages := s.readPages(ctx, log, last)
	for page := range pages {
		if page.err != nil {
			return fmt.Errorf("redis: read the log: %w", page.err)
		}
		if err := visit(page.entries); err != nil {
			return err
		}
	}
	return ctx.Err()
}

type logPage struct {
	entries []redis.XMessage
	err     error
}

// readPages reads a log in the background until it is read, a page fails or ctx ends.
func (s *Store) readPages(ctx context.Context, log, last string) <-chan logPage {
	pages := make(chan logPage, 1)
	go func() {
		defer close(pages)
		for from := "-"; ; {
			entries, err := s.client.XRangeN(ctx, log, from, last, logPageSize).Result()
			if err == nil && len(entries) == 0 {
				return
			}
			select {
			case pages <- logPage{entries, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			from = "(" + entries[len(entries)-1].ID
		}
	}()
	return pages
}
