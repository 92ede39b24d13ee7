// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

func TestCopilotReasons(t *testing.T) {
	t.Parallel()
	for failure, want := range map[string]backfill.Reason{
		"download_status": backfill.ReasonCopilotDownload, "report_truncated": backfill.ReasonCopilotReport,
		"report_window": backfill.ReasonCopilotReport, "response_failed": backfill.ReasonCopilotAPI,
		"api": backfill.ReasonCopilotAPI, "": backfill.ReasonCopilotAPI,
	} {
		require.Equal(t, want, copilotReason(failure), failure)
		require.Contains(t, metadata.MapAttributeJobReason, string(want))
	}
}

// TestCopilotJobOutcomes: only failures spend an attempt, and the delays of the others grow with the age of the job.
func TestCopilotJobOutcomes(t *testing.T) {
	t.Parallel()
	defaults := defaultBackfill()
	policy := defaults.retries()
	reason := errors.New("reason")
	for _, test := range []struct {
		outcome copilot.Outcome
		age     time.Duration
		want    backfill.Outcome
	}{
		{copilot.OutcomeRead, 0, backfill.Outcome{Kind: backfill.OutcomeDone}},
		{copilot.OutcomePending, 0, backfill.Outcome{Kind: backfill.OutcomeRetry, Attempt: 1, Delay: 5 * time.Minute}},
		{copilot.OutcomePending, time.Hour, backfill.Outcome{
			Kind: backfill.OutcomeRetry, Attempt: 1, Delay: 30 * time.Minute,
		}},
		{copilot.OutcomeRefused, 20 * time.Hour, backfill.Outcome{
			Kind: backfill.OutcomeRetry, Attempt: 1, Delay: 2 * time.Hour,
		}},
		{copilot.OutcomeLimited, 0, backfill.Outcome{Kind: backfill.OutcomeRetry, Attempt: 1, Delay: 30 * time.Minute}},
		{copilot.OutcomeFailed, 0, backfill.Outcome{Kind: backfill.OutcomeRetry, Attempt: 2, Delay: time.Minute}},
	} {
		result := &copilot.Result{Outcome: test.outcome, Err: reason, NextAt: time.Now().Add(40 * time.Minute)}
		err := reportError(result, test.age)
		require.Equal(t, test.want, policy.DecideOutcome(&backfill.Job{Attempt: 1}, err), test.outcome)
		if err != nil {
			require.ErrorIs(t, err, reason)
		}
	}
}

// dayBench is a reader of Copilot reports whose report of 28 days has failed, with the dispatcher of its organization
// and the reader of its jobs.
type dayBench struct {
	server     *copilottest.Server
	reader     *copilotReader
	jobs       *copilotJobs
	cooldown   *health.Cooldown
	dispatcher *gapDispatcher
	logs       *observer.ObservedLogs
}

func newDayBench(t *testing.T) *dayBench {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	b := &dayBench{
		server: copilottest.New(copilottest.Settings{FilesURL: "https://files.example"}), logs: logs,
		dispatcher: &gapDispatcher{passEnded: wakeup.NewSignal()},
		cooldown: health.NewCooldown(health.CooldownSettings{
			Failures: 1, Pause: time.Hour, Probes: 1, MinOrgs: func() int { return 1 },
		}),
	}
	b.server.SetOrganization("acme", copilottest.Generate(3, 40, time.Now()))
	b.server.AddRule(copilottest.Rule{Endpoint: "users-28-day", Link: copilottest.LinkIsBusy})
	store, tallies := memstore.New(memstore.Settings{}), &collect.Tallies{}
	collector := collect.New(collect.Settings{Org: "acme", Store: store, Now: time.Now}, tallies)
	config := defaultCopilot()
	config.Org28d, config.OrgUsers28d, config.Seats = false, true, false
	scripted := &scriptedFiles{b.server}
	b.reader = &copilotReader{
		owner: emit.CopilotOwner{Name: "acme"}, tallies: tallies, logger: zap.New(core),
		source: backfill.SourceCopilot,
		settings: copilot.Settings{
			Owner: "acme", Rules: config.rules(report.ScopeOrganization), Usage: config.usage(), API: scripted,
			Files: scripted, Workers: &copilotWorkers{dispatcher: b.dispatcher, source: backfill.SourceCopilot},
		},
		documents: copilotstore.Settings{Org: "acme", Committer: collector, Entries: store},
	}
	b.jobs = &copilotJobs{reader: b.reader, jobs: &jobReader{
		collector: collector, cooldown: b.cooldown, tallies: tallies, logger: zap.NewNop(),
	}}
	return b
}

// lead runs the reader until the dispatcher is to dispatch, and until the test ends.
func (b *dayBench) lead(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		b.reader.run(ctx, 1)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	select {
	case <-b.dispatcher.passEnded:
	case <-time.After(20 * time.Second):
		require.Fail(t, "no day was requested")
	}
}

// job returns the job for a missed day.
func (b *dayBench) job(t *testing.T) backfill.Job {
	t.Helper()
	missed := b.dispatcher.reports.all()
	require.Len(t, missed, 3)
	require.Equal(t, backfill.ReasonCopilotDownload, missed[2].Reason)
	job := backfill.Job{
		ID: "1", Org: "acme", Source: missed[2].Source, Repo: missed[2].Name,
		Streams: activity.StreamsOf(activity.StreamCommits), Window: missed[2].Window, Reason: missed[2].Reason,
		Attempt: 1, CreatedAt: time.Now(),
	}
	decoded, err := backfill.Decode(job.Encode())
	require.NoError(t, err)
	return decoded
}

// TestCopilotJob reads a missed day as a worker, once.
func TestCopilotJob(t *testing.T) {
	t.Parallel()
	b := newDayBench(t)
	b.lead(t)
	job := b.job(t)
	for _, want := range []bool{true, false} {
		isMissing, err := b.jobs.IsMissing(t.Context(), &b.dispatcher.reports.all()[2])
		require.NoError(t, err)
		require.Equal(t, want, isMissing)
		missing, err := b.jobs.Read(t.Context(), job)
		require.NoError(t, err)
		require.Equal(t, want, missing)
	}
	require.Equal(t, 1, b.logs.FilterMessage("Copilot report of a missed day was read.").Len())
	b.jobs.RecordResult(t.Context(), backfill.ResultProcessed)
}

// TestCopilotJobFails: what GitHub, the store, the cooldown and the end of the process do to a job.
func TestCopilotJobFails(t *testing.T) {
	t.Parallel()
	b := newDayBench(t)
	b.lead(t)
	job := b.job(t)
	read := func(ctx context.Context, change func(*backfill.Job)) error {
		changed := job
		change(&changed)
		_, err := b.jobs.Read(ctx, changed)
		return err
	}
	_, err := b.jobs.IsMissing(t.Context(), &backfill.MissedReport{Name: "org_1d_7", Window: activity.Window{}})
	require.Error(t, err)
	unchanged := func(*backfill.Job) {}
	for _, change := range []func(*backfill.Job){
		func(j *backfill.Job) { j.Repo = "widgets" },
		func(j *backfill.Job) { j.Window.End = j.Window.End.Add(time.Hour) },
		func(j *backfill.Job) { j.Window.Start = j.Window.Start.Add(time.Hour) },
	} {
		require.ErrorAs(t, read(t.Context(), change), new(*backfill.DiscardError))
	}
	b.server.AddRule(copilottest.Rule{Endpoint: "users-1-day", Link: copilottest.LinkIsBusy, Times: 1})
	err = read(t.Context(), unchanged)
	require.ErrorContains(t, err, "503")
	require.NotErrorAs(t, err, new(*backfill.DeferError))
	b.server.AddRule(copilottest.Rule{Endpoint: "users-1-day", State: copilottest.NoContent, Times: 1})
	require.ErrorAs(t, read(t.Context(), unchanged), new(*backfill.DeferError))

	ended := errors.New("shutdown")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(ended)
	require.ErrorIs(t, read(ctx, unchanged), ended)

	broken := &transport.UnavailableError{Response: transport.Response{Status: 503}}
	require.NotNil(t, b.cooldown.RecordRequest(health.Request{Org: "acme"}, broken, time.Now()))
	require.Error(t, b.cooldown.Err())
	require.ErrorAs(t, read(t.Context(), unchanged), new(*backfill.DeferError))
}

// TestCopilotDaysOfATerm: the dispatcher forgets the days at the end of a term, and says when it cannot publish.
func TestCopilotDaysOfATerm(t *testing.T) {
	t.Parallel()
	b := newDayBench(t)
	t.Run("a term", b.lead)
	require.Empty(t, b.dispatcher.reports.all())
	workers := &copilotWorkers{dispatcher: b.dispatcher, source: backfill.SourceCopilotEnterprise}
	require.True(t, workers.Request(nil))
	b.dispatcher.isFailing.Store(true)
	require.False(t, workers.Request(nil))
}
