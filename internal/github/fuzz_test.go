// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
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
func fuzzed(t *testing.T, api API, roundTripper http.RoundTripper) {
	t.Helper()
	requests, err := transport.New(transport.Settings{
		HTTP: &http.Client{Transport: roundTripper}, Endpoint: "https://api.github.example",
		Retry: transport.RetrySettings{MaxAttempts: 1}, Now: func() time.Time { return time.Unix(1_770_000_000, 0) },
	})
	require.NoError(t, err)
	client := New(requests, Settings{API: api})
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
			require.True(t, activity.IsPrintable(r.Name))
		}
		return nil
	})
	for _, head := range []string{"", strings.Repeat("a", 40)} {
		request := ReadRequest{
			Org: "acme", Repo: activity.Repository{ID: 1, NodeID: "R_1", Name: "repo"},
			Streams: activity.EveryStream,
		}
		request.ReadHead = head
		if head != "" {
			request.Tips = []string{strings.Repeat("b", 40), "../c"}
		}
		outcome := client.Read(ctx, request, func(events []activity.Event) error {
			bound()
			for i := range events {
				require.NoError(t, events[i].Validate())
			}
			return nil
		})
		require.True(t, outcome.Failed[activity.StreamCommits] == nil || len(outcome.ResolvedTips) == 0)
	}
	fuzzedLines(t, client)
}

// fuzzedLines reads the statistics and the lines of a week, in parts.
func fuzzedLines(t *testing.T, client *Client) {
	t.Helper()
	repo := activity.Repository{ID: 1, NodeID: "R_1", Name: "repo"}
	reported, err := client.ReadContributors(t.Context(), "acme", repo)
	require.True(t, err == nil || len(reported.Contributors) == 0)
	for _, c := range reported.Contributors {
		require.NoError(t, c.Actor.Validate())
		for _, w := range c.Weeks {
			require.Equal(t, time.Sunday, w.Start.Weekday())
			require.LessOrEqual(t, max(w.Added, w.Removed, w.Commits), uint64(maxWeekLines))
		}
	}
	end := time.Unix(1_770_000_000, 0)
	outcome, _ := client.ReadCommitLines(t.Context(), CommitLinesRequest{
		Org: "acme", Repo: repo, Window: activity.Window{Start: end.AddDate(0, 0, -7), End: end}, MaxCommits: 3,
	}, func(events []activity.Event) error {
		for i := range events {
			require.NoError(t, events[i].Validate())
		}
		return nil
	})
	require.LessOrEqual(t, outcome.Requested, 3)
}

// FuzzGraphQLAnswer: no answer of GraphQL panics or gives an event that cannot be.
func FuzzGraphQLAnswer(f *testing.F) {
	f.Add(200, []byte(`{"data":{"rateLimit":{"cost":1,"remaining":4999,"limit":5000,`+
		`"resetAt":"2026-03-11T12:00:00Z"},"organization":{"repositories":{"pageInfo":{"hasNextPage":true,`+
		`"endCursor":"x"},"nodes":[{"id":"R_1","databaseId":1,"name":"repo","pushedAt":"2026-03-11T12:00:00Z",`+
		`"defaultBranchRef":{"target":{"oid":"a"}}},null]}},"pulls":null,`+
		`"issues":{"repositories":{"nodes":[{"id":"R_1","issues":{"nodes":[null]}}]}}}}`))
	f.Add(200, []byte(
		`{"data":{"byId":{"defaultBranchRef":{"target":{"oid":"0123456789012345678901234567890123456789",`+
			`"history":{"pageInfo":{"hasNextPage":false},"nodes":[{"oid":"0123456789012345678901234567890123456789",`+
			`"committedDate":"2026-03-11T12:00:00Z","additions":1,"deletions":-5,"author":null,`+
			`"parents":{"totalCount":1,"nodes":[null]}}]}}},"pullRequests":{"nodes":[{"id":"P","number":1,`+
			`"createdAt":"2026-03-11T12:00:00Z","updatedAt":"2026-03-11T12:00:00Z","author":{"__typename":"Bot",`+
			`"login":"renovate"},"reviews":{"nodes":[{"fullDatabaseId":"99","submittedAt":null,"author":null},`+
			`null]}}]}}}}`))
	f.Add(200, []byte(`{"errors":[{"type":"RATE_LIMITED","message":"API rate limit exceeded"}]}`))
	f.Add(200, []byte(`{"data":null,"errors":[{"message":"Something went wrong","path":["organization",0,null]}]}`))
	f.Add(200, []byte(
		`{"data":{"rateLimit":{"cost":"x"},"byId":{"defaultBranchRef":{"target":{"oid":"0123456789012345678901234567890123456789","history":{"pageInfo":{"hasNextPage":false},"nodes":[{"oid":"0123456789012345678901234567890123456789","committedDate":"12200-05-05T00:00:00Z","additions":"many","author":{"user":{"login":7}},"parents":{"totalCount":1,"nodes":[]}}]}}},"pullRequests":{"nodes":[{"id":"P","number":1e400,"createdAt":7,"updatedAt":"12200-05-05T00:00:00Z","reviews":{"nodes":[{"fullDatabaseId":[],"submittedAt":7}]}}]}}}}`))
	f.Add(200, []byte(`{"data":{"byId":{"pullRequests":{"nodes":[{"id":"P","number":1,"isDraft":false,"additions":3,`+
		`"deletions":1e9,"createdAt":"2026-03-11T12:00:00Z","updatedAt":"2026-03-12T12:00:00Z",`+
		`"mergedAt":"2026-03-12T12:00:00Z","closedAt":null,"author":null,"reviews":{"nodes":[{"fullDatabaseId":"9",`+
		`"submittedAt":"2026-03-11T13:00:00Z","state":"DISMISSED","author":null}]},"timelineItems":{"nodes":[`+
		`{"__typename":"ReviewDismissedEvent","createdAt":"2026-03-11T14:00:00Z","previousReviewState":"APPROVED",`+
		`"review":{"fullDatabaseId":"9"}},{"__typename":"ReadyForReviewEvent","createdAt":"12200-05-05T00:00:00Z"},`+
		`{"__typename":"ClosedEvent","createdAt":"2026-03-12T12:00:00Z"},null]}}]}}}}`))
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
	f.Add(200, []byte(`[{"id":1,"name":"repo","pushed_at":"2026-03-11T12:00:00Z"}]`),
		`<https://api.github.example/x?page=2>; rel="next", <https://api.github.example/x?page=9>; rel="last"`)
	f.Add(200, []byte(`[{"sha":"0123456789012345678901234567890123456789","commit":{"author":null,`+
		`"committer":{"date":"2026-03-11T12:00:00Z"}},"author":{},"parents":[{}]}]`), "")
	f.Add(200, []byte(`[{"number":1,"id":2,"user":{"login":"a\nb","id":3},"created_at":"2026-03-11T12:00:00Z",`+
		`"updated_at":"2026-03-11T12:00:00Z","submitted_at":"2026-03-11T12:00:00Z"}]`), `<%>; rel="last"`)
	f.Add(200, []byte(`{"status":"diverged","total_commits":1,`+
		`"commits":[{"sha":"0123456789012345678901234567890123456789","parents":[],`+
		`"commit":{"committer":{"date":"2026-03-11T12:00:00Z"}}}]}`), "")
	f.Add(200, []byte(`[{"number":1,"id":2,"user":null,"state":"closed","draft":false,"additions":7,"deletions":-7,`+
		`"created_at":"2026-03-11T12:00:00Z","updated_at":"2026-03-11T12:00:00Z","closed_at":"2026-03-11T12:00:00Z",`+
		`"merged_at":"2026-03-11T12:00:00Z","submitted_at":"2026-03-11T12:00:00Z","event":"review_dismissed",`+
		`"dismissed_review":{"state":"approved","review_id":2}}]`), "")
	f.Add(403, []byte(`{"message":"You have exceeded a secondary rate limit"}`), "")
	f.Add(200, []byte(`[{"id":18446744073709551616,"sha":"0123456789012345678901234567890123456789",`+
		`"commit":{"committer":{"date":"12200-05-05T00:00:00Z"}},"parents":[],"number":1,"user":{"login":7},`+
		`"created_at":7,"updated_at":"12200-05-05T00:00:00Z"},{"id":2,"number":2}]`), "")
	f.Add(202, []byte(`{}`), "")
	f.Add(200, []byte(`[{"author":{"login":"ada","id":1},"total":3,"weeks":[{"w":1772323200,"a":5,"d":-1,"c":1},`+
		`{"w":1772323200,"a":5,"d":1,"c":1},{"w":1}]},{"author":null},null]`), "")
	f.Fuzz(func(t *testing.T, status int, body []byte, link string) {
		if status < 200 || status > 599 || (status >= 300 && status < 400) {
			return
		}
		fuzzed(t, APIREST, &canned{status: status, body: body, link: link})
	})
}
