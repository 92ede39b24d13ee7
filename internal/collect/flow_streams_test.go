// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const issueEventsRoute = "/repos/{owner}/{repo}/issues/{issue_number}/events"

// disableFlow disables the streams of flow by the settings.
func disableFlow(s *Settings) { s.DisabledStreams = activity.FlowStreams }

// setDisabled makes another collector on the same store, as a restart with other settings does.
func (b *bench) setDisabled(streams activity.Streams) {
	settings := b.collector.settings
	settings.DisabledStreams = streams
	b.collector = New(settings, &Tallies{})
}

// isFlowRequest selects the requests that flow alone needs.
func isFlowRequest(r githubtest.RequestInfo) bool {
	wanted, _ := r.Variables["pullFlow"].(bool)
	return wanted || r.Route == issueEventsRoute || r.Route == "/repos/{owner}/{repo}/pulls/{pull_number}"
}

// TestFlowSwitchedOff: without flow nothing is requested for it and no gap is left; switched on again, what happened
// meanwhile is read, and nothing twice.
func TestFlowSwitchedOff(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Settings){"backfill": enableBackfill, "alone": func(*Settings) {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			eachAPI(t, func(t *testing.T, api github.API) {
				data := newDataset("one")
				merged := noon.Add(-2 * time.Hour)
				addPull(data, "one", 1, noon.Add(-3*time.Hour), &merged)
				b := newBench(t, api, data, change)
				b.pass()
				b.fillGaps()
				require.Equal(t, 1, b.merged())

				b.setDisabled(activity.FlowStreams)
				b.server.ResetRequests()
				for n := range 3 {
					b.clock.Advance(interval)
					at := b.clock.Now().Add(-time.Minute)
					b.server.Update(func(d *githubtest.Dataset) { addPull(d, "one", 2+n, at.Add(-time.Minute), &at) })
					require.Equal(t, PassSuccess, b.pass().Status)
					b.requireNoGaps()
				}
				require.Zero(t, b.server.CountRequests(isFlowRequest))
				require.Equal(t, 1, b.merged())
				require.Equal(t, uint64(4), b.metrics().total("one", activity.KindPullRequestMerged))
				require.Equal(t, activity.FlowStreams, b.coverage().Repos[b.repoID("one")].Signals.Disabled)

				b.setDisabled(0)
				for range 3 {
					b.clock.Advance(interval)
					require.Equal(t, PassSuccess, b.pass().Status)
					b.fillGaps()
				}
				b.requireNoGaps()
				require.Equal(t, 4, b.merged())
				require.Zero(t, b.coverage().Repos[b.repoID("one")].Signals.Disabled)
			})
		})
	}
}

// merged returns how many merged pull requests the histogram of the repository has.
func (b *bench) merged() int {
	b.t.Helper()
	specs := ledger.HistogramSpecs()
	for i, h := range b.newView().Histograms(b.repoID("one"), b.clock.Now()) {
		if specs[i].Kind == activity.KindMergeTime {
			return int(h.Count())
		}
	}
	return 0
}

// TestFeaturesOffWithoutFlow: what was read of pull requests before they were switched off is known apart from since
// when their flow is off.
func TestFeaturesOffWithoutFlow(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	merged := noon.Add(-2 * time.Hour)
	addPull(data, "one", 1, noon.Add(-3*time.Hour), &merged)
	b := newBench(t, github.APIGraphQL, data, disableFlow)
	b.pass()
	b.fillGaps()
	for range 3 {
		b.clock.Advance(interval)
		b.pass()
	}
	edge := b.coverage().Edge
	b.disableFeatures("one")
	b.clock.Advance(interval)
	b.pass()
	off := b.coverage().Repos[b.repoID("one")]
	require.Equal(t, edge, off.Signals.DisabledSince)
	require.Empty(t, off.Missing[activity.StreamPulls])
	require.NotEmpty(t, off.Missing[activity.StreamPullFlow])
	b.requireNoGaps()

	b.enableFeatures("one")
	b.setDisabled(0)
	for range 3 {
		b.clock.Advance(interval)
		b.pass()
		b.fillGaps()
	}
	b.requireNoGaps()
	require.Equal(t, 1, b.merged())
}

// TestFlowOfAnEarlierLedger: the streams of flow, which a ledger does not have, are gaps until they are read, beside
// pull requests that were read before.
func TestFlowOfAnEarlierLedger(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		merged := noon.Add(-50 * time.Hour)
		addPull(data, "one", 1, noon.Add(-60*time.Hour), &merged)
		for i := range 20 { // more than a page of GraphQL
			at := noon.Add(-time.Duration(i+1) * time.Hour)
			addPull(data, "one", 2+i, at.Add(-time.Minute), &at)
		}
		b := newBench(t, api, data, enableBackfill)
		b.recordWithoutFlow()
		require.Equal(t, PassSuccess, b.pass().Status)
		require.NotEmpty(t, b.coverage().Repos[b.repoID("one")].Gaps(activity.StreamPullFlow), "before the last 24 h")
		require.Empty(t, b.coverage().Repos[b.repoID("one")].Gaps(activity.StreamPulls))
		b.fillGaps()
		b.requireNoGaps()
		require.Equal(t, 21, b.merged())
	})
}

// TestForbiddenFlow: flow that is forbidden is a gap of its own, the pull requests go on, and it is read when it is
// allowed again.
func TestForbiddenFlow(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	merged := noon.Add(-2 * time.Hour)
	addPull(data, "one", 1, noon.Add(-3*time.Hour), &merged)
	b := newBench(t, github.APIREST, data, enableBackfill)
	refused := b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Route: issueEventsRoute}, Effect: githubtest.Status(403),
	})
	result := b.pass()
	require.Equal(t, PassPartial, result.Status)
	require.Len(t, result.Failures, 1)
	require.Equal(t, activity.StreamPullFlow, result.Failures[0].Stream)
	require.Zero(t, b.merged())
	b.clock.Advance(interval)
	b.pass()
	require.Equal(t, uint64(1), b.metrics().total("one", activity.KindPullRequestMerged))
	cov := b.coverage()
	for _, gap := range cov.Gaps() {
		require.Equal(t, activity.StreamPullFlow, gap.Stream)
	}
	refused.Disarm()
	b.clock.Advance(interval)
	b.pass()
	b.fillGaps()
	b.requireNoGaps()
	require.Equal(t, 1, b.merged())
}

// recordWithoutFlow records the repositories as a version without flow has them.
func (b *bench) recordWithoutFlow() {
	b.t.Helper()
	const streams = activity.EveryStream &^ activity.FlowStreams
	err := b.collector.settings.Source.Discover(b.t.Context(), org, func(page []activity.Repository) error {
		progress := ledger.Progress{Edge: noon.Add(-time.Minute)}
		for i := range page {
			signals := page[i].Signals
			signals.Streams, signals.HeadReadAt = signals.Streams&streams, noon.Add(-time.Minute)
			progress.Repos = append(progress.Repos, ledger.RepoProgress{
				ID: page[i].ID, Name: page[i].Name, FirstSeen: noon.AddDate(0, 0, -3), Since: noon.AddDate(0, 0, -17),
				Streams: streams, Signals: &signals, Observed: noon.Add(-time.Minute),
			})
		}
		_, err := b.store.Commit(b.t.Context(), 0, ledger.Batch{Org: org, Observed: noon, Progress: progress})
		return err
	})
	require.NoError(b.t, err)
}
