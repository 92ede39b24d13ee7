// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// pullRow is a row of a listing of pull requests.
type pullRow struct {
	updatedAt time.Time
	// isComplete says that events needs no request.
	isComplete bool
	// events returns the events of the pull request and of its reviews, and requests what the row lacks.
	events func(ctx context.Context) ([]activity.Event, error)
}

// pullPage is a page of the listing by update time, the newest first.
type pullPage []pullRow

// fetchPulls requests the page at a cursor. It returns the next cursor, which is empty at the end.
type fetchPulls func(ctx context.Context, cursor string) (pullPage, string, error)

// maxRescans bounds how often the top of the listing is read again. Each time it is shorter.
const maxRescans = 10

// settleAfter is the age at which the newest change of a listing is final: times are in whole seconds, and GitHub's
// replicas may lag. Validators and scans end before it.
const settleAfter = 30 * time.Second

// scanPulls reads pull requests by update time, from the newest to those that were updated before Since. fetch
// returns the page at a cursor and the next cursor, which is empty at the end.
//
// A row that is updated during the scan moves to the top, which was read already. So after a scan of several pages
// the top is read again, down to the newest row of the scan before, until that takes a single page.
func (r *reader) scanPulls(ctx context.Context, fetch fetchPulls) error {
	since := r.request.Since[activity.StreamPulls]
	r.result.PullScans = r.request.PullScans
	for n := range maxRescans {
		newest, pages, err := r.scanPages(ctx, since, n == 0, fetch)
		if err != nil || pages <= 1 {
			return err
		}
		since = newest
	}
	return nil // the top moves faster than it can be read: the next pass begins before it
}

// scanPages reads pages down to since. It returns the update time of the newest row and the number of pages.
func (r *reader) scanPages(
	ctx context.Context, since time.Time, first bool, fetch fetchPulls,
) (newest time.Time, pages int, err error) {
	cursor := ""
	for pages < maxPages {
		rows, next, err := fetch(ctx, cursor)
		if err != nil {
			return newest, pages, err
		}
		pages++
		if pages == 1 && len(rows) > 0 {
			newest = rows[0].updatedAt
			r.result.noteUpdate(activity.StreamPulls, newest)
		}
		if pages == 1 && first && r.coversGap(rows, next) {
			since = r.request.GapStart[activity.StreamPulls]
			r.result.GapCoveredFrom[activity.StreamPulls] = since
		}
		more, err := r.emitPullRows(ctx, rows, since, func(updated time.Time) {
			if first {
				r.recordScanned(updated, newest)
			}
		})
		if err != nil || !more || next == "" {
			return newest, pages, err
		}
		if next == cursor {
			break
		}
		cursor = next
	}
	return newest, pages, errEndless("pull requests")
}

// coversGap reports whether the first page has every row of the gap before Since completely. A row that needs a request
// of its own makes it false: backfill then reads the gap.
func (r *reader) coversGap(rows pullPage, next string) bool {
	since, gapStart := r.request.Since[activity.StreamPulls], r.request.GapStart[activity.StreamPulls]
	if gapStart.IsZero() || (next != "" && (len(rows) == 0 || !rows[len(rows)-1].updatedAt.Before(gapStart))) {
		return false
	}
	return !slices.ContainsFunc(rows, func(row pullRow) bool {
		return !row.isComplete && row.updatedAt.Before(since) && !row.updatedAt.Before(gapStart)
	})
}

// recordScanned extends the scan from the newest row down to a row that was emitted, now or before.
func (r *reader) recordScanned(updated, newest time.Time) {
	if settled := r.client.transport.GitHubNow().Add(-settleAfter); newest.After(settled) {
		newest = settled
	}
	if r.pullFlowErr == nil {
		r.result.PullScans = r.request.PullScans.add(PullScan{Start: updated, End: newest})
	}
}

// emitPullRows emits the rows that were updated at since or later, and reports whether all of them were. It emits
// what precedes an error, too.
func (r *reader) emitPullRows(
	ctx context.Context, rows pullPage, since time.Time, onRow func(updated time.Time),
) (bool, error) {
	var events []activity.Event
	more := true // a page may have no row that can be decoded
	for _, row := range rows {
		if row.updatedAt.Before(since) {
			more = false
			break
		}
		if r.request.PullScans.contains(row.updatedAt) {
			onRow(row.updatedAt)
			continue
		}
		found, err := row.events(ctx)
		if err != nil {
			if emitErr := r.emitValid(events); emitErr != nil {
				err = emitErr
			}
			return false, err
		}
		events = append(events, found...)
		if r.pullFlowErr != nil && !r.asked.Has(activity.StreamPulls) {
			return false, cmp.Or(r.emitValid(events), r.pullFlowErr)
		}
		onRow(row.updatedAt)
	}
	return more, r.emitValid(events)
}
