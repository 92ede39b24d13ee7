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
	// repos has the digests by repository; under 0 facts is that of the numbers of repositories.
	repos map[int64]factsDigests
}

// factsDigests are the digests of the entries of a repository, 0 for one that the ledger does not have.
type factsDigests struct {
	facts, counts uint64
	// isDue says that the counts are to be read again.
	isDue bool
}

// isOf reports whether the digests describe the ledger with a coverage.
func (k *knownFacts) isOf(cov *ledger.Coverage) bool {
	return k.repos != nil && k.edge.Equal(cov.Edge) && k.ledgerStart.Equal(cov.LedgerStart) && k.basis == cov.Basis
}

// digestOf returns a number that differs between different data of an entry, and is not 0.
func digestOf(data []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(data)
	return max(1, h.Sum64())
}

// record records that the ledger has data of an entry.
func (k *knownFacts) record(key ledger.EntryKey, data []byte) {
	known := k.repos[key.Repo]
	if key.Name == ledger.EntryRepoCounts {
		known.counts = digestOf(data)
	} else {
		known.facts = digestOf(data)
	}
	k.repos[key.Repo] = known
}

// setDue sets whether the counts of a repository are to be read again.
func (k *knownFacts) setDue(repo int64, isDue bool) {
	known := k.repos[repo]
	known.isDue = isDue
	k.repos[repo] = known
}

// setReleasesDue makes the counts of the repositories due whose signals show that their releases have changed.
func (k *knownFacts) setReleasesDue(readings []plannedReading) {
	for i := range readings {
		signals := readings[i].discovered()
		if readings[i].streams.Has(activity.StreamReleases) && signals.Streams.Has(activity.StreamReleases) {
			k.setDue(readings[i].repo.ID, true)
		}
	}
}

// factsPlan is what a discovery shows of repositories besides their signals.
type factsPlan struct {
	// recorded are the facts that the ledger has, nil when they have to be loaded.
	recorded map[int64]factsDigests
	// entries has the encoded facts of the selected repositories: without recorded those of all, otherwise the changed
	// ones.
	entries map[ledger.EntryKey][]byte
	// totals counts all repositories by visibility and state. hasUnknown says that one could not be counted.
	totals     map[ledger.RepoTotal]uint64
	hasUnknown bool
}

// visibilities are those that repositories can have.
func visibilities() []string { return []string{"public", "private", "internal"} }

func newFactsPlan(recorded map[int64]factsDigests) factsPlan {
	return factsPlan{
		recorded: recorded, entries: make(map[ledger.EntryKey][]byte), totals: make(map[ledger.RepoTotal]uint64),
	}
}

// digestsOf returns the digests of the ledger with a coverage, nil when they have to be loaded.
func (k *knownFacts) digestsOf(cov *ledger.Coverage) map[int64]factsDigests {
	if k.isOf(cov) {
		return k.repos
	}
	return nil
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
	if data := ledger.EncodeRepoFacts(&r.Facts); data != nil && p.recorded[r.ID].facts != digestOf(data) {
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
// unless the last pass was this collector's. Counts are due that were read after other facts than the ledger has: the
// pass that wrote those may have ended before it read the counts. Its error is a *StoreError.
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
	loaded := knownFacts{
		edge: cov.Edge, ledgerStart: cov.LedgerStart, basis: cov.Basis,
		repos: make(map[int64]factsDigests, len(p.entries)),
	}
	counted := make(map[int64]uint64) // the digests of the facts after which counts were read
	for part := range slices.Chunk(keys, factsChunk) {
		entries, err := c.settings.Store.ReadEntries(ctx, c.settings.Org, part)
		if err != nil {
			return &StoreError{err}
		}
		for key := range entries {
			data := entries[key].Data
			loaded.record(key, data)
			if counts, err := ledger.DecodeRepoCounts(data); err == nil && key.Name == ledger.EntryRepoCounts {
				counted[key.Repo] = counts.OfFacts
			}
		}
	}
	for repo, known := range loaded.repos {
		loaded.setDue(repo, repo != 0 && counted[repo] != known.facts)
	}
	c.facts = loaded
	return nil
}

// changedFacts returns the entries of a plan that differ from those of the ledger. Repositories with changed facts, and
// those without counts, are due.
func (c *Collector) changedFacts(p *factsPlan, observed time.Time) []ledger.Entry {
	var changed []ledger.Entry
	for key, data := range p.entries {
		known := c.facts.repos[key.Repo]
		hasChanged := known.facts != digestOf(data)
		if hasChanged {
			changed = append(changed, ledger.Entry{EntryKey: key, Data: data, Observed: observed})
		}
		if key.Repo != 0 && (hasChanged || known.counts == 0) {
			c.facts.setDue(key.Repo, true)
		}
	}
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
			c.facts.setDue(id, true)
		}
	}
}

// recordFacts records that the ledger has entries.
func (k *knownFacts) recordFacts(entries []ledger.Entry) {
	for i := range entries {
		k.record(entries[i].EntryKey, entries[i].Data)
	}
}

// readCounts reads the counts of the repositories that are due, as many as one pass may read, and commits those that
// have changed. Its error is that of the store.
func (c *Collector) readCounts(ctx context.Context, fence uint64, basis string, observed time.Time) error {
	limit := c.settings.Source.CountsLimit()
	var requested []activity.Repository
	c.mu.Lock()
	maps.DeleteFunc(c.facts.repos, func(repo int64, _ factsDigests) bool { return repo != 0 && c.nodeIDs[repo] == "" })
	for repo, known := range c.facts.repos {
		if node := c.nodeIDs[repo]; known.isDue && node != "" && len(requested) < limit {
			requested = append(requested, activity.Repository{ID: repo, NodeID: node})
		}
	}
	c.mu.Unlock()
	if len(requested) == 0 {
		return nil
	}
	var changed []ledger.Entry
	c.settings.Source.ReadCounts(ctx, c.settings.Org, requested, func(repo int64, counts activity.RepoCounts) {
		c.facts.setDue(repo, false)
		counts.OfFacts = c.facts.repos[repo].facts
		key, data := ledger.RepoCountsKey(repo), ledger.EncodeRepoCounts(&counts)
		if c.facts.repos[repo].counts != digestOf(data) {
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
