// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// TestPrice: what the documented formula gives for the queries that are sent.
func TestPrice(t *testing.T) {
	t.Parallel()
	alone := func(commits, pulls bool, commitsFirst, pullsFirst int) *activityVariables {
		v := &activityVariables{}
		v.ByID, v.Head, v.CommitsFirst, v.Pulls, v.PullsFirst = true, commits, commitsFirst, pulls, pullsFirst
		return v
	}
	several := func(n int) groupVariables {
		requests := make([]*ReadRequest, n)
		for i := range requests {
			requests[i] = &ReadRequest{Streams: 3}
		}
		return newGroupVariables(requests, flow.Rules{})
	}
	withFlow := func(v *activityVariables) *activityVariables {
		v.PullFlow = true
		return v
	}
	severalWithFlow := func(n int) groupVariables {
		requests := make([]*ReadRequest, n)
		for i := range requests {
			requests[i] = &ReadRequest{Streams: activity.EveryStream}
		}
		return newGroupVariables(requests, flow.Rules{})
	}
	price := func(v variables) int {
		encoded, err := json.Marshal(v)
		require.NoError(t, err)
		doc := v.document()
		return doc.price(encoded)
	}
	for name, test := range map[string]struct {
		v    variables
		want int
	}{
		"100 repositories":                  {discoverVariables{First: 100}, 2}, // 1 + 101 + 101
		"10 repositories":                   {discoverVariables{First: 10}, 1},
		"commits and pull requests":         {alone(true, true, 100, 25), 1}, // 1 + 100 + 1 + 25
		"more pull requests":                {alone(false, true, 100, 50), 1},
		"neither":                           {alone(false, false, 100, 50), 1},
		"more commits than GitHub allows":   {alone(true, true, 1000, 100), 11},
		"reviews":                           {reviewsVariables{}, 1},
		"lines":                             {linesVariables{}, 1},
		"stocks of 50 repositories":         {stocksOf(50, false), 1}, // 50 x 2
		"stocks of 50 large repositories":   {stocksOf(50, true), 2},  // 50 x 3
		"states of 50 pull requests":        {pullStatesVariables{IDs: make([]string, 50)}, 1},
		"open pull requests":                {openPullsVariables{}, 1},
		"2 repositories at once":            {several(2), 1},  // 2 x (1 + 10 + 1 + 10)
		"10 repositories at once":           {several(10), 2}, // 220
		"10 repositories at once, one each": {commitsOnly(several(10)), 1},
		"changes":                           {timelineVariables{}, 1},
		// 101 + 1 + 2 x 13, 1 + 2 x 50, and 10 x (11 + 11 + 11)
		"commits and flow":             {withFlow(alone(true, true, 100, flowPullsPageSize)), 1},
		"more pull requests with flow": {withFlow(alone(false, true, 0, 50)), 1},
		"10 repositories with flow":    {severalWithFlow(10), 3},
	} {
		require.Equal(t, test.want, price(test.v), name)
		if name != "more commits than GitHub allows" {
			require.LessOrEqual(t, test.want, budget.MaxGraphQLPrice, name)
		}
	}
	for n := 2; n <= maxGroupSize; n++ {
		require.Less(t, price(severalWithFlow(n)), n, "together is cheaper")
		require.Less(t, price(several(n)), n, "together is cheaper")
	}
}

// stocksOf asks for the stocks of some repositories.
func stocksOf(repositories int, large bool) variables {
	ids := make([]string, repositories)
	return stocksVariables{PullsOf: ids, IssuesOf: ids, Pulls: true, Issues: true, Ended: large}
}

// commitsOnly asks for the commits of all repositories and for no pull request.
func commitsOnly(v groupVariables) groupVariables {
	for i := range v.repositories {
		v.repositories[i].Pulls = false
	}
	return v
}
