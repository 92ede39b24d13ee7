// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

const (
	// blockTimeout is how long XREAD waits for a new entry of the log. Stopping may take that long.
	blockTimeout = 250 * time.Millisecond
	// checkInterval is the time between two checks of a follower that it still follows the log of the same ledger.
	checkInterval = 2 * time.Second
	// replyTimeout is how long the reply of XREAD may take beyond blockTimeout.
	replyTimeout = 2 * time.Second
	// retryInterval is the wait after an error of Redis.
	retryInterval = time.Second
	// logPageSize is the number of log entries that one command reads.
	logPageSize = 500
)

// errLogReplaced is the error of a follower whose last entry is not the log's any more.
var errLogReplaced = errors.New("the log is that of another ledger")

// applyError wraps an error of the caller's apply function, which ends Follow.
type applyError struct{ error }

// Follow implements ledger.Store. It does not return on an error of Redis: it retries, and continues after the last
// entry that it applied, or with a new snapshot when the log was replaced.
func (s *Store) Follow(ctx context.Context, org string, apply func(ledger.Change) error) error {
	f := &follower{store: s, org: org, keys: s.keys(org), apply: func(c ledger.Change) error {
		if err := apply(c); err != nil {
			return applyError{err}
		}
		return nil
	}}
	failing := false
	for {
		err := f.step(ctx)
		var applying applyError
		switch {
		case errors.As(err, &applying):
			return applying.error
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case (err != nil) != failing:
			failing = err != nil
			s.settings.OnFollowError(org, err)
		}
		if err != nil {
			_ = wakeup.Sleep(ctx, retryInterval) // the next step checks ctx
		}
	}
}

// follower is one call of Follow. It is not safe for concurrent use.
type follower struct {
	store *Store
	org   string
	keys  orgKeys
	apply func(ledger.Change) error

	epoch         string // of the ledger that is followed
	last          string // id of the last applied entry
	caughtUp      bool   // whether a snapshot is complete
	lastCheck     time.Time
	snapshotStart time.Time // of the last snapshot
	reader        recordReader
}

func (f *follower) now() time.Time { return f.store.settings.Now() }

// step applies a snapshot when one is due, and new entries of the log otherwise.
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

// restart applies a new snapshot. When Redis was emptied, it waits until the first pass of the new ledger is complete:
// until then the old state has more.
func (f *follower) restart(ctx context.Context) error {
	values, err := f.store.client.HMGet(ctx, f.keys.meta, "epoch", "edge").Result()
	if err != nil {
		return fmt.Errorf("redis: read the state of %s: %w", f.org, err)
	}
	if epoch, edge := replyString(values[0]), replyString(values[1]); f.epoch != "" && epoch != f.epoch && edge == "" {
		return wakeup.Sleep(ctx, retryInterval)
	}
	return f.applySnapshot(ctx)
}

// readNew applies the entries after the last applied one and returns their number.
func (f *follower) readNew(ctx context.Context) (int, error) {
	after := f.last
	if after == "" {
		after = "0"
	}
	limited, cancel := context.WithTimeout(ctx, blockTimeout+replyTimeout) // the library would add 10 s
	defer cancel()
	streams, err := f.store.client.XRead(limited, &redis.XReadArgs{
		Streams: []string{f.keys.log, after}, Count: logPageSize, Block: blockTimeout,
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

// entryField returns a field of an entry of the log, "" when the entry does not have it.
func entryField(entry redis.XMessage, name string) string { return replyString(entry.Values[name]) }

// applyEntry applies an entry of the log. It counts as applied when that fails: Follow returns then.
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
		overflow := ledger.TallyKey{Name: ledger.TallySeriesOverflow}
		c.Tallies = append(c.Tallies, ledger.Tally{TallyKey: overflow, Add: folded})
	}
	c.Reset, c.CaughtUp = false, false
	return f.apply(c)
}

// checkLog returns errLogReplaced when the ledger is another one, or lacks applied entries, as after a failover.
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
		f.epoch = epoch // the ledger has started, and the follower has all of its entries
		return nil
	case epoch != f.epoch:
		return errLogReplaced
	case last == f.last:
		return nil
	}
	// Entries are missing, unless they were added after readNew.
	if n, err := f.readNew(ctx); err != nil || n > 0 {
		return err
	}
	return errLogReplaced
}

// cacheSizes caches the sizes of the hash "series" and of the set "seen", each without its marker.
func (s *Store) cacheSizes(org string, series, events int64) {
	c := s.cacheOf(org)
	c.series.Store(max(0, series-1))
	c.events.Store(max(0, events-1))
}

// applySnapshot applies all of the ledger. It leaves caughtUp false when a pruning has interfered.
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
		Reset: true, LedgerStart: parseOptionalTime(c.meta["began"]),
		Progress: f.store.decodeProgress(f.keys.cov, c.meta["edge"], c.cov),
		Tallies:  f.store.decodeTallies(f.keys.tallies, c.tallies),
		Entries:  f.store.decodeEntries(f.keys.entries, c.entries),
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
		return nil // pruned concurrently, so that entries may be missing: the next step reads it again
	}
	f.caughtUp, f.lastCheck = true, f.now()
	return f.apply(ledger.Change{
		Removed: f.decodeRemoved(c.removed), PrunedBefore: parseOptionalTime(c.meta["pruned"]), CaughtUp: true,
	})
}

// decodeRemoved returns the keys of removed events. It reports those that fail to decode.
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

// applyCarried applies the fields of the hash "carried". It reports those that fail to decode.
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

// applyEvents applies the events of the log up to the entry of the snapshot, without those before carried.
func (f *follower) applyEvents(ctx context.Context, carried time.Time) error {
	last := ""
	err := f.store.scanLog(ctx, f.keys.log, f.last, func(entries []redis.XMessage) (err error) {
		if last, err = f.verifyChain(ctx, last, entries); err != nil {
			return err
		}
		var list []activity.Event
		for _, entry := range entries {
			start := len(list)
			var err error
			if list, err = f.reader.decodeEntry(list, entry); err != nil {
				f.store.reportCorrupt(f.keys.log, entry.ID, err)
			}
			if !carried.IsZero() {
				list = list[:start+filterNotBefore(list[start:], carried)]
			}
		}
		return f.apply(ledger.Change{Events: list})
	})
	if err == nil && last != f.last {
		return fmt.Errorf("redis: %s: %w: the log ends before its last entry", f.org, errDamaged)
	}
	return err
}

// filterNotBefore moves the events that are not before the time to the front, in their order, and returns their number.
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

// scanLog calls visit with the entries of a log from its start up to last, in pages. The next page is read during
// visit.
func (s *Store) scanLog(ctx context.Context, log, last string, visit func([]redis.XMessage) error) error {
	if last == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	pages := s.readPages(ctx, log, last)
	defer func() {
		cancel()
		for range pages { // await the goroutine
		}
	}()
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

// readPages sends the pages of a log from a goroutine, which ends after the last page, after an error or with ctx. Then
// it closes the channel.
func (s *Store) readPages(ctx context.Context, log, last string) <-chan logPage {
	pages := make(chan logPage, 1)
	go func() {
		defer close(pages)
		for start := "-"; ; {
			entries, err := s.client.XRangeN(ctx, log, start, last, logPageSize).Result()
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
			start = "(" + entries[len(entries)-1].ID
		}
	}()
	return pages
}
