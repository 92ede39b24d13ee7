// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rabbitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/queuetest"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
)

// withNames makes deployments share the names of names.
func withNames(names rabbitqueue.Settings, orgs ...string) func(*rabbitqueue.Settings) {
	return func(s *rabbitqueue.Settings) {
		s.Exchange, s.Queue, s.DeadQueue, s.Orgs = names.Exchange, names.Queue, names.DeadQueue, orgs
	}
}

// newNames returns names that no other test uses.
func newNames() rabbitqueue.Settings {
	name := fmt.Sprintf("shared%d", names.Add(1))
	return rabbitqueue.Settings{Exchange: name, Queue: name + ".jobs", DeadQueue: name + ".dlq"}
}

// orgJobs returns n jobs of an organization.
func orgJobs(org string, n int) []backfill.Job {
	jobs := queuetest.NewJobs(n)
	for i := range jobs {
		jobs[i].Org, jobs[i].ID = org, fmt.Sprintf("%s-%d", org, i)
	}
	return jobs
}

// countingHandler counts the jobs of orgs and returns those of others. With fails the first attempt of each job fails.
func countingHandler(done *atomic.Int64, fails bool, orgs ...string) backfill.Handler {
	return func(_ context.Context, job backfill.Job) error {
		for _, org := range orgs {
			switch {
			case org != job.Org:
			case fails && job.Attempt == 1:
				return errors.New("not yet")
			default:
				done.Add(1)
				return nil
			}
		}
		return &backfill.UnknownOrgError{Org: job.Org}
	}
}

// declareLegacyTopology declares what the release before declared.
func declareLegacyTopology(t *testing.T, ch *amqp.Channel, s *rabbitqueue.Settings) {
	t.Helper()
	require.NoError(t, ch.ExchangeDeclare(s.Exchange, amqp.ExchangeDirect, true, false, false, false, nil))
	for name, args := range map[string]amqp.Table{
		s.Queue: {
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(20),
			"x-dead-letter-exchange": s.Exchange, "x-dead-letter-routing-key": s.DeadQueue,
		},
		s.DeadQueue: {
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-max-length": int64(50_000),
			"x-overflow": "drop-head",
		},
		rabbitqueue.RetryQueues(s.Queue) + ".200ms": {
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-message-ttl": int64(200),
			"x-dead-letter-exchange": s.Exchange, "x-dead-letter-routing-key": s.Queue,
			"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
		},
	} {
		_, err := ch.QueueDeclare(name, true, false, false, false, args)
		require.NoError(t, err)
		require.NoError(t, ch.QueueBind(name, name, s.Exchange, false, nil))
	}
}

// publishRaw publishes jobs with a routing key, as the release before does.
func publishRaw(t *testing.T, ch *amqp.Channel, exchange, key string, jobs ...backfill.Job) {
	t.Helper()
	for i := range jobs {
		require.NoError(t, ch.PublishWithContext(t.Context(), exchange, key, true, false,
			amqp.Publishing{Body: jobs[i].Encode(), MessageId: jobs[i].ID, DeliveryMode: amqp.Persistent}))
	}
}

func TestSharedBroker(t *testing.T) {
	t.Parallel()
	s := rabbittest.Start(t)
	t.Run("deployments are separate", func(t *testing.T) { testDeploymentsAreSeparate(t, s) })
	t.Run("jobs of a new organization wait for its replicas", func(t *testing.T) { testRollingUpdate(t, s) })
	t.Run("consumes the queues of the release before", func(t *testing.T) { testLegacyQueuesAreConsumed(t, s) })
	t.Run(
		"survives the deletion of the queue of the release before",
		func(t *testing.T) { testLegacyQueueDeleted(t, s) },
	)
	t.Run("replays dead letters of all organizations", func(t *testing.T) { testReplayAllOrgs(t, s) })
	t.Run("dead-letters the retries of a deleted queue", func(t *testing.T) { testRetriesOfDeletedQueue(t, s) })
	t.Run("shares slots among organizations", func(t *testing.T) { testFairness(t, s) })
	t.Run("needs the permissions of one deployment", func(t *testing.T) { testLimitedPermissions(t, s) })
	t.Run("names a queue that refuses jobs", func(t *testing.T) { testRefusedByPolicy(t, s) })
}

// testDeploymentsAreSeparate: deployments with the same names and different organizations do not receive each other's
// jobs.
func testDeploymentsAreSeparate(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	first := startQueue(t, s, withNames(shared, "acme", "Octo")).awaitConnected(t)
	second := startQueue(t, s, withNames(shared, "widgets")).awaitConnected(t)
	var ofFirst, ofSecond atomic.Int64
	consume(t, first, countingHandler(&ofFirst, true, "acme", "Octo"))
	consume(t, second, countingHandler(&ofSecond, true, "widgets"))
	publish(t, first, append(orgJobs("acme", 40), orgJobs("Octo", 40)...)...)
	publish(t, second, orgJobs("widgets", 40)...)
	eventually(t, "all jobs", func() bool { return ofFirst.Load() == 80 && ofSecond.Load() == 40 })
	for _, f := range []*fixture{first, second} {
		eventually(
			t,
			"empty queues",
			hasDepth(t, f, func(d backfill.Depth) bool { return d.Pending() == 0 && d.DeadLetters == 0 }),
		)
		require.Zero(t, f.returned.Load())
	}
	d, err := first.Depth(t.Context())
	require.NoError(t, err)
	require.Len(t, d.Queues, 2)
	require.Equal(t, backfill.QueueDepth{Name: shared.Queue + ".octo", Org: "Octo", Consumers: 1}, d.Queues[1])
	require.Equal(t, 1, d.Consumers)
	one, err := first.OrgDepth(t.Context(), "octo")
	require.NoError(t, err)
	require.Len(t, one.Queues, 1)
	_, err = first.OrgDepth(t.Context(), "widgets")
	require.Error(t, err)
}

func testRollingUpdate(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	present := startQueue(t, s, withNames(shared, "acme")).awaitConnected(t)
	var n atomic.Int64
	consume(t, present, countingHandler(&n, false, "acme"))
	updated := startQueue(t, s, withNames(shared, "acme", "widgets")).awaitConnected(t)
	publish(t, updated, append(orgJobs("widgets", 20), orgJobs("acme", 20)...)...)
	eventually(t, "the jobs of the organization that both know", func() bool { return n.Load() == 20 })
	eventually(t, "the others in their queue", hasDepth(t, updated, func(d backfill.Depth) bool {
		return d.Ready == 20 && d.Consumers == 0
	}))
	consume(t, updated, countingHandler(&n, false, "acme", "widgets"))
	eventually(t, "all jobs", func() bool { return n.Load() == 40 })
	require.Zero(t, present.returned.Load())
}

// testLegacyQueuesAreConsumed: jobs in the queues of the release before are read by the deployment of their
// organization, and dead letters are replayed.
func testLegacyQueuesAreConsumed(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	ch := openChannel(t, s)
	declareLegacyTopology(t, ch, &shared)
	publishRaw(t, ch, shared.Exchange, shared.Queue, append(orgJobs("acme", 20), orgJobs("widgets", 20)...)...)
	retried := orgJobs("acme", 25)[20:]
	publishRaw(t, ch, shared.Exchange, rabbitqueue.RetryQueues(shared.Queue)+".200ms", retried...)
	publishRaw(t, ch, shared.Exchange, shared.DeadQueue, orgJobs("acme", 26)[25:]...)
	first, second := startQueue(
		t,
		s,
		withNames(shared, "acme"),
	).awaitConnected(
		t,
	), startQueue(
		t,
		s,
		withNames(shared, "widgets"),
	).awaitConnected(
		t,
	)
	eventually(t, "what a version before has left waits, too",
		hasDepth(t, first, func(d backfill.Depth) bool { return d.Pending() == 45 }))
	var ofFirst, ofSecond atomic.Int64
	consume(t, first, countingHandler(&ofFirst, true, "acme"))
	consume(t, second, countingHandler(&ofSecond, true, "widgets"))
	eventually(t, "all jobs", func() bool { return ofFirst.Load() == 25 && ofSecond.Load() == 20 })
	eventually(
		t,
		"empty queues",
		hasDepth(t, first, func(d backfill.Depth) bool { return d.Pending() == 0 && d.DeadLetters == 1 }),
	)
	t.Logf("returned: %d and %d times", first.returned.Load(), second.returned.Load())
	require.Positive(t, first.returned.Load()+second.returned.Load())
	// A replica of the version before lives on for a while.
	publishRaw(t, ch, shared.Exchange, shared.Queue, orgJobs("acme", 1)...)
	eventually(t, "its job", func() bool { return ofFirst.Load() == 26 })

	require.NoError(t, rabbitqueue.ReviewDeadLetters(t.Context(), first.settings, decideReplay))
	eventually(t, "the replayed job", func() bool { return ofFirst.Load() == 27 })
	publishRaw(t, ch, shared.Exchange, shared.DeadQueue, orgJobs("elsewhere", 1)...)
	require.NoError(t, rabbitqueue.ReviewDeadLetters(t.Context(), first.settings, decideReplay))
	eventually(
		t,
		"a dead job",
		hasDepth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 1 && d.Pending() == 0 }),
	)
	dead, there, err := ch.Get(shared.DeadQueue, true)
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t,
		fmt.Sprintf(`returned %d times: organization "elsewhere" is not configured here`, backfill.MaxReturns),
		dead.Headers[rabbitqueue.HeaderError])
}

// decideReplay replays every dead letter.
func decideReplay(rabbitqueue.DeadLetter) rabbitqueue.Decision { return rabbitqueue.DecisionReplay }

func testLegacyQueueDeleted(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	ch := openChannel(t, s)
	declareLegacyTopology(t, ch, &shared)
	f := startQueue(t, s, withNames(shared, "acme")).awaitConnected(t)
	var n atomic.Int64
	consume(t, f, countingHandler(&n, false, "acme"))
	eventually(
		t,
		"consumers",
		hasDepth(t, f, func(d backfill.Depth) bool { return d.Consumers == 1 && len(d.Queues) == 2 }),
	)
	for _, name := range []string{rabbitqueue.RetryQueues(shared.Queue) + ".200ms", shared.Queue} {
		_, err := ch.QueueDelete(name, false, false, false)
		require.NoError(t, err)
		d, err := f.Depth(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, d.Consumers)
	}
	publish(t, f, orgJobs("acme", 10)...)
	eventually(t, "all jobs", func() bool { return n.Load() == 10 })
	d, err := f.Depth(t.Context())
	require.NoError(t, err)
	require.Len(t, d.Queues, 1)
	require.NoError(t, f.connError())
	require.Zero(t, f.logs.FilterMessageSnippet("interrupted").Len())
	require.Zero(t, f.logs.FilterMessageSnippet("is not available").Len())
}

func testReplayAllOrgs(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	first, second := startQueue(
		t,
		s,
		withNames(shared, "acme"),
	).awaitConnected(
		t,
	), startQueue(
		t,
		s,
		withNames(shared, "widgets"),
	).awaitConnected(
		t,
	)
	ch := openChannel(t, s)
	publishRaw(t, ch, shared.Exchange, shared.DeadQueue, append(orgJobs("Acme", 2), orgJobs("widgets", 3)...)...)
	eventually(t, "dead jobs", hasDepth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 5 }))
	operator := first.settings
	operator.Orgs = nil // the tool does not know them
	require.NoError(t, rabbitqueue.ReviewDeadLetters(t.Context(), operator, decideReplay))
	eventually(t, "jobs", hasDepth(t, first, func(d backfill.Depth) bool { return d.Ready == 2 && d.DeadLetters == 0 }))
	eventually(t, "jobs", hasDepth(t, second, func(d backfill.Depth) bool { return d.Ready == 3 }))

	publishRaw(t, ch, shared.Exchange, shared.DeadQueue, orgJobs("gone", 1)...)
	eventually(t, "a dead job", hasDepth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 1 }))
	err := rabbitqueue.ReviewDeadLetters(t.Context(), operator, decideReplay)
	require.ErrorContains(t, err, fmt.Sprintf("there is no queue %q behind the exchange", shared.Queue+".gone"))
	eventually(t, "it is kept", hasDepth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 1 }))
}

// testRetriesOfDeletedQueue: retries of a deleted queue become dead letters, and do not hold up the retries of others.
func testRetriesOfDeletedQueue(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	first, second := startQueue(
		t,
		s,
		withNames(shared, "acme"),
	).awaitConnected(
		t,
	), startQueue(
		t,
		s,
		withNames(shared, "widgets"),
	).awaitConnected(
		t,
	)
	ch := openChannel(t, s)
	_, err := ch.QueueDelete(shared.Queue+".acme", false, false, false)
	require.NoError(t, err)
	first.Close()
	publishRaw(t, ch, rabbitqueue.RetryQueues(shared.Queue)+".in.200ms", shared.Queue+".acme", orgJobs("acme", 100)...)
	var n atomic.Int64
	consume(t, second, countingHandler(&n, true, "widgets"))
	publish(t, second, orgJobs("widgets", 10)...)
	eventually(t, "the other's jobs", func() bool { return n.Load() == 10 })
	eventually(
		t,
		"dead jobs",
		hasDepth(t, second, func(d backfill.Depth) bool { return d.DeadLetters == 100 && d.Pending() == 0 }),
	)
}

// testFairness: many long jobs of one organization do not hold up those of another.
func testFairness(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s, withNames(newNames(), "acme", "widgets")).awaitConnected(t)
	publish(t, f, orgJobs("acme", 60)...)
	publish(t, f, orgJobs("widgets", 4)...)
	var busy, other, before, running atomic.Int64
	var tooMany atomic.Bool
	consume(t, f, func(ctx context.Context, job backfill.Job) error {
		if running.Add(1) > queuetest.Consumers {
			tooMany.Store(true)
		}
		defer running.Add(-1)
		if job.Org == "widgets" {
			if other.Add(1) == 4 {
				before.Store(busy.Load())
			}
			return nil
		}
		busy.Add(1)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
		return nil
	})
	eventually(t, "all jobs", func() bool { return busy.Load() == 60 && other.Load() == 4 })
	require.Less(t, before.Load(), int64(30))
	require.False(t, tooMany.Load())
}

// testLimitedPermissions: a user with the documented permissions for one organization's queues can do everything.
func testLimitedPermissions(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	declareLegacyTopology(t, openChannel(t, s), &shared) // not this user's
	pattern := "^" + shared.Exchange + `(\.jobs\.acme|\.dlq|\.retry\.(in\..+|due|unrouted))?$`
	s.Rabbitmqctl("add_user", "acme", "s3cret")
	s.Rabbitmqctl("set_permissions", "-p", "/", "acme", pattern, pattern, pattern)
	f := startQueue(t, s, withNames(shared, "acme"), func(s *rabbitqueue.Settings) {
		s.Auth = rabbitqueue.PlainAuth("acme", "s3cret")
	}).awaitConnected(t)
	var n atomic.Int64
	consume(t, f, countingHandler(&n, true, "acme"))
	publish(t, f, orgJobs("acme", 10)...)
	eventually(t, "all jobs", func() bool { return n.Load() == 10 })
	publish(t, f, orgJobs("acme", 1)...)
	eventually(t, "one more", func() bool { return n.Load() == 11 })
	d, err := f.Depth(t.Context())
	require.NoError(t, err)
	require.Len(t, d.Queues, 1)
}

// testRefusedByPolicy: a policy bounds a queue and refuses further jobs.
func testRefusedByPolicy(t *testing.T, s *rabbittest.Server) {
	shared := newNames()
	s.Rabbitmqctl("set_policy", "--apply-to", "queues", "few", "^"+shared.Queue,
		`{"max-length": 2, "overflow": "reject-publish"}`)
	var later atomic.Int64
	f := startQueue(t, s, withNames(shared, "acme"), func(s *rabbitqueue.Settings) {
		s.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}).awaitConnected(t)
	name := rabbitqueue.OrgQueue(shared.Queue, "acme")
	var err error
	eventually(t, "a refused job", func() bool { // a channel applies the limit with a delay
		_, err = f.Publish(t.Context(), orgJobs("acme", 20))
		return err != nil
	})
	require.ErrorAs(t, err, new(*rabbitqueue.RefusedError))
	require.ErrorIs(t, err, rabbitqueue.ErrUnavailable)
	require.ErrorContains(t, err, fmt.Sprintf("refuses jobs for the queue %q", name))
	require.ErrorContains(t, err, "max-length and overflow")
	require.ErrorAs(t, *f.refused.Load(), new(*rabbitqueue.RefusedError))
	_, err = f.Publish(t.Context(), orgJobs("acme", 1))
	require.ErrorAs(t, err, new(*rabbitqueue.RefusedError))
	require.NoError(t, f.connError(), "the connection is kept")
	require.Equal(t, 1, f.logs.FilterMessageSnippet("refuses jobs").Len())
	s.Rabbitmqctl("clear_policy", "few")
	later.Store(int64(time.Minute))
	eventually(t, "that it takes jobs", func() bool {
		_, err := f.Publish(t.Context(), orgJobs("acme", 1))
		return err == nil && *f.refused.Load() == nil
	})
	require.Equal(t, 1, f.logs.FilterMessageSnippet("takes jobs for a queue again").Len())

	s.Rabbitmqctl("set_policy", "--apply-to", "queues", "few", "^"+shared.Queue,
		`{"max-length": 2, "overflow": "reject-publish"}`)
	eventually(
		t,
		"a refused job",
		func() bool { _, err := f.Publish(t.Context(), orgJobs("acme", 20)); return err != nil },
	)
	require.Error(t, *f.refused.Load())
	var n atomic.Int64
	consume(t, f, countingHandler(&n, false, "acme"))
	later.Add(int64(time.Minute))
	eventually(t, "that an empty queue refuses nothing", func() bool {
		_, err := f.Depth(t.Context())
		return err == nil && *f.refused.Load() == nil
	})
	s.Rabbitmqctl("clear_policy", "few")
}
