// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/memqueue"
)

var retryPolicy = backfill.RetryPolicy{
	Delays:      []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute},
	MaxAttempts: 5,
}

// scriptedReader reads as its test scripts it.
type scriptedReader struct {
	read    func(ctx context.Context, job backfill.Job) (bool, error)
	results []backfill.Result
	jobs    []backfill.Job
}

func (r *scriptedReader) Read(ctx context.Context, job backfill.Job) (bool, error) {
	r.jobs = append(r.jobs, job)
	return r.read(ctx, job)
}

func (r *scriptedReader) RecordResult(_ context.Context, result backfill.Result) {
	r.results = append(r.results, result)
}

func newWorker(r *scriptedReader, claims backfill.Claims, now func() time.Time) *backfill.Worker {
	w := backfill.NewWorker(backfill.WorkerSettings{
		Claims:            claims,
		Retries:           retryPolicy,
		MaxAge:            24 * time.Hour,
		HeartbeatInterval: time.Minute,
		Now:               now,
		Logger:            zap.NewNop(),
	})
	w.AddReader("acme", "", r)
	return w
}

func TestWorker(t *testing.T) {
	failed := errors.New("502")
	for name, test := range map[string]struct {
		job     func(*backfill.Job)
		read    func(context.Context, backfill.Job) (bool, error)
		result  []backfill.Result
		outcome backfill.Outcome
		claim   string
	}{
		"read": {
			read:   func(context.Context, backfill.Job) (bool, error) { return true, nil },
			result: []backfill.Result{backfill.ResultProcessed}, outcome: backfill.Outcome{Kind: backfill.OutcomeDone},
		},
		"nothing missing": {
			read:   func(context.Context, backfill.Job) (bool, error) { return false, nil },
			result: []backfill.Result{backfill.ResultDuplicate}, outcome: backfill.Outcome{Kind: backfill.OutcomeDone},
		},
		"failed": {
			read:   func(context.Context, backfill.Job) (bool, error) { return true, failed },
			result: []backfill.Result{backfill.ResultFailed}, outcome: backfill.Outcome{
				Kind:    backfill.OutcomeRetry,
				Attempt: 2, Delay: time.Minute,
			}, claim: "open",
		},
		"failed often": {
			job:    func(j *backfill.Job) { j.Attempt = 4 },
			read:   func(context.Context, backfill.Job) (bool, error) { return true, failed },
			result: []backfill.Result{backfill.ResultFailed}, outcome: backfill.Outcome{
				Kind:    backfill.OutcomeRetry,
				Attempt: 5, Delay: 30 * time.Minute,
			}, claim: "open",
		},
		"failed for the last time": {
			job:     func(j *backfill.Job) { j.Attempt = 5 },
			read:    func(context.Context, backfill.Job) (bool, error) { return true, failed },
			result:  []backfill.Result{backfill.ResultFailed},
			outcome: backfill.Outcome{Kind: backfill.OutcomeDeadLetter}, claim: "dead",
		},
		"deferred": {
			job: func(j *backfill.Job) { j.Attempt = 5 },
			read: func(context.Context, backfill.Job) (bool, error) {
				return true, backfill.Defer(12*time.Minute, failed)
			},
			outcome: backfill.Outcome{Kind: backfill.OutcomeRetry, Attempt: 5, Delay: 5 * time.Minute}, claim: "open",
		},
		"deferred shortly": {
			read: func(context.Context, backfill.Job) (bool, error) {
				return true,
					backfill.Defer(time.Second, failed)
			},
			outcome: backfill.Outcome{Kind: backfill.OutcomeRetry, Attempt: 1, Delay: time.Minute}, claim: "open",
		},
		"discarded": {
			read:    func(context.Context, backfill.Job) (bool, error) { return false, backfill.Discard(failed) },
			result:  []backfill.Result{backfill.ResultDiscarded},
			outcome: backfill.Outcome{Kind: backfill.OutcomeDeadLetter}, claim: "dead",
		},
		"too old": {
			job:    func(j *backfill.Job) { j.CreatedAt = noon.Add(-25 * time.Hour) },
			result: []backfill.Result{backfill.ResultExpired}, outcome: backfill.Outcome{Kind: backfill.OutcomeDone},
		},
		"unknown organization": {
			job: func(j *backfill.Job) { j.Org = "other" }, outcome: backfill.Outcome{
				Kind:    backfill.OutcomeRetry,
				Attempt: 1, Returns: 1, Delay: time.Minute,
			},
		},
		"unknown organization, returned before": {
			job:     func(j *backfill.Job) { j.Org, j.Returns = "other", 7 },
			outcome: backfill.Outcome{Kind: backfill.OutcomeRetry, Attempt: 1, Returns: 8, Delay: 30 * time.Minute},
		},
		"unknown organization, after the last attempt": {
			job:     func(j *backfill.Job) { j.Org, j.Attempt = "other", 5 },
			outcome: backfill.Outcome{Kind: backfill.OutcomeRetry, Attempt: 5, Returns: 1, Delay: time.Minute},
		},
		"unknown organization, too often": {
			job:     func(j *backfill.Job) { j.Org, j.Returns = "other", backfill.MaxReturns },
			outcome: backfill.Outcome{Kind: backfill.OutcomeDeadLetter},
		},
		"unknown organization, too old": {
			job:     func(j *backfill.Job) { j.Org, j.CreatedAt = "other", noon.Add(-25*time.Hour) },
			outcome: backfill.Outcome{Kind: backfill.OutcomeDeadLetter},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := &scriptedReader{read: test.read}
			claims := &backfill.LocalClaims{}
			j := exampleJob()
			j.Attempt = 1
			if test.job != nil {
				test.job(&j)
			}
			err := newWorker(r, claims, func() time.Time { return noon }).Handle(t.Context(), j)
			require.Equal(t, test.outcome, retryPolicy.DecideOutcome(&j, err))
			require.Equal(t, test.result, r.results)
			left, listErr := claims.List(t.Context(), "acme")
			require.NoError(t, listErr)
			if test.claim == "" {
				require.Empty(t, left)
				return
			}
			require.Len(t, left, 1)
			require.Equal(t, test.claim == "dead", left[0].DeadLettered)
			require.True(t, left[0].DeadLettered || left[0].Retrying)
			require.Equal(t, noon, left[0].RefreshedAt)
		})
	}
}

// TestWorkerStopsWithContext: an interrupted job has no result.
func TestWorkerStopsWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r := &scriptedReader{read: func(ctx context.Context, _ backfill.Job) (bool, error) {
		cancel()
		return true, ctx.Err()
	}}
	err := newWorker(r, &backfill.LocalClaims{}, func() time.Time { return noon }).Handle(ctx, exampleJob())
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, r.results)
}

// TestWorkerHeartbeatAndRetries: the claim of a long job is refreshed, and a failing job has all its attempts with
// their delays.
func TestWorkerHeartbeatAndRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		claims := &backfill.LocalClaims{}
		var seen time.Time
		var tried []time.Duration
		r := &scriptedReader{}
		r.read = func(ctx context.Context, _ backfill.Job) (bool, error) {
			tried = append(tried, time.Since(began).Round(time.Minute))
			select {
			case <-ctx.Done():
				return true, ctx.Err()
			case <-time.After(10 * time.Minute):
			}
			list, err := claims.List(ctx, "acme")
			require.NoError(t, err)
			seen = list[0].RefreshedAt
			require.Less(t, time.Since(seen), 2*time.Minute)
			return true, errors.New("no")
		}
		q := memqueue.New(memqueue.Settings{Retries: retryPolicy, Consumers: 1})
		j := exampleJob()
		j.Attempt, j.CreatedAt = 1, began
		_, err := q.Publish(t.Context(), []backfill.Job{j})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- q.Consume(ctx, newWorker(r, claims, time.Now).Handle) }()
		time.Sleep(4 * time.Hour) //nolint:forbidigo // the clock is synctest's
		synctest.Wait()
		depth, err := q.Depth(t.Context())
		require.NoError(t, err)
		require.Equal(t, backfill.Depth{DeadLetters: 1, Consumers: 1}, depth)
		require.Equal(
			t,
			[]time.Duration{0, 11 * time.Minute, 26 * time.Minute, 66 * time.Minute, 106 * time.Minute},
			tried,
		)
		require.Len(t, r.results, 5)
		cancel()
		require.Error(t, <-done)
	})
}

func TestReturnDelaysOfTwoJobsDiffer(t *testing.T) {
	t.Parallel()
	unknownOrg := &backfill.UnknownOrgError{Org: "other"}
	for i := range 200 {
		differ := 0
		for returns := range backfill.MaxReturns {
			first := retryPolicy.DecideOutcome(
				&backfill.Job{ID: fmt.Sprint("a", i), Attempt: 1, Returns: returns},
				unknownOrg,
			)
			second := retryPolicy.DecideOutcome(
				&backfill.Job{ID: fmt.Sprint("b", i), Attempt: 1, Returns: returns},
				unknownOrg,
			)
			require.Contains(t, retryPolicy.Delays, first.Delay)
			if first.Delay != second.Delay {
				differ++
			}
		}
		require.GreaterOrEqual(t, differ, 3, "jobs %d that return together are delivered again at different times", i)
	}
}

// TestUnknownOrganization: its jobs return to the queue, and it is logged once, whatever the case of its name.
func TestUnknownOrganization(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	w := backfill.NewWorker(backfill.WorkerSettings{
		Claims: &backfill.LocalClaims{}, Retries: retryPolicy, MaxAge: time.Hour, HeartbeatInterval: time.Minute,
		Now: func() time.Time { return now }, Logger: zap.New(core),
	})
	read := func(context.Context, backfill.Job) (bool, error) { return true, nil }
	w.AddReader("Acme", "", &scriptedReader{read: read})
	require.NoError(t, w.Handle(t.Context(), backfill.Job{Org: "aCME", CreatedAt: now}))
	for _, org := range []string{"other", "OTHER", "other"} {
		err := w.Handle(t.Context(), backfill.Job{Org: org, CreatedAt: now})
		require.ErrorAs(t, err, new(*backfill.UnknownOrgError))
	}
	require.Equal(t, 1, logs.FilterMessageSnippet("Another deployment shares this queue").Len())
}
