// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"net/http"
	"strings"
)

// route is an endpoint, by GitHub's own template.
type route struct {
	method, template string
	segments         []string
	handler          func(*exchange) response
	// permission is what a credential must not lack.
	permission string
	// app needs an app's JSON web token, open needs no token, free is not charged.
	app, open, free bool
}

func restRoutes() []route {
	var all []route
	get := func(template string, h func(*exchange) response) *route {
		all = append(
			all, route{method: http.MethodGet, template: template, segments: strings.Split(template, "/"), handler: h},
		)
		return &all[len(all)-1]
	}
	get("/meta", (*exchange).meta).open = true
	get("/rate_limit", (*exchange).rateLimit).free = true
	get("/user", (*exchange).authenticatedUser)
	get("/orgs/{org}", (*exchange).getOrg)
	get("/orgs/{org}/repos", (*exchange).listOrgRepos).permission = "metadata"
	get("/organizations/{organization_id}/repos", (*exchange).listOrgRepos)
	get("/app", (*exchange).getApp).app = true
	get("/app/installations", (*exchange).listInstallations).app = true
	get("/orgs/{org}/installation", (*exchange).orgInstallation).app = true
	repo := func(below, permission string, h func(*exchange) response) {
		template := "/repos/{owner}/{repo}" + below
		get(template, h).permission = permission
		byID := get("/repositories/{repository_id}"+below, h)
		byID.permission, byID.template = permission, template
	}
	repo("", "", (*exchange).getRepo)
	repo("/commits", "contents", (*exchange).listCommits)
	repo("/commits/{ref...}", "contents", (*exchange).getCommit)
	repo("/compare/{basehead...}", "contents", (*exchange).compare)
	repo("/branches", "contents", (*exchange).listBranches)
	repo("/pulls", "pull_requests", (*exchange).listPulls)
	repo("/pulls/{pull_number}", "pull_requests", (*exchange).getPull)
	repo("/pulls/{pull_number}/reviews", "pull_requests", (*exchange).listReviews)
	repo("/issues", "issues", (*exchange).listIssues)
	repo("/issues/comments", "issues", (*exchange).listComments)
	repo("/issues/{issue_number}/comments", "issues", (*exchange).listIssueComments)
	repo("/issues/{issue_number}/events", "issues", (*exchange).listIssueEvents)
	repo("/stats/contributors", "", (*exchange).statsContributors)
	tokens := get("/app/installations/{installation_id}/access_tokens", (*exchange).createInstallationToken)
	tokens.method, tokens.app = http.MethodPost, true
	return all
}

// match finds the route of a path: the first in the list.
func (s *Server) match(method, path string) (*route, map[string]string) {
	parts := strings.Split(path, "/")
	for i := range s.routes {
		if s.routes[i].method != method {
			continue
		}
		if vars, ok := s.routes[i].matches(parts); ok {
			return &s.routes[i], vars
		}
	}
	return nil, nil
}

func (r *route) matches(parts []string) (map[string]string, bool) {
	vars := map[string]string{}
	for i, seg := range r.segments {
		if i >= len(parts) {
			return nil, false
		}
		name, variable := strings.CutPrefix(seg, "{")
		name = strings.TrimSuffix(name, "}")
		switch rest, isRest := strings.CutSuffix(name, "..."); {
		case !variable && seg != parts[i], variable && parts[i] == "":
			return nil, false
		case isRest:
			vars[rest] = strings.Join(parts[i:], "/")
			return vars, true
		case variable:
			vars[name] = parts[i]
		}
	}
	return vars, len(parts) == len(r.segments)
}
