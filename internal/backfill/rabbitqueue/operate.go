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
	q := &Queue{settings: settings, topology: newTopology(&settings)}
	l := newLink(q, "operator", func(error) {}, q.topology.declare)
	conn, err := l.open(ctx)
	if err != nil {
		return err
	}
	defer hangUp(conn)
	ch, err := conn.Channel()
	if err != nil {
		return fmt.Errorf("open a channel: %w", err)
	}
	if err := ch.Confirm(false); err != nil {
		return fmt.Errorf("ask for confirms: %w", err)
	}
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
		confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, settings.Exchange, settings.Queue, true, false, fresh(&job))
		if err != nil {
			return fmt.Errorf("replay: %w", err)
		}
		if acked, err := confirmation.WaitContext(ctx); err != nil || !acked {
			return fmt.Errorf("replay: RabbitMQ did not confirm: %w", err)
		}
	}
	return d.Ack(false)
}
