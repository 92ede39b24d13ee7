// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"net/http"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addRepoRoutes(t *routeTable) {
	t.repo("", "metadata", (*exchange).getRepo)
	t.repo("/branches", "contents", (*exchange).listBranches)
	t.repo("/branches/{branch...}", "contents", (*exchange).getBranch)
	t.repo("/tags", "metadata", (*exchange).listTags)
	t.repo("/releases", "contents", (*exchange).listReleases)
	t.repo("/releases/latest", "contents", (*exchange).latestRelease)
}

func (x *exchange) getRepo() response {
	repository := x.repoJSON(x.repository)
	repository["subscribers_count"], repository["network_count"] = x.repository.Watchers, x.repository.Forks
	a := newResponse(http.StatusOK, repository)
	a.lastModified = x.RepoUpdatedAt(x.repository)
	if t := x.PushedAt(x.repository); t.After(a.lastModified) {
		a.lastModified = t
	}
	return a
}

// listBranches lists the branches by name (https://docs.github.com/rest/branches/branches#list-branches).
func (x *exchange) listBranches() response {
	return listRepo(x, x.BranchNames(x.repository), func(name string) obj {
		sha := x.Head(x.repository, name).SHA
		return obj{
			"name": name, "protected": false,
			"commit": obj{"sha": sha, "url": x.repoURL(x.repository) + "/commits/" + sha},
		}
	})
}

// getBranch returns a branch (https://docs.github.com/rest/branches/branches#get-a-branch).
func (x *exchange) getBranch() response {
	name := x.pathVars["branch"]
	head := x.Head(x.repository, name)
	if head == nil {
		return errorResponse(http.StatusNotFound, "Branch not found")
	}
	return newResponse(http.StatusOK, obj{
		"name": name, "commit": x.commitJSON(head), "protected": false,
		"_links": obj{
			"self": x.repoURL(x.repository) + "/branches/" + name, "html": x.repository.WebURL() + "/tree/" + name,
		},
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
		"default_branch": x.DefaultBranch(r), "description": nil, "language": x.language(r), "size": x.Size(r),
		"is_template": r.Template,
		"created_at":  served.FormatTime(r.Created), "updated_at": served.FormatTime(x.RepoUpdatedAt(r)),
		"pushed_at": served.FormatTime(x.PushedAt(r)),
		"html_url":  r.WebURL(), "url": x.repoURL(r), "clone_url": r.WebURL() + ".git",
		"stargazers_count": r.Stars, "watchers_count": r.Stars, "forks_count": r.Forks, "open_issues_count": 0,
		"topics":     append([]string{}, r.Topics...),
		"has_issues": !x.AreIssuesOff(r), "has_wiki": false, "has_projects": false,
	}
	if !slices.Contains(x.server.settings.MissingFields, "Repository.hasPullRequestsEnabled") {
		j["has_pull_requests"] = !x.ArePullsOff(r)
	}
	return j
}

// language returns the language of a repository; nil for none, and for an empty one.
func (x *exchange) language(r *served.Repo) any {
	if r.Language == "" || x.IsEmpty(r) {
		return nil
	}
	return r.Language
}

// listTags lists the tags (https://docs.github.com/rest/repos/repos#list-repository-tags).
func (x *exchange) listTags() response {
	return listRepo(x, x.TagNames(x.repository), func(name string) obj { return obj{"name": name} })
}

// listReleases lists the releases (https://docs.github.com/rest/releases/releases#list-releases).
func (x *exchange) listReleases() response {
	return listRepo(x, x.Releases(x.repository), x.releaseJSON)
}

// latestRelease returns the latest release (https://docs.github.com/rest/releases/releases#get-the-latest-release).
func (x *exchange) latestRelease() response {
	release, ok := x.LatestRelease(x.repository)
	if !ok {
		return notFoundResponse()
	}
	return newResponse(http.StatusOK, x.releaseJSON(release))
}

// releaseJSON returns a release.
func (x *exchange) releaseJSON(r served.Release) obj {
	return obj{
		"id": r.ID, "tag_name": r.Tag, "draft": false, "prerelease": r.Prerelease, "author": x.userJSON(r.Author),
		"created_at": served.FormatTime(r.Created), "published_at": served.FormatTime(r.Published),
	}
}
