// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// newSchemaClient makes a client of a server whose schema lacks some fields.
func newSchemaClient(t *testing.T, now *time.Time, api API, lacking ...string) (*Client, *githubtest.Server,
	*[]string,
) {
	t.Helper()
	data := &githubtest.Dataset{
		Org:   githubtest.Org{Login: "acme", CreatedAt: now.Add(-time.Hour)},
		Repos: []githubtest.Repo{{ID: 1, Name: "app", CreatedAt: now.Add(-time.Hour), DefaultBranch: "main"}},
	}
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Now: func() time.Time { return *now }, MissingFields: lacking,
	})
	var reported []string
	requests, err := transport.New(transport.Settings{
		HTTP: http.DefaultClient, Endpoint: server.URL, Credential: transport.TokenCredential(githubtest.DefaultToken),
		Now: func() time.Time { return *now },
	})
	require.NoError(t, err)
	client := New(requests, Settings{API: api, OnSchemaError: func(err *SchemaError) {
		reported = append(reported, err.Error())
	}})
	return client, server, &reported
}

// withoutVariables are the variables of a document that has none.
type withoutVariables document

func (v withoutVariables) document() document { return document(v) }

// MarshalJSON implements json.Marshaler.
func (withoutVariables) MarshalJSON() ([]byte, error) { return []byte("null"), nil }

// TestOptionalField: a field that the schema lacks is left out of the documents, and is asked for again after an hour.
func TestOptionalField(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	client, server, reported := newSchemaClient(t, &now, APIGraphQL, "Repository.hasPullRequestsEnabled")
	const text = `query Optional { organization(login: "acme") { repositories(first: 1) { nodes {
		name
		hasPullRequestsEnabled
	} } } }`
	parsed := mustDocument("Optional", text)
	for range 3 {
		data, errs, err := runQuery[discoverData](t.Context(), client, queryOptions{}, withoutVariables(parsed))
		require.NoError(t, err)
		require.Empty(t, errs)
		require.Len(t, data.Organization.Repositories.Nodes, 1)
	}
	require.Len(t, server.Requests(), 4, "one is refused")
	require.Empty(t, *reported)
	now = now.Add(schemaMemory)
	_, _, err := runQuery[discoverData](t.Context(), client, queryOptions{}, withoutVariables(parsed))
	require.NoError(t, err)
	require.Len(t, server.Requests(), 6, "after an hour the field is asked for again")
}

// TestMissingField: an error names the field and the setting that helps, and costs one request an hour; discovery and
// look-ups go on with REST.
func TestMissingField(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)
	client, server, reported := newSchemaClient(t, &now, APIGraphQL, "Repository.isEmpty", "PullRequest.mergedAt")
	for range 2 {
		var found []activity.Repository
		require.NoError(t, client.Discover(t.Context(), "acme", func(page []activity.Repository) error {
			found = append(found, page...)
			return nil
		}))
		require.Len(t, found, 1)
		require.Equal(t, activity.StreamsOf(activity.StreamCommits), found[0].Signals.Streams)
		seen := 0
		client.Lookup(t.Context(), "acme", found, func(s LookupResult) {
			seen++
			require.NoError(t, s.Err)
			require.NotNil(t, s.Repo)
		})
		require.Equal(t, 1, seen)
		outcome := client.Read(t.Context(), ReadRequest{Org: "acme", Repo: found[0], Streams: activity.EveryStream},
			func([]activity.Event) error { return nil })
		require.NotContains(t, outcome.Failed, activity.StreamComments)
		for _, s := range []activity.Stream{activity.StreamCommits, activity.StreamPulls} {
			var lacking *SchemaError
			require.ErrorAs(t, outcome.Failed[s], &lacking)
			require.Equal(t, "PullRequest.mergedAt", lacking.Type+"."+lacking.Field)
			require.ErrorContains(t, lacking, "github::api: rest")
		}
	}
	refused := server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Route == "/graphql" })
	require.Equal(t, 3, refused, "Discover, Lookup and Activity once each")
	require.Len(t, *reported, 3)
}
