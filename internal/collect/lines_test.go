// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/internal/loc/rounds"
)

const (
	statsRoute = "/repos/{owner}/{repo}/stats/contributors"
	day        = 24 * time.Hour
)

// sunday is the end of the complete week before noon.
var sunday = time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC)

// linesBench is a bench with rounds over weekly lines.
type linesBench struct {
	*bench
	settings rounds.Settings
	lines    *rounds.Rounds
}

// newLinesBench returns a bench that reads weekly lines from statistics. change may change its settings.
func newLinesBench(t *testing.T, api github.API, data *githubtest.Dataset,
	change ...func(*rounds.Settings),
) *linesBench {
	t.Helper()
	b := &linesBench{bench: newBench(t, api, data, func(s *Settings) { s.WithoutLines = true })}
	b.settings = rounds.Settings{
		Org: org, Concurrency: 4, OnInvalidEntry: func() { b.tallies.Add(TallyInvalid) },
		OnQuotaExhausted: func() { b.tallies.Add(TallyLinesWait) },
		Source:           b.collector.settings.Source.(rounds.Source), MaxCommits: 500, MaxCommitsPerHour: 1000,
		Retention: 720 * time.Hour,
		Rules:     loc.Rules{RefreshInterval: day, Fallback: true, ZeroAnswers: 2, Cooldown: 7 * day},
	}
	for _, f := range change {
		f(&b.settings)
	}
	b.pass()
	b.fillGaps()
	b.newTerm()
	return b
}

// newTerm replaces the rounds by those of another leader, which has what the store has.
func (b *linesBench) newTerm() { b.lines = rounds.New(b.settings, b.collector, 1, b.followedView()) }

// followedView returns the view of a replica that starts now.
func (b *linesBench) followedView() *ledgerview.View {
	b.t.Helper()
	view := ledgerview.New(
		ledgerview.Settings{Retention: 720 * time.Hour, Grace: 100 * day, WeeklyLinesFromEntries: true},
	)
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	err := b.store.Follow(ctx, org, func(c ledger.Change) error {
		view.Apply(c)
		if c.CaughtUp {
			cancel()
		}
		return nil
	})
	require.ErrorIs(b.t, err, context.Canceled)
	return view
}

// passAndRound makes a pass and then a round.
func (b *linesBench) passAndRound() rounds.Result {
	b.t.Helper()
	b.pass()
	done, err := b.lines.Run(b.t.Context())
	require.NoError(b.t, err)
	return done
}

// roundAfter makes a pass and a round some time later.
func (b *linesBench) roundAfter(d time.Duration) rounds.Result {
	b.t.Helper()
	b.clock.Advance(d)
	return b.passAndRound()
}

// roundsUntil makes rounds when they are due, until a time.
func (b *linesBench) roundsUntil(end time.Time) {
	b.t.Helper()
	for done := b.passAndRound(); done.NextAt.Before(end); done = b.passAndRound() {
		b.clock.set(done.NextAt)
	}
	b.clock.set(end)
}

// weekly returns what is shown of a repository: added and removed lines by user.
func (b *linesBench) weekly(repo string) map[string][2]uint64 {
	b.t.Helper()
	result := emitted{}
	b.followedView().Visit(b.clock.Now(), result)
	lines := make(map[string][2]uint64)
	for series, v := range result {
		require.False(b.t, v.Present.Has(ledgerview.MetricTotalLinesAdded))
		if series.Repo == repo && v.Present.Has(ledgerview.MetricLinesAdded) {
			lines[series.User] = [2]uint64{v.Of[ledgerview.MetricLinesAdded], v.Of[ledgerview.MetricLinesRemoved]}
		}
	}
	return lines
}

// state returns the state of the lines of the only repository, and their mode.
func (b *linesBench) state() (loc.State, loc.Mode) {
	b.t.Helper()
	samples := b.followedView().Entries(ledger.EntryLinesState)
	require.Len(b.t, samples, 1)
	state, err := loc.Decode(samples[0].Data)
	require.NoError(b.t, err)
	now := b.clock.Now()
	return state, b.settings.Rules.ModeAt(&state, now, ledger.LastCompleteWeek(now))
}

// mode returns the name of the mode of the only repository.
func (b *linesBench) mode() string {
	b.t.Helper()
	_, mode := b.state()
	return mode.String()
}

// statsRequests returns the number of requests for statistics.
func (b *linesBench) statsRequests() int { return b.server.CountRequests(isRoute(statsRoute)) }

// commitRequests returns the number of REST requests for the lines of one commit.
func (b *linesBench) commitRequests() int {
	return b.server.CountRequests(isRoute("/repos/{owner}/{repo}/commits/{ref...}"))
}

// zeroStatistics makes the statistics have zeros, as those of a large repository do, until the faults are cleared.
func (b *linesBench) zeroStatistics() {
	body := fmt.Sprintf(
		`[{"author":{"login":"ada","id":1},"total":3,"weeks":[{"w":%d,"a":0,"d":0,"c":3}]}]`,
		sunday.AddDate(0, 0, -7).Unix(),
	)
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Route: statsRoute},
		Effect: githubtest.StatusBody(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, body),
	})
}

// lastWeekData returns a repository with commits of ada and bob in the last week, a merge, one without an account, and
// others before and after the week.
func lastWeekData() *githubtest.Dataset {
	data := newDataset("one")
	addCommit(data, "one", sunday.AddDate(0, 0, -7).Add(-time.Second))
	addCommit(data, "one", sunday.AddDate(0, 0, -7))
	addCommit(data, "one", sunday.Add(-2*day)).Login = new("bob")
	addCommit(data, "one", sunday.Add(-day)).Parents = 2
	addCommit(data, "one", sunday.Add(-2*time.Hour)).Login = nil
	addCommit(data, "one", sunday.Add(-time.Second))
	addCommit(data, "one", sunday).Login = new("eve")
	return data
}

// TestStatistics: statistics that GitHub still computes are requested again; then every listed author has lines, a user
// who is not listed has none, and nothing is requested before it is due.
func TestStatistics(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newLinesBench(t, api, lastWeekData())
		require.Empty(t, b.weekly("one"), "commits were read without lines")
		require.Zero(t, b.commitRequests())
		done := b.passAndRound()
		require.Equal(t, 1, done.StatisticsReads)
		require.Equal(t, b.clock.Now().Add(time.Minute), done.NextAt)
		require.Equal(t, "warming", b.mode())
		require.Zero(t, b.roundAfter(30*time.Second).StatisticsReads)
		done = b.roundAfter(30 * time.Second)
		require.Equal(t, 1, done.StatisticsReads)
		require.Equal(t, b.clock.Now().Add(day), done.NextAt)
		require.Equal(t, "ready", b.mode())
		want := map[string][2]uint64{"ada": {20, 2}, "bob": {10, 1}, "eve": {0, 0}}
		require.Equal(t, want, b.weekly("one"))
		require.Zero(t, b.roundAfter(12*time.Hour).StatisticsReads)

		t.Log("a push voids GitHub's numbers; the ones that are known stay")
		b.server.Update(func(d *githubtest.Dataset) {
			c := addCommit(d, "one", sunday.Add(-time.Hour))
			c.PushedAt = b.clock.Now().Add(time.Minute)
		})
		done = b.roundAfter(12 * time.Hour)
		require.Equal(t, 1, done.StatisticsReads)
		require.Equal(t, want, b.weekly("one"))
		require.Equal(t, "ready", b.mode())
		b.roundAfter(time.Minute)
		want["ada"] = [2]uint64{30, 3}
		require.Equal(t, want, b.weekly("one"))
		require.Zero(t, b.commitRequests())

		t.Log("another week")
		b.clock.set(sunday.Add(7*day - time.Second))
		b.passAndRound()
		require.Equal(t, want, b.weekly("one"))
		require.Equal(t, 1, b.roundAfter(time.Second).StatisticsReads, "the week has changed")
		require.Equal(t, map[string][2]uint64{"ada": {0, 0}, "bob": {0, 0}, "eve": {10, 1}}, b.weekly("one"))
	})
}

// TestWeekWithoutAPush: a week without a push costs no request, and all users have no lines in it.
func TestWeekWithoutAPush(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", sunday.AddDate(0, 0, -8))
		b := newLinesBench(t, api, data)
		done := b.passAndRound()
		require.Equal(t, 1, done.QuietWeeks)
		require.Zero(t, b.statsRequests())
		require.Equal(t, map[string][2]uint64{"ada": {0, 0}}, b.weekly("one"))
		require.Equal(t, "ready", b.mode())
		require.Zero(t, b.passAndRound().QuietWeeks)
		b.clock.Advance(3 * day)
		require.Equal(t, "ready", b.mode())

		b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", b.clock.Now().Add(time.Second)) })
		require.Equal(t, 1, b.roundAfter(time.Minute).StatisticsReads)
		require.Equal(t, map[string][2]uint64{"ada": {0, 0}}, b.weekly("one"), "what is known stays")
	})
}

// TestHundredAuthors: GitHub's statistics have the hundred most active authors. Nothing is shown of the others.
func TestHundredAuthors(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		for i := range 103 {
			for n := range 1 + i/3 {
				addCommit(data, "one",
					sunday.Add(-time.Duration(1+i)*time.Hour-time.Duration(n)*time.Second)).Login = new(
					fmt.Sprintf("user-%03d", i),
				)
			}
		}
		b := newLinesBench(t, api, data)
		b.passAndRound()
		b.roundAfter(time.Minute)
		weekly := b.weekly("one")
		require.Len(t, weekly, 100)
		total := 0
		for user := range b.usersOf("one") {
			if _, listed := weekly[user]; !listed {
				require.Less(t, user, "user-003")
				total++
			}
		}
		require.Equal(t, 3, total)
		require.Equal(t, [2]uint64{350, 35}, weekly["user-102"])
	})
}

// usersOf returns the users of a repository that have weekly lines.
func (b *linesBench) usersOf(repo string) map[string]bool {
	b.t.Helper()
	users := make(map[string]bool)
	for series := range b.metrics() {
		if series.Repo == repo {
			users[series.User] = true
		}
	}
	return users
}

// TestFallback: after several statistics of zeros, the lines of the week's commits are read, week by week, until the
// statistics are usable again after the cooldown.
func TestFallback(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newLinesBench(t, api, lastWeekData())
		b.zeroStatistics()
		done := b.passAndRound()
		require.Equal(t, "warming", b.mode())
		require.Empty(t, b.weekly("one"), "a zero is no value")
		require.Equal(t, b.clock.Now().Add(time.Hour), done.NextAt)
		done = b.roundAfter(time.Hour)
		require.Equal(t, 1, done.StatisticsReads)
		require.Equal(t, 1, done.CommitReads)
		require.Equal(t, "fallback", b.mode())
		want := map[string][2]uint64{"ada": {20, 2}, "bob": {10, 1}, "unlinked_git_author": {10, 1}, "eve": {0, 0}}
		require.Equal(t, want, b.weekly("one"))
		if api == github.APIREST {
			require.Equal(t, 4, b.commitRequests(), "merges are not requested")
		}
		state, _ := b.state()
		require.False(t, state.Incomplete)

		t.Log("a week is read once")
		b.server.ResetRequests()
		b.roundsUntil(sunday.Add(7*day - time.Minute))
		require.Zero(t, b.statsRequests()+b.commitRequests())
		require.Equal(t, want, b.weekly("one"))
		done = b.roundAfter(time.Minute)
		require.Equal(t, 1, done.CommitReads)
		require.Zero(t, done.StatisticsReads)
		require.Equal(
			t, map[string][2]uint64{"ada": {0, 0}, "bob": {0, 0}, "unlinked_git_author": {0, 0}, "eve": {10, 1}},
			b.weekly("one"),
		)

		t.Log("the cooldown is over: zeros again, then numbers")
		b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", b.clock.Now()) })
		b.roundsUntil(noon.Add(time.Hour + 7*day))
		require.Equal(t, 1, b.passAndRound().StatisticsReads)
		require.Equal(t, "fallback", b.mode())
		b.server.ClearFaults()
		b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", b.clock.Now().Add(3*day)) })
		b.roundsUntil(noon.Add(time.Hour + 14*day))
		require.Equal(t, "fallback", b.mode())
		b.passAndRound()
		b.roundAfter(time.Minute)
		require.Equal(t, "ready", b.mode())
		weekly := b.weekly("one")
		require.Equal(t, [2]uint64{20, 2}, weekly["ada"])
		require.NotContains(t, weekly, "unlinked_git_author", "the statistics do not know them")
	})
}

// TestFallbackDisabled: without the fallback, zeros never become a value, and the values before stay until they are
// stale.
func TestFallbackDisabled(t *testing.T) {
	t.Parallel()
	b := newLinesBench(t, github.APIGraphQL, lastWeekData(), func(s *rounds.Settings) { s.Rules.Fallback = false })
	b.passAndRound()
	b.roundAfter(time.Minute)
	want := b.weekly("one")
	require.NotEmpty(t, want)
	b.zeroStatistics()
	b.roundsUntil(noon.Add(2 * day))
	require.Equal(t, "ready", b.mode())
	b.roundsUntil(noon.Add(2*day + 2*time.Minute))
	require.Equal(t, "stale", b.mode())
	require.Equal(t, want, b.weekly("one"))
	require.Zero(t, b.commitRequests())
}

// busyWeekData returns a repository with n commits in the last week, of which each tenth is a merge.
func busyWeekData(n int) *githubtest.Dataset {
	data := newDataset("one")
	addCommit(data, "one", sunday.AddDate(0, 0, -8))
	for i := range n {
		c := addCommit(data, "one", sunday.Add(-time.Duration(n-i)*time.Minute))
		c.Login = new(fmt.Sprintf("user-%d", i%7))
		c.Additions = i
		if i%10 == 5 {
			c.Parents = 2
		}
	}
	return data
}

// TestLinesOfARewrittenBranch: after a force-push, and when another branch becomes the default one, the lines of the
// week are those of the present branch, from statistics and from commits, also when the leader changes meanwhile.
func TestLinesOfARewrittenBranch(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, change := range map[string]func(b *linesBench){
			"statistics": func(*linesBench) {},
			"commits":    func(b *linesBench) { b.zeroStatistics() },
			"an hour's allowance": func(b *linesBench) {
				b.zeroStatistics()
				b.settings.MaxCommitsPerHour = 2
				b.newTerm()
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				data := lastWeekData()
				b := newLinesBench(t, api, data)
				change(b)
				b.roundsUntil(b.clock.Now().Add(8 * time.Hour))
				want := b.weekly("one")
				require.Equal(t, []any{[2]uint64{20, 2}, [2]uint64{10, 1}}, []any{want["ada"], want["bob"]})
				b.server.Update(func(d *githubtest.Dataset) { // bob's commit and what followed it are no more
					c := addCommit(d, "one", sunday.Add(-3*day))
					c.PushedAt, c.Login, c.ParentSHAs = b.clock.Now().Add(time.Second), new("eve"), []string{
						d.Commits[1].SHA,
					}
				})
				b.clock.Advance(time.Minute)
				b.pass()
				b.newTerm()
				require.Equal(t, want, b.weekly("one"), "until they are known")
				b.roundsUntil(b.clock.Now().Add(8 * time.Hour))
				after := b.weekly("one")
				require.Equal(t, []any{[2]uint64{10, 1}, [2]uint64{10, 1}}, []any{after["ada"], after["eve"]})
				require.Zero(t, after["bob"])
				asked, details := b.statsRequests(), b.commitRequests()
				b.roundsUntil(b.clock.Now().Add(8 * time.Hour))
				require.Equal(t, []int{asked, details}, []int{b.statsRequests(), b.commitRequests()}, "once")
			})
		}
	})
}

// TestCommitCaps: the commits of a repository's week are read up to its cap, a week with more than the allowance of an
// hour is read in several hours, and both APIs end with the same lines.
func TestCommitCaps(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		maxCommits, maxHourly int
		hours                 int
		incomplete            bool
		removed               uint64 // one for each commit that was read
	}{
		"below both caps":           {500, 1000, 0, false, 180},
		"exactly the cap":           {180, 1000, 0, false, 180},
		"above the cap of the week": {100, 1000, 0, true, 100},
		"above the cap of an hour":  {500, 70, 2, false, 180},
		"above both caps":           {150, 70, 2, true, 150},
		"one commit an hour":        {3, 1, 2, true, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := make(map[github.API]map[string][2]uint64)
			for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
				b := newLinesBench(t, api, busyWeekData(200), func(s *rounds.Settings) {
					s.MaxCommits, s.MaxCommitsPerHour, s.Rules.ZeroAnswers = test.maxCommits, test.maxHourly, 1
				})
				b.zeroStatistics()
				b.passAndRound()
				for hour := range test.hours {
					require.Empty(t, b.weekly("one"), "a part of a week is no value")
					require.Equal(t, uint64(hour+1), b.tally(TallyLinesWait))
					at := b.clock.Now()
					require.Zero(t, b.roundAfter(5*time.Minute).CommitReads, "the hour is not over")
					if hour == 0 {
						b.newTerm()
						require.Zero(t, b.roundAfter(5*time.Minute).CommitReads, "nor is it over for another leader")
					}
					b.clock.set(at.Truncate(time.Hour).Add(time.Hour))
					b.passAndRound()
				}
				results[api] = b.weekly("one")
				var removed uint64
				for _, lines := range results[api] {
					removed += lines[1]
				}
				require.Equal(t, test.removed, removed)
				state, mode := b.state()
				require.Equal(t, "fallback", mode.String())
				require.Equal(t, test.incomplete, state.Incomplete)
				require.Equal(t, uint64(test.hours), b.tally(TallyLinesWait))
				require.Equal(t, 1, b.statsRequests())
				if api == github.APIREST {
					require.Equal(t, int(test.removed), b.commitRequests(), "no commit is requested twice")
				}
				b.roundAfter(time.Hour)
				require.Equal(t, results[api], b.weekly("one"), "it is not read again")
			}
			require.Equal(t, results[github.APIGraphQL], results[github.APIREST])
		})
	}
}

// TestStaleLines: lines that cannot be refreshed for two intervals are kept and reported as stale.
func TestStaleLines(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newLinesBench(t, api, lastWeekData())
		b.passAndRound()
		b.roundAfter(time.Minute)
		want := b.weekly("one")
		b.server.InjectFault(
			githubtest.Fault{
				Match: githubtest.Match{Route: statsRoute}, Effect: githubtest.Status(http.StatusForbidden),
			},
		)
		b.server.ResetRequests()
		b.roundsUntil(noon.Add(3 * day))
		require.Equal(t, "stale", b.mode())
		require.Equal(t, want, b.weekly("one"))
		require.Less(t, b.statsRequests(), 15, "ever more rarely")
		require.Len(t, b.roundAfter(6*time.Hour).Failures, 1)
		b.server.ClearFaults()
		b.roundsUntil(b.clock.Now().Add(6*time.Hour + time.Minute))
		b.passAndRound()
		require.Equal(t, "ready", b.mode())
	})
}

// TestLinesAfterAFailover: another leader continues with the stored entries, also one whose clock is behind, and
// invalid entries are counted and ignored.
func TestLinesAfterAFailover(t *testing.T) {
	t.Parallel()
	b := newLinesBench(t, github.APIGraphQL, lastWeekData())
	b.passAndRound()
	b.newTerm()
	require.Zero(t, b.passAndRound().StatisticsReads, "the wait goes on")
	b.roundAfter(time.Minute)
	require.Equal(t, "ready", b.mode())
	b.newTerm()
	require.Zero(t, b.roundAfter(time.Hour).StatisticsReads)

	behind := b.clock.now
	b.clock.now = behind.Add(-30 * time.Minute)
	b.newTerm()
	b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", behind.Add(-40*time.Minute)) })
	b.clock.now = behind.Add(23 * time.Hour)
	b.passAndRound()
	b.clock.now = b.clock.now.Add(-10 * time.Minute)
	b.newTerm()
	b.clock.now = b.clock.now.Add(11 * time.Minute)
	require.Equal(t, 1, b.passAndRound().StatisticsReads)
	require.Equal(t, "ready", b.mode())

	samples := []ledger.Entry{
		{
			EntryKey: ledger.EntryKey{Name: ledger.EntryLinesState, Repo: b.onlyRepoID()}, Data: []byte("rubbish"),
			Observed: b.clock.Now().Add(time.Hour),
		},
		{
			EntryKey: ledger.EntryKey{Name: ledger.EntryLinesAllowance}, Data: []byte{0xff},
			Observed: b.clock.Now().Add(time.Hour),
		},
	}
	_, err := b.store.Commit(t.Context(), 1, ledger.Batch{Org: org, Observed: b.clock.Now(), Entries: samples})
	require.NoError(t, err)
	want := b.weekly("one")
	b.newTerm()
	require.Equal(t, 1, b.passAndRound().StatisticsReads)
	require.Equal(t, uint64(1), b.tally(TallyInvalid))
	require.Equal(t, want, b.weekly("one"))
	require.Equal(t, "ready", b.mode())
}

// onlyRepoID returns the id of the only repository.
func (b *linesBench) onlyRepoID() int64 {
	b.t.Helper()
	for id := range b.coverage().Repos {
		return id
	}
	return 0
}

// TestLinesLeaveAQuarterOfTheBudget: when a quarter of a limit is left, neither statistics nor commits are requested,
// passes go on, and what was read of a week is not read again.
func TestLinesLeaveAQuarterOfTheBudget(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newLinesBench(t, api, busyWeekData(200), func(s *rounds.Settings) { s.Rules.ZeroAnswers = 1 })
		b.zeroStatistics()
		b.clock.Advance(56 * time.Minute) // by now all but the quarter may be used
		resource, left := githubtest.ResourceCore, 60
		if api == github.APIGraphQL {
			resource, left = githubtest.ResourceGraphQL, 3
		}
		b.pass()
		b.server.SetUsed("default", resource, 5000-1250-left)
		done, err := b.lines.Run(t.Context())
		require.NoError(t, err)
		require.True(t, done.NextAt.After(b.clock.Now()))
		require.Empty(t, b.weekly("one"))
		b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", b.clock.Now()) })
		b.clock.Advance(time.Minute)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.server.ResetRequests()
		again, err := b.lines.Run(t.Context())
		require.NoError(t, err)
		require.True(t, again.NextAt.After(b.clock.Now()))
		require.Empty(t, b.server.Requests(), "the round ends before a request")

		b.roundsUntil(noon.Add(3 * time.Hour))
		b.passAndRound()
		require.Equal(t, "fallback", b.mode())
		require.NotEmpty(t, b.weekly("one"))
		require.Equal(t, PassSuccess, b.pass().Status)
	})
}

// TestLimitEndsARound: a limit and a rejected credential end a round, and stored lines do not change.
func TestLimitEndsARound(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		effect githubtest.Effect
		wait   time.Duration
	}{
		"secondary limit": {githubtest.SecondaryLimit(http.StatusForbidden, 7*time.Minute), 7 * time.Minute},
		"credential":      {githubtest.Status(http.StatusUnauthorized), 5 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := newDataset("one", "two", "three", "four", "five", "six", "seven")
			for _, r := range data.Repos {
				addCommit(data, r.Name, sunday.Add(-time.Hour))
			}
			b := newLinesBench(t, github.APIREST, data)
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: statsRoute}, Effect: test.effect})
			done := b.passAndRound()
			require.LessOrEqual(t, b.statsRequests(), 4, "one for each that is read at once")
			require.Empty(t, b.followedView().Entries(ledger.EntryLinesState))
			require.InDelta(t, test.wait, done.NextAt.Sub(b.clock.Now()), float64(2*time.Second))
			b.settings.CheckPaused = func() error { return context.Canceled }
			b.newTerm()
			b.server.ResetRequests()
			paused, err := b.lines.Run(t.Context())
			require.NoError(t, err)
			require.Equal(t, b.clock.Now().Add(time.Minute), paused.NextAt)
			require.Empty(t, b.server.Requests())
		})
	}
}

// TestRoundWithAnOldFenceWritesNothing: a leader of an earlier term writes no lines.
func TestRoundWithAnOldFenceWritesNothing(t *testing.T) {
	t.Parallel()
	b := newLinesBench(t, github.APIGraphQL, lastWeekData())
	_, err := b.store.Commit(t.Context(), 2, ledger.Batch{Org: org, Observed: noon})
	require.NoError(t, err)
	_, err = b.lines.Run(t.Context())
	require.ErrorIs(t, err, ledger.ErrFenced)
	require.Empty(t, b.followedView().Entries(ledger.EntryLinesState))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.lines.Run(ctx)
	require.ErrorIs(t, err, context.Canceled)
}

// TestHourlyAllowanceIsShared: repositories that are read concurrently take of the hour's allowance what they need, and
// no more.
func TestHourlyAllowanceIsShared(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two", "three", "four", "five")
		for _, r := range data.Repos {
			for i := range 10 {
				addCommit(data, r.Name, sunday.Add(-time.Duration(1+i)*time.Hour))
			}
		}
		b := newLinesBench(
			t, api, data,
			func(s *rounds.Settings) { s.Rules.ZeroAnswers, s.MaxCommits, s.MaxCommitsPerHour = 1, 40, 45 },
		)
		b.zeroStatistics()
		b.passAndRound()
		complete := 0
		for _, r := range data.Repos {
			complete += len(b.weekly(r.Name))
		}
		require.Less(t, complete, len(data.Repos), "how many depends on the order of the requests")
		require.Equal(t, uint64(len(data.Repos)-complete), b.tally(TallyLinesWait), "each of the others waits once")
		if api == github.APIREST {
			require.Equal(
				t, 45, b.server.CountRequests(isRoute(commitRoute)),
				"nothing of the allowance is left over, and nothing is taken beyond it",
			)
		}
		b.clock.set(noon.Add(time.Hour))
		b.passAndRound()
		for _, r := range data.Repos {
			require.Equal(t, map[string][2]uint64{"ada": {100, 10}}, b.weekly(r.Name))
		}
	})
}

// TestWeekWithUnreadCommitsIsNotQuiet: a week at whose end the commits could not be read does not count as one without
// a push.
func TestWeekWithUnreadCommitsIsNotQuiet(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", sunday.AddDate(0, 0, -8))
		b := newLinesBench(t, api, data)
		b.passAndRound()
		b.clock.Advance(interval)
		b.passAndRound()
		armed := b.server.InjectFault(
			githubtest.Fault{Match: githubtest.Match{Func: isCommitRequest}, Effect: githubtest.Status(503)},
		)
		b.server.Update(func(d *githubtest.Dataset) { addCommit(d, "one", b.clock.Now().Add(time.Minute)) })
		b.clock.Advance(interval)
		b.pass()
		b.clock.set(sunday.Add(7*day + time.Hour))
		b.pass()
		require.Positive(t, armed.Hits())
		done, err := b.lines.Run(t.Context())
		require.NoError(t, err)
		require.Zero(t, done.QuietWeeks)
		require.Equal(t, 1, done.StatisticsReads)
	})
}

// TestPushReadByBackfillIsNotQuiet: a week is not quiet although the pass that saw the push could not read it and a
// fill did.
func TestPushReadByBackfillIsNotQuiet(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]githubtest.Effect{
		"error": githubtest.Status(http.StatusInternalServerError),
		"limit": githubtest.SecondaryLimit(http.StatusForbidden, 30*time.Second),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				data := newDataset("one", "two")
				for _, repo := range []string{"one", "two"} {
					addCommit(data, repo, sunday.AddDate(0, 0, -8)).Login = new("bob")
				}
				b := newLinesBench(t, api, data)
				b.collector.settings.BackfillEnabled = true
				b.clock.set(sunday.Add(6*day + 12*time.Hour))
				b.pass()
				b.server.Update(func(d *githubtest.Dataset) {
					for _, repo := range []string{"one", "two"} {
						addCommit(d, repo, b.clock.Now().Add(time.Hour)).Login = new("bob")
					}
				})
				b.clock.set(sunday.Add(7*day + 5*time.Minute))
				b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: isCommitRequest}, Effect: trouble})
				b.pass()
				b.server.ClearFaults()
				b.clock.Advance(time.Minute)
				b.fillGaps()
				b.requireNoGaps()
				for range 3 {
					done, err := b.lines.Run(t.Context())
					require.NoError(t, err)
					require.Zero(t, done.QuietWeeks)
					b.clock.Advance(time.Minute)
				}
				for _, repo := range []string{"one", "two"} {
					require.Equal(t, map[string][2]uint64{"bob": {10, 1}}, b.weekly(repo))
				}
			})
		})
	}
}

// TestLinesAfterTheStoreWasReset: a store that was emptied within a term gets the weekly lines again.
func TestLinesAfterTheStoreWasReset(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addCommit(data, "one", sunday.AddDate(0, 0, -8))
	b := newLinesBench(t, github.APIGraphQL, data)
	b.passAndRound()
	require.Equal(t, map[string][2]uint64{"ada": {0, 0}}, b.weekly("one"))
	b.store = newCountingStore()
	b.collector.settings.Store = b.store
	b.clock.Advance(interval)
	b.pass()
	b.fillGaps()
	require.Empty(t, b.weekly("one"))
	b.clock.Advance(interval)
	b.passAndRound()
	require.Equal(t, map[string][2]uint64{"ada": {0, 0}}, b.weekly("one"))
}
