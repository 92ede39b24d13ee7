// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Result is the end of a job. Its text is a label of a metric.
type Result string

// The results. A job that was deferred has none.
const (
	ResultProcessed Result = "processed"
	ResultDuplicate Result = "duplicate" // its window was no gap any more
	ResultFailed    Result = "failed"    // an attempt
	ResultExpired   Result = "expired"   // older than WorkerSettings.MaxAge; the next sweep finds its gap
	ResultDiscarded Result = "discarded" // no attempt can do it
)

// Reader reads jobs of one organization.
type Reader interface {
	// Read reads what is missing of the job's window, commits it, and reports whether anything was missing. An error
	// that is not the job's fault is a DeferError, one that no further attempt can mend a DiscardError.
	Read(ctx context.Context, job Job) (missing bool, err error)
	// RecordResult counts how a job ended. It may wait for the store, and for nothing else.
	RecordResult(ctx context.Context, result Result)
}

// WorkerSettings configure a Worker.
type WorkerSettings struct {
	Claims  Claims
	Retries RetryPolicy
	// MaxAge is the age at which a job expires.
	MaxAge time.Duration
	// HeartbeatInterval is the time between two refreshes of the claim of a job that is being read.
	HeartbeatInterval time.Duration
	Now               func() time.Time
	Logger            *zap.Logger
	// DeadLetter is the field of the log that names the queue where a dead-lettered job can be replayed; zap.Skip()
	// where it cannot. The zero value is zap.Skip().
	DeadLetter zap.Field
}

// Worker works on jobs. Handle is safe for concurrent use: it runs several jobs at a time.
type Worker struct {
	settings WorkerSettings
	readers  map[string]Reader // by Job.Owner, in lower case
	foreign  foreignOrgs
}

// NewWorker returns a worker without readers.
func NewWorker(settings WorkerSettings) *Worker {
	if settings.DeadLetter.Type == zapcore.UnknownType {
		settings.DeadLetter = zap.Skip()
	}
	return &Worker{settings: settings, readers: make(map[string]Reader)}
}

// AddReader adds the reader of an organization, for the jobs of a source; the empty source is that of repositories. It
// must not be called once Handle was.
func (w *Worker) AddReader(org, source string, reader Reader) {
	of := Job{Org: org, Source: source}
	w.readers[strings.ToLower(of.Owner())] = reader
}

// Handle reads one job and keeps its claim fresh meanwhile. It is the Handler of a queue. When ctx ends first it
// returns the cause of ctx, and the queue delivers the job again.
func (w *Worker) Handle(ctx context.Context, job Job) error {
	reader := w.readers[strings.ToLower(job.Owner())]
	if reader == nil {
		return w.returnUnknownOrg(&job)
	}
	if age := w.settings.Now().Sub(job.CreatedAt); age > w.settings.MaxAge {
		w.settings.Logger.Warn("Backfill job expired; its window stays a gap and gets a new job.",
			append(jobFields(&job), zap.Duration("age", age))...)
		return w.finish(ctx, reader, &job, ResultExpired, nil)
	}
	stop := w.startHeartbeat(ctx, &job)
	missing, err := reader.Read(ctx, job)
	stop()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil && missing:
		return w.finish(ctx, reader, &job, ResultProcessed, nil)
	case err == nil:
		return w.finish(ctx, reader, &job, ResultDuplicate, nil)
	default:
		return w.handleFailure(ctx, reader, &job, err)
	}
}

// returnUnknownOrg returns a job of an organization without a reader to the queue, until the job is too old. It logs
// the first job of each of those organizations.
func (w *Worker) returnUnknownOrg(job *Job) error {
	if w.foreign.shouldLog(strings.ToLower(job.Owner())) {
		message := "Another deployment shares this queue: a backfill job is for an organization that is not " +
			"configured here. Its jobs are returned to the queue, and dead-lettered when no deployment consumes them."
		if job.Source != "" {
			message = "A backfill job is for a source that is not read here. Its jobs are returned to the queue, and " +
				"dead-lettered when no replica reads them."
		}
		w.settings.Logger.Warn(message, jobFields(job)...)
	}
	err := &UnknownOrgError{Org: job.Owner()}
	if age := w.settings.Now().Sub(job.CreatedAt); age > w.settings.MaxAge {
		return Discard(fmt.Errorf("%w, and no other deployment took the job within backfill::max_message_age", err))
	}
	return err
}

// jobFields returns the fields of the log that say what a job reads.
func jobFields(job *Job) []zap.Field {
	org, window := zap.String("org", job.Org), zap.Stringer("window", job.Window)
	if job.Source != "" {
		return []zap.Field{org, zap.String("source", job.Source), zap.String("report", job.Repo), window}
	}
	return []zap.Field{org, zap.String("repo", job.Repo), zap.Stringer("streams", job.Streams), window}
}

// handleFailure records a failed, deferred or discarded job by the outcome that the queue will decide, too.
func (w *Worker) handleFailure(ctx context.Context, reader Reader, job *Job, err error) error {
	fields := append(jobFields(job), zap.Int("attempt", job.Attempt), zap.Error(err))
	outcome := w.settings.Retries.DecideOutcome(job, err)
	result := ResultFailed
	if errors.As(err, new(*DiscardError)) {
		result = ResultDiscarded
	}
	switch {
	case outcome.Kind == OutcomeDeadLetter:
		w.settings.Logger.Warn(
			"Backfill job dead-lettered; its window stays a gap and gets a new job after backfill::dedup_ttl.",
			append(fields, w.settings.DeadLetter)...,
		)
		return w.finish(ctx, reader, job, result, err)
	case errors.As(err, new(*DeferError)):
		w.settings.Logger.Debug("Backfill job deferred.", append(fields, zap.Duration("for", outcome.Delay))...)
		w.refreshClaim(ctx, job, claimRetrying)
	default:
		w.settings.Logger.Info("Backfill job failed; it will be retried.",
			append(fields, zap.Duration("after", outcome.Delay))...)
		w.refreshClaim(ctx, job, claimRetrying)
		reader.RecordResult(ctx, result)
	}
	return err
}

// finish ends a job: it deletes the claim, or keeps that of a dead letter, so that the same window does not get another
// job at once. It returns err.
func (w *Worker) finish(ctx context.Context, reader Reader, job *Job, result Result, err error) error {
	w.settings.Logger.Debug("A backfill job has ended.",
		append(jobFields(job), zap.String("job", job.ID), zap.String("result", string(result)))...)
	if err != nil {
		w.refreshClaim(ctx, job, claimDeadLettered)
	} else if claimErr := w.settings.Claims.Delete(ctx, job.Org, []string{job.ID}); claimErr != nil {
		w.settings.Logger.Debug("Failed to delete the claim of a finished backfill job; the claim expires.",
			zap.String("job", job.ID), zap.Error(claimErr))
	}
	reader.RecordResult(ctx, result)
	return err
}

// claimState is the state of a job that a refresh writes to its claim.
type claimState uint8

const (
	claimRunning claimState = iota
	claimRetrying
	claimDeadLettered
)

// refreshClaim writes the claim of a job with the present time. A refresh that is lost costs at most a second job for
// the window.
func (w *Worker) refreshClaim(ctx context.Context, job *Job, state claimState) {
	claim := newClaim(job)
	claim.RefreshedAt = w.settings.Now().UTC().Truncate(time.Millisecond)
	claim.Retrying, claim.DeadLettered = claim.Retrying || state == claimRetrying, state == claimDeadLettered
	if err := w.settings.Claims.Put(ctx, job.Org, []Claim{claim}); err != nil && ctx.Err() == nil {
		w.settings.Logger.Debug("Failed to refresh the claim of a backfill job.",
			zap.String("job", job.ID), zap.Error(err))
	}
}

// startHeartbeat refreshes the claim of a job now and in every interval until stop is called, which waits for the last
// refresh.
func (w *Worker) startHeartbeat(ctx context.Context, job *Job) (stop func()) {
	w.refreshClaim(ctx, job, claimRunning)
	ctx, cancel := context.WithCancel(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(w.settings.HeartbeatInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				w.refreshClaim(ctx, job, claimRunning)
			}
		}
	}()
	return func() { cancel(); <-stopped }
}

// maxForeign bounds the organizations of other deployments that are logged.
const maxForeign = 100

// foreignOrgs has the organizations of other deployments of which a job was delivered here and logged. The zero value
// has none. It is safe for concurrent use.
type foreignOrgs struct {
	mu     sync.Mutex
	logged map[string]bool // in lower case
}

// shouldLog reports whether an organization is to be logged: once, and maxForeign organizations at most.
func (f *foreignOrgs) shouldLog(org string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.logged[org] || len(f.logged) >= maxForeign {
		return false
	}
	if f.logged == nil {
		f.logged = make(map[string]bool)
	}
	f.logged[org] = true
	return true
}
