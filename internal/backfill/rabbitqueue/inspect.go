// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Inspection is what a broker says of itself, and of what the settings need there.
type Inspection struct {
	// Version is that of the broker.
	Version string
	// Existing and Missing count the exchanges and queues that exist, and those that the first replica declares.
	Existing, Missing int
	// Problems are why exchanges and queues could not be declared or used.
	Problems []error
}

// Inspect connects, and finds out whether a replica could declare, publish to and consume what the settings name. What
// does not exist is declared and deleted again, unless a replica uses it by then. The error is that of the connection.
func Inspect(ctx context.Context, settings Settings) (Inspection, error) {
	conns := newManagedConn(&settings, "inspect", func(error) {}, func(*amqp.Connection) error { return nil })
	conn, err := conns.connect(ctx)
	if err != nil {
		return Inspection{}, err
	}
	defer closeConn(conn)
	stop := context.AfterFunc(ctx, func() { closeConn(conn) }) // the library's requests have no context
	defer stop()
	version, _ := conn.Properties["version"].(string)
	i := &inspector{conn: conn, topology: newTopology(&settings), found: Inspection{Version: version}}
	i.inspect(settings.Exchange)
	if ctx.Err() != nil {
		return i.found, context.Cause(ctx)
	}
	return i.found, nil
}

// inspector inspects a topology at a broker. Each request has a channel of its own, because the broker closes the
// channel of a failed one.
type inspector struct {
	conn     *amqp.Connection
	topology topology
	found    Inspection
	// created are functions that delete what was declared.
	created []func(*amqp.Channel) error
}

// inspect declares the topology, uses it, and deletes what did not exist before.
func (i *inspector) inspect(exchange string) {
	for _, e := range i.topology.exchanges {
		i.declareExchange(e)
	}
	for _, q := range i.topology.queues {
		i.declareQueue(q)
	}
	if len(i.found.Problems) == 0 {
		i.record(i.publish(exchange))
	}
	for _, remove := range slices.Backward(i.created) {
		i.record(i.onChannel(remove))
	}
}

// record records a problem, if there is one.
func (i *inspector) record(err error) {
	if err != nil {
		i.found.Problems = append(i.found.Problems, err)
	}
}

// onChannel runs a request on a channel of its own.
func (i *inspector) onChannel(request func(*amqp.Channel) error) error {
	ch, err := i.conn.Channel()
	if err != nil {
		return err
	}
	defer func() { _ = ch.Close() }()
	return request(ch)
}

// countExisting counts something by the error of its passive declaration, and reports whether it exists.
func (i *inspector) countExisting(err error) bool {
	if refusal, ok := errors.AsType[*amqp.Error](err); ok && refusal.Code == amqp.NotFound {
		i.found.Missing++
		return false
	}
	i.found.Existing++
	return true
}

func (i *inspector) declareExchange(e exchangeSpec) {
	exists := i.countExisting(i.onChannel(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclarePassive(e.name, e.kind, true, false, false, false, nil)
	}))
	err := i.onChannel(func(ch *amqp.Channel) error {
		return ch.ExchangeDeclare(e.name, e.kind, true, false, false, false, e.args)
	})
	if err != nil {
		i.record(declarationError("exchange", e.name, err))
	} else if !exists {
		i.created = append(i.created, func(ch *amqp.Channel) error { return deleteUnbound(ch, e.name) })
	}
}

// deleteUnbound deletes an exchange to which nothing is bound.
func deleteUnbound(ch *amqp.Channel, exchange string) error {
	err := ch.ExchangeDelete(exchange, true, false)
	if refusal, ok := errors.AsType[*amqp.Error](err); ok && refusal.Code == amqp.PreconditionFailed {
		return nil // a replica uses it by now
	}
	return err
}

// declareQueue declares a queue with its bindings and, when it has no messages, reads from it.
func (i *inspector) declareQueue(q queueSpec) {
	exists := i.countExisting(i.onChannel(func(ch *amqp.Channel) error {
		_, err := ch.QueueDeclarePassive(q.name, true, false, false, false, nil)
		return err
	}))
	messages := 0
	err := i.onChannel(func(ch *amqp.Channel) error {
		state, err := ch.QueueDeclare(q.name, true, false, false, false, q.args)
		messages = state.Messages
		return err
	})
	if err != nil {
		i.record(declarationError("queue", q.name, err))
		return
	}
	if !exists {
		i.created = append(i.created, func(ch *amqp.Channel) error { return deleteUnused(ch, q.name) })
	}
	for _, b := range q.bindings {
		if err := i.onChannel(func(ch *amqp.Channel) error {
			return ch.QueueBind(q.name, b.key, b.exchange, false, nil)
		}); err != nil {
			i.record(fmt.Errorf("bind the queue %q to the exchange %q: %w", q.name, b.exchange, err))
		}
	}
	if messages == 0 { // a message that is returned counts as delivered
		i.record(i.readEmpty(q.name))
	}
}

// deleteUnused deletes a queue that has neither messages nor consumers. Quorum queues do not support the conditions of
// a deletion.
func deleteUnused(ch *amqp.Channel, queue string) error {
	state, err := ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil || state.Messages > 0 || state.Consumers > 0 {
		return err
	}
	_, err = ch.QueueDelete(queue, false, false, false)
	return err
}

// readEmpty reads from a queue without messages, which needs the permission to read it.
func (i *inspector) readEmpty(queue string) error {
	err := i.onChannel(func(ch *amqp.Channel) error {
		delivery, ok, err := ch.Get(queue, false)
		if ok {
			return delivery.Nack(false, true)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the queue %q: %w", queue, err)
	}
	return nil
}

// publish publishes a message that no queue gets, which needs the permission to write to the exchange.
func (i *inspector) publish(exchange string) error {
	err := i.onChannel(func(ch *amqp.Channel) error {
		closed := watchChannel(ch)
		if err := ch.Confirm(false); err != nil {
			return err
		}
		confirmation, err := ch.PublishWithDeferredConfirm(exchange, "gxctl-"+rand.Text(), false, false,
			amqp.Publishing{})
		if err != nil {
			return err
		}
		if !confirmation.Wait() {
			return closed.reason(errRefused)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("publish to the exchange %q: %w", exchange, err)
	}
	return nil
}
