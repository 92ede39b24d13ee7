// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// updateFeed is a listing of REST by update time, the oldest first, of which a request names the first time. T is the
// type of a row.
type updateFeed[T any] struct {
	stream   activity.Stream
	endpoint string // the route template
	path     string // of the repository's listing, below the repository
	filter   []string
	rows     format[[]*T]
	// updatedAt returns the update time of a row; nil when the row has none that can be decoded.
	updatedAt func(row *T) *gogithub.Timestamp
	// emit emits the events of a page. A page may have rows from before and after the window.
	emit func(ctx context.Context, r *reader, rows []*T, invalid map[int]fieldErrors) error
}

// query returns the parameters of a page that begins at an update time.
func (f *updateFeed[T]) query(since time.Time, number int) url.Values {
	pairs := slices.Concat(f.filter, []string{
		"sort", "updated", "direction", "asc", "since", formatTime(since),
		"per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number),
	})
	return queryValues(pairs...)
}

// lastUpdate returns the update time of the last row that has one; zero if none has.
func (f *updateFeed[T]) lastUpdate(rows []*T) time.Time {
	for _, row := range slices.Backward(rows) {
		if at := f.updatedAt(row); at != nil {
			return at.Time
		}
	}
	return time.Time{}
}

// feedPosition is where the reading of a feed is.
type feedPosition struct {
	since    time.Time
	number   int // of the page, counted from since
	gapStart time.Time
	former   Validator
}

// start returns the position of the first page. It begins at the gap before the window, if there is one, since one page
// may have all of it; with a validator it is the page that the validator belongs to, which has what is new, too.
func (f *updateFeed[T]) start(r *reader) feedPosition {
	p := feedPosition{
		since: r.request.Since[f.stream], number: 1,
		gapStart: r.request.GapStart[f.stream], former: r.usableValidator(f.stream),
	}
	if p.former.ETag != "" {
		p.since = p.former.Since
	}
	if !p.gapStart.IsZero() {
		p.since = p.gapStart
	}
	return p
}

// leaveGap goes on with the window alone: backfill reads the gap.
func (p *feedPosition) leaveGap(windowStart time.Time) {
	p.gapStart, p.since = time.Time{}, windowStart
}

// read reads a feed page by page. The next page begins at the last time of the one before: rows that are updated or
// deleted meanwhile move rows only in pages that were read.
func (f *updateFeed[T]) read(ctx context.Context, r *reader) error {
	windowStart, windowEnd := r.request.Since[f.stream], r.request.Until[f.stream]
	p := f.start(r)
	for pages := range maxPages {
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: f.endpoint, path: r.path(f.path), query: f.query(p.since, p.number), etag: p.former.ETag,
			noRetry: !p.gapStart.IsZero(),
		}, f.rows)
		_, isUnavailable := errors.AsType[*transport.UnavailableError](err)
		switch {
		case !p.gapStart.IsZero() && (isUnavailable || err == nil && info.next):
			p.leaveGap(windowStart) // the gap is too much, or more than a page
			continue
		case err != nil:
			return err
		case info.unchanged:
			r.result.GapCoveredFrom[f.stream] = p.gapStart
			r.setValidator(f.stream, p.former)
			return nil
		}
		if pages == 0 && len(rows) < perPage/2 && !info.next { // new rows will be on this page
			r.setValidator(f.stream, Validator{ETag: info.etag, Since: p.since})
		}
		p.former.ETag = ""
		if err := f.emit(ctx, r, rows, info.invalid); err != nil {
			return err
		}
		if len(rows) == 0 || !info.next {
			r.result.GapCoveredFrom[f.stream] = p.gapStart
			return nil
		}
		last := f.lastUpdate(rows)
		switch {
		case !windowEnd.IsZero() && last.After(windowEnd):
			return nil // what was updated later was read with what is later
		case last.After(p.since):
			p.since, p.number = last, 1
		default:
			p.number++ // all rows of the page have one time
		}
	}
	return errEndless(f.endpoint)
}
