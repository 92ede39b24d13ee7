// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package storetest is the conformance suite of ledger stores: every store passes it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// Harness opens the store under test.
type Harness struct {
	// Open opens the store over the same data as before; the former one is not used any more.
	Open func(tb testing.TB) ledger.Store
	// Durable says that Open finds the data again.
	Durable bool
}

// Sizer is implemented by stores that report the size of an organization's ledger.
type Sizer interface {
	Sizes(org string) (series, events int)
}

// Noon is the present of the tests, a Wednesday.
var Noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

const org = "acme"

// Run runs the suite. newHarness returns an empty store without a bound of series; bounded returns one with a bound.
func Run(t *testing.T, newHarness func(tb testing.TB) Harness, bounded func(tb testing.TB, maxSeries int) Harness) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, h Harness){
		"unknown organization":         unknownOrganization,
		"recording is a set union":     setUnion,
		"future dates":                 futureDates,
		"what is not wanted":           notWanted,
		"fences":                       fences,
		"coverage":                     coverage,
		"gone and back":                goneAndBack,
		"disabled stream":              disabledStream,
		"rename":                       rename,
		"lagging":                      lagging,
		"read wins":                    readWins,
		"removed and restored":         removedAndRestored,
		"sweeps":                       sweeps,
		"tips":                         tips,
		"one account":                  oneAccount,
		"invalid batch":                invalidBatch,
		"the batch is the caller's":    callersBatch,
		"pruning":                      pruning,
		"purging":                      purging,
		"tallies and entries":          talliesAndEntries,
		"organizations apart":          organizationsApart,
		"spelling":                     spelling,
		"follow ends":                  followEnds,
		"many writers, many followers": manyAtOnce,
		"restart":                      restart,
		"stored":                       stored,
		"property":                     func(t *testing.T, _ Harness) { t.Helper(); property(t, newHarness) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHarness(t))
		})
	}
	t.Run("series budget", func(t *testing.T) {
		t.Parallel()
		seriesBudget(t, bounded(t, 3))
	})
	t.Run("series budget of many writers", func(t *testing.T) {
		t.Parallel()
		boundAtOnce(t, bounded(t, 17), 17)
	})
}

// Event returns an event of a user in repository 1.
func Event(kind activity.Kind, number int64, user string, at time.Time) activity.Event {
	e := activity.Event{
		Kind: kind, Repo: 1, ID: activity.NumberID(number), Actor: activity.Actor{Login: user},
		Time: at,
	}
	if kind == activity.KindCommit {
		e.Measures = activity.Lines(10, 1)
	}
	return e
}

// IntroduceRepos returns the progress that introduces repositories at Noon, with two weeks wanted of them, all read.
func IntroduceRepos(repos ...int64) ledger.Progress {
	p := ledger.Progress{Edge: Noon}
	for _, id := range repos {
		p.Repos = append(p.Repos, ledger.RepoProgress{
			ID: id, Name: fmt.Sprintf("repo-%d", id), FirstSeen: Noon, Since: Noon.AddDate(0, 0, -14),
			Streams: activity.EveryStream,
		})
	}
	return p
}

func batch(events ...activity.Event) ledger.Batch {
	return ledger.Batch{Org: org, Observed: Noon, Events: events}
}

func introduce(t *testing.T, s ledger.Store, repos ...int64) {
	t.Helper()
	commit(t, s, ledger.Batch{Org: org, Observed: Noon, Progress: IntroduceRepos(repos...)})
}

func commit(t *testing.T, s ledger.Store, b ledger.Batch) ledger.Receipt {
	t.Helper()
	receipt, err := s.Commit(t.Context(), 1, b)
	require.NoError(t, err)
	return receipt
}

// EmittedSeries are the values of a view by series.
type EmittedSeries map[ledgerview.Series]ledgerview.Values

// Emit implements ledger.Sink.
func (s EmittedSeries) Emit(series ledgerview.Series, v *ledgerview.Values) { s[series] = *v }

// MarkStale implements ledger.Sink.
func (EmittedSeries) MarkStale(ledgerview.Series, ledgerview.Mask) {}

func newView() *ledgerview.View {
	return ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: time.Hour})
}

var errCaught = errors.New("caught up")

// LatestView returns a view of an organization that has caught up with a snapshot of now.
func LatestView(tb testing.TB, s ledger.Store, org string) *ledgerview.View {
	tb.Helper()
	view := newView()
	first := true
	err := s.Follow(tb.Context(), org, func(c ledger.Change) error {
		require.Equal(tb, first, c.Reset, "the first change of a snapshot resets, no other one does")
		first = false
		view.Apply(c)
		if c.CaughtUp {
			return errCaught
		}
		return nil
	})
	require.ErrorIs(tb, err, errCaught)
	require.True(tb, view.IsCaughtUp())
	return view
}

func shown(t *testing.T, s ledger.Store, at time.Time) EmittedSeries {
	t.Helper()
	return visited(LatestView(t, s, org), at)
}

func visited(view *ledgerview.View, at time.Time) EmittedSeries {
	result := EmittedSeries{}
	view.Visit(at, result)
	return result
}

func total(s EmittedSeries, user string, kind activity.Kind) uint64 {
	return s[ledgerview.Series{Repo: "repo-1", User: user}].Of[ledgerview.MetricTotal+ledgerview.Metric(kind.Index())]
}

func unknownOrganization(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	cov, err := s.Coverage(t.Context(), "nobody")
	require.NoError(t, err)
	require.Empty(t, cov.Repos)
	require.True(t, cov.Edge.IsZero())
	require.NoError(t, s.Prune(t.Context(), "nobody", Noon))
	require.Empty(t, shown(t, s, Noon))
}

func setUnion(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	one := Event(activity.KindCommit, 1, "ada", Noon.Add(-time.Hour))
	two := Event(activity.KindCommit, 2, "ada", Noon.Add(-2*time.Hour))
	other := Event(activity.KindIssueComment, 1, "ada", Noon.Add(-time.Hour)) // another kind with the same number
	require.Equal(t, ledger.Receipt{Recorded: 1}, commit(t, s, batch(one)))
	require.Equal(t, ledger.Receipt{Duplicates: 1}, commit(t, s, batch(one)))
	require.Equal(t, ledger.Receipt{Recorded: 2, Duplicates: 2}, commit(t, s, batch(two, one, other, two)))
	got := shown(t, s, Noon)
	require.Equal(t, uint64(2), total(got, "ada", activity.KindCommit))
	require.Equal(t, uint64(1), total(got, "ada", activity.KindIssueComment))
	ada := got[ledgerview.Series{Repo: "repo-1", User: "ada"}]
	require.Equal(t, uint64(20), ada.Of[ledgerview.MetricTotalLinesAdded])
	require.Equal(t, uint64(2), ada.Of[ledgerview.MetricTotalLinesRemoved])
	if sizer, ok := s.(Sizer); ok {
		series, events := sizer.Sizes(org)
		require.Equal(t, [2]int{1, 3}, [2]int{series, events})
	}
}

func futureDates(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	commit(t, s, batch(Event(activity.KindCommit, 1, "ada", Noon.AddDate(0, 0, 40))))
	later := batch(Event(activity.KindCommit, 1, "ada", Noon.AddDate(0, 0, 40)))
	later.Observed = Noon.Add(time.Hour)
	require.Equal(t, ledger.Receipt{Duplicates: 1}, commit(t, s, later))
	ada := shown(t, s, Noon)[ledgerview.Series{Repo: "repo-1", User: "ada"}]
	require.Equal(t, uint64(Noon.Unix()), ada.Of[ledgerview.MetricLastEvent])
}

func notWanted(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	old := Event(activity.KindCommit, 1, "ada", Noon.AddDate(0, 0, -15))
	edge := Event(activity.KindCommit, 2, "ada", Noon.AddDate(0, 0, -14))
	foreign := Event(activity.KindCommit, 3, "ada", Noon)
	foreign.Repo = 99
	nameless := Event(activity.KindCommit, 4, "", Noon)
	require.Equal(t, ledger.Receipt{Recorded: 1, Dropped: 3}, commit(t, s, batch(old, edge, foreign, nameless)))
}

func fences(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	one := func(fence uint64, n int64) error {
		b := batch(Event(activity.KindCommit, n, "ada", Noon))
		b.Progress = IntroduceRepos(1)
		_, err := s.Commit(t.Context(), fence, b)
		return err
	}
	require.NoError(t, one(5, 1))
	require.ErrorIs(t, one(4, 2), ledger.ErrFenced)
	require.NoError(t, one(0, 3), "a worker needs no authority")
	require.NoError(t, one(5, 4))
	require.NoError(t, one(6, 5))
	require.ErrorIs(t, one(5, 6), ledger.ErrFenced)
	require.Equal(t, uint64(4), total(shown(t, s, Noon), "ada", activity.KindCommit))
}

func pruning(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	old := Event(activity.KindCommit, 1, "ada", Noon.AddDate(0, 0, -10))
	commit(t, s, batch(old, Event(activity.KindCommit, 2, "ada", Noon),
		Event(activity.KindIssueComment, 1, "eve", Noon.AddDate(0, 0, -10))))
	require.NoError(t, s.Prune(t.Context(), org, Noon.AddDate(0, 0, -5)))
	require.Equal(t, ledger.Receipt{Dropped: 1}, commit(t, s, batch(old)), "what was pruned is not recorded again")
	got := shown(t, s, Noon)
	require.Equal(t, uint64(2), total(got, "ada", activity.KindCommit))
	require.NotContains(t, got, ledgerview.Series{Repo: "repo-1", User: "eve"})
	commit(t, s, batch(Event(activity.KindIssueComment, 2, "eve", Noon)))
	require.Equal(t, uint64(2), total(shown(t, s, Noon), "eve", activity.KindIssueComment),
		"a sum goes on where it was")
	require.NoError(t, s.Prune(t.Context(), org, Noon.AddDate(0, 0, -8)))
	require.Equal(t, uint64(2), total(shown(t, s, Noon), "ada", activity.KindCommit))
}

func talliesAndEntries(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	key := ledger.TallyKey{Name: "runs", Labels: [2]string{"success"}}
	sample := ledger.EntryKey{Name: "remaining"}
	put := func(add uint64, data string, at time.Time) {
		commit(t, s, ledger.Batch{
			Org: org, Observed: Noon, Tallies: []ledger.Tally{{TallyKey: key, Add: add}},
			Entries: []ledger.Entry{{EntryKey: sample, Data: []byte(data), Observed: at}},
		})
	}
	put(1, "10", Noon)
	put(2, "5", Noon.Add(-time.Hour))
	put(4, "2 0\x00\xff", Noon.Add(time.Hour))
	put(8, "15", Noon.Add(30*time.Minute))
	view := LatestView(t, s, org)
	require.Equal(t, uint64(15), view.Summary().Tallies[key])
	require.Len(t, view.Entries("remaining"), 1)
	newest, ok := view.Entry(sample)
	require.True(t, ok)
	require.Equal(t, "2 0\x00\xff", string(newest.Data), "any bytes")
	_, ok = view.Entry(ledger.EntryKey{Name: "other"})
	require.False(t, ok)
	read, err := s.ReadEntries(t.Context(), org, []ledger.EntryKey{sample, {Name: "other"}})
	require.NoError(t, err)
	require.Len(t, read, 1)
	require.Equal(t, newest, read[sample])
	require.Equal(t, Noon.Add(time.Hour), read[sample].Observed)
	read, err = s.ReadEntries(t.Context(), "nobody", []ledger.EntryKey{sample})
	require.NoError(t, err)
	require.Empty(t, read)
}

func organizationsApart(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	commit(t, s, batch(Event(activity.KindCommit, 1, "ada", Noon)))
	other := ledger.Batch{
		Org: "other", Observed: Noon, Progress: IntroduceRepos(1),
		Events: []activity.Event{Event(activity.KindCommit, 1, "bob", Noon)},
	}
	require.Equal(t, 1, commit(t, s, other).Recorded)
	result := EmittedSeries{}
	LatestView(t, s, "other").Visit(Noon, result)
	require.Len(t, result, 1)
	require.Contains(t, result, ledgerview.Series{Repo: "repo-1", User: "bob"})
}

// spelling: GitHub ignores the case of an organization's login.
func spelling(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	b := batch(Event(activity.KindCommit, 1, "ada", Noon))
	b.Org = "ACME"
	commit(t, s, b)
	require.Equal(t, uint64(1), total(shown(t, s, Noon), "ada", activity.KindCommit))
}

func followEnds(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	reason := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := s.Follow(ctx, org, func(c ledger.Change) error {
		if c.CaughtUp {
			cancel(reason)
		}
		return nil
	})
	require.ErrorIs(t, err, reason)
}

func seriesBudget(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	commit(t, s, ledger.Batch{
		Org: "other", Observed: Noon, Progress: IntroduceRepos(1),
		Events: []activity.Event{Event(activity.KindCommit, 1, "a", Noon)},
	})
	flow := Event(activity.KindFirstReview, 1, activity.LoginNone, Noon)
	require.Equal(t, ledger.Receipt{Recorded: 1}, commit(t, s, batch(flow)), "a repository's events are no series")
	receipt := commit(t, s, batch(
		Event(activity.KindCommit, 1, "b", Noon), Event(activity.KindCommit, 2, "c", Noon),
		Event(activity.KindCommit, 3, "d", Noon), Event(activity.KindCommit, 4, "d", Noon),
		Event(activity.KindCommit, 5, "e", Noon)))
	require.Equal(t, ledger.Receipt{Recorded: 5, Folded: 2}, receipt, "three series over all organizations")
	got := shown(t, s, Noon)
	require.Len(t, got, 3)
	require.Equal(t, uint64(3), total(got, activity.LoginOther, activity.KindCommit))
	commit(t, s, batch(Event(activity.KindCommit, 6, "b", Noon)))
	require.Equal(t, uint64(2), total(shown(t, s, Noon), "b", activity.KindCommit), "who has a series keeps it")
	sum := LatestView(t, s, org).Summary()
	require.Equal(t, uint64(2), sum.Tallies[ledger.TallyKey{Name: ledger.TallySeriesOverflow}])
}

func restart(t *testing.T, h Harness) {
	t.Helper()
	s := h.Open(t)
	introduce(t, s, 1)
	for i := range int64(50) {
		commit(t, s, batch(Event(activity.KindCommit, i, "ada", Noon.Add(-time.Duration(i)*time.Hour))))
	}
	require.NoError(t, s.Prune(t.Context(), org, Noon.Add(-40*time.Hour)))
	want := shown(t, s, Noon)
	cov, err := s.Coverage(t.Context(), org)
	require.NoError(t, err)
	s = h.Open(t)
	if !h.Durable {
		require.Empty(t, shown(t, s, Noon))
		return
	}
	require.Equal(t, want, shown(t, s, Noon))
	again, err := s.Coverage(t.Context(), org)
	require.NoError(t, err)
	require.Equal(t, cov, again)
	require.Equal(t, ledger.Receipt{Duplicates: 1, Dropped: 1}, commit(t, s, batch(
		Event(activity.KindCommit, 3, "ada", Noon.Add(-3*time.Hour)), Event(activity.KindCommit, 45, "ada",
			Noon.Add(-45*time.Hour)))))
}
