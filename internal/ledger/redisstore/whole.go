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

// errDamaged is the state of a ledger of which keys or entries are gone. What was shown stays until the next commit has
// found it out and the ledger was read again.
var errDamaged = errors.New("keys or entries of the ledger are gone")

// contents is what a snapshot reads in one transaction.
type contents struct {
	meta, cov, carried, tallies, samples, removed map[string]string

	seenMarker       []bool // whether the set of keys has its mark
	seriesMarker   string
	seen, series int64 // sizes
	hasLog       bool  // whether the log has any entry
}

// readContents reads everything but the log.
func (f *follower) readContents(ctx context.Context) (contents, error) {
	pipe := f.store.client.TxPipeline()
	meta, cov := pipe.HGetAll(ctx, f.keys.meta), pipe.HGetAll(ctx, f.keys.cov)
	carried, removed := pipe.HGetAll(ctx, f.keys.carried), pipe.HGetAll(ctx, f.keys.removed)
	tallies, samples := pipe.HGetAll(ctx, f.keys.tallies), pipe.HGetAll(ctx, f.keys.samples)
	marked, seriesMark := pipe.SMIsMember(ctx, f.keys.seen, markerField), pipe.HGet(ctx, f.keys.series, markerField)
	seen, series := pipe.SCard(ctx, f.keys.seen), pipe.HLen(ctx, f.keys.series)
	first := pipe.XRangeN(ctx, f.keys.log, "-", "+", 1)
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return contents{}, fmt.Errorf("redis: read a snapshot of %s: %w", f.org, err)
	}
	return contents{
		meta: meta.Val(), cov: cov.Val(), carried: carried.Val(), tallies: tallies.Val(), samples: samples.Val(),
		removed: removed.Val(), seenMarker: marked.Val(), seriesMarker: seriesMark.Val(), seen: seen.Val(), series: series.Val(),
		hasLog: len(first.Val()) > 0,
	}, nil
}

// isIntact reports whether the contents belong together, as is_whole in scripts/whole.lua does; the log is checked while
// it is read.
func (c *contents) isIntact() bool {
	if c.meta["epoch"] == "" {
		return !c.hasLog && c.seen+c.series == 0 &&
			len(c.cov)+len(c.carried)+len(c.tallies)+len(c.samples)+len(c.removed) == 0
	}
	if c.meta["whole"] == "" {
		return true // from before there were marks
	}
	marks := []string{
		c.seriesMarker, c.cov[markerField], c.carried[markerField], c.tallies[markerField], c.samples[markerField], c.removed[markerField],
	}
	return c.meta["whole"] != "0" && len(c.seenMarker) == 1 && c.seenMarker[0] && c.hasAllEntries() &&
		!slices.ContainsFunc(marks, func(mark string) bool { return mark != c.meta["epoch"] })
}

// hasAllEntries reports whether there are at least as many fields and members as the last commit has left.
func (c *contents) hasAllEntries() bool {
	counted := strings.Split(c.meta["sizes"], " ")
	valid := slices.Equal(counted[:min(3, len(counted))], []string{c.meta["last"], c.meta["carried"], c.meta["swept"]})
	if !valid || c.meta["pruned"] != c.meta["swept"] {
		return true
	}
	for i, size := range []int64{
		c.seen, c.series, int64(len(c.cov)), int64(len(c.samples)), int64(len(c.tallies)), int64(len(c.removed)),
		int64(len(c.carried)),
	} {
		if n, err := strconv.ParseInt(counted[min(3+i, len(counted)-1)], 10, 64); err != nil || size < n {
			return false
		}
	}
	return true
}

// verifyChain refuses entries of the log of which one is gone between them. before is the entry that was read before
// them, "" at the beginning of the log. It gives the last one.
func (f *follower) verifyChain(ctx context.Context, before string, entries []redis.XMessage) (last string, err error) {
	for _, entry := range entries {
		if named := entryField(entry, "p"); named != before && named != "" {
			gone, err := declareScript.Run(ctx, f.store.client, []string{f.keys.meta, f.keys.log}, f.epoch, entry.ID,
				named).Int()
			if err != nil {
				return "", fmt.Errorf("redis: check the log of %s: %w", f.org, err)
			}
			if gone == 1 {
				return "", fmt.Errorf("redis: %s: %w: the log lacks the entry before %s", f.org, errDamaged, entry.ID)
			}
		}
		before = entry.ID
	}
	return before, nil
}
