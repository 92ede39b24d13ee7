// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// describe records facts and counts of a repository at a time.
func describe(org *organization, at time.Time, repo int64, facts activity.RepoFacts, counts activity.RepoCounts) {
	org.View.Apply(ledger.Change{Entries: []ledger.Entry{
		{EntryKey: ledger.RepoFactsKey(repo), Data: ledger.EncodeRepoFacts(&facts), Observed: at},
		{EntryKey: ledger.RepoCountsKey(repo), Data: ledger.EncodeRepoCounts(&counts), Observed: at},
	}})
}

// repoPoints returns the values of the metrics by repository that are no histograms, and the staleness markers, by
// metric and labels.
func repoPoints(tb testing.TB, chunks []pmetric.Metrics) (values map[string]int64, markers map[string]bool) {
	tb.Helper()
	values, markers = make(map[string]int64), make(map[string]bool)
	for _, md := range chunks {
		rm := md.ResourceMetrics().At(0)
		require.NotEmpty(tb, rm.ScopeMetrics().At(0).Scope().Name())
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			require.NotEmpty(tb, m.Description())
			if m.Type() == pmetric.MetricTypeHistogram {
				continue
			}
			for _, point := range points(m).All() {
				key := fmt.Sprint(m.Name(), point.Attributes().AsRaw())
				if point.Flags().NoRecordedValue() {
					require.Equal(tb, 1, points(m).Len(), "a marker has a metric of its own")
					markers[key] = true
					continue
				}
				_, isTwice := values[key]
				require.False(tb, isTwice, key)
				values[key] = point.IntValue()
			}
		}
	}
	return values, markers
}

func sampleFacts() activity.RepoFacts {
	return activity.RepoFacts{
		Visibility: "public", DefaultBranch: "main", Language: "Go", Fork: true, TemplateKnown: true,
		Stars: activity.KnownNumber(0), Forks: activity.KnownNumber(2), CreatedAt: began.AddDate(-1, 0, 0),
	}
}

// TestMetricsByRepository checks each metric: what is unknown has no series.
func TestMetricsByRepository(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 2, 0, 0)
	describe(org, began, 1, sampleFacts(), activity.RepoCounts{
		Watchers: activity.KnownNumber(5), Branches: activity.KnownNumber(6), LatestRelease: began,
	})
	describe(org, began, 2, activity.RepoFacts{
		Visibility: "private", Archived: true, Size: activity.KnownNumber(1024), PushedAt: began,
	}, activity.RepoCounts{Tags: activity.KnownNumber(7), Releases: activity.KnownNumber(8)})
	org.View.Apply(ledger.Change{Entries: []ledger.Entry{
		{EntryKey: ledger.LastEventKey(2), Observed: began.Add(-time.Hour)},
		{EntryKey: ledger.RepoTotalsKey(), Observed: began, Data: ledger.EncodeRepoTotals([]ledger.RepoTotal{
			{Visibility: "public", State: activity.RepoFork, Count: 1},
			{Visibility: "private", State: activity.RepoEmpty},
		})},
	}})
	values, markers := repoPoints(t, e.buildRepositories(org, began))
	require.Empty(t, markers)
	one, two := "map[org:acme repo:repo-0]", "map[org:acme repo:repo-1]"
	require.Equal(t, map[string]int64{
		"gh.repo.info" + "map[archived:false default_branch:main fork:true language:Go org:acme repo:repo-0 " +
			"template:false visibility:public]": 1,
		"gh.repo.info" + "map[archived:true fork:false org:acme repo:repo-1 visibility:private]": 1,
		"gh.repo.stars" + one:                                       0,
		"gh.repo.forks" + one:                                       2,
		"gh.repo.created_unixtime" + one:                            began.AddDate(-1, 0, 0).Unix(),
		"gh.repo.watchers" + one:                                    5,
		"gh.repo.branches" + one:                                    6,
		"gh.repo.latest_release_unixtime" + one:                     began.Unix(),
		"gh.repo.size" + two:                                        1024,
		"gh.repo.pushed_unixtime" + two:                             began.Unix(),
		"gh.repo.tags" + two:                                        7,
		"gh.repo.releases" + two:                                    8,
		"gh.repo.last_event_unixtime" + two:                         began.Add(-time.Hour).Unix(),
		"gh.repo.countmap[org:acme state:fork visibility:public]":   1,
		"gh.repo.countmap[org:acme state:empty visibility:private]": 0,
	}, values)
	require.Equal(t, 1, org.repos.count[repoStars])
}

// TestEndOfMetricsByRepository checks that a value that is unknown again, changed labels, a former name and a gone
// repository get three markers, and that a series that is back gets none.
func TestEndOfMetricsByRepository(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 1, 0, 0)
	describe(org, began, 1, sampleFacts(), activity.RepoCounts{})
	emit := func() (map[string]int64, map[string]bool) {
		values, markers := repoPoints(t, e.buildRepositories(org, began))
		org.repos.recordAccepted()
		return values, markers
	}
	values, markers := emit()
	require.Len(t, values, 4)
	require.Empty(t, markers)

	changed := sampleFacts()
	changed.Archived, changed.Stars = true, activity.Number{}
	describe(org, began.Add(time.Second), 1, changed, activity.RepoCounts{})
	for range markerEmissions {
		values, markers = emit()
		require.Len(t, values, 3)
		require.Equal(t, map[string]bool{
			"gh.repo.starsmap[org:acme repo:repo-0]": true,
			"gh.repo.infomap[archived:false default_branch:main fork:true language:Go org:acme repo:repo-0 " +
				"template:false visibility:public]": true,
		}, markers)
	}
	_, markers = emit()
	require.Empty(t, markers)

	org.View.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{{ID: 1, Name: "renamed"}}}})
	values, markers = emit()
	require.Contains(t, values, "gh.repo.forksmap[org:acme repo:renamed]")
	require.Contains(t, markers, "gh.repo.forksmap[org:acme repo:repo-0]")
	require.Len(t, markers, 3)
	org.View.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{{ID: 1, Name: "repo-0"}}}})
	_, markers = emit()
	require.NotContains(t, markers, "gh.repo.forksmap[org:acme repo:repo-0]", "it is back")
	require.Contains(t, markers, "gh.repo.forksmap[org:acme repo:renamed]")

	gone := ledger.RepoProgress{ID: 1, Presence: ledger.PresenceGone, GoneSince: began}
	org.View.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{gone}}})
	values, markers = emit()
	require.Empty(t, values)
	require.Contains(t, markers, "gh.repo.forksmap[org:acme repo:repo-0]")
	require.Empty(t, org.repos.shown, "what ended takes no memory")
}

// TestMetricsByRepositoryOfAStandby checks that a replica that does not emit sends no markers, and that it knows which
// series ended when it takes over.
func TestMetricsByRepositoryOfAStandby(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 2, 0, 0)
	describe(org, began, 1, sampleFacts(), activity.RepoCounts{})
	describe(org, began, 2, sampleFacts(), activity.RepoCounts{})
	e.countRepositories(org, began)
	require.Equal(t, 2, org.repos.count[repoInfo])
	leave := func(id int64) {
		gone := ledger.RepoProgress{ID: id, Presence: ledger.PresenceGone, GoneSince: began}
		org.View.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{gone}}})
	}
	leave(1)
	e.countRepositories(org, began)
	leave(2)
	values, markers := repoPoints(t, e.buildRepositories(org, began))
	require.Empty(t, values)
	require.Len(t, markers, 4, "of the second one; the other replica has ended the first")
	for key := range markers {
		require.Contains(t, key, "repo:repo-1")
	}
}

// TestLabelsOfTopicsAndProperties checks that only configured ones are labels, and that unknown topics are absent.
func TestLabelsOfTopicsAndProperties(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, func(s *Settings) {
		s.Topics, s.Properties = []string{"go", "not-read-yet", "team-a"}, []string{"cost.center"}
	})
	fill(org, 2, 0, 0)
	describe(org, began, 1, activity.RepoFacts{
		Visibility: "public", PropertiesKnown: true,
		Topics:     []activity.Topic{{Name: "go"}, {Name: "other", Has: true}, {Name: "team-a", Has: true}},
		Properties: []activity.Property{{Name: "cost.center", Value: "4,2"}, {Name: "other", Value: "x"}},
	}, activity.RepoCounts{})
	describe(org, began, 2, activity.RepoFacts{Visibility: "public"}, activity.RepoCounts{})
	values, _ := repoPoints(t, e.buildRepositories(org, began))
	require.Equal(t, map[string]int64{
		"gh.repo.infomap[archived:false fork:false org:acme property_cost_center:4,2 repo:repo-0 topic_go:false " +
			"topic_team_a:true visibility:public]": 1,
		"gh.repo.infomap[archived:false fork:false org:acme repo:repo-1 visibility:public]": 1,
	}, values)
}

// TestDisabledMetricsByRepository checks that a disabled metric has neither points nor markers, and that the scope is
// known when no metric of activity is enabled.
func TestDisabledMetricsByRepository(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, func(s *Settings) { s.Metrics.Metrics.GhRepoInfo.Enabled = false })
	fill(org, 1, 0, 0)
	describe(org, began, 1, sampleFacts(), activity.RepoCounts{})
	values, _ := repoPoints(t, e.buildRepositories(org, began))
	require.Len(t, values, 3)
	require.Zero(t, org.repos.count[repoInfo])
}

// TestChunksOfRepositories checks that many repositories are sent in chunks, none twice.
func TestChunksOfRepositories(t *testing.T) {
	t.Parallel()
	const repos = 20_000
	e, org := newTestEmitter(t)
	fill(org, repos, 0, 0)
	for id := range int64(repos) {
		describe(org, began, id+1, sampleFacts(), activity.RepoCounts{})
	}
	chunks := e.buildRepositories(org, began)
	values, _ := repoPoints(t, chunks)
	require.Len(t, values, 4*repos)
	for _, md := range chunks {
		require.LessOrEqual(t, md.DataPointCount(), maxChunkPoints)
	}
}

// TestHistogramAndSumByRepository checks the points, and the markers, of cumulative metrics.
func TestHistogramAndSumByRepository(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	templates := *e.templates.repos
	e.templates.repos = &templates
	templates.template[repoStars], templates.template[repoForks] = pmetric.NewMetric(), pmetric.NewMetric()
	templates.template[repoStars].SetEmptyHistogram()
	templates.template[repoForks].SetEmptySum()
	org.repos.startVisit()
	series := repoSeries{repo: "one", labels: newRepoLabels("state", "draft", "none", "")}
	s := &repoSink{emitter: e, org: "acme", at: pcommon.NewTimestampFromTime(began), history: &org.repos}
	s.addHistogram(repoStars, series, began.Add(-time.Hour), &histogramValue{
		Bounds: []float64{1, 2}, Counts: []uint64{1, 0, 4}, Sum: 17.5,
	})
	s.addSum(repoForks, series, began.Add(time.Hour), 3)
	s.addMarker(endedRepoSeries{series, repoStars})
	s.closeChunk()
	require.Equal(t, [2]int{1, 1}, [2]int{org.repos.count[repoStars], org.repos.count[repoForks]})
	metrics := s.fullChunks[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics()
	point := metrics.At(0).Histogram().DataPoints().At(0)
	require.Equal(t, map[string]any{"org": "acme", "repo": "one", "state": "draft"}, point.Attributes().AsRaw())
	require.Equal(t, []uint64{1, 0, 4}, point.BucketCounts().AsRaw())
	require.Equal(t, uint64(5), point.Count())
	require.InDelta(t, 17.5, point.Sum(), 0)
	require.Equal(t, pcommon.NewTimestampFromTime(began.Add(-time.Hour)), point.StartTimestamp())
	sum := metrics.At(1).Sum().DataPoints().At(0)
	require.Equal(t, s.at, sum.StartTimestamp(), "no start after the point")
	require.Equal(t, int64(3), sum.IntValue())
	require.True(t, metrics.At(2).Histogram().DataPoints().At(0).Flags().NoRecordedValue())
}

// BenchmarkRepositories emits 10,000 repositories with every fact.
func BenchmarkRepositories(b *testing.B) {
	e, org := newTestEmitter(b)
	fill(org, 10_000, 0, 0)
	for id := range int64(10_000) {
		facts := sampleFacts()
		facts.Stars = activity.KnownNumber(uint64(id))
		describe(org, began, id+1, facts, activity.RepoCounts{Watchers: facts.Stars, Tags: facts.Stars})
	}
	b.ReportAllocs()
	for b.Loop() {
		points := 0
		for _, md := range e.buildRepositories(org, began) {
			points += md.DataPointCount()
		}
		b.ReportMetric(float64(points), "points")
	}
}
