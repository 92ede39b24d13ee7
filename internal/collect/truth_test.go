// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// truth computes all activity metrics from the data in the plainest way there is: it shares nothing with the ledger.
type truth struct {
	now     time.Time
	metrics map[ledgerview.Series]map[ledgerview.Metric]uint64
}

func truthOf(data *githubtest.Dataset, now time.Time) *truth {
	t := &truth{now: now, metrics: make(map[ledgerview.Series]map[ledgerview.Metric]uint64)}
	for i := range data.Commits {
		c := &data.Commits[i]
		t.event(c.Repo, c.Login, activity.LoginUnlinkedGitAuthor, activity.KindCommit, c.CommittedAt)
		t.lines(c)
	}
	for _, p := range data.Pulls {
		t.event(p.Repo, p.Login, activity.LoginGhost, activity.KindPullRequestOpened, p.CreatedAt)
		if p.MergedAt != nil {
			t.event(p.Repo, p.Login, activity.LoginGhost, activity.KindPullRequestMerged, *p.MergedAt)
		}
	}
	for _, r := range data.Reviews {
		if r.SubmittedAt != nil {
			t.event(r.Repo, r.Login, activity.LoginGhost, activity.KindReviewSubmitted, *r.SubmittedAt)
		}
	}
	for _, c := range data.Comments {
		t.event(c.Repo, c.Login, activity.LoginGhost, activity.KindIssueComment, c.CreatedAt)
	}
	for _, is := range data.OpenedIssues() {
		t.event(is.Repo, is.Login, activity.LoginGhost, activity.KindIssueOpened, is.CreatedAt)
		for _, at := range is.ClosedAt {
			t.event(is.Repo, is.Login, activity.LoginGhost, activity.KindIssueClosed, at)
		}
	}
	return t
}

// of is what is shown of a user in a repository.
func (t *truth) of(repo string, login *string, otherwise string) map[ledgerview.Metric]uint64 {
	series := ledgerview.Series{Repo: repo, User: otherwise}
	if login != nil {
		series.User = *login
	}
	if t.metrics[series] == nil {
		t.metrics[series] = make(map[ledgerview.Metric]uint64)
	}
	return t.metrics[series]
}

func (t *truth) event(repo string, login *string, otherwise string, kind activity.Kind, at time.Time) {
	if at.After(t.now) {
		return
	}
	shown := t.of(repo, login, otherwise)
	shown[ledgerview.MetricTotal+ledgerview.Metric(kind.Index())]++
	count := ledgerview.MetricCount + ledgerview.Metric(kind.Index())
	shown[count] += counts(1, at.After(t.now.Add(-24*time.Hour)))
	shown[ledgerview.MetricLastEvent] = max(shown[ledgerview.MetricLastEvent], uint64(at.Unix()))
}

// lines are those of the last week from Sunday to Sunday and of all time. Merge commits have none, nor have those that
// GitHub cannot tell.
func (t *truth) lines(c *githubtest.Commit) {
	if c.CommittedAt.After(t.now) {
		return
	}
	end := t.now.UTC().Truncate(24 * time.Hour)
	for end.Weekday() != time.Sunday {
		end = end.AddDate(0, 0, -1)
	}
	had := c.Parents <= 1 && !c.DiffUnavailable
	week := had && !c.CommittedAt.Before(end.AddDate(0, 0, -7)) && c.CommittedAt.Before(end)
	shown := t.of(c.Repo, c.Login, activity.LoginUnlinkedGitAuthor)
	shown[ledgerview.MetricTotalLinesAdded] += counts(c.Additions, had)
	shown[ledgerview.MetricTotalLinesRemoved] += counts(c.Deletions, had)
	shown[ledgerview.MetricLinesAdded] += counts(c.Additions, week)
	shown[ledgerview.MetricLinesRemoved] += counts(c.Deletions, week)
}

// counts is a number if it counts, and 0, which is shown all the same, if it does not.
func counts(n int, counts bool) uint64 {
	if !counts {
		return 0
	}
	return uint64(n)
}

// metricsOf are the metrics that are present.
func metricsOf(shown shown) map[ledgerview.Series]map[ledgerview.Metric]uint64 {
	all := make(map[ledgerview.Series]map[ledgerview.Metric]uint64, len(shown))
	for series, values := range shown {
		all[series] = make(map[ledgerview.Metric]uint64)
		for m := range ledgerview.Metric(ledgerview.NumMetrics) {
			if values.Present.Has(m) {
				all[series][m] = values.Of[m]
			}
		}
	}
	return all
}

// requireTruth compares every metric of every series with what follows from the data, which must lie within the
// look-back.
func requireTruth(t *testing.T, b *bench, data *githubtest.Dataset) {
	t.Helper()
	require.Equal(t, truthOf(data, b.clock.Now()).metrics, metricsOf(b.metrics()))
}

// requireNothingInvented holds the totals that are shown against the truth: what was not read may be missing, but
// nothing is more.
func requireNothingInvented(t *testing.T, b *bench, data *githubtest.Dataset) {
	t.Helper()
	want := truthOf(data, b.clock.Now()).metrics
	for series, values := range metricsOf(b.metrics()) {
		for m, value := range values {
			if m >= ledgerview.MetricTotal {
				require.LessOrEqual(t, value, want[series][m], "%v, metric %d", series, m)
			}
		}
	}
}
