// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// compareDisabled compares the streams that are disabled in a repository with those that were disabled before, and
// sets r.Signals.DisabledSince. It returns the change that records newly disabled streams, nil for none, and the
// coverage with the gaps of the streams that were enabled again: everything since they were read last.
//
// The ledger keeps a stream as disabled until a reading, or the end of the pass, commits its window together with the
// new signals. So a pass that stops before that leaves all of it to the next one.
func compareDisabled(
	r *activity.Repository, repoCov *ledger.RepoCoverage, edge, now time.Time,
) (*ledger.RepoProgress, *ledger.RepoCoverage) {
	before, after := repoCov.Signals.Disabled, r.Signals.Disabled
	var missed []ledger.StreamWindow
	r.Signals.DisabledSince, missed = disabledSince(after, &repoCov.Signals, edge)
	var change *ledger.RepoProgress
	if after&^before != 0 {
		recorded := disabledChange(repoCov, before|after, r.Signals.DisabledSince, now)
		recorded.Missed = missed
		change = &recorded
	}
	enabled := before &^ after
	if enabled == 0 {
		return change, repoCov
	}
	repo := *repoCov
	repo.Signals.Disabled &^= enabled
	for _, missed := range missedWhileDisabled(enabled, repoCov.Signals.DisabledSince, now) {
		repo.Missing[missed.Stream] = repo.Missing[missed.Stream].Add(missed.Window)
	}
	return change, &repo
}

// addReturnedStreams adds to the change of a repository that is readable again which streams are disabled now, and the
// gaps of those that were enabled while it was gone.
func addReturnedStreams(
	change *ledger.RepoProgress, r *activity.Repository, repoCov *ledger.RepoCoverage, now time.Time,
) {
	before, after := repoCov.Signals.Disabled, r.Signals.Disabled
	var missed []ledger.StreamWindow
	r.Signals.DisabledSince, missed = disabledSince(after, &repoCov.Signals, repoCov.GoneSince)
	change.Missed = append(change.Missed, missed...)
	if before != after {
		recorded := disabledChange(repoCov, after, r.Signals.DisabledSince, now)
		change.Signals, change.Observed = recorded.Signals, recorded.Observed
	}
	change.Missed = append(change.Missed, missedWhileDisabled(before&^after, repoCov.Signals.DisabledSince, now)...)
}

// disabledSince returns the time up to which the disabled streams were read: the recorded one where no further stream
// is disabled, otherwise the repository's edge. Then it returns what was not read until the edge of those that were
// disabled before. The time is zero when no stream is disabled.
func disabledSince(
	disabled activity.Streams, before *activity.Signals, edge time.Time,
) (time.Time, []ledger.StreamWindow) {
	switch {
	case disabled == 0:
		return time.Time{}, nil
	case before.Disabled != 0 && disabled&^before.Disabled == 0:
		return before.DisabledSince, nil
	default:
		return edge, missedWhileDisabled(before.Disabled, before.DisabledSince, edge)
	}
}

// knownDisabled returns the recorded disabled streams of a repository whose features are unknown, without those that
// the settings may have disabled.
func knownDisabled(recorded *activity.Signals) activity.Streams {
	return (recorded.Disabled &^ activity.FlowStreams).WithDependent()
}

// disabledChange returns the progress that records which streams are disabled. The other signals keep their values and
// their time of observation.
func disabledChange(
	repoCov *ledger.RepoCoverage, disabled activity.Streams, since, now time.Time,
) ledger.RepoProgress {
	signals, observed := repoCov.Signals, repoCov.Observed
	signals.Disabled, signals.DisabledSince = disabled, since
	if observed.IsZero() {
		observed = now // there is no earlier observation that this could seem to be older than
	}
	return ledger.RepoProgress{ID: repoCov.ID, Signals: &signals, Observed: observed}
}

// missedWhileDisabled returns the windows that were not read of streams that are enabled again.
func missedWhileDisabled(enabled activity.Streams, since, now time.Time) []ledger.StreamWindow {
	var list []ledger.StreamWindow
	for _, s := range activity.AllStreams() {
		if w := (activity.Window{Start: since, End: now}); enabled.Has(s) && !w.IsEmpty() {
			list = append(list, ledger.StreamWindow{Stream: s, Window: w})
		}
	}
	return list
}
