package github

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPrice: what the documented formula gives for the queries that are sent.
func TestPrice(t *testing.T) {
	t.Parallel()
	alone := func(commits, pulls bool, commitsFirst, pullsFirst int) map[string]any {
		return map[string]any{
			"byId": true, "byName": false, "head": commits, "pinned": false, "pulls": pulls, "commitsFirst": commitsFirst, "pullsFirst": pullsFirst,
		}
	}
	several := func(n int) map[string]any {
		requests := make([]*ReadRequest, n)
		for i := range requests {
			requests[i] = &ReadRequest{Streams: 3}
		}
		return groupVariables(requests)
	}
	for name, test := range map[string]struct {
		doc  document
		v    map[string]any
		want int
	}{
		"100 repositories":                  {discoverQuery, map[string]any{"first": 100}, 2}, // 1 + 101 + 101
		"10 repositories":                   {discoverQuery, map[string]any{"first": 10}, 1},
		"commits and pull requests":         {activityQuery, alone(true, true, 100, 25), 1}, // 1 + 100 + 1 + 25
		"more pull requests":                {activityQuery, alone(false, true, 100, 50), 1},
		"neither":                           {activityQuery, alone(false, false, 100, 50), 1},
		"more commits than GitHub allows":   {activityQuery, alone(true, true, 1000, 100), 11},
		"reviews":                           {reviewsQuery, nil, 1},
		"lines":                             {linesQuery, nil, 1},
		"2 repositories at once":            {activitiesQuery[2], several(2), 1},   // 2 x (1 + 10 + 1 + 10)
		"10 repositories at once":           {activitiesQuery[10], several(10), 2}, // 220
		"10 repositories at once, one each": {activitiesQuery[10], commitsOnly(several(10)), 1},
	} {
		doc := test.doc
		require.Equal(t, test.want, doc.price(test.v), name)
		if name != "more commits than GitHub allows" {
			require.LessOrEqual(t, test.want, dearest[ResourceGraphQL], name)
		}
	}
	for n := 2; n <= maxGroupSize; n++ {
		doc := activitiesQuery[n]
		require.Less(t, doc.price(several(n)), n, "together is cheaper")
	}
}

// commitsOnly asks for the commits of all repositories and for no pull request.
func commitsOnly(v map[string]any) map[string]any {
	for i := range maxGroupSize {
		v["pulls"+string(rune('0'+i))] = false
	}
	return v
}
