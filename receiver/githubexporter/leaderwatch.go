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
)

const (
	// silenceIntervals is for how many scrape intervals a leader may write nothing: after half of it a leader that has
	// nothing to write repeats that it leads.
	silenceIntervals = 3
	// silenceLeases is for how many lease durations it may: a leader that died is replaced within one.
	silenceLeases = 2
	// minSilence bounds it from below.
	minSilence = 10 * time.Second
)

// leaderWatch measures for how long no leader of an organization has written to the ledger, as far as this replica has
// followed it. What a leader writes shows that it leads, whatever came of its passes.
type leaderWatch struct {
	mu sync.Mutex
	// since is when a leader's write was seen last, or when the watch began.
	since time.Time
	// observed are what was seen of leaders' writes; gathered are those of a snapshot that has begun.
	observed, inSnapshotWrites leaderWrites
	inSnapshot                 bool
	// waitsFor is the former lease that this replica waits for, nil for none.
	waitsFor *string
	// standsBy is the fence under which the store refused this replica's writes, 0 when it does not stand by.
	standsBy uint64
	// stage and state are what was found last.
	stage silenceStage
	err   error
}

// leaderWrites change with every write of a leader.
type leaderWrites struct {
	writes     uint64
	edge       time.Time
	recordedAt time.Time
}

// silenceStage is what a silence amounts to.
type silenceStage int

const (
	stageLed     silenceStage = iota
	stageSilent               // degraded
	stageUnready              // not ready
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
		if sample := &c.Entries[i]; sample.EntryKey == entryLeader && sample.Observed.After(s.recordedAt) {
			s.recordedAt = sample.Observed
		}
	}
	if c.Progress.Edge.After(s.edge) {
		s.edge = c.Progress.Edge
	}
}

// observe takes a change of the ledger. A snapshot counts as a sign when it differs from what was known.
func (s *leaderWatch) observe(c *ledger.Change, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Reset {
		s.inSnapshot, s.inSnapshotWrites = true, leaderWrites{}
	}
	before := s.observed
	if s.inSnapshot {
		s.inSnapshotWrites.add(c)
		if !c.CaughtUp {
			return
		}
		s.inSnapshot, s.observed = false, s.inSnapshotWrites
	} else {
		s.observed.add(c)
	}
	if s.observed != before {
		s.since = now
	}
}

// restartSilence begins to count from now on, unless the silence is established: what is not known is no silence.
func (s *leaderWatch) restartSilence(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage == stageLed {
		s.since = now
	}
}

// silentFor is how long it lasts.
func (s *leaderWatch) silentFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.since.IsZero() {
		s.since = now
	}
	return now.Sub(s.since)
}

// isHealthy reports whether a leader was found when the state was computed last.
func (s *leaderWatch) isHealthy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err == nil
}

func (s *leaderWatch) setWaitsFor(lease *string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waitsFor = lease
}

// setStandsBy notes that the store refused this replica's writes; 0 ends it. What was seen of others counts from then
// on.
func (s *leaderWatch) setStandsBy(fence uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.standsBy = fence; fence != 0 {
		s.since = now
	}
}

// silenceLimit is after how much silence no replica leads the organization.
func (o *organization) silenceLimit() time.Duration {
	limit := max(minSilence, silenceLeases*o.leases.leaseDuration())
	if o.view.Edge().IsZero() {
		return limit // a first pass begins at once
	}
	return max(limit, silenceIntervals*o.config.ScrapeInterval)
}

// awaitSilence waits until no leader of the organization was seen for long enough, or until stop, which may be nil. It
// reports whether it was silent.
func (o *organization) awaitSilence(ctx context.Context, stop <-chan struct{}) bool {
	for {
		rest := o.silenceLimit() - o.leaderWatch.silentFor(time.Now())
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

// repeatLeaderRecord writes that this replica leads, whenever it has written nothing for half of the limit: while it waits for
// a rate limit, for instance. A loop that does not move is no sign of a leader.
func (o *organization) repeatLeaderRecord(ctx context.Context, fence uint64) {
	for ctx.Err() == nil {
		rest := o.silenceLimit()/2 - o.leaderWatch.silentFor(time.Now())
		if rest > 0 {
			o.pause(ctx, rest, false)
			continue
		}
		if now := time.Now(); o.watchdog.stuckError(now, o.config.ScrapeInterval) == nil {
			if _, err := o.store.Commit(ctx, fence, o.fenceBatch(fence, now)); err != nil && ctx.Err() == nil {
				o.logger.Debug("Failed to record that this replica leads; will retry.", zap.Error(err))
			}
		}
		o.pause(ctx, o.silenceLimit()/8, false)
	}
}

// leadershipError is the state of the dependency of this name: which organization no replica leads. known says that the
// store answers.
func (r *githubReceiver) leadershipError(now time.Time, known bool) error {
	var errs []error
	warning := true
	for _, org := range r.orgs {
		err := org.leadershipError(now, known && org.view.IsCaughtUp() && r.store.followError(org.name) == nil)
		if err == nil {
			continue
		}
		warning = warning && errors.As(err, new(*health.Warning))
		errs = append(errs, fmt.Errorf("organization %s: %w", org.name, err))
	}
	err := errors.Join(errs...)
	if err != nil && warning {
		return &health.Warning{Err: err}
	}
	if err != nil {
		return errors.New(err.Error()) // a warning among them is none for the whole
	}
	return nil
}

// leadershipError says why no replica leads the organization, nil when one does. Without knowledge of the store it is what
// it was.
func (o *organization) leadershipError(now time.Time, known bool) error {
	s := &o.leaderWatch
	if !known {
		s.restartSilence(now)
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.err
	}
	lasts, limit := s.silentFor(now), o.silenceLimit()
	if !o.leases.elected && !o.termStart().IsZero() {
		lasts = 0 // it leads without an election and may wait for a limit: whether its loop moves, the scheduler says
	}
	stage := stageLed
	switch {
	case lasts >= 2*limit:
		stage = stageUnready
	case lasts >= limit:
		stage = stageSilent
	}
	state := o.describeLeadership(stage, now)
	s.mu.Lock()
	was := s.stage
	s.stage, s.err = stage, state
	s.mu.Unlock()
	o.logLeadership(was, stage, state)
	return state
}

func (o *organization) logLeadership(was, stage silenceStage, state error) {
	switch {
	case stage == was:
	case stage == stageLed:
		o.logger.Info("A replica leads the organization again.")
	case stage > was:
		o.logger.Warn("No replica leads the organization: nothing new is read from GitHub.",
			zap.Bool("ready", stage < stageUnready), zap.Error(state))
	}
}

// describeLeadership is the state for a stage.
func (o *organization) describeLeadership(stage silenceStage, now time.Time) error {
	o.leaderWatch.mu.Lock()
	since, waitsFor, standsBy := o.leaderWatch.since, o.leaderWatch.waitsFor, o.leaderWatch.standsBy
	o.leaderWatch.mu.Unlock()
	if stage == stageLed {
		if standsBy == 0 {
			return nil
		}
		return &health.Warning{Err: fmt.Errorf("two elections lead it: the store refused the writes of this "+
			"replica, fence %d, because another one has a newer term%s; this replica stands by",
			standsBy, o.describeLastLeader())}
	}
	text := fmt.Sprintf("no replica has led it for %s", now.Sub(since).Round(time.Second))
	if edge := o.view.Edge(); !edge.IsZero() {
		text += ", the last pass began at " + edge.UTC().Format(time.RFC3339)
	} else {
		text += ", and it has never been read"
	}
	text += o.describeLastLeader()
	if standsBy != 0 {
		text += fmt.Sprintf("; the store refused the writes of this replica: its fence %d is older than that of "+
			"the last leader", standsBy)
	}
	if waitsFor != nil {
		text += "; this replica waits for the lease of the former leader: " + o.leases.describe(*waitsFor)
	} else if about := o.leases.describe(o.lease); about != "" {
		text += "; " + about
	}
	if stage == stageSilent {
		return &health.Warning{Err: errors.New(text)}
	}
	return errors.New(text)
}

// describeLastLeader says who led the organization last, as far as the ledger says it.
func (o *organization) describeLastLeader() string {
	sample, ok := o.view.Entry(entryLeader)
	if !ok {
		return ""
	}
	record, err := decodeLeader(sample.Data)
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (last led by %q under the lease %q)", record.Identity, record.Lease)
}
