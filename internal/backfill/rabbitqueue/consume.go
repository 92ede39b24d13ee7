package rabbitqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// republishDelay is the wait before it is tried again to publish what a job has become.
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
			q.consumer.reconnect() // a new connection declares the queues again
			select {
			case <-ctx.Done():
			case <-time.After(minRedialDelay):
			}
		}
	}
	return context.Cause(ctx)
}

// runSession consumes on one connection until it ends, and waits for the handlers.
func (q *Queue) runSession(ctx context.Context, conn *amqp.Connection, handler backfill.Handler) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	// Jobs that are not done go back when the channel ends.
	defer func() { _ = ch.Close() }()
	s := &session{
		queue: q, channel: ch, handler: handler, closeReason: watchChannel(ch), stopped: make(chan struct{}),
		slots: make(chan struct{}, max(1, q.settings.Consumers)),
	}
	if err := ch.Qos(q.prefetchPerQueue(), 0, false); err != nil {
		return err
	}
	sources := q.sources
	if old := q.presentLegacyQueues(); len(old) > 0 && old[0] == q.legacySource.name {
		sources = append(slices.Clone(sources), q.legacySource)
	}
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

// session is the consuming on one channel.
type session struct {
	queue       *Queue
	channel     *amqp.Channel
	handler     backfill.Handler
	closeReason channelClose
	// slots bound the jobs that are worked on at a time. Who waits for one is served in turn, so that many jobs of one
	// organization do not keep those of another waiting.
	slots chan struct{}
	// over is closed when the deliveries of a queue have ended; then the session ends.
	stopOnce   sync.Once
	stopped    chan struct{}
	endedQueue string
}

// consumeQueue works on a queue's deliveries until there are no more.
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

// stop ends the session, unless a queue of a version before was deleted, which is no loss.
func (s *session) stop(from *source) {
	if from == s.queue.legacySource && !s.channel.IsClosed() {
		return
	}
	s.stopOnce.Do(func() {
		s.endedQueue = from.name
		close(s.stopped)
	})
}

// handleInSlot has a job worked on in its turn.
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

// handleDelivery has a message worked on, and acknowledges it when it is certain what becomes of it.
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
		return // unfinished: it is delivered again
	}
	outcome := q.settings.Retries.DecideOutcome(&job, err)
	if outcome.Kind == backfill.OutcomeDone || q.republish(ctx, q.outcomeMessage(from, d, &job, outcome, err)) {
		q.acknowledge(d)
		if outcome.Returns > 0 {
			q.settings.OnReturned(from.name)
		}
	}
}

// outcomeMessage is what becomes of a job that is not done.
func (q *Queue) outcomeMessage(from *source, d *amqp.Delivery, job *backfill.Job, outcome backfill.Outcome, err error) outgoing {
	now := q.settings.Now()
	reason := fmt.Errorf("attempt %d: %w", job.Attempt, err)
	switch {
	case outcome.Kind == backfill.OutcomeDeadLetter:
		if job.Returns > 0 {
			reason = fmt.Errorf("given back %d times: %w", job.Returns, err)
		}
		return q.toJobQueue(q.settings.DeadQueue, deadLetterMessage(d, job.Attempt, reason, now))
	case outcome.Returns > 0:
		reason = fmt.Errorf("given back: %w", err)
		m := retryMessage(d, job, reason, now)
		m.Headers[HeaderReturns] = strconv.Itoa(outcome.Returns)
		return q.toRetryQueue(outcome.Delay, from.name, m)
	default:
		following := *job
		following.Attempt = outcome.Attempt
		return q.toRetryQueue(outcome.Delay, OrgQueue(q.settings.Queue, job.Org), retryMessage(d, &following, reason, now))
	}
}

// deadLetterInvalid buries a message that is no job.
func (q *Queue) deadLetterInvalid(ctx context.Context, from *source, d *amqp.Delivery, err error) {
	q.settings.Logger.Warn("A message in the queue of jobs is no job; it waits among the dead ones.",
		zap.String("queue", from.name), zap.Error(err))
	q.settings.OnInvalid(from.name)
	if q.republish(ctx, q.toJobQueue(q.settings.DeadQueue, deadLetterMessage(d, 0, err, q.settings.Now()))) {
		q.acknowledge(d)
	}
}

// republish publishes what a message has become, until the broker has it. It gives up when ctx ends: then the message is
// delivered again.
func (q *Queue) republish(ctx context.Context, m outgoing) bool {
	for {
		if _, err := q.publisher.publish(ctx, []outgoing{m}); err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(republishDelay):
		}
	}
}

// acknowledge ends a delivery. When that fails the connection was lost, and the job is delivered again, which does no harm.
func (q *Queue) acknowledge(d *amqp.Delivery) {
	if err := d.Ack(false); err != nil {
		q.settings.Logger.Debug("A job could not be acknowledged; it is delivered again.", zap.Error(err))
	}
}
