package ledger

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Change is the difference that a commit or a pruning made. A snapshot is a sequence of changes too, from nothing.
type Change struct {
	// Reset says that a snapshot begins: what was known before is void. CaughtUp says that it is complete with this one.
	Reset, CaughtUp bool
	// LedgerStart is when the ledger began; set by the first change of all and by snapshots.
	LedgerStart time.Time
	// Events are the ones recorded, each once in the life of the ledger.
	Events []activity.Event
	// Removed are recorded events that are not there any more, Restored those of them that are there again. They change
	// what windows count, and no total. What is both is not there.
	Removed, Restored []activity.Key
	// Carried are totals of events that have been pruned; only in snapshots.
	Carried []CarriedTotals
	// Progress is what was read.
	Progress Progress
	// Entries are values to keep if newer. Tallies are increments; a snapshot's count from zero.
	Entries []Entry
	Tallies []Tally
	// PrunedBefore is the time before which everything was taken out; zero when nothing was.
	PrunedBefore time.Time
}

// forgotten are the repositories that are forgotten, nil when there are none.
func (p *Progress) forgotten() map[int64]bool {
	var forgotten map[int64]bool
	for i := range p.Repos {
		if p.Repos[i].Presence == PresencePurged {
			if forgotten == nil {
				forgotten = make(map[int64]bool)
			}
			forgotten[p.Repos[i].ID] = true
		}
	}
	return forgotten
}

// CarriedTotals are the totals of a user in a repository that no event in the ledger explains any more.
type CarriedTotals struct {
	Repo   int64
	Actor  activity.Actor
	Totals Totals
}
