package githubtest

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// exchange is one request on its way to an answer.
type exchange struct {
	view
	s     *Server
	r     *http.Request
	info  RequestInfo
	base  string // scheme, host and prefix of the API
	path  string // below the base
	route *route
	vars  map[string]string
	repo  *repoIndex
	gql   *graphqlRequest
	fault *Effect
}

// ServeHTTP answers one request: who asks, what for, may they, does a fault strike, what is the answer.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.exchange(r)
	a, ok := x.admit()
	hooks := x.begin()
	for _, hook := range hooks {
		hook(x.info)
	}
	if ok && !s.limits.enter(x.cred.bucket(), s.settings.EnforceLimits) {
		a = x.secondaryAnswer(s.settings.Limits.Status, time.Minute)
	} else if ok {
		defer s.limits.leave(x.cred.bucket())
		a = x.limited()
	}
	x.info.Status = a.status
	x.finish(w, a)
}

func (s *Server) exchange(r *http.Request) *exchange {
	x := &exchange{s: s, r: r, path: r.URL.Path}
	x.info = RequestInfo{Time: s.now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Resource: ResourceCore}
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

// admit finds the route and the credential. Its answer counts only if it refuses.
func (x *exchange) admit() (answer, bool) {
	x.route, x.vars = x.s.match(x.r.Method, x.path)
	if x.route != nil {
		x.info.Route = x.route.template
	}
	if x.path == "/graphql" {
		x.info.Route, x.info.Resource = "/graphql", ResourceGraphQL
	}
	cred, given := x.s.credential(x.r)
	if cred == nil && given && x.route != nil && x.route.app {
		return x.admitApp()
	}
	if cred == nil && !given && x.route != nil && x.route.open {
		cred = &Credential{Name: "anonymous", Orgs: []string{}}
	}
	if cred == nil {
		x.view = x.s.view(&Credential{Orgs: []string{}})
		if !given {
			return fail(http.StatusUnauthorized, "Requires authentication"), false
		}
		return fail(http.StatusUnauthorized, "Bad credentials"), false
	}
	x.enter(cred)
	return answer{}, true
}

func (x *exchange) enter(cred *Credential) {
	x.info.Credential = cred.name()
	x.view = x.s.view(cred)
	if x.path == "/graphql" {
		x.gql = x.s.parseGraphQL(x.r)
		x.gql.describe(x.view, &x.info)
		return
	}
	x.info.Org, x.info.Repo = x.vars["org"], x.vars["repo"]
	if o := x.vars["owner"]; o != "" {
		x.info.Org = o
	}
	if r := x.ix.byID[atoi(x.vars["repository_id"])]; r != nil {
		x.info.Org, x.info.Repo = r.owner, r.Name
	}
}

func (x *exchange) begin() []func(RequestInfo) {
	seq, hooks := x.s.log.begin()
	x.info.Seq = seq
	return hooks
}

func (x *exchange) key() bucketKey { return bucketKey{x.cred.bucket(), x.info.Resource} }

// limited answers unless a fault or a limit comes first.
func (x *exchange) limited() answer {
	x.view = x.s.view(x.cred) // hooks may have changed the data
	x.fault = x.s.faults.strike(x.info)
	if x.fault != nil {
		x.info.Fault = x.fault.Kind
		if a, ok := x.before(*x.fault); ok {
			return a
		}
	}
	if x.gql != nil {
		return x.replace(x.answerGraphQL(), "data")
	}
	return x.answerREST()
}

func (x *exchange) answerREST() answer {
	if x.route != nil && x.route.free {
		return x.route.handler(x)
	}
	if a, ok := x.charge(1); !ok {
		return a
	}
	a := x.answerRoute()
	if x.fault != nil {
		a = x.replace(x.after(*x.fault, a), "")
	}
	if a.validate(x.r) {
		x.info.Cost = 0
		x.s.limits.refund(x.key(), 1, x.s.now())
	}
	return a
}

// charge takes points or answers that there are none left.
func (x *exchange) charge(cost int) (answer, bool) {
	v, wait := x.s.limits.take(x.key(), cost, x.s.now(), x.s.settings.EnforceLimits)
	switch v {
	case verdictPrimary:
		return x.primaryAnswer(x.s.settings.Limits.Status), false
	case verdictSecondary:
		return x.secondaryAnswer(x.s.settings.Limits.Status, wait), false
	default:
		x.info.Cost = cost
		return answer{}, true
	}
}

func (x *exchange) answerRoute() answer {
	if x.route == nil {
		return notFound()
	}
	if x.route.app && x.cred.app == nil {
		return fail(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	if x.vars["owner"] == "" && x.vars["repository_id"] == "" {
		if x.route.permission != "" && x.cred.lacks(x.route.permission) {
			return x.lacking(x.route.permission)
		}
		return x.route.handler(x)
	}
	return x.answerRepo()
}

// answerRepo finds the repository by its id or its name; a former name is redirected.
func (x *exchange) answerRepo() answer {
	if id := x.vars["repository_id"]; id != "" {
		x.repo = x.repoByID(atoi(id))
	} else {
		var moved bool
		x.repo, moved = x.view.repo(x.vars["owner"], x.vars["repo"])
		if moved && x.repo != nil {
			return x.movedAnswer()
		}
	}
	switch {
	case x.repo == nil:
		return notFound()
	case x.repo.Blocked:
		return x.blockedAnswer()
	case x.forbidden(x.repo):
		a := fail(http.StatusForbidden, ssoMessage)
		a.header.Set("X-Github-Sso", "required; url=https://github.com/orgs/"+x.repo.owner+"/sso?authorization_request=AAAA")
		return a
	case x.featureOff():
		return notFound()
	case x.route.permission != "" && x.cred.lacks(x.route.permission):
		return x.lacking(x.route.permission)
	}
	return x.route.handler(x)
}

// lacking is the answer to a credential that lacks a permission
// (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api#insufficient-permissions).
func (x *exchange) lacking(permission string) answer {
	a := fail(http.StatusForbidden, "Resource not accessible by personal access token")
	accepted := permission + "=read"
	if permission == "issues" { // comments are those of issues and of pull requests
		accepted += "; pull_requests=read"
	}
	a.header.Set("X-Accepted-Github-Permissions", accepted)
	return a
}

// ssoMessage is GitHub's for what needs an authorization for single sign-on.
const ssoMessage = "Resource protected by organization SAML enforcement. " +
	"You must grant your Personal Access token access to this organization."

// featureOff reports whether what is asked for is of a feature that the repository has switched off.
func (x *exchange) featureOff() bool {
	switch {
	case strings.Contains(x.route.template, "/pulls"):
		return x.pullsOff(x.repo)
	case strings.Contains(x.route.template, "/issues"):
		return x.pullsOff(x.repo) && x.issuesOff(x.repo)
	}
	return false
}

// movedAnswer points to the address by id
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#follow-redirects).
func (x *exchange) movedAnswer() answer {
	rest := strings.TrimPrefix(x.path, "/repos/"+x.vars["owner"]+"/"+x.vars["repo"])
	to := x.repoAddress(x.repo) + rest
	if x.r.URL.RawQuery != "" {
		to += "?" + x.r.URL.RawQuery
	}
	a := reply(http.StatusMovedPermanently, obj{
		"message": "Moved Permanently", "url": to,
		"documentation_url": "https://docs.github.com/rest/guides/best-practices-for-using-the-rest-api#follow-redirects",
	})
	a.header.Set("Location", to)
	return a
}

func (x *exchange) blockedAnswer() answer {
	return reply(http.StatusUnavailableForLegalReasons, obj{
		"message": "Repository access blocked",
		"block":   obj{"reason": "dmca", "created_at": stamp(x.repo.created), "html_url": "https://github.com/github/dmca"},
	})
}

func (x *exchange) repoAddress(r *repoIndex) string {
	return fmt.Sprintf("%s/repositories/%d", x.base, r.id)
}

// finish writes the answer with the headers that every answer has.
func (x *exchange) finish(w http.ResponseWriter, a answer) {
	var once sync.Once
	count := func() { once.Do(func() { x.s.log.add(x.info) }) }
	defer count()
	if a.header == nil {
		a.header = http.Header{}
	}
	a.header.Set("X-Github-Request-Id", fmt.Sprintf("%04X:%06X:%08X", x.info.Seq%0x10000, x.info.Seq, x.info.Time.Unix()))
	a.header.Set("X-Github-Api-Version-Selected", "2022-11-28")
	a.header.Set("Date", x.info.Time.UTC().Format(http.TimeFormat))
	if x.cred != nil && x.info.Credential != "" && !x.s.settings.NoRateLimits && a.header.Get("X-Ratelimit-Limit") == "" {
		x.s.limits.quota(x.key(), x.s.now()).header(a.header)
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
	if x.fault != nil && x.deliver(w, a) {
		return
	}
	if len(a.body) > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	count() // before it is written: whoever has the answer finds it counted
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// primaryAnswer is GitHub's answer over the hourly limit.
func (x *exchange) primaryAnswer(status int) answer {
	message := "API rate limit exceeded for user ID " + strconv.FormatInt(numericID("user", x.cred.Login), 10) + "."
	var a answer
	if x.gql != nil {
		a = reply(http.StatusOK, obj{"errors": []obj{{"type": "RATE_LIMITED", "code": "graphql_rate_limit", "message": message}}})
	} else {
		a = fail(status, message)
	}
	q := x.s.limits.quota(x.key(), x.s.now())
	q.used, q.remaining = q.limit, 0
	if !x.s.settings.NoRateLimits {
		q.header(a.header)
	}
	return a
}

// secondaryAnswer is GitHub's answer over a secondary limit; without a wait it has no Retry-After.
func (x *exchange) secondaryAnswer(status int, wait time.Duration) answer {
	const message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
	var a answer
	if status == http.StatusOK {
		a = reply(status, obj{"errors": []obj{{"type": "RATE_LIMITED", "message": message}}})
	} else {
		a = reply(status, obj{
			"message":           message,
			"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		})
	}
	if wait > 0 {
		a.header.Set("Retry-After", strconv.Itoa(int((wait+time.Second-1)/time.Second)))
	}
	return a
}
