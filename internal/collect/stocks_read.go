// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// stockChunkSize is the number of repositories whose stocks are read and committed together.
const stockChunkSize = 100

// readStocks reads the stocks that are due, after the readings of a pass. What cannot be read stays due, and is no
// failure of the pass. Its error is that of the store or of the context.
func (r *passRun) readStocks(ctx context.Context) error {
	c := r.collector
	var requests []github.StockRequest
	if c.settings.ReadsStocks && r.haltError() == nil {
		requests = c.stocks.requests(r)
	}
	outdated := c.stocks.outdatedEntries()
	for len(requests) > 0 {
		some := requests[:min(len(requests), stockChunkSize)]
		requests = requests[len(some):]
		entries, err := c.readStocksOf(ctx, some)
		if err != nil {
			return err
		}
		if err := r.commitStocks(ctx, slices.Concat(outdated, entries)); err != nil {
			return err
		}
		c.stocks.committed(entries)
		outdated = nil
	}
	if err := r.commitStocks(ctx, outdated); err != nil {
		return err
	}
	c.stocks.dropOutdated()
	return nil
}

// commitStocks commits entries, unless there are none.
func (r *passRun) commitStocks(ctx context.Context, entries []ledger.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	_, err := r.collector.commit(ctx, r.fence, sourceLeader, ledger.Batch{Basis: r.plan.basis, Entries: entries})
	if err != nil {
		return fmt.Errorf("commit stocks: %w", err)
	}
	return nil
}

// requests returns what is to be read of the candidates: the stocks that are due, and whose stream did not fail in this
// pass.
func (s *stocks) requests(r *passRun) []github.StockRequest {
	failed := r.failedStreams()
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]github.StockRequest, 0, len(s.candidates))
	for id, repo := range s.candidates {
		isWanted := func(stream activity.Stream) bool {
			state := s.states[RepoStream{id, stream}]
			return state != nil && state.isDue && !state.retryAt.time().After(r.plan.start) &&
				!failed[RepoStream{id, stream}] && !repo.Signals.Disabled.Has(stream)
		}
		request := github.StockRequest{
			Repo: repo, Pulls: isWanted(activity.StreamPulls), Issues: isWanted(activity.StreamIssues),
		}
		for _, stream := range stockStreams {
			state := s.states[RepoStream{id, stream}]
			request.HasFailed = request.HasFailed || state != nil && state.failures > 0
		}
		if request.Pulls || request.Issues {
			list = append(list, request)
		}
	}
	slices.SortFunc(list, func(a, b github.StockRequest) int { return cmp.Compare(a.Repo.ID, b.Repo.ID) })
	return list
}

// failedStreams returns the streams that could not be read in this pass.
func (r *passRun) failedStreams() map[RepoStream]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	failed := make(map[RepoStream]bool)
	for _, list := range [][]Failure{r.failures, r.plan.deferred} {
		for i := range list {
			failed[RepoStream{list[i].RepoID, list[i].Stream}] = true
		}
	}
	return failed
}

// outdatedEntries returns the entries of stocks that became outdated by other reasons than readings. They stay until
// dropOutdated says that they are committed.
func (s *stocks) outdatedEntries() []ledger.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.outdated
}

// dropOutdated notes that the entries of outdatedEntries are committed.
func (s *stocks) dropOutdated() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outdated = nil
}

// unmark notes, after a pass that failed, that the store may not have the stocks as due that were to be committed so:
// the next pass says it again.
func (s *stocks) unmark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range s.states {
		state.isMarked = false
	}
}

// readStocksOf reads the stocks of some repositories and returns their entries.
func (c *Collector) readStocksOf(ctx context.Context, some []github.StockRequest) ([]ledger.Entry, error) {
	if err := c.loadFormerStocks(ctx, some); err != nil {
		return nil, err
	}
	repos := make(map[int64]*activity.Repository, len(some))
	for i := range some {
		repos[some[i].Repo.ID] = &some[i].Repo
	}
	var entries []ledger.Entry
	seen := c.Now()
	c.settings.Source.ReadStocks(ctx, c.settings.Org, some, func(result github.StockResult) {
		entries = append(entries, c.stocks.entriesOf(&result, repos[result.RepoID], seen)...)
	})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return entries, nil
}

// loadFormerStocks adds the stored stocks of pull requests to the requests. They are read from the store and not from
// this replica's view, because the store may have been reset since.
func (c *Collector) loadFormerStocks(ctx context.Context, some []github.StockRequest) error {
	var keys []ledger.EntryKey
	for i := range some {
		if some[i].Pulls && !c.stocks.isDoubtful(some[i].Repo.ID) {
			keys = append(keys, ledger.OpenPullsKey(some[i].Repo.ID))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	entries, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, keys)
	if err != nil {
		return &StoreError{err}
	}
	for i := range some {
		if stock, err := ledger.DecodePullStock(entries[ledger.OpenPullsKey(some[i].Repo.ID)].Data); err == nil {
			some[i].Former = stock
		}
	}
	return nil
}

// isDoubtful reports whether the open pull requests of a repository are read without the former ones.
func (s *stocks) isDoubtful(repo int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state(repo, activity.StreamPulls).isDoubtful
}

// entriesOf returns the entries of a result that was read after seen, and notes what failed.
func (s *stocks) entriesOf(result *github.StockResult, repo *activity.Repository, seen time.Time) []ledger.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []ledger.Entry
	updatedOf := func(stream activity.Stream) time.Time {
		updated, _ := newestOf(&repo.Signals, stream)
		return laterOf(s.state(repo.ID, stream).updated.time(), updated)
	}
	if stock := result.Pulls; stock != nil {
		stock.SeenAt, stock.Updated = seen, updatedOf(activity.StreamPulls)
		entries = append(entries, ledger.Entry{
			EntryKey: ledger.OpenPullsKey(repo.ID), Data: ledger.EncodePullStock(stock), Observed: seen,
		})
	}
	if stock := result.Issues; stock != nil {
		stock.SeenAt, stock.Updated = seen, updatedOf(activity.StreamIssues)
		entries = append(entries, ledger.Entry{
			EntryKey: ledger.OpenIssuesKey(repo.ID), Data: ledger.EncodeIssueStock(stock), Observed: seen,
		})
	}
	if result.PullsErr != nil {
		s.state(repo.ID, activity.StreamPulls).fail(seen)
	}
	if result.IssuesErr != nil {
		s.state(repo.ID, activity.StreamIssues).fail(seen)
	}
	return entries
}

// fail notes that a stock could not be read. The delay until it is read again doubles, from the second failure on.
func (s *stockState) fail(now time.Time) {
	s.failures++
	if s.failures > 1 {
		s.retryAt = momentOf(now.Add(min(maxStockDelay, firstStockDelay<<min(s.failures-2, 10))))
	}
}

// committed notes that the store has stocks.
func (s *stocks) committed(entries []ledger.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range entries {
		if stream, state, ok := storedState(&entries[i]); ok {
			*s.state(entries[i].Repo, stream) = state
		}
	}
}
