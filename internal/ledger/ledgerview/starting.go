// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// startingTotal is a total that starts, or starts again after its series had become stale. It is shown with its value
// before the event for ViewSettings.ZeroFor, so that a query that compares two values counts its first event.
type startingTotal struct {
	// total is the index in Totals, before the value before the event.
	total  int
	before uint64
	// notBefore is a time at which the total had not started yet, shownFrom the time at which it was first shown, or
	// would have been. Both are in Unix nanoseconds, zero when unknown.
	notBefore, shownFrom int64
}

// repoTotals is the state of a repository's totals apart from its series. Its zero value is ready for use.
type repoTotals struct {
	// starting has, by label, the totals that started lately and may still be shown with the value before their first
	// event.
	starting map[*userLabel][]startingTotal
	// departed are the totals of accounts that left a label which other accounts still have: they stay in its totals.
	departed map[*userLabel]map[uint32]ledger.Totals
}

// openTotals makes the totals of a repository's streams appear whose history has been read. They stay when something is
// found missing later.
func (v *View) openTotals(id int64) {
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

// openTotalMetrics returns the metrics of the totals that a repository shows.
func (v *View) openTotalMetrics(id int64) Mask {
	var set Mask
	open := v.open[id]
	for i := range totalSpecs {
		// Optional measures are not read when their sums come from entries.
		if spec := &totalSpecs[i]; open.Has(spec.Stream) && (!spec.Optional || !v.settings.WeeklyLinesFromEntries) {
			set.Add(MetricTotal + Metric(i))
		}
	}
	return set
}

// noteStart notes the totals that start with an event of a kind which is about to be added to an account's series. Only
// events that are recorded while the view follows start a total: a snapshot does not say what was shown before.
func (v *View) noteStart(id int64, repo *repoView, account uint32, kind activity.Kind) {
	label := v.accounts.list[account].label
	if v.settings.ZeroFor <= 0 || !v.caughtUp || label == nil {
		return
	}
	s := repo.series[account]
	if s.totals[kind.Index()] != 0 && s.isAlive(v.visits.last, v.settings.Retention) {
		return
	}
	totals, alive := v.labelTotals(repo, label)
	for i := range totals {
		begins := totalSpecs[i].Kind == kind && totals[kind.Index()] == 0
		returns := !alive && totals[totalSpecs[i].Kind.Index()] > 0
		if (begins || returns) && v.open[id].Has(totalSpecs[i].Kind.Stream()) {
			repo.totals.addStarting(label, startingTotal{total: i, before: totals[i], notBefore: v.visits.last})
		}
	}
}

// noteReturn notes that the totals of a repository start again because it is back: what happened in the meantime is
// about to be read.
func (v *View) noteReturn(p *ledger.RepoProgress) {
	repo, cov := v.repos[p.ID], v.cov.Repos[p.ID]
	if repo == nil || cov == nil || !cov.IsGone() || p.Presence != ledger.PresenceReadable || !v.caughtUp ||
		v.settings.ZeroFor <= 0 {
		return
	}
	repo.flow.noteReturn(v.visits.last)
	for n := range repo.series {
		label := v.accounts.list[n].label
		if label == nil || repo.totals.starting[label] != nil {
			continue
		}
		totals, _ := v.labelTotals(repo, label)
		for i, base := range totals {
			if totals[totalSpecs[i].Kind.Index()] > 0 {
				repo.totals.addStarting(label, startingTotal{total: i, before: base, notBefore: v.visits.last})
			}
		}
	}
}

// addStarting notes that a total of a label starts, unless that is noted already.
func (s *repoTotals) addStarting(label *userLabel, starting startingTotal) {
	same := func(b startingTotal) bool { return b.total == starting.total }
	if slices.ContainsFunc(s.starting[label], same) {
		return
	}
	if s.starting == nil {
		s.starting = make(map[*userLabel][]startingTotal)
	}
	s.starting[label] = append(s.starting[label], starting)
}

// labelTotals returns the totals of a label, and whether one of its accounts has events within the retention.
func (v *View) labelTotals(repo *repoView, label *userLabel) (totals ledger.Totals, alive bool) {
	for _, n := range label.members {
		if s := repo.series[n]; s != nil {
			totals.Add(&s.totals)
			alive = alive || s.isAlive(v.visits.last, v.settings.Retention)
		}
	}
	repo.totals.addDeparted(label, &totals)
	return totals, alive
}

// addDeparted adds the totals of the accounts that have left a label.
func (s *repoTotals) addDeparted(label *userLabel, totals *ledger.Totals) {
	for n, left := range s.departed[label] {
		if !slices.Contains(label.members, n) {
			totals.Add(&left)
		}
	}
}

// saveDeparted keeps the totals of an account in those of a label that it leaves to other accounts, so that the label's
// totals do not fall.
func (v *View) saveDeparted(label *userLabel, account uint32) {
	if !v.caughtUp {
		return
	}
	for _, repo := range v.repos {
		s := repo.series[account]
		if s == nil || s.totals == (ledger.Totals{}) {
			continue
		}
		repo.totals.setDeparted(label, account, s.totals)
	}
}

// setDeparted sets what the totals of a label keep of an account that leaves it.
func (s *repoTotals) setDeparted(label *userLabel, account uint32, totals ledger.Totals) {
	if s.departed == nil {
		s.departed = make(map[*userLabel]map[uint32]ledger.Totals)
	}
	if s.departed[label] == nil {
		s.departed[label] = make(map[uint32]ledger.Totals)
	}
	s.departed[label][account] = totals
}

// dropUnused drops the state of labels that no account has any more.
func (s *repoTotals) dropUnused(labels map[string]*userLabel) {
	for label := range s.starting {
		if labels[label.text] != label {
			delete(s.starting, label)
		}
	}
	for label := range s.departed {
		if labels[label.text] != label {
			delete(s.departed, label)
		}
	}
}

// holdStarting shows the totals that start with their values before, for as long as zeroFor.
func (s *repoTotals) holdStarting(label *userLabel, values *Values, now int64, zeroFor time.Duration) {
	starting := s.starting[label]
	if len(starting) == 0 {
		return
	}
	starting = slices.DeleteFunc(starting, func(b startingTotal) bool {
		return b.shownFrom != 0 &&
			now-b.shownFrom >= int64(zeroFor)
	})
	for i := range starting {
		if starting[i].shownFrom == 0 {
			starting[i].shownFrom = now
		}
		if m := MetricTotal + Metric(starting[i].total); values.Present.Has(m) { //nolint:gosec // there are few sums
			values.Of[m] = min(values.Of[m], starting[i].before)
		}
	}
	s.setStarting(label, starting)
}

// setStarting sets the starting totals of a label.
func (s *repoTotals) setStarting(label *userLabel, starting []startingTotal) {
	if len(starting) == 0 {
		delete(s.starting, label)
	} else {
		s.starting[label] = starting
	}
}

// takeOverEmission drops those starting totals of which the replica that emitted the view until now may have shown more
// than the value before: a total must not fall when another replica goes on with it.
func (v *View) takeOverEmission(now int64) {
	if !v.visits.onStandby {
		return
	}
	v.visits.onStandby = false
	for _, repo := range v.repos {
		repo.flow.takeOver(now, v.settings.ZeroFor)
		for label, starting := range repo.totals.starting {
			repo.totals.setStarting(label, slices.DeleteFunc(starting, func(b startingTotal) bool {
				return b.notBefore == 0 || now-b.notBefore >= int64(v.settings.ZeroFor)
			}))
		}
	}
}

// savedTotals are the starting and departed totals of a repository while a new snapshot of its ledger is applied.
// Labels and accounts have other indexes afterwards.
type savedTotals struct {
	starting map[string][]startingTotal
	departed map[string]map[accountKey]ledger.Totals
	flow     []startingFlow
}

// saveTotals saves what the next snapshot does not have, in case it is of the same ledger.
func (v *View) saveTotals() {
	if !v.caughtUp {
		return // the snapshot before was not complete: what was kept then holds
	}
	v.saved = make(map[int64]savedTotals)
	for id, repo := range v.repos {
		if len(repo.totals.starting) == 0 && len(repo.totals.departed) == 0 && len(repo.flow.starting) == 0 {
			continue
		}
		saved := savedTotals{
			starting: make(map[string][]startingTotal),
			departed: make(map[string]map[accountKey]ledger.Totals), flow: repo.flow.starting,
		}
		for label, starting := range repo.totals.starting {
			saved.starting[label.text] = starting
		}
		for label, left := range repo.totals.departed {
			saved.departed[label.text] = make(map[accountKey]ledger.Totals, len(left))
			for n, totals := range left {
				saved.departed[label.text][accountKeyOf(v.accounts.list[n].actor)] = totals
			}
		}
		v.saved[id] = saved
	}
}

// restoreTotals restores what saveTotals saved when a snapshot is complete.
func (v *View) restoreTotals() {
	for id, saved := range v.saved {
		repo := v.repos[id]
		if repo == nil {
			continue
		}
		for _, starting := range saved.flow {
			repo.flow.addStarting(starting)
		}
		for text, starting := range saved.starting {
			if label := v.accounts.labels[text]; label != nil {
				for i := range starting {
					repo.totals.addStarting(label, starting[i])
				}
			}
		}
		for text, left := range saved.departed {
			for key, totals := range left {
				n, known := v.accounts.byKey[key]
				if label := v.accounts.labels[text]; label != nil && known {
					repo.totals.setDeparted(label, n, totals)
				}
			}
		}
	}
	v.saved = nil
}
