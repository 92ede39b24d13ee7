// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"net/http"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addRepoRoutes(t *routeTable) {
	t.repo("", "", (*exchange).getRepo)
	t.repo("/branches", "contents", (*exchange).listBranches)
}

func (x *exchange) getRepo() response {
	a := newResponse(http.StatusOK, x.repoJSON(x.repository))
	a.lastModified = x.RepoUpdatedAt(x.repository)
	if t := x.PushedAt(x.repository); t.After(a.lastModified) {
		a.lastModified = t
	}
	return a
}

func (x *exchange) listBranches() response {
	return listRepo(x, x.BranchNames(x.repository), func(name string) obj {
		sha := x.Head(x.repository, name).SHA
		return obj{
			"name": name, "protected": false,
			"commit": obj{"sha": sha, "url": x.repoURL(x.repository) + "/commits/" + sha},
		}
	})
}

// repoURL returns the address of a repository by name, as the url fields of responses have it.
func (x *exchange) repoURL(r *served.Repo) string { return x.baseURL + "/repos/" + r.FullName() }

// repoJSON returns a repository (https://docs.github.com/rest/repos/repos#get-a-repository).
func (x *exchange) repoJSON(r *served.Repo) obj {
	j := obj{
		"id": r.DatabaseID, "node_id": r.NodeID(), "name": r.Name,
		"full_name": r.FullName(),
		"owner":     x.ownerJSON(r),
		"private":   r.IsPrivate(), "visibility": r.ServedVisibility, "fork": r.Fork, "archived": r.Archived,
		"disabled":       r.Disabled,
		"default_branch": x.DefaultBranch(r), "description": nil, "language": nil, "size": len(r.Commits),
		"is_template": false,
		"created_at":  served.FormatTime(r.Created), "updated_at": served.FormatTime(x.RepoUpdatedAt(r)),
		"pushed_at": served.FormatTime(x.PushedAt(r)),
		"html_url":  r.WebURL(), "url": x.repoURL(r), "clone_url": r.WebURL() + ".git",
		"stargazers_count": 0, "watchers_count": 0, "forks_count": 0, "open_issues_count": 0, "topics": []string{},
		"has_issues": !x.AreIssuesOff(r), "has_wiki": false, "has_projects": false,
	}
	if !slices.Contains(x.server.settings.MissingFields, "Repository.hasPullRequestsEnabled") {
		j["has_pull_requests"] = !x.ArePullsOff(r)
	}
	return j
}
