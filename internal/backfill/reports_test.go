// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill_test

import (
	"bytes"
	"context"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// missedDay returns a day of a report that was missed, a number of days before noon.
func missedDay(name string, daysAgo, times int) backfill.MissedReport {
	start := noon.Truncate(24*time.Hour).AddDate(0, 0, -daysAgo)
	return backfill.MissedReport{
		Source: backfill.SourceCopilot, Name: name, Window: activity.Window{Start: start, End: start.AddDate(0, 0, 1)},
		Reason: backfill.ReasonCopilotDownload, Times: times,
	}
}

func reportJob() backfill.Job {
	m := missedDay("org_users_1d_7", 2, 1)
	return backfill.Job{
		ID: "ABC", Org: "acme", Source: m.Source, Repo: m.Name, Streams: activity.StreamsOf(commits),
		Window: m.Window, Reason: m.Reason, Attempt: 2, CreatedAt: noon,
	}
}

func TestReportJobEncoding(t *testing.T) {
	j := reportJob()
	body := j.Encode()
	require.JSONEq(t, `{"version":1,"id":"ABC","org":"acme:copilot","repo":"org_users_1d_7","streams":["commits"],
		"from":"2026-03-09T00:00:00Z","until":"2026-03-10T00:00:00Z","reason":"copilot_download_failed","attempt":2,
		"created_at":"2026-03-11T12:00:00Z"}`, string(body))
	back, err := backfill.Decode(body)
	require.NoError(t, err)
	require.Equal(t, j, back)
	for _, org := range []string{":copilot", "acme:/", "acme:" + strings.Repeat("x", 96), "a/b:copilot"} {
		_, err := backfill.Decode(bytes.Replace(body, []byte("acme:copilot"), []byte(org), 1))
		require.ErrorContains(t, err, "org:", org)
	}
	back, err = backfill.Decode(bytes.Replace(body, []byte("acme:copilot"), []byte("acme:later:source"), 1))
	require.NoError(t, err, "a source of a later release is returned, too")
	require.Equal(t, "later:source", back.Source)
}

// formerDecode is the decoder of the releases that have no sources, as it was. It must not change.
func formerDecode(t *testing.T, body []byte) (org string) {
	t.Helper()
	var m struct {
		Version   int       `json:"version"`
		ID        string    `json:"id"`
		Org       string    `json:"org"`
		Repo      string    `json:"repo"`
		RepoID    int64     `json:"repo_id,omitempty"`
		Streams   []string  `json:"streams"`
		From      time.Time `json:"from"`
		Until     time.Time `json:"until"`
		Reason    string    `json:"reason"`
		Attempt   int       `json:"attempt"`
		CreatedAt time.Time `json:"created_at"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	require.NoError(t, decoder.Decode(&m))
	require.Equal(t, 1, m.Version)
	identifier := regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,100}$`)
	for _, text := range []string{m.ID, m.Org, m.Repo} {
		require.Regexp(t, identifier, text)
	}
	require.Regexp(t, `^[a-z0-9_]{1,64}$`, m.Reason)
	require.NotEmpty(t, m.Streams)
	for _, stream := range m.Streams {
		require.Contains(t, []string{"commits", "pulls", "comments"}, stream)
	}
	require.Positive(t, m.Until.Sub(m.From))
	require.GreaterOrEqual(t, m.Attempt, 1)
	return m.Org
}

// TestFormerReleasesReturnReportJobs: a replica without sources, as in a rolling update, decodes the job of a report
// and does not have its organization. So it returns the job to the queue that it came from: the job is neither lost nor
// dead-lettered, and spends no attempt. A replica that reads no Copilot reports does the same.
func TestFormerReleasesReturnReportJobs(t *testing.T) {
	for _, source := range []string{backfill.SourceCopilot, backfill.SourceCopilotEnterprise} {
		j := reportJob()
		j.Source = source
		owner := formerDecode(t, j.Encode())
		require.Equal(t, "acme:"+source, owner)
		former := backfill.Job{ID: j.ID, Org: owner, Attempt: j.Attempt, CreatedAt: j.CreatedAt}
		for _, job := range []backfill.Job{former, j} {
			core, logs := observer.New(zap.WarnLevel)
			reader := &scriptedReader{}
			worker := backfill.NewWorker(backfill.WorkerSettings{
				Claims: &backfill.LocalClaims{}, Retries: retryPolicy, MaxAge: time.Hour,
				HeartbeatInterval: time.Minute,
				Now:               func() time.Time { return noon }, Logger: zap.New(core),
			})
			worker.AddReader("acme", "", reader)
			err := worker.Handle(t.Context(), job)
			outcome := retryPolicy.DecideOutcome(&job, err)
			require.Equal(t, backfill.OutcomeRetry, outcome.Kind)
			require.Equal(t, 1, outcome.Returns)
			require.Equal(t, j.Attempt, outcome.Attempt)
			require.Empty(t, reader.jobs)
			require.Equal(t, 1, logs.Len())
		}
	}
}

// TestWorkerReadsSources: each source has a reader of its own.
func TestWorkerReadsSources(t *testing.T) {
	claims := &backfill.LocalClaims{}
	read := func(ctx context.Context, job backfill.Job) (bool, error) {
		list, err := claims.List(ctx, "acme")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, "copilot/org_users_1d_7", list[0].Report)
		return true, nil
	}
	activityReader, reports := &scriptedReader{}, &scriptedReader{read: read}
	worker := newWorker(activityReader, claims, func() time.Time { return noon })
	worker.AddReader("Acme", backfill.SourceCopilot, reports)
	require.NoError(t, worker.Handle(t.Context(), reportJob()))
	require.Empty(t, activityReader.jobs)
	require.Equal(t, []backfill.Result{backfill.ResultProcessed}, reports.results)
	list, err := claims.List(t.Context(), "acme")
	require.NoError(t, err)
	require.Empty(t, list)
}

// TestReportsGetOneJob: a missed day gets one job, before those of gaps, however often it is missed again; the repeated
// misses are counted.
func TestReportsGetOneJob(t *testing.T) {
	b := newBench(t)
	b.addGap(1, noon.Add(-time.Hour), noon, commits)
	first, second := missedDay("org_1d_1", 2, 1), missedDay("org_users_1d_1", 2, 1)
	b.dispatcher.SetMissedReports([]backfill.MissedReport{first, second})
	done := b.dispatch()
	require.Equal(t, 3, done.Published)
	jobs := b.queue.jobs
	require.Equal(t, []string{
		"org_1d_1 commits 0309T00:00-0310T00:00 copilot_download_failed",
		"org_users_1d_1 commits 0309T00:00-0310T00:00 copilot_download_failed",
		"repo-1 commits 0311T11:00-0311T12:00 sweep",
	}, b.takePublished())
	require.Equal(t, "acme:copilot", jobs[0].Owner())
	require.Equal(t, 2, b.counted["enqueued copilot_download_failed"])

	b.now = b.now.Add(time.Minute)
	second.Times = 4
	b.dispatcher.SetMissedReports([]backfill.MissedReport{first, second})
	b.dispatch()
	b.dispatch()
	require.Empty(t, b.takePublished())
	require.Equal(t, 3, b.counted["deduped copilot_download_failed"])
	require.Equal(t, 2, b.counted["enqueued copilot_download_failed"])

	// A worker that gave up keeps the claim; after a job that ended without the day there is another one.
	claims, err := b.claims.List(t.Context(), "acme")
	require.NoError(t, err)
	for i := range claims {
		if claims[i].Report == "copilot/org_1d_1" {
			claims[i].DeadLettered = true
			require.NoError(t, b.claims.Put(t.Context(), "acme", claims[i:i+1]))
		} else if claims[i].Report != "" {
			require.NoError(t, b.claims.Delete(t.Context(), "acme", []string{claims[i].ID}))
		}
	}
	b.dispatch()
	const ofUsers = "org_users_1d_1 commits 0309T00:00-0310T00:00 copilot_download_failed"
	require.Equal(t, []string{ofUsers}, b.takePublished())
	b.now = b.now.Add(13 * time.Hour)
	b.dispatcher.SetMissedReports([]backfill.MissedReport{first})
	b.dispatch()
	require.Contains(t, b.takePublished(), "org_1d_1 commits 0309T00:00-0310T00:00 copilot_download_failed")
	claims, err = b.claims.List(t.Context(), "acme")
	require.NoError(t, err)
	for i := range claims {
		require.NoError(t, b.claims.Delete(t.Context(), "acme", []string{claims[i].ID}))
	}
	b.read["org_1d_1"] = true // the source has not noticed yet
	b.dispatch()
	require.NotContains(t, b.takePublished(), "org_1d_1 commits 0309T00:00-0310T00:00 copilot_download_failed")
	b.read["org_1d_1"] = false
	b.dispatcher.SetMissedReports(nil)
	b.now = b.now.Add(13 * time.Hour)
	b.dispatch()
	for _, job := range b.takePublished() {
		require.NotContains(t, job, "org_1d_1", "nobody wants it any more")
	}
}

// TestReportsOfABrokenStore: nothing is published while it is unknown what is missing.
func TestReportsOfABrokenStore(t *testing.T) {
	b := newBench(t)
	b.dispatcher.SetMissedReports([]backfill.MissedReport{missedDay("org_1d_1", 2, 1), missedDay("", 2, 1)})
	_, err := b.dispatcher.Dispatch(t.Context(), &b.cov, func(int64) activity.Streams { return 0 })
	require.ErrorContains(t, err, "store")
	require.Empty(t, b.takePublished())
}

// TestReportsCaps: the caps hold for reports, and each deferred job counts once.
func TestReportsCaps(t *testing.T) {
	b := newBench(t, func(s *backfill.DispatchSettings) { s.MaxPerMinute = 1 })
	b.dispatcher.SetMissedReports([]backfill.MissedReport{
		missedDay("org_1d_1", 2, 1), missedDay("org_1d_2", 3, 1), missedDay("org_users_1d_1", 2, 1),
	})
	for range 3 {
		b.dispatch()
	}
	require.Len(t, b.takePublished(), 1)
	require.Equal(t, 2, b.counted["deferred org_rate_cap"])
	b.now = b.now.Add(time.Minute)
	b.dispatch()
	require.Len(t, b.takePublished(), 1)
	require.Zero(t, b.counted["deduped copilot_download_failed"])
}

// TestLostReportJob: a job that no queue holds is published again, not one that waits in a retry queue, where replicas
// that do not know its source put it. Jobs that are lost again and again are reported.
func TestLostReportJob(t *testing.T) {
	b := newBench(t)
	b.dispatcher.SetMissedReports([]backfill.MissedReport{missedDay("org_1d_1", 2, 1)})
	b.dispatch()
	require.Len(t, b.takePublished(), 1)
	b.now, b.queue.depth.Retries = b.now.Add(6*time.Minute), 1
	b.dispatch()
	require.Empty(t, b.takePublished())
	b.queue.depth.Retries = 0
	result := backfill.DispatchResult{}
	for range backfill.RepeatedLossThreshold {
		result = b.dispatch()
		require.Len(t, b.takePublished(), 1)
		b.now = b.now.Add(6 * time.Minute)
	}
	require.Equal(t, 1, result.RepeatedlyLost)
}
