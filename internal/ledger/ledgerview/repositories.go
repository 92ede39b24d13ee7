// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Repository is what a view has of a repository at a time.
type Repository struct {
	ID   int64
	Name string
	// Facts and Counts are those of the last listing and reading; nil where there was none. They must not be changed.
	Facts  *activity.RepoFacts
	Counts *activity.RepoCounts
	// VCS is what the metrics vcs.* show besides.
	VCS RepositoryVCS
	// LastEvent is the time of the newest event that was ever recorded, of anybody; zero without one.
	LastEvent time.Time
	// Stocks are what is open.
	Stocks RepoStocks
	// Coverage is what was read of it. It must not be changed.
	Coverage *ledger.RepoCoverage
	// Histograms are those of its flow: see View.Histograms.
	Histograms []ledger.Histogram
}

// repoFacts are the decoded entries of repositories and of the organization, apart from those of series.
type repoFacts struct {
	listed map[int64]*activity.RepoFacts
	counts map[int64]*activity.RepoCounts
	totals []ledger.RepoTotal
	vcs    map[int64]RepositoryVCS
}

func newRepoFacts() repoFacts {
	return repoFacts{
		listed: make(map[int64]*activity.RepoFacts), counts: make(map[int64]*activity.RepoCounts),
		vcs: make(map[int64]RepositoryVCS),
	}
}

// apply applies a new observation. Data that this version does not know leave what was known.
func (f *repoFacts) apply(entry *ledger.Entry) {
	switch entry.Name {
	case ledger.EntryRepoFacts:
		if facts, err := ledger.DecodeRepoFacts(entry.Data); err == nil {
			f.listed[entry.Repo] = &facts
		}
	case ledger.EntryRepoCounts:
		if counts, err := ledger.DecodeRepoCounts(entry.Data); err == nil {
			f.counts[entry.Repo] = &counts
		}
	case ledger.EntryRepoTotals:
		if totals, err := ledger.DecodeRepoTotals(entry.Data); err == nil {
			f.totals = totals
		}
	}
}

// purge deletes what is known of the purged repositories.
func (f *repoFacts) purge(purged map[int64]bool) {
	for id := range purged {
		delete(f.listed, id)
		delete(f.counts, id)
		delete(f.vcs, id)
	}
}

// EachRepository calls f for each recorded repository that is not gone, under its present name, in no order. It calls
// none and returns false before a snapshot was applied completely. f is called under the view's lock, must not call the
// view, and must not keep the pointer.
func (v *View) EachRepository(now time.Time, f func(*Repository)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.caughtUp {
		return false
	}
	owners := make(map[string]int64, len(v.cov.Repos))
	for id := range v.cov.Repos {
		v.claimName(owners, id)
	}
	for name, id := range owners {
		f(&Repository{
			ID: id, Name: name, Facts: v.facts.listed[id], Counts: v.facts.counts[id], LastEvent: v.lastEvent(id, now),
			Stocks: v.stocksAt(id, now), VCS: v.vcsOf(id),
			Coverage: v.cov.Repos[id], Histograms: v.histograms(id, now),
		})
	}
	return true
}

// RepoTotals returns the number of all repositories that the credential sees in the organization, by visibility and
// state; nil where that is unknown. It must not be changed.
func (v *View) RepoTotals() []ledger.RepoTotal {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.facts.totals
}

// lastEvent returns the time of the newest event of a repository that is not after now. Its entry has it when the event
// was pruned; without an entry, which earlier versions did not write, the events have it.
func (v *View) lastEvent(id int64, now time.Time) time.Time {
	var last time.Time
	if entry, ok := v.entries[ledger.LastEventKey(id)]; ok && !entry.Observed.After(now) {
		last = entry.Observed
	}
	repo := v.repos[id]
	if repo == nil {
		return last
	}
	limit := ledger.Unix32(now)
	newest := ledger.Unix32(last)
	for _, s := range repo.series {
		newest = max(newest, s.newestUntil(limit))
	}
	if newest <= ledger.Unix32(last) {
		return last
	}
	return time.Unix(int64(newest), 0).UTC()
}

// newestUntil returns the time of the newest event that is not after limit; 0 without one.
func (s *series) newestUntil(limit uint32) uint32 {
	if s.newest <= limit {
		return s.newest
	}
	var newest uint32
	for _, list := range s.events {
		for i := range list {
			if at := list[i].at; at <= limit {
				newest = max(newest, at)
			}
		}
	}
	return newest
}
