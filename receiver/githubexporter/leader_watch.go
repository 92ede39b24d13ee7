// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

const (
	// silenceIntervals is the number of scrape intervals in which a leader may write nothing: after half of that time a
	// leader that has nothing to write repeats its record.
	silenceIntervals = 3
	// silenceLeases is the number of lease durations in which it may: a leader that died is replaced within one.
	silenceLeases = 2
	// minSilence is the lower bound of the silence that is allowed.
	minSilence = 10 * time.Second
)

// leaderWatch measures for how long no leader of an organization has written to the ledger, as far as this replica has
// followed it. A write of a leader shows that it leads, whatever the result of its passes. It is safe for concurrent
// use.
type leaderWatch struct {
	lease    orgLease
	view     *ledgerview.View
	interval time.Duration // from the start of one pass to the next
	logger   *zap.Logger
	state    *orgState

	mu sync.Mutex
	// since is the time of the last observed write of a leader, or when the watch began.
	since  time.Time
	writes writeTracker
	// waitsFor is the former lease that this replica waits for; nil for none.
	waitsFor *string
	// standsBy is the fence under which the store refused this replica's writes; 0 when it does not stand by.
	standsBy uint64
	// stage and err are the state that leadershipError computed last.
	stage silenceStage
	err   error
}

// writeTracker detects writes of leaders in the changes of a ledger. A snapshot counts as a write when it differs from
// the state before it.
type writeTracker struct {
	observed, gathered leaderWrites // gathered are those of a snapshot that is not complete yet
	inSnapshot         bool
}

// observe applies a change of the ledger. It reports whether that shows a write of a leader.
func (w *writeTracker) observe(c *ledger.Change) bool {
	if c.Reset {
		w.inSnapshot, w.gathered = true, leaderWrites{}
	}
	before := w.observed
	if w.inSnapshot {
		w.gathered.add(c)
		if !c.CaughtUp {
			return false
		}
		w.inSnapshot, w.observed = false, w.gathered
	} else {
		w.observed.add(c)
	}
	return w.observed != before
}

// leaderWrites has the parts of a ledger that each write of a leader changes.
type leaderWrites struct {
	writes     uint64    // commits of leaders, by their tallies
	edge       time.Time // of the coverage
	recordedAt time.Time // of entryLeader
}

// silenceStage is how the time since the last write of a leader affects the health of this replica.
type silenceStage int

const (
	stageLed     silenceStage = iota // healthy
	stageSilent                      // degraded
	stageUnready                     // not ready
)

func (s *leaderWrites) add(c *ledger.Change) {
	for _, t := range c.Tallies {
		isLeaders := t.Name == collect.TallyRuns ||
			t.Name == collect.TallyStoreWrites && t.Labels == [2]string{collect.SourceLeader, collect.WriteSuccess}
		if isLeaders {
			s.writes += t.Add
		}
	}
	for i := range c.Entries {
		if entry := &c.Entries[i]; entry.EntryKey == entryLeader && entry.Observed.After(s.recordedAt) {
			s.recordedAt = entry.Observed
		}
	}
	if c.Progress.Edge.After(s.edge) {
		s.edge = c.Progress.Edge
	}
}

// observe applies a change of the ledger.
func (w *leaderWatch) observe(c *ledger.Change, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writes.observe(c) {
		w.since = now
	}
}

// restartSilence makes the silence start at now, unless it has exceeded its limit: while the store does not respond,
// writes of a leader go unobserved.
func (w *leaderWatch) restartSilence(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stage == stageLed {
		w.since = now
	}
}

// silentFor returns for how long no write of a leader was observed.
func (w *leaderWatch) silentFor(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		w.since = now
	}
	return now.Sub(w.since)
}

// isHealthy reports whether the state that leadershipError computed last is that a replica leads.
func (w *leaderWatch) isHealthy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err == nil
}

// setWaitsFor sets the former lease that this replica waits for; nil for none.
func (w *leaderWatch) setWaitsFor(lease *string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waitsFor = lease
}

// setStandsBy sets the fence under which the store refused this replica's writes, which restarts the silence at now;
// 0 ends the standby.
func (w *leaderWatch) setStandsBy(fence uint64, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.standsBy = fence; fence != 0 {
		w.since = now
	}
}

// silenceLimit returns the silence after which no replica counts as leading the organization.
func (w *leaderWatch) silenceLimit() time.Duration {
	limit := max(minSilence, silenceLeases*w.lease.leaseDuration())
	if w.view.Edge().IsZero() {
		return limit // a first pass begins at once
	}
	return max(limit, silenceIntervals*w.interval)
}

// awaitSilence waits until the silence reaches silenceLimit and returns true, or false when ctx ends or stop, which may
// be nil, is closed before.
func (w *leaderWatch) awaitSilence(ctx context.Context, stop <-chan struct{}) bool {
	for {
		rest := w.silenceLimit() - w.silentFor(time.Now())
		if rest <= 0 {
			return true
		}
		timer := time.NewTimer(rest)
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-stop:
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// leadershipError computes and returns why no replica leads the organization; nil when one does. When isStoreKnown is
// false, because the store does not respond, it returns the state that it computed last.
func (w *leaderWatch) leadershipError(now time.Time, isStoreKnown bool) error {
	if !isStoreKnown {
		w.restartSilence(now)
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.err
	}
	silence, limit := w.silentFor(now), w.silenceLimit()
	if !w.lease.elected && !w.state.termStart().IsZero() {
		silence = 0 // it leads without an election and may wait for a rate limit; the watchdog watches its loop
	}
	stage := stageLed
	switch {
	case silence >= 2*limit:
		stage = stageUnready
	case silence >= limit:
		stage = stageSilent
	}
	state := w.describeLeadership(stage, now)
	w.mu.Lock()
	before := w.stage
	w.stage, w.err = stage, state
	w.mu.Unlock()
	w.logLeadership(before, stage, state)
	return state
}

// logLeadership logs that no replica leads, and that one leads again, when the stage changes.
func (w *leaderWatch) logLeadership(before, stage silenceStage, state error) {
	switch {
	case stage == before:
	case stage == stageLed:
		w.logger.Info("A replica leads the organization again.")
	case stage > before:
		w.logger.Warn("No replica leads the organization: nothing new is read from GitHub.",
			zap.Bool("ready", stage < stageUnready), zap.Error(state))
	}
}

// describeLeadership returns the error of a stage, with who led last and what this replica waits for; nil while a
// replica leads.
func (w *leaderWatch) describeLeadership(stage silenceStage, now time.Time) error {
	w.mu.Lock()
	since, waitsFor, standsBy := w.since, w.waitsFor, w.standsBy
	w.mu.Unlock()
	if stage == stageLed {
		if standsBy == 0 {
			return nil
		}
		return &health.Warning{Err: fmt.Errorf("two elections lead it: the store refused the writes of this "+
			"replica, fence %d, because another one has a newer term%s; this replica stands by",
			standsBy, w.describeLastLeader())}
	}
	text := fmt.Sprintf("no replica has led it for %s", now.Sub(since).Round(time.Second))
	if edge := w.view.Edge(); !edge.IsZero() {
		text += ", the last pass began at " + edge.UTC().Format(time.RFC3339)
	} else {
		text += ", and it has never been read"
	}
	text += w.describeLastLeader()
	if standsBy != 0 {
		text += fmt.Sprintf("; the store refused the writes of this replica: its fence %d is older than that of "+
			"the last leader", standsBy)
	}
	if waitsFor != nil {
		text += "; this replica waits for the lease of the former leader: " + w.lease.describe(*waitsFor)
	} else if about := w.lease.describe(w.lease.name); about != "" {
		text += "; " + about
	}
	if stage == stageSilent {
		return &health.Warning{Err: errors.New(text)}
	}
	return errors.New(text)
}

// describeLastLeader returns the recorded leader as a part of an error text; "" when none is recorded.
func (w *leaderWatch) describeLastLeader() string {
	entry, ok := w.view.Entry(entryLeader)
	if !ok {
		return ""
	}
	record, err := decodeLeader(entry.Data)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (last led by %q under the lease %q)", record.Identity, record.Lease)
}
