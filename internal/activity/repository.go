// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package activity

import "time"

// Repository is a repository as discovery reads it.
type Repository struct {
	// ID is GitHub's database id: it outlives renames and transfers, Name does not.
	ID int64
	// NodeID is the global node id; empty for a repository of the coverage that this process has not discovered yet.
	NodeID string
	// Name is the present name without the owner.
	Name string
	// Archived, Fork, Private and Empty are GitHub's flags. An empty repository has no commit yet.
	Archived, Fork, Private, Empty bool
	// FlagsUnknown is set when the response lacks a flag or the enabled features; then neither the flags nor
	// Signals.Disabled are valid.
	FlagsUnknown bool
	// Signals are evidence of which streams changed.
	Signals Signals
	// Facts are what the listing has besides. They are not valid when FlagsUnknown is set.
	Facts RepoFacts
}

// Signals are cheap evidence of a repository's newest changes, as discovery reads it. When two signals of one stream
// are equal, and the older one was read a settle time after the change that it shows, then nothing happened in between.
type Signals struct {
	// Streams is the set of streams with a signal. Whether another stream changed shows only when it is read.
	Streams Streams
	// Head is the object name of the default branch's newest commit; empty in an empty repository, and when discovery
	// did not read it. In coverage it is the head up to which the commits were read.
	Head string
	// Branch is the default branch's name if discovery read it and not its head; empty otherwise.
	Branch string
	// HeadReadAt is, in coverage, the time at which the commits were read up to Head; zero when they never were. The
	// commits pushed since are those that a new head reaches and Head does not; all of them when Head is empty.
	HeadReadAt time.Time
	// Archived says that the repository is read-only. In coverage it says that the repository was read since it was
	// archived.
	Archived bool
	// PushedAt is the time of the newest push to any branch.
	PushedAt time.Time
	// Pulls and Issues are the newest updates of the pull requests and of the issues.
	Pulls, Issues LatestUpdate
	// Releases are the newest releases.
	Releases ReleaseSignal
	// Disabled is the set of streams that cannot be read because the repository has the feature disabled. That is
	// neither a gap nor a zero: what was recorded stays.
	Disabled Streams
	// DisabledSince is, in coverage, the time up to which the streams in Disabled had been read when the last of them
	// was found to be disabled; zero when none is. What was not read before of those that were disabled earlier is
	// missing.
	DisabledSince time.Time
}

// ReleaseSignal is evidence of the newest releases. It is small, because each repository of a coverage has one.
type ReleaseSignal struct {
	// Latest is the id of the release that GitHub calls the latest, 0 for none. It is negative, -1 for none, when there
	// are more releases than discovery has listed: others may have been published lately, too.
	Latest int64
	// Published is the newest publication that is known, in Unix seconds; 0 for none.
	Published int64
	// List is a digest of the newest releases and of the number of all; 0 when discovery did not read them this time.
	List uint64
}

// latest returns the id of the latest release, 0 for none.
func (r *ReleaseSignal) latest() int64 {
	if r.Latest == -1 {
		return 0
	}
	return max(r.Latest, -r.Latest)
}

// isUnsettled reports whether a release was published after a time.
func (r *ReleaseSignal) isUnsettled(after time.Time) bool { return r.Published > after.Unix() }

// isQuietSince reports whether no release was published since a time.
func (r *ReleaseSignal) isQuietSince(since time.Time) bool {
	return r.List != 0 && r.Latest >= 0 && r.Published < since.Unix()
}

// LatestUpdate is the number and the time of the most recently updated issue or pull request. The zero value stands for
// an empty list.
type LatestUpdate struct {
	Number    int64
	UpdatedAt time.Time
}

// HiddenUpdate returns the value for a list that is hidden because the feature is disabled. It differs from that of an
// empty list: what happened before the feature was disabled may not have been read.
func HiddenUpdate() LatestUpdate { return LatestUpdate{Number: -1} }

// isQuietSince reports whether no item of the list was updated since a time.
func (u LatestUpdate) isQuietSince(since time.Time) bool {
	return u.Number >= 0 && u.UpdatedAt.Before(since)
}

// Equal reports whether both signals have the same values; times are compared as instants.
func (s *Signals) Equal(o *Signals) bool {
	same := func(a, b LatestUpdate) bool { return a.Number == b.Number && a.UpdatedAt.Equal(b.UpdatedAt) }
	return s.Streams == o.Streams && s.Head == o.Head && s.Branch == o.Branch && s.HeadReadAt.Equal(o.HeadReadAt) &&
		s.Archived == o.Archived && s.PushedAt.Equal(o.PushedAt) && same(s.Pulls, o.Pulls) &&
		same(s.Issues, o.Issues) && s.Releases == o.Releases &&
		s.Disabled == o.Disabled && s.DisabledSince.Equal(o.DisabledSince)
}

// KeepReleaseList takes over the list of releases, which discovery does not read each time, from older signals. When
// the older ones lack it, too, the releases have no signal.
func (s *Signals) KeepReleaseList(older *Signals) {
	now, recorded := &s.Releases, older.Releases
	switch {
	case now.List != 0 || !s.Streams.Has(StreamReleases):
	case recorded.List == 0:
		s.Streams = s.Streams.Without(StreamReleases)
	case now.latest() == recorded.latest():
		*now = recorded
	default:
		now.List = recorded.List
	}
}

// ChangedStreams returns the streams that may have changed between the older signals and s. The older ones were read at
// observed: an update that they show within settle before that time may have been followed by another one in the same
// second, or before all of GitHub's replicas had it, so its stream counts as changed.
func (s *Signals) ChangedStreams(older *Signals, observed time.Time, settle time.Duration) Streams {
	unsettled := observed.Add(-settle)
	isNewer := func(now, then LatestUpdate) bool {
		return now.Number != then.Number || !now.UpdatedAt.Equal(then.UpdatedAt) || now.UpdatedAt.After(unsettled)
	}
	isUnchanged := func(base Stream) bool {
		switch base {
		case StreamCommits:
			return !s.mayCommitsHaveChanged(older, unsettled)
		case StreamPulls:
			return !isNewer(s.Pulls, older.Pulls)
		case StreamIssues:
			return !isNewer(s.Issues, older.Issues)
		case StreamComments:
			return !isNewer(s.Pulls, older.Pulls) && !isNewer(s.Issues, older.Issues)
		case StreamReleases:
			return s.Releases == older.Releases && !s.Releases.isUnsettled(unsettled)
		default:
			return false
		}
	}
	changed := EveryStream
	for _, stream := range AllStreams() {
		if s.Streams.Has(stream) && older.Streams.Has(stream) && isUnchanged(stream.Base()) {
			changed = changed.Without(stream)
		}
	}
	if s.Archived && older.Archived {
		changed &= s.Streams // an archived repository does not change in the streams without a signal either
	}
	return changed
}

// QuietStreams returns the streams in which, by their signals, nothing happened since a time.
func (s *Signals) QuietStreams(since time.Time) Streams {
	isQuiet := func(base Stream) bool {
		switch base {
		case StreamCommits:
			return s.PushedAt.Before(since)
		case StreamPulls:
			return s.Pulls.isQuietSince(since)
		case StreamIssues:
			return s.Issues.isQuietSince(since)
		case StreamComments:
			return s.Pulls.isQuietSince(since) && s.Issues.isQuietSince(since)
		case StreamReleases:
			return s.Releases.isQuietSince(since)
		default:
			return false
		}
	}
	var quiet Streams
	for _, stream := range AllStreams() {
		if s.Streams.Has(stream) && isQuiet(stream.Base()) {
			quiet = quiet.With(stream)
		}
	}
	return quiet
}

// mayCommitsHaveChanged reports whether the default branch may have changed since the older signals. It compares the
// heads, or the push times and branches if discovery did not read the head. A push after unsettled, or after the
// commits were last read, counts as a change.
func (s *Signals) mayCommitsHaveChanged(older *Signals, unsettled time.Time) bool {
	if s.Head != "" {
		return s.Head != older.Head
	}
	return s.Branch != older.Branch || !s.PushedAt.Equal(older.PushedAt) || s.PushedAt.After(unsettled) ||
		s.PushedAt.After(older.HeadReadAt)
}
