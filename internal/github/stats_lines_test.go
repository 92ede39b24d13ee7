// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package github_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestSampleLines: the lines of a week, in parts of any size, are those of the week, whatever is pushed between the
// parts; both APIs ask for the same commits.
func TestSampleLines(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	const hours = 260
	for i := range hours {
		c := commit(data, "one", lastWeek.Start.Add(time.Duration(i-40)*time.Hour))
		c.Login, c.Additions, c.Deletions = new([]string{"ada", "bob", "eve"}[i%3]), i, 2*i
		if i%7 == 0 {
			c.Parents = 2
		}
		if i == 100 {
			c.DiffUnavailable = true
		}
		if i%50 == 1 {
			c.Login = nil
		}
	}
	want := make(map[string][2]uint32)
	commits := 0
	for _, c := range data.Commits {
		if c.Parents == 2 || !lastWeek.Contains(c.CommittedAt) {
			continue
		}
		commits++
		who := activity.LoginUnlinkedGitAuthor
		if c.Login != nil {
			who = *c.Login
		}
		if c.DiffUnavailable {
			continue
		}
		sum := want[who]
		want[who] = [2]uint32{sum[0] + uint32(c.Additions), sum[1] + uint32(c.Deletions)}
	}
	asked := make(map[int]map[github.API][]github.CommitLinesResult)
	for _, most := range []int{1, 30, 51, 100, 1000} {
		asked[most] = make(map[github.API][]github.CommitLinesResult)
		for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
			b := newBench(t, api, data.Clone())
			repo := b.repo("one")
			got, outcomes := b.sampleLines(github.CommitLinesRequest{
				Org: org, Repo: repo, Window: lastWeek,
				MaxCommits: most,
			}, func() {
				b.server.Update(func(d *githubtest.Dataset) {
					commit(d, "one",
						lastWeek.Start.Add(time.Hour)).PushedAt = noon
				})
			})
			require.Equal(t, want, got, "%s, %d at a time", api, most)
			total := 0
			for _, o := range outcomes {
				require.LessOrEqual(t, o.Requested, most)
				total += o.Requested
			}
			require.Equal(t, commits, total)
			asked[most][api] = outcomes
		}
		require.Equal(t, asked[most][github.APIGraphQL], asked[most][github.APIREST], "%d at a time", most)
	}
}
