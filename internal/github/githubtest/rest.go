// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"strings"
	"sync"
)

// restRoutes returns all endpoints.
var restRoutes = sync.OnceValue(func() []*route {
	t := &routeTable{}
	for _, add := range []func(*routeTable){
		addAppRoutes, addUserRoutes, addOrgRoutes, addRepoRoutes, addCommitRoutes, addPullRoutes, addIssueRoutes,
		addCommentRoutes, addStatsRoutes, addTeamRoutes, addContributorRoutes,
	} {
		add(t)
	}
	return t.routes
})

// matchRoute returns the endpoint of a path and the variables in the path; nil for an unknown path.
func matchRoute(method, path string) (*route, map[string]string) {
	parts := strings.Split(path, "/")
	for _, r := range restRoutes() {
		if r.method != method {
			continue
		}
		if vars, ok := r.matches(parts); ok {
			return r, vars
		}
	}
	return nil, nil
}
