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
	// maxDeadLetters bounds the dead jobs; the oldest go first.
	maxDeadLetters = 50_000
	// alternateExchange is the argument of an exchange that names where messages go which no queue takes
	// (https://www.rabbitmq.com/docs/ae).
	alternateExchange = "alternate-exchange"
)

// topology is what is declared at the broker.
type topology struct {
	exchanges []exchangeSpec
	queues    []queueSpec
	// legacyQueues are queues of a version before, which had one queue of jobs for all organizations and retry queues that led
	// to that one alone. They are never declared. The first one is the queue of jobs.
	legacyQueues []string
	dueExchange  string
}

type exchangeSpec struct {
	name, kind string
	args       amqp.Table
}

// queueSpec is a queue with its arguments and bindings.
type queueSpec struct {
	name     string
	args     amqp.Table
	bindings []binding
}

type binding struct{ exchange, key string }

// newTopology has a queue of jobs for each organization. A job that comes again waits in a queue that all organizations
// share, behind an exchange that takes any routing key; the broker keeps the key when the time has come, and the key
// names the queue of the organization. Where that queue is gone the job is dead.
func newTopology(s *Settings) topology {
	due, unrouted := RetryQueues(s.Queue)+".due", RetryQueues(s.Queue)+".unrouted"
	t := topology{dueExchange: due, legacyQueues: []string{s.Queue}, exchanges: []exchangeSpec{
		{s.Exchange, amqp.ExchangeDirect, nil},
		{unrouted, amqp.ExchangeFanout, nil},
		{due, amqp.ExchangeDirect, amqp.Table{alternateExchange: unrouted}},
	}}
	t.queues = append(t.queues, queueSpec{s.DeadQueue, amqp.Table{
		amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-max-length": int64(maxDeadLetters), "x-overflow": "drop-head",
	}, []binding{{s.Exchange, s.DeadQueue}, {unrouted, ""}}})
	for _, org := range s.Orgs {
		name := OrgQueue(s.Queue, org)
		t.queues = append(t.queues, queueSpec{name, amqp.Table{
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(deliveryLimit),
			"x-dead-letter-exchange": s.Exchange, "x-dead-letter-routing-key": s.DeadQueue,
		}, []binding{{s.Exchange, name}, {due, name}}})
	}
	for _, delay := range s.Retries.Delays {
		name := retryQueue(s.Queue, delay)
		t.exchanges = append(t.exchanges, exchangeSpec{name, amqp.ExchangeFanout, nil})
		t.queues = append(t.queues, queueSpec{name, amqp.Table{
			amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-message-ttl": delay.Milliseconds(),
			"x-dead-letter-exchange": due, "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
		}, []binding{{name, ""}}})
		t.legacyQueues = append(t.legacyQueues, RetryQueues(s.Queue)+"."+formatDelay(delay))
	}
	return t
}

// OrgQueue names the queue of an organization's jobs: gh.backfill.jobs.acme where jobs is gh.backfill.jobs. Deployments
// with different organizations do not meet in it.
func OrgQueue(jobs, org string) string { return jobs + "." + strings.ToLower(org) }

// retryQueue names the queue in which jobs wait for a delay, and the exchange in front of it: gh.backfill.retry.in.5m
// beside gh.backfill.jobs.
func retryQueue(jobs string, delay time.Duration) string {
	return RetryQueues(jobs) + ".in." + formatDelay(delay)
}

func baseName(jobs string) string { return strings.TrimSuffix(jobs, ".jobs") }

// formatDelay is a duration without units that are zero.
func formatDelay(d time.Duration) string {
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
	for _, e := range t.exchanges {
		if err := ch.ExchangeDeclare(e.name, e.kind, true, false, false, false, e.args); err != nil {
			return declarationError("exchange", e.name, err)
		}
	}
	for _, q := range t.queues {
		if _, err := ch.QueueDeclare(q.name, true, false, false, false, q.args); err != nil {
			return declarationError("queue", q.name, err)
		}
		for _, b := range q.bindings {
			if err := ch.QueueBind(q.name, b.key, b.exchange, false, nil); err != nil {
				return fmt.Errorf("bind the queue %q to the exchange %q: %w", q.name, b.exchange, err)
			}
		}
	}
	return nil
}

// declarationError explains what an operator has to do about it.
func declarationError(what, name string, err error) error {
	// The same code stands for other refusals, such as a limit of the virtual host, which the broker explains itself.
	refusal, ok := errors.AsType[*amqp.Error](err)
	if ok && refusal.Code == amqp.PreconditionFailed && strings.Contains(refusal.Reason, "inequivalent") {
		return fmt.Errorf("the %s %q exists with other settings than those that are needed: delete it when it is empty, or configure another name: %w",
			what, name, err)
	}
	return fmt.Errorf("declare the %s %q: %w", what, name, err)
}

// findLegacy lists the queues of a version before that are there: the queue of jobs first, then its retry queues; none
// when there is no queue of jobs, or this user may not use it. Jobs that are given back there come again there.
func (t *topology) findLegacy(conn *amqp.Connection) (found []string, err error) {
	for i, name := range t.legacyQueues {
		there, err := queueExists(conn, name)
		if err != nil {
			return nil, fmt.Errorf("look for the queue %q: %w", name, err)
		}
		if there {
			found = append(found, name)
		} else if i == 0 {
			return nil, nil
		}
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, err
	}
	defer func() { _ = ch.Close() }()
	err = ch.QueueBind(found[0], found[0], t.dueExchange, false, nil)
	switch {
	case err == nil:
		return found, nil
	case ignoreAbsent(err) == nil:
		return nil, nil
	default:
		return nil, fmt.Errorf("bind the queue %q to the exchange %q: %w", found[0], t.dueExchange, err)
	}
}

// queueExists reports whether a queue is there. The broker ends the channel when it is not.
func queueExists(conn *amqp.Connection, name string) (bool, error) {
	ch, err := conn.Channel()
	if err != nil {
		return false, err
	}
	defer func() { _ = ch.Close() }()
	_, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)
	return err == nil, ignoreAbsent(err)
}

// ignoreAbsent is nil for the refusal of a queue that is not there, or that is not this user's.
func ignoreAbsent(err error) error {
	refusal, ok := errors.AsType[*amqp.Error](err)
	if ok && (refusal.Code == amqp.NotFound || refusal.Code == amqp.AccessRefused) {
		return nil
	}
	return err
}
