// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestDraftsAndReviewRequestsOverTime follows one pull request: created as a draft, made ready, bob and a team are
// asked, bob reviews, the team's request is removed, and it is made a draft again. Both APIs tell the same.
func TestDraftsAndReviewRequestsOverTime(t *testing.T) {
	t.Parallel()
	now := &clock{}
	s := acme(t, func(set *githubtest.Settings) {
		set.Now = now.now
		set.Datasets[0].Pulls[1] = githubtest.Pull{
			Repo: "api", Number: 2, Login: new("ann"), CreatedAt: at("02:30:00"), Draft: true,
			ReadyAt: []time.Time{at("02:40:00")}, DraftAt: []time.Time{at("07:00:00")},
			ReviewRequests: []githubtest.ReviewRequest{
				{Login: "bob", At: at("02:50:00")},
				{Team: "owners", At: at("02:51:00"), RemovedAt: at("06:30:00")},
			},
		}
		set.Datasets[0].Reviews = []githubtest.Review{
			{Repo: "api", Pull: 2, ID: 12, Login: new("bob"), State: "PENDING"},
			{Repo: "api", Pull: 2, ID: 13, Login: new("ann"), SubmittedAt: new(at("03:00:00")), State: "COMMENTED"},
			{Repo: "api", Pull: 2, ID: 14, Login: new("bob"), SubmittedAt: new(at("06:00:00")), State: "APPROVED"},
		}
	})
	for _, step := range []struct {
		clock, updated string
		draft          bool
		users, teams   int
	}{
		{"02:35:00", "02:30:00", true, 0, 0},
		{"02:45:00", "02:40:00", false, 0, 0},
		{"02:52:00", "02:51:00", false, 1, 1},
		{"05:00:00", "03:00:00", false, 1, 1},
		{"06:10:00", "06:00:00", false, 0, 1},
		{"06:40:00", "06:30:00", false, 0, 0},
		{"08:00:00", "07:00:00", true, 0, 0},
	} {
		now.Time = at(step.clock)
		rest := get(t, s, "/repos/acme/api/pulls/2").json(t)
		require.Equal(t, step.draft, dig(t, rest, "draft"), step.clock)
		require.Len(t, dig(t, rest, "requested_reviewers"), step.users, step.clock)
		require.Len(t, dig(t, rest, "requested_teams"), step.teams, step.clock)
		require.Equal(t, at(step.updated).Format(time.RFC3339), dig(t, rest, "updated_at"), step.clock)
		node := dig(t, ask(t, s, `{ repository(owner: "acme", name: "api") { pullRequest(number: 2) {
			isDraft updatedAt reviewRequests(first: 1) { totalCount nodes { asCodeOwner } }
		} } }`, nil).json(t), "data", "repository", "pullRequest")
		require.Equal(t, step.draft, dig(t, node, "isDraft"), step.clock)
		require.EqualValues(t, step.users+step.teams, dig(t, node, "reviewRequests", "totalCount"), step.clock)
		require.Equal(t, at(step.updated).Format(time.RFC3339), dig(t, node, "updatedAt"), step.clock)
	}
}
