// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build upgrade

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// TestRedisUpgrade replaces three replicas of another version that have read everything into one Redis by those of
// this version, with the settings of what is new, while data arrive. No sum falls on any replica. In the end every
// metric, those that the other version did not have as well, is what the data say, in the ledger of before.
func TestRedisUpgrade(t *testing.T) {
	for _, api := range []string{"graphql", "rest"} {
		for name, replace := range map[string]func(t *testing.T, u *upgrade){
			"the leader last":      replaceLeaderLast,
			"each leader":          replaceEachLeader,
			"all at once":          replaceAll,
			"the other leads last": replaceAfterReturn,
		} {
			t.Run(api+"/"+name, func(t *testing.T) {
				testRedisUpgrade(t, api, replace)
			})
		}
	}
}

func testRedisUpgrade(t *testing.T, api string, replace func(t *testing.T, u *upgrade)) {
	t.Helper()
	recorded := loadData(t)
	described := describeState(recorded.Clone())
	s := prepareSystem(t, systemSettings{
		data: described, timeline: githubtest.EndingAt(recorded, 72*time.Hour, time.Now(), 72*3600/400), replicas: 3,
		interval: 2 * time.Second, lookback: 1440 * time.Hour, backfill: ", dedup_ttl: 20s", github: ", api: " + api,
		adapt: withoutLeftOut,
	})
	timeline := s.server.Timeline()
	s.server.HideAfter(timeline.Start)
	present := proctest.ProgramPath(t, "GX_COLLECTOR")
	t.Setenv("GX_COLLECTOR", proctest.ProgramPath(t, "GX_COLLECTOR_BEFORE"))
	s.run(t)
	awaitLookbackRead(t, s)
	awaitDrained(t, s.replicas)
	compareWith(t, startPrometheus(t, s.replicas[0].metrics), func(at time.Time) map[series]float64 {
		return withoutFlow(expectedAt(recorded, timeline, timeline.Start, at))
	})
	epoch := s.ledgerEpoch(t)

	grows := watchTotals(t, s.replicas, func(series string, last, now float64) error {
		if now < last {
			return fmt.Errorf("%s fell from %v to %v", series, last, now)
		}
		return nil
	})
	watch := watchState(t, s.replicas)
	s.server.ShowAll()
	replace(t, &upgrade{system: s, present: present})
	visible := time.Now()
	s.server.HideAfter(visible)
	awaitDrained(t, s.replicas)
	awaitNoJobs(t, s)
	expected := newExpectedState(described, timeline, api)
	awaitState(t, s.replicas, expected.at(visible))
	compareWithData(t, startPrometheus(t, s.replicas[0].metrics), recorded, timeline, visible)
	grows()
	history := newStateHistory(expected)
	history.add(expected, timeline.Start.Add(-time.Second), visible)
	watch.requireTrue(t, history)
	requireEqualPages(t, s.replicas, 3)
	require.Equal(t, epoch, s.ledgerEpoch(t), "it is the ledger of before")
	for _, r := range s.replicas {
		require.NotContains(t, r.Output(), "corrupt")
		r.Stop()
		requireNoSecret(t, r.Output())
	}
}

// awaitNoJobs waits until no job waits. Those that the other version has refused are in the dead-letter queue; their
// gaps have become new jobs.
func awaitNoJobs(t *testing.T, s *system) {
	t.Helper()
	depth := func(queue string) (float64, error) {
		return s.replicas[0].value(t.Context(), fmt.Sprintf("gh_exporter_queue_depth{queue=%q}", queue))
	}
	eventually(t, time.Minute, func() error {
		for _, queue := range []string{jobsQueue, "gh.backfill.retry"} {
			if jobs, err := depth(queue); err != nil || jobs != 0 {
				return fmt.Errorf("%v jobs in %s: %w", jobs, queue, err)
			}
		}
		return nil
	})
	refused, err := depth("gh.backfill.dlq")
	require.NoError(t, err)
	t.Logf("%v jobs in the dead-letter queue", refused)
}

// ledgerEpoch returns the identity of the ledger in Redis.
func (s *system) ledgerEpoch(t *testing.T) string {
	t.Helper()
	epoch := s.redis.Client().HGet(t.Context(), "gx:1:{"+org+"}:meta", "epoch").Val()
	require.NotEmpty(t, epoch)
	return epoch
}

// upgrade is the upgrade of the replicas of a system to the present program.
type upgrade struct {
	*system

	present string
}

// replace stops a replica and starts it again as this version.
func (u *upgrade) replace(t *testing.T, r *replica) {
	t.Helper()
	r.Stop()
	u.start(t, r)
	r.awaitCaughtUp(t)
}

// start starts a replica that has ended as this version, with the settings of what is new.
func (u *upgrade) start(t *testing.T, r *replica) {
	t.Helper()
	r.logOtherVersion(t)
	r.binary = u.present
	r.addState(t)
	r.start(t)
}

// logOtherVersion logs what a replica of the other version has logged at a level above info, each message once.
func (r *replica) logOtherVersion(t *testing.T) {
	t.Helper()
	counts := make(map[string]int)
	for line := range strings.Lines(r.Output()) {
		if strings.Contains(line, `"level":"info"`) {
			continue
		}
		_, rest, _ := strings.Cut(line, `"msg":"`)
		message, _, _ := strings.Cut(rest, `"`)
		counts[message]++
	}
	t.Logf("the other version logged: %v", counts)
}

// awaitPass waits until a pass that began after now has ended, whichever replica leads.
func (u *upgrade) awaitPass(t *testing.T) {
	t.Helper()
	began := time.Now()
	eventually(t, time.Minute, func() error {
		for _, r := range u.replicas {
			if !r.HasExited() && r.lastLogged("Pass ended.").After(began.Add(2*time.Second)) {
				return nil
			}
		}
		return errors.New("no pass has ended")
	})
}

// replaceLeaderLast replaces the followers, and then the leader, as the documents say.
func replaceLeaderLast(t *testing.T, u *upgrade) {
	t.Helper()
	leader := awaitLeader(t, u.replicas)
	for _, i := range []int{(leader + 1) % 3, (leader + 2) % 3, leader} {
		u.replace(t, u.replicas[i])
		u.awaitPass(t)
	}
}

// replaceEachLeader replaces the leader of the other version until there is none, so that both versions may lead.
func replaceEachLeader(t *testing.T, u *upgrade) {
	t.Helper()
	for range u.replicas {
		leader := awaitLeader(t, u.replicas)
		for u.replicas[leader].binary == u.present {
			leader = (leader + 1) % 3
		}
		u.replace(t, u.replicas[leader])
		u.awaitPass(t)
		u.requireNoMoreOfOtherVersion(t)
	}
}

// requireNoMoreOfOtherVersion requires that a follower of the other version shows no larger sum than a replica of this
// one, and logs how many are smaller: those of events that it could not read.
func (u *upgrade) requireNoMoreOfOtherVersion(t *testing.T) {
	t.Helper()
	leader := u.replicas[awaitLeader(t, u.replicas)]
	for i, r := range u.replicas {
		if leader.binary != u.present || r.binary == u.present {
			continue
		}
		shown := totals(sharedPage(t, r))
		present, smaller := totals(sharedPage(t, leader)), 0
		for series, value := range shown {
			require.LessOrEqual(t, value, present[series], "replica %d: %s", i, series)
			if value < present[series] {
				smaller++
			}
		}
		t.Logf("replica %d, of the other version: %d of %d sums are smaller than those of the leader; this page has %d",
			i, smaller, len(shown), len(present))
	}
}

// replaceAll stops all replicas before the first one is started.
func replaceAll(t *testing.T, u *upgrade) {
	t.Helper()
	for _, r := range u.replicas {
		r.Stop()
	}
	for _, r := range u.replicas {
		u.start(t, r)
	}
	u.awaitPass(t)
}

// replaceAfterReturn lets a replica of this version lead, then one of the other version again, as when the update stops
// halfway and the newer ones end, and finishes the update.
func replaceAfterReturn(t *testing.T, u *upgrade) {
	t.Helper()
	leader := awaitLeader(t, u.replicas)
	former := []*replica{u.replicas[(leader+1)%3], u.replicas[(leader+2)%3]}
	for _, r := range former {
		r.Stop()
	}
	u.replace(t, u.replicas[leader])
	u.awaitPass(t)
	former[0].start(t)
	u.replicas[leader].Kill()
	u.awaitPass(t)
	u.awaitPass(t)
	u.replicas[leader].start(t)
	u.replicas[leader].awaitCaughtUp(t)
	u.replace(t, former[0])
	u.start(t, former[1])
	former[1].awaitCaughtUp(t)
	u.awaitPass(t)
}
