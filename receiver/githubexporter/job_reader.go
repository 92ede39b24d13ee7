// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

const (
	// storeRetryDelay is the deferral of a job after an error of the store, credentialRetryDelay that after GitHub
	// refused the credential.
	storeRetryDelay      = 30 * time.Second
	credentialRetryDelay = 5 * time.Minute
)

// jobReader reads the windows of an organization's backfill jobs, on whichever replica consumes them. It is safe for
// concurrent use.
type jobReader struct {
	collector *collect.Collector
	cooldown  *health.Cooldown
	tallies   *collect.Tallies
	logger    *zap.Logger
}

// Read implements backfill.Reader.
func (r *jobReader) Read(ctx context.Context, job backfill.Job) (missing bool, err error) {
	if err := deferWhileCooling(r.cooldown.Err()); err != nil {
		return false, err
	}
	result, err := r.collector.Fill(ctx, collect.FillRequest{
		Scope: activity.Scope{RepoID: job.RepoID, Repo: job.Repo, Streams: job.Streams, Window: job.Window},
		Force: job.Reason == backfill.ReasonOperator, Priority: budget.Background,
	})
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case errors.Is(err, collect.ErrUnknownRepository):
		return false, backfill.Discard(err)
	case err != nil:
		return false, backfill.Defer(storeRetryDelay, err)
	}
	return result.Streams != 0, r.jobError(&result)
}

// jobError returns the outcome of a job for the streams that could not be read: nil when there are none. A limit, a
// cooldown or a refused credential defers the job, which costs it no attempt.
func (r *jobReader) jobError(result *collect.FillResult) error {
	var errs []error
	for _, f := range result.Failures {
		errs = append(errs, fmt.Errorf("%s: %w", f.Stream, f.Err))
	}
	err := errors.Join(errs...)
	if at := result.RetryAt(); !at.IsZero() {
		return backfill.Defer(time.Until(at), err)
	}
	if cooling := deferWhileCooling(err); cooling != nil {
		return cooling
	}
	if !result.NotBefore.IsZero() {
		return backfill.Defer(time.Until(result.NotBefore), err)
	}
	if credential := (*transport.CredentialError)(nil); errors.As(err, &credential) {
		return backfill.Defer(credentialRetryDelay, err)
	}
	return err
}

// deferWhileCooling returns the deferral of a job whose error is a cooldown, until that ends; nil for any other error.
func deferWhileCooling(err error) error {
	if cooling := (*health.CooldownError)(nil); errors.As(err, &cooling) {
		return backfill.Defer(time.Until(cooling.Until), err)
	}
	return nil
}

// RecordResult implements backfill.Reader.
func (r *jobReader) RecordResult(ctx context.Context, result backfill.Result) {
	r.tallies.Add(collect.TallyJobs, string(result))
	if err := r.collector.Flush(ctx); err != nil && ctx.Err() == nil {
		r.logger.Debug("Failed to flush counters; will retry with the next commit.", zap.Error(err))
	}
}
