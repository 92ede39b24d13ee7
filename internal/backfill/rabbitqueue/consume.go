// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// republishDelay is the wait between two attempts to publish the outcome of a job.
const republishDelay = time.Second

// Consume implements backfill.Queue.
func (q *Queue) Consume(ctx context.Context, handler backfill.Handler) error {
	q.settings.OnConsumer(errNotConnected)
	for ctx.Err() == nil {
		conn, err := q.awaitConsumerConn(ctx)
		if err != nil {
			break
		}
		if err := q.runSession(ctx, conn, handler); err != nil && ctx.Err() == nil {
			q.settings.Logger.Warn("Consuming jobs was interrupted.", zap.Error(err))
			q.settings.OnConsumer(err)
			q.consumer.reconnect()                // a new connection declares the queues again
			_ = wakeup.Sleep(ctx, minRedialDelay) // the loop checks ctx
		}
	}
	return context.Cause(ctx)
}

// awaitConsumerConn returns the connection of the consumers as soon as there is one.
func (q *Queue) awaitConsumerConn(ctx context.Context) (*amqp.Connection, error) {
	q.isAwaitingConn.Store(true)
	defer q.isAwaitingConn.Store(false)
	if _, err := q.consumer.current(); err != nil {
		q.settings.OnConsumer(err)
	}
	return q.consumer.await(ctx)
}

// prefetchPerQueue returns the prefetch count of each queue. Quorum queues have no limit for a channel as a whole
// (https://www.rabbitmq.com/docs/quorum-queues#feature-matrix, "Global QoS Prefetch").
func (q *Queue) prefetchPerQueue() int {
	return max(q.settings.Consumers, q.settings.Prefetch/max(1, len(q.sources.orgs)), 1)
}

// runSession consumes on one connection until it or ctx ends, and waits for the handlers.
func (q *Queue) runSession(ctx context.Context, conn *amqp.Connection, handler backfill.Handler) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	// The broker requeues unacknowledged jobs when the channel is closed.
	defer func() { _ = ch.Close() }()
	s := &session{
		queue: q, channel: ch, handler: handler, closeReason: watchChannel(ch), stopped: make(chan struct{}),
		slots: make(chan struct{}, max(1, q.settings.Consumers)),
	}
	if err := ch.Qos(q.prefetchPerQueue(), 0, false); err != nil {
		return err
	}
	sources := q.sources.present()
	deliveries := make([]<-chan amqp.Delivery, len(sources))
	for i, from := range sources {
		if deliveries[i], err = ch.Consume(from.name, "", false, false, false, false, nil); err != nil {
			return fmt.Errorf("consume %q: %w", from.name, err)
		}
	}
	q.numConsumers.Add(1)
	defer q.numConsumers.Add(-1)
	q.settings.OnConsumer(nil)
	var consumers sync.WaitGroup
	for i, from := range sources {
		for range cap(s.slots) {
			consumers.Go(func() { s.consumeQueue(ctx, from, deliveries[i]) })
		}
	}
	consumers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the broker ended the deliveries of %q: %w", s.endedQueue, s.closeReason.reason(errNoReason))
}

// session is the consuming of all queues on one channel.
type session struct {
	queue       *Queue
	channel     *amqp.Channel
	handler     backfill.Handler
	closeReason channelClose
	// slots bound the jobs that are worked on at a time. Goroutines acquire one in the order in which they wait, so
	// that many jobs of one organization do not delay those of another.
	slots chan struct{}
	// stopped is closed when the broker has ended the deliveries of a queue, which is endedQueue; the session ends
	// then.
	stopOnce   sync.Once
	stopped    chan struct{}
	endedQueue string
}

// consumeQueue handles the deliveries of a queue until the session or ctx ends.
func (s *session) consumeQueue(ctx context.Context, from *source, deliveries <-chan amqp.Delivery) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.stopped:
			return
		case d, open := <-deliveries:
			if !open {
				s.stop(from)
				return
			}
			if !s.handleInSlot(ctx, from, &d) {
				return
			}
		}
	}
}

// stop ends the session, unless the queue of the release before was deleted, which is expected.
func (s *session) stop(from *source) {
	if from == s.queue.sources.legacy && !s.channel.IsClosed() {
		return
	}
	s.stopOnce.Do(func() {
		s.endedQueue = from.name
		close(s.stopped)
	})
}

// handleInSlot handles a delivery once it has acquired a slot. It reports false when the session or ctx ended first.
func (s *session) handleInSlot(ctx context.Context, from *source, d *amqp.Delivery) bool {
	select {
	case <-ctx.Done():
		return false
	case <-s.stopped:
		return false
	case s.slots <- struct{}{}:
	}
	defer func() { <-s.slots }()
	s.queue.handleDelivery(ctx, from, d, s.handler)
	return true
}

// handleDelivery calls the handler with a delivered job, and acknowledges the delivery once the broker has confirmed
// the outcome. A job that ctx interrupted stays unacknowledged.
func (q *Queue) handleDelivery(ctx context.Context, from *source, d *amqp.Delivery, handler backfill.Handler) {
	job, err := backfill.Decode(d.Body)
	if err != nil {
		q.deadLetterInvalid(ctx, from, d, err)
		return
	}
	job.Returns = parseReturns(d.Headers)
	from.oldest.Store(job.CreatedAt.UnixMilli())
	err = handler(ctx, job)
	if ctx.Err() != nil && err != nil {
		return
	}
	outcome := q.settings.Retries.DecideOutcome(&job, err)
	if outcome.Kind == backfill.OutcomeDone || q.republish(ctx, q.outcomeMessage(from, d, &job, outcome, err)) {
		q.acknowledge(d)
		if outcome.Returns > 0 {
			q.settings.OnReturned(from.name)
		}
	}
}

// outcomeMessage returns the message of a retry or a dead letter.
func (q *Queue) outcomeMessage(
	from *source, d *amqp.Delivery, job *backfill.Job, outcome backfill.Outcome, err error,
) outgoing {
	now := q.settings.Now()
	reason := fmt.Errorf("attempt %d: %w", job.Attempt, err)
	switch {
	case outcome.Kind == backfill.OutcomeDeadLetter:
		if job.Returns > 0 {
			reason = fmt.Errorf("returned %d times: %w", job.Returns, err)
		}
		return q.toBoundQueue(q.settings.DeadQueue, deadLetterMessage(d, job.Attempt, reason, now))
	case outcome.Returns > 0:
		reason = fmt.Errorf("returned: %w", err)
		m := retryMessage(d, job, reason, now)
		m.Headers[HeaderReturns] = strconv.Itoa(outcome.Returns)
		return q.toRetryQueue(outcome.Delay, from.name, m)
	default:
		following := *job
		following.Attempt = outcome.Attempt
		return q.toRetryQueue(
			outcome.Delay,
			OrgQueue(q.settings.Queue, job.Org),
			retryMessage(d, &following, reason, now),
		)
	}
}

// deadLetterInvalid moves a message that does not encode a job to the dead-letter queue.
func (q *Queue) deadLetterInvalid(ctx context.Context, from *source, d *amqp.Delivery, err error) {
	q.settings.Logger.Warn("Invalid message in the backfill queue moved to the dead-letter queue.",
		zap.String("queue", from.name), zap.Error(err))
	q.settings.OnInvalid(from.name)
	if q.republish(ctx, q.toBoundQueue(q.settings.DeadQueue, deadLetterMessage(d, 0, err, q.settings.Now()))) {
		q.acknowledge(d)
	}
}

// republish publishes an outcome until the broker confirms it. It reports false when ctx ended first: then the broker
// delivers the original message again.
func (q *Queue) republish(ctx context.Context, m outgoing) bool {
	for {
		if _, err := q.publisher.publish(ctx, []outgoing{m}); err == nil {
			return true
		}
		if wakeup.Sleep(ctx, republishDelay) != nil {
			return false
		}
	}
}

// acknowledge ends a delivery. An error means that the connection was lost: the job is delivered again, and is a
// duplicate.
func (q *Queue) acknowledge(d *amqp.Delivery) {
	if err := d.Ack(false); err != nil {
		q.settings.Logger.Debug("Failed to acknowledge a backfill job; the broker delivers it again.", zap.Error(err))
	}
}
