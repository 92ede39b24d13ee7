package rabbitqueue

import (
	"context"
	"fmt"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// settleAgain is the wait before it is tried again to publish what a job has become.
const settleAgain = time.Second

// Consume implements backfill.Queue.
func (q *Queue) Consume(ctx context.Context, handler backfill.Handler) error {
	q.settings.OnConsumer(errNotYet)
	for ctx.Err() == nil {
		conn, err := q.consumer.await(ctx)
		if err != nil {
			break
		}
		if err := q.session(ctx, conn, handler); err != nil && ctx.Err() == nil {
			q.settings.Logger.Warn("Consuming jobs was interrupted.", zap.Error(err))
			q.settings.OnConsumer(err)
			q.consumer.restart() // a new connection declares the queues again
			select {
			case <-ctx.Done():
			case <-time.After(firstRedial):
			}
		}
	}
	return context.Cause(ctx)
}

// session consumes on one connection until it ends, and waits for the handlers.
func (q *Queue) session(ctx context.Context, conn *amqp.Connection, handler backfill.Handler) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	// Jobs that are not done go back when the channel ends.
	defer func() { _ = ch.Close() }()
	ended := watchChannel(ch)
	if err := ch.Qos(max(q.settings.Prefetch, q.settings.Consumers), 0, false); err != nil {
		return err
	}
	deliveries, err := ch.Consume(q.settings.Queue, "", false, false, false, false, nil)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	q.consuming.Add(1)
	defer q.consuming.Add(-1)
	q.settings.OnConsumer(nil)
	var consumers sync.WaitGroup
	for range max(1, q.settings.Consumers) {
		consumers.Go(func() { q.consume(ctx, deliveries, handler) })
	}
	consumers.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return fmt.Errorf("the broker ended the deliveries of %q: %w", q.settings.Queue, ended.reason(errUnexplained))
}

// consume works on deliveries until there are no more.
func (q *Queue) consume(ctx context.Context, deliveries <-chan amqp.Delivery, handler backfill.Handler) {
	for {
		select {
		case <-ctx.Done():
			return
		case d, open := <-deliveries:
			if !open {
				return
			}
			q.deliver(ctx, &d, handler)
		}
	}
}

// deliver has a message worked on, and acknowledges it when it is certain what becomes of it.
func (q *Queue) deliver(ctx context.Context, d *amqp.Delivery, handler backfill.Handler) {
	job, err := backfill.Decode(d.Body)
	if err != nil {
		q.invalid(ctx, d, err)
		return
	}
	q.oldest.Store(job.CreatedAt.UnixMilli())
	err = handler(ctx, job)
	if ctx.Err() != nil && err != nil {
		return // unfinished: it is delivered again
	}
	fate := q.settings.Retries.Judge(&job, err)
	switch {
	case fate.Done:
	case fate.Dead:
		reason := fmt.Errorf("attempt %d: %w", job.Attempt, err)
		if !q.move(ctx, outgoing{q.settings.DeadQueue, buried(d, job.Attempt, reason, q.settings.Now())}) {
			return
		}
	default:
		reason := fmt.Errorf("attempt %d: %w", job.Attempt, err)
		next := job
		next.Attempt = fate.Attempt
		key := retryQueue(q.settings.Queue, fate.Delay)
		if !q.move(ctx, outgoing{key, again(d, &next, reason, q.settings.Now())}) {
			return
		}
	}
	q.acknowledge(d)
}

// invalid buries a message that is no job.
func (q *Queue) invalid(ctx context.Context, d *amqp.Delivery, err error) {
	q.settings.Logger.Warn("A message in the queue of jobs is no job; it waits among the dead ones.", zap.Error(err))
	if q.settings.OnInvalid != nil {
		q.settings.OnInvalid()
	}
	if q.move(ctx, outgoing{q.settings.DeadQueue, buried(d, 0, err, q.settings.Now())}) {
		q.acknowledge(d)
	}
}

// move publishes what a message has become, until the broker has it. It gives up when ctx ends: then the message is
// delivered again.
func (q *Queue) move(ctx context.Context, m outgoing) bool {
	for {
		if _, err := q.publisher.publish(ctx, []outgoing{m}); err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(settleAgain):
		}
	}
}

// acknowledge ends a delivery. When that fails the connection was lost, and the job is delivered again, which does no harm.
func (q *Queue) acknowledge(d *amqp.Delivery) {
	if err := d.Ack(false); err != nil {
		q.settings.Logger.Debug("A job could not be acknowledged; it is delivered again.", zap.Error(err))
	}
}
