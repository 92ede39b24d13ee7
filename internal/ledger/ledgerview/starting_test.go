// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/local"
)

const zeroFor = time.Minute

func total(kind activity.Kind) Metric { return MetricTotal + Metric(kind.Index()) }

// introduced is a view that follows and has just met repository 1, with everything before noon to be read.
func introduced(settings Settings, signals *activity.Signals) *View {
	settings.Retention, settings.Grace = 720*time.Hour, 1000*time.Hour
	v := New(settings)
	v.Apply(ledger.Change{Reset: true, CaughtUp: true, LedgerStart: noon})
	repo := ledger.RepoProgress{
		ID: 1, Name: "one", FirstSeen: noon, Since: noon.AddDate(0, 0, -14), Signals: signals, Observed: noon,
	}
	for _, s := range activity.AllStreams() {
		if signals == nil || !signals.Disabled.Has(s) {
			repo.Missed = append(repo.Missed, streamWindow(s, repo.Since, noon))
		}
	}
	v.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{repo}}})
	return v
}

func missedIn(s activity.Stream, from, to time.Duration) []ledger.StreamWindow {
	return []ledger.StreamWindow{{Stream: s, Window: activity.Window{Start: noon.Add(from), End: noon.Add(to)}}}
}

const fortnight = 14 * 24 * time.Hour

// read ends a reading of a stream.
func read(v *View, s activity.Stream, from, to time.Duration, events ...activity.Event) {
	progress := ledger.Progress{Repos: []ledger.RepoProgress{{ID: 1, Read: missedIn(s, from, to)}}}
	v.Apply(ledger.Change{Events: events, Progress: progress})
}

func live(v *View, events ...activity.Event) { v.Apply(ledger.Change{Events: events}) }

// TestTotalsWaitForHistory checks that a stream's totals appear when everything from before the first contact has been
// read, with all of it at once.
func TestTotalsWaitForHistory(t *testing.T) {
	t.Parallel()
	v := introduced(Settings{ZeroFor: zeroFor}, nil)
	live(v, commitOf(1, "ada", noon.Add(-time.Hour), 5),
		event(activity.KindIssueComment, 1, "ada", noon.Add(-time.Hour)))
	got := visit(v, noon).values[ada]
	require.True(t, got.Present.Has(count(activity.KindCommit)), "windows are shown")
	for i := range ledger.NumTotals {
		require.False(t, got.Present.Has(MetricTotal+Metric(i)))
	}
	read(v, activity.StreamCommits, -24*time.Hour, 0)
	require.False(t, visit(v, noon).values[ada].Present.Has(MetricTotal), "thirteen days are still missing")
	read(v, activity.StreamCommits, -fortnight, 0,
		commitOf(2, "ada", noon.AddDate(0, 0, -3), 7), commitOf(3, "bob", noon.AddDate(0, 0, -3), 1))
	shown := visit(v, noon)
	got = shown.values[ada]
	require.Equal(t, uint64(2), got.Of[MetricTotal], "history is in the first value")
	require.Equal(t, uint64(12), got.Of[MetricTotalLinesAdded])
	require.Equal(t, uint64(1), shown.values[Series{"one", "bob"}].Of[MetricTotal])
	require.False(t, got.Present.Has(total(activity.KindIssueComment)), "comments are not read yet")
	require.Equal(t, noon.AddDate(0, 0, -14).Unix(), got.StartTime)

	missed := missedIn(activity.StreamCommits, -fortnight, time.Hour)
	again := ledger.Progress{Repos: []ledger.RepoProgress{{ID: 1, Missed: missed}}}
	v.Apply(ledger.Change{Progress: again})
	require.Equal(t, uint64(2), visit(v, noon).values[ada].Of[MetricTotal], "a later gap ends no sum")
	require.True(t, visit(v, noon).values[ada].Present.Has(MetricTotal))
}

// TestTotalsOfUnreadableHistory appear when the history has become too old to be wanted.
func TestTotalsOfUnreadableHistory(t *testing.T) {
	t.Parallel()
	v := introduced(Settings{ZeroFor: zeroFor}, nil)
	live(v, commitOf(1, "ada", noon.Add(time.Hour), 5))
	cover(v, noon.Add(2*time.Hour))
	require.False(t, visit(v, noon.Add(2*time.Hour)).values[ada].Present.Has(MetricTotal))
	v.Apply(ledger.Change{PrunedBefore: noon})
	require.Equal(t, uint64(1), visit(v, noon.Add(2*time.Hour)).values[ada].Of[MetricTotal])
}

// TestTotalsOfADisabledStream checks that a stream that has been disabled since before the first contact has no totals
// until it is enabled and was read.
func TestTotalsOfADisabledStream(t *testing.T) {
	t.Parallel()
	off := activity.Signals{
		Disabled:      activity.StreamsOf(activity.StreamComments),
		DisabledSince: noon.AddDate(0, 0, -14),
	}
	v := introduced(Settings{ZeroFor: zeroFor}, &off)
	comment := total(activity.KindIssueComment)
	live(v, event(activity.KindIssueComment, 1, "ada", noon.Add(-time.Hour)))
	require.False(t, visit(v, noon).values[ada].Present.Has(comment), "it is being read")
	v.Apply(ledger.Change{
		Events:   []activity.Event{event(activity.KindIssueComment, 2, "ada", noon.Add(-time.Hour))},
		Progress: ledger.Progress{Repos: []ledger.RepoProgress{{ID: 1, Signals: &activity.Signals{}, Observed: noon}}},
	})
	require.Equal(t, uint64(2), visit(v, noon).values[ada].Of[comment])
}

// TestFirstEvents checks that a total that starts while the view follows is shown at 0 first, each kind by itself.
func TestFirstEvents(t *testing.T) {
	t.Parallel()
	bob := Series{"one", "bob"}
	v := viewOf(Settings{ZeroFor: zeroFor, Grace: 1000 * time.Hour}, commitOf(1, "ada", noon, 5))
	at := func(d time.Duration) map[Series]Values { return visit(v, noon.Add(d)).values }
	require.Equal(t, uint64(1), at(0)[ada].Of[MetricTotal], "a snapshot's are as they are")
	live(v, commitOf(2, "bob", noon, 7), event(activity.KindReviewSubmitted, 1, "ada", noon))
	first := at(time.Second)
	require.Equal(t, uint64(0), first[bob].Of[MetricTotal])
	require.True(t, first[bob].Present.Has(MetricTotal) && first[bob].Present.Has(MetricTotalLinesAdded))
	require.Equal(t, uint64(0), first[bob].Of[MetricTotalLinesAdded])
	require.Equal(t, uint64(1), first[bob].Of[count(activity.KindCommit)], "windows do not wait")
	require.Equal(t, uint64(1), first[ada].Of[MetricTotal])
	require.Equal(t, uint64(0), first[ada].Of[total(activity.KindReviewSubmitted)])
	live(v, commitOf(3, "bob", noon, 7), commitOf(4, "ada", noon, 5))
	second := at(30 * time.Second)
	require.Equal(t, uint64(0), second[bob].Of[MetricTotal], "what follows waits, too")
	require.Equal(t, uint64(2), second[ada].Of[MetricTotal])
	third := at(61 * time.Second)
	require.Equal(t, uint64(2), third[bob].Of[MetricTotal])
	require.Equal(t, uint64(14), third[bob].Of[MetricTotalLinesAdded])
	require.Equal(t, uint64(1), third[ada].Of[total(activity.KindReviewSubmitted)])
	require.Empty(t, v.repos[1].totals.starting)
}

// TestReturningUser checks that a user with events again after the retention is shown with the former totals first.
func TestReturningUser(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{ZeroFor: zeroFor, Grace: 10000 * time.Hour},
		commitOf(1, "ada", noon.Add(-time.Hour), 5), event(activity.KindIssueComment, 1, "ada", noon))
	back := noon.AddDate(0, 0, 40)
	cover(v, back)
	v.Apply(ledger.Change{PrunedBefore: noon.AddDate(0, 0, 10)})
	require.Empty(t, visit(v, back).values)
	live(v, commitOf(2, "ada", back, 5))
	got := visit(v, back).values[ada]
	require.Equal(t, uint64(1), got.Of[MetricTotal])
	require.Equal(t, uint64(1), got.Of[total(activity.KindIssueComment)])
	require.False(t, got.Present.Has(total(activity.KindReviewSubmitted)))
	live(v, event(activity.KindReviewSubmitted, 1, "ada", back))
	require.Equal(t, uint64(2), visit(v, back.Add(zeroFor)).values[ada].Of[MetricTotal])
	require.Equal(t, uint64(0), visit(v, back.Add(zeroFor)).values[ada].Of[total(activity.KindReviewSubmitted)])
	require.Equal(t, uint64(1), visit(v, back.Add(2*zeroFor)).values[ada].Of[total(activity.KindReviewSubmitted)])
}

// TestReturningRepository checks that what happened while a repository was gone starts its totals.
func TestReturningRepository(t *testing.T) {
	t.Parallel()
	v := viewOf(Settings{ZeroFor: zeroFor, Grace: 1000 * time.Hour}, commitOf(1, "ada", noon, 5))
	applyProgress(v, ledger.RepoProgress{ID: 1, Presence: ledger.PresenceGone, GoneSince: noon})
	require.Empty(t, visit(v, noon).values)
	v.Apply(ledger.Change{
		Progress: ledger.Progress{Repos: []ledger.RepoProgress{{ID: 1, Presence: ledger.PresenceReadable}}},
		Events:   []activity.Event{commitOf(2, "ada", noon, 5)},
	})
	require.Equal(t, uint64(1), visit(v, noon).values[ada].Of[MetricTotal])
	require.Equal(t, uint64(2), visit(v, noon.Add(zeroFor)).values[ada].Of[MetricTotal])
}

// TestNoZeroAfterASnapshot checks that events of a snapshot do not start a total, and that a total shown at 0 stays so
// after a snapshot of the same ledger.
func TestNoZeroAfterASnapshot(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		began time.Time
		want  uint64
	}{"the same ledger": {noon, 0}, "another one": {noon.Add(time.Second), 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := viewOf(Settings{ZeroFor: zeroFor, Grace: time.Hour})
			live(v, commitOf(1, "ada", noon, 5))
			require.Equal(t, uint64(0), visit(v, noon).values[ada].Of[MetricTotal])
			for range 2 { // the first one is not completed
				v.Apply(ledger.Change{Reset: true, LedgerStart: test.began, Progress: ledger.Progress{
					Edge: noon,
					Repos: []ledger.RepoProgress{
						{ID: 1, Name: "one", FirstSeen: noon, Since: noon.AddDate(0, 0, -28)},
					},
				}})
				addEvents(v, commitOf(1, "ada", noon, 5), commitOf(2, "bob", noon, 5))
			}
			v.Apply(ledger.Change{CaughtUp: true})
			got := visit(v, noon.Add(time.Second)).values
			require.Equal(t, test.want, got[ada].Of[MetricTotal])
			require.Equal(t, uint64(1), got[Series{"one", "bob"}].Of[MetricTotal])
			require.Equal(t, uint64(1), visit(v, noon.Add(zeroFor)).values[ada].Of[MetricTotal])
		})
	}
}

// TestTakeOver checks that a replica that takes over emission shows no total lower than the former one may have shown.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	follower := func() *View {
		v := viewOf(Settings{ZeroFor: zeroFor, Grace: time.Hour})
		pass(v, noon)
		return v
	}
	for name, test := range map[string]struct {
		passes []time.Duration // before the visit, the first before the event
		visit  time.Duration
		want   uint64
	}{
		"the event is older than the phase":      {[]time.Duration{0, 30 * time.Second}, zeroFor, 1},
		"the other one cannot have shown it yet": {[]time.Duration{0, 30 * time.Second}, 50 * time.Second, 0},
		"no pass since the event":                {[]time.Duration{0}, 10 * time.Second, 0},
		"the phase is long over": {
			[]time.Duration{0, 30 * time.Second, 5 * time.Minute},
			6 * time.Minute, 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := follower()
			live(v, commitOf(1, "ada", noon, 5))
			for _, d := range test.passes[1:] {
				pass(v, noon.Add(d))
			}
			require.Equal(t, test.want, visit(v, noon.Add(test.visit)).values[ada].Of[MetricTotal])
			live(v, commitOf(2, "bob", noon, 5))
			require.Equal(t, uint64(0), visit(v, noon.Add(test.visit)).values[Series{"one", "bob"}].Of[MetricTotal])
		})
	}
}

// TestTotalsOfADepartedLabel do not fall: what was counted under a label stays there while another account has it.
func TestTotalsOfADepartedLabel(t *testing.T) {
	t.Parallel()
	of := func(n int64, actor activity.Actor) activity.Event {
		e := commitOf(n, "", noon, 1)
		e.Actor = actor
		return e
	}
	account := activity.Actor{ID: 7, Login: "ada"}
	v := viewOf(Settings{ZeroFor: zeroFor, Grace: time.Hour},
		of(1, account), of(2, account), of(3, activity.Actor{Login: "ada"}))
	require.Equal(t, uint64(3), visit(v, noon).values[ada].Of[MetricTotal])
	login := func(name string, at time.Time) {
		login := ledger.Entry{EntryKey: ledger.LoginKey(7), Data: []byte(name), Observed: at}
		v.Apply(ledger.Change{Entries: []ledger.Entry{login}})
	}
	login("lovelace", noon)
	got := visit(v, noon).values
	require.Equal(t, uint64(3), got[ada].Of[MetricTotal])
	require.Equal(t, uint64(2), got[Series{"one", "lovelace"}].Of[MetricTotal], "an account has its whole past")
	require.Equal(t, uint64(1), got[ada].Of[count(activity.KindCommit)], "windows are of who is there")
	live(v, of(4, account), of(5, activity.Actor{Login: "ada"}))
	require.Equal(t, uint64(4), visit(v, noon).values[ada].Of[MetricTotal])
	login("ada", noon.Add(time.Second))
	require.Equal(t, uint64(5), visit(v, noon).values[ada].Of[MetricTotal])
}

// counters is what a consumer of sums has seen.
type counters struct {
	last   map[string]uint64
	deltas map[string]uint64
}

// see compares the sums with the last ones and adds up what came.
func (c *counters) see(t *rapid.T, now time.Time, shown *showing) {
	for series, values := range shown.values {
		if values.StartTime > now.Unix() {
			t.Fatalf("%v counts from %d on at %s", series, values.StartTime, now)
		}
		for i := range ledger.NumTotals {
			if !values.Present.Has(MetricTotal + Metric(i)) {
				continue
			}
			key, value := fmt.Sprint(series, i), values.Of[MetricTotal+Metric(i)]
			last, met := c.last[key]
			if met && value < last {
				t.Fatalf("sum %d of %v fell from %d to %d", i, series, last, value)
			}
			if met {
				c.deltas[key] += value - last
			}
			c.last[key] = value
		}
	}
}

// simulation is an organization that two replicas follow, of which one shows.
type simulation struct {
	state    *local.State
	replicas [2]*View
	shows    int
	now      time.Time
	number   int64
	// read says of each repository that its history was read, shown that there was an emission since.
	read, shown [2]bool
	// since are the events since read, news those since shown: what comes between is in the first value or not.
	since, news map[string]uint64
	counters
}

func newSimulation(t *rapid.T) *simulation {
	s := &simulation{
		state: local.NewState(), now: noon, since: map[string]uint64{}, news: map[string]uint64{},
		counters: counters{map[string]uint64{}, map[string]uint64{}},
	}
	settings := Settings{Retention: 720 * time.Hour, Grace: 1_000_000 * time.Hour, ZeroFor: zeroFor}
	if rapid.Bool().Draw(t, "one label") {
		settings.Label = func(activity.Actor) (string, bool) { return "all", true }
	}
	for i := range s.replicas {
		s.replicas[i] = New(settings)
	}
	s.apply(ledger.Change{Reset: true, CaughtUp: true, LedgerStart: noon})
	for repo := range int64(2) {
		p := ledger.RepoProgress{
			ID: repo + 1, Name: fmt.Sprint("repo", repo), FirstSeen: noon, Since: noon.AddDate(0, 0, -14),
		}
		for _, stream := range activity.AllStreams() {
			p.Missed = append(p.Missed, streamWindow(stream, p.Since, noon))
		}
		s.apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{p}}})
	}
	return s
}

func (s *simulation) apply(c ledger.Change) {
	s.state.Apply(&c)
	for _, v := range s.replicas {
		v.Apply(c)
	}
}

func (s *simulation) happen(t *rapid.T) {
	repo := rapid.Int64Range(1, 2).Draw(t, "repo")
	kind := rapid.SampledFrom([]activity.Kind{activity.KindCommit, activity.KindReviewSubmitted}).Draw(t, "kind")
	user := rapid.SampledFrom([]string{"ada", "bob", "eve"}).Draw(t, "user")
	s.number++
	e := event(kind, s.number, user, s.now.Add(-time.Second))
	e.Repo = repo
	label, _ := s.replicas[0].settings.Label(e.Actor)
	key := fmt.Sprint(Series{fmt.Sprint("repo", repo-1), label}, kind.Index())
	if s.read[repo-1] {
		s.since[key]++
	}
	if s.shown[repo-1] {
		s.news[key]++
	}
	s.apply(ledger.Change{Events: []activity.Event{e}})
}

func (s *simulation) readHistory(t *rapid.T) {
	repo := rapid.Int64Range(1, 2).Draw(t, "repo")
	p := ledger.RepoProgress{ID: repo}
	for _, stream := range activity.AllStreams() {
		p.Read = append(p.Read, streamWindow(stream, noon.AddDate(0, 0, -14), noon))
	}
	s.read[repo-1] = true
	s.apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{p}}})
}

func (s *simulation) emit(t *rapid.T) {
	s.now = s.now.Add(zeroFor / 2)
	for i, v := range s.replicas {
		if i != s.shows {
			pass(v, s.now)
		}
	}
	s.see(t, s.now, visit(s.replicas[s.shows], s.now))
	s.shown = s.read
}

func (s *simulation) wait(t *rapid.T) {
	for range 3 { // what happened is shown before it is too old
		s.emit(t)
	}
	s.now = s.now.AddDate(0, 0, rapid.IntRange(1, 40).Draw(t, "days"))
	s.emit(t)
	pruned, needless := s.state.PlanPrune(s.now.Add(-720 * time.Hour))
	if !needless {
		s.apply(pruned)
	}
	if !pruned.PrunedBefore.Before(noon) {
		s.read = [2]bool{true, true} // what is older than the retention is not wanted
	}
	s.emit(t)
}

// TestTotalsNeverFall checks that totals do not fall, whatever happens, is read or is pruned, nor by restarts and
// takeovers.
func TestTotalsNeverFall(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t)
		t.Repeat(map[string]func(*rapid.T){
			"happen": s.happen, "read": s.readHistory, "emit": s.emit, "wait": s.wait,
			"restart": func(t *rapid.T) {
				restarted := rapid.IntRange(0, 1).Draw(t, "replica")
				for _, c := range s.state.Snapshot() {
					s.replicas[restarted].Apply(c)
				}
			},
			"take over": func(*rapid.T) { s.shows = 1 - s.shows },
		})
	})
}

// TestDeltasAreTheNews checks that the increase of one replica's totals is the number of events after the history was
// read.
func TestDeltasAreTheNews(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := newSimulation(t)
		t.Repeat(map[string]func(*rapid.T){"happen": s.happen, "read": s.readHistory, "emit": s.emit, "wait": s.wait})
		for range 4 {
			s.emit(t)
		}
		for key, most := range s.since {
			if rose := s.deltas[key]; rose < s.news[key] || rose > most {
				t.Fatalf("%s: the sums rose by %d, and %d to %d events were news", key, rose, s.news[key], most)
			}
		}
	})
}
