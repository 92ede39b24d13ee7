// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// DeadLetter is a message in the dead-letter queue.
type DeadLetter struct {
	Job backfill.Job
	// Invalid is the error of a message that does not encode a job; nil when Job is valid.
	Invalid error
	Body    []byte
	// Reason is the reason of the dead letter, History its attempts, the oldest first; see HeaderHistory.
	Reason  string
	History []string
}

// Decision is the operator's decision about a dead letter.
type Decision int

// The decisions. An invalid message is kept in place of being replayed.
const (
	DecisionKeep Decision = iota
	DecisionRemove
	DecisionReplay
)

// ReviewDeadLetters calls decide with each message in the dead-letter queue. A replayed job has all its attempts again,
// in the queue of its organization. The broker requeues kept messages when all were reviewed.
func ReviewDeadLetters(ctx context.Context, settings Settings, decide func(DeadLetter) Decision) error {
	o, err := openOperatorChannel(ctx, settings)
	if err != nil {
		return err
	}
	defer o.close()
	for ctx.Err() == nil {
		d, ok, err := o.channel.Get(settings.DeadQueue, false)
		if err != nil {
			return fmt.Errorf("read %q: %w", settings.DeadQueue, err)
		}
		if !ok {
			return nil
		}
		if err := o.applyDecision(ctx, &d, decide(newDeadLetter(&d))); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Publish publishes an operator's job, without a claim. It returns when the broker has confirmed the job.
func Publish(ctx context.Context, settings Settings, job backfill.Job) error {
	o, err := openOperatorChannel(ctx, settings)
	if err != nil {
		return err
	}
	defer o.close()
	return o.publish(ctx, &job)
}

// operatorChannel is a channel with confirms on a connection of its own. It declares nothing, so that a mistyped name
// creates nothing.
type operatorChannel struct {
	settings    *Settings
	conn        *amqp.Connection
	channel     *amqp.Channel
	returned    chan amqp.Return
	closeReason channelClose
}

// openOperatorChannel connects and opens a channel. close ends both.
func openOperatorChannel(ctx context.Context, settings Settings) (*operatorChannel, error) {
	l := newManagedConn(
		&settings,
		"operator",
		func(error) {},
		func(*amqp.Connection) error { return nil },
	)
	conn, err := l.connect(ctx)
	if err != nil {
		return nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		closeConn(conn)
		return nil, fmt.Errorf("open a channel: %w", err)
	}
	return &operatorChannel{
		settings: &settings, conn: conn, channel: ch,
		returned: ch.NotifyReturn(make(chan amqp.Return, 1)), closeReason: watchChannel(ch),
	}, nil
}

func (o *operatorChannel) close() { closeConn(o.conn) }

// publish publishes a job to its organization's queue or, where all replicas are of the release before, to their one
// queue. It returns when the broker has confirmed the job.
func (o *operatorChannel) publish(ctx context.Context, job *backfill.Job) error {
	own := OrgQueue(o.settings.Queue, job.Org)
	for _, queue := range []string{own, o.settings.Queue} {
		if routed, err := o.publishConfirmed(ctx, queue, job); err != nil || routed {
			return err
		}
	}
	return fmt.Errorf("publish: there is no queue %q behind the exchange %q: is the organization configured in a "+
		"receiver that runs?", own, o.settings.Exchange)
}

// publishConfirmed publishes a job to a queue and waits for the confirm. It reports whether the queue exists.
func (o *operatorChannel) publishConfirmed(
	ctx context.Context,
	queue string,
	job *backfill.Job,
) (routed bool, err error) {
	confirmation, err := o.channel.PublishWithDeferredConfirmWithContext(
		ctx, o.settings.Exchange, queue, true, false, newMessage(job),
	)
	if err != nil {
		return false, fmt.Errorf("publish: %w", err)
	}
	acked, err := confirmation.WaitContext(ctx)
	if err != nil {
		return false, fmt.Errorf("wait for the confirm: %w", o.closeReason.reason(err))
	}
	select {
	case _, open := <-o.returned:
		if !open { // the channel was closed
			return false, fmt.Errorf("publish: %w", o.closeReason.reason(errRefused))
		}
		return false, nil
	default:
	}
	switch {
	case !acked && o.channel.IsClosed():
		return false, fmt.Errorf("publish: RabbitMQ did not confirm the job: %w", o.closeReason.reason(errRefused))
	case !acked:
		return false, fmt.Errorf("publish: %w", &RefusedError{Queue: queue})
	default:
		return true, nil
	}
}

// newDeadLetter returns a message of the dead-letter queue with its job and its headers.
func newDeadLetter(d *amqp.Delivery) DeadLetter {
	dead := DeadLetter{Body: d.Body}
	dead.Job, dead.Invalid = backfill.Decode(d.Body)
	dead.Reason, _ = d.Headers[HeaderError].(string)
	for _, entry := range parseHistory(d.Headers) {
		dead.History = append(dead.History, entry.(string)) //nolint:forcetypeassert // parseHistory returns texts only
	}
	if dead.Reason == "" && len(d.Headers) > 0 {
		if first, ok := d.Headers["x-first-death-reason"].(string); ok {
			dead.Reason = "the broker: " + first
		}
	}
	return dead
}

// applyDecision acknowledges a message that is removed, or that was replayed; a kept one stays unacknowledged.
func (o *operatorChannel) applyDecision(ctx context.Context, d *amqp.Delivery, decision Decision) error {
	job, invalid := backfill.Decode(d.Body)
	switch {
	case decision == DecisionKeep || (decision == DecisionReplay && invalid != nil):
		return nil
	case decision == DecisionReplay:
		job.Attempt, job.CreatedAt = 1, o.settings.Now().UTC()
		if err := o.publish(ctx, &job); err != nil {
			return err
		}
	}
	return d.Ack(false)
}
