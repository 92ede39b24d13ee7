// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// alteringSource is a source that alters discovered repositories and the results of readings.
type alteringSource struct {
	Source

	change  func(*activity.Repository)
	outcome func(*github.ReadResult)
}

func (m alteringSource) Discover(ctx context.Context, org string, page func([]activity.Repository) error) error {
	return m.Source.Discover(ctx, org, func(list []activity.Repository) error {
		for i := range list {
			m.change(&list[i])
		}
		return page(list)
	})
}

func (m alteringSource) Read(ctx context.Context, req github.ReadRequest,
	emit func([]activity.Event) error,
) github.ReadResult {
	o := m.Source.Read(ctx, req, emit)
	m.outcome(&o)
	return o
}

// TestLabelledIssueIsReadUntilSettled: the comments of an issue that is labelled just before a pass are requested until
// its signal has settled, and not after that.
func TestLabelledIssueIsReadUntilSettled(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	at := noon.Add(-time.Hour)
	addCommit(data, "one", at)
	addComment(data, "one", 1, at)
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.fillGaps()
	mark := activity.LatestUpdate{Number: 7, UpdatedAt: noon.Add(2*interval - 10*time.Second)}
	b.collector.settings.Source = alteringSource{
		Source: b.collector.settings.Source, outcome: func(*github.ReadResult) {},
		change: func(r *activity.Repository) {
			if !b.clock.Now().Before(mark.UpdatedAt) {
				r.Signals.Issues = mark
			}
		},
	}
	asked := 0
	for range 8 {
		b.server.ResetRequests()
		b.clock.Advance(interval)
		b.pass()
		asked += b.server.CountRequests(isRoute(commentsRoute))
	}
	require.LessOrEqual(t, asked, 3)
}

// TestDeferredWindowIsAGap: after three days without a pass, the window before the last 24 h of a stream without a
// signal is a gap, although nothing happened in the last 24 h.
func TestDeferredWindowIsAGap(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-time.Hour))
		addPull(data, "one", 1, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data)
		b.collector.settings.Source = alteringSource{
			Source: b.collector.settings.Source,
			change: func(r *activity.Repository) {
				r.Signals.Streams &^= activity.StreamsOf(activity.StreamComments, activity.StreamIssues)
				r.Signals.Issues = activity.LatestUpdate{}
			}, outcome: func(o *github.ReadResult) { o.Validators = [activity.NumStreams]github.Validator{} },
		}
		b.pass()
		b.fillGaps()
		b.clock.Advance(interval)
		b.pass()
		b.clock.Advance(72 * time.Hour)
		b.server.Update(func(d *githubtest.Dataset) {
			for range 101 { // more than a page
				addComment(d, "one", 1000, noon.Add(24*time.Hour))
			}
			data = d
		})
		require.Equal(t, PassSuccess, b.pass().Status)
		cov := b.coverage()
		require.NotEmpty(t, cov.Gaps())
		b.fillGaps()
		requireAllRecorded(t, b, data)
	})
}

// TestTwoReviewsInTheSecondOfAPass: a second review in the second in which a pass reads the first one is recorded,
// although it changes nothing in the listing of pull requests.
func TestTwoReviewsInTheSecondOfAPass(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("two")
		addPull(data, "two", 2, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data)
		b.pass()
		b.fillGaps()
		b.clock.Advance(interval)
		b.pass()
		at := b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) { addReview(d, "two", 2, at) })
		b.pass()
		b.server.Update(func(d *githubtest.Dataset) { addReview(d, "two", 2, at); data = d })
		for range 3 {
			b.clock.Advance(interval)
			b.pass()
		}
		requireAllRecorded(t, b, data)
	})
}

// TestReadingOfBusyCommentsAdvances: the readings of a repository with many comments in every pass do not all begin at
// the same time, and it is not requested any more when it is quiet.
func TestReadingOfBusyCommentsAdvances(t *testing.T) {
	t.Parallel()
	b := newConditionalBench(t)
	for range 8 {
		b.server.Update(func(d *githubtest.Dataset) {
			for range 60 {
				addComment(d, "two", 2, b.clock.Now().Add(time.Minute))
			}
		})
		points, _ := b.passCost()
		require.LessOrEqual(t, points, 8)
	}
	b.passCost() // the response has a new validator
	points, commits := b.passCost()
	require.Equal(t, []int{1, 1}, []int{points, commits})
}

// TestGroupsAfterAnOutage: several repositories are read in one query again after an outage of all of them.
func TestGroupsAfterAnOutage(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	data := newDataset(names...)
	for _, n := range names {
		addCommit(data, n, noon.Add(-time.Hour))
	}
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.fillGaps()
	round := func() int {
		b.server.Update(func(d *githubtest.Dataset) {
			for _, n := range names {
				addCommit(d, n, b.clock.Now().Add(time.Minute))
			}
		})
		b.server.ResetRequests()
		b.clock.Advance(interval)
		b.pass()
		return b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == "Activities" })
	}
	armed := b.server.InjectFault(
		githubtest.Fault{Match: githubtest.Match{Operation: "Activities"}, Effect: githubtest.Status(502)},
	)
	for range 4 {
		round()
	}
	armed.Disarm()
	for range 20 {
		round()
	}
	require.Equal(t, 1, round())
}
