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

// routeTable has the endpoints of the REST API. A file rest_NAME.go adds its own; the first one that matches is used.
type routeTable struct{ routes []*route }

// get adds a GET endpoint by GitHub's template of its path, and returns it for further settings.
func (t *routeTable) get(template string, handler func(*exchange) response) *route {
	r := &route{method: http.MethodGet, template: template, segments: strings.Split(template, "/"), handler: handler}
	t.routes = append(t.routes, r)
	return r
}

// repo adds a GET endpoint of a repository, by name and by id, that needs a permission; "" for none.
func (t *routeTable) repo(below, permission string, handler func(*exchange) response) {
	template := "/repos/{owner}/{repo}" + below
	t.get(template, handler).permission = permission
	byID := t.get("/repositories/{repository_id}"+below, handler)
	byID.permission, byID.template = permission, template
}

// matches compares the segments of a path with the template, and returns the variables.
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
