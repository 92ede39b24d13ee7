// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

func addOrgRoutes(t *routeTable) {
	t.get("/orgs/{org}", (*exchange).getOrg)
	t.get("/orgs/{org}/repos", (*exchange).listOrgRepos).permission = "metadata"
	t.get("/orgs/{org}/properties/values", (*exchange).listPropertyValues).permission = "organization_custom_properties"
	t.get("/organizations/{organization_id}/repos", (*exchange).listOrgRepos)
}

func (x *exchange) getOrg() response {
	o := x.Org(x.pathVars["org"])
	if o == nil {
		return notFoundResponse()
	}
	a := newResponse(http.StatusOK, x.orgJSON(o))
	a.lastModified = o.Created
	return a
}

// listOrgRepos lists the repositories of the organization that the path names by login or by id
// (https://docs.github.com/rest/repos/repos#list-organization-repositories).
func (x *exchange) listOrgRepos() response {
	o := x.Org(x.pathVars["org"])
	if id := x.pathVars["organization_id"]; id != "" {
		if o = x.Index.OrgByID[served.ParseInt(id)]; o != nil {
			o = x.Org(o.Login)
		}
	}
	if o == nil {
		return notFoundResponse()
	}
	q := x.request.URL.Query()
	repos := slices.DeleteFunc(x.Repos(o), func(r *served.Repo) bool { return !repoOfType(r, q.Get("type")) })
	all := len(repos)
	repos = slices.DeleteFunc(repos, x.IsForbidden)
	x.sortRepos(repos, q.Get("sort"), q.Get("direction"))
	a := list(x, fmt.Sprintf("%s/organizations/%d/repos", x.baseURL, o.DatabaseID), repos, x.repoJSON)
	if len(repos) < all {
		a.header.Set("X-Github-Sso", fmt.Sprintf("partial-results; organizations=%d", o.DatabaseID))
	}
	return a
}

// repoOfType reports whether the parameter type of a listing selects a repository.
func repoOfType(r *served.Repo, typ string) bool {
	switch typ {
	case "public":
		return !r.IsPrivate()
	case "private":
		return r.IsPrivate()
	case "internal":
		return r.ServedVisibility == "internal"
	case "forks":
		return r.Fork
	case "sources":
		return !r.Fork
	default:
		return true
	}
}

func (x *exchange) sortRepos(repos []*served.Repo, by, direction string) {
	compare := func(a, b *served.Repo) int { return a.Created.Compare(b.Created) }
	switch by {
	case "full_name":
		compare = func(a, b *served.Repo) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) }
		direction = cmp.Or(direction, "asc")
	case "updated":
		compare = func(a, b *served.Repo) int { return x.RepoUpdatedAt(a).Compare(x.RepoUpdatedAt(b)) }
	case "pushed":
		compare = func(a, b *served.Repo) int { return x.PushedAt(a).Compare(x.PushedAt(b)) }
	}
	sortBy(repos, compare, func(r *served.Repo) int64 { return r.DatabaseID }, direction != "asc")
}

func (x *exchange) orgJSON(o *served.Org) obj {
	return obj{
		"login": o.Login, "id": o.DatabaseID, "node_id": o.NodeID(),
		"type": "Organization", "name": o.Login,
		"url": x.baseURL + "/orgs/" + o.Login, "html_url": served.WebURL + "/" + o.Login,
		"avatar_url": served.AvatarURL(o.DatabaseID),
		"repos_url":  x.baseURL + "/orgs/" + o.Login + "/repos", "public_repos": len(x.Repos(o)),
		"created_at": served.FormatTime(o.Created), "updated_at": served.FormatTime(o.Created),
	}
}

// listPropertyValues lists the repositories with the values of their custom properties
// (https://docs.github.com/rest/orgs/custom-properties#list-custom-property-values-for-organization-repositories).
func (x *exchange) listPropertyValues() response {
	o := x.Org(x.pathVars["org"])
	if o == nil {
		return notFoundResponse()
	}
	repos := x.Repos(o)
	x.sortRepos(repos, "full_name", "asc")
	return list(x, x.baseURL+"/orgs/"+o.Login+"/properties/values", repos, func(r *served.Repo) obj {
		values := []obj{}
		for _, name := range slices.Sorted(maps.Keys(r.Properties)) {
			values = append(values, obj{"property_name": name, "value": r.Properties[name]})
		}
		return obj{
			"repository_id": r.DatabaseID, "repository_name": r.Name, "repository_full_name": r.FullName(),
			"properties": values,
		}
	})
}
