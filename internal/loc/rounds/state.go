// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rounds

import (
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

// repoState is the state of one repository as it was committed last.
type repoState struct {
	state loc.State
	part  ledger.WeeklyLines
	// observed is the time of the stored entries. The next ones are never older, even when this replica's clock is
	// behind that of the former leader: otherwise the store would ignore them.
	observed time.Time
}

// stateCache holds the states of repositories, read from the entries when they are needed first. It is safe for
// concurrent use; a repoState belongs to the goroutine that advances the repository.
type stateCache struct {
	onInvalid func()

	mu          sync.Mutex
	entries     EntryReader
	ledgerStart time.Time
	repos       map[int64]*repoState
}

// repo returns the state of a repository.
func (c *stateCache) repo(id int64) *repoState {
	c.mu.Lock()
	defer c.mu.Unlock()
	repo := c.repos[id]
	if repo == nil {
		repo = c.load(id)
		c.repos[id] = repo
	}
	return repo
}

// entry reads a stored entry.
func (c *stateCache) entry(key ledger.EntryKey) (ledger.Entry, bool) {
	c.mu.Lock()
	entries := c.entries
	c.mu.Unlock()
	return entries.Entry(key)
}

// resetForNewLedger drops all states when the ledger's start differs from that of the round before: the store was reset
// or replaced, and the entries of this replica are those of the former one.
func (c *stateCache) resetForNewLedger(start time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ledgerStart.IsZero() && !start.Equal(c.ledgerStart) {
		clear(c.repos)
		c.entries = noEntries{}
	}
	c.ledgerStart = start
}

// noEntries are the entries of a new ledger.
type noEntries struct{}

func (noEntries) Entry(ledger.EntryKey) (ledger.Entry, bool) { return ledger.Entry{}, false }

// load decodes the entries of a repository. Invalid ones are reported and ignored. The lock is held.
func (c *stateCache) load(id int64) *repoState {
	repo := &repoState{}
	entry, ok := c.entries.Entry(ledger.EntryKey{Name: ledger.EntryLinesState, Repo: id})
	if !ok {
		return repo
	}
	repo.observed = entry.Observed
	state, err := loc.Decode(entry.Data)
	if err != nil {
		c.onInvalid()
		return repo
	}
	if state.Commits.Position > 0 {
		part, _ := c.entries.Entry(ledger.EntryKey{Name: ledger.EntryLinesPart, Repo: id})
		repo.part, err = ledger.DecodeWeeklyLines(part.Data)
		if err != nil || !repo.part.Week.Equal(state.Commits.Week) {
			c.onInvalid()
			state.Commits, repo.part = loc.CommitProgress{}, ledger.WeeklyLines{}
		}
	}
	repo.state = state
	return repo
}

// stepResult is what a step found about a repository. It becomes the repository's state when it is committed.
type stepResult struct {
	repoID int64
	repo   *repoState
	state  loc.State
	// lines replace those that are shown; nil leaves them.
	lines *ledger.WeeklyLines
	// part is what was read so far of a week.
	part ledger.WeeklyLines
}

// entries returns what the step stores.
func (s *stepResult) entries(now time.Time) []ledger.Entry {
	if s.repo.observed.After(now) {
		now = s.repo.observed
	}
	s.repo.observed = now
	list := []ledger.Entry{
		{
			EntryKey: ledger.EntryKey{Name: ledger.EntryLinesState, Repo: s.repoID}, Data: s.state.Encode(),
			Observed: now,
		},
	}
	if s.lines != nil {
		list = append(list, ledger.Entry{
			EntryKey: ledger.WeeklyLinesKey(s.repoID), Data: s.lines.Encode(), Observed: now,
		})
	}
	part := ledger.Entry{EntryKey: ledger.EntryKey{Name: ledger.EntryLinesPart, Repo: s.repoID}, Observed: now}
	switch {
	case s.state.Commits.Position > 0:
		part.Data = s.part.Encode()
		list = append(list, part)
	case s.repo.state.Commits.Position > 0:
		list = append(list, part) // without data: it is removed
	}
	return list
}
