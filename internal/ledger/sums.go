package ledger

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// bornSum is a sum that begins, or begins again after its series had ended. It is shown as it was before for
// ViewSettings.ZeroFor, so that who compares two values of it counts its first event.
type bornSum struct {
	// total is the sum's index in Totals, base its value before.
	total int
	base  uint64
	// after is a moment at which the sum had not begun yet, from the first moment at which it was shown, or would have
	// been. Both are in Unix nanoseconds, zero when they are not known.
	after, from int64
}

// repoSums is what a repository's sums need beside the events. Its zero value is ready.
type repoSums struct {
	// born are the sums that begin, by their label.
	born map[*userLabel][]bornSum
	// left are the sums of accounts that had a label which others still have: they remain in its sums.
	left map[*userLabel]map[uint32]Totals
}

// kindOf is the kind whose events a sum counts.
func kindOf(total int) activity.Kind {
	if total == TotalLinesAdded || total == TotalLinesRemoved {
		return activity.KindCommit
	}
	return activity.Kinds()[total]
}

// HasHistory reports whether everything of a stream from before the first contact has been read, or was too old to be
// read. A stream that has been off since before then was never read.
func (r *RepoCoverage) HasHistory(s activity.Stream) bool {
	if r.Signals.Disabled.Has(s) && r.Signals.DisabledSince.Before(r.FirstSeen) {
		return false
	}
	return !r.Missing[s].Overlaps(activity.Window{Start: r.Since, End: r.FirstSeen})
}

// openSums makes the sums of a repository's streams appear whose history has been read. They do not vanish again when
// something is found missing later.
func (v *View) openSums(id int64) {
	cov := v.cov.Repos[id]
	if cov == nil {
		delete(v.open, id)
		return
	}
	open := v.open[id]
	for _, s := range activity.AllStreams() {
		if !open.Has(s) && cov.HasHistory(s) {
			open = open.With(s)
		}
	}
	v.open[id] = open
}

// openTotals is the set of the sums that a repository shows.
func (v *View) openTotals(id int64) Mask {
	var set Mask
	open := v.open[id]
	for i := range NumTotals {
		if open.Has(kindOf(i).Stream()) {
			set |= 1 << (MetricTotal + Metric(i))
		}
	}
	if v.settings.WeeklyLinesFromEntries { // the lines of commits are not read
		set &^= 1<<MetricTotalLinesAdded | 1<<MetricTotalLinesRemoved
	}
	return set
}

// noteBirth notes the sums that begin with an event of a kind which is about to be added to an account's series. Only
// what is recorded while the view follows begins: a snapshot does not say what was shown before.
func (v *View) noteBirth(id int64, repo *repoView, account uint32, kind activity.Kind) {
	label := v.accounts.list[account].label
	if v.settings.ZeroFor <= 0 || !v.caught || label == nil {
		return
	}
	s := repo.series[account]
	if s.totals[kind.Index()] != 0 && s.isAlive(v.noted, v.settings.Retention) {
		return
	}
	totals, alive := v.labelTotals(repo, label)
	for i := range totals {
		begins := kindOf(i) == kind && totals[kind.Index()] == 0
		returns := !alive && totals[kindOf(i).Index()] > 0
		if (begins || returns) && v.open[id].Has(kindOf(i).Stream()) {
			repo.sums.addBorn(label, bornSum{total: i, base: totals[i], after: v.noted})
		}
	}
}

// noteReturn notes that the sums of a repository begin again, because it is back: what happened while it was away is
// about to be read.
func (v *View) noteReturn(p *RepoProgress) {
	repo, cov := v.repos[p.ID], v.cov.Repos[p.ID]
	if repo == nil || cov == nil || !cov.IsGone() || p.Presence != PresenceReadable || !v.caught || v.settings.ZeroFor <= 0 {
		return
	}
	for n := range repo.series {
		label := v.accounts.list[n].label
		if label == nil || repo.sums.born[label] != nil {
			continue
		}
		totals, _ := v.labelTotals(repo, label)
		for i, base := range totals {
			if totals[kindOf(i).Index()] > 0 {
				repo.sums.addBorn(label, bornSum{total: i, base: base, after: v.noted})
			}
		}
	}
}

func (s *repoSums) addBorn(label *userLabel, born bornSum) {
	same := func(b bornSum) bool { return b.total == born.total }
	if slices.ContainsFunc(s.born[label], same) {
		return
	}
	if s.born == nil {
		s.born = make(map[*userLabel][]bornSum)
	}
	s.born[label] = append(s.born[label], born)
}

// labelTotals are the sums of a label, and whether one of its accounts has events within the retention.
func (v *View) labelTotals(repo *repoView, label *userLabel) (totals Totals, alive bool) {
	for _, n := range label.members {
		if s := repo.series[n]; s != nil {
			totals.plus(&s.totals)
			alive = alive || s.isAlive(v.noted, v.settings.Retention)
		}
	}
	repo.sums.addLeft(label, &totals)
	return totals, alive
}

// addLeft adds the sums of the accounts that have left a label.
func (s *repoSums) addLeft(label *userLabel, totals *Totals) {
	for n, left := range s.left[label] {
		if !slices.Contains(label.members, n) {
			totals.plus(&left)
		}
	}
}

// keepSums keeps the sums of an account in those of a label that it leaves to others: a sum does not fall.
func (v *View) keepSums(label *userLabel, account uint32) {
	if !v.caught {
		return
	}
	for _, repo := range v.repos {
		s := repo.series[account]
		if s == nil || s.totals == (Totals{}) {
			continue
		}
		repo.sums.setLeft(label, account, s.totals)
	}
}

func (s *repoSums) setLeft(label *userLabel, account uint32, totals Totals) {
	if s.left == nil {
		s.left = make(map[*userLabel]map[uint32]Totals)
	}
	if s.left[label] == nil {
		s.left[label] = make(map[uint32]Totals)
	}
	s.left[label][account] = totals
}

// dropUnused forgets what was noted of labels that no account has any more.
func (s *repoSums) dropUnused(labels map[string]*userLabel) {
	for label := range s.born {
		if labels[label.text] != label {
			delete(s.born, label)
		}
	}
	for label := range s.left {
		if labels[label.text] != label {
			delete(s.left, label)
		}
	}
}

// holdBorn shows the sums that begin as they were before, for as long as they are to be shown so.
func (s *repoSums) holdBorn(label *userLabel, values *Values, now int64, zeroFor time.Duration) {
	born := s.born[label]
	if len(born) == 0 {
		return
	}
	born = slices.DeleteFunc(born, func(b bornSum) bool { return b.from != 0 && now-b.from >= int64(zeroFor) })
	for i := range born {
		if born[i].from == 0 {
			born[i].from = now
		}
		if m := MetricTotal + Metric(born[i].total); values.Present.Has(m) { //nolint:gosec // there are few sums
			values.Of[m] = min(values.Of[m], born[i].base)
		}
	}
	s.setBorn(label, born)
}

func (s *repoSums) setBorn(label *userLabel, born []bornSum) {
	if len(born) == 0 {
		delete(s.born, label)
	} else {
		s.born[label] = born
	}
}

// VisitStandby shows the view as Visit does, to a replica that does not emit it: another one does, at the same moments. What it
// ends is not marked here.
func (v *View) VisitStandby(now time.Time, sink Sink) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.elsewhere = true
	v.visit(now, sink)
}

// takeOver drops the sums that begin of which the replica that showed the view until now may have shown more than what
// they were before: a sum does not fall when another replica goes on with it.
func (v *View) takeOver(now int64) {
	if !v.elsewhere {
		return
	}
	v.elsewhere = false
	for _, repo := range v.repos {
		for label, born := range repo.sums.born {
			repo.sums.setBorn(label, slices.DeleteFunc(born, func(b bornSum) bool {
				return b.after == 0 || now-b.after >= int64(v.settings.ZeroFor)
			}))
		}
	}
}

// heldSums are the sums that begin, and those of accounts that left a label, of a repository while a new snapshot of
// its ledger is applied. Labels and accounts have other numbers then.
type heldSums struct {
	born map[string][]bornSum
	left map[string]map[accountKey]Totals
}

// holdSums keeps what the next snapshot does not have, for the case that it is of the same ledger.
func (v *View) holdSums() {
	if !v.caught {
		return // the snapshot before was not complete: what was kept then holds
	}
	v.held = make(map[int64]heldSums)
	for id, repo := range v.repos {
		if len(repo.sums.born) == 0 && len(repo.sums.left) == 0 {
			continue
		}
		held := heldSums{born: make(map[string][]bornSum), left: make(map[string]map[accountKey]Totals)}
		for label, born := range repo.sums.born {
			held.born[label.text] = born
		}
		for label, left := range repo.sums.left {
			held.left[label.text] = make(map[accountKey]Totals, len(left))
			for n, totals := range left {
				held.left[label.text][keyOf(v.accounts.list[n].actor)] = totals
			}
		}
		v.held[id] = held
	}
}

// restoreSums puts back what was kept when a snapshot is complete.
func (v *View) restoreSums() {
	for id, held := range v.held {
		repo := v.repos[id]
		if repo == nil {
			continue
		}
		for text, born := range held.born {
			if label := v.accounts.labels[text]; label != nil {
				for i := range born {
					repo.sums.addBorn(label, born[i])
				}
			}
		}
		for text, left := range held.left {
			for key, totals := range left {
				n, known := v.accounts.byKey[key]
				if label := v.accounts.labels[text]; label != nil && known {
					repo.sums.setLeft(label, n, totals)
				}
			}
		}
	}
	v.held = nil
}
