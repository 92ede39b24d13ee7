package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Result is how a delivered job ended.
type Result string

// The results. A job that was put off has none.
const (
	ResultProcessed Result = "processed"
	ResultDuplicate Result = "duplicate" // nothing of it was missing any more
	ResultFailed    Result = "failed"    // an attempt
	ResultExpired   Result = "expired"   // too old: what it was for is found again
	ResultDiscarded Result = "discarded" // never to be done
)

// Reader reads jobs of one organization.
type Reader interface {
	// Read reads what is missing of the job's window and says whether there was anything. It commits before it returns.
	// Errors that are not the job's fault are a SnoozeError, those that nobody can mend a DiscardError.
	Read(ctx context.Context, job Job) (missing bool, err error)
	// RecordResult is told how a job ended. It must not wait for anybody but the store.
	RecordResult(ctx context.Context, result Result)
}

// WorkerSettings are a worker's.
type WorkerSettings struct {
	// ReaderOf is who reads an organization; nil when it is unknown.
	ReaderOf func(org string) Reader
	Claims   Claims
	Retries  RetryPolicy
	// MaxAge is how old a job may be.
	MaxAge time.Duration
	// HeartbeatInterval is how often there is a sign of a job that is being worked on.
	HeartbeatInterval time.Duration
	Now               func() time.Time
	Logger            *zap.Logger
	// DeadLetter is the field of the log that says where a job that was given up can be replayed; zap.Skip() where it
	// cannot.
	DeadLetter zap.Field
}

// Worker works on jobs, several at a time.
type Worker struct{ settings WorkerSettings }

// NewWorker makes a worker.
func NewWorker(settings WorkerSettings) *Worker {
	if settings.DeadLetter.Type == zapcore.UnknownType {
		settings.DeadLetter = zap.Skip()
	}
	return &Worker{settings: settings}
}

// Handle is the handler of a queue's jobs.
func (w *Worker) Handle(ctx context.Context, job Job) error {
	reader := w.settings.ReaderOf(job.Org)
	if reader == nil {
		return w.returnUnknownOrg(&job)
	}
	if age := w.settings.Now().Sub(job.CreatedAt); age > w.settings.MaxAge {
		w.settings.Logger.Warn("A backfill job is too old; what it was for is found again.",
			zap.String("org", job.Org), zap.String("repo", job.Repo), zap.Duration("age", age))
		return w.finish(ctx, reader, &job, ResultExpired, nil)
	}
	stop := w.startHeartbeat(ctx, &job)
	missing, err := reader.Read(ctx, job)
	stop()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx) // it is delivered again
	case err == nil && missing:
		return w.finish(ctx, reader, &job, ResultProcessed, nil)
	case err == nil:
		return w.finish(ctx, reader, &job, ResultDuplicate, nil)
	default:
		return w.handleFailure(ctx, reader, &job, err)
	}
}

// returnUnknownOrg gives back a job of an organization that is not configured here, until it is too old.
func (w *Worker) returnUnknownOrg(job *Job) error {
	err := &UnknownOrgError{Org: job.Org}
	if age := w.settings.Now().Sub(job.CreatedAt); age > w.settings.MaxAge {
		return Discard(fmt.Errorf("%w, and no other deployment took the job within backfill::max_message_age", err))
	}
	return err
}

// handleFailure says how it goes on with a job.
func (w *Worker) handleFailure(ctx context.Context, reader Reader, job *Job, err error) error {
	fields := []zap.Field{
		zap.String("org", job.Org), zap.String("repo", job.Repo), zap.Stringer("streams", job.Streams),
		zap.Stringer("window", job.Window), zap.Int("attempt", job.Attempt), zap.Error(err),
	}
	outcome := w.settings.Retries.DecideOutcome(job, err)
	result := ResultFailed
	if errors.As(err, new(*DiscardError)) {
		result = ResultDiscarded
	}
	switch {
	case outcome.Kind == OutcomeDeadLetter:
		w.settings.Logger.Warn("Gave up a backfill job; its window stays a gap and gets a new job after backfill::dedup_ttl.",
			append(fields, w.settings.DeadLetter)...)
		return w.finish(ctx, reader, job, result, err)
	case errors.As(err, new(*DeferError)):
		w.settings.Logger.Debug("A backfill job is put off.", append(fields, zap.Duration("for", outcome.Delay))...)
		w.refreshClaim(ctx, job, claimRetrying)
	default:
		w.settings.Logger.Info("A backfill job failed; it is tried again.", append(fields, zap.Duration("after", outcome.Delay))...)
		w.refreshClaim(ctx, job, claimRetrying)
		reader.RecordResult(ctx, result)
	}
	return err
}

// finish is the end of a job: its claim goes, or stays for a dead one, so that the same window does not come again at once.
func (w *Worker) finish(ctx context.Context, reader Reader, job *Job, result Result, err error) error {
	w.settings.Logger.Debug("A backfill job has ended.", zap.String("job", job.ID), zap.String("org", job.Org),
		zap.String("repo", job.Repo), zap.Stringer("streams", job.Streams), zap.Stringer("window", job.Window), zap.String("result", string(result)))
	if err != nil {
		w.refreshClaim(ctx, job, claimDeadLettered)
	} else if dropErr := w.settings.Claims.Delete(ctx, job.Org, []string{job.ID}); dropErr != nil {
		w.settings.Logger.Debug("The claim of a job that is done stays for a while.", zap.String("job", job.ID), zap.Error(dropErr))
	}
	reader.RecordResult(ctx, result)
	return err
}

// claimState is what a sign says of a job.
type claimState uint8

const (
	claimRunning  claimState = iota
	claimRetrying            // it comes again
	claimDeadLettered
)

// refreshClaim is a sign of the job. One that is not seen costs a second job at most.
func (w *Worker) refreshClaim(ctx context.Context, job *Job, now claimState) {
	claim := newClaim(job)
	claim.RefreshedAt = w.settings.Now().UTC().Truncate(time.Millisecond)
	claim.Retrying, claim.DeadLettered = claim.Retrying || now == claimRetrying, now == claimDeadLettered
	if err := w.settings.Claims.Put(ctx, job.Org, []Claim{claim}); err != nil && ctx.Err() == nil {
		w.settings.Logger.Debug("There is no sign of a job.", zap.String("job", job.ID), zap.Error(err))
	}
}

// startHeartbeat gives a sign of the job now and again and again until it is stopped.
func (w *Worker) startHeartbeat(ctx context.Context, job *Job) (stop func()) {
	w.refreshClaim(ctx, job, claimRunning)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
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
	return func() { cancel(); <-done }
}
