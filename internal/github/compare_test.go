// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestNewCommitsAreOneQuestion: with REST alone the comparison with the default branch shows the new head, too, and
// nothing else is asked but the lines of each commit. Where it does not show it, the head is asked for and the
// comparison is with that. A head that is not reached any more is compared the other way round, too.
func TestNewCommitsAreOneQuestion(t *testing.T) {
	t.Parallel()
	more := func(n int) func(d *githubtest.Dataset) {
		return func(d *githubtest.Dataset) {
			for i := range n {
				commit(d, "one", ago(time.Duration(n-i)*time.Minute))
			}
		}
	}
	const asked, found, compared = "asked for the head", "new", "compared"
	for name, test := range map[string]struct {
		happens func(d *githubtest.Dataset)
		want    map[string]int
		head    int // the number of the commit
	}{
		"nothing": {func(*githubtest.Dataset) {}, map[string]int{compared: 1}, 2},
		"one":     {more(1), map[string]int{compared: 1, found: 1}, 3},
		"a page":  {more(100), map[string]int{compared: 1, found: 100}, 102},
		"two pages": {
			more(101), map[string]int{compared: 3, asked: 1, found: 101}, 103,
		},
		"dates that say nothing": {func(d *githubtest.Dataset) {
			commit(d, "one", ago(time.Minute))
			commit(d, "one", ago(50*time.Hour)).PushedAt = ago(time.Minute)
			commit(d, "one", ago(20*time.Hour)).PushedAt = ago(time.Minute)
		}, map[string]int{compared: 1, found: 3}, 5},
		"a merge": {func(d *githubtest.Dataset) {
			commit(d, "one", ago(10*time.Minute)).ParentSHAs = []string{sha(2)}
			side := commit(d, "one", ago(5*time.Minute))
			side.Branch, side.ParentSHAs = "side", []string{sha(2)}
			merge := commit(d, "one", ago(time.Minute))
			merge.ParentSHAs, merge.Parents = []string{sha(3), sha(4)}, 2
		}, map[string]int{compared: 1, found: 3}, 5},
		"set back": {func(d *githubtest.Dataset) {
			d.Repo("one").Resets = []githubtest.Reset{{SHA: sha(0), At: ago(time.Minute)}}
		}, map[string]int{compared: 3, asked: 1}, 0},
		"rewritten": {func(d *githubtest.Dataset) {
			d.Repo("one").Resets = []githubtest.Reset{{SHA: sha(0), At: ago(5 * time.Minute)}}
			commit(d, "one", ago(time.Minute)).ParentSHAs = []string{sha(0)}
		}, map[string]int{compared: 2, found: 1}, 3},
		"another branch": {func(d *githubtest.Dataset) {
			c := commit(d, "one", ago(time.Minute))
			c.Branch, c.ParentSHAs = "side", []string{sha(2)}
		}, map[string]int{compared: 1}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			for n := range 3 {
				commit(data, "one", ago(time.Duration(100-n)*time.Hour))
			}
			test.happens(data)
			b := newBench(t, github.APIREST, data)
			request := since(b.repo("one"), ago(200*time.Hour), activity.StreamCommits)
			request.ReadHead = sha(2)
			b.server.ResetRequests()
			events, outcome := b.read(request)
			require.Empty(t, outcome.Failed)
			require.Equal(t, sha(test.head), outcome.Head)
			got := map[string]int{
				compared: b.requests("/repos/{owner}/{repo}/compare/{basehead...}"),
				asked:    b.requests("/repos/{owner}/{repo}/commits"), found: len(events),
			}
			for _, what := range []string{asked, found, compared} {
				require.Equal(t, test.want[what], got[what], what)
			}
		})
	}
}

// TestPushAfterTheFirstComparison: the rows of the second page are those of the head that was pinned.
func TestPushAfterTheFirstComparison(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	first := commit(data, "one", ago(500*time.Hour)).SHA
	for i := range 150 {
		commit(data, "one", ago(time.Duration(400-i)*time.Hour))
	}
	b := newBench(t, github.APIREST, data)
	b.once("/repos/{owner}/{repo}/commits", 1, func(d *githubtest.Dataset) {
		for range 80 {
			commit(d, "one", noon)
		}
	})
	request := since(b.repo("one"), ago(1000*time.Hour), activity.StreamCommits)
	request.ReadHead = first
	events, outcome := b.read(request)
	require.Empty(t, outcome.Failed)
	id, err := activity.CommitID(outcome.Head)
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(events, func(e activity.Event) bool { return e.ID == id }),
		"the head is among what was read")
	later := walked(b, outcome.Head, ago(1000*time.Hour))
	require.Len(t, append(events, later...), 230)
}
