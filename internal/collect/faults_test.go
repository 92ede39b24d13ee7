package collect

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

func isA[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

// theFaults are everything that GitHub, or what stands before it, is known to do instead of answering, and the error each becomes.
var theFaults = map[string]struct {
	do   githubtest.Effect
	want func(error) bool
}{
	"401":                {githubtest.Status(401), isA[*github.CredentialError]},
	"403":                {githubtest.Status(403), isA[*github.ForbiddenError]},
	"404":                {githubtest.Status(404), isA[*github.NotFoundError]},
	"409":                {githubtest.Status(409), isA[*github.NotFoundError]},
	"410":                {githubtest.Status(410), isA[*github.NotFoundError]},
	"422":                {githubtest.Status(422), isA[*github.NotFoundError]},
	"429":                {githubtest.Status(429), isA[*github.LimitError]},
	"451":                {githubtest.Status(451), isA[*github.ForbiddenError]},
	"500":                {githubtest.Status(500), isA[*github.UnavailableError]},
	"502":                {githubtest.Status(502), isA[*github.UnavailableError]},
	"503":                {githubtest.Status(503), isA[*github.UnavailableError]},
	"504":                {githubtest.Status(504), isA[*github.UnavailableError]},
	"primary limit":      {githubtest.PrimaryLimit(403), isA[*github.LimitError]},
	"primary limit, 429": {githubtest.PrimaryLimit(429), isA[*github.LimitError]},
	"secondary limit":    {githubtest.SecondaryLimit(403, time.Minute), isA[*github.LimitError]},
	"reset":              {githubtest.ConnectionReset(), isA[*github.UnavailableError]},
	"time-out":           {githubtest.Hang(), isA[*github.UnavailableError]},
	"slow body":          {githubtest.SlowBody(2 * time.Second), isA[*github.UnavailableError]},
	"truncated JSON":     {githubtest.TruncatedJSON(), isA[*github.UnavailableError]},
	"HTML":               {githubtest.HTML(200), isA[*github.UnavailableError]},
	"wrong length":       {githubtest.WrongLength(), isA[*github.UnavailableError]},
	"redirect loop":      {githubtest.RedirectLoop(), isA[*github.UnavailableError]},
	"redirect elsewhere": {githubtest.RedirectTo(302, "https://example.com/"), isA[*github.UnavailableError]},
	"null":               {githubtest.StatusBody(200, jsonType, "null"), isA[*github.UnavailableError]},
	"another form":       {githubtest.StatusBody(200, jsonType, `"text"`), isA[*github.UnavailableError]},
	"nothing":            {githubtest.StatusBody(200, jsonType, ""), isA[*github.UnavailableError]},
}

var jsonType = http.Header{"Content-Type": {"application/json"}}

// questions are what a pass asks, by API; the first of each lists the repositories.
var questions = map[github.API][]string{
	github.APIGraphQL: {"Discover", "Activity", "/repos/{owner}/{repo}/issues/comments"},
	github.APIREST: {
		"/orgs/{org}/repos", "/repos/{owner}/{repo}/commits", "/repos/{owner}/{repo}/compare/{basehead...}", "/repos/{owner}/{repo}/commits/{ref...}", "/repos/{owner}/{repo}/pulls",
		"/repos/{owner}/{repo}/pulls/{pull_number}/reviews", "/repos/{owner}/{repo}/issues/comments",
	},
}

// otherwise are questions that need no answer when what they ask for is not found: a commit of which GitHub cannot tell the lines
// has none, and a head that is not there any more is no head to go on from, so what is in the horizon is listed.
var otherwise = map[string]bool{
	"/repos/{owner}/{repo}/commits/{ref...}": true, "/repos/{owner}/{repo}/compare/{basehead...}": true,
}

// TestFaultMatrix: each fault in each question ends in its error, and as long as it lasts what could not be read is missing and
// nothing is taken for read; when it has passed, everything is recorded and nothing is missing.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for api, asked := range questions {
		for n, question := range asked {
			for name, fault := range theFaults {
				t.Run(fmt.Sprint(api, " ", question, " ", name), func(t *testing.T) {
					t.Parallel()
					faultCase(t, api, question, n == 0, fault.do, fault.want)
				})
			}
		}
	}
}

func faultCase(t *testing.T, api github.API, question string, discovery bool, do githubtest.Effect, want func(error) bool) {
	t.Helper()
	const concurrency = 4
	data := dataset("one", "two", "three")
	for _, repo := range data.Repos { // so that the next commit is compared with it
		commit(data, repo.Name, noon.Add(-time.Hour))
	}
	b := newBench(t, api, data, func(s *Settings) { s.Handover, s.Concurrency = true, concurrency })
	b.pass()
	b.clock.Advance(interval)
	happens := func() {
		at := b.clock.Now().Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			for i, repo := range []string{"one", "two", "three"} {
				number := len(d.Pulls) + i + 1
				commit(d, repo, at)
				pull(d, repo, number, at, &at)
				review(d, repo, number, at)
				comment(d, repo, number, at)
				*data = *d
			}
		})
	}
	happens()
	b.server.Reset()
	armed := b.server.Fault(githubtest.Fault{
		Match: githubtest.Match{Func: func(r githubtest.RequestInfo) bool {
			return r.Route == question || r.Operation == question || question == "Activity" && r.Operation == "Activities"
		}}, Do: do,
	})
	sum, err := b.collector.Pass(t.Context(), 1)
	require.Positive(t, armed.Struck())
	harmless := want(&github.NotFoundError{}) && otherwise[question]
	switch {
	case discovery:
		require.Error(t, err)
		require.True(t, want(err), "%T: %v", err, err)
	case harmless:
		require.NoError(t, err)
		require.Empty(t, sum.Failures)
	default:
		require.NoError(t, err)
		require.NotEmpty(t, sum.Failures)
		for i := range sum.Failures {
			require.True(t, want(sum.Failures[i].Err), "%T: %v", sum.Failures[i].Err, sum.Failures[i].Err)
		}
		missing := b.coverage()
		require.NotEmpty(t, missing.Gaps())
	}
	if want(&github.LimitError{}) {
		require.LessOrEqual(t, armed.Struck(), 1+concurrency, "after the first limit only what is on its way")
	}
	b.clock.Advance(interval)
	happens() // and goes on while it lasts
	if _, err = b.collector.Pass(t.Context(), 1); !discovery && !isA[*github.LimitError](err) {
		require.NoError(t, err)
	}
	b.server.ClearFaults()
	for range 30 {
		b.clock.Advance(30 * time.Minute)
		_, err := b.collector.Pass(t.Context(), 1)
		if isA[*github.LimitError](err) {
			continue // until its end
		}
		require.NoError(t, err)
		b.fill()
		if cov := b.coverage(); len(cov.Gaps()) == 0 {
			break
		}
	}
	cov := b.coverage()
	require.Empty(t, cov.Gaps())
	requireAllRecorded(t, b, data)
}
