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

// expectedMetrics computes all activity metrics from the data in the plainest way: it shares no code with the ledger.
type expectedMetrics struct {
	now     time.Time
	metrics map[ledgerview.Series]map[ledgerview.Metric]uint64
}

// newExpectedMetrics computes the metrics of the data at a time.
func newExpectedMetrics(data *githubtest.Dataset, now time.Time) *expectedMetrics {
	t := &expectedMetrics{now: now, metrics: make(map[ledgerview.Series]map[ledgerview.Metric]uint64)}
	for i := range data.Commits {
		c := &data.Commits[i]
		t.addEvent(c.Repo, c.Login, activity.LoginUnlinkedGitAuthor, activity.KindCommit, c.CommittedAt)
		t.addLines(c)
	}
	for _, p := range data.Pulls {
		t.addEvent(p.Repo, p.Login, activity.LoginGhost, activity.KindPullRequestOpened, p.CreatedAt)
		if p.MergedAt != nil {
			t.addEvent(p.Repo, p.Login, activity.LoginGhost, activity.KindPullRequestMerged, *p.MergedAt)
		}
	}
	for _, r := range data.Reviews {
		if r.SubmittedAt != nil {
			t.addEvent(r.Repo, r.Login, activity.LoginGhost, activity.KindReviewSubmitted, *r.SubmittedAt)
		}
	}
	for _, c := range data.Comments {
		t.addEvent(c.Repo, c.Login, activity.LoginGhost, activity.KindIssueComment, c.CreatedAt)
	}
	for _, is := range data.OpenedIssues() {
		t.addEvent(is.Repo, is.Login, activity.LoginGhost, activity.KindIssueOpened, is.CreatedAt)
		for _, at := range is.ClosedAt {
			t.addEvent(is.Repo, is.Login, activity.LoginGhost, activity.KindIssueClosed, at)
		}
	}
	for i := range data.Repos {
		for _, r := range data.Repos[i].Releases {
			if r.PublishedAt.IsZero() || !r.DeletedAt.IsZero() {
				continue
			}
			author := &r.Login
			if r.Login == "" {
				author = nil
			}
			t.addEvent(data.Repos[i].Name, author, activity.LoginGhost, activity.KindReleasePublished, r.PublishedAt)
		}
	}
	return t
}

// valuesOf returns the metrics of a user in a repository. otherwise is the user where login is nil.
func (t *expectedMetrics) valuesOf(repo string, login *string, otherwise string) map[ledgerview.Metric]uint64 {
	series := ledgerview.Series{Repo: repo, User: otherwise}
	if login != nil {
		series.User = *login
	}
	if t.metrics[series] == nil {
		t.metrics[series] = make(map[ledgerview.Metric]uint64)
	}
	return t.metrics[series]
}

// addEvent adds an event of a user, otherwise where login is nil.
func (t *expectedMetrics) addEvent(repo string, login *string, otherwise string, kind activity.Kind, at time.Time) {
	if at.After(t.now) {
		return
	}
	shown := t.valuesOf(repo, login, otherwise)
	shown[ledgerview.MetricTotal+ledgerview.Metric(kind.Index())]++
	for span, length := range map[activity.Span]time.Duration{
		activity.SpanDay: 24 * time.Hour, activity.Span7Days: 168 * time.Hour,
	} {
		count, _ := ledgerview.WindowMetric(kind, span)
		shown[count] += valueIf(1, at.After(t.now.Add(-length)))
	}
	shown[ledgerview.MetricLastEvent] = max(shown[ledgerview.MetricLastEvent], uint64(at.Unix()))
}

// addLines adds a commit's lines to those of the last week, from Sunday to Sunday, and of all time. Merge commits have
// none, nor have those whose lines GitHub cannot compute.
func (t *expectedMetrics) addLines(c *githubtest.Commit) {
	if c.CommittedAt.After(t.now) {
		return
	}
	end := t.now.UTC().Truncate(24 * time.Hour)
	for end.Weekday() != time.Sunday {
		end = end.AddDate(0, 0, -1)
	}
	had := c.Parents <= 1 && !c.DiffUnavailable
	week := had && !c.CommittedAt.Before(end.AddDate(0, 0, -7)) && c.CommittedAt.Before(end)
	shown := t.valuesOf(c.Repo, c.Login, activity.LoginUnlinkedGitAuthor)
	shown[ledgerview.MetricTotalLinesAdded] += valueIf(c.Additions, had)
	shown[ledgerview.MetricTotalLinesRemoved] += valueIf(c.Deletions, had)
	shown[ledgerview.MetricLinesAdded] += valueIf(c.Additions, week)
	shown[ledgerview.MetricLinesRemoved] += valueIf(c.Deletions, week)
}

// valueIf returns a number if it counts, and 0, which is emitted all the same, if it does not.
func valueIf(n int, counts bool) uint64 {
	if !counts {
		return 0
	}
	return uint64(n)
}

// presentMetrics returns the metrics that are present.
func presentMetrics(shown emitted) map[ledgerview.Series]map[ledgerview.Metric]uint64 {
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

// requireExpectedMetrics compares every metric of every series with what follows from the data, which must be within
// the look-back.
func requireExpectedMetrics(t *testing.T, b *bench, data *githubtest.Dataset) {
	t.Helper()
	require.Equal(t, newExpectedMetrics(data, b.clock.Now()).metrics, presentMetrics(b.metrics()))
}

// requireNothingInvented holds the totals that are shown against the truth: what was not read may be missing, but
// nothing is more.
func requireNothingInvented(t *testing.T, b *bench, data *githubtest.Dataset) {
	t.Helper()
	want := newExpectedMetrics(data, b.clock.Now()).metrics
	for series, values := range presentMetrics(b.metrics()) {
		for m, value := range values {
			if m >= ledgerview.MetricTotal {
				require.LessOrEqual(t, value, want[series][m], "%v, metric %d", series, m)
			}
		}
	}
}
