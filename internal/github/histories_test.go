// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// history is one at random, with merges, side branches, force pushes and dates that say nothing. It gives the heads
// that the default branch has had, and the parents of each commit.
func history(d *githubtest.Dataset, rnd *rand.Rand) (heads []string, parents map[string][]string) {
	parents = make(map[string][]string)
	var all []string
	for i := range 3 + rnd.IntN(150) {
		c := commit(d, "one", ago(time.Duration(1000-rnd.IntN(900))*time.Minute))
		c.PushedAt = ago(time.Duration(2000-i) * time.Minute)
		var list []string
		onMain := len(heads) == 0 || rnd.IntN(3) > 0
		switch {
		case len(all) == 0:
		case !onMain:
			list = append(list, all[rnd.IntN(len(all))])
		case rnd.IntN(12) == 0: // a force push
			list = append(list, heads[rnd.IntN(len(heads))])
		default:
			list = append(list, heads[len(heads)-1])
		}
		for len(all) > 2 && rnd.IntN(3) == 0 && len(list) < 5 {
			if p := all[rnd.IntN(len(all))]; !slices.Contains(list, p) {
				list = append(list, p)
			}
		}
		c.ParentSHAs, c.Parents = list, len(list)
		if onMain {
			heads = append(heads, c.SHA)
		} else {
			c.Branch = "side"
		}
		parents[c.SHA] = list
		all = append(all, c.SHA)
	}
	return heads, parents
}

// reachable are a commit and its ancestors.
func reachable(from string, parents map[string][]string) map[string]bool {
	seen := make(map[string]bool)
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		if !seen[todo[0]] {
			seen[todo[0]] = true
			todo = append(todo, parents[todo[0]]...)
		}
	}
	return seen
}

// TestRandomHistories: whatever a history looks like, the new head is found and everything that it reaches and the old
// one does not.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range uint64(100) {
			t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
				t.Parallel()
				rnd := rand.New(rand.NewPCG(seed, 7))
				data := dataset("one")
				heads, parents := history(data, rnd)
				head, seen := heads[len(heads)-1], heads[rnd.IntN(len(heads))]
				b := newBench(t, api, data)
				request := since(b.repo("one"), ago(3000*time.Minute), activity.StreamCommits)
				request.ReadHead = seen
				events, outcome := b.read(request)
				require.Empty(t, outcome.Failed)
				require.Equal(t, head, outcome.Head)
				read := make(map[activity.ID]bool)
				for _, e := range events {
					read[e.ID] = true
				}
				old := reachable(seen, parents)
				for sha := range reachable(head, parents) {
					id, err := activity.CommitID(sha)
					require.NoError(t, err)
					require.True(t, old[sha] || read[id], sha)
				}
			})
		}
	})
}
