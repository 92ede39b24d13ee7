// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Change is the difference that a commit or a pruning made. A snapshot is a sequence of changes to an empty ledger.
type Change struct {
	// Reset starts a snapshot: everything applied before is void. CaughtUp is set in the snapshot's last change.
	Reset, CaughtUp bool
	// LedgerStart is when the ledger started; set in the first change of all and in snapshots.
	LedgerStart time.Time
	// Events are newly recorded. An event is recorded once in the life of a ledger.
	Events []activity.Event
	// Removed are recorded events that do not exist any more, Restored are removed ones that exist again. They change
	// what windows count, and no total. An event in both lists is removed.
	Removed, Restored []activity.Key
	// Carried are totals of events that have been pruned; only in snapshots.
	Carried []CarriedTotals
	// Progress is the change of coverage.
	Progress Progress
	// Entries replace older ones with their keys. Tallies are increments; those of a snapshot count from zero.
	Entries []Entry
	Tallies []Tally
	// PrunedBefore is the time before which events were pruned; zero when none were.
	PrunedBefore time.Time
}

// SnapshotChunk is the largest number of events, or of series with carried totals, in one change of a snapshot.
const SnapshotChunk = 5000

// PurgedRepos returns the ids of the repositories that are purged, nil when there are none.
func (p *Progress) PurgedRepos() map[int64]bool {
	var purged map[int64]bool
	for i := range p.Repos {
		if p.Repos[i].Presence == PresencePurged {
			if purged == nil {
				purged = make(map[int64]bool)
			}
			purged[p.Repos[i].ID] = true
		}
	}
	return purged
}

// CarriedTotals are the totals of a user's pruned events in a repository, or those of the pruned events that are
// attributed to the repository: then Actor is activity.NoActor.
type CarriedTotals struct {
	Repo       int64
	Actor      activity.Actor
	Totals     Totals
	Repository RepositoryTotals
}

// AddEvent adds an event.
func (c *CarriedTotals) AddEvent(e *activity.Event) {
	if e.Kind.IsOfRepository() {
		c.Repository.AddEvent(e)
	} else {
		c.Totals.AddEvent(e)
	}
}

// All calls yield with the id and the value of each total that is not zero.
func (c *CarriedTotals) All(yield func(TotalID, uint64) bool) {
	for i := range totalSpecs {
		if c.Totals[i] != 0 && !yield(totalSpecs[i].ID, c.Totals[i]) {
			return
		}
	}
	c.Repository.all(yield)
}

// Set sets the total with an id; an unknown id is ignored.
func (c *CarriedTotals) Set(id TotalID, value uint64) {
	c.Totals.set(id, value)
	c.Repository.set(id, value)
}
