// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// replies collects the outcomes of questions.
type replies struct {
	mu   sync.Mutex
	list []transport.RequestResult
}

func (r *replies) add(reply transport.RequestResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, reply)
}

// takeCounts gives how many questions failed and how many were answered, and forgets them.
func (r *replies) takeCounts() (failed, answered int, repos map[int64]bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	repos = make(map[int64]bool)
	for _, reply := range r.list {
		repos[reply.RepoID] = true
		if reply.Err != nil {
			failed++
		} else {
			answered++
		}
	}
	r.list = nil
	return failed, answered, repos
}

// TestQuestionsAreCounted, not their attempts, pages and parts.
func TestQuestionsAreCounted(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		var replies replies
		b := newBench(t, api, fullRepository(), func(_ *githubtest.Settings,
			g *transport.Settings,
		) {
			g.OnResult = replies.add
		})
		repo := b.repo("one")
		_, _, repos := replies.takeCounts()
		require.Equal(t, map[int64]bool{0: true}, repos, "a listing is about the organization")
		for name, effect := range map[string]githubtest.Effect{
			"502": githubtest.GraphQLTimeout(502), "503": githubtest.Status(503), "broken": githubtest.TruncatedJSON(),
		} {
			fault := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: "one"}, Effect: effect})
			_, outcome := b.read(since(repo, ago(24*time.Hour), everyStream...))
			require.Len(t, outcome.Failed, activity.NumStreams)
			failed, answered, repos := replies.takeCounts()
			require.Equal(t, map[int64]bool{repo.ID: true}, repos)
			require.Equal(t, []int{numListings, 0}, []int{failed, answered}, "%s: one of each listing", name)
			fault.Disarm()
		}
		for name, effect := range map[string]githubtest.Effect{
			"403": githubtest.Status(403),
			"404": githubtest.Status(404),
		} {
			fault := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Repo: "one"}, Effect: effect})
			b.read(since(repo, ago(24*time.Hour), activity.StreamComments))
			failed, answered, _ := replies.takeCounts()
			require.Equal(t, []int{0, 1}, []int{failed, answered}, "%s is an answer", name)
			fault.Disarm()
		}
	})
}

// TestPagesOfOneRepository: a repository that needs small pages does not make those of the others smaller.
func TestPagesOfOneRepository(t *testing.T) {
	t.Parallel()
	data := dataset("one", "two")
	for _, repo := range []string{"one", "two"} {
		for i := range 120 {
			commit(data, repo, ago(time.Duration(i)*time.Minute))
		}
	}
	b := newBench(t, github.APIGraphQL, data)
	one, two := b.repo("one"), b.repo("two")
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
		Operation: "Activity", Repo: "one",
		Func: func(r githubtest.RequestInfo) bool {
			return number(r, "commitsFirst") > 25
		},
	}, Effect: githubtest.GraphQLTimeout(502)})
	require.Len(t, b.all(since(one, ago(24*time.Hour), activity.StreamCommits)), 120)
	b.server.ResetRequests()
	require.Len(t, b.all(since(two, ago(24*time.Hour), activity.StreamCommits)), 120)
	require.Equal(t, 2, b.requests("Activity"))
	b.server.ResetRequests()
	require.Len(t, b.all(since(one, ago(24*time.Hour), activity.StreamCommits)), 120)
	require.Equal(t, 5, b.requests("Activity"), "the size that worked is remembered for the repository")
}

// TestPatience: what a repository that is not answered in time costs is bounded, and a brief reading costs less.
func TestPatience(t *testing.T) {
	t.Parallel()
	eachAPIInBubble(t, func(t *testing.T, api github.API) {
		const timeout = 100 * time.Millisecond
		b := newBubbleBench(t, api, fullRepository(), func(_ *githubtest.Settings, g *transport.Settings) {
			g.Timeout, g.Retry.MaxAttempts = timeout, 20
		})
		repo := b.repo("one")
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.Hang()})
		request := since(repo, ago(24*time.Hour), everyStream...)
		for brief, most := range map[bool]time.Duration{false: 12 * timeout, true: 7 * timeout} {
			request.Minimal = brief
			began := time.Now()
			_, outcome := b.read(request)
			require.Len(t, outcome.Failed, activity.NumStreams)
			require.Less(t, time.Since(began), most)
		}
	})
}

// slowBudget is one at which each request waits for its place.
type slowBudget struct {
	budget.Local

	wait time.Duration
}

// Reserve implements budget.Budget.
func (b *slowBudget) Reserve(ctx context.Context, q budget.Reservation) (budget.State, error) {
	timer := time.NewTimer(b.wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
	return b.Local.Reserve(ctx, q)
}

// TestWaitingIsNoFailure: the time for which requests wait for their places ends neither the repeats of a question nor
// the patience with a repository.
func TestWaitingIsNoFailure(t *testing.T) {
	t.Parallel()
	eachAPIInBubble(t, func(t *testing.T, api github.API) {
		b := newBubbleBench(t, api, fullRepository(), func(_ *githubtest.Settings, g *transport.Settings) {
			g.Timeout, g.Budget = 300*time.Millisecond, &slowBudget{wait: 700 * time.Millisecond}
		})
		repo := b.repo("one")
		b.server.InjectFault(githubtest.Fault{
			Match: githubtest.Match{Repo: "one"}, Times: 1,
			Effect: githubtest.Status(503),
		})
		_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamPulls))
		require.Empty(t, outcome.Failed)
	})
}
