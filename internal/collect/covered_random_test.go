// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestRandomActivityIsRecorded: whatever happens, the ledger has every event in a window that the coverage reports as
// read. GX_SEEDS is the number of histories with each API.
func TestRandomActivityIsRecorded(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range numSeeds(t, 8) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				newRandomOrg(t, api, seed).run()
			})
		}
	})
}

// numSeeds returns the number of histories of a random test: GX_SEEDS or, where that is not set, usual, and half of it
// with the race detector, which finds the same in each of them.
func numSeeds(t *testing.T, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv("GX_SEEDS")
	switch {
	case text == "" && raceDetector:
		return usual / 2
	case text == "":
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err)
	return n
}

// randomRepos are the names of the repositories of a randomOrg.
var randomRepos = []string{"a", "b", "c", "d"}

// randomOrg is an organization with random activity, also while it is read. It is read with pauses, faults, limits,
// changes of leader and a store that fails.
type randomOrg struct {
	*bench

	store   *failingAfter
	sources []Source
	log     []string
	// disabled are the streams that the settings disable.
	disabled activity.Streams

	mu  sync.Mutex // guards rnd, which readings use too
	rnd *rand.Rand
}

func newRandomOrg(t *testing.T, api github.API, seed uint64) *randomOrg {
	t.Helper()
	c := &randomOrg{rnd: rand.New(rand.NewPCG(seed, 1))}
	data := newDataset(randomRepos...)
	c.addRandomActivity(data, noon.AddDate(0, 0, -20), noon, 40)
	active, err := NewFilter([]string{"*"}, nil, false, true)
	require.NoError(t, err)
	c.bench = newBench(t, api, data, func(s *Settings) { s.BackfillEnabled, s.Filter = c.rnd.IntN(2) == 0, active })
	c.store = &failingAfter{countingStore: c.bench.store, left: -1}
	for _, token := range []string{"", "another"} {
		source := c.newClient(api)
		if token != "" {
			source = c.newClient(api, token)
		}
		c.sources = append(c.sources, concurrentSource{source, c})
	}
	c.changeLeader(c.sources[0])
	return c
}

// changeLeader replaces the collector by a new one with another source, as a new leader has.
func (c *randomOrg) changeLeader(source Source) {
	settings := c.collector.settings
	settings.Store, settings.Source, settings.DisabledStreams = c.store, source, c.disabled
	c.collector = New(settings, c.tallies)
}

// concurrentSource is a source during whose readings activity is added.
type concurrentSource struct {
	Source

	turmoil *randomOrg
}

func (r concurrentSource) Read(ctx context.Context, req github.ReadRequest,
	emit func([]activity.Event) error,
) github.ReadResult {
	return r.Source.Read(ctx, req, func(events []activity.Event) error {
		if r.turmoil.oneIn(10) {
			from := r.turmoil.clock.Now()
			to := r.turmoil.clock.Advance(time.Second)
			r.turmoil.server.Update(func(d *githubtest.Dataset) { r.turmoil.addRandomActivity(d, from, to, 2) })
		}
		return emit(events)
	})
}

// oneIn returns true once in n times, at random.
func (c *randomOrg) oneIn(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n) == 0
}

// addRandomActivity adds n events, or bursts of them, after from and until to.
func (c *randomOrg) addRandomActivity(d *githubtest.Dataset, from, to time.Time, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds := int(to.Sub(from) / time.Second)
	if seconds <= 0 {
		return
	}
	for range n {
		repo := randomRepos[c.rnd.IntN(len(randomRepos))]
		at := to.Add(-time.Duration(c.rnd.IntN(seconds)) * time.Second)
		times := 1
		if c.rnd.IntN(12) == 0 {
			times = []int{5, 12, 30, 60, 110}[c.rnd.IntN(5)]
		}
		kind := c.rnd.IntN(7)
		if d.Repo(repo).Archived || isSwitchedOff(d.Repo(repo)) && kind != 0 {
			continue
		}
		for range times {
			c.addEvent(d, repo, kind, at)
			if c.rnd.IntN(3) == 0 {
				at = at.Add(time.Duration(c.rnd.IntN(60)) * time.Second)
			}
			if at.After(to) {
				at = to
			}
		}
	}
}

// addEvent adds an event of a kind to a repository.
func (c *randomOrg) addEvent(d *githubtest.Dataset, repo string, kind int, at time.Time) {
	at = at.Truncate(time.Second)
	var pulls []*githubtest.Pull
	for i := range d.Pulls {
		if p := &d.Pulls[i]; p.Repo == repo && !p.CreatedAt.After(at) {
			pulls = append(pulls, p)
		}
	}
	switch kind {
	case 0:
		x := addCommit(d, repo, at)
		for i := range d.Commits { // pushes come in the order of the history
			if had := &d.Commits[i]; had.Repo == repo && had.PushedAt.After(at) {
				at = had.PushedAt
			}
		}
		x.PushedAt, x.CommittedAt = at, at
		if c.rnd.IntN(5) == 0 { // long after it was committed
			x.CommittedAt = at.Add(-time.Duration(c.rnd.IntN(72)) * time.Hour)
		}
	case 1:
		var merged *time.Time
		if c.rnd.IntN(2) == 0 {
			merged = &at
		}
		addPull(d, repo, len(d.Pulls)+1, at, merged)
		d.Pulls[len(d.Pulls)-1].Draft = c.rnd.IntN(3) == 0
	case 2:
		addComment(d, repo, 5000+c.rnd.IntN(10), at)
	case 3:
		if len(pulls) > 0 {
			addReview(d, repo, pulls[c.rnd.IntN(len(pulls))].Number, at)
		}
	case 4:
		if len(pulls) > 0 {
			addComment(d, repo, pulls[c.rnd.IntN(len(pulls))].Number, at)
		}
	case 5:
		c.moveIssue(d, repo, at)
	default:
		if len(pulls) > 0 {
			c.movePull(d, pulls[c.rnd.IntN(len(pulls))], at)
		}
	}
}

// run makes steps and checks the ledger after each; then the faults end, and there must be no gap.
func (c *randomOrg) run() {
	for range 40 {
		c.step()
		c.requireCoveredRecorded()
		if c.oneIn(3) {
			for _, order := range c.fillRequests() {
				if c.oneIn(2) {
					_, err := c.collector.Fill(c.t.Context(), order)
					require.NoError(c.t, err)
				}
			}
			c.log = append(c.log, "workers have read some of what was missing")
			c.requireCoveredRecorded()
		}
	}
	c.server.ClearFaults()
	c.server.Update(func(d *githubtest.Dataset) {
		for _, name := range randomRepos {
			d.Repo(name).TransferredTo, d.Repo(name).Archived = "", false
			if isSwitchedOff(d.Repo(name)) {
				switchFeatures(d.Repo(name), c.clock.Now())
			}
		}
	})
	c.disabled = 0
	c.changeLeader(c.sources[0])
	c.clock.Advance(26 * time.Hour)
	c.passAndFill(3)
	c.requireNoGaps()
	c.requireCoveredRecorded()
}

// step advances the clock, adds activity, and makes a pass that may meet faults.
func (c *randomOrg) step() {
	pause := []time.Duration{
		interval, interval, interval, time.Hour, time.Duration(20+c.rnd.IntN(10)) * time.Hour,
		time.Duration(30+c.rnd.IntN(80)) * time.Hour,
	}[c.rnd.IntN(6)]
	events := c.rnd.IntN(6)
	if pause > time.Hour && c.rnd.IntN(2) == 0 {
		events = c.rnd.IntN(40)
	}
	from := c.clock.Now()
	to := c.clock.Advance(pause)
	c.server.Update(func(d *githubtest.Dataset) { c.addRandomActivity(d, from, to, events) })
	trouble := c.injectFaults()
	result, err := c.collector.Pass(c.t.Context(), 1)
	c.store.failAfter(-1)
	require.GreaterOrEqual(c.t, result.Changed, 0)
	c.log = append(c.log, fmt.Sprintf("%s after %s: %s (%v), %d changed, %d events, %d failures, %d left for later%s",
		to.Format(time.DateTime), pause, result.Status, err, result.Changed, result.Events, len(result.Failures),
		len(result.Deferred),
		trouble))
}

// injectFaults injects faults for a pass, or changes the leader or a repository, at random. It returns a description.
func (c *randomOrg) injectFaults() (what string) {
	c.server.ClearFaults()
	switch c.rnd.IntN(8) {
	case 0:
		commits := c.rnd.IntN(8)
		c.store.failAfter(commits)
		what += fmt.Sprintf("; the store took %d commits", commits)
	case 1:
		f := githubtest.Fault{Match: c.randomMatch(), Skip: c.rnd.IntN(3), Times: c.rnd.IntN(4)}
		f.Effect = githubtest.Status(
			[]int{
				http.StatusBadGateway, http.StatusInternalServerError, http.StatusForbidden,
				http.StatusNotFound,
			}[c.rnd.IntN(4)],
		)
		c.server.InjectFault(f)
		what += fmt.Sprintf(
			"; %d times %d after %d of %s%s %s", f.Times, f.Effect.Status, f.Skip, f.Match.Route, f.Match.Operation,
			f.Match.Repo,
		)
	case 2:
		c.server.InjectFault(
			githubtest.Fault{Effect: githubtest.PrimaryLimit(http.StatusForbidden), Skip: c.rnd.IntN(15), Times: 1},
		)
		what += "; a limit"
	}
	if c.rnd.IntN(10) == 0 {
		c.changeLeader(c.sources[c.rnd.IntN(len(c.sources))])
		what += "; a new leader"
	}
	if c.rnd.IntN(12) == 0 {
		name := randomRepos[c.rnd.IntN(len(randomRepos))]
		c.server.Update(func(d *githubtest.Dataset) {
			if r := d.Repo(name); r.TransferredTo == "" {
				r.TransferredTo = "elsewhere"
			} else {
				r.TransferredTo = ""
			}
		})
		what += "; moved " + name
	}
	if c.rnd.IntN(12) == 0 {
		c.disabled ^= activity.FlowStreams
		c.changeLeader(c.sources[c.rnd.IntN(len(c.sources))])
		what += fmt.Sprintf("; disabled by the settings: %q", c.disabled)
	}
	if c.rnd.IntN(12) == 0 {
		name := randomRepos[c.rnd.IntN(len(randomRepos))]
		c.server.Update(func(d *githubtest.Dataset) { switchFeatures(d.Repo(name), c.clock.Now()) })
		what += "; pull requests and issues off, or on again: " + name
	}
	if c.rnd.IntN(12) == 0 {
		name := randomRepos[c.rnd.IntN(len(randomRepos))]
		c.server.Update(func(d *githubtest.Dataset) { d.Repo(name).Archived = !d.Repo(name).Archived })
		what += "; archived, or no more: " + name
	}
	return what
}

// isSwitchedOff reports whether pull requests and issues of a repository are switched off.
func isSwitchedOff(r *githubtest.Repo) bool {
	n := len(r.PullsOff)
	return n > 0 && r.PullsOff[n-1].End.IsZero()
}

// switchFeatures switches pull requests and issues of a repository off, or on again.
func switchFeatures(r *githubtest.Repo, now time.Time) {
	if n := len(r.PullsOff); isSwitchedOff(r) {
		r.PullsOff[n-1].End = now
	} else {
		r.PullsOff = append(r.PullsOff, githubtest.Period{Start: now})
	}
	r.IssuesOff = slices.Clone(r.PullsOff)
}

// randomMatch matches one kind of request, of one repository or of all.
func (c *randomOrg) randomMatch() githubtest.Match {
	all := []githubtest.Match{
		{Route: commentsRoute},
		{Route: compareRoute},
		{Route: commitsRoute},
		{Route: pullsRoute},
		{Route: reviewsRoute},
		{Operation: "Activity"},
		{Operation: "Activities"},
		{Operation: "Reviews"},
		{Route: "/repos/{owner}/{repo}/issues"},
		{Route: issueEventsRoute},
		{Route: "/repos/{owner}/{repo}/pulls/{pull_number}"},
	}
	match := all[c.rnd.IntN(len(all))]
	if n := c.rnd.IntN(len(randomRepos) + 1); n > 0 && match.Route != "" {
		match.Repo = randomRepos[n-1]
	}
	return match
}

// dataEvent is an event of the data, which a correct ledger has when its window was read.
type dataEvent struct {
	event activity.Event
	// pushed is when a commit could be seen.
	pushed time.Time
}

// dataEvents returns all events of the data.
func (c *randomOrg) dataEvents() (list []dataEvent) {
	c.server.Update(func(d *githubtest.Dataset) {
		add := func(repo string, kind activity.Kind, id activity.ID, at, pushed time.Time) {
			list = append(list, dataEvent{activity.Event{Kind: kind, Repo: d.Repo(repo).ID, ID: id, Time: at}, pushed})
		}
		for i := range d.Commits {
			x := &d.Commits[i]
			id, err := activity.CommitID(x.SHA)
			require.NoError(c.t, err)
			add(x.Repo, activity.KindCommit, id, x.CommittedAt, x.PushedAt)
		}
		for i := range d.Pulls {
			p := &d.Pulls[i]
			id := activity.NumberID(int64(p.Number))
			add(p.Repo, activity.KindPullRequestOpened, id, p.CreatedAt, p.CreatedAt)
			if p.MergedAt != nil {
				add(p.Repo, activity.KindPullRequestMerged, id, *p.MergedAt, *p.MergedAt)
			}
		}
		for i := range d.Reviews {
			r := &d.Reviews[i]
			add(r.Repo, activity.KindReviewSubmitted, activity.NumberID(r.ID), *r.SubmittedAt, *r.SubmittedAt)
		}
		list = append(list, flowEvents(c.t, d, c.clock.Now())...)
		for i := range d.Comments {
			x := &d.Comments[i]
			add(x.Repo, activity.KindIssueComment, activity.NumberID(x.ID), x.CreatedAt, x.CreatedAt)
		}
	})
	return list
}

// requireCoveredRecorded requires that the ledger has each event that the coverage reports as read.
func (c *randomOrg) requireCoveredRecorded() {
	c.t.Helper()
	cov, has := c.coverage(), c.recordedEvents()
	for _, h := range c.dataEvents() {
		r := cov.Repos[h.event.Repo]
		recorded, isRecorded := has[h.event.Key()]
		isSame := !h.event.Kind.IsOfRepository() || recorded.Measures == h.event.Measures
		if r == nil || r.IsGone() || !isCovered(&cov, r, &h) || isRecorded && isSame {
			continue
		}
		for _, line := range c.log {
			c.t.Log(line)
		}
		require.Fail(c.t, "claimed and not recorded, or otherwise", "%s: %s %+v, pushed at %s, not %+v; %+v", r.Name,
			h.event.Kind, h.event, h.pushed, recorded, r)
	}
}

// isCovered reports whether the coverage says that an event was read. A commit that was pushed long after its date may
// be unread until the next walk from head to head.
func isCovered(cov *ledger.Coverage, r *ledger.RepoCoverage, h *dataEvent) bool {
	s, at := h.event.Kind.Stream(), h.event.Time
	if at.Before(r.Since) || !at.Before(cov.PassEdge(r)) {
		return false
	}
	if r.Signals.Disabled.Has(s) && !at.Before(r.Signals.DisabledSince) {
		return false
	}
	if s == activity.StreamCommits && (!h.pushed.Before(cov.RepoEdge(r, s)) ||
		(h.pushed.After(at) && h.pushed.After(r.Signals.HeadReadAt))) {
		return false
	}
	for _, w := range r.Missing[s] {
		if !at.Before(w.Start) && at.Before(w.End) {
			return false
		}
	}
	return true
}

// recordedEvents returns the events that the ledger has.
func (c *randomOrg) recordedEvents() map[activity.Key]activity.Event {
	found := make(map[activity.Key]activity.Event)
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	err := c.bench.store.Follow(ctx, org, func(change ledger.Change) error {
		for i := range change.Events {
			found[change.Events[i].Key()] = change.Events[i]
		}
		if change.CaughtUp {
			cancel()
		}
		return nil
	})
	require.ErrorIs(c.t, err, context.Canceled)
	return found
}
