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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// isA reports whether an error is or wraps an E.
func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// fault is a response, or the lack of one, that GitHub or a proxy before it is known to give, with the error that it
// becomes.
type fault struct {
	do   githubtest.Effect
	want func(error) bool
	// hops says that one attempt is several requests, passes that the response may be usable all the same, and partly
	// that a part of it is: the rest is requested in the next pass.
	hops, passes, partly bool
	// listed says that a listing is read all the same: repositories that it lacks are looked up.
	listed bool
}

var (
	credential  = isA[*transport.CredentialError]
	forbidden   = isA[*transport.ForbiddenError]
	missing     = isA[*transport.NotFoundError]
	limited     = isA[*transport.LimitError]
	unavailable = isA[*transport.UnavailableError]
)

// httpFaults are the faults of any request.
var httpFaults = map[string]fault{
	"401":                  {do: githubtest.Status(401), want: credential},
	"403":                  {do: githubtest.Status(403), want: forbidden},
	"404":                  {do: githubtest.Status(404), want: missing},
	"409":                  {do: githubtest.Status(409), want: missing},
	"410":                  {do: githubtest.Status(410), want: missing},
	"422":                  {do: githubtest.Status(422), want: missing},
	"429":                  {do: githubtest.Status(429), want: limited},
	"451":                  {do: githubtest.Status(451), want: forbidden},
	"500":                  {do: githubtest.Status(500), want: unavailable},
	"502":                  {do: githubtest.Status(502), want: unavailable},
	"503":                  {do: githubtest.Status(503), want: unavailable},
	"504":                  {do: githubtest.Status(504), want: unavailable},
	"502 of a proxy":       {do: githubtest.HTML(502), want: unavailable},
	"504 of a proxy":       {do: githubtest.HTML(504), want: unavailable},
	"primary limit":        {do: githubtest.PrimaryLimit(403), want: limited},
	"primary limit, 429":   {do: githubtest.PrimaryLimit(429), want: limited},
	"secondary limit":      {do: githubtest.SecondaryLimit(403, time.Minute), want: limited},
	"limit without an end": {do: githubtest.SecondaryLimit(429, 0), want: limited},
	"reset":                {do: githubtest.ConnectionReset(), want: unavailable},
	"time-out":             {do: githubtest.Hang(), want: unavailable},
	"slow body":            {do: githubtest.SlowBody(time.Hour), want: unavailable},
	"truncated JSON":       {do: githubtest.TruncatedJSON(), want: unavailable},
	"HTML":                 {do: githubtest.HTML(200), want: unavailable},
	"wrong length":         {do: githubtest.WrongLength(), want: unavailable},
	"redirect loop":        {do: githubtest.RedirectLoop(), want: unavailable, hops: true},
	"redirect elsewhere":   {do: githubtest.RedirectTo(302, "https://example.com/"), want: unavailable},
	"null":                 {do: githubtest.StatusBody(200, jsonType, "null"), want: unavailable},
	"not an object":        {do: githubtest.StatusBody(200, jsonType, `"text"`), want: unavailable},
	"empty body":           {do: githubtest.StatusBody(200, jsonType, ""), want: unavailable},
	"endless pages":        {do: githubtest.NextLinkLoop(), want: unavailable, passes: true},
}

// graphqlFaults are the additional faults of GraphQL requests.
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
	// the lines are requested through REST then
	"no more data, no error": {
		do:   githubtest.StatusBody(200, jsonType, `{"data":{"rateLimit":null}}`),
		want: unavailable, partly: true, passes: true,
	},
	"lists are null": {do: githubtest.NullAt("**.nodes"), want: unavailable},
	"lists with errors": {
		do: githubtest.FieldError("**.nodes", "SERVICE_UNAVAILABLE", "Something broke."), want: unavailable,
		partly: true, listed: true,
	},
	"refused entirely": {
		do:   graphqlErrors("INSUFFICIENT_SCOPES", "Your token has not been granted the required scopes.", ""),
		want: forbidden,
	},
	// Lines has no pages
	"page info is null": {do: githubtest.NullAt("**.pageInfo"), want: unavailable, passes: true},
}

// graphqlErrors returns a response with an error of a type, and with data unless it is empty.
func graphqlErrors(kind, message, data string) githubtest.Effect {
	if data != "" {
		data = `"data":` + data + `,`
	}
	return githubtest.StatusBody(
		200, jsonType, fmt.Sprintf(`{%s"errors":[{"type":%q,"message":%q}]}`, data, kind, message),
	)
}

var jsonType = http.Header{"Content-Type": {"application/json"}}

// requestCase is a request that a pass sends.
type requestCase struct {
	api     github.API
	matches func(githubtest.RequestInfo) bool
	// streams are the ones that become a gap of a repository without a response; none when nothing can be read without
	// one.
	streams activity.Streams
	// more adds the activity that makes the request necessary in a repository.
	more func(d *githubtest.Dataset, repo string, at time.Time)
	// repositories is the number of additional idle repositories.
	repositories int
	// alone requests each repository by itself, grouped several in one query: what that query lacks is requested
	// alone.
	alone, grouped bool
	// hasSubstitute says that another request takes its place when it fails.
	hasSubstitute bool
	// app says that a GitHub App sends it, before any other request; installed that the App has the id of its
	// installation.
	app, installed bool
	// validStatuses are the error statuses that are a valid response: a commit whose lines GitHub cannot compute has
	// none, and after a head that does not exist any more the commits within the look-back are listed.
	validStatuses []int
}

// isFirstPage returns a function that reports whether a request is for the first page of a route.
func isFirstPage(template string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool {
		return r.Route == template && !strings.Contains(r.Query, "page=2")
	}
}

// isSecondPage returns a function that reports whether a request is for the second page of a route.
func isSecondPage(template string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool {
		return r.Route == template && strings.HasPrefix(r.Query, "page=2&") || strings.Contains(r.Query, "&page=2&") ||
			strings.HasSuffix(
				r.Query, "&page=2",
			)
	}
}

// isQuery returns a function that reports whether a request is a GraphQL operation.
func isQuery(name string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Operation == name }
}

// isQueryAfter returns a function that reports whether a request is a GraphQL operation for a further page.
func isQueryAfter(name, cursor string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Operation == name && r.Variables[cursor] != nil }
}

// repeat returns a function that calls add n times, with times within a minute.
func repeat(n int, one func(d *githubtest.Dataset, repo string, i int, at time.Time)) func(*githubtest.Dataset, string,
	time.Time) {
	return func(d *githubtest.Dataset, repo string, at time.Time) {
		for i := range n {
			one(d, repo, i, at.Add(-time.Duration(i%60)*time.Second))
		}
	}
}

var (
	manyCommits = repeat(
		101, func(d *githubtest.Dataset, repo string, _ int, at time.Time) { addCommit(d, repo, at).Parents = 2 },
	)
	manyComments = repeat(120, func(d *githubtest.Dataset, repo string, _ int, at time.Time) {
		addComment(d, repo, 1,
			at)
	})
	manyPulls = repeat(101, func(d *githubtest.Dataset, repo string, _ int, at time.Time) {
		addPull(d, repo, 1000+len(d.Pulls), at, nil)
	})
	somePulls = repeat(30, func(d *githubtest.Dataset, repo string, _ int, at time.Time) {
		addPull(d, repo, 1000+len(d.Pulls), at, nil)
	})
	manyReviews = repeat(
		101, func(d *githubtest.Dataset, repo string, _ int, at time.Time) { addReview(d, repo, len(d.Pulls), at) },
	)
	noLines = repeat(2, func(d *githubtest.Dataset, repo string, _ int, at time.Time) {
		addCommit(d, repo, at).DiffUnavailable = true
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
	// linesUnavailable is the status of a commit whose lines GitHub cannot compute, headGone are those of a head that
	// does not exist any more.
	linesUnavailable = []int{422}
	headGone         = []int{404, 409, 410, 422}
	// transientRefusals are refusals that count only when they come twice.
	transientRefusals = []int{403, 404, 410}
)

// requestCases are all requests of passes, those for further pages among them.
var requestCases = map[string]requestCase{
	"Discover":         {api: github.APIGraphQL, matches: isQuery("Discover")},
	"Discover, page 2": {api: github.APIGraphQL, matches: isQueryAfter("Discover", "after"), repositories: 100},
	"Activity": {
		api: github.APIGraphQL, matches: isQuery("Activity"), streams: commits | pulls, alone: true,
	},
	"Activities": {
		api: github.APIGraphQL, matches: isQuery("Activities"), streams: commits | pulls, grouped: true,
	},
	"Activity, more commits": {
		api: github.APIGraphQL, matches: isQueryAfter("Activity", "commitsAfter"), streams: commits, more: manyCommits,
	},
	"Activity, more pulls": {
		api: github.APIGraphQL, matches: isQueryAfter("Activity", "pullsAfter"), streams: pulls, more: somePulls,
	},
	"Reviews": {api: github.APIGraphQL, matches: isQuery("Reviews"), streams: pulls, more: manyReviews},
	"Lines": {
		api: github.APIGraphQL, matches: isQuery("Lines"), streams: commits, more: noLines, hasSubstitute: true,
	},
	"lines of one commit": {
		api: github.APIGraphQL, matches: isFirstPage(commitRoute), streams: commits, more: noLines,
		validStatuses: linesUnavailable,
	},
	"comments": {api: github.APIGraphQL, matches: isFirstPage(commentsRoute), streams: comments},
	"more comments": {
		api: github.APIGraphQL, matches: isFirstPage(commentsRoute), streams: comments, more: manyComments,
	},
	"an App's token":          {api: github.APIGraphQL, matches: isFirstPage(tokensRoute), app: true, installed: true},
	"an App's token for REST": {api: github.APIREST, matches: isFirstPage(tokensRoute), app: true, installed: true},
	"an App's installation":   {api: github.APIGraphQL, matches: isFirstPage(installationRoute), app: true},
	"repos":                   {api: github.APIREST, matches: isFirstPage(reposRoute)},
	"repos, page 2":           {api: github.APIREST, matches: isSecondPage(reposRoute), repositories: 100},
	"commits": {
		api: github.APIREST, matches: isFirstPage(commitsRoute), streams: commits,
		more: manyCommits,
	},
	"commit": {
		api: github.APIREST, matches: isFirstPage(commitRoute), streams: commits,
		validStatuses: linesUnavailable,
	},
	"compare": {
		api: github.APIREST, matches: isFirstPage(compareRoute), streams: commits,
		validStatuses: headGone,
	},
	"compare, page 2": {
		api: github.APIREST, matches: isSecondPage(compareRoute), streams: commits, more: manyCommits,
		validStatuses: headGone,
	},
	"pulls":         {api: github.APIREST, matches: isFirstPage(pullsRoute), streams: pulls},
	"pulls, page 2": {api: github.APIREST, matches: isSecondPage(pullsRoute), streams: pulls, more: manyPulls},
	"reviews":       {api: github.APIREST, matches: isFirstPage(reviewsRoute), streams: pulls},
	"reviews, page 2": {
		api: github.APIREST, matches: isSecondPage(reviewsRoute), streams: pulls, more: manyReviews,
	},
	"REST comments": {api: github.APIREST, matches: isFirstPage(commentsRoute), streams: comments},
	"REST comments, page 2": {
		api: github.APIREST, matches: isFirstPage(commentsRoute), streams: comments, more: manyComments,
	},
}

// faultyOrg is an organization in which a request has a fault.
type faultyOrg struct {
	*bench

	q    *requestCase
	f    fault
	data *githubtest.Dataset
}

// faultyRepo is the repository with the fault.
const faultyRepo = "one"

// testFault checks a pass in which a request has a fault, and the passes after it.
func testFault(t *testing.T, q *requestCase, f fault) {
	t.Helper()
	if q.app && !f.want(&transport.LimitError{}) && !f.want(&transport.UnavailableError{}) {
		f.want = credential
	}
	s := newFaultyOrg(t, q, f)
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
	edge := s.coverage().Edge
	result, err := s.collector.Pass(t.Context(), 1)
	require.Positive(t, armed.Hits())
	s.requireFailure(&result, err, edge)
	s.requireAttempts(armed)
	requireNothingInvented(t, s.bench, s.data)
	s.clock.Advance(interval)
	s.addActivity() // activity continues during the fault
	if _, err = s.collector.Pass(t.Context(), 1); q.streams != 0 && !isA[*transport.LimitError](err) {
		require.NoError(t, err)
	}
	s.heal()
	if slices.Equal(q.validStatuses, linesUnavailable) && f.do.Status == http.StatusUnprocessableEntity {
		requireAllRecorded(t, s.bench, s.data) // commits of which GitHub cannot tell the lines have none, today or ever
		return
	}
	requireExpectedMetrics(t, s.bench, s.data)
}

// newFaultyOrg returns an organization that was read, and in which the request is necessary now.
func newFaultyOrg(t *testing.T, q *requestCase, f fault) *faultyOrg {
	t.Helper()
	s := &faultyOrg{q: q, f: f, data: newDataset(faultyRepo, "two", "three")}
	for n := range q.repositories {
		s.data.Repos = append(
			s.data.Repos,
			githubtest.Repo{
				Name: fmt.Sprint("idle-", n), DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0),
				RepoState: githubtest.RepoState{Empty: true},
			},
		)
	}
	for _, repo := range []string{faultyRepo, "two", "three"} { // the newest is what the next one is compared with
		addCommit(s.data, repo, noon.AddDate(0, 0, -6))
		addCommit(s.data, repo, noon.Add(-time.Hour))
	}
	s.bench = newInProcessBench(t, q.api, s.data, func(server *githubtest.Settings, client *transport.Settings,
		_ *Settings,
	) {
		if q.app {
			authenticateApp(t, server, client, q.installed)
		}
	})
	if !q.app {
		s.pass()
		s.fillGaps()
		s.clock.Advance(interval)
	}
	s.addActivity()
	s.server.ResetRequests()
	return s
}

// repo returns the repository that has the fault, "" for a request that is not about one.
func (s *faultyOrg) repo() string {
	if s.q.streams == 0 || s.q.grouped {
		return ""
	}
	return faultyRepo
}

// addActivity adds an event of every kind to three repositories, and the activity of the request to faultyRepo.
func (s *faultyOrg) addActivity() {
	at := s.clock.Now().Add(-time.Minute)
	s.server.Update(func(d *githubtest.Dataset) {
		for i, repo := range []string{"two", "three", faultyRepo} {
			number := len(d.Pulls) + i + 1
			addCommit(d, repo, at)
			addPull(d, repo, number, at, &at)
			addReview(d, repo, number, at)
			addComment(d, repo, number, at)
			if repo == faultyRepo && s.q.more != nil {
				number := len(d.Pulls) + 1
				addPull(d, repo, number, at, nil)
				s.q.more(d, repo, at)
			}
		}
		*s.data = *d.Clone()
	})
}

// requireFailure compares the result of a pass, and the gaps after it, with those that the fault must have. edge is the
// one before the pass.
func (s *faultyOrg) requireFailure(result *PassResult, err error, edge time.Time) {
	s.t.Helper()
	cov := s.coverage()
	switch halts := s.f.want(&transport.LimitError{}) || s.f.want(&transport.CredentialError{}); {
	case s.f.listed && s.q.streams == 0, s.f.passes && err == nil && len(result.Failures) == 0,
		s.q.grouped && !s.f.want(&transport.LimitError{}), s.q.hasSubstitute && s.f.want(&transport.UnavailableError{}),
		slices.Contains(s.q.validStatuses, s.f.do.Status):
		require.NoError(s.t, err)
		require.Empty(s.t, result.Failures)
		require.True(s.t, s.q.app || len(cov.Gaps()) == 0, "the first pass leaves the look-back")
	case s.q.streams == 0:
		require.True(s.t, err != nil && s.f.want(err), "%T: %v", err, err)
		require.Equal(s.t, edge, cov.Edge, "the pass does not count")
		require.Empty(s.t, cov.Gaps())
	default:
		require.NoError(s.t, err)
		require.NotEmpty(s.t, result.Failures)
		for i := range result.Failures {
			f := &result.Failures[i]
			require.True(s.t, s.f.want(f.Err), "%T: %v", f.Err, f.Err)
			if !halts {
				require.Equal(s.t, faultyRepo, f.Repo)
				require.True(s.t, s.q.streams.WithDependent().Has(f.Stream), "%v", f.Stream)
			}
		}
		s.requireGaps(&cov, result.Failures)
	}
}

// requireGaps requires that the failed streams are the gaps.
func (s *faultyOrg) requireGaps(cov *ledger.Coverage, failures []Failure) {
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

// requireAttempts requires that a failure that may be transient has at most maxAttempts attempts, that a refusal that
// may be transient has two, and that any other one has one.
func (s *faultyOrg) requireAttempts(armed *githubtest.ArmedFault) {
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
		require.Equal(s.t, 1, most, "another request replaces it")
	case s.f.want(&transport.UnavailableError{}):
		if !s.q.hasSubstitute && s.q.api == github.APIREST {
			require.Equal(s.t, maxAttempts, most)
		}
		require.LessOrEqual(s.t, most, maxAttempts)
		require.LessOrEqual(s.t, armed.Hits(), 4*maxAttempts)
	case s.q.app && s.f.do.Status == http.StatusUnauthorized:
		require.Equal(s.t, 2, most, "a clock may have been wrong")
	case !s.q.app && !s.f.want(&transport.LimitError{}) && slices.Contains(transientRefusals, s.f.do.Status) &&
		!slices.Contains(s.q.validStatuses, s.f.do.Status):
		require.Equal(s.t, 2, most, "the refusal may be transient")
	default:
		require.Equal(s.t, 1, most)
	}
	if s.f.want(&transport.LimitError{}) {
		require.LessOrEqual(
			s.t, armed.Hits(), 1+s.collector.settings.Concurrency, "after the first limit only requests in flight",
		)
	}
}

// heal ends the fault and makes passes until there is no gap.
func (s *faultyOrg) heal() {
	s.t.Helper()
	s.server.ClearFaults()
	for range 30 {
		s.clock.Advance(30 * time.Minute)
		_, err := s.collector.Pass(s.t.Context(), 1)
		if isA[*transport.LimitError](err) {
			continue // until its end
		}
		require.NoError(s.t, err)
		s.fillGaps()
		if cov := s.coverage(); len(cov.Gaps()) == 0 {
			return
		}
	}
	s.t.Fatal("a gap remains")
}
