// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
)

func tallyOf(name string, labels ...string) ledger.Tally {
	t := ledger.Tally{TallyKey: ledger.TallyKey{Name: name}, Add: 1}
	copy(t.Labels[:], labels)
	return t
}

// TestSignsOfALeader: what a leader writes ends a silence, and what workers and followers write does not.
func TestSignsOfALeader(t *testing.T) {
	t.Parallel()
	began := time.Now()
	led := ledger.Entry{EntryKey: entryLeader, Observed: began}
	pass := tallyOf(collect.TallyRuns, string(collect.PassSkippedUnhealthy))
	snapshot := ledger.Change{Reset: true, CaughtUp: true, Tallies: []ledger.Tally{pass}}
	for name, test := range map[string]struct {
		changes []ledger.Change
		sign    bool
	}{
		"a pass that was left out": {[]ledger.Change{{Tallies: []ledger.Tally{pass}}}, true},
		"a page of a long pass": {[]ledger.Change{{Tallies: []ledger.Tally{
			tallyOf(collect.TallyStoreWrites, collect.SourceLeader, collect.WriteSuccess),
		}}}, true},
		"the end of a pass": {[]ledger.Change{{Progress: ledger.Progress{Edge: began}}}, true},
		"a claim":           {[]ledger.Change{{Entries: []ledger.Entry{led}}}, true},
		"a worker's write": {[]ledger.Change{{
			Events:  []activity.Event{{}},
			Tallies: []ledger.Tally{tallyOf(collect.TallyStoreWrites, "worker_backfill", collect.WriteSuccess)},
		}}, false},
		"a refused write": {[]ledger.Change{{
			Tallies: []ledger.Tally{tallyOf(collect.TallyStoreWrites, collect.SourceLeader, "fenced")},
		}}, false},
		"requests": {[]ledger.Change{{
			Tallies: []ledger.Tally{tallyOf(collect.TallyRequests, "rate_limit", "2xx")},
		}}, false},
		"the same snapshot again": {[]ledger.Change{snapshot, snapshot}, false},
		"a snapshot that goes on": {[]ledger.Change{
			snapshot, {Reset: true, CaughtUp: true, Tallies: []ledger.Tally{pass, pass}},
		}, true},
		"a snapshot in two changes": {[]ledger.Change{
			snapshot, {Reset: true}, {CaughtUp: true, Tallies: []ledger.Tally{pass}},
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &leaderWatch{since: began}
			last := len(test.changes) - 1
			for i := range test.changes {
				if i == last {
					w.restartSilence(began)
				}
				w.observe(&test.changes[i], began.Add(time.Minute))
			}
			want := time.Minute
			if test.sign {
				want = 0
			}
			require.Equal(t, want, w.silentFor(began.Add(time.Minute)))
		})
	}
}

// newTestHandover returns the handover of an organization whose ledger, in memory, a test writes.
func newTestHandover(elector leaseElection) *leaderHandover {
	l := &leases{elector: elector, keys: []string{"acme"}, identity: "one", elected: true}
	watch := &leaderWatch{
		lease: l.leaseOf("acme"), view: ledgerview.New(ledgerview.Settings{}), interval: 10 * time.Second,
		logger: zap.NewNop(), state: newOrgState(func() {}),
	}
	return &leaderHandover{
		org: "acme", lease: watch.lease, store: memstore.New(memstore.Settings{MaxSeries: 10}), watch: watch,
		logger: zap.NewNop(),
	}
}

// TestStagesOfASilence: degraded, then not ready, with the reason; back with the next sign; and nothing without
// knowledge.
func TestStagesOfASilence(t *testing.T) {
	t.Parallel()
	w := newTestHandover(&polls{identity: "one"}).watch
	began := time.Now()
	w.view.Apply(ledger.Change{Reset: true, CaughtUp: true, Progress: ledger.Progress{Edge: began}})
	w.restartSilence(began)
	require.Equal(t, 30*time.Second, w.silenceLimit(), "three scrape intervals")
	at := func(seconds int) error { return w.leadershipError(began.Add(time.Duration(seconds)*time.Second), true) }
	require.NoError(t, at(29))
	warning := new(health.Warning)
	require.ErrorAs(t, at(31), &warning)
	require.ErrorContains(t, at(31), "no replica has led it for 31s, the last pass began at ")
	require.ErrorContains(t, at(31), "the description of the lease")
	require.ErrorAs(t, w.leadershipError(began.Add(time.Hour), false), &warning, "what was known stays")
	require.Error(t, at(61))
	require.NotErrorAs(t, at(61), &warning)
	next := ledger.Change{Progress: ledger.Progress{Edge: began.Add(time.Minute)}}
	w.observe(&next, began.Add(62*time.Second))
	require.NoError(t, at(63))
	require.NoError(t, w.leadershipError(began.Add(time.Hour), false))
	later := began.Add(time.Hour + 29*time.Second)
	require.NoError(t, w.leadershipError(later, true), "the time without knowledge does not count")
}

// TestSoleLeaderIsNoSilence: a process that leads without an election writes nothing while it waits for a limit.
func TestSoleLeaderIsNoSilence(t *testing.T) {
	t.Parallel()
	w := newTestHandover(&polls{identity: "one"}).watch
	w.lease.elected = false
	now := time.Now()
	w.restartSilence(now)
	require.Error(t, w.leadershipError(now.Add(3*w.silenceLimit()), true))
	w.state.startTerm()
	require.NoError(t, w.leadershipError(now.Add(3*w.silenceLimit()), true))
}

// polls is an election in this process: a lease is held by one at a time.
type polls struct {
	identity string
	box      *ballotBox
}

type ballotBox struct {
	mu    sync.Mutex
	held  map[string]bool
	fence uint64
}

func (p *polls) Lead(ctx context.Context, name string, work func(context.Context, uint64) error) error {
	for ctx.Err() == nil {
		if fence, ok := p.box.acquire(name); ok {
			_ = work(ctx, fence)
			p.box.release(name)
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
	return context.Cause(ctx)
}

func (p *polls) LeadBeside(ctx context.Context, name string, work func(context.Context, uint64) error) error {
	return p.Lead(ctx, name, work)
}

func (*polls) HasNamedLeases() bool         { return true }
func (*polls) LeaseDuration() time.Duration { return time.Second }
func (p *polls) Identity() string           { return p.identity }
func (*polls) DescribeLease(string) string  { return "the description of the lease" }

func (b *ballotBox) acquire(name string) (uint64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held[name] {
		return 0, false
	}
	if b.held == nil {
		b.held = make(map[string]bool)
	}
	b.held[name] = true
	b.fence++
	return b.fence, true
}

func (b *ballotBox) release(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held[name] = false
}

// TestFormerLeases: a term waits for the lease under which the organization was led before, and takes its newer fence.
func TestFormerLeases(t *testing.T) {
	t.Parallel()
	led := func(lease string) ledger.Batch {
		sample, err := leaderEntry(leaderRecord{Lease: lease, Identity: "another", Fence: 5}, time.Now())
		require.NoError(t, err)
		return ledger.Batch{Entries: []ledger.Entry{sample}}
	}
	read := ledger.Batch{Progress: ledger.Progress{Edge: time.Now()}}
	own := newTestHandover(&polls{}).lease.name
	unrecorded := time.Now() // marks a batch under a newer fence
	require.Equal(t, "leader-", own[:7], "the name says what it is")
	for name, test := range map[string]struct {
		batches []ledger.Batch
		former  string
		waits   bool
	}{
		"never read":                        {nil, "", false},
		"led under its own lease":           {[]ledger.Batch{read, led(own)}, "", false},
		"led by the version before":         {[]ledger.Batch{read}, "", true},
		"led by the version before since":   {[]ledger.Batch{read, led(own), {Observed: unrecorded}}, "", true},
		"led with other organizations":      {[]ledger.Batch{read, led("leader-0badcafe")}, "leader-0badcafe", true},
		"led under another one, never read": {[]ledger.Batch{led("other")}, "other", true},
		"a record that is none": {[]ledger.Batch{read, {Entries: []ledger.Entry{
			{EntryKey: entryLeader, Data: []byte("{"), Observed: time.Now()},
		}}}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			box := &ballotBox{}
			h := newTestHandover(&polls{box: box})
			for _, b := range test.batches {
				fence := uint64(5)
				if b.Observed.Equal(unrecorded) {
					fence = 6
				}
				b.Org, b.Observed = "acme", time.Now()
				_, err := h.store.Commit(t.Context(), fence, b)
				require.NoError(t, err)
			}
			h.watch.restartSilence(time.Now())
			if test.waits {
				_, ok := box.acquire(test.former)
				require.True(t, ok)
			}
			former := newFormerLeases(t.Context(), h.lease.leases)
			defer former.release()
			result := make(chan uint64, 1)
			go func() {
				fence, err := h.awaitFormerLease(t.Context(), 0, former)
				if err != nil {
					t.Error(err)
				}
				result <- fence
			}()
			if !test.waits {
				require.Zero(t, <-result)
				return
			}
			select {
			case <-result:
				require.Fail(t, "the former leader still holds its lease")
			case <-time.After(50 * time.Millisecond):
			}
			box.release(test.former)
			require.Equal(t, uint64(2), <-result)
			_, ok := box.acquire(test.former)
			require.False(t, ok, "the lease is held for the term")
		})
	}
}

// TestSilentFormerLeader: a lease that is not to be had does not keep an organization from being read for ever.
func TestSilentFormerLeader(t *testing.T) {
	t.Parallel()
	box := &ballotBox{held: map[string]bool{"": true}}
	h := newTestHandover(&polls{box: box})
	read := ledger.Batch{Org: "acme", Observed: time.Now(), Progress: ledger.Progress{Edge: time.Now()}}
	_, err := h.store.Commit(t.Context(), 0, read)
	require.NoError(t, err)
	h.watch.since = time.Now().Add(-h.watch.silenceLimit())
	former := newFormerLeases(t.Context(), h.lease.leases)
	defer former.release()
	fence, err := h.awaitFormerLease(t.Context(), 7, former)
	require.NoError(t, err)
	require.Equal(t, uint64(7), fence)
}

// TestLeaseNames: deployments with different organizations or receivers have different leases, whatever their order
// and case.
func TestLeaseNames(t *testing.T) {
	t.Parallel()
	name := func(id string, elected leaderElection, orgs ...string) string {
		config := createDefaultConfig().(*Config)
		for _, org := range orgs {
			config.Orgs = append(config.Orgs, OrgConfig{Name: org})
		}
		return newLeases(config, component.MustNewIDWithName("githubexporter", id), elected).ofReceiver()
	}
	named := &polls{}
	require.Equal(t, name("", named, "acme", "Other"), name("", named, "other", "ACME"))
	require.NotEqual(t, name("", named, "acme"), name("", named, "acme", "other"))
	require.NotEqual(t, name("", named, "acme"), name("copilot", named, "acme"))
	require.Regexp(t, `^copilot-[0-9a-f]{8}$`, name("copilot", named, "acme"))
	require.Equal(t, "copilot", name("copilot", newBallot(), "acme"), "an election without names keeps the receiver's")
}
