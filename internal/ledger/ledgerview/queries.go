// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"maps"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// ShowsLogin reports whether an account is shown under its login, or would be after its first event, whenever that is:
// in the view the login may belong to an account that had it before.
func (v *View) ShowsLogin(actor activity.Actor) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if actor.ID == 0 {
		return true
	}
	holder, held := v.accounts.holders[actor.Login]
	n, known := v.accounts.byKey[accountKeyOf(actor)]
	if !known {
		return !held
	}
	return held && holder == n
}

// IsCaughtUp reports whether a snapshot was applied completely: before, the values are too small.
func (v *View) IsCaughtUp() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.caughtUp
}

// Entry returns the newest observation of an entry, and false without one. Its data must not be changed.
func (v *View) Entry(key ledger.EntryKey) (ledger.Entry, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	entry, ok := v.entries[key]
	return entry, ok
}

// Entries returns the newest observations of all entries of a name, in no order. Their data must not be changed.
func (v *View) Entries(name string) []ledger.Entry {
	v.mu.Lock()
	defer v.mu.Unlock()
	var list []ledger.Entry
	for key, entry := range v.entries {
		if key.Name == name {
			list = append(list, entry)
		}
	}
	return list
}

// CopilotVersion returns a number that changes with the Copilot entries.
func (v *View) CopilotVersion() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.copilotChanges
}

// RepoName returns the present name of a repository, and false for one that is unknown or gone.
func (v *View) RepoName(repo int64) (string, bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	cov := v.cov.Repos[repo]
	if cov == nil || cov.IsGone() {
		return "", false
	}
	return cov.Name, true
}

// Users returns the labels of users with a series in the last visit, and the type of their accounts; not those that
// stand for accounts of several types, or for none.
func (v *View) Users() map[string]activity.AccountType {
	v.mu.Lock()
	defer v.mu.Unlock()
	users := make(map[string]activity.AccountType)
	for _, label := range v.accounts.labels {
		if label.shownIn != v.visits.count || v.visits.count == 0 {
			continue
		}
		if t := v.accounts.typeOf(label); t != activity.AccountUnknown {
			users[label.text] = t
		}
	}
	return users
}

// Edge returns the start of the last pass that the view has.
func (v *View) Edge() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cov.Edge
}

// LedgerStart returns when the ledger began that the view is of; zero before it is known.
func (v *View) LedgerStart() time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cov.LedgerStart
}

// Uncovered returns the oldest time from which on something has not been read, zero when nothing was ever read, and the
// number of gaps.
func (v *View) Uncovered() (since time.Time, gaps int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.cov.OldestUncovered(), len(v.cov.Gaps())
}

// Summary is the size and the state of a view.
type Summary struct {
	CaughtUp                     bool
	LedgerStart, OldestUncovered time.Time
	Gaps                         int
	// Series is the number of accounts in repositories that have events, Events the number of their events, both of
	// users who are shown.
	Series, Events int
	// Shown is the number of series of each metric that the last visit showed.
	Shown [NumMetrics]int
	// Tallies has the sum of the tallies of each key.
	Tallies map[ledger.TallyKey]uint64
}

// Summary returns the view's size and state.
func (v *View) Summary() Summary {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := Summary{
		CaughtUp: v.caughtUp, LedgerStart: v.cov.LedgerStart, OldestUncovered: v.cov.OldestUncovered(),
		Gaps:    len(v.cov.Gaps()),
		Tallies: maps.Clone(v.tallies),
	}
	for _, repo := range v.repos {
		for n, s := range repo.series {
			if v.accounts.list[n].label != nil {
				sum.addSeries(s)
			}
		}
		for _, g := range repo.groups {
			sum.countShown(g.shownMetrics)
		}
	}
	return sum
}

// addSeries counts a series of a user who is shown.
func (sum *Summary) addSeries(s *series) {
	if n := s.numEvents(); n > 0 {
		sum.Series++
		sum.Events += n
	}
	sum.countShown(s.shownMetrics)
}

// countShown counts the metrics that were shown of a series.
func (sum *Summary) countShown(shown Mask) {
	for m := range NumMetrics {
		if shown.Has(Metric(m)) {
			sum.Shown[m]++
		}
	}
}
