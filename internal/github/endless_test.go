// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package github

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// endless answers every request with another page that says there is one more.
type endless struct {
	body string // {n} is the number of the page, {sha} an object name that was not there before
	link string

	mu   sync.Mutex
	sent int
}

func (e *endless) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	e.sent++
	n := e.sent
	e.mu.Unlock()
	header := http.Header{"Content-Type": {"application/json"}}
	if e.link != "" {
		header.Set("Link", e.link)
	}
	body := strings.NewReplacer("{n}", strconv.Itoa(n), "{sha}", fmt.Sprintf("%040x", n), "{date}",
		time.Unix(1_770_000_000+int64(n), 0).UTC().Format(time.RFC3339)).Replace(e.body)
	return &http.Response{
		StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader([]byte(body))), Request: r,
		ProtoMajor: 1, ProtoMinor: 1,
	}, nil
}

const (
	noReviews = "no reviews" // stands for a head
	nextLink  = `<https://api.github.example/x?page=2>; rel="next"`
	oneCommit = `{"sha":"{sha}","commit":{"author":{"name":"a"},"committer":{"date":"2026-03-11T12:00:00Z"}},` +
		`"parents":[{"sha":"b"},{"sha":"c"}]}`
	onePull = `{"id":{n},"number":{n},"created_at":"2026-03-11T12:00:00Z","updated_at":"2026-03-11T12:00:00Z",` +
		`"user":null,"draft":false,"state":"closed","event":"closed"}`
	discovery = activity.Stream(activity.NumStreams)
	history   = `"oid":"{sha}","history":{"pageInfo":{"hasNextPage":true,"endCursor":"{n}"},"nodes":[{"id":"C",` +
		`"oid":"{sha}","committedDate":"2026-03-11T12:00:00Z","additions":1,"deletions":1,"author":null,` +
		`"parents":{"totalCount":0,"nodes":[]}}]}`
)

// TestNoListingGoesOnForEver: one whose every page is another one, and says that there is one more, ends in an error
// after as many pages as no valid one has.
func TestNoListingGoesOnForEver(t *testing.T) {
	t.Parallel()
	repositories := `{"data":{"organization":{"repositories":{"pageInfo":{"hasNextPage":true,"endCursor":"{n}"},` +
		`"nodes":[{"id":"R_{n}","databaseId":{n},"name":"repo","isArchived":false,"isFork":false,"isPrivate":false,` +
		`"isEmpty":false}]}}}}`
	commits := `{"data":{"byId":{"object":{` + history + `},"defaultBranchRef":{"target":{` + history + `}}}}}`
	reviews := `"reviews":{"pageInfo":{"hasNextPage":true,"endCursor":"{n}"},"nodes":[]}`
	changes := `"timelineItems":{"pageInfo":{"hasNextPage":true,"endCursor":"{n}"},"nodes":[]}`
	pulls := `{"data":{"node":{` + reviews + "," + changes + `},"byId":{"pullRequests":{"pageInfo":{"hasNextPage":%t,` +
		`"endCursor":"{n}"},"nodes":[{"id":"P","number":{n},"createdAt":"2026-03-11T12:00:00Z",` +
		`"updatedAt":"2026-03-11T12:00:00Z","author":null,%s}]}}}}`
	none := `"reviews":{"pageInfo":{"hasNextPage":false,"endCursor":null},"nodes":[]}`
	comment := `[{"id":{n},"created_at":"2026-03-11T12:00:00Z","updated_at":"%s","user":null}]`
	for name, test := range map[string]struct {
		api    API
		stream activity.Stream
		head   string
		server *endless
	}{
		"repositories": {APIGraphQL, discovery, "", &endless{body: repositories}},
		"commits":      {APIGraphQL, activity.StreamCommits, "", &endless{body: commits}},
		"commits from a head": {
			APIGraphQL, activity.StreamCommits, strings.Repeat("f", 40),
			&endless{body: commits},
		},
		"pull requests": {
			APIGraphQL, activity.StreamPulls, "",
			&endless{body: fmt.Sprintf(pulls, true, none)},
		},
		"reviews": {
			APIGraphQL, activity.StreamPulls, "",
			&endless{body: fmt.Sprintf(pulls, false, reviews)},
		},
		"changes": {
			APIGraphQL, activity.StreamPullFlow, "",
			&endless{body: fmt.Sprintf(pulls, false, none+`,"isDraft":false,"additions":0,"deletions":0,`+changes)},
		},
		"REST changes": {
			APIREST, activity.StreamPullFlow, noReviews,
			&endless{body: `[` + onePull + `]`, link: nextLink},
		},
		"comments of one time": {
			APIGraphQL, activity.StreamComments, "",
			&endless{body: fmt.Sprintf(comment, "2026-03-11T12:00:00Z"), link: nextLink},
		},
		"comments": {
			APIGraphQL, activity.StreamComments, "",
			&endless{body: fmt.Sprintf(comment, "{date}"), link: nextLink},
		},
		"REST repositories": {
			APIREST, discovery, "",
			&endless{
				body: `[{"id":{n},"node_id":"R_{n}","name":"repo","archived":false,"fork":false,"private":false}]`,
				link: nextLink,
			},
		},
		"REST commits": {
			APIREST, activity.StreamCommits, "",
			&endless{body: `[` + oneCommit + `]`, link: nextLink},
		},
		"REST commits, compared": {
			APIREST, activity.StreamCommits, strings.Repeat("f", 40),
			&endless{body: `{"status":"ahead","commits":[` + oneCommit + `]}`, link: nextLink},
		},
		"REST pull requests": {
			APIREST, activity.StreamPulls, noReviews,
			&endless{body: `[` + onePull + `]`, link: nextLink},
		},
		"REST reviews": {
			APIREST, activity.StreamPulls, "",
			&endless{body: `[` + onePull + `]`, link: nextLink},
		},
		"REST, nothing and more": {APIREST, activity.StreamPulls, "", &endless{body: `[]`, link: nextLink}},
		"REST, millions of pages": {APIREST, discovery, "", &endless{
			body: `[]`,
			link: `<https://api.github.example/x?page=9000000>; rel="last"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := test.server
			requests, err := transport.New(transport.Settings{
				HTTP: &http.Client{Transport: headFirst{server, test.head}}, Endpoint: "https://api.github.example",
				Retry: transport.RetrySettings{MaxAttempts: 1},
				Now:   func() time.Time { return time.Unix(1_770_000_000, 0) },
			})
			require.NoError(t, err)
			client := New(requests, Settings{API: test.api})
			if test.stream == discovery {
				err = client.Discover(t.Context(), "acme", func([]activity.Repository) error { return nil })
			} else {
				request := ReadRequest{
					Org: "acme", Repo: activity.Repository{ID: 1, NodeID: "R_1", Name: "repo"},
					Streams:         activity.StreamsOf(test.stream),
					CommitSelection: CommitSelection{ReadHead: test.head},
				}
				outcome := client.Read(t.Context(), request, func([]activity.Event) error { return nil })
				require.Len(t, outcome.Failed, 1)
				err = outcome.Failed[test.stream]
			}
			var unavailable *transport.UnavailableError
			require.ErrorAs(t, err, &unavailable)
			require.LessOrEqual(t, server.sent, 2*maxPages+2) // reviews are listed for each pull request of a page
			t.Logf("%d requests: %v", server.sent, err)
		})
	}
}

// headFirst answers a question for the newest commit with a list, where others get a comparison, or one for reviews
// with none.
type headFirst struct {
	server *endless
	head   string
}

func (h headFirst) RoundTrip(r *http.Request) (*http.Response, error) {
	if h.head == noReviews && strings.HasSuffix(r.URL.Path, "/reviews") {
		return (&endless{body: `[]`}).RoundTrip(r)
	}
	if h.head != "" && strings.HasSuffix(r.URL.Path, "/commits") {
		return (&endless{body: `[` + oneCommit + `]`}).RoundTrip(r)
	}
	return h.server.RoundTrip(r)
}
