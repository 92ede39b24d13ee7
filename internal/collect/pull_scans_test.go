// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/local"
)

// largeRepo returns a repository with a longer past than a minute's share of a limit can read: with REST each of its
// pull requests and commits is a request.
func largeRepo(pulls, commits int) *githubtest.Dataset {
	data := newDataset("one")
	for i := range pulls {
		at := noon.Add(-time.Duration(30+i/2) * time.Hour)
		addPull(data, "one", i+1, at, &at)
		addReview(data, "one", i+1, at.Add(time.Minute))
	}
	for i := range commits {
		addCommit(data, "one", noon.Add(-time.Duration(30+i/3)*time.Hour))
	}
	addComment(data, "one", 1, noon.AddDate(0, 0, -3))
	return data
}

// scopesOf returns what is to be read of gaps: streams of a repository with the same gap together, as in jobs.
func scopesOf(gaps []ledger.Gap) []activity.Scope {
	var scopes []activity.Scope
	for _, gap := range gaps {
		i := slices.IndexFunc(scopes, func(s activity.Scope) bool {
			return s.RepoID == gap.Repo && s.Window == gap.Window
		})
		if i < 0 {
			i, scopes = len(scopes), append(scopes, activity.Scope{RepoID: gap.Repo, Window: gap.Window})
		}
		scopes[i].Streams = scopes[i].Streams.With(gap.Stream)
	}
	return scopes
}

// fillInBackground reads the gaps once a minute, as far as the limits allow, until there are none; between is called
// after each reading. It returns the number of readings.
func (b *bench) fillInBackground(between func(n int)) int {
	b.t.Helper()
	ctx := b.t.Context()
	for n := 1; n < 100; n++ {
		b.clock.Advance(time.Minute)
		between(n)
		cov := b.coverage()
		for _, scope := range scopesOf(cov.Gaps()) {
			_, err := b.collector.Fill(ctx, FillRequest{Scope: scope, Priority: budget.Background})
			require.NoError(b.t, err)
		}
		if cov = b.coverage(); len(cov.Gaps()) == 0 {
			return n
		}
	}
	b.t.Fatal("something is missing for ever")
	return 0
}

// TestLongPastIsReadInParts: a past that needs more requests than a limit allows at once is read in parts, each event
// once, also when what was read is updated meanwhile.
func TestLongPastIsReadInParts(t *testing.T) {
	t.Parallel()
	const pulls, commits = 140, 150
	for _, touched := range []int{0, 2, 120} { // at once, the last of them more than there may be read in a minute
		eachAPI(t, func(t *testing.T, api github.API) {
			data := largeRepo(pulls, commits)
			b := newBench(t, api, data, enableBackfill)
			b.pass()
			b.server.ResetRequests()
			b.server.SetUsed("default", githubtest.ResourceCore, 560) // a tenth at once, and then one a second
			extra := 0
			readings := b.fillInBackground(func(n int) {
				if touched > 2 && n != 3 || n > 4 {
					return
				}
				b.server.Update(func(d *githubtest.Dataset) { // some that may have been read, and some that have not
					for i := range touched / 2 {
						for _, number := range []int{n + i, pulls - n - i} {
							addReview(d, "one", number, b.clock.Now().Add(-time.Duration(i)*time.Second))
							extra++
						}
					}
					*data = *d.Clone()
				})
			})
			t.Logf("%d readings", readings)
			if api == github.APIREST {
				require.Greater(t, readings, 3, "more than there may be at once")
				require.LessOrEqual(
					t, b.server.CountRequests(isRoute(reviewsRoute)), pulls+2*extra+3*readings+1,
					"but for those of one second, and the one whose flow the limit had left out",
				)
				require.LessOrEqual(t, b.server.CountRequests(isRoute(commitRoute)), commits+4*readings)
			}
			b.clock.Advance(2 * time.Hour)
			b.pass()
			requireExpectedMetrics(t, b, data)
		})
	}
}

// TestScanIsIgnoredAfterTheStoreWasReset: how far a reading got is ignored when the store has lost what it read,
// whatever this replica has cached.
func TestScanIsIgnoredAfterTheStoreWasReset(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, largeRepo(30, 0), enableBackfill)
	b.pass()
	before := local.NewState()
	caught := errors.New("caught up")
	require.ErrorIs(t, b.store.Follow(t.Context(), org, func(c ledger.Change) error {
		before.Apply(&c)
		if c.CaughtUp {
			return caught
		}
		return nil
	}), caught)
	order := FillRequest{
		Scope: activity.Scope{
			Repo: "one", Streams: activity.StreamsOf(activity.StreamPulls),
			Window: activity.Window{Start: noon.AddDate(0, 0, -10), End: noon.AddDate(0, 0, -1)},
		},
	}
	fill := func(failures int) {
		t.Helper()
		b.server.ResetRequests()
		done, err := b.collector.Fill(t.Context(), order)
		require.NoError(t, err)
		require.Len(t, done.Failures, failures)
	}
	b.server.InjectFault(
		githubtest.Fault{Match: githubtest.Match{Route: reviewsRoute}, Skip: 20, Effect: githubtest.Status(503)},
	)
	fill(1)
	b.server.ClearFaults()
	b.store.ReplaceState(org, before)
	fill(0)
	require.Equal(t, 30, b.server.CountRequests(isRoute(reviewsRoute)))
}

// TestScansOfSeveralReadings: each of several readings that fail advances the scan, also those that do not get past the
// new rows at the top.
func TestScansOfSeveralReadings(t *testing.T) {
	t.Parallel()
	const pulls, touched, atOnce = 140, 100, 40
	data := largeRepo(pulls, 0)
	b := newBench(t, github.APIREST, data, enableBackfill)
	b.pass()
	b.server.ResetRequests()
	order := FillRequest{
		Scope: activity.Scope{
			Repo: "one", Streams: activity.StreamsOf(activity.StreamPulls),
			Window: activity.Window{Start: noon.AddDate(0, 0, -13), End: noon.AddDate(0, 0, -1)},
		},
	}
	readings := 0
	for failed := true; failed && readings < 20; readings++ {
		if readings == 1 {
			b.clock.Advance(time.Hour)
			b.server.Update(func(d *githubtest.Dataset) {
				for i := range touched {
					addReview(d, "one", 1+(i*17)%pulls, b.clock.Now().Add(-time.Duration(40+i)*time.Second))
				}
				*data = *d.Clone()
			})
		}
		b.server.ClearFaults()
		b.server.InjectFault(
			githubtest.Fault{
				Match: githubtest.Match{Route: reviewsRoute}, Skip: atOnce, Effect: githubtest.Status(503),
			},
		)
		done, err := b.collector.Fill(t.Context(), order)
		require.NoError(t, err)
		failed = len(done.Failures) > 0
	}
	b.server.ClearFaults()
	require.LessOrEqual(t, readings, 1+(pulls+touched)/(atOnce-3))
	require.LessOrEqual(
		t, b.server.CountRequests(isRoute(reviewsRoute)), pulls+touched+5*readings,
		"but for what failed, and those of one second",
	)
	b.fillGaps()
	b.pass()
	requireExpectedMetrics(t, b, data)
}

func TestScansEncodeAndDecode(t *testing.T) {
	t.Parallel()
	for _, scans := range []github.PullScans{
		nil,
		{{Start: noon, End: noon.Add(time.Hour)}},
		{{Start: noon, End: noon}, {Start: noon, End: noon}},
	} {
		require.Equal(t, scans, decodeScans(encodeScans(scans)))
	}
	for _, data := range [][]byte{{1}, {1, 2, 3}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 1}} {
		require.Empty(t, decodeScans(data))
	}
}
