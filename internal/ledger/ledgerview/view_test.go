// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/local"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is the present of the tests, a Wednesday.
var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

// applyProgress applies the progress of repositories.
func applyProgress(v *View, repos ...ledger.RepoProgress) {
	v.Apply(ledger.Change{Progress: ledger.Progress{Repos: repos}})
}

// addEvents applies new events.
func addEvents(v *View, events ...activity.Event) { v.Apply(ledger.Change{Events: events}) }

// streamWindow returns a window of a stream.
func streamWindow(s activity.Stream, start, end time.Time) ledger.StreamWindow {
	return ledger.StreamWindow{Stream: s, Window: activity.Window{Start: start, End: end}}
}

// showing is what a visit showed and ended.
type showing struct {
	values map[Series]Values
	ended  map[Series]Mask
}

func (s *showing) Emit(series Series, v *Values)      { s.values[series] = *v }
func (s *showing) MarkStale(series Series, gone Mask) { s.ended[series] = s.ended[series].Union(gone) }

// pass shows a view to a replica that does not emit it.
func pass(v *View, now time.Time) {
	v.VisitStandby(now, &showing{values: map[Series]Values{}, ended: map[Series]Mask{}})
}

func visit(v *View, now time.Time) *showing {
	s := &showing{values: map[Series]Values{}, ended: map[Series]Mask{}}
	v.Visit(now, s)
	return s
}

func event(kind activity.Kind, n int64, user string, at time.Time) activity.Event {
	return activity.Event{Kind: kind, Repo: 1, ID: activity.NumberID(n), Actor: activity.Actor{Login: user}, Time: at}
}

func commitOf(n int64, user string, at time.Time, lines uint32) activity.Event {
	e := event(activity.KindCommit, n, user, at)
	e.Measures = activity.Lines(lines, 1)
	return e
}

// viewOf is a view of repository 1, met at noon and covered for four weeks.
func viewOf(settings Settings, events ...activity.Event) *View {
	if settings.Retention == 0 {
		settings.Retention = 720 * time.Hour
	}
	v := New(settings)
	progress := ledger.Progress{Edge: noon, Repos: []ledger.RepoProgress{
		{ID: 1, Name: "one", FirstSeen: noon, Since: noon.AddDate(0, 0, -28)},
	}}
	v.Apply(ledger.Change{Reset: true, CaughtUp: true, LedgerStart: noon, Progress: progress, Events: events})
	return v
}

// cover moves the edge.
func cover(v *View, edge time.Time) { v.Apply(ledger.Change{Progress: ledger.Progress{Edge: edge}}) }

var ada = Series{"one", "ada"}

func count(kind activity.Kind) Metric { return MetricCount + Metric(kind.Index()) }

// TestDayIsExact checks that the window is (now − 24 h, now], to the second, and slides between readings.
func TestDayIsExact(t *testing.T) {
	t.Parallel()
	at := noon.Add(-10 * time.Hour)
	v := viewOf(Settings{Grace: 100 * time.Hour}, event(activity.KindIssueComment, 1, "ada", at))
	for offset, want := range map[time.Duration]uint64{
		24*time.Hour - time.Second: 1, 24 * time.Hour: 0, 24*time.Hour + time.Second: 0, 10 * time.Hour: 1,
	} {
		got := visit(v, at.Add(offset)).values[ada]
		require.True(t, got.Present.Has(count(activity.KindIssueComment)))
		require.Equal(t, want, got.Of[count(activity.KindIssueComment)], offset)
	}
	require.NotContains(t, visit(v, at.Add(-time.Second)).values, ada, "it has not happened yet")
	require.Contains(t, visit(v, at).values, ada)
}

// TestLongerWindows checks that the windows of 7 and 30 days are exact to the second, that they are absent until they
// were read completely, after a part of them was pruned, and where the stream was not read, and that an outage does not
// empty them.
func TestLongerWindows(t *testing.T) {
	t.Parallel()
	week, month := windowMetric(t, activity.KindCommit, activity.Span7Days),
		windowMetric(t, activity.KindCommit, activity.Span30Days)
	at := noon.AddDate(0, 0, -7)
	newView := func() *View {
		return viewOf(Settings{Grace: time.Hour, Retention: 60 * 24 * time.Hour},
			commitOf(1, "ada", at, 1), commitOf(2, "ada", at.Add(time.Second), 1), commitOf(3, "ada", noon, 1))
	}
	v := newView()
	require.Equal(t, uint64(3), visit(v, noon).values[ada].Of[MetricTotal])
	require.Equal(t, uint64(2), visit(v, noon).values[ada].Of[week])
	require.Equal(t, uint64(1), visit(v, noon.Add(time.Second)).values[ada].Of[week])
	require.Equal(t, uint64(1), visit(v, noon.AddDate(0, 0, 20)).values[ada].Of[week], "the edge stays, and the window")
	require.False(t, visit(v, noon).values[ada].Present.Has(month), "it was read for 28 days")
	cover(v, noon.AddDate(0, 0, 2))
	got := visit(v, noon.AddDate(0, 0, 2)).values[ada]
	require.True(t, got.Present.Has(month))
	require.Equal(t, [2]uint64{1, 3}, [2]uint64{got.Of[week], got.Of[month]})

	missing := streamWindow(activity.StreamCommits, noon.Add(-time.Hour), noon)
	applyProgress(v, ledger.RepoProgress{ID: 1, Missed: []ledger.StreamWindow{missing}})
	got = visit(v, noon.AddDate(0, 0, 2)).values[ada]
	require.False(t, got.Present.Has(week) || got.Present.Has(month), "a gap")
	require.True(t, got.Present.Has(count(activity.KindCommit)))
	applyProgress(v, ledger.RepoProgress{ID: 1, Read: []ledger.StreamWindow{missing}})
	require.True(t, visit(v, noon.AddDate(0, 0, 2)).values[ada].Present.Has(month))

	v.Apply(ledger.Change{PrunedBefore: noon.AddDate(0, 0, -20)})
	got = visit(v, noon.AddDate(0, 0, 2)).values[ada]
	require.True(t, got.Present.Has(week) && !got.Present.Has(month), "a part was pruned")
}

func TestLastWeek(t *testing.T) {
	t.Parallel()
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	for name, test := range map[string]struct{ at, start time.Time }{
		"Wednesday":                 {day(2026, 3, 11).Add(12 * time.Hour), day(2026, 3, 1)},
		"Sunday 00:00":              {day(2026, 3, 8), day(2026, 3, 1)},
		"the second before":         {day(2026, 3, 8).Add(-time.Second), day(2026, 2, 22)},
		"Saturday":                  {day(2026, 3, 14).Add(23 * time.Hour), day(2026, 3, 1)},
		"the turn of the year":      {day(2026, 1, 1), day(2025, 12, 21)},
		"leap day in the week":      {day(2028, 3, 5), day(2028, 2, 27)},
		"another zone of the clock": {day(2026, 3, 8).In(time.FixedZone("west", -5*3600)), day(2026, 3, 1)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			week := ledger.LastCompleteWeek(test.at)
			require.Equal(t, test.start, week.Start)
			require.Equal(t, test.start.AddDate(0, 0, 7), week.End)
			require.Equal(t, time.Sunday, week.Start.Weekday())
		})
	}
}

// TestWeeklyLines are of the last complete week, and absent while it has not been read.
func TestWeeklyLines(t *testing.T) {
	t.Parallel()
	week := ledger.LastCompleteWeek(noon)
	v := viewOf(Settings{Grace: 1000 * time.Hour},
		commitOf(1, "ada", week.Start.Add(-time.Second), 1), commitOf(2, "ada", week.Start, 10),
		commitOf(3, "ada", week.End.Add(-time.Second), 100), commitOf(4, "ada", week.End, 1000))
	require.Equal(t, uint64(110), visit(v, noon).values[ada].Of[MetricLinesAdded])
	require.Equal(t, uint64(2), visit(v, noon).values[ada].Of[MetricLinesRemoved])
	require.Equal(t, uint64(1000), visit(v, noon.AddDate(0, 0, 7)).values[ada].Of[MetricLinesAdded])
	require.Equal(t, uint64(0), visit(v, noon.AddDate(0, 0, 14)).values[ada].Of[MetricLinesAdded])
	missing := streamWindow(activity.StreamCommits, week.Start, week.Start.Add(time.Hour))
	applyProgress(v, ledger.RepoProgress{ID: 1, Missed: []ledger.StreamWindow{missing}})
	require.False(t, visit(v, noon).values[ada].Present.Has(MetricLinesAdded))
	require.True(t, visit(v, noon).values[ada].Present.Has(count(activity.KindCommit)))
	applyProgress(v, ledger.RepoProgress{ID: 1, Read: []ledger.StreamWindow{missing}})
	require.Equal(t, uint64(110), visit(v, noon).values[ada].Of[MetricLinesAdded])
}

// TestIdleUserDoesNotKeepTheLastValue checks that an idle user has zero after the window and is marked stale once after
// the retention, and that the total continues when the user is active again.
func TestIdleUserDoesNotKeepTheLastValue(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Retention: 240 * time.Hour, Grace: time.Hour},
		event(activity.KindIssueComment, 1, "ada", noon))
	at := func(d time.Duration) *showing {
		cover(v, noon.Add(d))
		return visit(v, noon.Add(d))
	}
	total := MetricTotal + Metric(activity.KindIssueComment.Index())
	idle := at(25 * time.Hour).values[ada]
	require.Zero(t, idle.Of[count(activity.KindIssueComment)])
	require.Equal(t, uint64(1), idle.Of[total])
	require.Contains(t, at(240*time.Hour-time.Second).values, ada)
	ended := at(240 * time.Hour)
	require.NotContains(t, ended.values, ada)
	require.Equal(t, map[Series]Mask{ada: idle.Present}, ended.ended)
	require.Empty(t, at(241*time.Hour).ended, "told once")
	v.Apply(ledger.Change{PrunedBefore: noon.Add(time.Hour)})
	addEvents(v, event(activity.KindIssueComment, 2, "ada", noon.Add(242*time.Hour)))
	require.Equal(t, uint64(2), at(242 * time.Hour).values[ada].Of[total])
}

// TestWindowDoesNotWidenWithTheCheckpoint checks that the window is 24 h however long nothing was read.
func TestWindowDoesNotWidenWithTheCheckpoint(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour})
	late := noon.Add(100 * time.Hour)
	var events []activity.Event
	for i := range int64(100) {
		events = append(events, event(activity.KindReviewSubmitted, i, "ada",
			noon.Add(time.Duration(i)*time.Hour+time.Second)))
	}
	v.Apply(ledger.Change{Events: events, Progress: ledger.Progress{Edge: late}})
	require.Equal(t, uint64(24), visit(v, late).values[ada].Of[count(activity.KindReviewSubmitted)])
}

// TestBackfillOfAnOldWindowDoesNotChangeTheCurrentCount.
func TestBackfillOfAnOldWindowDoesNotChangeTheCurrentCount(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour}, event(activity.KindCommit, 1, "ada", noon),
		event(activity.KindCommit, 2, "ada", noon))
	addEvents(v, event(activity.KindCommit, 3, "ada", noon.AddDate(0, 0, -10)))
	got := visit(v, noon).values[ada]
	require.Equal(t, uint64(2), got.Of[count(activity.KindCommit)])
	require.Equal(t, uint64(3), got.Of[MetricTotal])
	require.Equal(t, uint64(noon.Unix()), got.Of[MetricLastEvent])
}

// TestOutageDoesNotCountDown checks that windows stop sliding after the grace while nothing can be read, and slide
// again when it can.
func TestOutageDoesNotCountDown(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour}, event(activity.KindCommit, 1, "ada",
		noon.Add(-23*time.Hour-30*time.Minute)),
		event(activity.KindCommit, 2, "ada", noon.Add(-time.Hour)))
	day := count(activity.KindCommit)
	require.Equal(t, uint64(2), visit(v, noon).values[ada].Of[day])
	require.Equal(t, uint64(1), visit(v, noon.Add(31*time.Minute)).values[ada].Of[day], "within the grace they slide")
	for _, d := range []time.Duration{time.Hour, 48 * time.Hour, 1000 * time.Hour} {
		require.Equal(t, uint64(1), visit(v, noon.Add(d)).values[ada].Of[day], d)
	}
	cover(v, noon.Add(48*time.Hour))
	require.Equal(t, uint64(0), visit(v, noon.Add(48*time.Hour)).values[ada].Of[day])
}

// TestOneRepositoryLags checks that the windows of a lagging repository stand still while another's slide.
func TestOneRepositoryLags(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour}, event(activity.KindCommit, 1, "ada", noon),
		event(activity.KindIssueComment, 1, "ada", noon))
	missed := streamWindow(activity.StreamCommits, noon, noon.Add(48*time.Hour))
	v.Apply(ledger.Change{Progress: ledger.Progress{Edge: noon.Add(48 * time.Hour), Repos: []ledger.RepoProgress{{
		ID:     1,
		Missed: []ledger.StreamWindow{missed},
	}}}})
	got := visit(v, noon.Add(48*time.Hour)).values[ada]
	require.Equal(t, uint64(1), got.Of[count(activity.KindCommit)], "the commits could not be read")
	require.Equal(t, uint64(0), got.Of[count(activity.KindIssueComment)], "the comments could")
}

// TestTotalsNeverGoBack checks that totals do not fall by pruning or by a new snapshot.
func TestTotalsNeverGoBack(t *testing.T) {
	t.Parallel()
	s := local.NewState()
	b := ledger.Batch{Observed: noon, Progress: ledger.Progress{Edge: noon, Repos: []ledger.RepoProgress{{
		ID: 1, Name: "one",
		FirstSeen: noon, Since: noon.AddDate(0, 0, -28),
	}}}}
	for i := range int64(20) {
		b.Events = append(b.Events, commitOf(i, "ada", noon.AddDate(0, 0, -int(i)), 5))
	}
	change, receipt, err := s.Plan(1, &b, func() bool { return true })
	require.NoError(t, err)
	require.Equal(t, 20, receipt.Recorded)
	s.Apply(&change)
	live := New(Settings{Retention: 720 * time.Hour, Grace: time.Hour})
	live.Apply(ledger.Change{Reset: true, CaughtUp: true})
	live.Apply(change)
	for _, days := range []int{-15, -10, -3} {
		pruned, _ := s.PlanPrune(noon.AddDate(0, 0, days))
		s.Apply(&pruned)
		live.Apply(pruned)
		late := New(Settings{Retention: 720 * time.Hour, Grace: time.Hour})
		for _, c := range s.Snapshot() {
			late.Apply(c)
		}
		for _, v := range []*View{live, late} {
			got := visit(v, noon).values[ada]
			require.Equal(t, uint64(20), got.Of[MetricTotal])
			require.Equal(t, uint64(100), got.Of[MetricTotalLinesAdded])
		}
	}
}

// TestRename ends the series of the old name and shows the same values under the new one, even when another repository
// takes the old name at the same time.
func TestRename(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour}, event(activity.KindCommit, 1, "ada", noon))
	before := visit(v, noon).values[ada]
	applyProgress(v, ledger.RepoProgress{ID: 1, Name: "moved"})
	got := visit(v, noon)
	require.Equal(t, map[Series]Values{{"moved", "ada"}: before}, got.values)
	require.Equal(t, map[Series]Mask{ada: before.Present}, got.ended)

	other := event(activity.KindCommit, 9, "ada", noon)
	other.Repo = 2
	v.Apply(ledger.Change{Events: []activity.Event{other}, Progress: ledger.Progress{Repos: []ledger.RepoProgress{
		{ID: 1, Name: "third"}, {ID: 2, Name: "moved", FirstSeen: noon, Since: noon.AddDate(0, 0, -28)},
	}}})
	got = visit(v, noon)
	require.Len(t, got.values, 2)
	require.Empty(t, got.ended, "the name is shown by another repository now")
}

// TestGoneRepository ends its series and shows them again when it is back.
func TestGoneRepository(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour}, event(activity.KindCommit, 1, "ada", noon))
	visit(v, noon)
	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresenceGone, GoneSince: noon})
	gone := visit(v, noon)
	require.Empty(t, gone.values)
	require.Contains(t, gone.ended, ada)
	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresenceReadable})
	require.Contains(t, visit(v, noon).values, ada)
}

// TestNewSnapshotMarksVanishedStale.
func TestNewSnapshotMarksVanishedStale(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour}, event(activity.KindCommit, 1, "ada", noon),
		event(activity.KindCommit, 2, "bob", noon))
	visit(v, noon)
	v.Apply(ledger.Change{Reset: true})
	require.False(t, v.IsCaughtUp())
	v.Apply(ledger.Change{
		CaughtUp: true, Progress: ledger.Progress{Edge: noon, Repos: []ledger.RepoProgress{{
			ID: 1, Name: "one", FirstSeen: noon,
			Since: noon.AddDate(0, 0, -28),
		}}},
		Events: []activity.Event{event(activity.KindCommit, 1, "ada", noon)},
	})
	got := visit(v, noon)
	require.Contains(t, got.values, ada)
	require.Len(t, got.ended, 1)
	require.Contains(t, got.ended, Series{"one", "bob"})
}

// TestLabelsFold checks that users with one label are summed, and that users without one are not shown.
func TestLabelsFold(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{Grace: time.Hour, Label: func(a activity.Actor) (string, bool) {
		return "team",
			a.Login != "bot[bot]"
	}},
		event(activity.KindCommit, 1, "ada", noon.Add(-time.Hour)), event(activity.KindCommit, 2, "bob", noon),
		event(activity.KindCommit, 3, "bot[bot]", noon))
	got := visit(v, noon).values
	require.Len(t, got, 1)
	require.Equal(t, uint64(2), got[Series{"one", "team"}].Of[count(activity.KindCommit)])
	require.Equal(t, uint64(noon.Unix()), got[Series{"one", "team"}].Of[MetricLastEvent])
	require.Equal(t, 2, v.Summary().Series, "accounts in repositories, of those that are shown")
	require.Equal(t, 2, v.Summary().Events)
	require.Equal(t, 1, v.Summary().Shown[count(activity.KindCommit)])
}
