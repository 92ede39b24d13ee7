// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// copilotWorkers makes backfill jobs of the missed days of an owner's Copilot reports.
type copilotWorkers struct {
	dispatcher *gapDispatcher
	source     string
}

var _ copilot.Workers = (*copilotWorkers)(nil)

// Request implements copilot.Workers.
func (w *copilotWorkers) Request(days []copilot.MissedDay) bool {
	missed := make([]backfill.MissedReport, 0, len(days))
	for i := range days {
		missed = append(missed, backfill.MissedReport{
			Source: w.source, Name: days[i].Stem, Window: dayWindow(days[i].Target.Day),
			Reason: copilotReason(days[i].Failure), Times: days[i].Times,
		})
	}
	return w.dispatcher.requestReports(w.source, missed)
}

// dayWindow returns the window of a job for a day.
func dayWindow(d report.Day) activity.Window {
	return activity.Window{Start: d.Time(), End: (d + 1).Time()}
}

// copilotReason returns the reason of the job for a day that a report of 28 days missed, by the report's failure.
func copilotReason(failure string) backfill.Reason {
	switch {
	case strings.HasPrefix(failure, downloadFailure):
		return backfill.ReasonCopilotDownload
	case strings.HasPrefix(failure, reportFailure):
		return backfill.ReasonCopilotReport
	default:
		return backfill.ReasonCopilotAPI
	}
}

// The shortest and the longest deferral of a job whose report is not there yet, or is refused. Between them a job is
// deferred by its age, so that the delays double.
const (
	minReportDelay  = 15 * time.Minute
	maxPendingDelay = 4 * time.Hour
	maxRefusedDelay = 6 * time.Hour
)

// copilotJobs reads days of an owner's Copilot reports that the leader missed, on whichever replica consumes the jobs.
// It is safe for concurrent use.
type copilotJobs struct {
	reader *copilotReader
	jobs   *jobReader
}

var _ backfill.Reader = (*copilotJobs)(nil)

// Read implements backfill.Reader.
func (c *copilotJobs) Read(ctx context.Context, job backfill.Job) (missing bool, err error) {
	if err := deferWhileCooling(c.jobs.cooldown.Err()); err != nil {
		return false, err
	}
	target, err := dayTarget(job.Repo, job.Window)
	if err != nil {
		return false, backfill.Discard(err)
	}
	result, err := copilot.ReadDay(ctx, c.settings(), target, job.Repo)
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil:
		return false, backfill.Defer(storeRetryDelay, err)
	case result == nil:
		return false, nil
	default:
		return true, reportError(result, time.Since(job.CreatedAt))
	}
}

// IsMissing reports whether a missed day was not read yet.
func (c *copilotJobs) IsMissing(ctx context.Context, m *backfill.MissedReport) (bool, error) {
	target, err := dayTarget(m.Name, m.Window)
	if err != nil {
		return false, err
	}
	return copilot.IsDayMissing(ctx, c.settings(), target, m.Name)
}

// dayTarget returns the target with the stem and the window of a job.
func dayTarget(stem string, window activity.Window) (copilot.Target, error) {
	d := report.DayOf(window.Start)
	if day := dayWindow(d); !window.Start.Equal(day.Start) || !window.End.Equal(day.End) {
		return copilot.Target{}, fmt.Errorf("%s is no day", window)
	}
	return copilot.ParseStem(stem, d)
}

// settings returns the settings of a job.
func (c *copilotJobs) settings() copilot.Settings {
	settings, documents := c.reader.settings, c.reader.documents
	documents.IsWorker = true
	settings.Store, settings.OnResult = copilotstore.New(documents), c.record
	return settings
}

// reportError returns the outcome of a job: nil for a day that was read, and a deferral, which costs no attempt, for a
// limit and for a report that is not there yet or is refused. age is that of the job.
func reportError(result *copilot.Result, age time.Duration) error {
	switch result.Outcome {
	case copilot.OutcomeRead, copilot.OutcomeUnchanged:
		return nil
	case copilot.OutcomeLimited:
		return backfill.Defer(time.Until(result.NextAt), result.Err)
	case copilot.OutcomePending:
		return backfill.Defer(min(max(minReportDelay, age), maxPendingDelay), result.Err)
	case copilot.OutcomeRefused:
		return backfill.Defer(min(max(minReportDelay, age), maxRefusedDelay), result.Err)
	default:
		return result.Err
	}
}

// record counts a result, and logs a report that was read. The worker logs the others.
func (c *copilotJobs) record(result copilot.Result) {
	c.reader.count(&result)
	if result.Outcome == copilot.OutcomeRead {
		c.reader.logger.Info("Copilot report of a missed day was read.", zap.Stringer("report", result.Target),
			zap.String("result", result.Outcome.String()), zap.Int64("rows", result.Counts.Used),
			droppedField(&result.Counts))
	}
}

// RecordResult implements backfill.Reader.
func (c *copilotJobs) RecordResult(ctx context.Context, result backfill.Result) {
	c.jobs.RecordResult(ctx, result)
}
