// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const statsRoute = "/repos/{owner}/{repo}/stats/contributors"

// lastWeek is the complete week before noon.
var lastWeek = activity.Window{
	Start: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), End: time.Date(2026, 3, 8, 0, 0, 0, 0, time.UTC),
}

func (b *bench) contributors(repo string) github.ContributorStats {
	b.t.Helper()
	told, err := b.client.ReadContributors(b.t.Context(), org, b.repo(repo))
	require.NoError(b.t, err)
	return told
}

// TestContributors: statistics are computed again after each push, and 202 is an answer like any other: it costs a
// point and is not repeated.
func TestContributors(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "empty")
		commit(data, "one", lastWeek.Start)
		commit(data, "one", lastWeek.End.Add(-time.Second)).Login = new("renovate[bot]")
		commit(data, "one", lastWeek.End)
		commit(data, "one", ago(time.Hour)).Login = nil
		commit(data, "one", ago(2*time.Hour)).Parents = 2
		b := newBench(t, api, data)
		require.True(t, b.contributors("one").Pending)
		last := b.seen[len(b.seen)-1]
		require.Equal(t, transport.Attempt{
			Endpoint: statsRoute, StatusClass: "2xx", Resource: budget.ResourceREST, Points: 1, PredictedPoints: 1,
			Quota: budget.Quota{Remaining: last.Quota.Remaining, Limit: 5000, Reset: last.Quota.Reset},
		}, last)
		require.Equal(t, 1, b.requests(statsRoute))

		told := b.contributors("one")
		require.False(t, told.Pending || told.Empty || told.HasNoLines())
		slices.SortFunc(told.Contributors, func(a, c github.Contributor) int { return len(c.Weeks) - len(a.Weeks) })
		require.Len(t, told.Contributors, 2)
		require.Equal(t, "ada", told.Contributors[0].Actor.Login)
		require.NotZero(t, told.Contributors[0].Actor.ID)
		require.Equal(t, []github.ContributorWeek{
			{Start: lastWeek.Start, Commits: 1, Added: 10, Removed: 1},
			{Start: lastWeek.End, Commits: 1, Added: 10, Removed: 1},
		}, told.Contributors[0].Weeks)
		require.Equal(t, "renovate[bot]", told.Contributors[1].Actor.Login)

		require.True(t, b.contributors("empty").Empty)
		b.server.Update(func(d *githubtest.Dataset) { commit(d, "one", ago(time.Minute)) })
		require.True(t, b.contributors("one").Pending, "pushed")
	})
}

// TestContributorsOfLargeRepositories: commits without any line are what GitHub says of them.
func TestContributorsOfLargeRepositories(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", lastWeek.Start)
	b := newBench(t, github.APIREST, data, func(s *githubtest.Settings, _ *transport.Settings) {
		s.StatsPending,
			s.StatsZeroFrom = -1, 1
	})
	told := b.contributors("one")
	require.True(t, told.HasNoLines())
	require.False(t, (&github.ContributorStats{}).HasNoLines(), "nobody has commits")
	require.False(t, (&github.ContributorStats{Pending: true}).HasNoLines())
}

// TestInvalidContributors: what no valid response has is left out and counted; an answer that is none is an error.
func TestInvalidContributors(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body    string
		weeks   int
		invalid int
		fails   bool
	}{
		"a Monday": {`[{"author":{"login":"ada","id":1},"weeks":[{"w":1772409600,"a":1,"d":1,"c":1},` +
			`{"w":1772323200,"a":1,"d":1,"c":1}]}]`, 1, 1, false},
		"a Sunday evening": {
			`[{"author":{"login":"ada","id":1},"weeks":[{"w":1772400000,"a":1,"d":1,"c":1}]}]`, 0, 1,
			false,
		},
		"negative": {
			`[{"author":{"login":"ada","id":1},"weeks":[{"w":1772323200,"a":1,"d":-1,"c":1}]}]`, 0, 1,
			false,
		},
		"absurd": {`[{"author":{"login":"ada","id":1},"weeks":[{"w":1772323200,"a":9000000000000000000,` +
			`"d":1,"c":1}]}]`, 0, 1, false},
		"before 1970": {
			`[{"author":{"login":"ada","id":1},"weeks":[{"w":-345600,"a":1,"d":1,"c":1}]}]`, 0, 1,
			false,
		},
		"hostile login": {`[{"author":{"login":"a\nb","id":1},"weeks":[]}]`, 0, 1, false},
		"no author": {
			`[{"author":null,"weeks":[{"w":1772323200,"a":1,"d":1,"c":1}]},{"author":{}},null]`, 0, 0,
			false,
		},
		"nobody":    {`[]`, 0, 0, false},
		"null":      {`null`, 0, 0, true},
		"an object": {`{}`, 0, 0, true},
		"a text":    {`"202"`, 0, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIREST, dataset("one"))
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{
				Match: githubtest.Match{Route: statsRoute},
				Effect: githubtest.StatusBody(http.StatusOK, http.Header{"Content-Type": {"application/json"}},
					test.body),
			})
			told, err := b.client.ReadContributors(t.Context(), org, repo)
			require.Equal(t, test.fails, is[*transport.UnavailableError](err), "%v", err)
			weeks := 0
			for _, c := range told.Contributors {
				weeks += len(c.Weeks)
			}
			require.Equal(t, test.weeks, weeks)
			require.Len(t, b.invalid, test.invalid)
		})
	}
}

// TestReadingWithoutLines: the same commits, and nothing is asked for lines.
func TestReadingWithoutLines(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 30 {
			commit(data, "one", ago(time.Duration(i+1)*time.Hour))
		}
		data.Commits[3].DiffUnavailable = true
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(100*time.Hour), activity.StreamCommits)
		request.SkipLines = true
		b.server.ResetRequests()
		events := b.all(request)
		require.Len(t, events, 30)
		for _, e := range events {
			require.Zero(t, e.Measures)
		}
		require.LessOrEqual(t, len(b.server.Requests()), 2)
	})
}

// sampleLines reads the lines of the last week and goes on where it stopped until all are read.
func (b *bench) sampleLines(request github.CommitLinesRequest, between func()) (map[string][2]uint32,
	[]github.CommitLinesResult,
) {
	b.t.Helper()
	sums := make(map[string][2]uint32)
	var outcomes []github.CommitLinesResult
	for {
		outcome, err := b.client.ReadCommitLines(b.t.Context(), request, func(events []activity.Event) error {
			for _, e := range events {
				require.True(b.t, lastWeek.Contains(e.Time), e.Time)
				sum := sums[e.Actor.Login]
				sums[e.Actor.Login] = [2]uint32{
					sum[0] + e.Measures[activity.CommitAdditions],
					sum[1] + e.Measures[activity.CommitDeletions],
				}
			}
			return nil
		})
		require.NoError(b.t, err)
		outcomes = append(outcomes, outcome)
		if outcome.Complete {
			return sums, outcomes
		}
		request.Head, request.Position = outcome.Head, outcome.Position
		between()
	}
}

// TestSampleLinesEnds: an empty repository and a quiet week are read completely, a head that is gone is not found, and
// an error keeps what was read before it.
func TestSampleLinesEnds(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "empty", "quiet")
		for i := range 120 {
			commit(data, "one", lastWeek.Start.Add(time.Duration(i)*time.Hour))
		}
		commit(data, "quiet", ago(time.Hour))
		b := newBench(t, api, data)
		for _, name := range []string{"empty", "quiet"} {
			got, outcomes := b.sampleLines(github.CommitLinesRequest{
				Org: org, Repo: b.repo(name), Window: lastWeek,
				MaxCommits: 10,
			}, nil)
			require.Empty(t, got)
			require.Zero(t, outcomes[0].Requested)
		}
		none := func([]activity.Event) error { return nil }
		request := github.CommitLinesRequest{
			Org: org, Repo: b.repo("one"), Window: lastWeek, MaxCommits: 200,
			Head: sha(99_999),
		}
		_, err := b.client.ReadCommitLines(t.Context(), request, none)
		require.True(t, is[*transport.NotFoundError](err), "%v", err)

		request.Head = ""
		chunks := 0
		stop := errors.New("stop")
		outcome, err := b.client.ReadCommitLines(t.Context(), request, func([]activity.Event) error {
			if chunks++; chunks == 2 {
				return stop
			}
			return nil
		})
		require.ErrorIs(t, err, stop)
		require.False(t, outcome.Complete)
		// what is one request, or four at once
		together := map[github.API]int{github.APIGraphQL: 50, github.APIREST: 4}[api]
		require.Equal(t, together, outcome.Requested)
		require.Equal(t, together, outcome.Position)
	})
}

// TestLimitOfBackgroundRequests: when one of several requests on their way in the background meets the quarter that is
// not its own, the others are called off, and that closes nothing for the foreground.
func TestLimitOfBackgroundRequests(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	for i := range 60 {
		commit(data, "one", lastWeek.Start.Add(time.Duration(i)*time.Hour))
	}
	for range 20 {
		b := newBench(t, github.APIREST, data.Clone())
		repo := b.repo("one")
		b.advance(56 * time.Minute)
		b.server.SetUsed("default", githubtest.ResourceCore, 5000-1250-20)
		_, err := b.client.ReadCommitLines(t.Context(), github.CommitLinesRequest{
			Org: org, Repo: repo,
			Window: lastWeek, MaxCommits: 60, Priority: budget.Background,
		},
			func([]activity.Event) error { return nil })
		require.True(t, is[*transport.LimitError](err), "%v", err)
		_, err = b.discover()
		require.NoError(t, err)
	}
}

// TestAnEndlessWeek ends, and no commit is counted twice.
func TestAnEndlessWeek(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := range 7 {
			commit(data, "one", lastWeek.Start.Add(time.Duration(n)*time.Hour))
		}
		b := newBench(t, api, data)
		repo := b.repo("one")
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.NextLinkLoop()})
		met := make(map[activity.Key]int)
		outcome, err := b.client.ReadCommitLines(t.Context(), github.CommitLinesRequest{
			Org: org, Repo: repo,
			Window: lastWeek, MaxCommits: 10_000,
		}, func(events []activity.Event) error {
			for _, e := range events {
				met[e.Key()]++
			}
			return nil
		})
		require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
		require.False(t, outcome.Complete)
		for key, times := range met {
			require.Equal(t, 1, times, "%v", key)
		}
	})
}
