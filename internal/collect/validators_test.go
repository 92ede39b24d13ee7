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

// passCost makes a pass and returns the points of the primary limit that it used, and the number of its commits to the
// store.
func (b *bench) passCost() (points, commits int) {
	b.t.Helper()
	b.server.ResetRequests()
	before := b.store.commits
	b.clock.Advance(interval)
	require.Equal(b.t, PassSuccess, b.pass().Status)
	return b.server.PointsSpent(githubtest.ResourceCore), b.store.commits - before
}

// newConditionalBench returns a bench that has read an organization with an event in every stream, with REST alone.
func newConditionalBench(t *testing.T, change ...func(*Settings)) *bench {
	t.Helper()
	data := newDataset("one", "two", "three")
	for i, repo := range data.Repos {
		at := noon.Add(-time.Hour)
		addCommit(data, repo.Name, at)
		addPull(data, repo.Name, i+1, at, &at)
		addComment(data, repo.Name, i+1, at)
	}
	b := newBench(t, github.APIREST, data, change...)
	b.pass()
	b.fillGaps()
	b.clock.Advance(interval)
	b.pass() // pushed an hour ago: settled from now on
	return b
}

// TestIdlePassWithRESTCostsTheListing: an idle pass with REST costs points for the listing only, and is one small
// write.
func TestIdlePassWithRESTCostsTheListing(t *testing.T) {
	t.Parallel()
	b := newConditionalBench(t)
	points, commits := b.passCost()
	require.Equal(t, 1, points, "the listing of the repositories")
	require.Equal(t, 1, commits, "the edge")
	require.Equal(
		t, 4*3,
		b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Status == http.StatusNotModified }),
	)
	b.clock.Advance(interval)
	require.Zero(t, b.pass().Changed, "nothing had changed")
}

// TestChangesAreFoundWithConditionalRequests: a change is found in each stream, and costs points once.
func TestChangesAreFoundWithConditionalRequests(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(d *githubtest.Dataset, at time.Time){
		"a comment":      func(d *githubtest.Dataset, at time.Time) { addComment(d, "two", 2, at) },
		"a pull request": func(d *githubtest.Dataset, at time.Time) { addPull(d, "two", 9, at, nil) },
		"a review":       func(d *githubtest.Dataset, at time.Time) { addReview(d, "two", 2, at) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newConditionalBench(t)
			var data *githubtest.Dataset
			b.server.Update(func(d *githubtest.Dataset) { happens(d, b.clock.Now().Add(time.Minute)); data = d })
			points, _ := b.passCost()
			require.LessOrEqual(t, points, 5)
			requireAllRecorded(t, b, data)
			points, commits := b.passCost()
			require.Equal(t, []int{1, 1}, []int{points, commits})
		})
	}
}

// TestFurtherPagesOfConditionalRequests: neither a page that is nearly full nor one that has a further page hides the
// events of the next page.
func TestFurtherPagesOfConditionalRequests(t *testing.T) {
	t.Parallel()
	b := newConditionalBench(t)
	var data *githubtest.Dataset
	for _, many := range []int{1, 48, 2, 49, 50, 51, 99, 100, 101, 1, 250, 1} {
		b.server.Update(func(d *githubtest.Dataset) {
			for range many {
				addComment(d, "two", 2, b.clock.Now().Add(time.Minute))
			}
			data = d
		})
		b.passCost()
		requireAllRecorded(t, b, data)
	}
}

// TestNoConditionAfterAFailedReading: what a reading has seen and not recorded is requested without a condition.
func TestNoConditionAfterAFailedReading(t *testing.T) {
	t.Parallel()
	for _, handover := range []bool{false, true} {
		b := newConditionalBench(t, func(s *Settings) { s.BackfillEnabled = handover })
		var data *githubtest.Dataset
		b.server.Update(func(d *githubtest.Dataset) {
			at := b.clock.Now().Add(time.Minute)
			addReview(d, "two", 2, at)
			addComment(d, "two", 2, at)
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
		b.fillGaps()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
		requireAllRecorded(t, b, data)
	}
}

// eventRefusingStore is a store that fails batches with events.
type eventRefusingStore struct{ *countingStore }

func (r eventRefusingStore) Commit(ctx context.Context, fence uint64, batch ledger.Batch) (ledger.Receipt, error) {
	if len(batch.Events)+len(batch.Entries) > 0 {
		return ledger.Receipt{}, ledger.ErrFenced
	}
	return r.countingStore.Commit(ctx, fence, batch)
}

// TestNoConditionAfterAFailedCommit: a validator is recorded together with its events or not at all.
func TestNoConditionAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	b := newConditionalBench(t)
	var data *githubtest.Dataset
	b.server.Update(func(d *githubtest.Dataset) { addComment(d, "two", 2, b.clock.Now().Add(time.Minute)); data = d })
	b.clock.Advance(interval)
	b.collector.settings.Store = eventRefusingStore{b.store}
	_, err := b.collector.Pass(t.Context(), 1)
	require.Error(t, err)
	b.collector.settings.Store = b.store
	b.passCost()
	requireAllRecorded(t, b, data)
}

// TestConditionsAfterAChangeOfLeader: another leader continues with the validators that the store has.
func TestConditionsAfterAChangeOfLeader(t *testing.T) {
	t.Parallel()
	b := newConditionalBench(t)
	b.collector = New(b.collector.settings, b.tallies)
	points, _ := b.passCost()
	require.Equal(t, 1, points)
}

// TestAnotherTokenMakesOneFullRequest: with another token, whose responses have other validators, everything is
// requested once without a condition.
func TestAnotherTokenMakesOneFullRequest(t *testing.T) {
	t.Parallel()
	b := newConditionalBench(t)
	b.collector.settings.Source = b.newClient(github.APIREST, "another")
	points, _ := b.passCost()
	require.Equal(t, 1+4*3, points)
	points, _ = b.passCost()
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
