package rabbitqueue

import (
	"context"
	"fmt"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// Dead is a message in the queue of the dead ones.
type Dead struct {
	Job backfill.Job
	// Invalid says why the message is no job; nil when it is one.
	Invalid error
	Body    []byte
	// Reason is why it is dead, History what happened before, the oldest first.
	Reason  string
	History []string
}

// Decision says what becomes of a dead message.
type Decision int

// The decisions. A message that is no job is not replayed: it is kept.
const (
	Keep Decision = iota
	Remove
	Replay
)

// EachDead shows each message in the queue of the dead ones and does as it is told: what is replayed has its attempts
// before it again. Those that are kept go back when all were seen.
func EachDead(ctx context.Context, settings Settings, decide func(Dead) Decision) error {
	ch, hangUp, err := operator(ctx, settings)
	if err != nil {
		return err
	}
	defer hangUp()
	for ctx.Err() == nil {
		d, there, err := ch.Get(settings.DeadQueue, false)
		if err != nil {
			return fmt.Errorf("read %q: %w", settings.DeadQueue, err)
		}
		if !there {
			return nil
		}
		if err := settle(ctx, &settings, ch, &d, decide(deadOf(&d))); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Publish publishes one job, without a claim: an operator's.
func Publish(ctx context.Context, settings Settings, job backfill.Job) error {
	ch, hangUp, err := operator(ctx, settings)
	if err != nil {
		return err
	}
	defer hangUp()
	return confirmed(ctx, &settings, ch, &job)
}

// operator opens a channel with confirms on a connection of its own. It declares nothing.
func operator(ctx context.Context, settings Settings) (*amqp.Channel, func(), error) {
	l := newLink(&Queue{settings: settings}, "operator", func(error) {}, func(*amqp.Connection) error { return nil })
	conn, err := l.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	ch, err := conn.Channel()
	if err == nil {
		err = ch.Confirm(false)
	}
	if err != nil {
		hangUp(conn)
		return nil, nil, fmt.Errorf("open a channel: %w", err)
	}
	return ch, func() { hangUp(conn) }, nil
}

// confirmed publishes a job and waits until the broker has it.
func confirmed(ctx context.Context, settings *Settings, ch *amqp.Channel, job *backfill.Job) error {
	returned, ended := ch.NotifyReturn(make(chan amqp.Return, 1)), watchChannel(ch)
	confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, settings.Exchange, settings.Queue, true, false, fresh(job))
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	acked, err := confirmation.WaitContext(ctx)
	if err != nil {
		return fmt.Errorf("wait for the confirm: %w", ended.reason(err))
	}
	select {
	case back, open := <-returned:
		if !open { // the channel has ended
			return fmt.Errorf("publish: %w", ended.reason(errRefused))
		}
		return fmt.Errorf("publish: there is no queue %q behind the exchange %q: %s", settings.Queue, settings.Exchange, back.ReplyText)
	default:
	}
	if !acked {
		return fmt.Errorf("publish: RabbitMQ did not take the job: %w", ended.reason(errRefused))
	}
	return nil
}

func deadOf(d *amqp.Delivery) Dead {
	dead := Dead{Body: d.Body}
	dead.Job, dead.Invalid = backfill.Decode(d.Body)
	dead.Reason, _ = d.Headers[HeaderError].(string)
	for _, entry := range historyOf(d.Headers) {
		dead.History = append(dead.History, entry.(string)) //nolint:forcetypeassert // historyOf has made it
	}
	if dead.Reason == "" && len(d.Headers) > 0 {
		if first, ok := d.Headers["x-first-death-reason"].(string); ok {
			dead.Reason = "the broker: " + first
		}
	}
	return dead
}

// settle removes a message once it is replayed; what is kept is not acknowledged.
func settle(ctx context.Context, settings *Settings, ch *amqp.Channel, d *amqp.Delivery, decision Decision) error {
	job, invalid := backfill.Decode(d.Body)
	switch {
	case decision == Keep || (decision == Replay && invalid != nil):
		return nil
	case decision == Replay:
		job.Attempt, job.CreatedAt = 1, settings.Now().UTC()
		if err := confirmed(ctx, settings, ch, &job); err != nil {
			return err
		}
	}
	return d.Ack(false)
}
