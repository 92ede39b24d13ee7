// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// deployment is a replica with its own organization and Redis that shares the broker with other deployments.
type deployment struct {
	*replica
	org string
}

// startDeployment starts a replica with the default settings of the broker.
func startDeployment(t *testing.T, server *githubtest.Server, rabbit *rabbittest.Server, name string) *deployment {
	t.Helper()
	redis := fmt.Sprintf("{endpoints: [%q]}", redistest.Start(t).Address)
	r := startReplica(t, "redis: "+redis, redis, fmt.Sprintf(backfillConfig,
		name, githubtest.DefaultToken, 3*time.Second, 240*time.Hour, server.URL, rabbit.URL(), "", "", "", "5s"))
	return &deployment{replica: r, org: name}
}

// openChannel returns a channel to the broker that uses no code of the exporter.
func openChannel(t *testing.T, rabbit *rabbittest.Server) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial("amqp://guest:guest@" + rabbit.Address + "/")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

// declareOldQueues declares the queues of an earlier version, which had one job queue for all organizations.
func declareOldQueues(t *testing.T, ch *amqp.Channel) {
	t.Helper()
	require.NoError(t, ch.ExchangeDeclare("gh.backfill", amqp.ExchangeDirect, true, false, false, false, nil))
	for name, args := range map[string]amqp.Table{
		"gh.backfill.jobs": {
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(20),
			"x-dead-letter-exchange": "gh.backfill", "x-dead-letter-routing-key": "gh.backfill.dlq",
		},
		"gh.backfill.retry.3s": {
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-message-ttl": int64(3000),
			"x-dead-letter-exchange": "gh.backfill", "x-dead-letter-routing-key": "gh.backfill.jobs",
			"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
		},
		"gh.backfill.dlq": {
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-max-length": int64(50_000), "x-overflow": "drop-head",
		},
	} {
		_, err := ch.QueueDeclare(name, true, false, false, false, args)
		require.NoError(t, err)
		require.NoError(t, ch.QueueBind(name, name, "gh.backfill", false, nil))
	}
}

// publishOldJobs publishes jobs of an organization's repository, in the format of an earlier version, that read it
// again.
func publishOldJobs(t *testing.T, ch *amqp.Channel, key, login string, n int) {
	t.Helper()
	now := time.Now().UTC()
	for i := range n {
		job := backfill.Job{
			ID:  fmt.Sprintf("old-%s-%s-%d", login, strings.TrimPrefix(key, "gh.backfill."), i),
			Org: login, Repo: "repo-01",
			Streams: activity.StreamsOf(activity.StreamCommits),
			Window:  activity.Window{Start: now.Add(-time.Hour), End: now},
			Reason:  backfill.ReasonOperator, Attempt: 1, CreatedAt: now,
		}
		require.NoError(t, ch.PublishWithContext(t.Context(), "gh.backfill", key, true, false,
			amqp.Publishing{Body: job.Encode(), DeliveryMode: amqp.Persistent}))
	}
}

// TestSharedBroker: two deployments with different organizations and the default names share a broker with jobs of both
// from an earlier version. Each deployment finishes its own jobs, none is dead-lettered, and the log names the other
// organization once.
func TestSharedBroker(t *testing.T) {
	t.Parallel()
	first, second := newActiveOrg(8, 9*24*time.Hour, 6*time.Hour), newActiveOrg(8, 9*24*time.Hour, 6*time.Hour)
	second.Org.Login = "widgets"
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{first, second}, Limits: highLimits,
		Timeline: githubtest.EndingAt(first, time.Minute, time.Now(), 1),
	})
	server.HideAfter(time.Now())
	rabbit := rabbittest.Start(t)
	ch := openChannel(t, rabbit)
	declareOldQueues(t, ch)
	for _, login := range []string{org, "widgets"} {
		publishOldJobs(t, ch, "gh.backfill.jobs", login, 10)
		publishOldJobs(t, ch, "gh.backfill.retry.3s", login, 3)
	}
	deployments := []*deployment{startDeployment(t, server, rabbit, org), startDeployment(t, server, rabbit, "widgets")}
	for _, d := range deployments {
		d.awaitComplete(t, d.org)
		eventually(t, time.Minute, func() error { return d.checkJobsDone(t, 13+8) }) // and one for each repository
	}
	returned := 0.0
	for i, d := range deployments {
		eventually(t, 30*time.Second, func() error { return d.checkQueuesEmpty(t) })
		n, err := d.value(t.Context(), `gh_exporter_queue_returned_messages_total{queue="gh.backfill.jobs"}`)
		require.NoError(t, err)
		returned += n
		require.LessOrEqual(t, strings.Count(d.Output(), "Another deployment shares this queue"), 1)
		other := deployments[1-i].org
		if n > 0 {
			awaitLog(t, d.Process, fmt.Sprintf("%q", other))
		}
		_, err = d.value(t.Context(), fmt.Sprintf("gh_exporter_queue_depth{queue=%q}", "gh.backfill.jobs."+other))
		require.Error(t, err, "its queue is not this deployment's")
		requireNoSecret(t, d.Output())
	}
	t.Logf("%v jobs were given back", returned)
	require.Positive(t, returned)
}

// checkJobsDone returns an error unless as many jobs were finished.
func (d *deployment) checkJobsDone(t *testing.T, jobs float64) error {
	t.Helper()
	n := d.count(t.Context(), fmt.Sprintf(
		`gh_exporter_backfill_jobs_processed_total{org=%q,result="processed"}`, d.org,
	))
	if n < jobs {
		return fmt.Errorf("%v jobs processed, want %v", n, jobs)
	}
	return nil
}

// checkQueuesEmpty returns an error unless the job queue and the dead-letter queue are empty.
func (d *deployment) checkQueuesEmpty(t *testing.T) error {
	t.Helper()
	for _, queue := range []string{
		"gh.backfill.jobs", "gh.backfill.jobs." + d.org, "gh.backfill.retry", "gh.backfill.dlq",
	} {
		n, err := d.value(t.Context(), fmt.Sprintf("gh_exporter_queue_depth{queue=%q}", queue))
		if err != nil || n != 0 {
			return fmt.Errorf("%s: %v jobs in %s: %w", d.org, n, queue, err)
		}
	}
	return nil
}

// TestVanishingJobs: with a policy of the broker that keeps two jobs and drops the others, and with one that refuses
// them, the replica is degraded with the reason, stays ready, and recovers by itself.
func TestVanishingJobs(t *testing.T) {
	t.Parallel()
	data := newActiveOrg(60, 9*24*time.Hour, 12*time.Hour)
	s := prepareSystem(t, systemSettings{
		data: data, timeline: githubtest.EndingAt(data, time.Minute, time.Now(), 1),
		replicas: 1, interval: 3 * time.Second,
		lookback: 240 * time.Hour, rabbit: ", prefetch: 1", backfill: ", consumer_count: 1",
	})
	s.server.HideAfter(time.Now())
	policy := func(definition string) {
		t.Helper()
		s.rabbit.Rabbitmqctl("set_policy", "--apply-to", "queues", "few", `^gh\.backfill\.jobs`, definition)
	}
	policy(`{"max-length": 2}`)
	slow := githubtest.Fault{
		Match: githubtest.Match{Operation: "Activity"}, Effect: githubtest.SlowBody(400 * time.Millisecond),
	}
	s.run(t)
	r := s.replicas[0]
	eventually(t, time.Minute, func() error {
		if r.count(t.Context(), fmt.Sprintf("gh_exporter_gaps{org=%q}", org)) < 60 {
			return errors.New("the first pass has not ended")
		}
		return nil
	})
	s.server.InjectFault(slow)
	r.awaitHealth(t, expectedHealth{"leader", "degraded", "backfill", false}, 90*time.Second)
	detail := func() string {
		return r.healthz(t).Components["Receiver:githubexporter"].Dependencies["backfill"].Detail
	}
	t.Log(detail())
	for _, want := range []string{
		"vanish in queue", jobsQueue, "max-length, message-ttl and overflow", "never delivered",
	} {
		require.Contains(t, detail(), want)
	}
	policy(`{"max-length": 2, "overflow": "reject-publish"}`)
	eventually(t, time.Minute, func() error {
		if text := detail(); !strings.Contains(text, "refuses jobs") || !strings.Contains(text, jobsQueue) {
			return fmt.Errorf("the reason is %q", text)
		}
		return nil
	})
	s.rabbit.Rabbitmqctl("clear_policy", "few")
	s.server.ClearFaults()
	r.awaitComplete(t, org)
	r.awaitHealth(t, expectedHealth{"leader", "healthy", "backfill", true}, 2*time.Minute)
	for _, line := range []string{
		"Published backfill jobs are not delivered", "Published backfill jobs are delivered again",
		"RabbitMQ refuses jobs for a queue", "RabbitMQ takes jobs for a queue again",
	} {
		n := strings.Count(r.Output(), line)
		t.Logf("%d times: %s", n, line)
		require.Positive(t, n, line)
		require.LessOrEqual(t, n, 4, "one line for each change")
	}
	requireNoSecret(t, r.Output())
}
