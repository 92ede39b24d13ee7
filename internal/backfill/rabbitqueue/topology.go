package rabbitqueue

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	// deliveryLimit is how often the broker delivers a job that is never acknowledged: one that kills its worker again and
	// again goes to the dead ones (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
	deliveryLimit = 20
	// maxDead bounds the dead jobs; the oldest go first.
	maxDead = 50_000
)

// topology is what is declared at the broker.
type topology struct {
	exchange string
	queues   []queue
}

// queue is a queue with its arguments. It is bound to the exchange by its own name.
type queue struct {
	name string
	args amqp.Table
}

func newTopology(s *Settings) topology {
	t := topology{exchange: s.Exchange, queues: []queue{
		{s.Queue, amqp.Table{
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(deliveryLimit),
			"x-dead-letter-exchange": s.Exchange, "x-dead-letter-routing-key": s.DeadQueue,
		}},
		{s.DeadQueue, amqp.Table{
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-max-length": int64(maxDead), "x-overflow": "drop-head",
		}},
	}}
	for _, delay := range s.Retries.Delays {
		t.queues = append(t.queues, queue{retryQueue(s.Queue, delay), amqp.Table{
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-message-ttl": delay.Milliseconds(),
			"x-dead-letter-exchange": s.Exchange, "x-dead-letter-routing-key": s.Queue,
			"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
		}})
	}
	return t
}

// retryQueue names the queue in which jobs wait for a delay: gh.backfill.retry.5m beside gh.backfill.jobs.
func retryQueue(jobs string, delay time.Duration) string {
	return RetryQueues(jobs) + "." + short(delay)
}

func base(jobs string) string { return strings.TrimSuffix(jobs, ".jobs") }

// short is a duration without units that are zero.
func short(d time.Duration) string {
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}} {
		if d%unit.length == 0 {
			return strconv.FormatInt(int64(d/unit.length), 10) + unit.name
		}
	}
	return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
}

// declare declares everything, which changes nothing when it is there.
func (t *topology) declare(conn *amqp.Connection) error {
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	if err := ch.ExchangeDeclare(t.exchange, amqp.ExchangeDirect, true, false, false, false, nil); err != nil {
		return refusedDeclaration("exchange", t.exchange, err)
	}
	for _, q := range t.queues {
		if _, err := ch.QueueDeclare(q.name, true, false, false, false, q.args); err != nil {
			return refusedDeclaration("queue", q.name, err)
		}
		if err := ch.QueueBind(q.name, q.name, t.exchange, false, nil); err != nil {
			return fmt.Errorf("bind the queue %q: %w", q.name, err)
		}
	}
	return nil
}

// refusedDeclaration explains what an operator has to do about it.
func refusedDeclaration(what, name string, err error) error {
	// The same code stands for other refusals, such as a limit of the virtual host, which the broker explains itself.
	refusal, ok := errors.AsType[*amqp.Error](err)
	if ok && refusal.Code == amqp.PreconditionFailed && strings.Contains(refusal.Reason, "inequivalent") {
		return fmt.Errorf("the %s %q exists with other settings than those that are needed: delete it when it is empty, or configure another name: %w",
			what, name, err)
	}
	return fmt.Errorf("declare the %s %q: %w", what, name, err)
}
