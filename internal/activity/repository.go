package activity

import "time"

// Repository is what discovery says of a repository.
type Repository struct {
	// ID is GitHub's database id: it outlives renames and transfers, Name does not.
	ID int64
	// NodeID is the global id of GraphQL; empty when only REST was asked.
	NodeID string
	// Name is the present name without the owner.
	Name string
	// Archived, Fork, Private and Empty are GitHub's flags. An empty repository has no commit yet.
	Archived, Fork, Private, Empty bool
	// FlagsUnknown says that a flag, or what is switched off, is not known: none of them counts then.
	FlagsUnknown bool
	// Signals tell whether something changed.
	Signals Signals
}

// Signals are what discovery can tell cheaply of a repository's newest changes. Two equal signals of one stream, the
// older one settled, mean that nothing happened in between.
type Signals struct {
	// Streams is the set of streams of which discovery could tell anything. A stream outside must be read to be known.
	Streams Streams
	// Head is the object name of the default branch's newest commit; empty in an empty repository and where discovery
	// could not tell it. Of a repository that was read, it is the head up to which the commits were.
	Head string
	// Branch is the default branch's name where discovery tells it and not its head; empty otherwise.
	Branch string
	// HeadReadAt is, of a repository that was read, when its commits were read up to Head: what was pushed later is what a new head reaches
	// and Head does not; all of it when Head is empty. Zero when they never were.
	HeadReadAt time.Time
	// Archived says that nothing can happen in it any more. Of a repository that was read, it was read since.
	Archived bool
	// PushedAt is the time of the newest push to any branch.
	PushedAt time.Time
	// Pulls and Issues are the most recently updated pull request and issue.
	Pulls, Issues LatestUpdate
	// Disabled is the set of streams in which nothing can be read, because the repository has the feature switched off. It
	// is neither a gap nor a zero: what was recorded stays.
	Disabled Streams
	// DisabledSince is, of a repository that was read, the moment up to which the streams in Off had been read when the
	// first of them was found to be off; zero when none is off.
	DisabledSince time.Time
}

// LatestUpdate is the most recently updated one of a list. The zero value stands for an empty list.
type LatestUpdate struct {
	Number    int64
	UpdatedAt time.Time
}

// HiddenUpdate is the mark of a list that is hidden because the feature is switched off. It is not that of an empty list: what
// happened before the feature was switched off may not have been read.
func HiddenUpdate() LatestUpdate { return LatestUpdate{Number: -1} }

// isQuiet reports whether nothing of the list was updated since a time.
func (m LatestUpdate) isQuiet(since time.Time) bool {
	return m.Number >= 0 && m.UpdatedAt.Before(since)
}

// Equal reports whether both say the same.
func (s *Signals) Equal(o *Signals) bool {
	same := func(a, b LatestUpdate) bool { return a.Number == b.Number && a.UpdatedAt.Equal(b.UpdatedAt) }
	return s.Streams == o.Streams && s.Head == o.Head && s.Branch == o.Branch && s.HeadReadAt.Equal(o.HeadReadAt) &&
		s.Archived == o.Archived && s.PushedAt.Equal(o.PushedAt) && same(s.Pulls, o.Pulls) && same(s.Issues, o.Issues) &&
		s.Disabled == o.Disabled && s.DisabledSince.Equal(o.DisabledSince)
}

// ChangedStreams is the set of streams that may have moved from the older signals to s. The older ones were taken at
// observed: what they show within settle before that moment may have changed again in the same second, or before
// all of GitHub's replicas had it, so it counts as moved.
func (s *Signals) ChangedStreams(older *Signals, observed time.Time, settle time.Duration) Streams {
	unsettled := observed.Add(-settle)
	moved := func(now, then LatestUpdate) bool {
		return now.Number != then.Number || !now.UpdatedAt.Equal(then.UpdatedAt) || now.UpdatedAt.After(unsettled)
	}
	changed := EveryStream
	if s.Streams.Has(StreamCommits) && older.Streams.Has(StreamCommits) && !s.commitsMoved(older, unsettled) {
		changed = changed.Without(StreamCommits)
	}
	if s.Streams.Has(StreamPulls) && older.Streams.Has(StreamPulls) && !moved(s.Pulls, older.Pulls) {
		changed = changed.Without(StreamPulls)
	}
	if s.Streams.Has(StreamComments) && older.Streams.Has(StreamComments) &&
		!moved(s.Pulls, older.Pulls) && !moved(s.Issues, older.Issues) {
		changed = changed.Without(StreamComments)
	}
	if s.Archived && older.Archived {
		changed &= s.Streams // of the others nothing tells, and nothing can happen
	}
	return changed
}

// QuietStreams is the set of streams in which nothing has happened since a time, as far as the signals can tell.
func (s *Signals) QuietStreams(since time.Time) Streams {
	var quiet Streams
	if s.Streams.Has(StreamCommits) && s.PushedAt.Before(since) {
		quiet = quiet.With(StreamCommits)
	}
	if s.Streams.Has(StreamPulls) && s.Pulls.isQuiet(since) {
		quiet = quiet.With(StreamPulls)
	}
	if s.Streams.Has(StreamComments) && s.Pulls.isQuiet(since) && s.Issues.isQuiet(since) {
		quiet = quiet.With(StreamComments)
	}
	return quiet
}

// commitsMoved compares heads, which are exact, and push times and the branch where discovery does not tell the head. A
// push that is known and was not read counts.
func (s *Signals) commitsMoved(older *Signals, unsettled time.Time) bool {
	if s.Head != "" {
		return s.Head != older.Head
	}
	return s.Branch != older.Branch || !s.PushedAt.Equal(older.PushedAt) || s.PushedAt.After(unsettled) ||
		s.PushedAt.After(older.HeadReadAt)
}
