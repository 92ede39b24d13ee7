// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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
	// deliveryLimit is the number of deliveries without an acknowledgement after which the broker dead-letters a job,
	// such as one that kills its worker each time
	// (https://www.rabbitmq.com/docs/quorum-queues#poison-message-handling).
	deliveryLimit = 20
	// maxDeadLetters bounds the dead-letter queue; the broker drops the oldest first.
	maxDeadLetters = 50_000
	// alternateExchange is the argument of an exchange that names the exchange for unroutable messages
	// (https://www.rabbitmq.com/docs/ae).
	alternateExchange = "alternate-exchange"
)

// topology is the set of exchanges, queues and bindings that are declared at the broker.
type topology struct {
	exchanges []exchangeSpec
	queues    []queueSpec
	// legacyQueues are those of the release before, which had one queue for the jobs of all organizations and retry
	// queues that led to it. They are never declared. The first one is the queue of jobs.
	legacyQueues []string
	dueExchange  string
}

type exchangeSpec struct {
	name, kind string
	args       amqp.Table
}

// queueSpec is a durable queue with its arguments and bindings.
type queueSpec struct {
	name     string
	args     amqp.Table
	bindings []binding
}

type binding struct{ exchange, key string }

// newTopology returns the topology of the settings. Each organization has a queue of jobs. A retried job waits in a
// queue that all organizations share, behind a fanout exchange that accepts any routing key. When its time to live is
// over the broker dead-letters it with the same key, which names the organization's queue; where that queue was deleted
// the job becomes a dead letter.
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

// OrgQueue returns the name of the queue of an organization's jobs: gh.backfill.jobs.acme where jobs is
// gh.backfill.jobs. Deployments with different organizations share no such queue.
func OrgQueue(jobs, org string) string { return jobs + "." + strings.ToLower(org) }

// retryQueue returns the name of the queue in which jobs wait for a delay, and of the exchange in front of it:
// gh.backfill.retry.in.5m beside gh.backfill.jobs.
func retryQueue(jobs string, delay time.Duration) string {
	return RetryQueues(jobs) + ".in." + formatDelay(delay)
}

// RetryQueues returns the common prefix of the retry queues' names: gh.backfill.retry beside gh.backfill.jobs.
func RetryQueues(jobs string) string { return baseName(jobs) + ".retry" }

// baseName returns the name of the queue without its last part jobs.
func baseName(jobs string) string { return strings.TrimSuffix(jobs, ".jobs") }

// formatDelay formats a delay in the largest unit that divides it, such as 90s or 5m.
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

// declare declares the topology. Declaring what exists with the same arguments changes nothing.
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

// declarationError names what could not be declared, and what an operator can do about it.
func declarationError(kind, name string, err error) error {
	// The same code stands for other refusals, such as a limit of the virtual host, which the broker explains itself.
	refusal, ok := errors.AsType[*amqp.Error](err)
	if ok && refusal.Code == amqp.PreconditionFailed && strings.Contains(refusal.Reason, "inequivalent") {
		return fmt.Errorf(
			"the %s %q exists with other settings than those that are needed: delete it when it is empty, "+
				"or configure another name: %w",
			kind,
			name,
			err,
		)
	}
	return fmt.Errorf("declare the %s %q: %w", kind, name, err)
}

// findLegacy returns the queues of the release before that exist: the queue of jobs, then its retry queues; none
// without the queue of jobs, or without permission to use it. It binds that queue to the exchange of due retries, so
// that jobs that return there are delivered there again.
func (t *topology) findLegacy(conn *amqp.Connection) (found []string, err error) {
	for i, name := range t.legacyQueues {
		exists, err := queueExists(conn, name)
		if err != nil {
			return nil, fmt.Errorf("check the queue %q: %w", name, err)
		}
		if exists {
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

// queueExists reports whether a queue exists and may be used, on a channel of its own: the broker closes the channel of
// a failed check.
func queueExists(conn *amqp.Connection, name string) (bool, error) {
	ch, err := conn.Channel()
	if err != nil {
		return false, err
	}
	defer func() { _ = ch.Close() }()
	_, err = ch.QueueDeclarePassive(name, true, false, false, false, nil)
	return err == nil, ignoreAbsent(err)
}

// ignoreAbsent returns nil for the error of a queue that does not exist, or that this user may not use.
func ignoreAbsent(err error) error {
	refusal, ok := errors.AsType[*amqp.Error](err)
	if ok && (refusal.Code == amqp.NotFound || refusal.Code == amqp.AccessRefused) {
		return nil
	}
	return err
}
