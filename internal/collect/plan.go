// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// plan is what a pass has to do: record the changes of repositories, then carry out the readings.
type plan struct {
	passWindows
	// basis is that of the coverage that the plan was made from.
	basis string
	// changes are those of repositories, to be recorded before any of their events; readings are what the pass reads.
	changes  []ledger.RepoProgress
	readings []plannedReading
	// ifUnread has, by repository without a reading, the streams whose newest part is incomplete.
	ifUnread map[int64]*ifUnread
	// deferred are the streams that this pass does not read: they back off, or it is unknown whether their repository
	// is readable.
	deferred []Failure
	// facts are the entries of repositories and of the organization that have changed.
	facts []ledger.Entry
}

// ifUnread is what the pass records of a repository that it has not read.
type ifUnread struct {
	// coveredUntil is the time up to which each stream is complete; zero for a stream that needs no reading.
	coveredUntil [activity.NumStreams]time.Time
	// signals are the recorded signals with the push that was discovered; nil when no push was.
	signals *activity.Signals
}

// missedProgress returns the progress of the streams that should have been read and were not. Repositories in observed
// had their signals recorded by a reading. For the others it has the push that was discovered: backfill may read its
// events, and weekly lines depend on the time of the newest push.
func (p *plan) missedProgress(read map[int64]activity.Streams, observed map[int64]bool) []ledger.RepoProgress {
	var list []ledger.RepoProgress
	add := func(id int64, unread *ifUnread) {
		progress := ledger.RepoProgress{ID: id}
		if unread.signals != nil && !observed[id] {
			progress.Signals, progress.Observed = unread.signals, p.start
		}
		for _, s := range activity.AllStreams() {
			if unread.coveredUntil[s].IsZero() || read[id].Has(s) {
				continue
			}
			window := activity.Window{Start: unread.coveredUntil[s], End: p.start}
			progress.Missed = append(progress.Missed, ledger.StreamWindow{Stream: s, Window: window})
		}
		if len(progress.Missed) > 0 {
			list = append(list, progress)
		}
	}
	for id, unread := range p.ifUnread {
		add(id, unread)
	}
	for i := range p.readings {
		if r := &p.readings[i]; r.needed&^read[r.repo.ID] != 0 {
			add(r.repo.ID, p.unread(r))
		}
	}
	return list
}
