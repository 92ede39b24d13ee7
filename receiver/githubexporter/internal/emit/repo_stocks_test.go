// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// TestStocksByRepository checks each metric of what is open. None open is zero, and has no oldest one.
func TestStocksByRepository(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 3, 0, 0)
	now := org.View.Edge()
	old := now.Add(-48 * time.Hour)
	pulls := activity.PullStock{SeenAt: now, Pulls: []activity.OpenPull{
		{Number: 1, Created: now.Add(-time.Hour), IsDraft: true, Awaited: 2},
		{Number: 2, Created: old, IsReviewed: true},
		{Number: 3, Created: now, Awaited: 1},
	}}
	org.View.Apply(ledger.Change{Entries: []ledger.Entry{
		{EntryKey: ledger.OpenPullsKey(1), Data: ledger.EncodePullStock(&pulls), Observed: now},
		{EntryKey: ledger.OpenPullsKey(2), Data: ledger.EncodePullStock(&activity.PullStock{}), Observed: now},
		{EntryKey: ledger.OpenIssuesKey(2), Observed: now, Data: ledger.EncodeIssueStock(
			&activity.IssueStock{Open: 7, Oldest: old},
		)},
	}})
	values, _ := repoPoints(t, e.buildRepositories(org, now))
	one, two := "org:acme repo:repo-0]", "org:acme repo:repo-1]"
	require.Equal(t, map[string]int64{
		"gh.repo.open_pull_requestsmap[org:acme repo:repo-0 state:ready]": 2,
		"gh.repo.open_pull_requestsmap[org:acme repo:repo-0 state:draft]": 1,
		"gh.repo.pull_requests_unreviewedmap[" + one:                      1,
		"gh.repo.review_requestsmap[" + one:                               3,
		"gh.repo.oldest_open_pull_request_unixtimemap[" + one:             old.Unix(),
		"gh.repo.open_pull_requestsmap[org:acme repo:repo-1 state:ready]": 0,
		"gh.repo.open_pull_requestsmap[org:acme repo:repo-1 state:draft]": 0,
		"gh.repo.pull_requests_unreviewedmap[" + two:                      0,
		"gh.repo.review_requestsmap[" + two:                               0,
		"gh.repo.open_issuesmap[" + two:                                   7,
		"gh.repo.oldest_open_issue_unixtimemap[" + two:                    old.Unix(),
	}, values)
}
