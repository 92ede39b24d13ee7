// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// enableVCS switches all metrics vcs.* on, and those of facts off.
func enableVCS(s *Settings) {
	m := &s.Metrics.Metrics
	for _, enabled := range []*bool{
		&m.VcsRepositoryCount.Enabled, &m.VcsChangeCount.Enabled, &m.VcsContributorCount.Enabled,
		&m.VcsRefCount.Enabled, &m.VcsChangeDuration.Enabled, &m.VcsChangeTimeToApproval.Enabled,
		&m.VcsChangeTimeToMerge.Enabled, &m.VcsRefLinesDelta.Enabled,
		&m.VcsRefRevisionsDelta.Enabled, &m.VcsRefTime.Enabled,
	} {
		*enabled = true
	}
	s.VCS = VCSSettings{WebURL: "https://github.com", MaxRefs: 1000, MergedFor: 24 * time.Hour}
}

// vcsPoints returns the values of the metrics vcs.*, and the staleness markers, by metric and attributes.
func vcsPoints(tb testing.TB, chunks []pmetric.Metrics) (values map[string]float64, markers []string) {
	tb.Helper()
	values = make(map[string]float64)
	for _, md := range chunks {
		for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			if !strings.HasPrefix(m.Name(), "vcs.") {
				continue
			}
			for _, point := range points(m).All() {
				key := fmt.Sprint(m.Name(), point.Attributes().AsRaw())
				require.NotContains(tb, values, key)
				switch {
				case point.Flags().NoRecordedValue():
					markers = append(markers, key)
				case point.ValueType() == pmetric.NumberDataPointValueTypeDouble:
					values[key] = point.DoubleValue()
				default:
					values[key] = float64(point.IntValue())
				}
			}
		}
	}
	return values, markers
}

// observeChanges records pull requests and contributors of a repository.
func observeChanges(org *organization, at time.Time, repo int64, changes activity.Changes, contributors uint64) {
	org.View.Apply(ledger.Change{Entries: []ledger.Entry{
		{
			EntryKey: ledger.VCSKey(repo, ledger.VCSChanges), Observed: at,
			Data: ledger.EncodeVCSChanges(at.String(), &changes),
		},
		{
			EntryKey: ledger.VCSKey(repo, ledger.VCSContributors), Observed: at,
			Data: ledger.EncodeVCSContributors(at.String(), activity.KnownNumber(contributors)),
		},
	}})
}

func sampleChanges() activity.Changes {
	n := activity.KnownNumber
	return activity.Changes{
		Count: [activity.NumChangeStates]activity.Number{n(1), n(0), {}, n(2)},
		List: []activity.VCSChange{
			{
				Number: 1, State: activity.ChangeMerged, Head: "fix", Base: "main", Created: began.Add(-50 * time.Hour),
				Since: began.Add(-20 * time.Hour),
			},
			{
				Number: 2, State: activity.ChangeMerged, Head: "fix", Base: "main", Created: began.Add(-10 * time.Hour),
				Since: began.Add(-8 * time.Hour), Approved: began.Add(-9 * time.Hour),
			},
			{
				Number: 3, State: activity.ChangeOpen, Head: "fix", Base: "main", Created: began.Add(-3 * time.Hour),
				Since: began.Add(-2 * time.Hour), Added: n(7), Removed: n(0),
			},
			{
				Number: 4, State: activity.ChangeMerged, Head: "old", Base: "main", Created: began.Add(-90 * time.Hour),
				Since: began.Add(-70 * time.Hour),
			},
		},
	}
}

const vcsRepo = "vcs.owner.name:acme vcs.repository.name:repo-0 vcs.repository.url.full:https://github.com/acme/repo-0]"

// TestVCSMetrics checks each metric with its attributes: what is unknown is absent, of two pull requests of one branch
// the newest counts, and one that was merged long ago is not shown.
func TestVCSMetrics(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, enableVCS)
	fill(org, 1, 0, 0)
	facts := activity.RepoFacts{Visibility: "public"}
	describe(org, began, 1, facts, activity.RepoCounts{
		Branches: activity.KnownNumber(6), Tags: activity.KnownNumber(0),
	})
	observeChanges(org, began, 1, sampleChanges(), 9)
	org.View.Apply(ledger.Change{Entries: []ledger.Entry{{
		EntryKey: ledger.RepoTotalsKey(), Observed: began, Data: ledger.EncodeRepoTotals([]ledger.RepoTotal{
			{Visibility: "public", State: activity.RepoFork, Count: 1}, {Visibility: "private", Count: 4},
		}),
	}}})
	values, markers := vcsPoints(t, e.buildRepositories(org, began))
	require.Empty(t, markers)
	lines := " vcs.owner.name:acme vcs.ref.base.name:main vcs.ref.base.type:branch vcs.ref.head.name:fix " +
		"vcs.ref.head.type:branch " + strings.TrimPrefix(vcsRepo, "vcs.owner.name:acme ")
	branches := strings.Replace(withHead(vcsRepo), " vcs.ref.head", " vcs.ref.base.name:main vcs.ref.head", 1)
	require.Equal(t, map[string]float64{
		"vcs.repository.countmap[vcs.owner.name:acme]":                                5,
		"vcs.change.countmap[vcs.change.state:open " + vcsRepo:                        1,
		"vcs.change.countmap[vcs.change.state:wip " + vcsRepo:                         0,
		"vcs.change.countmap[vcs.change.state:merged " + vcsRepo:                      2,
		"vcs.contributor.countmap[" + vcsRepo:                                         9,
		"vcs.ref.countmap[" + withRefType(vcsRepo, "branch"):                          6,
		"vcs.ref.countmap[" + withRefType(vcsRepo, "tag"):                             0,
		"vcs.change.durationmap[vcs.change.state:open " + withHead(vcsRepo):           7200,
		"vcs.change.time_to_approvalmap[" + branches:                                  3600,
		"vcs.change.time_to_mergemap[" + branches:                                     7200,
		"vcs.ref.lines_deltamap[vcs.change.id:3 vcs.line_change.type:added" + lines:   7,
		"vcs.ref.lines_deltamap[vcs.change.id:3 vcs.line_change.type:removed" + lines: 0,
	}, values)
	later, _ := vcsPoints(t, e.buildRepositories(org, began.Add(time.Minute)))
	require.InDelta(t, 7260, later["vcs.change.durationmap[vcs.change.state:open "+withHead(vcsRepo)], 0,
		"it grows without a reading")
}

// withRefType and withHead insert an attribute into those of a repository, in their order.
func withRefType(attributes, typ string) string {
	return strings.Replace(attributes, " vcs.repository.name", " vcs.ref.type:"+typ+" vcs.repository.name", 1)
}

func withHead(attributes string) string {
	return strings.Replace(attributes, " vcs.repository.name", " vcs.ref.head.name:fix vcs.repository.name", 1)
}

// TestVCSEnds checks the staleness markers of a branch whose pull request was closed, and of a repository whose pull
// requests were switched off.
func TestVCSEnds(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, enableVCS)
	fill(org, 1, 0, 0)
	observeChanges(org, began, 1, sampleChanges(), 9)
	emit := func() (map[string]float64, []string) {
		values, markers := vcsPoints(t, e.buildRepositories(org, began))
		org.repos.recordAccepted()
		return values, markers
	}
	values, markers := emit()
	require.NotEmpty(t, values)
	require.Empty(t, markers)
	closed := sampleChanges()
	closed.Count[activity.ChangeOpen], closed.List = activity.KnownNumber(0), closed.List[:2]
	observeChanges(org, began.Add(time.Second), 1, closed, 9)
	for range markerEmissions {
		_, markers = emit()
		require.Len(t, markers, 3, "the duration and the two numbers of lines: %v", markers)
	}
	values, markers = emit()
	require.Empty(t, markers)
	require.InDelta(t, 0, values["vcs.change.countmap[vcs.change.state:open "+vcsRepo], 0)

	org.View.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{{
		ID: 1, Signals: &activity.Signals{Disabled: activity.StreamsOf(activity.StreamPulls)}, Observed: began,
	}}}})
	values, markers = emit()
	require.Len(t, values, 1, "the contributors: %v", values)
	require.Len(t, markers, 5)
}

// TestVCSLimit checks that the branches of an organization are bounded, the same ones in each emission, and that the
// numbers are not.
func TestVCSLimit(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, enableVCS, func(s *Settings) { s.VCS.MaxRefs = 3 })
	fill(org, 5, 0, 0)
	for id := range int64(5) {
		observeChanges(org, began, id+1, sampleChanges(), 1)
	}
	durations := func() map[string]bool {
		values, markers := vcsPoints(t, e.buildRepositories(org, began))
		require.Empty(t, markers)
		shown, counts := make(map[string]bool), 0
		for key := range values {
			if strings.HasPrefix(key, "vcs.change.duration") {
				shown[key] = true
			}
			if strings.HasPrefix(key, "vcs.change.count") {
				counts++
			}
		}
		require.Equal(t, 15, counts)
		return shown
	}
	first := durations()
	require.Len(t, first, 1, "the three pull requests of the newest repository")
	for range 5 {
		require.Equal(t, first, durations())
	}
	require.True(t, org.isCut)
}

// observeBranches records the branches of a repository.
func observeBranches(org *organization, at time.Time, repo int64, list ...activity.VCSBranch) {
	branches := activity.Branches{Trunk: "main", List: list}
	org.View.Apply(ledger.Change{Entries: []ledger.Entry{{
		EntryKey: ledger.VCSKey(repo, ledger.VCSBranches), Observed: at,
		Data: ledger.EncodeVCSBranches(at.String(), &branches),
	}}})
}

// TestVCSBranches checks that a branch has both numbers and its age, one that is merged or equal no age, and one that
// cannot be compared nothing; that a branch that ends has staleness markers; and that they are bounded.
func TestVCSBranches(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t, enableVCS, func(s *Settings) { s.VCS.MaxRefs = 3 })
	fill(org, 2, 0, 0)
	n := activity.KnownNumber
	fix := activity.VCSBranch{Name: "fix", Ahead: n(2), Behind: n(7), First: began.Add(-time.Hour)}
	merged := activity.VCSBranch{Name: "merged", Ahead: n(0), Behind: n(1)}
	observeBranches(org, began, 1, fix, merged, activity.VCSBranch{Name: "orphan"})
	emit := func() (map[string]float64, []string) {
		values, markers := vcsPoints(t, e.buildRepositories(org, began))
		org.repos.recordAccepted()
		return values, markers
	}
	delta := func(branch, direction string) string {
		return fmt.Sprintf("vcs.ref.revisions_deltamap[vcs.owner.name:acme vcs.ref.base.name:main "+
			"vcs.ref.base.type:branch vcs.ref.head.name:%s vcs.ref.head.type:branch %s "+
			"vcs.revision_delta.direction:%s]",
			branch, strings.TrimSuffix(strings.TrimPrefix(vcsRepo, "vcs.owner.name:acme "), "]"), direction)
	}
	values, markers := emit()
	require.Empty(t, markers)
	require.Equal(t, map[string]float64{
		delta("fix", "ahead"): 2, delta("fix", "behind"): 7, delta("merged", "ahead"): 0, delta("merged", "behind"): 1,
		strings.Replace("vcs.ref.timemap["+withHead(vcsRepo), " vcs.repository.name",
			" vcs.ref.head.type:branch vcs.repository.name", 1): 3600,
	}, values)
	require.False(t, org.isCut)

	observePulls := func(at time.Time, changes ...activity.VCSChange) {
		org.View.Apply(ledger.Change{Entries: []ledger.Entry{{
			EntryKey: ledger.VCSKey(1, ledger.VCSChanges), Observed: at,
			Data: ledger.EncodeVCSChanges("", &activity.Changes{List: changes}),
		}}})
	}
	pull := activity.VCSChange{Number: 5, Head: "fix", Base: "main"}
	other, fork, done := pull, pull, pull
	other.Number, other.Base = 6, "next"
	fork.Number, fork.IsFork = 7, true
	done.Number, done.State = 8, activity.ChangeMerged
	observePulls(began, pull, other, fork, done)
	withID, markers := emit()
	require.InDelta(t, 2, withID[strings.Replace(delta("fix", "ahead"), "map[", "map[vcs.change.id:5 ", 1)], 0)
	require.Contains(t, withID, delta("merged", "ahead"))
	require.Contains(t, markers, delta("fix", "ahead"), "the series without the number ends")
	observePulls(began.Add(time.Second))
	for range markerEmissions {
		values, markers = emit()
		require.InDelta(t, 2, values[delta("fix", "ahead")], 0)
		require.Len(t, markers, 2, "those with the number: %v", markers)
	}

	observeBranches(org, began.Add(time.Second), 1, merged)
	_, markers = emit()
	require.Len(t, markers, 3, "%v", markers)
	observeBranches(org, began.Add(time.Second), 2, fix, merged)
	values, _ = emit()
	require.Len(t, values, 7, "five of the newer repository, two of the other")
	observeBranches(org, began.Add(2*time.Second), 2, fix, merged, activity.VCSBranch{Name: "new", Ahead: n(1)})
	values, _ = emit()
	require.NotContains(t, values, delta("merged", "ahead"), "those of the newest repository")
	require.True(t, org.isCut)
}

// TestVCSOff checks that nothing is emitted of them by default.
func TestVCSOff(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 1, 0, 0)
	observeChanges(org, began, 1, sampleChanges(), 9)
	values, _ := vcsPoints(t, e.buildRepositories(org, began))
	require.Empty(t, values)
}
