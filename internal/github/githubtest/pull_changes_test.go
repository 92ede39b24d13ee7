// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestPullChangesOverTime follows one pull request: closed, reopened, made a draft and ready again, approved, the
// approval dismissed, merged. Both APIs have the same changes and states at each moment.
func TestPullChangesOverTime(t *testing.T) {
	t.Parallel()
	now := &clock{}
	s := acme(t, func(set *githubtest.Settings) {
		set.Now = now.now
		set.Datasets[0].Pulls[1] = githubtest.Pull{
			Repo: "api", Number: 2, Login: new("ann"), CreatedAt: at("02:00:00"), Additions: 30, Deletions: 4,
			Closings: []time.Time{at("02:10:00")}, ReopenedAt: []time.Time{at("02:20:00")},
			DraftAt: []time.Time{at("02:30:00")}, ReadyAt: []time.Time{at("02:40:00")},
			ReviewRequests: []githubtest.ReviewRequest{{Login: "bob", At: at("02:45:00")}},
			MergedAt:       new(at("04:00:00")),
		}
		set.Datasets[0].Reviews = []githubtest.Review{{
			Repo: "api", Pull: 2, ID: 1 << 33, Login: new("bob"), SubmittedAt: new(at("03:00:00")), State: "APPROVED",
			DismissedAt: new(at("03:30:00")),
		}}
	})
	changes := []string{"closed", "reopened", "convert_to_draft", "ready_for_review", "review_requested"}
	for _, step := range []struct {
		clock, updated, state, review string
		changes                       []string
	}{
		{"02:05:00", "02:00:00", "OPEN", "", nil},
		{"02:15:00", "02:10:00", "CLOSED", "", changes[:1]},
		{"02:25:00", "02:20:00", "OPEN", "", changes[:2]},
		{"02:35:00", "02:30:00", "OPEN", "", changes[:3]},
		{"03:10:00", "03:00:00", "OPEN", "APPROVED", changes},
		{"03:40:00", "03:30:00", "OPEN", "DISMISSED", append(changes[:5:5], "review_dismissed")},
		{"05:00:00", "04:00:00", "MERGED", "DISMISSED", append(changes[:5:5], "review_dismissed", "merged", "closed")},
	} {
		now.Time = at(step.clock)
		requireChanges(t, s, step.changes)
		node := dig(t, ask(t, s, `{ repository(owner: "acme", name: "api") { pullRequest(number: 2) {
			state closedAt updatedAt additions deletions reviews(first: 9) { nodes { state } }
		} } }`, nil).json(t), "data", "repository", "pullRequest")
		require.Equal(t, step.state, dig(t, node, "state"), step.clock)
		require.Equal(t, step.state == "OPEN", dig(t, node, "closedAt") == nil, step.clock)
		require.Equal(t, at(step.updated).Format(time.RFC3339), dig(t, node, "updatedAt"), step.clock)
		require.EqualValues(t, 30, dig(t, node, "additions"))
		detail := get(t, s, "/repos/acme/api/pulls/2").json(t)
		require.Equal(t, step.state == "OPEN", dig(t, detail, "closed_at") == nil, step.clock)
		require.EqualValues(t, 4, dig(t, detail, "deletions"))
		if step.review != "" {
			require.Equal(t, step.review, dig(t, node, "reviews", "nodes", 0, "state"), step.clock)
			require.Equal(t, step.review, dig(t, get(t, s, "/repos/acme/api/pulls/2/reviews").json(t), 0, "state"))
		}
	}
}

// requireChanges checks the changes of the pull request in both APIs, and the dismissed review.
func requireChanges(t *testing.T, s *githubtest.Server, want []string) {
	t.Helper()
	rows, _ := get(t, s, "/repos/acme/api/issues/2/events").json(t).([]any)
	nodes, _ := dig(t, ask(t, s, `{ repository(owner: "acme", name: "api") { pullRequest(number: 2) {
		timelineItems(first: 50) { nodes {
			__typename
			... on ClosedEvent { createdAt }
			... on MergedEvent { createdAt }
			... on ReopenedEvent { createdAt }
			... on ConvertToDraftEvent { createdAt }
			... on ReadyForReviewEvent { createdAt }
			... on ReviewRequestedEvent { createdAt }
			... on ReviewDismissedEvent { createdAt previousReviewState review { fullDatabaseId } }
		} }
	} } }`, nil).json(t), "data", "repository", "pullRequest", "timelineItems", "nodes").([]any)
	require.Len(t, nodes, len(rows))
	var names []string
	for i := range rows {
		name := fmt.Sprint(dig(t, rows[i], "event"))
		names = append(names, name)
		require.Equal(t, dig(t, rows[i], "created_at"), dig(t, nodes[i], "createdAt"))
		typ := strings.ToLower(fmt.Sprint(dig(t, nodes[i], "__typename")))
		require.Equal(t, strings.ReplaceAll(name, "_", "")+"event", typ)
		if name == "review_dismissed" {
			require.Equal(t, "approved", dig(t, rows[i], "dismissed_review", "state"))
			require.EqualValues(t, 1<<33, dig(t, rows[i], "dismissed_review", "review_id"))
			require.Equal(t, "APPROVED", dig(t, nodes[i], "previousReviewState"))
			require.Equal(t, "8589934592", dig(t, nodes[i], "review", "fullDatabaseId"))
		}
	}
	require.Equal(t, want, names)
}
