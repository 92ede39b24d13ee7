// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestDayAtScale simulates some passes (with `make simulate`, those of a day) over large organizations with a GitHub
// that enforces every documented limit: no limit is met, the budgets are used sparingly, and everything is recorded.
func TestDayAtScale(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		api                         github.API
		orgs, repositories, changed int
		passes                      int     // without GX_SIMULATE=day
		share                       float64 // of each budget that may be used in an hour
	}{
		"10 x 1,000 repositories, 3 % changing":            {github.APIGraphQL, 10, 1000, 30, 3, 0.4},
		"10 x 1,000 repositories, 3 % changing, with REST": {github.APIREST, 10, 1000, 30, 3, 0.4},
		// Two lists of each repository are requested at least once, which is more than an App may request in an hour.
		"1 x 10,000 repositories, 1 % changing": {github.APIGraphQL, 1, 10_000, 100, 1, 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			intervals := test.passes
			if os.Getenv("GX_SIMULATE") == "day" {
				intervals = int(24 * time.Hour / interval)
			}
			var orgs []*simulatedOrg
			var data []*githubtest.Dataset
			for n := range test.orgs {
				d := newBusyOrg(fmt.Sprintf("org-%d", n), test.repositories, test.changed, intervals, uint64(n))
				data, orgs = append(data, d), append(orgs, simulate(t, test.api, d, newClock(noon)))
			}
			for n := range intervals + 2 {
				for _, org := range orgs { // each in a time of its own: they do not wait for each other
					org.clock.set(noon.Add(time.Duration(n) * interval))
					org.passAndFill()
				}
			}
			for n, org := range orgs {
				org.requireSparing(test.share)
				require.LessOrEqual(
					t, org.tokens, 3*(1+intervals*int(interval/time.Minute)/58), "one for each replica and lifetime",
				)
				requireExpectedMetrics(t, &org.bench, data[n])
			}
			t.Logf("%d passes; of %d an hour at most %d REST and %d GraphQL; %d requests a pass",
				intervals+2, orgs[0].limit, orgs[0].most[budget.ResourceREST], orgs[0].most[budget.ResourceGraphQL],
				orgs[0].requests/(intervals+2))
		})
	}
}
