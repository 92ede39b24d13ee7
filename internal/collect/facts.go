// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// factsChunk is how many entries with facts are read from the store at once.
const factsChunk = 1000

// knownFacts are the digests of the entries with facts that the ledger has, so that only changed ones are written. They
// are valid for one coverage: since then another leader may have written others, or the store may have lost some. They
// belong to the goroutine of passes.
type knownFacts struct {
	edge, ledgerStart time.Time
	basis             string
	digests           map[ledger.EntryKey]uint64
	// due are the repositories whose counts are to be read again.
	due map[int64]bool
}

// isOf reports whether the digests describe the ledger with a coverage.
func (k *knownFacts) isOf(cov *ledger.Coverage) bool {
	return k.digests != nil && k.edge.Equal(cov.Edge) && k.ledgerStart.Equal(cov.LedgerStart) && k.basis == cov.Basis
}

// digestOf returns a number that differs between different data of an entry.
func digestOf(data []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(data)
	return h.Sum64()
}

// factsPlan is what a discovery shows of repositories besides their signals.
type factsPlan struct {
	// entries has the encoded facts of the selected repositories.
	entries map[ledger.EntryKey][]byte
	// totals counts all repositories by visibility and state. hasUnknown says that one could not be counted.
	totals     map[ledger.RepoTotal]uint64
	hasUnknown bool
}

// visibilities are those that repositories can have.
func visibilities() []string { return []string{"public", "private", "internal"} }

func newFactsPlan() factsPlan {
	return factsPlan{entries: make(map[ledger.EntryKey][]byte), totals: make(map[ledger.RepoTotal]uint64)}
}

// add adds a discovered repository.
func (p *factsPlan) add(r *activity.Repository, isSelected bool) {
	if r.FlagsUnknown || !slices.Contains(visibilities(), r.Facts.Visibility) {
		p.hasUnknown = true
		return
	}
	p.totals[ledger.RepoTotal{Visibility: r.Facts.Visibility, State: r.Facts.State()}]++
	if !isSelected {
		return
	}
	if data := ledger.EncodeRepoFacts(&r.Facts); data != nil {
		p.entries[ledger.RepoFactsKey(r.ID)] = data
	}
}

// addTotals adds the entry with the number of repositories: of every combination, also of those without any.
func (p *factsPlan) addTotals() {
	var totals []ledger.RepoTotal
	for _, visibility := range visibilities() {
		for state := range activity.RepoState(activity.NumRepoStates) {
			total := ledger.RepoTotal{Visibility: visibility, State: state}
			total.Count = p.totals[total]
			totals = append(totals, total)
		}
	}
	p.entries[ledger.RepoTotalsKey()] = ledger.EncodeRepoTotals(totals)
}

// loadFacts makes the digests those of the ledger with a coverage. It reads the entries of the discovered repositories
// unless the last pass was this collector's. Its error is a *StoreError.
func (c *Collector) loadFacts(ctx context.Context, cov *ledger.Coverage, p *factsPlan) error {
	if c.facts.isOf(cov) {
		return nil
	}
	keys := []ledger.EntryKey{ledger.RepoTotalsKey()}
	for key := range p.entries {
		if key.Repo != 0 {
			keys = append(keys, key, ledger.RepoCountsKey(key.Repo))
		}
	}
	digests := make(map[ledger.EntryKey]uint64, len(keys))
	for part := range slices.Chunk(keys, factsChunk) {
		entries, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, part)
		if err != nil {
			return &StoreError{err}
		}
		for key := range entries {
			digests[key] = digestOf(entries[key].Data)
		}
	}
	c.facts = knownFacts{
		edge: cov.Edge, ledgerStart: cov.LedgerStart, basis: cov.Basis, digests: digests, due: make(map[int64]bool),
	}
	return nil
}

// changedFacts returns the entries of a plan that differ from those of the ledger. Repositories with changed facts, and
// those without counts, are due.
func (c *Collector) changedFacts(p *factsPlan, observed time.Time) []ledger.Entry {
	var changed []ledger.Entry
	for key, data := range p.entries {
		digest, isKnown := c.facts.digests[key]
		if !isKnown || digest != digestOf(data) {
			changed = append(changed, ledger.Entry{EntryKey: key, Data: data, Observed: observed})
			c.facts.due[key.Repo] = key.Repo != 0
		}
		if _, hasCounts := c.facts.digests[ledger.RepoCountsKey(key.Repo)]; key.Repo != 0 && !hasCounts {
			c.facts.due[key.Repo] = true
		}
	}
	maps.DeleteFunc(c.facts.due, func(repo int64, _ bool) bool { return p.entries[ledger.RepoFactsKey(repo)] == nil })
	return changed
}

// requestCountsAgain makes the counts of repositories due whatever listings show: watchers and releases move nothing in
// them. With REST alone, where each repository costs requests, those are the recently active ones.
func (c *Collector) requestCountsAgain(cov *ledger.Coverage, since time.Time) {
	if !c.facts.isOf(cov) {
		return
	}
	for id, r := range cov.Repos {
		if !r.IsGone() && (c.settings.Source.CountsLimit() >= len(cov.Repos) || isActive(&r.Signals, since)) {
			c.facts.due[id] = true
		}
	}
}

// recordFacts records that the ledger has entries.
func (k *knownFacts) recordFacts(entries []ledger.Entry) {
	for i := range entries {
		k.digests[entries[i].EntryKey] = digestOf(entries[i].Data)
	}
}

// readCounts reads the counts of the repositories that are due, as many as one pass may read, and commits those that
// have changed. Its error is that of the store.
func (c *Collector) readCounts(ctx context.Context, fence uint64, basis string, observed time.Time) error {
	limit := c.settings.Source.CountsLimit()
	var requested []activity.Repository
	c.mu.Lock()
	for repo := range c.facts.due {
		if node := c.nodeIDs[repo]; node != "" && len(requested) < limit {
			requested = append(requested, activity.Repository{ID: repo, NodeID: node})
		}
	}
	c.mu.Unlock()
	if len(requested) == 0 {
		return nil
	}
	var changed []ledger.Entry
	c.settings.Source.ReadCounts(ctx, c.settings.Org, requested, func(repo int64, counts activity.RepoCounts) {
		delete(c.facts.due, repo)
		key, data := ledger.RepoCountsKey(repo), ledger.EncodeRepoCounts(&counts)
		if digest, isKnown := c.facts.digests[key]; !isKnown || digest != digestOf(data) {
			changed = append(changed, ledger.Entry{EntryKey: key, Data: data, Observed: observed})
		}
	})
	if len(changed) == 0 {
		return context.Cause(ctx)
	}
	if _, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{Basis: basis, Entries: changed}); err != nil {
		return err
	}
	c.facts.recordFacts(changed)
	return nil
}

// lastEvents has, by repository, the time of the newest event that this collector has recorded.
type lastEvents map[int64]time.Time

// entries returns the entries with the times of the newest events of a batch, of repositories in which they are newer
// than those of former batches. An event after the batch's own time does not count: a commit may have any date. Nor do
// those of the flow, which are measured of others and depend on its settings.
func (l lastEvents) entries(b *ledger.Batch) []ledger.Entry {
	newest := make(map[int64]time.Time)
	for i := range b.Events {
		e := &b.Events[i]
		if e.Kind.IsOfRepository() || e.Time.After(b.Observed) {
			continue
		}
		if e.Time.After(newest[e.Repo]) && e.Time.After(l[e.Repo]) {
			newest[e.Repo] = e.Time
		}
	}
	var entries []ledger.Entry
	for repo, at := range newest {
		entries = append(entries, ledger.Entry{EntryKey: ledger.LastEventKey(repo), Observed: at})
	}
	return entries
}

// record records that the ledger has entries of entries.
func (l lastEvents) record(entries []ledger.Entry) {
	for i := range entries {
		if e := &entries[i]; e.Observed.After(l[e.Repo]) {
			l[e.Repo] = e.Observed
		}
	}
}
