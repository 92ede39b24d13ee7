// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// spent makes a pass and gives what it cost of the primary limit, and how many commits it took.
func (b *bench) spent() (points, commits int) {
	b.t.Helper()
	b.server.ResetRequests()
	before := b.store.commits
	b.clock.Advance(interval)
	require.Equal(b.t, PassSuccess, b.pass().Status)
	return b.server.PointsSpent(githubtest.ResourceCore), b.store.commits - before
}

// conditionalBench has read an organization with something in every stream, with REST alone.
func conditionalBench(t *testing.T, change ...func(*Settings)) *bench {
	t.Helper()
	data := dataset("one", "two", "three")
	for i, repo := range data.Repos {
		at := noon.Add(-time.Hour)
		commit(data, repo.Name, at)
		pull(data, repo.Name, i+1, at, &at)
		comment(data, repo.Name, i+1, at)
	}
	b := newBench(t, github.APIREST, data, change...)
	b.pass()
	b.fill()
	b.clock.Advance(interval)
	b.pass() // pushed an hour ago: settled from now on
	return b
}

// TestAnIdlePassOfRESTIsFree but for the listing, and it is one small write.
func TestAnIdlePassOfRESTIsFree(t *testing.T) {
	t.Parallel()
	b := conditionalBench(t)
	points, commits := b.spent()
	require.Equal(t, 1, points, "the listing of the repositories")
	require.Equal(t, 1, commits, "the edge")
	require.Equal(
		t, 3*3, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Status == http.StatusNotModified }),
	)
	b.clock.Advance(interval)
	require.Zero(t, b.pass().Changed, "what was asked for had not changed")
}

// TestWhatChangedIsFoundUnderACondition, stream by stream, and is paid for once.
func TestWhatChangedIsFoundUnderACondition(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(d *githubtest.Dataset, at time.Time){
		"a comment":      func(d *githubtest.Dataset, at time.Time) { comment(d, "two", 2, at) },
		"a pull request": func(d *githubtest.Dataset, at time.Time) { pull(d, "two", 9, at, nil) },
		"a review":       func(d *githubtest.Dataset, at time.Time) { review(d, "two", 2, at) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := conditionalBench(t)
			var data *githubtest.Dataset
			b.server.Update(func(d *githubtest.Dataset) { happens(d, b.clock.Now().Add(time.Minute)); data = d })
			points, _ := b.spent()
			require.LessOrEqual(t, points, 5)
			requireAllRecorded(t, b, data)
			points, commits := b.spent()
			require.Equal(t, []int{1, 1}, []int{points, commits})
		})
	}
}

// TestManyCommentsUnderACondition: neither a page that is nearly full nor one that has another behind it hides what
// comes on the next.
func TestManyCommentsUnderACondition(t *testing.T) {
	t.Parallel()
	b := conditionalBench(t)
	var data *githubtest.Dataset
	for _, many := range []int{1, 48, 2, 49, 50, 51, 99, 100, 101, 1, 250, 1} {
		b.server.Update(func(d *githubtest.Dataset) {
			for range many {
				comment(d, "two", 2, b.clock.Now().Add(time.Minute))
			}
			data = d
		})
		b.spent()
		requireAllRecorded(t, b, data)
	}
}

// TestNoConditionWithoutTheEvents: what a reading has seen and not recorded is asked for in full.
func TestNoConditionWithoutTheEvents(t *testing.T) {
	t.Parallel()
	for _, handover := range []bool{false, true} {
		b := conditionalBench(t, func(s *Settings) { s.BackfillEnabled = handover })
		var data *githubtest.Dataset
		b.server.Update(func(d *githubtest.Dataset) {
			at := b.clock.Now().Add(time.Minute)
			review(d, "two", 2, at)
			comment(d, "two", 2, at)
			data = d
		})
		b.server.InjectFault(
			githubtest.Fault{
				Match:  githubtest.Match{Route: "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"},
				Effect: githubtest.Status(503),
			},
		)
		b.clock.Advance(interval)
		require.Equal(t, PassPartial, b.pass().Status)
		b.server.ClearFaults()
		b.clock.Advance(interval)
		b.pass()
		b.fill()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
		requireAllRecorded(t, b, data)
	}
}

// refusing is a store that takes no events.
type refusing struct{ *recorded }

func (r refusing) Commit(ctx context.Context, fence uint64, batch ledger.Batch) (ledger.Receipt, error) {
	if len(batch.Events)+len(batch.Entries) > 0 {
		return ledger.Receipt{}, ledger.ErrFenced
	}
	return r.recorded.Commit(ctx, fence, batch)
}

// TestNoConditionWithoutTheCommit: a validator is recorded with its events or not at all.
func TestNoConditionWithoutTheCommit(t *testing.T) {
	t.Parallel()
	b := conditionalBench(t)
	var data *githubtest.Dataset
	b.server.Update(func(d *githubtest.Dataset) { comment(d, "two", 2, b.clock.Now().Add(time.Minute)); data = d })
	b.clock.Advance(interval)
	b.collector.settings.Store = refusing{b.store}
	_, err := b.collector.Pass(t.Context(), 1)
	require.Error(t, err)
	b.collector.settings.Store = b.store
	b.spent()
	requireAllRecorded(t, b, data)
}

// TestConditionsOutliveTheLeader: another one goes on with what the store holds.
func TestConditionsOutliveTheLeader(t *testing.T) {
	t.Parallel()
	b := conditionalBench(t)
	b.collector = New(b.collector.settings, b.tallies)
	points, _ := b.spent()
	require.Equal(t, 1, points)
}

// TestAnotherTokenVoidsConditions, once, and changes nothing else.
func TestAnotherTokenVoidsConditions(t *testing.T) {
	t.Parallel()
	b := conditionalBench(t)
	b.collector.settings.Source = b.client(github.APIREST, "another")
	points, _ := b.spent()
	require.Equal(t, 1+3*3, points)
	points, _ = b.spent()
	require.Equal(t, 1, points)
}

func TestValidatorCodec(t *testing.T) {
	t.Parallel()
	for _, v := range []github.Validator{{ETag: `W/"a b"`}, {ETag: `"x"`, Since: noon}} {
		require.Equal(t, v, decodeValidator(encodeValidator(v)))
	}
	for _, data := range []string{"", "1", "x \"e\"", "1 \n", "99999999999999999999 \"e\""} {
		require.Zero(t, decodeValidator([]byte(data)), "%q", data)
	}
}

func FuzzDecodeValidator(f *testing.F) {
	f.Add(encodeValidator(github.Validator{ETag: `W/"a"`, Since: noon}))
	f.Fuzz(func(t *testing.T, data []byte) {
		v := decodeValidator(data)
		require.True(t, activity.IsPrintable(v.ETag))
		if v.ETag != "" && !v.Since.IsZero() {
			require.Equal(t, v, decodeValidator(encodeValidator(v)))
		}
	})
}
