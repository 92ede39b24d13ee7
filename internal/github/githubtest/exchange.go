// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/dataset"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// exchange is one request on its way to an answer.
type exchange struct {
	served.View
	s     *Server
	cred  *Credential
	r     *http.Request
	info  RequestInfo
	base  string // scheme, host and prefix of the API
	path  string // below the base
	route *route
	vars  map[string]string
	repo  *served.Repo
	gql   *graphqlRequest
	fault *Effect
}

// ServeHTTP answers one request: who asks, what for, may they, does a fault strike, what is the answer.
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

func (s *Server) exchange(r *http.Request) *exchange {
	x := &exchange{s: s, r: r, path: r.URL.Path}
	x.info = RequestInfo{
		Time: s.now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Resource: ResourceCore,
	}
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
	x.base = scheme + "://" + r.Host + prefix
	return x
}

// authenticate finds the route and the credential. Its answer counts only if it refuses.
func (x *exchange) authenticate() (response, bool) {
	x.route, x.vars = x.s.match(x.r.Method, x.path)
	if x.route != nil {
		x.info.Route = x.route.template
	}
	if x.path == "/graphql" {
		x.info.Route, x.info.Resource = "/graphql", ResourceGraphQL
	}
	cred, given := x.s.credential(x.r)
	if cred == nil && given && x.route != nil && x.route.app {
		return x.authenticateApp()
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

// setCredential sets who asks, and what they see at this moment.
func (x *exchange) setCredential(cred *Credential) { x.cred, x.View = cred, x.s.view(cred) }

func (x *exchange) identify(cred *Credential) {
	x.info.Credential = cred.name()
	x.setCredential(cred)
	if x.path == "/graphql" {
		x.gql = x.s.parseGraphQL(x.r)
		x.gql.describe(x.View, &x.info)
		return
	}
	x.info.Org, x.info.Repo = x.vars["org"], x.vars["repo"]
	if o := x.vars["owner"]; o != "" {
		x.info.Org = o
	}
	if r := x.Index.RepoByID[atoi(x.vars["repository_id"])]; r != nil {
		x.info.Org, x.info.Repo = r.Owner, r.Name
	}
}

func (x *exchange) assignSeq() []func(RequestInfo) {
	seq, hooks := x.s.log.nextSeq()
	x.info.Seq = seq
	return hooks
}

func (x *exchange) bucketKey() bucketKey { return bucketKey{x.cred.bucket(), x.info.Resource} }

// respond answers unless a fault or a limit comes first.
func (x *exchange) respond() response {
	x.setCredential(x.cred) // hooks may have changed the data
	x.fault = x.s.faults.effectFor(x.info)
	if x.fault != nil {
		x.info.Fault = x.fault.Kind
		if a, ok := x.responseInstead(*x.fault); ok {
			return a
		}
	}
	if x.gql != nil {
		return x.replaceFaultValues(x.respondGraphQL(), "data")
	}
	return x.respondREST()
}

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
	if a.applyValidators(x.r) {
		x.info.Cost = 0
		x.s.limits.refund(x.bucketKey(), 1, x.s.now())
	}
	return a
}

// charge takes points or answers that there are none left.
func (x *exchange) charge(cost int) (response, bool) {
	v, wait := x.s.limits.charge(x.bucketKey(), cost, x.s.now(), x.s.settings.EnforceLimits)
	switch v {
	case limitPrimary:
		return x.primaryLimitResponse(x.s.settings.Limits.Status), false
	case limitSecondary:
		return x.secondaryLimitResponse(x.s.settings.Limits.Status, wait), false
	default:
		x.info.Cost = cost
		return response{}, true
	}
}

func (x *exchange) respondRoute() response {
	if x.route == nil {
		return notFoundResponse()
	}
	if x.route.app && x.cred.app == nil {
		return errorResponse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	if x.vars["owner"] == "" && x.vars["repository_id"] == "" {
		if x.route.permission != "" && x.Access.Lacks(x.route.permission) {
			return x.missingPermissionResponse(x.route.permission)
		}
		return x.route.handler(x)
	}
	return x.respondRepo()
}

// respondRepo finds the repository by its id or its name; a former name is redirected.
func (x *exchange) respondRepo() response {
	if id := x.vars["repository_id"]; id != "" {
		x.repo = x.RepoByID(atoi(id))
	} else {
		var moved bool
		x.repo, moved = x.RepoByName(x.vars["owner"], x.vars["repo"])
		if moved && x.repo != nil {
			return x.movedResponse()
		}
	}
	switch {
	case x.repo == nil:
		return notFoundResponse()
	case x.repo.Blocked:
		return x.blockedResponse()
	case x.IsForbidden(x.repo):
		a := errorResponse(http.StatusForbidden, served.SSOMessage)
		a.header.Set(
			"X-Github-Sso", "required; url=https://github.com/orgs/"+x.repo.Owner+"/sso?authorization_request=AAAA",
		)
		return a
	case x.isFeatureDisabled():
		return notFoundResponse()
	case x.route.permission != "" && x.Access.Lacks(x.route.permission):
		return x.missingPermissionResponse(x.route.permission)
	}
	return x.route.handler(x)
}

// missingPermissionResponse is the answer to a credential that lacks a permission
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#insufficient-permissions).
func (x *exchange) missingPermissionResponse(permission string) response {
	a := errorResponse(http.StatusForbidden, "Resource not accessible by personal access token")
	accepted := permission + "=read"
	if permission == "issues" { // comments are those of issues and of pull requests
		accepted += "; pull_requests=read"
	}
	a.header.Set("X-Accepted-Github-Permissions", accepted)
	return a
}

// isFeatureDisabled reports whether what is asked for is of a feature that the repository has switched off.
func (x *exchange) isFeatureDisabled() bool {
	switch {
	case strings.Contains(x.route.template, "/pulls"):
		return x.ArePullsOff(x.repo)
	case strings.Contains(x.route.template, "/issues"):
		return x.ArePullsOff(x.repo) && x.AreIssuesOff(x.repo)
	}
	return false
}

// movedResponse points to the address by id
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects).
func (x *exchange) movedResponse() response {
	rest := strings.TrimPrefix(x.path, "/repos/"+x.vars["owner"]+"/"+x.vars["repo"])
	to := x.repoAddress(x.repo) + rest
	if x.r.URL.RawQuery != "" {
		to += "?" + x.r.URL.RawQuery
	}
	a := newResponse(http.StatusMovedPermanently, obj{
		"message": "Moved Permanently", "url": to,
		"documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
	})
	a.header.Set("Location", to)
	return a
}

func (x *exchange) blockedResponse() response {
	return newResponse(http.StatusUnavailableForLegalReasons, obj{
		"message": "Repository access blocked",
		"block": obj{
			"reason": "dmca", "created_at": served.FormatTime(x.repo.Created),
			"html_url": "https://github.com/github/dmca",
		},
	})
}

func (x *exchange) repoAddress(r *served.Repo) string {
	return fmt.Sprintf("%s/repositories/%d", x.base, r.DatabaseID)
}

// writeResponse adds the common headers, applies the fault, logs the request and writes the response.
func (x *exchange) writeResponse(w http.ResponseWriter, a response) {
	var once sync.Once
	count := func() { once.Do(func() { x.s.log.add(x.info) }) }
	defer count()
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set(
		"X-Github-Request-Id", fmt.Sprintf("%04X:%06X:%08X", x.info.Seq%0x10000, x.info.Seq, x.info.Time.Unix()),
	)
	a.header.Set("X-Github-Api-Version-Selected", "2022-11-28")
	a.header.Set("Date", x.info.Time.UTC().Format(http.TimeFormat))
	if x.cred != nil && x.info.Credential != "" && !x.s.settings.NoRateLimits &&
		a.header.Get("X-Ratelimit-Limit") == "" {
		x.s.limits.quota(x.bucketKey(), x.s.now()).header(a.header)
	}
	if x.cred != nil && !x.cred.Expires.IsZero() {
		a.header.Set("Github-Authentication-Token-Expiration", x.cred.Expires.UTC().Format("2006-01-02 15:04:05 UTC"))
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

// primaryLimitResponse is GitHub's answer over the hourly limit.
func (x *exchange) primaryLimitResponse(status int) response {
	message := fmt.Sprintf("API rate limit exceeded for user ID %d.", dataset.NumericID("user", x.cred.Login))
	var a response
	if x.gql != nil {
		a = newResponse(
			http.StatusOK,
			obj{"errors": []obj{{"type": "RATE_LIMITED", "code": "graphql_rate_limit", "message": message}}},
		)
	} else {
		a = errorResponse(status, message)
	}
	q := x.s.limits.quota(x.bucketKey(), x.s.now())
	q.used, q.remaining = q.limit, 0
	if !x.s.settings.NoRateLimits {
		q.header(a.header)
	}
	return a
}

// secondaryLimitResponse is GitHub's answer over a secondary limit; without a wait it has no Retry-After.
func (x *exchange) secondaryLimitResponse(status int, wait time.Duration) response {
	const message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
	var a response
	if status == http.StatusOK {
		a = newResponse(status, obj{"errors": []obj{{"type": "RATE_LIMITED", "message": message}}})
	} else {
		a = newResponse(status, obj{
			"message":           message,
			"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		})
	}
	if wait > 0 {
		a.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return a
}
