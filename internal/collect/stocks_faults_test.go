// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// requireRecentStocks requires that what is shown of each repository was so at some time within the grace of a view
// and the time between two passes.
func (b *bench) requireRecentStocks(log []string) {
	b.t.Helper()
	now := b.clock.Now()
	b.server.Update(func(d *githubtest.Dataset) {
		for i := range d.Repos {
			name := d.Repos[i].Name
			got := b.stocks(name)
			werePulls, wereIssues := got.Pulls == nil, got.Issues == nil
			first := now.Add(-35 * time.Minute)
			for at := now; at.After(first) && (!werePulls || !wereIssues); at = at.Add(-time.Second) {
				then := wantStocks(d, name, at)
				werePulls = werePulls || reflect.DeepEqual(then.Pulls, got.Pulls)
				wereIssues = wereIssues || reflect.DeepEqual(then.Issues, got.Issues)
			}
			require.True(b.t, werePulls, "%s: %+v, now %+v: %q", name, got.Pulls, wantStocks(d, name, now).Pulls, log)
			require.True(b.t, wereIssues, "%s: %+v: %q", name, got.Issues, log)
		}
	})
}

// injectStockFault makes some requests or commits of the next pass fail, at random.
func injectStockFault(b *bench, store *failingAfter, rnd *rand.Rand) string {
	if rnd.IntN(3) == 0 {
		commits := rnd.IntN(6)
		store.failAfter(commits)
		return fmt.Sprint("the store takes ", commits)
	}
	matches := []githubtest.Match{
		{Func: isStockRequest},
		{Operation: "PullStates"},
		{Operation: "Activity"},
		{Operation: "Activities"},
		{Route: reviewsRoute},
		{Route: pullsRoute},
		{Route: "/repos/{owner}/{repo}/issues"},
		{},
	}
	fault := githubtest.Fault{Match: matches[rnd.IntN(len(matches))], Skip: rnd.IntN(3), Times: rnd.IntN(3)}
	fault.Effect = githubtest.Status([]int{
		http.StatusBadGateway, http.StatusForbidden, http.StatusNotFound,
	}[rnd.IntN(3)])
	if rnd.IntN(4) == 0 {
		fault.Effect = githubtest.PrimaryLimit(http.StatusForbidden)
	}
	b.server.InjectFault(fault)
	return fmt.Sprintf("%+v", fault.Effect)
}

// TestStocksOfRandomFaults: whatever fails, no stock is shown that is older than the grace, and after the faults every
// stock is what the data say. GX_SEEDS is the number of histories with each API.
func TestStocksOfRandomFaults(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range numSeeds(t, 3) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				b := newStockBench(t, api, newDataset("one", "two", "three"))
				store := &failingAfter{countingStore: b.store, left: -1}
				b.collector.settings.Store = store
				b.collector.settings.BackfillEnabled = seed%2 == 0
				h := &stockHistory{rnd: rand.New(rand.NewPCG(seed, 7)), number: 1}
				var log []string
				for range 40 {
					b.clock.Advance(time.Duration(1+h.rnd.IntN(9)) * time.Minute)
					b.server.Update(func(d *githubtest.Dataset) {
						for left := h.rnd.IntN(5); left > 0; left-- {
							at := b.clock.Now().Add(-time.Duration(left*10+h.rnd.IntN(8)) * time.Second)
							log = append(log, h.step(d, at))
						}
						if h.rnd.IntN(20) == 0 {
							switchFeatures(d.Repo("two"), b.clock.Now())
							log = append(log, "features")
						}
						if h.rnd.IntN(12) == 0 {
							d.Repo("three").TransferredTo = "elsewhere"[len(d.Repo("three").TransferredTo):]
							log = append(log, "three is moved, or back")
						}
					})
					if h.rnd.IntN(6) == 0 {
						b.changeLeader()
						log = append(log, "leader")
					}
					b.server.ClearFaults()
					if h.rnd.IntN(2) == 0 {
						log = append(log, injectStockFault(b, store, h.rnd))
					}
					_, err := b.collector.Pass(t.Context(), 1)
					store.failAfter(-1)
					log = append(log, fmt.Sprintf("pass at %s: %v", b.clock.Now().Format(time.TimeOnly), err))
					b.requireRecentStocks(log)
				}
				b.server.ClearFaults()
				b.server.Update(func(d *githubtest.Dataset) { d.Repo("three").TransferredTo = "" })
				for range 3 {
					b.clock.Advance(3 * time.Hour)
					b.passAndFill(1)
				}
				b.requireStocks(fmt.Sprintf("%q", log))
			})
		}
	})
}
