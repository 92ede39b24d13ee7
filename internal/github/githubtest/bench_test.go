// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// large is an organization of 500 repositories with 100 commits and 50 pull requests each.
func large() *githubtest.Dataset {
	d := &githubtest.Dataset{Org: githubtest.Org{Login: "acme", From: at("00:00:00"), Until: at("12:00:00")}}
	for r := range 500 {
		name := fmt.Sprintf("repo-%03d", r)
		d.Repos = append(d.Repos, githubtest.Repo{Name: name, CreatedAt: at("00:00:00")})
		for i := range 100 {
			when := at("00:00:00").Add(time.Duration(i) * time.Minute)
			d.Commits = append(
				d.Commits,
				githubtest.Commit{
					Repo: name, SHA: fmt.Sprintf("%s-%d", name, i), Login: new("ann"), AuthoredAt: when,
					CommittedAt: when,
				},
			)
			if i%2 == 0 {
				d.Pulls = append(
					d.Pulls, githubtest.Pull{Repo: name, Number: i + 1, Login: new("ann"), CreatedAt: when},
				)
				d.Comments = append(
					d.Comments,
					githubtest.Comment{
						Repo: name, Issue: i + 1, ID: int64(r*100 + i + 1), CreatedAt: when, UpdatedAt: when,
					},
				)
			}
		}
	}
	return d
}

func BenchmarkProbePage(b *testing.B) {
	s := githubtest.NewServer(githubtest.Settings{Datasets: []*githubtest.Dataset{large()}})
	const query = `{organization(login:"acme"){repositories(first:100){nodes{pushedAt ` +
		`pullRequests(first:1,orderBy:{field:UPDATED_AT,direction:DESC}){nodes{updatedAt}} ` +
		`issues(first:1){nodes{updatedAt}} defaultBranchRef{target{oid}}}}}}`
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/graphql", graphqlBody(query))
		r.Header.Set("Authorization", "bearer "+githubtest.DefaultToken)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		require.Equal(b, http.StatusOK, w.Code)
	}
}

func BenchmarkUpdate(b *testing.B) {
	s := githubtest.NewServer(githubtest.Settings{Datasets: []*githubtest.Dataset{large()}})
	for b.Loop() {
		s.Update(func(d *githubtest.Dataset) { d.Repo("repo-001").Archived = true })
	}
}
