// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc/rounds"
)

// takeName renames a repository to "older" and creates another one under its name, in which eve has pushed an old
// history and commented.
func takeName(d *githubtest.Dataset, name string, now time.Time) {
	id := d.Repo(name).ID
	d.Rename(name, "older")
	d.Repo("older").RenamedFrom = nil // no redirect: the name is in use
	d.Repos = append(d.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: now, ID: id + 1})
	c := addCommit(d, name, now.Add(-time.Hour))
	c.Login, c.PushedAt, c.Additions = new("eve"), now, 777
	addComment(d, name, 1, now.Add(-time.Second))
	d.Comments[len(d.Comments)-1].Login = new("eve")
}

// requireNoEventOfEve requires that eve has no event in the repository that was renamed.
func requireNoEventOfEve(b *bench) {
	b.t.Helper()
	for series, v := range b.metrics() {
		require.False(b.t, series.Repo == "older" && series.User == "eve", "%v", v.Of)
	}
}

// isListing reports whether a request is one of discovery.
func isListing(r githubtest.RequestInfo) bool {
	return r.Operation == "Discover" || r.Route == reposRoute
}

// TestNameTakenInAPass: a reading after discovery is of the repository that was discovered, also when another one has
// its name now.
func TestNameTakenInAPass(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.AddDate(0, 0, -3))
		addComment(data, "one", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			at := b.clock.Now().Add(-time.Second)
			addComment(d, "one", 1, at)
			addCommit(d, "one", at)
		})
		var once sync.Once
		b.server.OnRequest(func(r githubtest.RequestInfo) {
			if !isListing(r) {
				once.Do(func() { b.server.Update(func(d *githubtest.Dataset) { takeName(d, "one", b.clock.Now()) }) })
			}
		})
		b.pass()
		b.clock.Advance(interval)
		b.pass()
		requireNoEventOfEve(b)
		require.Equal(t, uint64(2), b.metrics().total("older", activity.KindIssueComment))
	})
}

// TestNameTakenBeforeAFill: a fill that has a repository's former name reads that repository, or nothing.
func TestNameTakenBeforeAFill(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.AddDate(0, 0, -3))
		addComment(data, "one", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			addComment(d, "one", 1, b.clock.Now())
			addCommit(d, "one", b.clock.Now())
		})
		b.clock.Advance(interval)
		b.server.InjectFault(
			githubtest.Fault{
				Match: githubtest.Match{Repo: "one"}, Effect: githubtest.Status(http.StatusInternalServerError),
			},
		)
		b.pass()
		b.server.ClearFaults()
		b.server.Update(func(d *githubtest.Dataset) { takeName(d, "one", b.clock.Now()) })
		worker := New(b.collector.settings, b.tallies) // it has made no pass and knows no global ids
		for _, order := range b.fillRequests() {
			_, err := worker.Fill(t.Context(), order)
			require.NoError(t, err)
		}
		requireNoEventOfEve(b)
		b.passAndFill(3)
		requireNoEventOfEve(b)
		b.requireNoGaps()
		require.Equal(t, uint64(2), b.metrics().total("older", activity.KindIssueComment))
	})
}

// TestNameTakenInARound: a round over the weekly lines reads the repository that it began with, also when another one
// takes its name during the round.
func TestNameTakenInARound(t *testing.T) {
	t.Parallel()
	for name, zeros := range map[string]bool{"statistics": false, "fallback": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				data := newDataset("one")
				addCommit(data, "one", sunday.AddDate(0, 0, -8))
				addCommit(data, "one", sunday.Add(-time.Hour)).Login = new("bob")
				b := newLinesBench(t, api, data, func(s *rounds.Settings) { s.Rules.ZeroAnswers = 1 })
				b.pass()
				b.server.Update(func(d *githubtest.Dataset) { takeName(d, "one", sunday.Add(-time.Minute)) })
				if zeros {
					b.zeroStatistics()
				}
				for range 2 {
					_, err := b.lines.Run(t.Context())
					require.NoError(t, err)
					b.clock.Advance(time.Minute)
				}
				b.pass()
				require.NotContains(t, b.weekly("older"), "eve")
			})
		})
	}
}

// seriesCounts counts how often each series is emitted.
type seriesCounts map[ledgerview.Series]int

func (s seriesCounts) Emit(series ledgerview.Series, _ *ledgerview.Values) { s[series]++ }
func (s seriesCounts) MarkStale(ledgerview.Series, ledgerview.Mask)        {}

// TestNameTakenBetweenPages: of two repositories that are listed with one name, one is emitted.
func TestNameTakenBetweenPages(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		names := make([]string, 150)
		for i := range names {
			names[i] = fmt.Sprintf("repo-%03d", i)
		}
		data := newDataset(names...)
		for i := range data.Repos {
			data.Repos[i].CreatedAt = noon.AddDate(-1, 0, 0).Add(time.Duration(i) * time.Hour)
		}
		addCommit(data, "repo-000", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		var mu sync.Mutex
		pages := 0
		b.server.OnRequest(func(r githubtest.RequestInfo) {
			mu.Lock()
			defer mu.Unlock()
			if !isListing(r) {
				return
			}
			if pages++; pages == 2 {
				b.server.Update(func(d *githubtest.Dataset) { takeName(d, "repo-000", noon.Add(-time.Minute)) })
			}
		})
		b.clock.Advance(interval)
		b.pass()
		view := ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: 15 * time.Minute})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		require.ErrorIs(t, b.store.Follow(ctx, org, func(c ledger.Change) error {
			view.Apply(c)
			if c.CaughtUp {
				cancel()
			}
			return nil
		}), context.Canceled)
		times := seriesCounts{}
		view.Visit(b.clock.Now(), times)
		require.NotEmpty(t, times)
		for series, n := range times {
			require.Equal(t, 1, n, "%v", series)
		}
		b.clock.Advance(interval)
		b.pass()
		require.Positive(t, b.metrics().total("older", activity.KindCommit))
	})
}
