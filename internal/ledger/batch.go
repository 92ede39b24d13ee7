// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Batch is the result of one reading. Committing it again, late, or together with an overlapping one changes nothing
// that is recorded already.
type Batch struct {
	Org string
	// Observed is the time of the reading. An event dated later gets this time, because clients choose a commit's date.
	Observed time.Time
	// Events are a set: an event that the ledger has is not recorded again. Events before RepoProgress.Since or before
	// the time of the last pruning are dropped.
	Events []activity.Event
	// Removed are events that do not exist any more, such as a commit that a force-push removed from the branch. An
	// event in both lists is removed. Sweeps remove all events but those that they list. Both have effect only in
	// batches with authority.
	Removed  []activity.Key
	Sweeps   []Sweep
	Progress Progress
	Entries  []Entry
	Tallies  []Tally
	// Basis is that of the coverage on which the batch builds, or on which an earlier batch of the same reading built.
	// A store that has lost records since refuses the batch with ErrReplaced. Empty for a batch that builds on no
	// coverage.
	Basis string
}

// Sweep removes a repository's events of one kind in a window except those in Present.
type Sweep struct {
	Repo    int64
	Kind    activity.Kind
	Window  activity.Window
	Present map[activity.ID]struct{}
}

// Removes reports whether the sweep removes an event. at is the event's time.
func (s *Sweep) Removes(k activity.Key, at time.Time) bool {
	if k.Repo != s.Repo || k.Kind != s.Kind || !s.Window.Contains(at) {
		return false
	}
	_, kept := s.Present[k.ID]
	return !kept
}

// SweepIndex finds the sweeps of a batch by repository: a reconciliation has one for each active repository, and all
// events of the ledger are compared with them.
type SweepIndex map[int64][]*Sweep

// AuthorizedSweeps returns the sweeps that a batch with this fence may make: none without authority (fence 0).
func (b *Batch) AuthorizedSweeps(fence uint64) SweepIndex {
	if fence == 0 {
		return nil
	}
	sweeper := make(SweepIndex, len(b.Sweeps))
	for i := range b.Sweeps {
		sweep := &b.Sweeps[i]
		sweeper[sweep.Repo] = append(sweeper[sweep.Repo], sweep)
	}
	return sweeper
}

// Removes reports whether one of the sweeps removes an event. at is the event's time.
func (s SweepIndex) Removes(k activity.Key, at time.Time) bool {
	return slices.ContainsFunc(s[k.Repo], func(sweep *Sweep) bool { return sweep.Removes(k, at) })
}

// Progress is the part of a batch that changes coverage.
type Progress struct {
	// Edge is the start of a pass that has looked at every repository: all of them are covered up to it, except for the
	// windows that this batch or earlier ones reported as missed. Zero when no pass ended. The edge never moves back.
	Edge time.Time
	// Repos has the repositories whose coverage changes.
	Repos []RepoProgress
}

// RepoProgress is the change of one repository's coverage. Zero fields leave it unchanged.
type RepoProgress struct {
	// ID is GitHub's id of the repository, Name its present name.
	ID   int64
	Name string
	// FirstSeen is when discovery first returned the repository, and Since the time from which its events are wanted.
	// Both are set once, by the batch that introduces the repository.
	FirstSeen, Since time.Time
	// Streams are the streams that the batch introduces: coverage describes them from now on, and what was not read of
	// them is in Missed. A batch that introduces a repository without streams introduces activity.FirstStreams.
	Streams activity.Streams
	// Contacts are those of all streams that the ledger got later than the repository. They are set with Streams, and
	// replace the former ones.
	Contacts []StreamContact
	// Signals are what discovery read at Observed. They are set when all the changes that they show have been read.
	Signals  *activity.Signals
	Observed time.Time
	// Presence says that the repository left the organization's readable repositories, or came back.
	Presence Presence
	// GoneSince is when it left; with PresenceGone.
	GoneSince time.Time
	// Missed are windows that were not read, because it failed or was deferred. Read are windows that were read
	// completely. Where both overlap in one batch, Read wins.
	Missed, Read []StreamWindow
	TipChanges
}

// StreamContact is when the ledger got a stream of a repository that it had already.
type StreamContact struct {
	Stream activity.Stream
	At     time.Time
}

// TipChanges are the changes of a repository's tips.
type TipChanges struct {
	// Tips are heads, beside that of RepoProgress.Signals, from which the commits of the batch were listed.
	Tips []string
	// ResolvedTips are tips whose commits have been removed except those that the head of RepoProgress.Signals reaches
	// too. They have effect only in batches with authority.
	ResolvedTips []string
}

// Presence says whether a repository can be read.
type Presence uint8

// The presences. Their values are stored. PresenceUnchanged, the zero value, leaves the presence as it was.
const (
	PresenceUnchanged Presence = iota
	PresenceReadable
	PresenceGone
	// PresencePurged is the presence of a repository that left before the retention: everything about it is deleted,
	// and if it comes back it is a new one. Only pruning sets it.
	PresencePurged
)

// StreamWindow is a window of one stream.
type StreamWindow struct {
	Stream activity.Stream
	Window activity.Window
}

// TallyKey identifies an operational counter that all replicas share.
type TallyKey struct {
	// Name is the counter's metric, Labels its label values in the metric's order, without the organization.
	Name   string
	Labels [2]string
}

// Tally is an increment of an operational counter.
type Tally struct {
	TallyKey
	Add uint64
}

// TallySeriesOverflow counts the series that were folded because max_series was reached. The ledger itself counts it,
// whatever process commits.
const TallySeriesOverflow = "series_overflow"

// Receipt is the result of a commit.
type Receipt struct {
	// Recorded is the number of events that were recorded, Duplicates of those that the ledger had already.
	Recorded, Duplicates int
	// Dropped is the number of events that were not recorded: of an unknown repository, too old, or invalid.
	Dropped int
	// Folded is the number of (repository, user) pairs whose events went to the user "_other", because max_series was
	// reached.
	Folded int
}
