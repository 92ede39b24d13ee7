// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// page is what a pipeline shows: values by metric, repository and user until a mark ends them. It can refuse.
type page struct {
	values map[string]int64
	marks  int // of the last emission that it took
	err    error
}

func (*page) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (p *page) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	if p.err != nil {
		return p.err
	}
	p.marks = 0
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			for _, point := range points(m).All() {
				repo, _ := point.Attributes().Get("repo")
				user, _ := point.Attributes().Get("user")
				key := fmt.Sprint(m.Name(), " ", repo.Str(), " ", user.Str())
				if point.Flags().NoRecordedValue() {
					p.marks++
					delete(p.values, key)
				} else {
					p.values[key] = point.IntValue()
				}
			}
		}
	}
	return nil
}

// emission is an emission of an organization into a page.
func emission(t *testing.T, change ...func(*Settings)) (*page, *Emitter, *organization) {
	t.Helper()
	e, org := newTestEmitter(t, change...)
	p := &page{values: make(map[string]int64)}
	e.settings.Next = p
	fill(org, 1, 2, 1)
	return p, e, org
}

func rename(org *organization, name string) {
	org.View.Apply(ledger.Change{Progress: ledger.Progress{Repos: []ledger.RepoProgress{{ID: 1, Name: name}}}})
}

func emitNow(t *testing.T, e *Emitter, org *organization) {
	t.Helper()
	at := pcommon.NewTimestampFromTime(began)
	e.emitOrganization(t.Context(), org, at, e.buildActivity(org, began))
}

// TestMarksAreRepeated: while the pipeline refuses, and for three emissions that it takes.
func TestMarksAreRepeated(t *testing.T) {
	t.Parallel()
	p, e, org := emission(t)
	emitNow(t, e, org)
	require.Len(t, p.values, 2*shownMetrics)
	p.err = errors.New("full")
	rename(org, "moved")
	for range 5 {
		emitNow(t, e, org)
	}
	p.err = nil
	for range markerEmissions {
		emitNow(t, e, org)
		require.Equal(t, 2*shownMetrics, p.marks)
		require.Len(t, p.values, 2*shownMetrics, "each repository counts once")
	}
	p.marks = 0
	emitNow(t, e, org)
	require.Zero(t, p.marks)
	require.Empty(t, org.ends.ended)
}

// TestMarksAreCancelled: a series that is back is not ended.
func TestMarksAreCancelled(t *testing.T) {
	t.Parallel()
	p, e, org := emission(t)
	emitNow(t, e, org)
	rename(org, "moved")
	emitNow(t, e, org)
	rename(org, "repo-0")
	for range markerEmissions + 1 {
		emitNow(t, e, org)
		require.Len(t, p.values, 2*shownMetrics)
		require.Contains(t, p.values, "gh.activity.commits repo-0 user-0")
	}
	require.Empty(t, org.ends.ended)
}

// TestMarksAreBounded.
func TestMarksAreBounded(t *testing.T) {
	t.Parallel()
	var e seriesEnds
	for i := range maxSeriesEnds + 10 {
		e.add(ledgerview.Series{Repo: "one", User: strconv.Itoa(i)}, ledgerview.MaskOf(0))
	}
	require.Len(t, e.ended, maxSeriesEnds)
}

// TestEndOfTerm: a replica that emits an organization no more marks nothing of it: another replica goes on with its
// series.
func TestEndOfTerm(t *testing.T) {
	t.Parallel()
	p, e, org := emission(t)
	emitNow(t, e, org)
	require.Len(t, p.values, 2*shownMetrics)
	p.err = errors.New("full")
	rename(org, "other")
	emitNow(t, e, org)
	require.NotEmpty(t, org.ends.ended)
	p.err, p.marks = nil, 0
	e.countSeries(org, began)
	require.Empty(t, org.ends.ended)
	require.Zero(t, p.marks)
	emitNow(t, e, org)
	require.Contains(t, p.values, "gh.activity.commits other user-0")
}

// TestStartIsNeverLater than the point: a clock may be behind the one of who met the repository.
func TestStartIsNeverLater(t *testing.T) {
	t.Parallel()
	e, org := newTestEmitter(t)
	fill(org, 1, 1, 1)
	at := began.AddDate(0, 0, -14).Add(-time.Hour)
	s := &pointSink{templates: e.templates, org: org.Org, ends: &org.ends, at: pcommon.NewTimestampFromTime(at)}
	s.Emit(ledgerview.Series{Repo: "one", User: "ada"}, &ledgerview.Values{
		Present:   ledgerview.MaskOf(ledgerview.MetricTotal),
		StartTime: began.Unix(),
	})
	point := points(s.chunks()[0].ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)).At(0)
	require.Equal(t, point.Timestamp(), point.StartTimestamp())
}
