// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// fault is something that GitHub, or what stands before it, is known to do instead of answering, and the error it
// becomes.
type fault struct {
	do   githubtest.Effect
	want func(error) bool
	// hops says that one attempt is several requests, passes that the answer may be understood all the same, and partly
	// that it is in part: the rest is asked for in the next pass.
	hops, passes, partly bool
	// listed says that a listing is read all the same: who is not in it is looked up.
	listed bool
}

var (
	credential  = isA[*github.CredentialError]
	forbidden   = isA[*github.ForbiddenError]
	missing     = isA[*github.NotFoundError]
	limited     = isA[*github.LimitError]
	unavailable = isA[*github.UnavailableError]
)

var theFaults = map[string]fault{
	"401":                {do: githubtest.Status(401), want: credential},
	"403":                {do: githubtest.Status(403), want: forbidden},
	"404":                {do: githubtest.Status(404), want: missing},
	"409":                {do: githubtest.Status(409), want: missing},
	"410":                {do: githubtest.Status(410), want: missing},
	"422":                {do: githubtest.Status(422), want: missing},
	"429":                {do: githubtest.Status(429), want: limited},
	"451":                {do: githubtest.Status(451), want: forbidden},
	"500":                {do: githubtest.Status(500), want: unavailable},
	"502":                {do: githubtest.Status(502), want: unavailable},
	"503":                {do: githubtest.Status(503), want: unavailable},
	"504":                {do: githubtest.Status(504), want: unavailable},
	"502 of a proxy":     {do: githubtest.HTML(502), want: unavailable},
	"504 of a proxy":     {do: githubtest.HTML(504), want: unavailable},
	"primary limit":      {do: githubtest.PrimaryLimit(403), want: limited},
	"primary limit, 429": {do: githubtest.PrimaryLimit(429), want: limited},
	"secondary limit":    {do: githubtest.SecondaryLimit(403, time.Minute), want: limited},
	"untold limit":       {do: githubtest.SecondaryLimit(429, 0), want: limited},
	"reset":              {do: githubtest.ConnectionReset(), want: unavailable},
	"time-out":           {do: githubtest.Hang(), want: unavailable},
	"slow body":          {do: githubtest.SlowBody(time.Hour), want: unavailable},
	"truncated JSON":     {do: githubtest.TruncatedJSON(), want: unavailable},
	"HTML":               {do: githubtest.HTML(200), want: unavailable},
	"wrong length":       {do: githubtest.WrongLength(), want: unavailable},
	"redirect loop":      {do: githubtest.RedirectLoop(), want: unavailable, hops: true},
	"redirect elsewhere": {do: githubtest.RedirectTo(302, "https://example.com/"), want: unavailable},
	"null":               {do: githubtest.StatusBody(200, jsonType, "null"), want: unavailable},
	"another form":       {do: githubtest.StatusBody(200, jsonType, `"text"`), want: unavailable},
	"nothing":            {do: githubtest.StatusBody(200, jsonType, ""), want: unavailable},
	"endless pages":      {do: githubtest.NextLinkLoop(), want: unavailable, passes: true},
}

// graphqlFaults are those in GraphQL's own form, besides.
var graphqlFaults = map[string]fault{
	"RATE_LIMIT":           {do: graphqlErrors("RATE_LIMIT", "API rate limit exceeded", ""), want: limited},
	"secondary limit, 200": {do: githubtest.SecondaryLimit(200, 0), want: limited},
	"secondary limit, data": {
		do: graphqlErrors("", "You have exceeded a secondary rate limit.", `{"rateLimit":null}`), want: limited,
	},
	"too expensive": {do: githubtest.ResourceLimitsExceeded("**.nodes"), want: unavailable, listed: true},
	"too many nodes": {
		do:   graphqlErrors("MAX_NODE_LIMIT_EXCEEDED", "This query requests up to 1,000,000 possible nodes.", ""),
		want: unavailable,
	},
	"took too long, 200": {do: githubtest.GraphQLTimeout(200), want: unavailable},
	"took too long, 502": {do: githubtest.GraphQLTimeout(502), want: unavailable},
	"no data, an error":  {do: graphqlErrors("INTERNAL", "Something broke.", "null"), want: unavailable},
	"no data, no error":  {do: githubtest.StatusBody(200, jsonType, `{"data":null}`), want: unavailable},
	// Lines asks REST then
	"no more data, no error": {
		do:   githubtest.StatusBody(200, jsonType, `{"data":{"rateLimit":null}}`),
		want: unavailable, partly: true, passes: true,
	},
	"lists that are null": {do: githubtest.NullAt("**.nodes"), want: unavailable},
	"lists that fail": {
		do: githubtest.FieldError("**.nodes", "SERVICE_UNAVAILABLE", "Something broke."), want: unavailable,
		partly: true, listed: true,
	},
	"refused altogether": {
		do:   graphqlErrors("INSUFFICIENT_SCOPES", "Your token has not been granted the required scopes.", ""),
		want: forbidden,
	},
	// Lines has none
	"the page says that null": {do: githubtest.NullAt("**.pageInfo"), want: unavailable, passes: true},
}

func graphqlErrors(kind, message, data string) githubtest.Effect {
	if data != "" {
		data = `"data":` + data + `,`
	}
	return githubtest.StatusBody(
		200, jsonType, fmt.Sprintf(`{%s"errors":[{"type":%q,"message":%q}]}`, data, kind, message),
	)
}

var jsonType = http.Header{"Content-Type": {"application/json"}}

// question is something that a pass asks.
type question struct {
	api     github.API
	matches func(githubtest.RequestInfo) bool
	// streams are what is missing of a repository without an answer; none: nothing can be read without one.
	streams activity.Streams
	// more makes the question be asked in a repository.
	more func(d *githubtest.Dataset, repo string, at time.Time)
	// repositories is how many there are besides.
	repositories int
	// alone requests each repository by itself, grouped several in one query: what that query lacks is requested
	// alone.
	alone, grouped bool
	// instead says that another question takes its place when it is not answered.
	instead bool
	// app says that an App asks, installed that it knows its installation; it asks first of all.
	app, installed bool
	// otherwise are the statuses that are an answer: a commit of which GitHub cannot tell the lines has none, and a
	// head that is not there any more is no head to go on from, so what is in the horizon is listed.
	otherwise []int
}

func route(template string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool {
		return r.Route == template && !strings.Contains(r.Query, "page=2")
	}
}

func routePage2(template string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool {
		return r.Route == template && strings.HasPrefix(r.Query, "page=2&") || strings.Contains(r.Query, "&page=2&") ||
			strings.HasSuffix(
				r.Query, "&page=2",
			)
	}
}

func query(name string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Operation == name }
}

// queryAfter is a query for a further page.
func queryAfter(name, cursor string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Operation == name && r.Variables[cursor] != nil }
}

// many makes one thing happen so many times within a minute.
func many(n int, one func(d *githubtest.Dataset, repo string, i int, at time.Time)) func(*githubtest.Dataset, string,
	time.Time) {
	return func(d *githubtest.Dataset, repo string, at time.Time) {
		for i := range n {
			one(d, repo, i, at.Add(-time.Duration(i%60)*time.Second))
		}
	}
}

var (
	manyCommits = many(
		101, func(d *githubtest.Dataset, repo string, _ int, at time.Time) { commit(d, repo, at).Parents = 2 },
	)
	manyComments = many(120, func(d *githubtest.Dataset, repo string, _ int, at time.Time) { comment(d, repo, 1, at) })
	manyPulls    = many(101, func(d *githubtest.Dataset, repo string, _ int, at time.Time) {
		pull(d, repo, 1000+len(d.Pulls), at, nil)
	})
	somePulls = many(30, func(d *githubtest.Dataset, repo string, _ int, at time.Time) {
		pull(d, repo, 1000+len(d.Pulls), at, nil)
	})
	manyReviews = many(
		101, func(d *githubtest.Dataset, repo string, _ int, at time.Time) { review(d, repo, len(d.Pulls), at) },
	)
	noLines = many(2, func(d *githubtest.Dataset, repo string, _ int, at time.Time) {
		commit(d, repo, at).DiffUnavailable = true
	})
)

const (
	reposRoute        = "/orgs/{org}/repos"
	commitsRoute      = "/repos/{owner}/{repo}/commits"
	commitRoute       = "/repos/{owner}/{repo}/commits/{ref...}"
	compareRoute      = "/repos/{owner}/{repo}/compare/{basehead...}"
	pullsRoute        = "/repos/{owner}/{repo}/pulls"
	reviewsRoute      = "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
	tokensRoute       = "/app/installations/{installation_id}/access_tokens"
	installationRoute = "/orgs/{org}/installation"
)

var (
	commits  = activity.StreamsOf(activity.StreamCommits)
	pulls    = activity.StreamsOf(activity.StreamPulls)
	comments = activity.StreamsOf(activity.StreamComments)
)

var (
	untold = []int{422}
	gone   = []int{404, 409, 410, 422}
	// passing are refusals that are believed when they come twice.
	passing = []int{403, 404, 410}
)

// questions are all that are ever asked, further pages among them.
var questions = map[string]question{
	"Discover":         {api: github.APIGraphQL, matches: query("Discover")},
	"Discover, page 2": {api: github.APIGraphQL, matches: queryAfter("Discover", "after"), repositories: 100},
	"Activity": {
		api: github.APIGraphQL, matches: query("Activity"), streams: commits | pulls, alone: true,
	},
	"Activities": {
		api: github.APIGraphQL, matches: query("Activities"), streams: commits | pulls, grouped: true,
	},
	"Activity, more commits": {
		api: github.APIGraphQL, matches: queryAfter("Activity", "commitsAfter"), streams: commits, more: manyCommits,
	},
	"Activity, more pulls": {
		api: github.APIGraphQL, matches: queryAfter("Activity", "pullsAfter"), streams: pulls, more: somePulls,
	},
	"Reviews": {api: github.APIGraphQL, matches: query("Reviews"), streams: pulls, more: manyReviews},
	"Lines": {
		api: github.APIGraphQL, matches: query("Lines"), streams: commits, more: noLines, instead: true,
	},
	"lines of one commit": {
		api: github.APIGraphQL, matches: route(commitRoute), streams: commits, more: noLines, otherwise: untold,
	},
	"comments": {api: github.APIGraphQL, matches: route(commentsRoute), streams: comments},
	"more comments": {
		api: github.APIGraphQL, matches: route(commentsRoute), streams: comments, more: manyComments,
	},
	"an App's token":          {api: github.APIGraphQL, matches: route(tokensRoute), app: true, installed: true},
	"an App's token for REST": {api: github.APIREST, matches: route(tokensRoute), app: true, installed: true},
	"an App's installation":   {api: github.APIGraphQL, matches: route(installationRoute), app: true},
	"repos":                   {api: github.APIREST, matches: route(reposRoute)},
	"repos, page 2":           {api: github.APIREST, matches: routePage2(reposRoute), repositories: 100},
	"commits":                 {api: github.APIREST, matches: route(commitsRoute), streams: commits, more: manyCommits},
	"commit":                  {api: github.APIREST, matches: route(commitRoute), streams: commits, otherwise: untold},
	"compare":                 {api: github.APIREST, matches: route(compareRoute), streams: commits, otherwise: gone},
	"compare, page 2": {
		api: github.APIREST, matches: routePage2(compareRoute), streams: commits, more: manyCommits, otherwise: gone,
	},
	"pulls":         {api: github.APIREST, matches: route(pullsRoute), streams: pulls},
	"pulls, page 2": {api: github.APIREST, matches: routePage2(pullsRoute), streams: pulls, more: manyPulls},
	"reviews":       {api: github.APIREST, matches: route(reviewsRoute), streams: pulls},
	"reviews, page 2": {
		api: github.APIREST, matches: routePage2(reviewsRoute), streams: pulls, more: manyReviews,
	},
	"REST comments": {api: github.APIREST, matches: route(commentsRoute), streams: comments},
	"REST comments, page 2": {
		api: github.APIREST, matches: route(commentsRoute), streams: comments, more: manyComments,
	},
}

// faulty is an organization in which something fails.
type faulty struct {
	*bench

	q    *question
	f    fault
	data *githubtest.Dataset
}

const struckRepo = "one"

func faultCase(t *testing.T, q *question, f fault) {
	t.Helper()
	if q.app && !f.want(&github.LimitError{}) && !f.want(&github.UnavailableError{}) {
		f.want = credential
	}
	s := newFaulty(t, q, f)
	if q.alone {
		s.server.InjectFault(
			githubtest.Fault{
				Match:  githubtest.Match{Operation: "Activities"},
				Effect: githubtest.Status(http.StatusInternalServerError),
			},
		)
	}
	armed := s.server.InjectFault(
		githubtest.Fault{Match: githubtest.Match{Repo: s.repo(), Func: q.matches}, Effect: f.do},
	)
	began := s.coverage().Edge
	sum, err := s.collector.Pass(t.Context(), 1)
	require.Positive(t, armed.Hits())
	s.requireFailure(&sum, err, began)
	s.requireAttempts(armed)
	requireNothingInvented(t, s.bench, s.data)
	s.clock.Advance(interval)
	s.happens() // and goes on while it lasts
	if _, err = s.collector.Pass(t.Context(), 1); q.streams != 0 && !isA[*github.LimitError](err) {
		require.NoError(t, err)
	}
	s.heal()
	if slices.Equal(q.otherwise, untold) && f.do.Status == http.StatusUnprocessableEntity {
		requireAllRecorded(t, s.bench, s.data) // commits of which GitHub cannot tell the lines have none, today or ever
		return
	}
	requireTruth(t, s.bench, s.data)
}

func newFaulty(t *testing.T, q *question, f fault) *faulty {
	t.Helper()
	s := &faulty{q: q, f: f, data: dataset(struckRepo, "two", "three")}
	for n := range q.repositories {
		s.data.Repos = append(
			s.data.Repos,
			githubtest.Repo{
				Name: fmt.Sprint("idle-", n), DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0), Empty: true,
			},
		)
	}
	for _, repo := range []string{struckRepo, "two", "three"} { // the newest is what the next one is compared with
		commit(s.data, repo, noon.AddDate(0, 0, -6))
		commit(s.data, repo, noon.Add(-time.Hour))
	}
	s.bench = inProcessBench(t, q.api, s.data, func(server *githubtest.Settings, client *github.Settings, _ *Settings) {
		if q.app {
			authenticateApp(t, server, client, q.installed)
		}
	})
	if !q.app {
		s.pass()
		s.fill()
		s.clock.Advance(interval)
	}
	s.happens()
	s.server.ResetRequests()
	return s
}

// repo is the repository that the fault is in, none for what is about all.
func (s *faulty) repo() string {
	if s.q.streams == 0 || s.q.grouped {
		return ""
	}
	return struckRepo
}

// happens lets something of everything happen in three repositories, and more of it in one.
func (s *faulty) happens() {
	at := s.clock.Now().Add(-time.Minute)
	s.server.Update(func(d *githubtest.Dataset) {
		for i, repo := range []string{"two", "three", struckRepo} {
			number := len(d.Pulls) + i + 1
			commit(d, repo, at)
			pull(d, repo, number, at, &at)
			review(d, repo, number, at)
			comment(d, repo, number, at)
			if repo == struckRepo && s.q.more != nil {
				number := len(d.Pulls) + 1
				pull(d, repo, number, at, nil)
				s.q.more(d, repo, at)
			}
		}
		*s.data = *d.Clone()
	})
}

// requireFailure holds what a pass says and what is missing after it against what had to fail.
func (s *faulty) requireFailure(sum *PassResult, err error, began time.Time) {
	s.t.Helper()
	cov := s.coverage()
	switch halts := s.f.want(&github.LimitError{}) || s.f.want(&github.CredentialError{}); {
	case s.f.listed && s.q.streams == 0, s.f.passes && err == nil && len(sum.Failures) == 0,
		s.q.grouped && !s.f.want(&github.LimitError{}), s.q.instead && s.f.want(&github.UnavailableError{}),
		slices.Contains(s.q.otherwise, s.f.do.Status):
		require.NoError(s.t, err)
		require.Empty(s.t, sum.Failures)
		require.True(s.t, s.q.app || len(cov.Gaps()) == 0, "the first pass leaves the look-back")
	case s.q.streams == 0:
		require.True(s.t, err != nil && s.f.want(err), "%T: %v", err, err)
		require.Equal(s.t, began, cov.Edge, "the pass does not count")
		require.Empty(s.t, cov.Gaps())
	default:
		require.NoError(s.t, err)
		require.NotEmpty(s.t, sum.Failures)
		for i := range sum.Failures {
			f := &sum.Failures[i]
			require.True(s.t, s.f.want(f.Err), "%T: %v", f.Err, f.Err)
			if !halts {
				require.Equal(s.t, struckRepo, f.Repo)
				require.True(s.t, s.q.streams.Has(f.Stream), "%v", f.Stream)
			}
		}
		s.requireGaps(&cov, sum.Failures)
	}
}

// requireGaps: what failed is missing, and nothing else.
func (s *faulty) requireGaps(cov *ledger.Coverage, failures []Failure) {
	s.t.Helper()
	want, got := make(map[RepoStream]bool), make(map[RepoStream]bool)
	for i := range failures {
		want[RepoStream{failures[i].RepoID, failures[i].Stream}] = true
	}
	for _, gap := range cov.Gaps() {
		got[RepoStream{gap.Repo, gap.Stream}] = true
	}
	require.Equal(s.t, want, got)
}

// requireAttempts: what may pass is asked maxAttempts times, or once and then for less, a refusal that may pass twice,
// and anything else once.
func (s *faulty) requireAttempts(armed *githubtest.ArmedFault) {
	s.t.Helper()
	attempts, most := make(map[string]int), 0
	for _, r := range s.server.Requests() {
		if r.Fault == s.f.do.Kind && s.q.matches(r) {
			key := fmt.Sprint(r.Path, r.Query, r.Operation, r.Variables)
			attempts[key]++
			most = max(most, attempts[key])
		}
	}
	switch {
	case s.f.listed && s.q.streams == 0:
		require.LessOrEqual(s.t, armed.Hits(), 4*(s.q.repositories+3), "the smallest pages")
	case s.f.hops || s.f.passes || s.f.partly:
		require.LessOrEqual(s.t, armed.Hits(), 12*maxAttempts)
	case s.q.grouped:
		require.Equal(s.t, 1, most, "there is another question")
	case s.f.want(&github.UnavailableError{}):
		if !s.q.instead && s.q.api == github.APIREST {
			require.Equal(s.t, maxAttempts, most)
		}
		require.LessOrEqual(s.t, most, maxAttempts)
		require.LessOrEqual(s.t, armed.Hits(), 4*maxAttempts)
	case s.q.app && s.f.do.Status == http.StatusUnauthorized:
		require.Equal(s.t, 2, most, "the clocks might have differed")
	case !s.q.app && !s.f.want(&github.LimitError{}) && slices.Contains(passing, s.f.do.Status) &&
		!slices.Contains(s.q.otherwise, s.f.do.Status):
		require.Equal(s.t, 2, most, "it may pass")
	default:
		require.Equal(s.t, 1, most)
	}
	if s.f.want(&github.LimitError{}) {
		require.LessOrEqual(
			s.t, armed.Hits(), 1+s.collector.settings.Concurrency, "after the first limit only what is on its way",
		)
	}
}

// heal ends the fault and makes passes until nothing is missing.
func (s *faulty) heal() {
	s.t.Helper()
	s.server.ClearFaults()
	for range 30 {
		s.clock.Advance(30 * time.Minute)
		_, err := s.collector.Pass(s.t.Context(), 1)
		if isA[*github.LimitError](err) {
			continue // until its end
		}
		require.NoError(s.t, err)
		s.fill()
		if cov := s.coverage(); len(cov.Gaps()) == 0 {
			return
		}
	}
	s.t.Fatal("something is missing for ever")
}
