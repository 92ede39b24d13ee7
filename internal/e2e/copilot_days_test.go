// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// missedDay is a leader and a follower with Redis and RabbitMQ, and a GitHub whose report of users of 28 days fails on
// the day at which it would have got another day.
type missedDay struct {
	*copilotGitHub

	owner, scope     string
	data             *copilottest.Dataset
	former, newest   string // the newest day of the report before, and the missed one
	delay            int    // of GitHub before
	leader, follower *replica
	rabbit           *rabbittest.Server
	jobs             *jobAudit
}

// missedDayConfig has the broker, and no second look at the queue within a test.
const missedDayConfig = `rabbitmq: {endpoint: %q, auth: {plain: {username: guest, password: guest}}}
backfill: {requeue_delays: [1s, 3s, 10s], sweep_interval: 1m}`

// startMissedDay reads a report. moveOn has to follow.
func startMissedDay(t *testing.T, owner, scope, settings string) *missedDay {
	t.Helper()
	m := &missedDay{copilotGitHub: startCopilotGitHub(t), owner: owner, scope: scope, data: copilotData(5)}
	if scope == "enterprise" {
		m.data = copilotData(8)
	}
	m.data.Teams = nil
	m.held.Store(new("users-1-day"))
	// The day that a report of 28 days has to have by now, and the delay with which the report ends a day before it.
	today := time.Now().UTC().Truncate(24 * time.Hour)
	newest := time.Now().UTC().Add(-28*time.Hour).Truncate(24*time.Hour).AddDate(0, 0, -1)
	m.delay = int(today.Sub(newest) / (24 * time.Hour))
	m.SetDelay(m.delay)
	m.former, m.newest = m.Newest(), newest.Format(time.DateOnly)
	m.rabbit = rabbittest.Start(t)
	redis := redistest.Start(t)
	replicas := startReplicas(t, 2, redis.Address, m.config(fmt.Sprintf(missedDayConfig, m.rabbit.URL()),
		"enabled: true, seats: false, download_hosts: [127.0.0.2], scrape_interval: 3s, "+settings))
	leads := awaitLeader(t, replicas)
	m.leader, m.follower = replicas[leads], replicas[1-leads]
	m.await(t, m.expectation(m.former).series)
	m.jobs = startJobAudit(t, m.rabbit)
	m.awaitFollowerConsumes(t)
	return m
}

// moveOn moves GitHub on by a day, and lets the link of the next report fail.
func (m *missedDay) moveOn(t *testing.T, fault copilottest.LinkFault) {
	t.Helper()
	m.AddRule(copilottest.Rule{Endpoint: "users-28-day", Owner: m.owner, Link: fault})
	m.SetDelay(m.delay - 1)
	require.Equal(t, m.newest, m.Newest())
}

// expectation returns the series of the report of users with a newest day.
func (m *missedDay) expectation(newest string) *copilotExpectation {
	e := &copilotExpectation{
		copilotSwitches: &copilotSwitches{}, owner: m.owner, scope: m.scope, newest: newest,
		series: make(map[string]float64),
	}
	e.addUsers(m.data)
	m.setReportDay(e, newest)
	return e
}

// setReportDay sets the series with the newest day of the report.
func (m *missedDay) setReportDay(e *copilotExpectation, newest string) {
	day, _ := time.Parse(time.DateOnly, newest)
	series := fmt.Sprintf("gh_copilot_report_day_unixtime{org=%q,scope=%q}", m.owner, m.scope+"_users")
	e.series[series] = float64(day.Unix())
}

// withMissedDay returns the series while the newest day is read in place of a report of 28 days, which keeps its last
// values.
func (m *missedDay) withMissedDay() map[string]float64 {
	e := m.expectation(m.former)
	e.newest = m.newest
	e.addMissedDay(m.data)
	m.setReportDay(e, m.newest)
	return e.series
}

// await waits until both replicas show exactly these series.
func (m *missedDay) await(t *testing.T, want map[string]float64) {
	t.Helper()
	eventually(t, 2*time.Minute, func() error {
		for name, r := range map[string]*replica{"leader": m.leader, "follower": m.follower} {
			if diff := cmp.Diff(want, r.copilotSeries(t)); diff != "" {
				return fmt.Errorf("series of the %s: %s", name, diff[:min(len(diff), 2000)])
			}
		}
		return nil
	})
}

// awaitFollowerConsumes waits until one replica consumes jobs: the leader does as long as it sees no other consumer.
func (m *missedDay) awaitFollowerConsumes(t *testing.T) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		queue, err := m.jobs.channel.QueueDeclarePassive(jobsQueue, true, false, false, false, nil)
		if err == nil && queue.Consumers != 1 {
			err = fmt.Errorf("%d consumers", queue.Consumers)
		}
		return err
	})
}

// requireOneJob checks that the broker got one job of Copilot reports, and the metric counts it.
func (m *missedDay) requireOneJob(t *testing.T, source string) {
	t.Helper()
	var jobs []backfill.Job
	eventually(t, 30*time.Second, func() error { // the copy of the job may come after what it has led to
		jobs = slices.DeleteFunc(m.jobs.publishedJobs(), func(job backfill.Job) bool { return job.Source == "" })
		if len(jobs) == 0 {
			return errors.New("no job was published")
		}
		return nil
	})
	require.Len(t, jobs, 1)
	require.Equal(t, source, jobs[0].Source)
	require.Equal(t, m.newest, jobs[0].Window.Start.Format(time.DateOnly))
	require.Equal(t, backfill.ReasonCopilotDownload, jobs[0].Reason)
	for _, r := range []*replica{m.leader, m.follower} {
		r.awaitValue(t, 1, fmt.Sprintf(
			`gh_exporter_backfill_jobs_enqueued_total{org=%q,reason="copilot_download_failed"}`, org))
	}
}

// awaitHeldFile waits until a worker requests a file of the missed day.
func (m *missedDay) awaitHeldFile(t *testing.T) {
	t.Helper()
	select {
	case <-m.waiting:
	case <-time.After(time.Minute):
		require.Fail(t, "no file of the day was requested")
	}
}

// awaitActivity waits until the leader shows activity, which it reads beside the report, and returns it.
func (m *missedDay) awaitActivity(t *testing.T) map[string]float64 {
	t.Helper()
	var activity map[string]float64
	eventually(t, time.Minute, func() error {
		if activity = activityOf(page(t, m.leader)); len(activity) == 0 {
			return errors.New("the leader shows no activity")
		}
		return nil
	})
	return activity
}

const missedDayRead = "Copilot report of a missed day was read."

// orgUsersOnly reads the report of an organization's users.
const orgUsersOnly = "org_28d: false, org_users_28d: true, breakdown: {feature: false}"

// TestCopilotMissedDay: a 503 at a link of a report of 28 days leaves the day open; one job, which the follower does,
// reads it; the report of 28 days closes it when it works again. Its last values stay meanwhile, and the activity is
// not concerned.
func TestCopilotMissedDay(t *testing.T) {
	t.Parallel()
	m := startMissedDay(t, org, "org", orgUsersOnly)
	before := m.awaitActivity(t)
	m.moveOn(t, copilottest.LinkIsBusy)
	m.await(t, m.withMissedDay())
	m.requireOneJob(t, backfill.SourceCopilot)
	awaitLog(t, m.follower.Process, missedDayRead)
	require.NotContains(t, m.leader.Output(), missedDayRead)
	for _, r := range []*replica{m.leader, m.follower} {
		r.awaitValue(t, 1, `gh_exporter_copilot_report_download_total{result="success",scope="org_users"}`, atLeast)
		r.awaitValue(t, 1, `gh_exporter_copilot_report_download_total{result="status",scope="org_users"}`, atLeast)
		r.awaitValue(t, 0, fmt.Sprintf("gh_exporter_gaps{org=%q}", org))
		r.awaitValue(t, 0, `gh_exporter_queue_depth{queue="gh.backfill.dlq"}`)
	}
	m.awaitDownloadHealth(t, 1)
	m.leader.awaitValue(t, 1, fmt.Sprintf(`gh_exporter_dependency_health{dependency="github_api_core",org=%q}`, org))

	m.ClearRules()
	m.await(t, m.expectation(m.newest).series)
	m.awaitDownloadHealth(t, 2)
	m.requireOneJob(t, backfill.SourceCopilot)
	after := activityOf(page(t, m.leader))
	for series := range before {
		require.Contains(t, after, series)
	}
	for _, r := range []*replica{m.leader, m.follower} {
		requireNoSecret(t, r.Output())
		require.NotContains(t, r.Output(), "sig=")
	}
}

// awaitDownloadHealth waits until a number of replicas show that files of reports can be used: the one that leads knows
// of those that can not.
func (m *missedDay) awaitDownloadHealth(t *testing.T, healthy float64) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		var sum float64
		for _, r := range []*replica{m.leader, m.follower} {
			sum += r.count(t.Context(), fmt.Sprintf(
				`gh_exporter_dependency_health{dependency="github_copilot_report_download",org=%q}`, org))
		}
		if sum != healthy {
			return fmt.Errorf("%v replicas are healthy, want %v", sum, healthy)
		}
		return nil
	})
}

// page returns the page of a replica.
func page(t *testing.T, r *replica) string {
	t.Helper()
	text, err := r.page(t.Context())
	require.NoError(t, err)
	return text
}

// TestCopilotMissedDayOfEnterprise: the job for a day of an enterprise's report survives the end of its worker and of
// the leader, and is still one. The report of 28 days, whose link is answered with 500, does not recover.
func TestCopilotMissedDayOfEnterprise(t *testing.T) {
	t.Parallel()
	settings := "org_28d: false, enterprise_users_28d: true, breakdown: {feature: false}, enterprise: {slug: " +
		enterprise + ", auth: {token: " + githubtest.DefaultToken + "}}"
	m := startMissedDay(t, enterprise, "enterprise", settings)
	m.hold.Lock()
	m.moveOn(t, copilottest.LinkWithError)
	m.awaitHeldFile(t)
	m.follower.Kill()
	m.follower.start(t)
	m.awaitHeldFile(t) // the broker has delivered the job again
	m.requireOneJob(t, backfill.SourceCopilotEnterprise)
	m.leader.Kill()
	eventually(t, 30*time.Second, func() error {
		if awaitLeader(t, []*replica{m.follower}) != 0 {
			return errors.New("the other replica does not lead")
		}
		return nil
	})
	m.leader.start(t)
	m.leader, m.follower = m.follower, m.leader
	for series := range m.leader.copilotSeries(t) {
		require.NotContains(t, series, `window="1d"`)
	}
	m.hold.Unlock()
	m.await(t, m.withMissedDay())
	m.requireOneJob(t, backfill.SourceCopilotEnterprise)
	reads := func() int {
		return strings.Count(m.leader.Output(), missedDayRead) + strings.Count(m.follower.Output(), missedDayRead)
	}
	eventually(t, 30*time.Second, func() error {
		if reads() == 0 {
			return errors.New("no replica has logged that it read the day")
		}
		return nil
	})
	require.Equal(t, 1, reads())
}

// TestCopilotMissedDayWithoutBroker: while no job can be published, the leader reads the day itself.
func TestCopilotMissedDayWithoutBroker(t *testing.T) {
	t.Parallel()
	m := startMissedDay(t, org, "org", orgUsersOnly)
	m.rabbit.Kill()
	m.moveOn(t, copilottest.LinkIsBusy)
	m.await(t, m.withMissedDay())
	require.NotContains(t, m.follower.Output(), missedDayRead)
	awaitLog(t, m.leader.Process, "users_1d_"+m.newest)
	m.leader.awaitValue(t, 0, fmt.Sprintf(
		`gh_exporter_backfill_jobs_enqueued_total{org=%q,reason="copilot_download_failed"}`, org))
}
