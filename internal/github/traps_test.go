// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	pullsRoute    = "/repos/{owner}/{repo}/pulls"
	commentsRoute = "/repos/{owner}/{repo}/issues/comments"
	reviewsRoute  = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
)

// pullsQuery is what an API lists pull requests with.
func pullsQuery(api github.API) string {
	if api == github.APIGraphQL {
		return "Activity"
	}
	return pullsRoute
}

// TestSignalsOfChange: a push to any branch moves the push time, a comment on a pull request moves that pull request
// and a comment on an issue that issue.
func TestSignalsOfChange(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", ago(3*time.Hour))
	pull(data, 1, ago(2*time.Hour))
	comment(data, 7, ago(2*time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	before := b.repo("one").Signals
	require.Equal(t, activity.EveryStream, before.Streams)
	changed := func(change func(d *githubtest.Dataset)) activity.Streams {
		b.server.Update(change)
		now := b.repo("one").Signals
		streams := now.ChangedStreams(&before, noon, time.Minute)
		before = now
		return streams
	}
	require.Zero(t, changed(func(*githubtest.Dataset) {}))
	require.Zero(t, changed(func(d *githubtest.Dataset) { d.Repo("one").Pushes = []time.Time{ago(time.Hour)} }),
		"another branch")
	require.Equal(t, activity.StreamsOf(activity.StreamCommits), changed(func(d *githubtest.Dataset) {
		commit(d, "one",
			ago(50*time.Minute))
	}))
	require.Equal(t, activity.StreamsOf(activity.StreamPulls, activity.StreamComments).WithDependent(),
		changed(func(d *githubtest.Dataset) { review(d, 1, ago(40*time.Minute)) }))
	require.Equal(t, activity.StreamsOf(activity.StreamPulls, activity.StreamComments).WithDependent(),
		changed(func(d *githubtest.Dataset) { comment(d, 1, ago(30*time.Minute)) }))
	require.Equal(t, activity.StreamsOf(activity.StreamComments, activity.StreamIssues).WithDependent(),
		changed(func(d *githubtest.Dataset) { comment(d, 7, ago(20*time.Minute)) }))
}

// TestCursorIsAValue: a pull request that is touched during the scan jumps behind the cursor, and is read all the same.
func TestCursorIsAValue(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := 1; n <= 260; n++ {
			pull(data, n, ago(time.Duration(n)*time.Minute))
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(30*24*time.Hour), activity.StreamPulls)
		b.once(pullsQuery(api), 2, func(d *githubtest.Dataset) {
			d.Pull("one", 260).TouchedAt = []time.Time{noon} // from the end of the listing to its top
			d.Pull("one", 250).TouchedAt = []time.Time{noon}
		})
		require.Len(t, b.all(request), 260)
	})
}

// TestWatermarkIsInclusive: what was updated in the very second of the watermark is read.
func TestWatermarkIsInclusive(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", ago(time.Hour))
		pull(data, 1, ago(time.Hour))
		comment(data, 1, ago(time.Hour))
		b := newBench(t, api, data)
		require.Len(t, b.all(since(b.repo("one"), ago(time.Hour), everyStream...)), 3)
	})
}

// TestPullsStopEarly reads no further than to what was updated before the time asked for.
func TestPullsStopEarly(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := 1; n <= 1000; n++ {
			pull(data, n, ago(time.Duration(n)*time.Hour))
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(3*time.Hour), activity.StreamPulls)
		b.server.ResetRequests()
		require.Len(t, b.all(request), 3)
		require.Equal(t, 1, b.requests(pullsQuery(api)))
	})
}

// TestMergesAreNotInMergeOrder: an old pull request that was merged just now counts for its author, not for the account
// that merged it.
func TestMergesAreNotInMergeOrder(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := 1; n <= 150; n++ {
			p := pull(data, n, ago(time.Duration(1000+n)*time.Hour))
			if n%3 == 0 {
				merged := ago(time.Duration(n) * time.Minute)
				p.MergedAt, p.ClosedAt, p.MergedBy = &merged, &merged, new("maintainer")
			}
		}
		b := newBench(t, api, data)
		events := b.all(since(b.repo("one"), ago(24*time.Hour), activity.StreamPulls))
		require.Equal(t, 50, users(events)["pull_request_merged bob"])
		require.Zero(t, users(events)["pull_request_merged maintainer"])
	})
}

// TestPendingReviewIsNoEvent: it is not submitted yet.
func TestPendingReviewIsNoEvent(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		pull(data, 1, ago(time.Hour))
		review(data, 1, ago(30*time.Minute))
		pending := review(data, 1, noon)
		pending.SubmittedAt, pending.State = nil, "PENDING"
		b := newBench(t, api, data)
		require.Equal(t, 1, users(b.all(since(b.repo("one"), ago(24*time.Hour),
			activity.StreamPulls)))["review_submitted eve"])
	})
}

// TestManyReviews reads reviews beyond the first page, with ids beyond 32 bits.
func TestManyReviews(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		pull(data, 1, ago(300*time.Hour))
		for i := range 230 {
			review(data, 1, ago(time.Duration(i)*time.Minute))
		}
		b := newBench(t, api, data)
		require.Equal(t, 230, users(b.all(since(b.repo("one"), ago(24*time.Hour),
			activity.StreamPulls)))["review_submitted eve"])
	})
}

// TestEditedCommentIsOneEvent at the time of its creation.
func TestEditedCommentIsOneEvent(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		comment(data, 1, ago(100*time.Hour)).UpdatedAt = ago(time.Minute)
		b := newBench(t, api, data)
		events := b.all(since(b.repo("one"), ago(time.Hour), activity.StreamComments))
		require.Len(t, events, 1)
		require.Equal(t, ago(100*time.Hour), events[0].Time)
	})
}

// TestCommentsMoveDuringTheScan: edited ones move to the end, deleted ones move the others up; none is missed.
func TestCommentsMoveDuringTheScan(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *githubtest.Dataset){
		"edited": func(d *githubtest.Dataset) {
			for i := range 20 {
				d.Comments[i].UpdatedAt = noon
			}
		},
		"deleted": func(d *githubtest.Dataset) { d.Comments = d.Comments[20:] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			for i := range 350 {
				comment(data, 1, ago(time.Duration(350-i)*time.Minute))
			}
			b := newBench(t, github.APIREST, data)
			request := since(b.repo("one"), ago(24*time.Hour), activity.StreamComments)
			b.once(commentsRoute, 2, change)
			require.Len(t, b.all(request), 350)
		})
	}
}

// TestCommentsOfOneSecond: more than a page of comments with one time is read by page number.
func TestCommentsOfOneSecond(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	for range 250 {
		comment(data, 1, ago(time.Hour))
	}
	comment(data, 1, ago(time.Minute))
	b := newBench(t, github.APIREST, data)
	require.Len(t, b.all(since(b.repo("one"), ago(24*time.Hour), activity.StreamComments)), 251)
}

// walked reads the commits from a head on.
func walked(b *bench, head string, horizon time.Time) []activity.Event {
	b.t.Helper()
	request := since(b.repo("one"), horizon, activity.StreamCommits)
	request.ReadHead = head
	return b.all(request)
}

// TestLateAndFutureCommits: from head to head, the dates do not matter.
func TestLateAndFutureCommits(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", ago(10*time.Hour))
		seen := commit(data, "one", ago(9*time.Hour)).SHA
		commit(data, "one", ago(300*time.Hour)).PushedAt = ago(time.Hour)
		commit(data, "one", noon.Add(500*time.Hour)).PushedAt = ago(time.Hour)
		b := newBench(t, api, data)
		require.Len(t, walked(b, seen, ago(400*time.Hour)), 2)
	})
}

// TestMergeOfALongLivedBranch finds the branch's commits, which are older than the last reading, and no other; the
// merge commit has no lines.
func TestMergeOfALongLivedBranch(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		base := commit(data, "one", ago(400*time.Hour)).SHA
		branch := base
		for i := range 5 {
			c := commit(data, "one", ago(time.Duration(390-i)*time.Hour))
			c.Branch, c.ParentSHAs = "long", []string{branch}
			branch = c.SHA
		}
		head := base
		for i := range 300 {
			c := commit(data, "one", ago(time.Duration(350-i)*time.Hour))
			c.ParentSHAs = []string{head}
			head = c.SHA
		}
		merge := commit(data, "one", ago(time.Hour))
		merge.ParentSHAs, merge.Parents, merge.Additions = []string{head, branch}, 2, 999
		b := newBench(t, api, data)
		events := walked(b, head, ago(1000*time.Hour))
		require.Len(t, events, 6)
		lines := uint32(0)
		for _, e := range events {
			lines += e.Measures[activity.CommitAdditions]
		}
		require.Equal(t, uint32(50), lines)
	})
}

// TestRewrittenHistory ends at the horizon when the old head is gone.
func TestRewrittenHistory(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 1500 {
			commit(data, "one", ago(time.Duration(1500-i)*time.Hour))
		}
		b := newBench(t, api, data)
		repo := b.repo("one")
		b.server.ResetRequests()
		request := since(repo, ago(10*time.Hour), activity.StreamCommits)
		request.ReadHead = "ffffffffffffffffffffffffffffffffffffffff"
		events := b.all(request)
		require.GreaterOrEqual(t, len(events), 10)
		require.Less(t, len(b.server.Requests()), 20)
	})
}

// TestPushBetweenPages: pages of commits are of one head, whatever is pushed meanwhile; the next walk finds the rest.
func TestPushBetweenPages(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		first := commit(data, "one", ago(500*time.Hour)).SHA
		for i := range 250 {
			commit(data, "one", ago(time.Duration(400-i)*time.Hour))
		}
		b := newBench(t, api, data)
		route, page := "Activity", 2
		if api == github.APIREST {
			route, page = "/repos/{owner}/{repo}/compare/{basehead...}", 3 // the first one is for the head
		}
		b.once(route, page, func(d *githubtest.Dataset) {
			for range 30 {
				commit(d, "one", noon)
			}
		})
		request := since(b.repo("one"), ago(1000*time.Hour), activity.StreamCommits)
		request.ReadHead = first
		events, outcome := b.read(request)
		require.Empty(t, outcome.Failed)
		require.Len(t, events, 250)
		require.Equal(t, sha(250), outcome.Head)
		require.Len(t, walked(b, outcome.Head, ago(1000*time.Hour)), 30)
	})
}

// TestEmptyRepository answers 409 and is no error.
func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		data.Repo("one").Empty = true
		b := newBench(t, api, data)
		require.Empty(t, b.all(since(b.repo("one"), ago(24*time.Hour), activity.StreamCommits)))
	})
}

// TestActors gives every form of an author its name, the same with both APIs.
func TestActors(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		at := ago(time.Hour)
		commit(data, "one", at).Login = new("renovate[bot]")
		commit(data, "one", at).Login = nil
		empty := commit(data, "one", at)
		empty.Login, empty.EmptyAuthor = nil, true
		commit(data, "one", at).NoAuthor = true
		commit(data, "one", at).Login = new("gone")
		pull(data, 1, at).Login = new("dependabot[bot]")
		pull(data, 2, at).Login = new("gone")
		pull(data, 3, at).Login = nil
		review(data, 1, at).Login = new("gone")
		comment(data, 1, at).Login = new("codecov[bot]")
		comment(data, 1, at).Login = new("gone")
		data.DeleteUser("gone")
		b := newBench(t, api, data)
		events := b.all(since(b.repo("one"), ago(24*time.Hour), everyStream...))
		require.Equal(t, map[string]int{
			"commit renovate[bot]": 1, "commit unlinked_git_author": 3, "commit unattributed_commit": 1,
			"pull_request_opened dependabot[bot]": 1, "pull_request_opened ghost": 2,
			"review_submitted ghost": 1, "issue_comment codecov[bot]": 1, "issue_comment ghost": 1,
		}, users(events))
	})
}

// TestLinesOfOneCommitFail: that commit alone has none; GraphQL made its whole page null.
func TestLinesOfOneCommitFail(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 120 {
			commit(data, "one", ago(time.Duration(i)*time.Minute))
		}
		data.Commits[30].DiffUnavailable = true
		b := newBench(t, api, data)
		events := b.all(since(b.repo("one"), ago(24*time.Hour), activity.StreamCommits))
		require.Len(t, events, 120)
		lines := uint32(0)
		for _, e := range events {
			lines += e.Measures[activity.CommitAdditions]
		}
		require.Equal(t, uint32(119*10), lines)
		require.NotEmpty(t, b.invalid, "it is reported")
	})
}

// TestTokenWithoutIssues: the comments fail, and nothing else.
func TestTokenWithoutIssues(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		commit(data, "one", ago(time.Hour))
		pull(data, 1, ago(time.Hour))
		comment(data, 1, ago(time.Hour))
		b := newBench(t, api, data, func(s *githubtest.Settings, _ *transport.Settings) {
			s.Credentials = []githubtest.Credential{{
				Token: githubtest.DefaultToken, Login: "l",
				Forbidden: []string{"issues"},
			}}
		})
		found, err := b.discover()
		require.NoError(t, err)
		require.Len(t, found, 2)
		require.False(t, found["one"].Signals.Streams.Has(activity.StreamComments))
		events, outcome := b.read(since(found["one"], ago(24*time.Hour), everyStream...))
		require.Len(t, events, 2)
		require.Len(t, outcome.Failed, 3)
		for _, s := range []activity.Stream{activity.StreamComments, activity.StreamIssues, activity.StreamIssueFlow} {
			require.ErrorAs(t, outcome.Failed[s], new(*transport.ForbiddenError))
		}
	})
}

// TestRenamedRepository is found under its old name, by its id or by GitHub's redirect.
func TestRenamedRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", ago(time.Hour))
		pull(data, 1, ago(time.Hour))
		comment(data, 1, ago(time.Hour))
		b := newBench(t, api, data)
		before := b.repo("one")
		b.server.Update(func(d *githubtest.Dataset) { d.Rename("one", "renamed") })
		request := since(before, ago(24*time.Hour), everyStream...)
		require.Len(t, b.all(request), 3)
		request.Repo.NodeID = "" // known by its name alone
		require.Len(t, b.all(request), 3)
		require.Equal(t, before.ID, b.repo("renamed").ID)
	})
}

// TestGoneAndBlocked have errors of their own.
func TestGoneAndBlocked(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		b := newBench(t, api, data)
		one, two := b.repo("one"), b.repo("two")
		b.server.Update(func(d *githubtest.Dataset) {
			d.Repo("two").Blocked = true
			d.RemoveRepo("one")
		})
		_, outcome := b.read(since(one, ago(time.Hour), everyStream...))
		require.Len(t, outcome.Failed, activity.NumStreams)
		for _, err := range outcome.Failed {
			var missing *transport.NotFoundError
			require.ErrorAs(t, err, &missing)
		}
		_, outcome = b.read(since(two, ago(time.Hour), activity.StreamComments))
		var forbidden *transport.ForbiddenError
		require.ErrorAs(t, outcome.Failed[activity.StreamComments], &forbidden)
		require.True(t, forbidden.Legal)
	})
}

// many is an organization of several pages.
func many(n int) *githubtest.Dataset {
	d := dataset()
	for i := range n {
		d.Repos = append(d.Repos, githubtest.Repo{
			Name: fmt.Sprintf("repo-%04d", i), DefaultBranch: "main", CreatedAt: ago(time.Duration(9000-i) * time.Hour),
		})
	}
	return d
}

// TestDiscoveryNeverSearches: a search would end after 1,000.
func TestDiscoveryNeverSearches(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, many(1150))
		found, err := b.discover()
		require.NoError(t, err)
		require.Len(t, found, 1150)
		for _, r := range b.server.Requests() {
			require.NotContains(t, r.Path, "search")
		}
	})
}

// TestPageHalves on time-outs and resource limits, and the size that worked is remembered.
func TestPageHalves(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]githubtest.Effect{
		"502": githubtest.Status(502), "504": githubtest.GraphQLTimeout(504),
		"resource limits": githubtest.ResourceLimitsExceeded("organization"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIGraphQL, many(120))
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
				Operation: "Discover",
				Func: func(r githubtest.RequestInfo) bool {
					first, _ := r.Variables["first"].(float64)
					return first > 25
				},
			}, Effect: fault})
			found, err := b.discover()
			require.NoError(t, err)
			require.Len(t, found, 120)
			b.server.ResetRequests()
			_, err = b.discover()
			require.NoError(t, err)
			require.LessOrEqual(t, len(b.server.Requests()), 6, "it begins with the size that worked")
		})
	}
}

// TestIdentical reads the same events with both APIs: the whole history, and what came since a moment in it.
func TestIdentical(t *testing.T) {
	t.Parallel()
	data := openTelemetry(t)
	at := data.LastEventTime()
	set := func(_ *githubtest.Settings, g *transport.Settings) { g.RateLimit.MinRemaining = 0 }
	graphql, rest := newBench(t, github.APIGraphQL, data, set), newBench(t, github.APIREST, data, set)
	graphql.now, rest.now = at, at
	for _, r := range data.Repos {
		for _, from := range []time.Time{at.AddDate(0, 0, -40), at.AddDate(0, 0, -2)} {
			streams := []activity.Stream{activity.StreamCommits, activity.StreamPulls, activity.StreamComments}
			want := inWindow(rest.all(since(rest.repo(r.Name), from, streams...)), from)
			got := inWindow(graphql.all(since(graphql.repo(r.Name), from, streams...)), from)
			require.Equal(t, want, got, r.Name)
		}
	}
}

func inWindow(events []activity.Event, from time.Time) map[activity.Key]activity.Event {
	set := make(map[activity.Key]activity.Event)
	for _, e := range events {
		if !e.Time.Before(from) {
			set[e.Key()] = e
		}
	}
	return set
}
