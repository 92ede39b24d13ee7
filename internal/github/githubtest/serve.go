// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/graphql"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// ServeHTTP serves one request: it finds the endpoint and the credential, calls the hooks, reserves a slot, applies a
// fault or computes the response, and writes it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.exchange(r)
	a, ok := x.authenticate()
	hooks := x.assignSeq()
	for _, hook := range hooks {
		hook(x.info)
	}
	if ok && !s.limits.acquireSlot(x.cred.bucket(), s.settings.EnforceLimits) {
		a = x.secondaryLimitResponse(s.settings.Limits.Status, time.Minute)
	} else if ok {
		defer s.limits.releaseSlot(x.cred.bucket())
		a = x.respond()
	}
	x.info.Status = a.status
	x.writeResponse(w, a)
}

// exchange begins to serve a request.
func (s *Server) exchange(r *http.Request) *exchange {
	x := &exchange{server: s, request: r, path: r.URL.Path}
	x.info = RequestInfo{Time: s.now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery}
	x.info.Resource = ResourceCore
	prefix := ""
	switch {
	case x.path == "/api/graphql":
		x.path = "/graphql"
	case strings.HasPrefix(x.path, "/api/v3/"):
		prefix, x.path = "/api/v3", strings.TrimPrefix(x.path, "/api/v3")
	}
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	x.baseURL = scheme + "://" + r.Host + prefix
	return x
}

// authenticate finds the route and the credential. With false, the response is the refusal.
func (x *exchange) authenticate() (response, bool) {
	x.route, x.pathVars = matchRoute(x.request.Method, x.path)
	if x.route != nil {
		x.info.Route = x.route.template
	}
	if x.path == "/graphql" {
		x.info.Route, x.info.Resource = "/graphql", ResourceGraphQL
	}
	cred, given := x.server.credentials.find(x.request.Header.Get("Authorization"), x.server.now())
	if cred == nil && given && x.route != nil && x.route.app {
		var refusal response
		if cred, refusal = x.authenticateApp(); cred == nil {
			x.setCredential(&Credential{Orgs: []string{}})
			return refusal, false
		}
	}
	if cred == nil && !given && x.route != nil && x.route.open {
		cred = &Credential{Name: "anonymous", Orgs: []string{}}
	}
	if cred == nil {
		x.setCredential(&Credential{Orgs: []string{}})
		if !given {
			return errorResponse(http.StatusUnauthorized, "Requires authentication"), false
		}
		return errorResponse(http.StatusUnauthorized, "Bad credentials"), false
	}
	x.identify(cred)
	return response{}, true
}

// setCredential sets the credential, and the view to what it can see at this moment.
func (x *exchange) setCredential(cred *Credential) {
	x.cred, x.View = cred, x.server.content.view(x.server.now(), cred.access())
}

// identify sets the credential, and records whom and what the request is about.
func (x *exchange) identify(cred *Credential) {
	x.info.Credential = cred.name()
	x.setCredential(cred)
	if x.path == "/graphql" {
		x.query = graphql.Parse(x.request, x.server.settings.MissingFields)
		subject := x.query.Subject(x.Index)
		x.info.Operation, x.info.Variables = subject.Operation, subject.Variables
		x.info.Org, x.info.Repo = subject.Org, subject.Repo
		return
	}
	x.info.Org, x.info.Repo = x.pathVars["org"], x.pathVars["repo"]
	if o := x.pathVars["owner"]; o != "" {
		x.info.Org = o
	}
	if r := x.Index.RepoByID[served.ParseInt(x.pathVars["repository_id"])]; r != nil {
		x.info.Org, x.info.Repo = r.Owner, r.Name
	}
}

// assignSeq numbers the request, and returns the functions of OnRequest.
func (x *exchange) assignSeq() []func(RequestInfo) {
	seq, hooks := x.server.log.nextSeq()
	x.info.Seq = seq
	return hooks
}

// respond returns the response of the API, or that of a fault or of a limit in its place.
func (x *exchange) respond() response {
	x.setCredential(x.cred) // hooks may have changed the data
	x.fault = x.server.faults.effectFor(x.info)
	if x.fault != nil {
		x.info.Fault = x.fault.Kind
		if a, ok := x.responseInstead(*x.fault); ok {
			return a
		}
	}
	if x.query != nil {
		return x.replaceFaultValues(x.respondGraphQL(), "data")
	}
	return x.respondREST()
}

// respondGraphQL charges and executes the query.
func (x *exchange) respondGraphQL() response {
	if refusal := x.query.Refusal; refusal != nil {
		if refusal.Errors == nil {
			return errorResponse(refusal.Status, refusal.Message)
		}
		return newResponse(refusal.Status, obj{"errors": refusal.Errors})
	}
	if !x.query.IsDryRun() {
		if a, ok := x.charge(x.query.Points()); !ok {
			return a
		}
	}
	env := graphql.Environment{View: x.View, Viewer: cmp.Or(x.cred.Login, x.cred.name())}
	if !x.server.settings.NoRateLimits {
		q := x.server.limits.quota(x.bucketKey(), x.server.now())
		env.Quota = &graphql.Quota{Limit: q.limit, Used: q.used, Remaining: q.remaining, Reset: q.reset}
	}
	if x.fault != nil {
		env.Fault = x.fault.graphqlFault()
	}
	return newResponse(http.StatusOK, x.query.Execute(env))
}

// respondREST charges the request, calls its endpoint, and refunds a 304.
func (x *exchange) respondREST() response {
	if x.route != nil && x.route.free {
		return x.route.handler(x)
	}
	if a, ok := x.charge(1); !ok {
		return a
	}
	a := x.respondRoute()
	if x.fault != nil {
		a = x.replaceFaultValues(x.addEndlessLink(*x.fault, a), "")
	}
	if a.applyValidators(x.request) {
		x.info.Cost = 0
		x.server.limits.refund(x.bucketKey(), 1, x.server.now())
	}
	return a
}

// respondRoute calls the endpoint when the credential has its permission.
func (x *exchange) respondRoute() response {
	if x.route == nil {
		return notFoundResponse()
	}
	if x.route.app && x.cred.app == nil {
		return errorResponse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	if x.pathVars["owner"] == "" && x.pathVars["repository_id"] == "" {
		if x.route.permission != "" && x.Access.Lacks(x.route.permission) {
			return x.missingPermissionResponse(x.route.permission)
		}
		return x.route.handler(x)
	}
	return x.respondRepo()
}

// respondRepo calls the endpoint of a repository, which the path has by id or by name. It redirects a former name, and
// refuses what the credential or the repository does not allow.
func (x *exchange) respondRepo() response {
	if id := x.pathVars["repository_id"]; id != "" {
		x.repository = x.RepoByID(served.ParseInt(id))
	} else {
		var moved bool
		x.repository, moved = x.RepoByName(x.pathVars["owner"], x.pathVars["repo"])
		if moved && x.repository != nil {
			return x.movedResponse()
		}
	}
	switch {
	case x.repository == nil:
		return notFoundResponse()
	case x.repository.Blocked:
		return x.blockedResponse()
	case x.IsForbidden(x.repository):
		a := errorResponse(http.StatusForbidden, served.SSOMessage)
		a.header.Set(
			"X-Github-Sso",
			"required; url=https://github.com/orgs/"+x.repository.Owner+"/sso?authorization_request=AAAA",
		)
		return a
	case x.isFeatureDisabled():
		return notFoundResponse()
	case x.lacksPermission():
		return x.missingPermissionResponse(x.route.permission)
	}
	return x.route.handler(x)
}

// lacksPermission reports whether the credential lacks the permission of the endpoint of a repository. The events of a
// pull request need the one for issues or the one for pull requests
// (https://docs.github.com/rest/issues/events#list-issue-events).
func (x *exchange) lacksPermission() bool {
	if x.repository.PullByNumber[int(served.ParseInt(x.pathVars["issue_number"]))] != nil &&
		strings.HasSuffix(x.route.template, "/events") && !x.Access.Lacks("pull_requests") {
		return false
	}
	return x.route.permission != "" && x.Access.Lacks(x.route.permission)
}

// isFeatureDisabled reports whether the endpoint belongs to a feature that the repository has disabled.
func (x *exchange) isFeatureDisabled() bool {
	switch {
	case strings.Contains(x.route.template, "/pulls"):
		return x.ArePullsOff(x.repository)
	case strings.Contains(x.route.template, "/issues"):
		return x.ArePullsOff(x.repository) && x.AreIssuesOff(x.repository)
	}
	return false
}

// acceptedScopes returns the scopes of which a classic token needs one for the endpoint.
func (x *exchange) acceptedScopes() string {
	switch {
	case x.repository != nil:
		return "repo"
	case x.pathVars["org"] != "":
		return "admin:org, read:org, repo, user, write:org"
	default:
		return ""
	}
}

// writeResponse adds the common headers, applies the faults of headers and of the connection, records the request and
// writes the response.
func (x *exchange) writeResponse(w http.ResponseWriter, a response) {
	var once sync.Once
	count := func() { once.Do(func() { x.server.log.add(x.info) }) }
	defer count()
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(
		"X-Github-Request-Id", fmt.Sprintf("%04X:%06X:%08X", x.info.Seq%0x10000, x.info.Seq, x.info.Time.Unix()),
	)
	a.header.Set("X-Github-Api-Version-Selected", "2022-11-28")
	a.header.Set("Date", x.info.Time.UTC().Format(http.TimeFormat))
	if x.cred != nil && x.info.Credential != "" && !x.server.settings.NoRateLimits &&
		a.header.Get("X-Ratelimit-Limit") == "" {
		x.server.limits.quota(x.bucketKey(), x.server.now()).header(a.header)
	}
	if x.cred != nil && !x.cred.Expires.IsZero() {
		a.header.Set("Github-Authentication-Token-Expiration", x.cred.Expires.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	if x.cred != nil && x.cred.Scopes != nil {
		a.header.Set("X-Oauth-Scopes", strings.Join(x.cred.Scopes, ", "))
		a.header.Set("X-Accepted-Oauth-Scopes", x.acceptedScopes())
	}
	if x.fault != nil && x.fault.Kind == KindHeader {
		for name, values := range x.fault.Header {
			a.header[http.CanonicalHeaderKey(name)] = values
		}
	}
	maps.Copy(w.Header(), a.header)
	if x.fault != nil && x.writeFaulty(w, a) {
		return
	}
	if len(a.body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	count() // before it is written: a client that has the response must find it counted
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}
