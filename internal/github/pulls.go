package github

import (
	"context"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// pullRow is a row of a listing of pull requests.
type pullRow struct {
	updatedAt time.Time
	// isComplete says that events asks for nothing.
	isComplete bool
	// events are the pull request's and its reviews'; what they need beside the row is asked for when they are.
	events func(ctx context.Context) ([]activity.Event, error)
}

// pullPage is a page of the listing by update time, the newest first.
type pullPage []pullRow

// PullScan is how far a listing of pull requests by update time, the newest first, was read: everything of those that were last updated
// between the two times, both exclusive, was handed out. Whatever happens to one of them later moves it out of there.
type PullScan struct{ Start, End time.Time }

// PullScans are what several readings know: one that fails near the top has its part, and those before it have theirs.
type PullScans []PullScan

// maxScans bounds what is kept; what is forgotten is read again.
const maxScans = 4

func (s PullScans) contains(updated time.Time) bool {
	return slices.ContainsFunc(s, func(scan PullScan) bool { return updated.After(scan.Start) && updated.Before(scan.End) })
}

// add are the scans and another one, which swallows those that it has come past.
func (s PullScans) add(scan PullScan) PullScans {
	all := PullScans{scan}
	for _, had := range s {
		if had.Start.Before(scan.Start) {
			all = append(all, had)
		}
	}
	return all[:min(len(all), maxScans)]
}

// maxRescans bounds how often the top of the listing is read again. Each time it is shorter.
const maxRescans = 10

// scanPulls reads pull requests by update time from the newest to those that were updated before the time asked for.
// fetch gets the page after a cursor, and the next cursor, empty at the end.
//
// A row that is touched during the scan jumps to the top, behind our back, and is not met any more. So after a scan of
// several pages the top is read again, down to what was the newest row before, until that takes a single page.
func (r *reader) scanPulls(ctx context.Context, fetch func(ctx context.Context, cursor string) (pullPage, string, error)) error {
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

// scanPages gives the update time of the newest row and how many pages it took.
func (r *reader) scanPages(
	ctx context.Context, since time.Time, first bool, fetch func(ctx context.Context, cursor string) (pullPage, string, error),
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

// coversGap reports whether the first page shows everything that is missing, also what is older than what is asked for. Where each row
// needs a question of its own, nothing older may be on it: there is a time for that.
func (r *reader) coversGap(rows pullPage, next string) bool {
	since, back := r.request.Since[activity.StreamPulls], r.request.GapStart[activity.StreamPulls]
	if back.IsZero() || (next != "" && (len(rows) == 0 || !rows[len(rows)-1].updatedAt.Before(back))) {
		return false
	}
	return !slices.ContainsFunc(rows, func(row pullRow) bool {
		return !row.isComplete && row.updatedAt.Before(since) && !row.updatedAt.Before(back)
	})
}

// recordScanned notes that a row was read, now or before, and every one above it. newest is the first of all.
func (r *reader) recordScanned(updated, newest time.Time) {
	if settled := r.client.githubNow().Add(-settleAfter); newest.After(settled) {
		newest = settled
	}
	r.result.PullScans = r.request.PullScans.add(PullScan{Start: updated, End: newest})
}

// emitPullRows hands out the rows that were updated at since or later and reports whether all of them were. What was read before an
// error is handed out, too.
func (r *reader) emitPullRows(ctx context.Context, rows pullPage, since time.Time, done func(updated time.Time)) (bool, error) {
	var events []activity.Event
	more := true // a page may have no row that can be decoded
	for _, row := range rows {
		if row.updatedAt.Before(since) {
			more = false
			break
		}
		if r.request.PullScans.contains(row.updatedAt) {
			done(row.updatedAt)
			continue
		}
		found, err := row.events(ctx)
		if err != nil {
			if broken := r.emitValid(events); broken != nil {
				err = broken
			}
			return false, err
		}
		events = append(events, found...)
		done(row.updatedAt)
	}
	return more, r.emitValid(events)
}

// newPullEvents are the events of a pull request itself, both its author's.
func (r *reader) newPullEvents(number int64, author activity.Actor, created time.Time, merged *time.Time) []activity.Event {
	id := activity.NumberID(number)
	events := []activity.Event{r.newEvent(activity.KindPullRequestOpened, id, author, created)}
	if merged != nil {
		events = append(events, r.newEvent(activity.KindPullRequestMerged, id, author, *merged))
	}
	return events
}
