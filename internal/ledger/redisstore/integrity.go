// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// errDamaged is the error of reading a ledger with missing keys or entries. The view stays as it is until the next
// commit has started a new ledger.
var errDamaged = errors.New("keys or entries of the ledger are missing")

// contents are the keys of a ledger without its log, read in one transaction.
type contents struct {
	meta, cov, carried, tallies, entries, removed map[string]string

	seenMarker   []bool // one value: whether the set of keys has its marker
	seriesMarker string
	seen, series int64 // sizes, markers included
	hasLog       bool  // whether the log has any entry
}

// readContents reads the contents, and whether the log has an entry.
func (f *follower) readContents(ctx context.Context) (contents, error) {
	pipe := f.store.client.TxPipeline()
	meta, cov := pipe.HGetAll(ctx, f.keys.meta), pipe.HGetAll(ctx, f.keys.cov)
	carried, removed := pipe.HGetAll(ctx, f.keys.carried), pipe.HGetAll(ctx, f.keys.removed)
	tallies, entries := pipe.HGetAll(ctx, f.keys.tallies), pipe.HGetAll(ctx, f.keys.entries)
	seenMarker := pipe.SMIsMember(ctx, f.keys.seen, markerField)
	seriesMarker := pipe.HGet(ctx, f.keys.series, markerField)
	seen, series := pipe.SCard(ctx, f.keys.seen), pipe.HLen(ctx, f.keys.series)
	first := pipe.XRangeN(ctx, f.keys.log, "-", "+", 1)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return contents{}, fmt.Errorf("redis: read a snapshot of %s: %w", f.org, err)
	}
	return contents{
		meta: meta.Val(), cov: cov.Val(), carried: carried.Val(), tallies: tallies.Val(), entries: entries.Val(),
		removed: removed.Val(), seenMarker: seenMarker.Val(), seriesMarker: seriesMarker.Val(),
		seen: seen.Val(), series: series.Val(),
		hasLog: len(first.Val()) > 0,
	}, nil
}

// isIntact reports whether all keys belong to one ledger, as is_intact in scripts/integrity.lua does; the log is
// verified while it is read.
func (c *contents) isIntact() bool {
	if c.meta["epoch"] == "" {
		return !c.hasLog && c.seen+c.series == 0 &&
			len(c.cov)+len(c.carried)+len(c.tallies)+len(c.entries)+len(c.removed) == 0
	}
	if c.meta["whole"] == "" {
		return true // written before there were markers
	}
	markers := []string{
		c.seriesMarker, c.cov[markerField], c.carried[markerField], c.tallies[markerField], c.entries[markerField],
		c.removed[markerField],
	}
	return c.meta["whole"] != "0" && len(c.seenMarker) == 1 && c.seenMarker[0] && c.hasAllEntries() &&
		!slices.ContainsFunc(markers, func(marker string) bool { return marker != c.meta["epoch"] })
}

// hasAllEntries reports whether there are at least as many fields and members as after the last commit. It is true
// where that number is not valid: see scripts/integrity.lua.
func (c *contents) hasAllEntries() bool {
	counted := strings.Split(c.meta["sizes"], " ")
	valid := slices.Equal(counted[:min(3, len(counted))], []string{c.meta["last"], c.meta["carried"], c.meta["swept"]})
	if !valid || c.meta["pruned"] != c.meta["swept"] {
		return true
	}
	for i, size := range []int64{
		c.seen, c.series, int64(len(c.cov)), int64(len(c.entries)), int64(len(c.tallies)), int64(len(c.removed)),
		int64(len(c.carried)),
	} {
		if n, err := strconv.ParseInt(counted[min(3+i, len(counted)-1)], 10, 64); err != nil || size < n {
			return false
		}
	}
	return true
}

// verifyChain returns an error when an entry of the log is missing before one of the entries, and the id of the last
// one otherwise. before is the id of the entry that was read before them, "" at the start of the log.
func (f *follower) verifyChain(ctx context.Context, before string, entries []redis.XMessage) (last string, err error) {
	for _, entry := range entries {
		if previous := entryField(entry, "p"); previous != before && previous != "" {
			a := f.declareArguments(entry.ID, previous)
			missing, err := declareScript.Run(ctx, f.store.client, a.keys, a.values...).Int()
			if err != nil {
				return "", fmt.Errorf("redis: check the log of %s: %w", f.org, err)
			}
			if missing == 1 {
				return "", fmt.Errorf("redis: %s: %w: the log lacks the entry before %s", f.org, errDamaged, entry.ID)
			}
		}
		before = entry.ID
	}
	return before, nil
}

// declareArguments returns the arguments of the declare script. before is the id of the entry before another one.
func (f *follower) declareArguments(entry, before string) *scriptArguments {
	a := newScriptArguments(2, 3)
	a.key("meta", f.keys.meta)
	a.key("log", f.keys.log)
	a.value("epoch", f.epoch)
	a.value("entry", entry)
	a.value("before", before)
	return a
}
