package collect

import (
	"context"
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Filled says what one call of Fill did.
type Filled struct {
	// Repo is whose gaps were read; empty when there was nothing to do now.
	Repo string
	// Events is how many were new, Failures what could not be read.
	Events   int
	Failures []Failure
	// Left is how many gaps there were before, those of this call included.
	Left int
}

// Fill reads the newest gap that no scheduled pass will read, and with it the newest gaps of the repository's other
// streams. It writes as a worker: without authority, because recording is a set union.
func (c *Collector) Fill(ctx context.Context) (Filled, error) {
	cov, err := c.coverage(ctx)
	if err != nil {
		return Filled{}, err
	}
	gaps := cov.Gaps()
	done := Filled{Left: len(gaps)}
	todo, ok := c.nextGap(&cov, gaps)
	if !ok {
		return done, nil
	}
	done.Repo = todo.request.Repo.Name
	outcome, events, err := c.readWindow(ctx, &todo)
	if err != nil {
		return done, err
	}
	done.Events = events
	c.noteFill(&todo, &outcome, &done)
	return done, nil
}

// nextGap makes a reading of the newest gap that is due. What passes read, the part since recent, is left to them.
func (c *Collector) nextGap(cov *ledger.Coverage, gaps []ledger.Gap) (reading, bool) {
	now := c.now()
	var todo reading
	for i := range gaps {
		gap := &gaps[i]
		if !leaveToPasses(&gap.Window, now) || c.unfilled.putOff(gap.Repo, gap.Stream, now) != nil {
			continue
		}
		if todo.request.Streams == 0 {
			todo.request.Org = c.settings.Org
			todo.request.Repo = c.repository(cov.Repos[gap.Repo])
		}
		if gap.Repo == todo.request.Repo.ID && !todo.request.Streams.Has(gap.Stream) {
			todo.take(gap)
		}
	}
	return todo, todo.request.Streams != 0
}

// leaveToPasses cuts off what the passes read and reports whether enough is left: the border moves with the clock, and
// a gap that crosses it must not be read second by second.
func leaveToPasses(w *activity.Window, now time.Time) bool {
	limit := now.Add(-recent)
	if !w.End.After(limit) {
		return !w.Empty()
	}
	w.End = limit
	return w.End.Sub(w.Start) >= time.Hour
}

// take adds a gap to a reading.
func (r *reading) take(gap *ledger.Gap) {
	r.request.Streams = r.request.Streams.With(gap.Stream)
	r.request.Since[gap.Stream] = gap.Window.Start
	r.covers[gap.Stream] = gap.Window
	if gap.Stream == activity.StreamCommits {
		r.request.Until = gap.Window.End
	}
}

// readWindow reads and commits windows of the past. Its error is the store's or the context's.
func (c *Collector) readWindow(ctx context.Context, todo *reading) (github.Outcome, int, error) {
	pages := &pager{collector: c, source: sourceWorker}
	outcome := c.settings.Source.Read(ctx, todo.request, func(events []activity.Event) error {
		return pages.next(ctx, events)
	})
	if ctx.Err() != nil {
		return outcome, pages.recorded, context.Cause(ctx)
	}
	progress := ledger.RepoProgress{ID: todo.request.Repo.ID}
	for _, s := range activity.AllStreams() {
		if todo.request.Streams.Has(s) && outcome.Failed[s] == nil {
			progress.Read = append(progress.Read, ledger.StreamWindow{Stream: s, Window: todo.covers[s]})
		}
	}
	pages.finish(ctx, ledger.Progress{Repos: []ledger.RepoProgress{progress}})
	return outcome, pages.recorded, pages.err
}

func (c *Collector) noteFill(todo *reading, outcome *github.Outcome, done *Filled) {
	repo := todo.request.Repo
	for _, s := range activity.AllStreams() {
		err := outcome.Failed[s]
		switch {
		case !todo.request.Streams.Has(s):
		case err == nil:
			c.unfilled.forget(repo.ID, s)
		default:
			if limit := (*github.LimitError)(nil); !errors.As(err, &limit) { // a limit says itself how long it lasts
				c.unfilled.note(repo.ID, s, err, c.now())
			}
			done.Failures = append(done.Failures, Failure{Repo: repo.Name, Stream: s, Err: err})
		}
	}
}

// RetryAt is when the limit ends that one of the failures is about; zero when none is.
func (f *Filled) RetryAt() time.Time {
	_, at := judge(&Summary{Failures: f.Failures}, nil)
	return at
}
