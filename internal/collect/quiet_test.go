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

// meddling changes what a source says of repositories, and what comes of readings.
type meddling struct {
	Source

	change  func(*activity.Repository)
	outcome func(*github.ReadResult)
}

func (m meddling) Discover(ctx context.Context, org string, page func([]activity.Repository) error) error {
	return m.Source.Discover(ctx, org, func(list []activity.Repository) error {
		for i := range list {
			m.change(&list[i])
		}
		return page(list)
	})
}

func (m meddling) Read(ctx context.Context, req github.ReadRequest,
	emit func([]activity.Event) error,
) github.ReadResult {
	o := m.Source.Read(ctx, req, emit)
	m.outcome(&o)
	return o
}

// TestATouchedIssueIsReadOnce more: an issue that is labelled just before a pass has its comments asked for until that
// is settled, and not for ever.
func TestATouchedIssueIsReadOnce(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	at := noon.Add(-time.Hour)
	commit(data, "one", at)
	comment(data, "one", 1, at)
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.fill()
	mark := activity.LatestUpdate{Number: 7, UpdatedAt: noon.Add(2*interval - 10*time.Second)}
	b.collector.settings.Source = meddling{
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
		asked += b.server.CountRequests(about(commentsRoute))
	}
	require.LessOrEqual(t, asked, 3)
}

// TestWhatIsLeftForLaterIsMissing although the last 24 h brought nothing: after three days without a pass, a stream
// without a signal.
func TestWhatIsLeftForLaterIsMissing(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-time.Hour))
		pull(data, "one", 1, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data)
		b.collector.settings.Source = meddling{
			Source: b.collector.settings.Source,
			change: func(r *activity.Repository) {
				r.Signals.Streams &^= activity.StreamsOf(activity.StreamComments, activity.StreamIssues)
				r.Signals.Issues = activity.LatestUpdate{}
			}, outcome: func(o *github.ReadResult) { o.Validators = [activity.NumStreams]github.Validator{} },
		}
		b.pass()
		b.fill()
		b.clock.Advance(interval)
		b.pass()
		b.clock.Advance(72 * time.Hour)
		b.server.Update(func(d *githubtest.Dataset) {
			for range 101 { // more than a page
				comment(d, "one", 1000, noon.Add(24*time.Hour))
			}
			data = d
		})
		require.Equal(t, PassSuccess, b.pass().Status)
		cov := b.coverage()
		require.NotEmpty(t, cov.Gaps())
		b.fill()
		requireAllRecorded(t, b, data)
	})
}

// TestTwoReviewsInTheSecondOfAPass: the second one changes nothing in the listing of pull requests.
func TestTwoReviewsInTheSecondOfAPass(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("two")
		pull(data, "two", 2, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data)
		b.pass()
		b.fill()
		b.clock.Advance(interval)
		b.pass()
		at := b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) { review(d, "two", 2, at) })
		b.pass()
		b.server.Update(func(d *githubtest.Dataset) { review(d, "two", 2, at); data = d })
		for range 3 {
			b.clock.Advance(interval)
			b.pass()
		}
		requireAllRecorded(t, b, data)
	})
}

// TestBusyCommentsMoveOn: a repository with many comments in every pass is not read from one moment on for ever, and is
// free again when it is quiet.
func TestBusyCommentsMoveOn(t *testing.T) {
	t.Parallel()
	b := conditionalBench(t)
	for range 8 {
		b.server.Update(func(d *githubtest.Dataset) {
			for range 60 {
				comment(d, "two", 2, b.clock.Now().Add(time.Minute))
			}
		})
		points, _ := b.spent()
		require.LessOrEqual(t, points, 8)
	}
	b.spent() // gets a new validator
	points, commits := b.spent()
	require.Equal(t, []int{1, 1}, []int{points, commits})
}

// TestGroupsComeBack after an outage of all of them.
func TestGroupsComeBack(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	data := dataset(names...)
	for _, n := range names {
		commit(data, n, noon.Add(-time.Hour))
	}
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.fill()
	round := func() int {
		b.server.Update(func(d *githubtest.Dataset) {
			for _, n := range names {
				commit(d, n, b.clock.Now().Add(time.Minute))
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
