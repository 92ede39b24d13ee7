package ledger

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Batch is what one reading found. Committing it again, late, or together with another one changes nothing that is
// already there.
type Batch struct {
	Org string
	// Observed is when the reading took place. An event dated later takes this time: clients choose a commit's date.
	Observed time.Time
	// Events are a set: what the ledger has already is not recorded again, and an event older than the first contact
	// with its repository asked for, or than what was pruned, is left out.
	Events []activity.Event
	// Removed are events that are not there any more, as a commit is not that a force-push took off the branch. A batch
	// that has one in both lists removes it. Sweeps say the same of all events but those that they list. Both count in
	// batches with authority only.
	Removed  []activity.Key
	Sweeps   []Sweep
	Progress Progress
	Entries  []Entry
	Tallies  []Tally
	// Basis is that of the coverage on which the batch builds, or of which batches before it have recorded a part of
	// what its progress says was read. The batch is refused with ErrReplaced when the store has lost records since.
	// Empty for a batch that builds on nothing.
	Basis string
}

// Sweep says that of a repository's events of one kind in a window exactly those are there that it keeps.
type Sweep struct {
	Repo    int64
	Kind    activity.Kind
	Window  activity.Window
	Present map[activity.ID]struct{}
}

// Removes reports whether the sweep says that an event is not there. at is the event's time.
func (s *Sweep) Removes(k activity.Key, at time.Time) bool {
	if k.Repo != s.Repo || k.Kind != s.Kind || !s.Window.Contains(at) {
		return false
	}
	_, kept := s.Present[k.ID]
	return !kept
}

// SweepIndex finds the sweeps of a batch by their repository: a reconciliation has one for each that is active, and all
// events of the ledger are compared with them.
type SweepIndex map[int64][]*Sweep

// AuthorizedSweeps gives the sweeps of a batch with this fence: none without authority.
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

// Removes reports whether one of the sweeps says that an event is not there. at is the event's time.
func (s SweepIndex) Removes(k activity.Key, at time.Time) bool {
	return slices.ContainsFunc(s[k.Repo], func(sweep *Sweep) bool { return sweep.Removes(k, at) })
}

// Progress is what a batch says about reading.
type Progress struct {
	// Edge is the beginning of a pass that has looked at every repository: all of them are covered up to here, except
	// for what the same batch or earlier ones reported as missed. Zero when no pass ended. The edge never moves back.
	Edge time.Time
	// Repos are the repositories about which there is something to say; the others are as they were.
	Repos []RepoProgress
}

// RepoProgress is what a batch says about one repository. Zero fields leave what is known.
type RepoProgress struct {
	// ID is GitHub's id of the repository, Name its present name.
	ID   int64
	Name string
	// FirstSeen is the moment of the first contact and Since what was asked for then: the repository is wanted from
	// Since on. Both are set once, by the batch that introduces the repository.
	FirstSeen, Since time.Time
	// Signals are what discovery saw at Observed, set when everything that they announce has been read.
	Signals  *activity.Signals
	Observed time.Time
	// Presence says that the repository left the organization's readable repositories or came back.
	Presence Presence
	// GoneSince is when it left; with PresenceGone.
	GoneSince time.Time
	// Missed are windows that could not be read or were put off. Read are windows that were read completely. Of a
	// batch that has both for one moment, Read wins.
	Missed, Read []StreamWindow
	// Tips are heads, beside that of Signals, from which the commits of the batch were listed. ResolvedTips are heads of
	// which only those commits count as there that the head of Signals reaches, for the others have been removed; it
	// counts in batches with authority only.
	Tips, ResolvedTips []string
}

// Presence says whether a repository is there to be read.
type Presence uint8

// The presences. The zero value leaves it as it was.
const (
	PresenceUnchanged Presence = iota
	PresenceReadable
	PresenceGone
	// PresencePurged is of a repository that left so long ago that nothing of it is kept any more: should it come back, it
	// is met for the first time. Only pruning says so.
	PresencePurged
)

// StreamWindow is a stretch of time of one stream.
type StreamWindow struct {
	Stream activity.Stream
	Window activity.Window
}

// EntryKey names a sample.
type EntryKey struct {
	// Name is the sample's metric, Labels its label values in the metric's order. A first label that is a number is a repository's
	// id: the sample is forgotten with the repository.
	Name   string
	Labels [2]string
}

// Entry is a keyed value of which the newest observation wins, of equally old ones the last committed. The ledger does not
// know what its Data is, which has at most MaxSample bytes: whoever makes a sample has its own code for it.
type Entry struct {
	EntryKey
	Data     []byte
	Observed time.Time
}

// MaxEntry bounds in bytes the data of a sample.
const MaxEntry = 64 << 10

// TallyKey names an operational counter that all replicas share.
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

// Receipt says what a commit did.
type Receipt struct {
	// Recorded is how many events were recorded, Duplicates how many the ledger had already.
	Recorded, Duplicates int
	// Dropped is how many events were left out: of an unknown repository, older than asked for or than what was
	// pruned, or invalid.
	Dropped int
	// Folded is how many (repository, user) pairs of the batch went to the user "_other", for want of room for new series.
	Folded int
}
