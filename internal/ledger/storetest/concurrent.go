package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// manyAtOnce: 8 writers that overlap and 4 followers that start at different times. In the end all of them show the same,
// and what each user did is counted once.
func manyAtOnce(t *testing.T, h Harness) {
	t.Helper()
	const writers, batches, followers = 8, 60, 4
	s := h.Open(t)
	introduce(t, s, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	last := ledger.SampleKey{Name: "last"}
	var following, writing sync.WaitGroup
	views := make([]*ledger.View, followers)
	done := make(chan int, followers)
	follow := func(i int) {
		views[i] = newView()
		following.Go(func() {
			_ = s.Follow(ctx, org, func(c ledger.Change) error {
				views[i].Apply(c)
				for _, sample := range c.Samples {
					if sample.SampleKey == last {
						done <- i
					}
				}
				return nil
			})
		})
	}
	follow(0)
	for w := range writers {
		writing.Go(func() {
			for n := range int64(batches) {
				// Each event is committed by two writers, in the batches of a user that they share.
				user := fmt.Sprintf("user-%d", w/2)
				_, err := s.Commit(ctx, 0, batch(
					Event(activity.KindCommit, int64(w/2)*1000+n, user, Noon.Add(-time.Duration(n)*time.Minute)),
					Event(activity.KindReviewSubmitted, int64(w/2)*1000+n, user, Noon)))
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("commit: %v", err)
				}
			}
		})
		if w%2 == 1 && w/2+1 < followers {
			follow(w/2 + 1)
		}
	}
	writing.Wait()
	commit(t, s, ledger.Batch{Org: org, Observed: Noon, Samples: []ledger.Sample{{SampleKey: last, Observed: Noon}}})
	for range followers {
		<-done
	}
	cancel()
	following.Wait()
	want := shown(t, s, Noon)
	require.Len(t, want, writers/2)
	for u := range writers / 2 {
		require.Equal(t, uint64(batches), total(want, fmt.Sprintf("user-%d", u), activity.KindCommit))
	}
	for i, view := range views {
		got := Shown{}
		view.Visit(Noon, got)
		require.Equal(t, want, got, "follower %d", i)
	}
}

// property: any order, any repetition, any cut into batches, with restarts and prunings in between, gives the metrics that
// the plain set of events has.
func property(t *testing.T, newHarness func(tb testing.TB) Harness) {
	t.Helper()
	rapid.Check(t, func(rt *rapid.T) {
		h := newHarness(t)
		s := h.Open(t)
		introduce(t, s, 1, 2)
		events := rapid.SliceOfNDistinct(rapid.Custom(drawEvent), 1, 60, func(e activity.Event) activity.Key { return e.Key() }).Draw(rt, "events")
		stream := slices.Concat(events, rapid.SliceOfN(rapid.SampledFrom(events), 0, 30).Draw(rt, "again"))
		stream = rapid.Permutation(stream).Draw(rt, "order")
		model := newModel()
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(rt, "batch")
			commit(t, s, batch(stream[:n]...))
			model.record(stream[:n])
			stream = stream[n:]
			switch rapid.IntRange(0, 5).Draw(rt, "then") {
			case 0:
				before := Noon.Add(-time.Duration(rapid.IntRange(1, 400).Draw(rt, "hours")) * time.Hour)
				require.NoError(t, s.Prune(t.Context(), org, before))
				model.prune(before)
			case 1:
				if h.Durable {
					s = h.Open(t)
				}
			}
		}
		for _, at := range []time.Time{Noon, Noon.Add(30 * time.Minute)} {
			require.Equal(rt, model.shown(at), plain(shown(t, s, at)))
		}
	})
}

func drawEvent(t *rapid.T) activity.Event {
	kind := rapid.SampledFrom([]activity.Kind{1, 2, 3, 4, 5}).Draw(t, "kind")
	e := Event(kind, rapid.Int64Range(1, 30).Draw(t, "number"), rapid.SampledFrom([]string{"ada", "bob", "eve"}).Draw(t, "user"),
		Noon.Add(-time.Duration(rapid.IntRange(0, 15*24*60).Draw(t, "minutes"))*time.Minute))
	e.Repo = rapid.Int64Range(1, 2).Draw(t, "repo")
	return e
}

// model computes the metrics in the plainest way: a set of events and what was ever in it.
type model struct {
	ever, kept map[activity.Key]activity.Event
	pruned     time.Time
}

func newModel() *model {
	return &model{ever: map[activity.Key]activity.Event{}, kept: map[activity.Key]activity.Event{}}
}

func (m *model) record(events []activity.Event) {
	for _, e := range events {
		_, known := m.ever[e.Key()]
		if known || e.Time.Before(Noon.AddDate(0, 0, -14)) || e.Time.Before(m.pruned) {
			continue
		}
		m.ever[e.Key()], m.kept[e.Key()] = e, e
	}
}

func (m *model) prune(before time.Time) {
	if before.After(m.pruned) {
		m.pruned = before
	}
	for key, e := range m.kept {
		if e.Time.Before(m.pruned) {
			delete(m.kept, key)
		}
	}
}

// line is one metric of one series.
type line struct {
	series ledger.Series
	metric ledger.Metric
}

func plain(s Shown) map[line]uint64 {
	lines := make(map[line]uint64)
	for series, v := range s {
		for m := range ledger.NumMetrics {
			if metric := ledger.Metric(m); v.Present.Has(metric) {
				lines[line{series, metric}] = v.Of[m]
			}
		}
	}
	return lines
}

func (m *model) shown(at time.Time) map[line]uint64 {
	lines := make(map[line]uint64)
	for _, e := range m.kept {
		series := ledger.Series{Repo: fmt.Sprintf("repo-%d", e.Repo), User: e.Actor.Login}
		count := line{series, ledger.MetricCount + ledger.Metric(e.Kind.Index())}
		lines[count] += 0
		if e.Time.After(at.Add(-24 * time.Hour)) {
			lines[count]++
		}
		if e.Kind == activity.KindCommit {
			added, removed := line{series, ledger.MetricLinesAdded}, line{series, ledger.MetricLinesGone}
			lines[added] += 0
			lines[removed] += 0
			if ledger.LastWeek(at).Contains(e.Time) {
				lines[added] += uint64(e.Additions)
				lines[removed] += uint64(e.Deletions)
			}
		}
		last := line{series, ledger.MetricLastEvent}
		lines[last] = max(lines[last], uint64(e.Time.Unix()))
	}
	m.totals(lines)
	return lines
}

// totals adds the sums of the series that are there.
func (m *model) totals(lines map[line]uint64) {
	for _, e := range m.ever {
		series := ledger.Series{Repo: fmt.Sprintf("repo-%d", e.Repo), User: e.Actor.Login}
		if _, alive := lines[line{series, ledger.MetricLastEvent}]; !alive {
			continue
		}
		lines[line{series, ledger.MetricTotal + ledger.Metric(e.Kind.Index())}]++
		if e.Kind == activity.KindCommit {
			lines[line{series, ledger.MetricTotalAdded}] += uint64(e.Additions)
			lines[line{series, ledger.MetricTotalGone}] += uint64(e.Deletions)
		}
	}
}
