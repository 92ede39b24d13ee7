// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import (
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Snapshot returns the state as changes: the first has Reset, the last CaughtUp.
func (s *State) Snapshot() []ledger.Change {
	first := ledger.Change{
		Reset: true, LedgerStart: s.cov.LedgerStart, Progress: s.cov.AsProgress(),
		PrunedBefore: s.prunedBefore,
	}
	for key, n := range s.tallies {
		first.Tallies = append(first.Tallies, ledger.Tally{TallyKey: key, Add: n})
	}
	for _, entry := range s.entries {
		first.Entries = append(first.Entries, entry)
	}
	changes := slices.Concat([]ledger.Change{first}, s.carriedChanges(), s.eventChanges())
	changes[len(changes)-1].CaughtUp = true
	return changes
}

// carriedChanges returns the carried totals. Each change has the time of the pruning itself: if the first change of a
// stored snapshot is lost, events that the totals count must not be recorded again.
func (s *State) carriedChanges() []ledger.Change {
	var carried []ledger.CarriedTotals
	for key, series := range s.series {
		if series.carried != (ledger.Totals{}) || series.repository != nil {
			carried = append(carried, ledger.CarriedTotals{
				Repo: key.repo, Actor: s.actors.list[key.actor],
				Totals: series.carried, Repository: series.repository.Clone(),
			})
		}
	}
	var changes []ledger.Change
	for chunk := range slices.Chunk(carried, ledger.SnapshotChunk) {
		changes = append(changes, ledger.Change{Carried: chunk, PrunedBefore: s.prunedBefore})
	}
	return changes
}

// eventChanges returns all events, each change with those of its events that are removed.
func (s *State) eventChanges() []ledger.Change {
	var changes []ledger.Change
	chunk := ledger.Change{}
	for key, r := range s.events {
		chunk.Events = append(chunk.Events, s.event(key, r))
		if r.removed {
			chunk.Removed = append(chunk.Removed, key)
		}
		if len(chunk.Events) == ledger.SnapshotChunk {
			changes = append(changes, chunk)
			chunk = ledger.Change{}
		}
	}
	if len(chunk.Events) > 0 {
		changes = append(changes, chunk)
	}
	return changes
}
