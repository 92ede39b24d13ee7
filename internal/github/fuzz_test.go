package github

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// canned answers every request with the same body, as another server might.
type canned struct {
	status int
	body   []byte
	link   string
}

func (c *canned) RoundTrip(request *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {"application/json"}}
	if c.link != "" {
		header.Set("Link", c.link)
	}
	return &http.Response{
		StatusCode: c.status, Header: header, Body: io.NopCloser(bytes.NewReader(c.body)), Request: request,
		ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

// fuzzed reads everything there is from a server that answers so, and checks that what comes out can be recorded.
func fuzzed(t *testing.T, api API, transport http.RoundTripper) {
	t.Helper()
	client, err := New(Settings{
		HTTP: &http.Client{Transport: transport}, Endpoint: "https://api.github.example", API: api,
		Retry: RetrySettings{MaxAttempts: 1}, Now: func() time.Time { return time.Unix(1_770_000_000, 0) },
	})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pages := 0
	bound := func() { // a listing that goes on and on is ended by its reader
		if pages++; pages > 20 {
			cancel()
		}
	}
	_ = client.Discover(ctx, "acme", func(page []activity.Repository) error {
		bound()
		for _, r := range page {
			require.Positive(t, r.ID)
			require.NotEmpty(t, r.Name)
			require.True(t, activity.Printable(r.Name))
		}
		return nil
	})
	for _, head := range []string{"", strings.Repeat("a", 40)} {
		request := Request{Org: "acme", Repo: activity.Repository{ID: 1, NodeID: "R_1", Name: "repo"}, Streams: activity.EveryStream, SeenHead: head}
		client.Read(ctx, request, func(events []activity.Event) error {
			bound()
			for i := range events {
				require.NoError(t, events[i].Validate())
			}
			return nil
		})
	}
}

// FuzzGraphQLAnswer: no answer of GraphQL panics or gives an event that cannot be.
func FuzzGraphQLAnswer(f *testing.F) {
	f.Add(200, []byte(`{"data":{"rateLimit":{"cost":1,"remaining":4999,"limit":5000,"resetAt":"2026-03-11T12:00:00Z"},"organization":{"repositories":{"pageInfo":{"hasNextPage":true,"endCursor":"x"},"nodes":[{"id":"R_1","databaseId":1,"name":"repo","pushedAt":"2026-03-11T12:00:00Z","defaultBranchRef":{"target":{"oid":"a"}}},null]}},"pulls":null,"issues":{"repositories":{"nodes":[{"id":"R_1","issues":{"nodes":[null]}}]}}}}`))
	f.Add(200, []byte(`{"data":{"byId":{"defaultBranchRef":{"target":{"oid":"0123456789012345678901234567890123456789","history":{"pageInfo":{"hasNextPage":false},"nodes":[{"oid":"0123456789012345678901234567890123456789","committedDate":"2026-03-11T12:00:00Z","additions":1,"deletions":-5,"author":null,"parents":{"totalCount":1,"nodes":[null]}}]}}},"pullRequests":{"nodes":[{"id":"P","number":1,"createdAt":"2026-03-11T12:00:00Z","updatedAt":"2026-03-11T12:00:00Z","author":{"__typename":"Bot","login":"renovate"},"reviews":{"nodes":[{"fullDatabaseId":"99","submittedAt":null,"author":null},null]}}]}}}}`))
	f.Add(200, []byte(`{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`))
	f.Add(200, []byte(`{"data":null,"errors":[{"message":"Something went wrong","path":["organization",0,null]}]}`))
	f.Add(502, []byte(`<html>`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 || (status >= 300 && status < 400) {
			return
		}
		fuzzed(t, APIGraphQL, &canned{status: status, body: body})
	})
}

// FuzzRESTAnswer: no answer of REST panics or gives an event that cannot be.
func FuzzRESTAnswer(f *testing.F) {
	f.Add(200, []byte(`[{"id":1,"name":"repo","pushed_at":"2026-03-11T12:00:00Z"}]`), `<https://api.github.example/x?page=2>; rel="next", <https://api.github.example/x?page=9>; rel="last"`)
	f.Add(200, []byte(`[{"sha":"0123456789012345678901234567890123456789","commit":{"author":null,"committer":{"date":"2026-03-11T12:00:00Z"}},"author":{},"parents":[{}]}]`), "")
	f.Add(200, []byte(`[{"number":1,"id":2,"user":{"login":"a\nb","id":3},"created_at":"2026-03-11T12:00:00Z","updated_at":"2026-03-11T12:00:00Z","submitted_at":"2026-03-11T12:00:00Z"}]`), `<%>; rel="last"`)
	f.Add(403, []byte(`{"message":"You have exceeded a secondary rate limit"}`), "")
	f.Fuzz(func(t *testing.T, status int, body []byte, link string) {
		if status < 200 || status > 599 || (status >= 300 && status < 400) {
			return
		}
		fuzzed(t, APIREST, &canned{status: status, body: body, link: link})
	})
}
