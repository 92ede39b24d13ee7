// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestUnavailableRepositoryBacksOff: a repository for which GitHub gives no usable response is requested in the next
// pass, then ever more rarely and with minimal readings, while the others are read; it is complete after the fault has
// ended.
func TestUnavailableRepositoryBacksOff(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two", "three")
		b := newBench(t, api, data, func(s *Settings) { s.Interval = interval })
		b.pass()
		of := func(repo string) func(githubtest.RequestInfo) bool {
			return func(r githubtest.RequestInfo) bool { return r.Repo == repo && r.Operation != "Activities" }
		}
		fault := b.server.InjectFault(
			githubtest.Fault{Match: githubtest.Match{Repo: "one"}, Effect: githubtest.Status(503)},
		)
		var requests []int
		for n := range 24 { // two hours
			b.clock.Advance(interval)
			at := b.clock.Now().Add(-time.Minute)
			b.server.Update(func(d *githubtest.Dataset) {
				for _, repo := range []string{"one", "two", "three"} {
					addComment(d, repo, 100*n+len(d.Comments)+1, at)
				}
			})
			b.server.ResetRequests()
			require.Equal(t, PassPartial, b.pass().Status, "also while it is not requested")
			requests = append(requests, b.server.CountRequests(of("one")))
			require.Equal(t, uint64(n+1), b.metrics().total("two", activity.KindIssueComment))
		}
		passes := 0
		for _, n := range requests {
			passes += min(n, 1)
		}
		require.Positive(t, requests[1], "the next pass requests it again")
		require.Less(t, requests[1], requests[0], "and briefly")
		require.GreaterOrEqual(t, passes, 6)
		require.LessOrEqual(t, passes, 10, "after 5, 10, 20 and each 30 minutes: %v", requests)
		b.server.ResetRequests()
		filled, err := b.collector.Fill(
			t.Context(),
			FillRequest{
				Scope: activity.Scope{
					Repo: "one", Streams: activity.EveryStream,
					Window: activity.Window{Start: noon, End: b.clock.Now()},
				},
			},
		)
		require.NoError(t, err)
		require.NotEmpty(t, filled.Failures)
		require.True(t, filled.NotBefore.After(b.clock.Now()), "its jobs wait, too")
		require.Empty(t, b.server.Requests())
		fault.Disarm()
		for range 6 {
			b.clock.Advance(interval)
			b.pass()
		}
		require.Equal(t, uint64(24), b.metrics().total("one", activity.KindIssueComment))
	})
}

// TestNoBackoffWhenEveryRepositoryIsUnavailable: when GitHub gives no usable response for any repository, all are
// requested again in the next pass.
func TestNoBackoffWhenEveryRepositoryIsUnavailable(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, newDataset("one", "two"), func(s *Settings) { s.Interval = interval })
	b.pass()
	fault := b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Func: func(r githubtest.RequestInfo) bool { return r.Repo != "" }},
		Effect: githubtest.Status(503),
	})
	for n := range 12 {
		b.clock.Advance(interval)
		at := b.clock.Now().Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			for _, repo := range []string{"one", "two"} {
				addComment(d, repo, 100*n+len(d.Comments)+1, at)
			}
		})
		b.pass()
	}
	fault.Disarm()
	b.clock.Advance(interval)
	require.Equal(t, PassSuccess, b.pass().Status)
	require.Equal(t, uint64(12), b.metrics().total("two", activity.KindIssueComment))
}

// TestStreamBackoffs: the first failure in a row defers nothing; further ones defer ever longer, by their kind.
func TestStreamBackoffs(t *testing.T) {
	t.Parallel()
	r := newStreamBackoffs(firstRefusedDelay, maxRefusedDelay, interval)
	err := &transport.UnavailableError{Err: errors.New("broken")}
	require.False(t, r.isUnavailable(1))
	var waits []time.Duration
	for range 6 {
		r.recordUnavailable(1, activity.StreamPulls, err, noon)
		until, _ := r.deferredUntil(1, activity.StreamPulls, noon)
		waits = append(waits, max(0, until.Sub(noon)))
	}
	require.True(t, r.isUnavailable(1))
	require.Equal(
		t,
		[]time.Duration{0, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, 30 * time.Minute},
		waits,
	)
	r.recordRefused(1, activity.StreamPulls, &transport.NotFoundError{}, noon)
	require.NoError(
		t, r.deferralOf(1, activity.StreamPulls, noon),
		"a refusal is another kind of failure: the first defers nothing",
	)
	r.recordRefused(1, activity.StreamPulls, &transport.NotFoundError{}, noon)
	require.Error(t, r.deferralOf(1, activity.StreamPulls, noon.Add(firstRefusedDelay-time.Second)))
	require.NoError(t, r.deferralOf(1, activity.StreamPulls, noon.Add(firstRefusedDelay)))
}
