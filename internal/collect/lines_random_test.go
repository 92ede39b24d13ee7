// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/internal/loc/rounds"
)

// TestRandomLines: whatever happens, the weekly lines that are shown were correct when they were confirmed, and when
// the faults end they are confirmed. GX_SEEDS is the number of histories with each API.
func TestRandomLines(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range numSeeds(t, 4) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				newRandomLinesOrg(t, api, seed).run()
			})
		}
	})
}

// randomLinesOrg is an organization with random pushes, whose weekly lines are read with faults, limits and changes of
// leader.
type randomLinesOrg struct {
	*linesBench

	rnd *rand.Rand
	log []string
	ids []int64
}

func newRandomLinesOrg(t *testing.T, api github.API, seed uint64) *randomLinesOrg {
	t.Helper()
	c := &randomLinesOrg{rnd: rand.New(rand.NewPCG(seed, 3))}
	data := newDataset("a", "b", "c")
	for i, repo := range data.Repos {
		for n := range 3 + 6*i {
			at := noon.Add(-time.Duration(c.rnd.IntN(20*24))*time.Hour - time.Duration(n)*time.Second)
			addCommit(data, repo.Name, at).Login = c.randomAuthor()
		}
	}
	b := newInProcessBench(t, api, data, func(s *githubtest.Settings, g *transport.Settings, set *Settings) {
		s.StatsZeroFrom, s.StatsPending = 14, c.rnd.IntN(3)
		set.WithoutLines, set.BackfillEnabled = true, c.rnd.IntN(2) == 0
		g.Retry.MaxAttempts = 1
	})
	c.linesBench = &linesBench{bench: b}
	c.settings = rounds.Settings{
		Org: org, Concurrency: 4, Source: b.collector.settings.Source.(rounds.Source), MaxCommits: 500,
		MaxCommitsPerHour: 4 + c.rnd.IntN(10), Retention: 720 * time.Hour,
		Rules: loc.Rules{
			RefreshInterval: day, Fallback: c.rnd.IntN(4) > 0, ZeroAnswers: 1 + c.rnd.IntN(2),
			Cooldown: time.Duration(1+c.rnd.IntN(5)) * day,
		},
	}
	if c.rnd.IntN(4) == 0 {
		c.settings.MaxCommits = 5
	}
	b.pass()
	b.fillGaps()
	c.newTerm()
	for id := range b.coverage().Repos {
		c.ids = append(c.ids, id)
	}
	return c
}

// randomAuthor returns the author of a commit; nil, at random, for one without an account.
func (c *randomLinesOrg) randomAuthor() *string {
	return []*string{new("ada"), new("bob"), new("eve"), nil}[c.rnd.IntN(4)]
}

// run makes steps and checks the lines after each; then the faults end, and the lines must be confirmed.
func (c *randomLinesOrg) run() {
	for range 120 {
		c.step()
		c.requireCorrect()
	}
	c.server.ClearFaults()
	c.server.Update(func(d *githubtest.Dataset) {
		for i := range d.Repos {
			d.Repos[i].TransferredTo = ""
		}
	})
	c.newTerm()
	c.clock.Advance(26 * time.Hour)
	for end := c.clock.Now().Add(6 * day); c.clock.Now().Before(end); {
		now, next := c.clock.Now(), c.passAndRound().NextAt
		if next.Before(now.Add(time.Second)) {
			next = now.Add(time.Second)
		}
		if next.After(now.Add(6 * time.Hour)) {
			next = now.Add(6 * time.Hour)
		}
		c.clock.set(next)
		c.fillGaps()
		c.requireCorrect()
	}
	c.passAndRound()
	c.requireCorrect()
	c.requireCurrent()
}

// requireCurrent requires that, with the fallback, the lines of the last week are complete in the end.
func (c *randomLinesOrg) requireCurrent() {
	c.t.Helper()
	if !c.settings.Rules.Fallback {
		return
	}
	week, view := ledger.LastCompleteWeek(c.clock.Now()), c.followedView()
	for _, id := range c.ids {
		sample, _ := view.Entry(ledger.WeeklyLinesKey(id))
		doc, err := ledger.DecodeWeeklyLines(sample.Data)
		require.NoError(c.t, err, "nothing is known of %d", id)
		c.require(doc.Week.Equal(week.Start), "%d: the week of %s", id, doc.Week)
	}
}

// require fails the test with the log of the steps unless ok.
func (c *randomLinesOrg) require(ok bool, format string, args ...any) {
	c.t.Helper()
	if ok {
		return
	}
	for _, line := range c.log {
		c.t.Log(line)
	}
	require.Fail(c.t, fmt.Sprintf(format, args...))
}

// step advances the clock, pushes, makes a pass, fills gaps, and makes a round, which may meet faults.
func (c *randomLinesOrg) step() {
	pauses := []time.Duration{
		time.Minute, 5 * time.Minute, 5 * time.Minute, 20 * time.Minute, time.Hour, time.Hour, 5 * time.Hour,
		11 * time.Hour, 25 * time.Hour,
	}
	pause := pauses[c.rnd.IntN(len(pauses))]
	from := c.clock.Now()
	now := c.clock.Advance(pause)
	what := []string{fmt.Sprintf("%s after %s", now.Format(time.DateTime), pause)}
	c.server.Update(func(d *githubtest.Dataset) {
		for range c.rnd.IntN(3) {
			what = append(what, c.push(d, c.randomRepo(d), from.Add(time.Duration(c.rnd.Int64N(int64(pause))))))
		}
		what = append(what, c.moveRandomRepo(d, now))
	})
	what = append(what, c.injectFaults())
	if c.rnd.IntN(12) == 0 {
		c.newTerm()
		what = append(what, "a new leader")
	}
	if c.rnd.IntN(5) > 0 {
		result, err := c.collector.Pass(c.t.Context(), 1)
		what = append(what, fmt.Sprintf("pass: %s (%v)", result.Status, err))
		if c.rnd.IntN(2) == 0 {
			c.fillGaps()
			what = append(what, "and workers")
		}
	}
	done, err := c.lines.Run(c.t.Context())
	require.NoError(c.t, err)
	what = append(
		what,
		fmt.Sprintf(
			"%d statistics, %d commits, %d quiet, %d failed", done.StatisticsReads, done.CommitReads, done.QuietWeeks,
			len(done.Failures),
		),
	)
	c.log = append(c.log, strings.Join(what, "; "))
}

// randomRepo returns the name of a repository.
func (c *randomLinesOrg) randomRepo(d *githubtest.Dataset) string {
	return nameOf(d, c.ids[c.rnd.IntN(len(c.ids))])
}

// nameOf returns the name of the repository with an id.
func nameOf(d *githubtest.Dataset, id int64) string {
	for i := range d.Repos {
		if d.Repos[i].ID == id {
			return d.Repos[i].Name
		}
	}
	return ""
}

// push pushes a commit after the existing history; at random a merge, or one whose date is much older.
func (c *randomLinesOrg) push(d *githubtest.Dataset, repo string, at time.Time) string {
	at = at.Truncate(time.Second)
	for i := range d.Commits {
		if had := &d.Commits[i]; had.Repo == repo && had.PushedAt.After(at) {
			at = had.PushedAt
		}
	}
	x := addCommit(d, repo, at)
	x.PushedAt, x.Login, x.Additions = at, c.randomAuthor(), 1+c.rnd.IntN(1000)
	if c.rnd.IntN(6) == 0 {
		x.Parents = 2
	}
	if c.rnd.IntN(6) == 0 {
		x.CommittedAt = at.Add(-time.Duration(c.rnd.IntN(72)) * time.Hour)
		x.AuthoredAt = x.CommittedAt
	}
	return fmt.Sprintf(
		"%s of %s to %s at %s, +%d", authorOf(x), x.CommittedAt.Format(time.DateTime), repo, at.Format(time.TimeOnly),
		x.Additions,
	)
}

// authorOf returns the user of a commit, as the metrics show it.
func authorOf(x *githubtest.Commit) string {
	if x.Login == nil {
		return activity.UnlinkedGitAuthor().Login
	}
	return *x.Login
}

// moveRandomRepo renames or transfers a repository at random, and returns a description.
func (c *randomLinesOrg) moveRandomRepo(d *githubtest.Dataset, now time.Time) string {
	name := c.randomRepo(d)
	switch c.rnd.IntN(25) {
	case 0:
		d.Rename(name, fmt.Sprint("renamed-", now.Unix()))
		return "renamed " + name
	case 1:
		repo := d.Repo(name)
		if repo.TransferredTo == "" {
			repo.TransferredTo = "elsewhere"
		} else {
			repo.TransferredTo = ""
		}
		return "moved " + name
	default:
		return ""
	}
}

// injectFaults injects faults at random, and returns a description.
func (c *randomLinesOrg) injectFaults() string {
	c.server.ClearFaults()
	once := func(match githubtest.Match, skip int, do githubtest.Effect) {
		c.server.InjectFault(
			githubtest.Fault{Match: match, Skip: c.rnd.IntN(skip), Effect: do, Times: 1 + c.rnd.IntN(2)},
		)
	}
	switch c.rnd.IntN(8) {
	case 0:
		status := []int{
			http.StatusAccepted, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity,
			http.StatusBadGateway,
		}[c.rnd.IntN(5)]
		do := githubtest.Status(status)
		if status == http.StatusAccepted {
			do = githubtest.StatusBody(status, http.Header{"Content-Type": {"application/json"}}, "{}")
		}
		once(githubtest.Match{Route: statsRoute}, 1, do)
		return fmt.Sprintf("statistics: %d", status)
	case 1:
		once(githubtest.Match{}, 12, githubtest.SecondaryLimit(http.StatusForbidden, time.Minute))
		return "a limit"
	case 2:
		for _, match := range []githubtest.Match{
			{Operation: "Activity"},
			{Operation: "Activities"},
			{Route: commitRoute},
			{Route: commitsRoute},
			{Route: compareRoute},
		} {
			once(match, 4, githubtest.Status(http.StatusInternalServerError))
		}
		return "commits: 500"
	default:
		return ""
	}
}

// weekLines returns a week's lines, by user, of the commits that had been pushed by a time.
func (c *randomLinesOrg) weekLines(id int64, week, by time.Time) map[string][2]uint64 {
	sums := make(map[string][2]uint64)
	c.server.Update(func(d *githubtest.Dataset) {
		name := nameOf(d, id)
		for i := range d.Commits {
			x := &d.Commits[i]
			pushed := x.PushedAt
			if pushed.IsZero() {
				pushed = x.CommittedAt
			}
			if x.Repo != name || x.Parents > 1 || x.CommittedAt.Before(week) ||
				!x.CommittedAt.Before(week.AddDate(0, 0, 7)) || pushed.After(by) {
				continue
			}
			had := sums[authorOf(x)]
			sums[authorOf(x)] = [2]uint64{had[0] + uint64(x.Additions), had[1] + uint64(x.Deletions)}
		}
	})
	return sums
}

// requireCorrect requires that the shown lines are between the correct ones at the end of the week and those at their
// confirmation.
func (c *randomLinesOrg) requireCorrect() {
	c.t.Helper()
	view := c.followedView()
	for _, id := range c.ids {
		sample, ok := view.Entry(ledger.WeeklyLinesKey(id))
		if !ok {
			continue
		}
		doc, err := ledger.DecodeWeeklyLines(sample.Data)
		require.NoError(c.t, err)
		sample, _ = view.Entry(ledger.EntryKey{Name: ledger.EntryLinesState, Repo: id})
		state, err := loc.Decode(sample.Data)
		require.NoError(c.t, err)
		c.require(
			state.Week.Equal(doc.Week), "%d: the state is of the week of %s, the lines are of %s", id, state.Week,
			doc.Week,
		)
		end := doc.Week.AddDate(0, 0, 7)
		c.require(!end.After(c.clock.Now()), "%d: the week of %s is not over", id, doc.Week)
		c.requireBetween(id, &doc, state.Incomplete, c.weekLines(id, doc.Week, end), c.weekLines(id, doc.Week,
			state.ConfirmedAt))
	}
}

// requireBetween requires that each user's lines are between two correct ones.
func (c *randomLinesOrg) requireBetween(id int64, doc *ledger.WeeklyLines, incomplete bool, low,
	high map[string][2]uint64,
) {
	c.t.Helper()
	listed := make(map[string]bool)
	for i := range doc.Users {
		u := &doc.Users[i]
		who := u.Actor.Login
		listed[who] = true
		ok := u.Added <= high[who][0] && u.Removed <= high[who][1] &&
			(incomplete || (u.Added >= low[who][0] && u.Removed >= low[who][1]))
		c.require(
			ok, "%d: %s has %d and %d in the week of %s, want %v to %v", id, who, u.Added, u.Removed, doc.Week,
			low[who], high[who],
		)
	}
	for who, lines := range low {
		c.require(
			!doc.Complete || listed[who] || lines == [2]uint64{},
			"%d: %s is said to have nothing in the week of %s, and has %v", id, who, doc.Week, lines,
		)
	}
}
