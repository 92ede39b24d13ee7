// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-github/v66/github"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func TestRESTDecodesWithGoGitHub(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	c := client(t, s)
	repos, _, err := c.Repositories.ListByOrg(t.Context(), "acme", nil)
	require.NoError(t, err)
	require.Equal(t, "empty", repos[0].GetName(), "newest first")
	require.Equal(t, at("04:00:00"), repos[1].GetPushedAt().UTC())
	commits, _, err := c.Repositories.ListCommits(t.Context(), "acme", "api", nil)
	require.NoError(t, err)
	require.Equal(t, "c4", commits[0].GetSHA())
	require.Equal(t, "c3", commits[0].Parents[0].GetSHA())
	require.Equal(t, "ann", commits[0].GetAuthor().GetLogin())
	commit, _, err := c.Repositories.GetCommit(t.Context(), "acme", "api", "c4", nil)
	require.NoError(t, err)
	require.Equal(t, 11, commit.GetStats().GetTotal())
	pulls, _, err := c.PullRequests.List(
		t.Context(), "acme", "api", &github.PullRequestListOptions{State: "all", Sort: "updated", Direction: "desc"},
	)
	require.NoError(t, err)
	require.Equal(t, 2, pulls[0].GetNumber())
	require.Equal(t, "renovate[bot]", pulls[0].GetUser().GetLogin())
	require.Equal(t, "Bot", pulls[0].GetUser().GetType())
	require.Equal(t, at("06:00:00"), pulls[0].GetUpdatedAt().UTC(), "a review moves its pull request")
	comments, _, err := c.Issues.ListComments(t.Context(), "acme", "api", 0, nil)
	require.NoError(t, err)
	require.Len(t, comments, 3)
	reviews, _, err := c.PullRequests.ListReviews(t.Context(), "acme", "api", 2, nil)
	require.NoError(t, err)
	require.Equal(t, int64(13), reviews[0].GetID())
	require.Nil(t, reviews[1].SubmittedAt, "pending")
}

func TestPaging(t *testing.T) {
	t.Parallel()
	s := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{openTelemetry(t)}})
	c := client(t, s)
	opt := &github.PullRequestListOptions{State: "all", ListOptions: github.ListOptions{PerPage: 7}}
	seen := map[int]bool{}
	for {
		pulls, res, err := c.PullRequests.List(t.Context(), "open-telemetry", "opentelemetry-go", opt)
		require.NoError(t, err)
		for _, p := range pulls {
			require.False(t, seen[p.GetNumber()])
			seen[p.GetNumber()] = true
		}
		if res.NextPage == 0 {
			require.Equal(t, opt.Page-1, res.PrevPage)
			break
		}
		require.GreaterOrEqual(t, res.LastPage, res.NextPage)
		opt.Page = res.NextPage
	}
	want := 0
	for _, p := range openTelemetry(t).Pulls {
		if p.Repo == "opentelemetry-go" {
			want++
		}
	}
	require.Len(t, seen, want)
}

func TestLinksHaveTheAddressByID(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	r := get(t, s, "/api/v3/repos/acme/api/commits?per_page=1&page=2")
	require.Regexp(
		t,
		`^<http://[^/]+/api/v3/repositories/\d+/commits\?page=1&per_page=1>; rel="prev", <[^>]+page=3[^>]+>; `+
			`rel="next", <[^>]+page=4[^>]+>; rel="last", <[^>]+page=1&[^>]+>; rel="first"$`,
		r.Header.Get("Link"),
	)
	next := githubURL(t, r, "next")
	require.Equal(t, []any{"c2"}, column(t, get(t, s, next[len(s.URL):]).json(t), "sha"))
	require.Empty(t, get(t, s, "/repos/acme/api/commits").Header.Get("Link"), "one page")
}

func githubURL(t *testing.T, r response, rel string) string {
	t.Helper()
	for part := range splitLinks(r.Header.Get("Link")) {
		if part[1] == rel {
			return part[0]
		}
	}
	t.Fatal("no link " + rel)
	return ""
}

func TestConditionalRequestsAreFree(t *testing.T) {
	t.Parallel()
	s := acme(t, func(set *githubtest.Settings) {
		set.Credentials = []githubtest.Credential{
			{Token: githubtest.DefaultToken, Login: "ann"}, {Token: "other", Login: "bob"},
		}
	})
	const path = "/repos/acme/api/pulls?state=all"
	first := get(t, s, path)
	etag := first.Header.Get("ETag")
	require.Regexp(t, `^"[0-9a-f]{64}"$`, etag)
	again := get(t, s, path, "If-None-Match", etag)
	require.Equal(t, http.StatusNotModified, again.StatusCode)
	require.Empty(t, again.body)
	require.Equal(t, first.Header.Get("X-Ratelimit-Remaining"), again.Header.Get("X-Ratelimit-Remaining"))
	require.Equal(t, 1, s.PointsSpent(githubtest.ResourceCore))
	other := get(t, s, path, "If-None-Match", etag, "Authorization", "token other")
	require.Equal(t, http.StatusOK, other.StatusCode, "an ETag belongs to a token")
	s.Update(func(d *githubtest.Dataset) { d.Pull("api", 2).ClosedAt = new(at("08:00:00")) })
	require.Equal(t, http.StatusOK, get(t, s, path, "If-None-Match", etag).StatusCode)
	modified := get(t, s, "/repos/acme/api").Header.Get("Last-Modified")
	require.Equal(t, http.StatusNotModified, get(t, s, "/repos/acme/api", "If-Modified-Since", modified).StatusCode)
}

func TestCommitsFilterByCommitterDate(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	shas := func(query string) []any { return column(t, get(t, s, "/repos/acme/api/commits?"+query).json(t), "sha") }
	require.Equal(t, []any{"c3", "c2"}, shas("since=2026-03-04T02:00:00Z&until=2026-03-04T03:00:00Z"), "both inclusive")
	require.Equal(t, []any{"c2", "c1"}, shas("sha=c2"))
	require.Equal(t, http.StatusNotFound, get(t, s, "/repos/acme/api/commits?sha=nope").StatusCode)
	require.Equal(t, http.StatusUnprocessableEntity, get(t, s, "/repos/acme/api/commits?since=yesterday").StatusCode)
	s.Update(func(d *githubtest.Dataset) { // a commit of the night, pushed at eight
		d.Commits = append(
			d.Commits,
			githubtest.Commit{
				Repo: "api", SHA: "late", AuthoredAt: at("00:30:00"), CommittedAt: at("00:30:00"),
				CommitObject: githubtest.CommitObject{PushedAt: at("08:00:00")},
			},
		)
	})
	require.Equal(
		t, []any{"late", "c4", "c3", "c2", "c1"}, shas(""), "reachable from the head, children before parents",
	)
	require.NotContains(t, shas("since=2026-03-04T01:00:00Z"), any("late"))
	require.Nil(t, dig(t, get(t, s, "/repos/acme/api/commits/late").json(t), "author"))
	empty := get(t, s, "/repos/acme/empty/commits")
	require.Equal(t, http.StatusConflict, empty.StatusCode)
	require.Equal(t, "Git Repository is empty.", dig(t, empty.json(t), "message"))
}

func TestCommitAuthors(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) {
		d.Commits[0].Login = nil
		d.Commits[1].EmptyAuthor = true
		d.Commits[2].NoAuthor = true
		d.Commits[3].DiffUnavailable = true
	})
	rows := get(t, s, "/repos/acme/api/commits").json(t)
	require.Nil(t, dig(t, rows, 3, "author"))
	require.Equal(t, "Unlinked Author", dig(t, rows, 3, "commit", "author", "name"))
	require.Equal(t, map[string]any{}, dig(t, rows, 2, "author"))
	require.Nil(t, dig(t, rows, 1, "commit", "author"))
	require.Equal(t, http.StatusUnprocessableEntity, get(t, s, "/repos/acme/api/commits/c4").StatusCode)
}

// TestRewrittenBranch: a branch that was set back, another default branch, objects that are deleted, and commits
// without a common ancestor look as on GitHub with both APIs.
func TestRewrittenBranch(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) {
		d.Commits[3].GoneAt = at("07:00:00")
		push := func(branch, sha string, parents ...string) {
			d.Commits = append(d.Commits, githubtest.Commit{
				Repo: "api", SHA: sha, Branch: branch, CommittedAt: at("05:00:00"), AuthoredAt: at("05:00:00"),
				ParentSHAs: append([]string{}, parents...),
			})
		}
		push("next", "n1", "c2")
		push("other", "o1")
		repo := d.Repo("api")
		repo.Resets = []githubtest.Reset{{SHA: "c3", At: at("06:00:00")}}
		repo.Switches = []githubtest.Switch{
			{Branch: "next", At: at("06:30:00")}, {Branch: "no such branch", At: at("06:40:00")},
		}
	})
	commits := func(parameters string) []any {
		return column(t, get(t, s, "/repos/acme/api/commits?"+parameters).json(t), "sha")
	}
	s.HideAfter(at("06:00:00"))
	require.Equal(t, []any{"c3", "c2", "c1"}, commits(""))
	require.Equal(t, []any{"c4", "c3", "c2", "c1"}, commits("sha=c4"))
	s.ShowAll()
	require.Equal(t, []any{"n1", "c2", "c1"}, commits(""))
	require.Equal(t, "next", dig(t, get(t, s, "/repos/acme/api").json(t), "default_branch"))
	require.Equal(t, http.StatusNotFound, get(t, s, "/repos/acme/api/commits?sha=c4").StatusCode)
	require.Equal(t, http.StatusNotFound, get(t, s, "/repos/acme/api/compare/HEAD...c4").StatusCode)
	unrelated := get(t, s, "/repos/acme/api/compare/n1...o1")
	require.Equal(t, http.StatusNotFound, unrelated.StatusCode)
	require.Equal(t, "No common ancestor between n1 and o1.", dig(t, unrelated.json(t), "message"))
	data := ask(t, s, `{ repository(owner: "acme", name: "api") { defaultBranchRef { name target { oid } }
		gone: object(oid: "c4") { oid } there: object(oid: "c3") { oid } } }`, nil).json(t)
	require.Equal(t, "next", dig(t, data, "data", "repository", "defaultBranchRef", "name"))
	require.Nil(t, dig(t, data, "data", "repository", "gone"))
	require.Equal(t, "c3", dig(t, data, "data", "repository", "there", "oid"))
}

func TestCompare(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) { // a force push: f1 replaces c3 and c4
		d.Commits = append(
			d.Commits,
			githubtest.Commit{
				Repo: "api", SHA: "f1", CommittedAt: at("05:00:00"), AuthoredAt: at("05:00:00"),
				ParentSHAs: []string{"c2"},
			},
		)
	})
	for basehead, want := range map[string]struct {
		status        string
		ahead, behind float64
		shas          []any
	}{
		"c1...c3":   {"ahead", 2, 0, []any{"c2", "c3"}},
		"c3...c1":   {"behind", 0, 2, []any{}},
		"c1...c1":   {"identical", 0, 0, []any{}},
		"c4...main": {"diverged", 1, 2, []any{"f1"}},
	} {
		j := get(t, s, "/repos/acme/api/compare/"+basehead).json(t)
		require.Equal(t, want.status, dig(t, j, "status"), basehead)
		require.Equal(
			t, []any{want.ahead, want.behind, want.ahead},
			[]any{dig(t, j, "ahead_by"), dig(t, j, "behind_by"), dig(t, j, "total_commits")},
		)
		require.Equal(t, want.shas, column(t, dig(t, j, "commits"), "sha"))
	}
	page := get(t, s, "/repos/acme/api/compare/c1...c4?per_page=2&page=2")
	require.Equal(t, []any{"c4"}, column(t, dig(t, page.json(t), "commits"), "sha"))
	require.Contains(t, page.Header.Get("Link"), `rel="prev"`)
	require.Equal(t, http.StatusNotFound, get(t, s, "/repos/acme/api/compare/gone...main").StatusCode)
	require.Equal(t, http.StatusNotFound, get(t, s, "/repos/acme/api/compare/main").StatusCode)
}

func TestMergeCommitsAndResets(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) {
		d.Commits[3].Parents = 2
		d.Repo("api").Resets = []githubtest.Reset{{SHA: "c2", At: at("09:00:00")}}
	})
	require.Equal(
		t, []any{"c3", "c2"}, column(t, dig(t, get(t, s, "/repos/acme/api/commits/c4").json(t), "parents"), "sha"),
	)
	require.Equal(
		t, []any{"c2", "c1"}, column(t, get(t, s, "/repos/acme/api/commits").json(t), "sha"), "the head was moved back",
	)
	require.Equal(t, "2026-03-04T09:00:00Z", dig(t, get(t, s, "/repos/acme/api").json(t), "pushed_at"))
}

func TestPullDefaults(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	numbers := func(query string) []any {
		return column(t, get(t, s, "/repos/acme/api/pulls?"+query).json(t), "number")
	}
	require.Equal(t, []any{2.}, numbers(""), "open ones")
	require.Equal(t, []any{3., 1.}, numbers("state=closed"), "newest first when sorted by creation")
	require.Equal(t, []any{1., 3., 2.}, numbers("state=all&sort=updated"), "oldest first when sorted by update")
	one := get(t, s, "/repos/acme/api/pulls/1").json(t)
	require.Equal(t, true, dig(t, one, "merged"))
	require.Equal(t, "ann", dig(t, one, "merged_by", "login"))
	require.Equal(t, http.StatusNotFound, get(t, s, "/repos/acme/api/pulls/7").StatusCode)
}

func TestCommentsSince(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	ids := func(query string) []any {
		return column(t, get(t, s, "/repos/acme/api/issues/comments?"+query).json(t), "id")
	}
	require.Equal(t, []any{21., 22., 23.}, ids("direction=desc"), "by id without sort")
	require.Equal(t, []any{22., 23.}, ids("since=2026-03-04T03:10:00Z"), "inclusive, and edits come back")
	require.Equal(t, []any{21., 23., 22.}, ids("sort=updated&direction=asc"))
	require.Equal(t, []any{23., 22., 21.}, ids("sort=created"))
	require.Equal(t, []any{22., 23.}, column(t, get(t, s, "/repos/acme/api/issues/7/comments").json(t), "id"))
}

func TestDataGoesOnArriving(t *testing.T) {
	t.Parallel()
	c := &clock{at("03:00:00")}
	s := acme(t, func(set *githubtest.Settings) { set.Now = c.now })
	pull := func() any { return get(t, s, "/repos/acme/api/pulls/3").json(t) }
	head := func() any { return dig(t, get(t, s, "/repos/acme/api/commits").json(t), 0, "sha") }
	require.Equal(t, "c3", head())
	require.Equal(t, "Not Found", dig(t, pull(), "message"))
	c.Time = at("04:30:00")
	require.Equal(t, "c4", head())
	require.Equal(t, "open", dig(t, pull(), "state"))
	c.Time = at("05:00:00")
	require.Equal(t, "closed", dig(t, pull(), "state"))
	s.HideAfter(at("03:45:00"))
	require.Equal(t, "c3", head())
	require.Equal(t, "2026-03-04T03:30:00Z", dig(t, pull(), "updated_at"))
	s.ShowAll()
	require.Equal(t, "c4", head())
}

func TestRenameAndTransfer(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	id := dig(t, get(t, s, "/repos/acme/api").json(t), "id")
	s.Update(func(d *githubtest.Dataset) { d.Rename("api", "core") })
	r := get(t, s, "/repos/acme/api/commits?per_page=1")
	require.Equal(t, http.StatusMovedPermanently, r.StatusCode)
	require.Regexp(t, `/repositories/\d+/commits\?per_page=1$`, r.Header.Get("Location"))
	require.Equal(t, []any{"c4"}, column(t, get(t, s, r.Header.Get("Location")[len(s.URL):]).json(t), "sha"))
	core := get(t, s, "/repos/acme/core").json(t)
	require.Equal(t, id, dig(t, core, "id"), "the id stays")
	info := s.Requests()[len(s.Requests())-2]
	require.Equal(
		t, []string{"/repos/{owner}/{repo}/commits", "acme", "core"}, []string{info.Route, info.Org, info.Repo},
	)
	s.Update(func(d *githubtest.Dataset) { d.Repo("core").TransferredTo = "elsewhere" })
	require.Equal(t, http.StatusMovedPermanently, get(t, s, "/repos/acme/core").StatusCode)
	require.Equal(t, []any{"empty"}, column(t, get(t, s, "/orgs/acme/repos").json(t), "name"))
	require.Equal(t, "elsewhere/core", dig(t, get(t, s, "/repos/elsewhere/core").json(t), "full_name"))
}

func TestAccess(t *testing.T) {
	t.Parallel()
	other := small()
	other.Org.Login = "other"
	s := acme(t, func(set *githubtest.Settings) {
		set.Datasets = append(set.Datasets, other)
		set.Credentials = []githubtest.Credential{
			{
				Token: githubtest.DefaultToken, Name: "acme only", Orgs: []string{"acme"}, PublicOnly: true,
				Forbidden: []string{"issues"},
			},
		}
	})
	require.Equal(t, http.StatusNotFound, get(t, s, "/orgs/other").StatusCode)
	require.Equal(t, http.StatusForbidden, get(t, s, "/repos/acme/api/issues/comments").StatusCode)
	require.Equal(t, http.StatusUnauthorized, get(t, s, "/orgs/acme", "Authorization", "Bearer wrong").StatusCode)
	require.Equal(t, http.StatusUnauthorized, get(t, s, "/orgs/acme", "Authorization", "").StatusCode)
	require.Equal(t, http.StatusOK, get(t, s, "/meta", "Authorization", "").StatusCode)
	require.Equal(t, http.StatusNotFound, get(t, s, "/orgs/acme/").StatusCode)
	s.Update(func(d *githubtest.Dataset) { d.Repo("api").Private = true })
	require.Equal(t, http.StatusNotFound, get(t, s, "/repos/acme/api").StatusCode)
	s.Update(func(d *githubtest.Dataset) { d.Repo("empty").Blocked = true })
	require.Equal(t, http.StatusUnavailableForLegalReasons, get(t, s, "/repos/acme/empty").StatusCode)
	require.Equal(t, "acme only", s.Requests()[0].Credential)
	s.RevokeToken(githubtest.DefaultToken)
	require.Equal(t, http.StatusUnauthorized, get(t, s, "/orgs/acme").StatusCode)
}

func TestDeletedUser(t *testing.T) {
	t.Parallel()
	s := acme(t, nil)
	s.Update(func(d *githubtest.Dataset) {
		d.DeleteUser("bob")
		d.User("ann").RenamedTo = "anna"
	})
	require.Nil(t, dig(t, get(t, s, "/repos/acme/api/pulls/3").json(t), "user"))
	require.Equal(t, "anna", dig(t, get(t, s, "/repos/acme/api/pulls/1").json(t), "user", "login"))
	j := ask(t, s, `{repository(owner:"acme",name:"api"){pullRequest(number:3){author{login}}}}`, nil).json(t)
	require.Nil(t, dig(t, j, "data", "repository", "pullRequest", "author"))
}

func TestStatsContributors(t *testing.T) {
	t.Parallel()
	s := acme(t, func(set *githubtest.Settings) { set.StatsZeroFrom = 5 })
	const path = "/repos/acme/api/stats/contributors"
	require.Equal(t, http.StatusAccepted, get(t, s, path).StatusCode)
	j := get(t, s, path).json(t)
	require.Equal(t, "ann", dig(t, j, 0, "author", "login"))
	require.Equal(t, 4., dig(t, j, 0, "total"))
	week := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	require.Equal(t, time.Sunday, week.Weekday())
	require.Equal(t, map[string]any{"w": float64(week.Unix()), "a": 40., "d": 4., "c": 4.}, dig(t, j, 0, "weeks", 0))
	s.Update(func(d *githubtest.Dataset) {
		d.Commits[2].Parents = 2
		d.Commits = append(
			d.Commits,
			githubtest.Commit{
				Repo: "api", SHA: "c5", Login: new("ann"), CommittedAt: at("05:00:00"), AuthoredAt: at("05:00:00"),
				Additions: 9,
			},
		)
	})
	require.Equal(t, http.StatusAccepted, get(t, s, path).StatusCode, "recomputed after a push")
	week0 := dig(t, get(t, s, path).json(t), 0, "weeks", 0)
	require.Equal(
		t, []any{4., 0., 0.}, []any{dig(t, week0, "c"), dig(t, week0, "a"), dig(t, week0, "d")},
		"no merges, and no lines in a large repository",
	)
	require.Equal(t, http.StatusNoContent, get(t, s, "/repos/acme/empty/stats/contributors").StatusCode)
}

func splitLinks(header string) func(func([2]string) bool) {
	return func(yield func([2]string) bool) {
		for _, m := range linkPattern.FindAllStringSubmatch(header, -1) {
			if !yield([2]string{m[1], m[2]}) {
				return
			}
		}
	}
}

var linkPattern = regexp.MustCompile(`<([^>]+)>; rel="(\w+)"`)
