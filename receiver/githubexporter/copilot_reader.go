// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

// The first and the longest wait after reports that could not be stored: what is due is then downloaded again.
const (
	copilotRetryDelay    = 10 * time.Second
	maxCopilotRetryDelay = 10 * time.Minute
)

// copilotReader reads the Copilot reports of an organization or enterprise while this replica leads the organization
// whose ledger has them.
type copilotReader struct {
	owner emit.CopilotOwner
	// source is that of the backfill jobs for missed days.
	source string
	// settings are without the store and OnResult, documents without the fence: both are those of a term, or of a job.
	// settings have the workers that read missed days, nil without backfill.
	settings   copilot.Settings
	documents  copilotstore.Settings
	httpClient *http.Client
	tallies    *collect.Tallies
	logger     *zap.Logger
}

// run reads the reports that are due until ctx, the term, ends.
func (c *copilotReader) run(ctx context.Context, fence uint64) {
	documents := c.documents
	documents.Fence = fence
	settings := c.settings
	settings.Store = copilotstore.New(documents)
	log := &copilotLog{logger: c.logger, last: make(map[copilot.Target]string)}
	settings.OnResult = func(result copilot.Result) {
		c.count(&result)
		log.record(&result)
	}
	source := copilot.New(settings)
	if settings.Workers != nil {
		defer settings.Workers.Request(nil) // the next leader requests what is missing then
	}
	delay := copilotRetryDelay
	for ctx.Err() == nil {
		began := time.Now()
		err := source.Loop(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(began) > maxCopilotRetryDelay {
			delay = copilotRetryDelay
		}
		c.logger.Warn("Failed to load or store Copilot reports; will retry.",
			zap.Error(err), zap.Duration("after", delay))
		_ = wakeup.Sleep(ctx, delay)
		delay = min(2*delay, maxCopilotRetryDelay)
	}
}

// downloadFailure and reportFailure are the beginnings of copilot.Result.Failure for files that could not be read, and
// for those that are no report.
const (
	downloadFailure = "download_"
	reportFailure   = "report_"
)

// Results of reading the files of a report, beside the reasons of package download.
const (
	downloadSuccess  = "success"
	downloadUnusable = "unusable"
)

// count counts a result.
func (c *copilotReader) count(result *copilot.Result) {
	scope := copilotScope(&result.Target)
	c.tallies.Add(collect.TallyCopilotRuns, scope, result.Outcome.String())
	c.tallies.AddN(collect.TallyInvalid, uint64(max(0, result.Stats.InvalidValues)))
	for _, reason := range usage.Drops() {
		dropped := result.Counts.Dropped[reason]
		c.tallies.AddN(collect.TallyCopilotDrops, uint64(max(0, dropped)), scope, reason.String())
	}
	if ended := downloadResult(result); ended != "" {
		c.tallies.Add(collect.TallyCopilotDownloads, scope, ended)
	}
}

// downloadResult returns how the files of a report were read; empty for a result without files.
func downloadResult(result *copilot.Result) string {
	if reason, ok := strings.CutPrefix(result.Failure, downloadFailure); ok {
		return reason
	}
	hasFiles := !result.Target.Seats && result.Stats.Rows > 0
	switch {
	case strings.HasPrefix(result.Failure, reportFailure):
		return downloadUnusable
	case hasFiles && (result.Outcome == copilot.OutcomeRead || result.Outcome == copilot.OutcomeUnchanged):
		return downloadSuccess
	default:
		return ""
	}
}

// copilotScope returns the value of the label scope of a target's counters.
func copilotScope(target *copilot.Target) string {
	scope := target.Type.Label()
	if target.Seats {
		scope += "_seats"
	}
	return scope
}

// copilotLog logs results: a target that begins to fail or to be refused as a warning, not each time.
type copilotLog struct {
	logger *zap.Logger
	last   map[copilot.Target]string
}

func (l *copilotLog) record(result *copilot.Result) {
	target := result.Target
	target.Day = 0 // the days of a report are one condition
	condition := result.Outcome.String()
	if result.Outcome != copilot.OutcomeRead && result.Outcome != copilot.OutcomeUnchanged {
		condition += " " + result.State.String() + " " + result.Failure
	}
	isNew := l.last[target] != condition
	l.last[target] = condition
	next := zap.Skip()
	if !result.NextAt.IsZero() {
		next = zap.Time("next", result.NextAt)
	}
	logger := l.logger.With(
		zap.String("report", result.Target.String()), zap.String("result", result.Outcome.String()), next)
	switch result.Outcome {
	case copilot.OutcomeRead:
		logger.Info("Copilot report was read.", zap.Int64("rows", result.Counts.Used), droppedField(&result.Counts))
	case copilot.OutcomeUnchanged:
		logger.Debug("Copilot report is unchanged.")
	case copilot.OutcomePending, copilot.OutcomeLimited:
		level := zap.DebugLevel
		if isNew {
			level = zap.InfoLevel
		}
		logger.Log(level, "Copilot report is not available yet; its metrics keep their last values.",
			zap.String("state", result.State.String()), zap.Error(result.Err))
	case copilot.OutcomeRefused, copilot.OutcomeFailed:
		level := zap.InfoLevel
		if isNew {
			level = zap.WarnLevel
		}
		logger.Log(level, "Copilot report could not be read; its metrics keep their last values.",
			zap.String("state", result.State.String()), zap.String("failure", result.Failure), zap.Error(result.Err))
	}
}

// droppedField returns the field with the number of dropped rows by reason; zap.Skip() for none.
func droppedField(counts *usage.Counts) zap.Field {
	dropped := make(map[string]int64)
	for _, reason := range usage.Drops() {
		if n := counts.Dropped[reason]; n > 0 {
			dropped[reason.String()] = n
		}
	}
	if len(dropped) == 0 {
		return zap.Skip()
	}
	return zap.Any("dropped", dropped)
}
