// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// requireRecentStocks requires that what is shown of each repository was so at some time within the grace of a view
// and the time between two passes.
func (b *bench) requireRecentStocks(context string) {
	b.t.Helper()
	now := b.clock.Now()
	b.server.Update(func(d *githubtest.Dataset) {
		for i := range d.Repos {
			name := d.Repos[i].Name
			got := b.stocks(name)
			isRecent := func(part func(at time.Time) any, shown any) bool {
				for at := now; at.After(now.Add(-35 * time.Minute)); at = at.Add(-time.Second) {
					if reflect.DeepEqual(part(at), shown) {
						return true
					}
				}
				return false
			}
			if got.Pulls != nil && !isRecent(func(at time.Time) any { return wantStocks(d, name, at).Pulls }, got.Pulls) {
				require.Fail(b.t, "pull requests", "%s: %+v: %s", name, *got.Pulls, context)
			}
			if got.Issues != nil &&
				!isRecent(func(at time.Time) any { return wantStocks(d, name, at).Issues }, got.Issues) {
				require.Fail(b.t, "issues", "%s: %+v: %s", name, *got.Issues, context)
			}
		}
	})
}

// injectStockFault makes some requests or commits of the next pass fail, at random.
func injectStockFault(b *bench, store *failingAfter, rnd *rand.Rand) string {
	if rnd.IntN(3) == 0 {
		commits := rnd.IntN(6)
		store.failAfter(commits)
		return fmt.Sprint("; the store takes ", commits)
	}
	matches := []githubtest.Match{
		{Func: isStockRequest}, {Operation: "PullStates"}, {Operation: "Activity"}, {Operation: "Activities"},
		{Route: reviewsRoute}, {Route: pullsRoute}, {Route: "/repos/{owner}/{repo}/issues"}, {},
	}
	fault := githubtest.Fault{Match: matches[rnd.IntN(len(matches))], Skip: rnd.IntN(3), Times: rnd.IntN(3)}
	fault.Effect = githubtest.Status([]int{
		http.StatusBadGateway, http.StatusForbidden, http.StatusNotFound,
	}[rnd.IntN(3)])
	if rnd.IntN(4) == 0 {
		fault.Effect = githubtest.PrimaryLimit(http.StatusForbidden)
	}
	b.server.InjectFault(fault)
	return fmt.Sprintf("; %+v", fault.Effect)
}

// TestStocksOfRandomFaults: whatever fails, no stock is shown that is older than the grace, and after the faults every
// stock is what the data say. GX_SEEDS is the number of histories with each API.
func TestStocksOfRandomFaults(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range numSeeds(t, 3) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				b := newStockBench(t, api, newDataset("one", "two", "three"))
				store := &failingAfter{countingStore: b.store, left: -1}
				b.collector.settings.Store = store
				b.collector.settings.BackfillEnabled = seed%2 == 0
				h := &stockHistory{rnd: rand.New(rand.NewPCG(seed, 7)), number: 1}
				var log string
				for range 40 {
					b.clock.Advance(time.Duration(1+h.rnd.IntN(9)) * time.Minute)
					b.server.Update(func(d *githubtest.Dataset) {
						for range h.rnd.IntN(5) {
							log += "\n" + h.step(d, b.clock.Now().Add(-time.Duration(h.rnd.IntN(50))*time.Second))
						}
						if h.rnd.IntN(20) == 0 {
							switchFeatures(d.Repo("two"), b.clock.Now())
							log += "\nfeatures"
						}
					})
					if h.rnd.IntN(6) == 0 {
						b.changeLeader()
						log += "\nleader"
					}
					b.server.ClearFaults()
					if h.rnd.IntN(2) == 0 {
						log += injectStockFault(b, store, h.rnd)
					}
					_, err := b.collector.Pass(t.Context(), 1)
					store.failAfter(-1)
					log += fmt.Sprintf("\npass at %s: %v", b.clock.Now().Format(time.TimeOnly), err)
					b.requireRecentStocks(log)
				}
				b.server.ClearFaults()
				for range 3 {
					b.clock.Advance(3 * time.Hour)
					b.passAndFill(1)
				}
				b.requireStocks(log)
			})
		}
	})
}
