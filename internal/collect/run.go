package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// run carries out a plan's readings.
type run struct {
	collector *Collector
	fence     uint64
	plan      *plan

	mu       sync.Mutex
	read     map[int64]activity.Streams
	asked    map[int64]bool // whose signals were recorded, or are what they were
	failures []Failure
	events   int
	// idle is how many readings have found that nothing had happened.
	idle int
	// unanswered are the streams that GitHub did not answer, by repository.
	unanswered map[int64]map[activity.Stream]error
	// halted is the error after which reading anything else is in vain: a limit or a refused credential.
	halted error
}

func newRun(c *Collector, fence uint64, todo *plan) *run {
	return &run{
		collector: c, fence: fence, plan: todo, read: make(map[int64]activity.Streams), asked: make(map[int64]bool),
		unanswered: make(map[int64]map[activity.Stream]error),
	}
}

// prepared is how many readings are prepared together. What they begin with is held until they are read.
const prepared = 50

// readAll reads several repositories at a time, those last that were not answered in the last pass. Its error is the
// store's or the context's: what GitHub refused is in failures. One that takes long keeps a place, and the others go
// on.
func (r *run) readAll(ctx context.Context) error {
	r.markBrief()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(r.collector.settings.Concurrency)
	for some := range slices.Chunk(r.plan.readings, prepared) {
		if err := r.readSome(ctx, groupCtx, group, some); err != nil {
			if first := group.Wait(); first != nil {
				return first
			}
			return err
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	r.noteUnanswered()
	return context.Cause(ctx)
}

// markBrief makes the readings brief of repositories that were not answered in the last pass, and puts them behind the
// others.
func (r *run) markBrief() {
	for i := range r.plan.readings {
		request := &r.plan.readings[i].request
		request.Minimal = r.collector.refusals.isUnavailable(request.Repo.ID)
	}
	slices.SortStableFunc(r.plan.readings, func(a, b reading) int {
		switch {
		case a.request.Minimal == b.request.Minimal:
			return 0
		case b.request.Minimal:
			return -1
		default:
			return 1
		}
	})
}

// noteUnanswered remembers the repositories that GitHub did not answer, where it answered others: when several are
// unanswered and none is read, the trouble is not theirs.
func (r *run) noteUnanswered() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.halted != nil || (len(r.unanswered) > 1 && len(r.read) == 0) {
		return
	}
	for repo, streams := range r.unanswered {
		for s, err := range streams {
			r.collector.refusals.noteUnavailable(repo, s, err, r.plan.began)
		}
	}
}

// readSome prepares some readings and begins them. Its error is the store's or the context's.
func (r *run) readSome(ctx, groupCtx context.Context, group *errgroup.Group, some []reading) error {
	if r.stopped() == nil {
		requests := make([]*github.ReadRequest, len(some))
		for i := range some {
			requests[i] = &some[i].request
			requests[i].SkipLines = r.collector.settings.WithoutLines
		}
		if err := r.collector.addValidators(ctx, some); err != nil {
			return err
		}
		r.collector.settings.Source.Prefetch(ctx, requests)
	}
	for i := range some {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error { return r.readOne(groupCtx, &some[i]) })
	}
	return context.Cause(groupCtx)
}

func (r *run) readOne(ctx context.Context, todo *reading) error {
	defer r.collector.settle(todo.request.Repo.ID)
	if err := r.stopped(); err != nil {
		r.fail(todo, failedAll(todo.request.Streams, err))
		return nil
	}
	pages := &pager{
		collector: r.collector, fence: r.fence, source: sourceLeader, repo: todo.request.Repo.ID, basis: r.plan.basis,
	}
	outcome := r.collector.read(ctx, pages.pinned(todo.request), func(events []activity.Event) error {
		return pages.next(ctx, events)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if pages.err == nil {
		todo.reach(&outcome)
		r.finish(ctx, pages, todo, &outcome)
	}
	r.record(todo, &outcome, pages.recorded)
	return pages.err
}

// finish commits the last page with what has been read, if that says anything.
func (r *run) finish(ctx context.Context, pages *pager, todo *reading, outcome *github.ReadResult) {
	samples := append(validatorEntries(todo, outcome), r.collector.rewindEntries(todo, outcome)...)
	if len(pages.waiting) == 0 && len(samples) == 0 && todo.needless(outcome) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.idle++
		return
	}
	b := ledger.Batch{Progress: ledger.Progress{Repos: []ledger.RepoProgress{todo.done(outcome)}}, Entries: samples}
	addRemovals(&b, todo.request.Repo.ID, outcome)
	pages.finish(ctx, b)
}

// record keeps what came of a reading.
func (r *run) record(todo *reading, outcome *github.ReadResult, events int) {
	r.fail(todo, outcome.Failed)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events += events
	r.asked[todo.request.Repo.ID] = true
	for _, s := range activity.AllStreams() {
		if todo.request.Streams.Has(s) && outcome.Failed[s] == nil {
			r.read[todo.request.Repo.ID] = r.read[todo.request.Repo.ID].With(s)
			r.collector.refusals.forget(todo.request.Repo.ID, s)
			r.collector.permissions.note(todo.request.Repo.ID, s, nil)
		}
	}
}

func (r *run) fail(todo *reading, failed map[activity.Stream]error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	whole := len(failed) == todo.request.Streams.Len()
	for s, err := range failed {
		r.failures = append(r.failures, Failure{
			RepoID: todo.request.Repo.ID, Repo: todo.request.Repo.Name, Stream: s, Err: err, AllFailed: whole,
		})
		r.collector.permissions.note(todo.request.Repo.ID, s, err)
		switch {
		case refused(err):
			r.collector.refusals.note(todo.request.Repo.ID, s, err, r.plan.began)
		case unanswered(err) && err != r.halted: //nolint:errorlint // the same one
			if r.unanswered[todo.request.Repo.ID] == nil {
				r.unanswered[todo.request.Repo.ID] = make(map[activity.Stream]error)
			}
			r.unanswered[todo.request.Repo.ID][s] = err
		}
		if halts(err) {
			r.halted = err
		}
	}
}

func (r *run) stopped() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.halted
}

// halts reports whether every other request would be refused as well.
func halts(err error) bool {
	var limit *github.LimitError
	var credential *github.CredentialError
	return errors.As(err, &limit) || errors.As(err, &credential)
}

func failedAll(streams activity.Streams, err error) map[activity.Stream]error {
	failed := make(map[activity.Stream]error, activity.NumStreams)
	for _, s := range activity.AllStreams() {
		if streams.Has(s) {
			failed[s] = err
		}
	}
	return failed
}

// pager commits the pages of a reading. It is one page behind, so that the last one and the progress are one commit.
type pager struct {
	collector *Collector
	fence     uint64
	source    string
	repo      int64
	basis     string // of the coverage that the reading was planned from
	// tips are the heads from which the commits of the pages were listed.
	tips     []string
	waiting  []activity.Event
	recorded int
	err      error
}

// next takes a page.
func (p *pager) next(ctx context.Context, events []activity.Event) error {
	if len(p.waiting) > 0 {
		p.commit(ctx, ledger.Batch{Events: p.waiting, Progress: p.progress()})
		p.waiting = nil
	}
	p.waiting = append(p.waiting, events...)
	return p.err
}

// finish commits the last page with what has been read.
func (p *pager) finish(ctx context.Context, b ledger.Batch) {
	b.Events = p.waiting
	for i := range b.Progress.Repos {
		b.Progress.Repos[i].Tips = p.tips
	}
	p.commit(ctx, b)
}

// pinned is a request whose heads the pager learns before their commits.
func (p *pager) pinned(request github.ReadRequest) github.ReadRequest {
	request.OnHead = func(head string) {
		if !slices.Contains(p.tips, head) {
			p.tips = append(p.tips, head)
		}
	}
	return request
}

// progress says from which heads the commits of a page were listed: it is committed with them.
func (p *pager) progress() ledger.Progress {
	if len(p.tips) == 0 {
		return ledger.Progress{}
	}
	return ledger.Progress{Repos: []ledger.RepoProgress{{ID: p.repo, Tips: p.tips}}}
}

func (p *pager) commit(ctx context.Context, b ledger.Batch) {
	if p.err != nil {
		return
	}
	b.Basis = p.basis
	receipt, err := p.collector.commit(ctx, p.fence, p.source, b)
	if err != nil {
		p.err = fmt.Errorf("commit a reading: %w", err)
		return
	}
	p.recorded += receipt.Recorded
}
