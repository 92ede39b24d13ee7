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

// TestRandomClaims: whatever happens, what the coverage says was read is in the ledger. GX_SEEDS is how many histories
// there are with each API.
func TestRandomClaims(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range seeds(t, 8) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				newTurmoil(t, api, seed).run()
			})
		}
	})
}

// seeds is how many histories a random test has, or what GX_SEEDS says.
func seeds(t *testing.T, usual uint64) uint64 {
	t.Helper()
	text := os.Getenv("GX_SEEDS")
	if text == "" {
		return usual
	}
	n, err := strconv.ParseUint(text, 10, 32)
	require.NoError(t, err)
	return n
}

var turmoilNames = []string{"a", "b", "c", "d"}

// turmoil is an organization in which things happen at random, also while it is read, and that is read with pauses,
// faults, limits, other leaders and a store that fails.
type turmoil struct {
	*bench

	store   *breaking
	sources []Source
	log     []string

	mu  sync.Mutex // of what happens while something is read
	rnd *rand.Rand
}

func newTurmoil(t *testing.T, api github.API, seed uint64) *turmoil {
	t.Helper()
	c := &turmoil{rnd: rand.New(rand.NewPCG(seed, 1))}
	data := dataset(turmoilNames...)
	c.happens(data, noon.AddDate(0, 0, -20), noon, 40)
	active, err := NewFilter([]string{"*"}, nil, false, true)
	require.NoError(t, err)
	c.bench = newBench(t, api, data, func(s *Settings) { s.BackfillEnabled, s.Filter = c.rnd.IntN(2) == 0, active })
	c.store = &breaking{recorded: c.bench.store, left: -1}
	for _, token := range []string{"", "another"} {
		source := c.client(api)
		if token != "" {
			source = c.client(api, token)
		}
		c.sources = append(c.sources, restless{source, c})
	}
	c.lead(c.sources[0])
	return c
}

// lead lets a new leader begin.
func (c *turmoil) lead(source Source) {
	settings := c.collector.settings
	settings.Store, settings.Source = c.store, source
	c.collector = New(settings, c.tallies)
}

// restless is a source that something happens to while it is read.
type restless struct {
	Source

	turmoil *turmoil
}

func (r restless) Read(ctx context.Context, req github.ReadRequest,
	emit func([]activity.Event) error,
) github.ReadResult {
	return r.Source.Read(ctx, req, func(events []activity.Event) error {
		if r.turmoil.one(10) {
			from := r.turmoil.clock.Now()
			to := r.turmoil.clock.Advance(time.Second)
			r.turmoil.server.Update(func(d *githubtest.Dataset) { r.turmoil.happens(d, from, to, 2) })
		}
		return emit(events)
	})
}

// one is true once in n times.
func (c *turmoil) one(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rnd.IntN(n) == 0
}

// happens lets n things, or bursts of them, happen after from and until to.
func (c *turmoil) happens(d *githubtest.Dataset, from, to time.Time, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	seconds := int(to.Sub(from) / time.Second)
	if seconds <= 0 {
		return
	}
	for range n {
		repo := turmoilNames[c.rnd.IntN(len(turmoilNames))]
		at := to.Add(-time.Duration(c.rnd.IntN(seconds)) * time.Second)
		times := 1
		if c.rnd.IntN(12) == 0 {
			times = []int{5, 12, 30, 60, 110}[c.rnd.IntN(5)]
		}
		kind := c.rnd.IntN(5)
		if d.Repo(repo).Archived {
			continue
		}
		for range times {
			c.happensTo(d, repo, kind, at)
			if c.rnd.IntN(3) == 0 {
				at = at.Add(time.Duration(c.rnd.IntN(60)) * time.Second)
			}
			if at.After(to) {
				at = to
			}
		}
	}
}

func (c *turmoil) happensTo(d *githubtest.Dataset, repo string, kind int, at time.Time) {
	var pulls []*githubtest.Pull
	for i := range d.Pulls {
		if p := &d.Pulls[i]; p.Repo == repo && !p.CreatedAt.After(at) {
			pulls = append(pulls, p)
		}
	}
	switch kind {
	case 0:
		x := commit(d, repo, at)
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
		pull(d, repo, len(d.Pulls)+1, at, merged)
	case 2:
		comment(d, repo, 5000+c.rnd.IntN(10), at)
	case 3:
		if len(pulls) > 0 {
			review(d, repo, pulls[c.rnd.IntN(len(pulls))].Number, at)
		}
	default:
		if len(pulls) > 0 {
			comment(d, repo, pulls[c.rnd.IntN(len(pulls))].Number, at)
		}
	}
}

func (c *turmoil) run() {
	for range 40 {
		c.step()
		c.requireClaims()
		if c.one(3) {
			for _, order := range c.orders() {
				if c.one(2) {
					_, err := c.collector.Fill(c.t.Context(), order)
					require.NoError(c.t, err)
				}
			}
			c.log = append(c.log, "workers have read some of what was missing")
			c.requireClaims()
		}
	}
	c.server.ClearFaults()
	c.server.Update(func(d *githubtest.Dataset) {
		for _, name := range turmoilNames {
			d.Repo(name).TransferredTo, d.Repo(name).Archived = "", false
		}
	})
	c.clock.Advance(26 * time.Hour)
	c.later(3)
	c.requireNoGaps()
	c.requireClaims()
}

// step lets time pass and something happen, and makes a pass that may be in trouble.
func (c *turmoil) step() {
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
	c.server.Update(func(d *githubtest.Dataset) { c.happens(d, from, to, events) })
	trouble := c.trouble()
	sum, err := c.collector.Pass(c.t.Context(), 1)
	c.store.set(-1)
	require.GreaterOrEqual(c.t, sum.Changed, 0)
	c.log = append(c.log, fmt.Sprintf("%s after %s: %s (%v), %d changed, %d events, %d failures, %d left for later%s",
		to.Format(time.DateTime), pause, sum.Status, err, sum.Changed, sum.Events, len(sum.Failures), len(sum.Deferred),
		trouble))
}

// trouble arms faults and the like for a pass.
func (c *turmoil) trouble() (what string) {
	c.server.ClearFaults()
	switch c.rnd.IntN(8) {
	case 0:
		commits := c.rnd.IntN(8)
		c.store.set(commits)
		what += fmt.Sprintf("; the store took %d commits", commits)
	case 1:
		f := githubtest.Fault{Match: c.match(), Skip: c.rnd.IntN(3), Times: c.rnd.IntN(4)}
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
		c.lead(c.sources[c.rnd.IntN(len(c.sources))])
		what += "; a new leader"
	}
	if c.rnd.IntN(12) == 0 {
		name := turmoilNames[c.rnd.IntN(len(turmoilNames))]
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
		name := turmoilNames[c.rnd.IntN(len(turmoilNames))]
		c.server.Update(func(d *githubtest.Dataset) { d.Repo(name).Archived = !d.Repo(name).Archived })
		what += "; archived, or no more: " + name
	}
	return what
}

// match is one of the questions, of one repository or of all.
func (c *turmoil) match() githubtest.Match {
	all := []githubtest.Match{
		{Route: commentsRoute},
		{Route: compareRoute},
		{Route: commitsRoute},
		{Route: pullsRoute},
		{Route: reviewsRoute},
		{Operation: "Activity"},
		{Operation: "Activities"},
		{Operation: "Reviews"},
	}
	match := all[c.rnd.IntN(len(all))]
	if n := c.rnd.IntN(len(turmoilNames) + 1); n > 0 && match.Route != "" {
		match.Repo = turmoilNames[n-1]
	}
	return match
}

// happened is an event that a correct ledger has when its window was read.
type happened struct {
	event activity.Event
	// pushed is when a commit could be seen.
	pushed time.Time
}

func (c *turmoil) everything() (list []happened) {
	c.server.Update(func(d *githubtest.Dataset) {
		add := func(repo string, kind activity.Kind, id activity.ID, at, pushed time.Time) {
			list = append(list, happened{activity.Event{Kind: kind, Repo: d.Repo(repo).ID, ID: id, Time: at}, pushed})
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
		for i := range d.Comments {
			x := &d.Comments[i]
			add(x.Repo, activity.KindIssueComment, activity.NumberID(x.ID), x.CreatedAt, x.CreatedAt)
		}
	})
	return list
}

// requireClaims compares what the coverage says with what the ledger has.
func (c *turmoil) requireClaims() {
	c.t.Helper()
	cov, has := c.coverage(), c.recordedKeys()
	for _, h := range c.everything() {
		r := cov.Repos[h.event.Repo]
		if r == nil || r.IsGone() || !claimed(&cov, r, &h) || has[h.event.Key()] {
			continue
		}
		for _, line := range c.log {
			c.t.Log(line)
		}
		require.Fail(c.t, "claimed and not recorded", "%s: %+v, pushed at %s; %+v", r.Name, h.event, h.pushed, r)
	}
}

// claimed reports whether the coverage says that something is known. A commit that was pushed long after its date may
// be hidden until the next walk from head to head.
func claimed(cov *ledger.Coverage, r *ledger.RepoCoverage, h *happened) bool {
	s, at := h.event.Kind.Stream(), h.event.Time
	if at.Before(r.Since) || !at.Before(cov.PassEdge(r)) {
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

func (c *turmoil) recordedKeys() map[activity.Key]bool {
	found := make(map[activity.Key]bool)
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	err := c.bench.store.Follow(ctx, org, func(change ledger.Change) error {
		for i := range change.Events {
			found[change.Events[i].Key()] = true
		}
		if change.CaughtUp {
			cancel()
		}
		return nil
	})
	require.ErrorIs(c.t, err, context.Canceled)
	return found
}
