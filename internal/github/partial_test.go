// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// fullRepository has a commit, a merged pull request with a review, and a comment.
func fullRepository() *githubtest.Dataset {
	data := dataset("one", "two")
	commit(data, "one", ago(time.Hour))
	merged := ago(30 * time.Minute)
	p := pull(data, 1, ago(time.Hour))
	p.MergedAt, p.ClosedAt = &merged, &merged
	review(data, 1, ago(40*time.Minute))
	comment(data, 1, ago(time.Hour))
	return data
}

// everything asks for all streams of a day.
func everything(repo activity.Repository) github.ReadRequest {
	return since(repo, ago(24*time.Hour), everyStream...)
}

// TestTokenWithoutAPermission: its stream fails as forbidden, and nothing else does.
func TestTokenWithoutAPermission(t *testing.T) {
	t.Parallel()
	for permission, test := range map[string]struct {
		streams activity.Streams
		events  int
	}{
		"contents":      {activity.StreamsOf(activity.StreamCommits, activity.StreamReleases), 4},
		"pull_requests": {activity.StreamsOf(activity.StreamPulls, activity.StreamPullFlow), 2},
		"issues": {
			activity.StreamsOf(activity.StreamComments, activity.StreamIssues, activity.StreamIssueFlow), 4,
		},
	} {
		t.Run(permission, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				b := newBench(t, api, fullRepository(), func(s *githubtest.Settings, _ *transport.Settings) {
					s.Credentials = []githubtest.Credential{{
						Token: githubtest.DefaultToken, Login: "l",
						Forbidden: []string{permission},
					}}
				})
				found, err := b.discover()
				require.NoError(t, err)
				require.Len(t, found, 2)
				events, outcome := b.read(everything(found["one"]))
				require.Len(t, outcome.Failed, test.streams.Len())
				for s, err := range outcome.Failed {
					require.True(t, test.streams.Has(s), s)
					require.True(t, is[*transport.ForbiddenError](err), "%v", outcome.Failed)
				}
				require.Len(t, authored(events), test.events)
			})
		})
	}
}

// TestAFieldThatFailsIsNotTakenForNothing: a merge, a review or an author that GitHub could not tell this time fails
// the stream, which is read again, instead of being left out for good.
func TestAFieldThatFailsIsNotTakenForNothing(t *testing.T) {
	t.Parallel()
	for path, stream := range map[string]activity.Stream{
		"byId.pullRequests.nodes.*.mergedAt":                    activity.StreamPulls,
		"byId.pullRequests.nodes.*.author":                      activity.StreamPulls,
		"byId.pullRequests.nodes.*.reviews":                     activity.StreamPulls,
		"byId.pullRequests.nodes.*.reviews.nodes.*.submittedAt": activity.StreamPulls,
		"byId.pullRequests.nodes.*.reviews.nodes.*.author":      activity.StreamPulls,
		"byId.defaultBranchRef":                                 activity.StreamCommits,
		"byId.defaultBranchRef.target":                          activity.StreamCommits,
		"byId.defaultBranchRef.target.history.nodes.*.author":   activity.StreamCommits,
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIGraphQL, fullRepository())
			repo := b.repo("one")
			fault := b.server.InjectFault(githubtest.Fault{
				Match: githubtest.Match{Operation: "Activity"}, Effect: githubtest.FieldError(path,
					"SERVICE_UNAVAILABLE", "Something broke."),
			})
			_, outcome := b.read(everything(repo))
			require.Positive(t, fault.Hits())
			require.True(t, is[*transport.UnavailableError](outcome.Failed[stream]), "%v", outcome.Failed)
			fault.Disarm()
			require.Len(t, authored(b.all(everything(repo))), 5)
		})
	}
}

// TestMoreReviewsThatFail fail their stream as well.
func TestMoreReviewsThatFail(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"node", "node.reviews", "node.reviews.nodes.*", "node.reviews.nodes.*.submittedAt"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			pull(data, 1, ago(time.Hour))
			for range 120 {
				review(data, 1, ago(time.Minute))
			}
			b := newBench(t, github.APIGraphQL, data)
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{
				Match: githubtest.Match{Operation: "Reviews"}, Effect: githubtest.FieldError(path,
					"SERVICE_UNAVAILABLE", "Something broke."),
			})
			_, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamPulls))
			require.True(t, is[*transport.UnavailableError](outcome.Failed[activity.StreamPulls]), "%v", outcome.Failed)
		})
	}
}

// TestOneStreamDoesNotFailTheOther: commits and pull requests are one query, and yet not one fate.
func TestOneStreamDoesNotFailTheOther(t *testing.T) {
	t.Parallel()
	for path, left := range map[string]map[string]int{
		"byId.pullRequests.nodes.*.reviews": {"commit ada": 1, "issue_comment kim": 1},
		"byId.defaultBranchRef": {
			"pull_request_opened bob": 1, "pull_request_merged bob": 1, "review_submitted eve": 1,
			"issue_comment kim": 1,
		},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIGraphQL, fullRepository())
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{
				Match: githubtest.Match{Operation: "Activity"}, Effect: githubtest.FieldError(path,
					"SERVICE_UNAVAILABLE", "Something broke."),
			})
			events, outcome := b.read(everything(repo))
			stream := activity.StreamCommits
			if strings.Contains(path, "pullRequests") {
				stream = activity.StreamPulls
			}
			for _, s := range everyStream {
				require.Equal(t, s.Base() == stream, outcome.Failed[s] != nil, s)
			}
			require.Equal(t, left, users(events))
		})
	}
}

// TestAListingThatFailsIsNoEmptyOne: without an organization, or without its listing, there is nothing to go on with.
func TestAListingThatFailsIsNoEmptyOne(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"organization", "organization.repositories", "organization.repositories.pageInfo"} {
		data := fullRepository()
		release(data, 1, ago(time.Hour))
		b := newBench(t, github.APIGraphQL, data)
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.FieldError(path, "SERVICE_UNAVAILABLE",
			"Something broke.")})
		_, err := b.discover()
		require.True(t, is[*transport.UnavailableError](err), "%s: %T: %v", path, err, err)
		require.False(t, is[*github.IncompleteError](err), "%s: %T: %v", path, err, err)
	}
}

// TestARepositoryThatFailsIsAHole: the others are returned, and the error counts one more. One that the credential may
// not see is none.
func TestARepositoryThatFailsIsAHole(t *testing.T) {
	t.Parallel()
	const nodes = "organization.repositories.nodes"
	broken := func(path string) githubtest.Effect {
		return githubtest.FieldError(path, "SERVICE_UNAVAILABLE", "Something broke.")
	}
	for name, test := range map[string]struct {
		do        githubtest.Effect
		found     int
		holes     int
		forbidden int
	}{
		"a repository":          {broken(nodes + ".1"), 1, 1, 0},
		"a part of it":          {broken(nodes + ".1.name"), 1, 1, 0},
		"null without a reason": {githubtest.NullAt(nodes + ".1"), 1, 1, 0},
		"all of a page":         {broken(nodes + ".*"), 0, 2, 0},
		"a list that is null":   {broken(nodes), 0, 1, 0},
		"forbidden":             {githubtest.FieldError(nodes+".1.name", "FORBIDDEN", "Not for this token."), 1, 1, 1},
		"taken down": {
			githubtest.FieldError(nodes+".1.name", "FORBIDDEN", "Repository access blocked"), 1,
			0, 0,
		},
		"not found": {githubtest.FieldError(nodes+".1.name", "NOT_FOUND", "Could not resolve."), 1, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIGraphQL, fullRepository())
			fault := b.server.InjectFault(githubtest.Fault{Effect: test.do})
			found, err := b.discover()
			require.Positive(t, fault.Hits())
			require.Len(t, found, test.found)
			incomplete, _ := errorAs[*github.IncompleteError](err)
			if test.holes == 0 {
				require.NoError(t, err)
			} else {
				require.Equal(t, test.holes, incomplete.Missing)
				require.Equal(t, test.forbidden, incomplete.Forbidden)
				require.Equal(t, test.forbidden > 0, is[*transport.ForbiddenError](err), "%T: %v", err, err)
				require.Equal(t, test.forbidden == 0, is[*transport.UnavailableError](err), "%T: %v", err, err)
			}
			fault.Disarm()
			found, err = b.discover()
			require.NoError(t, err)
			require.Len(t, found, 2)
		})
	}
}

// TestTheSmallestPageIsUsedAsFarAsItGoes when even that is too much for GitHub; a larger one is halved.
func TestTheSmallestPageIsUsedAsFarAsItGoes(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(12))
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Operation: "Discover"},
		Effect: githubtest.ResourceLimitsExceeded("organization.repositories.nodes.3"),
	})
	found, err := b.discover()
	incomplete, ok := errorAs[*github.IncompleteError](err)
	require.True(t, ok, "%T: %v", err, err)
	require.Equal(t, 2, incomplete.Missing, "one in each full page of five")
	require.Len(t, found, 10)
	require.NotContains(t, found, "repo-0003")
	require.NotContains(t, found, "repo-0008")
}

// TestSignalsThatFailAreUnknown: a push time, a head or a mark that GitHub could not tell this time is not taken for
// none, in which nothing has happened.
func TestSignalsThatFailAreUnknown(t *testing.T) {
	t.Parallel()
	for path, known := range map[string]activity.Streams{
		"organization.repositories.nodes.0.pushedAt":         activity.EveryStream.Without(activity.StreamCommits),
		"organization.repositories.nodes.0.defaultBranchRef": activity.EveryStream.Without(activity.StreamCommits),
		"pulls.repositories.nodes.0.pullRequests.nodes": activity.StreamsOf(
			activity.StreamCommits, activity.StreamIssues, activity.StreamReleases).WithDependent(),
		"pulls.repositories.nodes.0.pullRequests.nodes.0": activity.StreamsOf(
			activity.StreamCommits, activity.StreamIssues, activity.StreamReleases).WithDependent(),
		"issues.repositories.nodes.0.issues.nodes": activity.StreamsOf(activity.StreamCommits,
			activity.StreamPulls, activity.StreamReleases).WithDependent(),
		"releases.repositories.nodes.0.releases.nodes":   activity.EveryStream.Without(activity.StreamReleases),
		"releases.repositories.nodes.0.releases.nodes.0": activity.EveryStream.Without(activity.StreamReleases),
		"releases.repositories.nodes.0":                  activity.EveryStream.Without(activity.StreamReleases),
	} {
		data := fullRepository()
		release(data, 1, ago(time.Hour))
		b := newBench(t, github.APIGraphQL, data)
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.FieldError(path, "SERVICE_UNAVAILABLE",
			"Something broke.")})
		found, err := b.discover()
		require.NoError(t, err, path)
		require.Equal(t, known, found["one"].Signals.Streams, path)
	}
}

// TestRefusedAltogether: a credential that may not ask a question at all is not asked again and again.
func TestRefusedAltogether(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"FORBIDDEN", "INSUFFICIENT_SCOPES"} {
		b := newBench(t, github.APIGraphQL, fullRepository())
		b.server.InjectFault(githubtest.Fault{
			Match: githubtest.Match{Operation: "Discover"},
			Effect: githubtest.StatusBody(200, nil,
				`{"errors": [{"type": "`+kind+`", "message": "Your token has not been granted the required scopes."}]}`),
		})
		_, err := b.discover()
		require.True(t, is[*transport.ForbiddenError](err), "%T: %v", err, err)
		require.Equal(t, 1,
			b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == "Discover" }))
	}
}

// TestMarksThatFail leave the repositories, whose signals are unknown then.
func TestMarksThatFail(t *testing.T) {
	t.Parallel()
	for path, unknown := range map[string][]activity.Stream{
		"pulls":                       {activity.StreamPulls, activity.StreamComments},
		"pulls.repositories.nodes.0":  {activity.StreamPulls, activity.StreamComments},
		"issues":                      {activity.StreamComments, activity.StreamIssues},
		"issues.repositories.nodes.0": {activity.StreamComments, activity.StreamIssues},
	} {
		data := fullRepository()
		release(data, 1, ago(time.Hour))
		b := newBench(t, github.APIGraphQL, data)
		b.server.InjectFault(githubtest.Fault{Effect: githubtest.FieldError(path, "SERVICE_UNAVAILABLE",
			"Something broke.")})
		found, err := b.discover()
		require.NoError(t, err, path)
		require.Len(t, found, 2, path)
		for _, stream := range unknown {
			require.False(t, found["one"].Signals.Streams.Has(stream), "%s: %v", path, stream)
		}
	}
}
