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

// names of a fixture, for deployments that share them.
func sharing(names rabbitqueue.Settings, orgs ...string) func(*rabbitqueue.Settings) {
	return func(s *rabbitqueue.Settings) {
		s.Exchange, s.Queue, s.DeadQueue, s.Orgs = names.Exchange, names.Queue, names.DeadQueue, orgs
	}
}

// sharedNames are names that no other test uses.
func sharedNames() rabbitqueue.Settings {
	name := fmt.Sprintf("shared%d", names.Add(1))
	return rabbitqueue.Settings{Exchange: name, Queue: name + ".jobs", DeadQueue: name + ".dlq"}
}

// jobsOf are n jobs of an organization.
func jobsOf(org string, n int) []backfill.Job {
	jobs := queuetest.NewJobs(n)
	for i := range jobs {
		jobs[i].Org, jobs[i].ID = org, fmt.Sprintf("%s-%d", org, i)
	}
	return jobs
}

// worker counts the jobs of the organizations that it knows, and gives back the others. The first attempt of a job
// fails where fails is set.
func worker(done *atomic.Int64, fails bool, orgs ...string) backfill.Handler {
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

// oldTopology declares what a version before declared, as it did.
func oldTopology(t *testing.T, ch *amqp.Channel, s *rabbitqueue.Settings) {
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

// send publishes jobs with a routing key, as a version before does.
func send(t *testing.T, ch *amqp.Channel, exchange, key string, jobs ...backfill.Job) {
	t.Helper()
	for i := range jobs {
		require.NoError(t, ch.PublishWithContext(t.Context(), exchange, key, true, false,
			amqp.Publishing{Body: jobs[i].Encode(), MessageId: jobs[i].ID, DeliveryMode: amqp.Persistent}))
	}
}

func TestSharedBroker(t *testing.T) {
	t.Parallel()
	s := rabbittest.Start(t)
	t.Run("deployments do not meet", func(t *testing.T) { twoDeployments(t, s) })
	t.Run("a new organization's jobs wait for who knows it", func(t *testing.T) { rollingUpdate(t, s) })
	t.Run("a version before's jobs are not stranded", func(t *testing.T) { upgrade(t, s) })
	t.Run("deleting a version before's queue is no trouble", func(t *testing.T) { oldDeleted(t, s) })
	t.Run("dead jobs of all organizations are replayed", func(t *testing.T) { replayAll(t, s) })
	t.Run("a queue that is gone keeps no retry waiting", func(t *testing.T) { goneQueue(t, s) })
	t.Run("the busy organization leaves room", func(t *testing.T) { fairness(t, s) })
	t.Run("a user with the rights of one deployment", func(t *testing.T) { fewRights(t, s) })
	t.Run("a queue that refuses is named", func(t *testing.T) { refusing(t, s) })
}

// twoDeployments: with the same names, nothing of the one is the other's, whatever fails.
func twoDeployments(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	first := start(t, s, sharing(shared, "acme", "Octo")).ready(t)
	second := start(t, s, sharing(shared, "widgets")).ready(t)
	var ofFirst, ofSecond atomic.Int64
	consume(t, first, worker(&ofFirst, true, "acme", "Octo"))
	consume(t, second, worker(&ofSecond, true, "widgets"))
	publish(t, first, append(jobsOf("acme", 40), jobsOf("Octo", 40)...)...)
	publish(t, second, jobsOf("widgets", 40)...)
	eventually(t, "all jobs", func() bool { return ofFirst.Load() == 80 && ofSecond.Load() == 40 })
	for _, f := range []*fixture{first, second} {
		eventually(t, "empty queues", depth(t, f, func(d backfill.Depth) bool { return d.Pending() == 0 && d.DeadLetters == 0 }))
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

func rollingUpdate(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	present := start(t, s, sharing(shared, "acme")).ready(t)
	var n atomic.Int64
	consume(t, present, worker(&n, false, "acme"))
	updated := start(t, s, sharing(shared, "acme", "widgets")).ready(t)
	publish(t, updated, append(jobsOf("widgets", 20), jobsOf("acme", 20)...)...)
	eventually(t, "the jobs of the organization that both know", func() bool { return n.Load() == 20 })
	eventually(t, "the others in their queue", depth(t, updated, func(d backfill.Depth) bool {
		return d.Ready == 20 && d.Consumers == 0
	}))
	consume(t, updated, worker(&n, false, "acme", "widgets"))
	eventually(t, "all jobs", func() bool { return n.Load() == 40 })
	require.Zero(t, present.returned.Load())
}

// upgrade: what waits in the queues of a version before is worked off by whom it is for; dead jobs are replayed.
func upgrade(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	ch := channel(t, s)
	oldTopology(t, ch, &shared)
	send(t, ch, shared.Exchange, shared.Queue, append(jobsOf("acme", 20), jobsOf("widgets", 20)...)...)
	retried := jobsOf("acme", 25)[20:]
	send(t, ch, shared.Exchange, rabbitqueue.RetryQueues(shared.Queue)+".200ms", retried...)
	send(t, ch, shared.Exchange, shared.DeadQueue, jobsOf("acme", 26)[25:]...)
	first, second := start(t, s, sharing(shared, "acme")).ready(t), start(t, s, sharing(shared, "widgets")).ready(t)
	eventually(t, "what a version before has left waits, too",
		depth(t, first, func(d backfill.Depth) bool { return d.Pending() == 45 }))
	var ofFirst, ofSecond atomic.Int64
	consume(t, first, worker(&ofFirst, true, "acme"))
	consume(t, second, worker(&ofSecond, true, "widgets"))
	eventually(t, "all jobs", func() bool { return ofFirst.Load() == 25 && ofSecond.Load() == 20 })
	eventually(t, "empty queues", depth(t, first, func(d backfill.Depth) bool { return d.Pending() == 0 && d.DeadLetters == 1 }))
	t.Logf("given back: %d and %d times", first.returned.Load(), second.returned.Load())
	require.Positive(t, first.returned.Load()+second.returned.Load())
	// A replica of the version before lives on for a while.
	send(t, ch, shared.Exchange, shared.Queue, jobsOf("acme", 1)...)
	eventually(t, "its job", func() bool { return ofFirst.Load() == 26 })

	require.NoError(t, rabbitqueue.ReviewDeadLetters(t.Context(), first.settings, replayed))
	eventually(t, "the replayed job", func() bool { return ofFirst.Load() == 27 })
	send(t, ch, shared.Exchange, shared.DeadQueue, jobsOf("elsewhere", 1)...)
	require.NoError(t, rabbitqueue.ReviewDeadLetters(t.Context(), first.settings, replayed))
	eventually(t, "a dead job", depth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 1 && d.Pending() == 0 }))
	dead, there, err := ch.Get(shared.DeadQueue, true)
	require.NoError(t, err)
	require.True(t, there)
	require.Equal(t,
		fmt.Sprintf(`given back %d times: organization "elsewhere" is not configured here`, backfill.MaxReturns),
		dead.Headers[rabbitqueue.HeaderError])
}

// replayed replays every dead job.
func replayed(rabbitqueue.DeadLetter) rabbitqueue.Decision { return rabbitqueue.DecisionReplay }

func oldDeleted(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	ch := channel(t, s)
	oldTopology(t, ch, &shared)
	f := start(t, s, sharing(shared, "acme")).ready(t)
	var n atomic.Int64
	consume(t, f, worker(&n, false, "acme"))
	eventually(t, "consumers", depth(t, f, func(d backfill.Depth) bool { return d.Consumers == 1 && len(d.Queues) == 2 }))
	for _, name := range []string{rabbitqueue.RetryQueues(shared.Queue) + ".200ms", shared.Queue} {
		_, err := ch.QueueDelete(name, false, false, false)
		require.NoError(t, err)
		d, err := f.Depth(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, d.Consumers)
	}
	publish(t, f, jobsOf("acme", 10)...)
	eventually(t, "all jobs", func() bool { return n.Load() == 10 })
	d, err := f.Depth(t.Context())
	require.NoError(t, err)
	require.Len(t, d.Queues, 1)
	require.NoError(t, f.trouble())
	require.Zero(t, f.logs.FilterMessageSnippet("interrupted").Len())
	require.Zero(t, f.logs.FilterMessageSnippet("is not available").Len())
}

func replayAll(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	first, second := start(t, s, sharing(shared, "acme")).ready(t), start(t, s, sharing(shared, "widgets")).ready(t)
	ch := channel(t, s)
	send(t, ch, shared.Exchange, shared.DeadQueue, append(jobsOf("Acme", 2), jobsOf("widgets", 3)...)...)
	eventually(t, "dead jobs", depth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 5 }))
	operator := first.settings
	operator.Orgs = nil // the tool does not know them
	require.NoError(t, rabbitqueue.ReviewDeadLetters(t.Context(), operator, replayed))
	eventually(t, "jobs", depth(t, first, func(d backfill.Depth) bool { return d.Ready == 2 && d.DeadLetters == 0 }))
	eventually(t, "jobs", depth(t, second, func(d backfill.Depth) bool { return d.Ready == 3 }))

	send(t, ch, shared.Exchange, shared.DeadQueue, jobsOf("gone", 1)...)
	eventually(t, "a dead job", depth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 1 }))
	err := rabbitqueue.ReviewDeadLetters(t.Context(), operator, replayed)
	require.ErrorContains(t, err, fmt.Sprintf("there is no queue %q behind the exchange", shared.Queue+".gone"))
	eventually(t, "it is kept", depth(t, first, func(d backfill.Depth) bool { return d.DeadLetters == 1 }))
}

// goneQueue: what waits for a queue that is deleted is dead, and does not hold back the retries of others.
func goneQueue(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	first, second := start(t, s, sharing(shared, "acme")).ready(t), start(t, s, sharing(shared, "widgets")).ready(t)
	ch := channel(t, s)
	_, err := ch.QueueDelete(shared.Queue+".acme", false, false, false)
	require.NoError(t, err)
	first.Close()
	send(t, ch, rabbitqueue.RetryQueues(shared.Queue)+".in.200ms", shared.Queue+".acme", jobsOf("acme", 100)...)
	var n atomic.Int64
	consume(t, second, worker(&n, true, "widgets"))
	publish(t, second, jobsOf("widgets", 10)...)
	eventually(t, "the other's jobs", func() bool { return n.Load() == 10 })
	eventually(t, "dead jobs", depth(t, second, func(d backfill.Depth) bool { return d.DeadLetters == 100 && d.Pending() == 0 }))
}

// fairness: one organization has many jobs that take long, and the other's do not wait for the end of them.
func fairness(t *testing.T, s *rabbittest.Server) {
	f := start(t, s, sharing(sharedNames(), "acme", "widgets")).ready(t)
	publish(t, f, jobsOf("acme", 60)...)
	publish(t, f, jobsOf("widgets", 4)...)
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

// fewRights: a user that may use the queues of its own organization only, as the documents say, does all that there is
// to do.
func fewRights(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	oldTopology(t, channel(t, s), &shared) // not this user's
	pattern := "^" + shared.Exchange + `(\.jobs\.acme|\.dlq|\.retry\.(in\..+|due|unrouted))?$`
	s.Rabbitmqctl("add_user", "acme", "s3cret")
	s.Rabbitmqctl("set_permissions", "-p", "/", "acme", pattern, pattern, pattern)
	f := start(t, s, sharing(shared, "acme"), func(s *rabbitqueue.Settings) {
		s.Auth = rabbitqueue.PlainAuth("acme", "s3cret")
	}).ready(t)
	var n atomic.Int64
	consume(t, f, worker(&n, true, "acme"))
	publish(t, f, jobsOf("acme", 10)...)
	eventually(t, "all jobs", func() bool { return n.Load() == 10 })
	publish(t, f, jobsOf("acme", 1)...)
	eventually(t, "one more", func() bool { return n.Load() == 11 })
	d, err := f.Depth(t.Context())
	require.NoError(t, err)
	require.Len(t, d.Queues, 1)
}

// refusing: a policy that bounds a queue and refuses what is too much.
func refusing(t *testing.T, s *rabbittest.Server) {
	shared := sharedNames()
	s.Rabbitmqctl("set_policy", "--apply-to", "queues", "few", "^"+shared.Queue,
		`{"max-length": 2, "overflow": "reject-publish"}`)
	var later atomic.Int64
	f := start(t, s, sharing(shared, "acme"), func(s *rabbitqueue.Settings) {
		s.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	}).ready(t)
	name := rabbitqueue.OrgQueue(shared.Queue, "acme")
	var err error
	eventually(t, "a refused job", func() bool { // the queue learns with a delay that it is full
		_, err = f.Publish(t.Context(), jobsOf("acme", 20))
		return err != nil
	})
	require.ErrorAs(t, err, new(*rabbitqueue.RefusedError))
	require.ErrorIs(t, err, rabbitqueue.ErrUnavailable)
	require.ErrorContains(t, err, fmt.Sprintf("refuses jobs for the queue %q", name))
	require.ErrorContains(t, err, "max-length and overflow")
	require.ErrorAs(t, *f.refused.Load(), new(*rabbitqueue.RefusedError))
	_, err = f.Publish(t.Context(), jobsOf("acme", 1))
	require.ErrorAs(t, err, new(*rabbitqueue.RefusedError))
	require.NoError(t, f.trouble(), "the connection is kept")
	require.Equal(t, 1, f.logs.FilterMessageSnippet("refuses jobs").Len())
	s.Rabbitmqctl("clear_policy", "few")
	later.Store(int64(time.Minute))
	eventually(t, "that it takes jobs", func() bool {
		_, err := f.Publish(t.Context(), jobsOf("acme", 1))
		return err == nil && *f.refused.Load() == nil
	})
	require.Equal(t, 1, f.logs.FilterMessageSnippet("takes jobs for a queue again").Len())

	s.Rabbitmqctl("set_policy", "--apply-to", "queues", "few", "^"+shared.Queue,
		`{"max-length": 2, "overflow": "reject-publish"}`)
	eventually(t, "a refused job", func() bool { _, err := f.Publish(t.Context(), jobsOf("acme", 20)); return err != nil })
	require.Error(t, *f.refused.Load())
	var n atomic.Int64
	consume(t, f, worker(&n, false, "acme"))
	later.Add(int64(time.Minute))
	eventually(t, "that an empty queue refuses nothing", func() bool {
		_, err := f.Depth(t.Context())
		return err == nil && *f.refused.Load() == nil
	})
	s.Rabbitmqctl("clear_policy", "few")
}
