// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// stockLoadSize is the number of repositories whose stocks are loaded with one read of the store.
const stockLoadSize = 250

// loadStocks makes the states agree with the store at the start of a pass, unless they do: the passes of this leader
// were the last ones. It forgets those of purged repositories; those of repositories that are gone are due.
func (c *Collector) loadStocks(ctx context.Context, cov *ledger.Coverage) error {
	s := &c.stocks
	s.mu.Lock()
	defer s.mu.Unlock()
	s.candidates, s.isRead = make(map[int64]activity.Repository), c.settings.ReadsStocks
	if !s.isLoaded || s.basis != cov.Basis || cov.Edge.After(s.edge) {
		states := make(map[RepoStream]*stockState)
		for some := range slices.Chunk(slices.Collect(maps.Keys(cov.Repos)), stockLoadSize) {
			if err := c.loadStockStates(ctx, some, states); err != nil {
				return err
			}
		}
		s.states, s.outdated, s.isLoaded, s.basis, s.edge = states, nil, true, cov.Basis, cov.Edge
	}
	for key, state := range s.states {
		if r := cov.Repos[key.RepoID]; r == nil {
			delete(s.states, key)
		} else if r.IsGone() {
			state.setDueSince(r.GoneSince)
		}
	}
	return nil
}

// loadStockStates adds the states of the stocks of some repositories.
func (c *Collector) loadStockStates(ctx context.Context, ids []int64, states map[RepoStream]*stockState) error {
	keys := make([]ledger.EntryKey, 0, 4*len(ids))
	for _, id := range ids {
		keys = append(keys, ledger.OpenPullsKey(id), ledger.OpenIssuesKey(id))
		for _, stream := range stockStreams {
			keys = append(keys, ledger.StockDueKey(id, stream))
		}
	}
	entries, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, keys)
	if err != nil {
		return &StoreError{err}
	}
	for _, entry := range entries {
		if stream, state, ok := storedState(&entry); ok {
			states[RepoStream{entry.Repo, stream}] = &state
		}
	}
	for _, id := range ids {
		for _, stream := range stockStreams {
			state := states[RepoStream{id, stream}]
			due := entries[ledger.StockDueKey(id, stream)].Observed
			if state != nil && due.After(state.seen.time()) {
				state.due, state.isDue, state.isMarked = momentOf(due), true, true
			}
		}
	}
	return nil
}

// storedState returns the state of a stock that an entry has; false for an entry of another name, and for data that
// this version does not know.
func storedState(entry *ledger.Entry) (stream activity.Stream, state stockState, ok bool) {
	switch entry.Name {
	case ledger.EntryOpenPulls:
		stock, err := ledger.DecodePullStock(entry.Data)
		return activity.StreamPulls, newStockState(stock.SeenAt, stock.Updated), err == nil
	case ledger.EntryOpenIssues:
		stock, err := ledger.DecodeIssueStock(entry.Data)
		return activity.StreamIssues, newStockState(stock.SeenAt, stock.Updated), err == nil
	default:
		return 0, stockState{}, false
	}
}

// newStockState returns the state of a stock that was read at a time.
func newStockState(seen, updated time.Time) stockState {
	return stockState{seen: momentOf(seen), updated: momentOf(updated)}
}

// stocksAgree ends a pass, up to whose edge the states agree with the store.
func (c *Collector) stocksAgree(edge time.Time) {
	c.stocks.mu.Lock()
	defer c.stocks.mu.Unlock()
	c.stocks.edge, c.stocks.candidates = edge, nil
}
