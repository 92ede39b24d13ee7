// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestReadingStepByStepIsReadingAtOnce: pass after pass, from head to head and from watermark to watermark, both APIs
// find what they find in the whole history of a real organization.
func TestReadingStepByStepIsReadingAtOnce(t *testing.T) {
	t.Parallel()
	data := openTelemetry(t)
	end := data.LastEventTime()
	from := end.AddDate(0, 0, -8)
	steps := []time.Time{
		from, end.Add(-5 * 24 * time.Hour), end.Add(-49 * time.Hour), end.Add(-48 * time.Hour),
		end.Add(-time.Minute), end,
	}
	whole := newBench(t, github.APIGraphQL, data)
	whole.now = end
	want := make(map[string]map[activity.Key]activity.Event)
	for _, repo := range data.Repos {
		request := since(whole.repo(repo.Name), from, everyStream...)
		want[repo.Name] = inWindow(whole.all(request), from)
	}
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, data)
		b.now = end
		total := 0
		for _, repo := range data.Repos {
			got := make(map[activity.Key]activity.Event)
			head, watermark := "", from
			for _, step := range steps {
				b.server.HideAfter(step)
				request := since(b.repo(repo.Name), watermark, everyStream...)
				request.ReadHead = head
				// Where a history was rewritten the walk ends at the horizon, and the lines of what is older are not
				// asked for.
				request.Since[activity.StreamCommits] = from
				events, outcome := b.read(request)
				require.Empty(t, outcome.Failed)
				maps.Copy(got, inWindow(events, from))
				head, watermark = outcome.Head, step
			}
			require.Equal(t, want[repo.Name], got, repo.Name)
			total += len(got)
		}
		require.Greater(t, total, 100, "there is something to compare")
	})
}

// TestBothAPIsReadTheSameOfEveryTrap: what is hard to read is the same event, with the same lines, with both.
func TestBothAPIsReadTheSameOfEveryTrap(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	base := commit(data, "one", ago(400*time.Hour)).SHA
	side := commit(data, "one", ago(390*time.Hour))
	side.Branch, side.ParentSHAs = "side", []string{base}
	sideSHA := side.SHA
	seen := commit(data, "one", ago(300*time.Hour))
	seen.ParentSHAs = []string{base}
	head := seen.SHA
	merge := commit(data, "one", ago(time.Hour))
	merge.ParentSHAs, merge.Parents, merge.Additions, merge.Login = []string{head, sideSHA}, 2, 500,
		new("renovate[bot]")
	commit(data, "one", ago(50*time.Minute)).Login = nil
	commit(data, "one", ago(40*time.Minute)).NoAuthor = true
	empty := commit(data, "one", ago(30*time.Minute))
	empty.Login, empty.EmptyAuthor = nil, true
	commit(data, "one", ago(20*time.Minute)).DiffUnavailable = true
	commit(data, "one", noon.Add(100*time.Hour)).PushedAt = ago(10 * time.Minute)
	merged := ago(2 * time.Hour)
	p := pull(data, 1, ago(500*time.Hour))
	p.Login, p.MergedAt, p.ClosedAt, p.MergedBy = new("dependabot[bot]"), &merged, &merged, new("web-flow")
	pull(data, 2, ago(3*time.Hour)).Login = new("gone")
	for i := range 130 {
		review(data, 1, ago(time.Duration(i)*time.Minute)).Login = new([]string{"eve", "gone", "copilot[bot]"}[i%3])
	}
	review(data, 2, noon).SubmittedAt = nil
	comment(data, 1, ago(time.Hour)).Login = new("gone")
	comment(data, 9, ago(time.Hour)).UpdatedAt = ago(time.Minute)
	data.DeleteUser("gone")
	read := func(api github.API, seenHead string) map[activity.Key]activity.Event {
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(1000*time.Hour), everyStream...)
		request.ReadHead = seenHead
		return inWindow(b.all(request), time.Time{})
	}
	for _, seenHead := range []string{"", head} {
		want := read(github.APIGraphQL, seenHead)
		require.Greater(t, len(want), 130)
		require.Equal(t, want, read(github.APIREST, seenHead))
	}
}

// TestWhoCommittedIsNeverTheAuthor: GitHub itself commits what is merged on its pages, as web-flow. GraphQL is not even
// asked who committed.
func TestWhoCommittedIsNeverTheAuthor(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", ago(2*time.Hour))
	commit(data, "one", ago(time.Hour))
	b := newBench(t, github.APIREST, data)
	repo := b.repo("one")
	row := `{"sha":%q,"commit":{"author":{"name":"Ada","email":"ada@example.com","date":"2026-03-11T10:00:00Z"},` +
		`"committer":{"name":"GitHub","email":"noreply@github.com","date":"2026-03-11T10:00:00Z"}},` +
		`"author":%s,"committer":{"login":"web-flow","id":19864447,"type":"User"},"parents":[{"sha":%q}]}`
	body := fmt.Sprintf("["+row+","+row+"]", sha(1), `{"login":"ada","id":5,"type":"User"}`, sha(0), sha(0), "null",
		sha(9))
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Route: commitsRoute}, Effect: githubtest.StatusBody(200,
			http.Header{"Content-Type": {"application/json"}}, body),
	})
	require.Equal(t, map[string]int{"commit ada": 1, "commit unlinked_git_author": 1},
		users(b.all(since(repo, ago(24*time.Hour), activity.StreamCommits))))
}

// TestWhoMergedIsNeverTheAuthor of the merge, be it GitHub's own account.
func TestWhoMergedIsNeverTheAuthor(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		merged := ago(time.Hour)
		p := pull(data, 1, ago(2*time.Hour))
		p.MergedAt, p.ClosedAt, p.MergedBy = &merged, &merged, new("web-flow")
		b := newBench(t, api, data)
		require.Equal(t, map[string]int{"pull_request_opened bob": 1, "pull_request_merged bob": 1},
			users(b.all(everything(b.repo("one")))))
	})
}

// TestCoAuthorsAreNoFurtherEvents: a commit counts once, for its first author.
func TestCoAuthorsAreNoFurtherEvents(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", ago(time.Hour)).CoAuthors = []string{"bob", "eve"}
		b := newBench(t, api, data)
		require.Equal(t, map[string]int{"commit ada": 1}, users(b.all(everything(b.repo("one")))))
	})
}

// TestTheCodingAgentIsOneBot on every path of both APIs, linked to its commits or not.
func TestTheCodingAgentIsOneBot(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		data.Users = append(data.Users, githubtest.CodingAgent())
		agent := new("Copilot")
		commit(data, "one", ago(5*time.Hour)).Login = agent
		unlinked := commit(data, "one", ago(4*time.Hour))
		unlinked.Login, unlinked.AuthorName, unlinked.AuthorEmail = nil, "copilot-swe-agent[bot]",
			githubtest.CodingAgentAddress
		other := commit(data, "one", ago(3*time.Hour))
		other.Login, other.AuthorName, other.AuthorEmail = nil, "copilot-swe-agent[bot]",
			"1+Copilot@users.noreply.github.com"
		merged := ago(time.Hour)
		p := pull(data, 1, ago(2*time.Hour))
		p.Login, p.MergedAt, p.ClosedAt = agent, &merged, &merged
		review(data, 1, ago(90*time.Minute)).Login = agent
		review(data, 1, ago(80*time.Minute)).Login = new("copilot-pull-request-reviewer[bot]")
		comment(data, 1, ago(70*time.Minute)).Login = agent
		b := newBench(t, api, data)
		events := b.all(everything(b.repo("one")))
		require.Equal(t, map[string]int{
			"commit Copilot[bot]": 2, "commit unlinked_git_author": 1, "pull_request_opened Copilot[bot]": 1,
			"pull_request_merged Copilot[bot]": 1,
			"review_submitted Copilot[bot]":    1, "review_submitted copilot-pull-request-reviewer[bot]": 1,
			"issue_comment Copilot[bot]": 1,
		}, users(events))
		for _, e := range events {
			require.Equal(t, e.Actor.Login == "Copilot[bot]", e.Actor.ID == 198982749, e.Actor)
		}
	})
}

// TestEveryKindOfAccountHasItsID in both APIs.
func TestEveryKindOfAccountHasItsID(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i, kind := range []string{"User", "Bot", "Organization", "Mannequin", "EnterpriseUserAccount"} {
			login := "account-" + kind
			data.Users = append(data.Users, githubtest.User{Login: login, ID: int64(1000 + i), Type: kind})
			pull(data, i+1, ago(2*time.Hour)).Login = &login
			review(data, 1, ago(time.Duration(i)*time.Minute)).Login = &login
		}
		b := newBench(t, api, data)
		events := authored(b.all(everything(b.repo("one"))))
		require.Len(t, events, 10)
		for _, e := range events {
			require.GreaterOrEqual(t, e.Actor.ID, int64(1000), e.Actor)
		}
	})
}

// TestARenamedAccountKeepsItsID, by which it is known.
func TestARenamedAccountKeepsItsID(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := fullRepository()
		b := newBench(t, api, data)
		before := authored(b.all(everything(b.repo("one"))))
		b.server.Update(func(d *githubtest.Dataset) {
			for _, login := range []string{"ada", "bob", "eve", "kim"} {
				d.User(login).RenamedTo = login + "-2"
			}
		})
		after := authored(b.all(everything(b.repo("one"))))
		require.Len(t, after, len(before))
		for i := range after {
			require.Equal(t, before[i].Actor.ID, after[i].Actor.ID)
			require.Equal(t, before[i].Actor.Login+"-2", after[i].Actor.Login)
		}
	})
}
