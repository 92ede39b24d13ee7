// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package rabbitqueue is a queue on RabbitMQ: a quorum queue of jobs for each organization, a queue with a time to live
// for each delay, and one of dead letters. It publishes with confirms and acknowledges by hand, after the work. Every
// failure of a connection or of the broker leads to a new connection that declares everything again.
package rabbitqueue

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// Queue is a queue on RabbitMQ. It is safe for concurrent use. It owns two connections, until Close: one publishes and
// reads depths, the other one consumes.
type Queue struct {
	settings  Settings
	topology  topology
	publisher *publisher
	depths    *depthReader
	consumer  *managedConn
	stop      context.CancelFunc
	running   sync.WaitGroup

	numConsumers   atomic.Int64
	isAwaitingConn atomic.Bool // while Consume waits for a connection
	sources        *sources
	connErrors     connErrors
}

var _ backfill.Queue = (*Queue)(nil)

// connErrors joins the states of the two connections and reports changes of the whole.
type connErrors struct {
	mu         sync.Mutex
	errs       [2]error // of the publisher's connection and the consumers'
	isReported bool     // whether a joined state was added to changes
	changes    notify.Queue[error]
}

// New returns a queue and connects in the background, again and again, until Close. It does not wait for the broker.
func New(settings Settings) *Queue {
	settings.setDefaults()
	q := &Queue{
		settings: settings, topology: newTopology(&settings),
		sources: newSources(settings.Queue, settings.Orgs, settings.Logger),
	}
	q.connErrors.errs = [2]error{errNotConnected, errNotConnected}
	ctx, cancel := context.WithCancel(context.Background())
	q.stop = cancel
	q.publisher = newPublisher(&q.settings,
		newManagedConn(&q.settings, "publisher", q.setPublisherError, q.prepareConn))
	q.depths = newDepthReader(q.publisher, q.sources)
	q.consumer = newManagedConn(&q.settings, "consumer", q.setConsumerError, q.prepareConn)
	q.running.Go(func() { q.publisher.conns.run(ctx) })
	q.running.Go(func() { q.consumer.run(ctx) })
	return q
}

// prepareConn declares the topology on a new connection, and finds the queues of the release before.
func (q *Queue) prepareConn(conn *amqp.Connection) error {
	if err := q.topology.declare(conn); err != nil {
		return err
	}
	found, err := q.topology.findLegacy(conn)
	if err != nil {
		return err
	}
	q.sources.setLegacyQueues(found)
	return nil
}

// NumConsumers returns the number of this process's consumers of each queue: 1 while it consumes.
func (q *Queue) NumConsumers() int { return int(q.numConsumers.Load()) }

// Close ends the connections and waits for them. The broker delivers unacknowledged jobs again.
func (q *Queue) Close() {
	q.stop()
	q.running.Wait()
}

// setConnError sets the state of a connection, by its index in connErrors, and reports the joined state when it differs
// or was never reported.
func (q *Queue) setConnError(connection int, err error) {
	q.connErrors.set(connection, err)
	q.connErrors.changes.Deliver(q.settings.OnState)
}

// set sets the state of a connection and adds a joined state that differs to the changes.
func (c *connErrors) set(connection int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := errors.Join(c.errs[:]...)
	c.errs[connection] = err
	now := errors.Join(c.errs[:]...)
	if !c.isReported || (before == nil) != (now == nil) || (now != nil && before.Error() != now.Error()) {
		c.isReported = true
		c.changes.Add(now)
	}
}

// setPublisherError sets the state of the publisher's connection.
func (q *Queue) setPublisherError(err error) { q.setConnError(0, err) }

// setConsumerError sets the state of the consumers' connection, which is also the state of a consumer that waits for
// it.
func (q *Queue) setConsumerError(err error) {
	q.setConnError(1, err)
	if err != nil && q.isAwaitingConn.Load() {
		q.settings.OnConsumer(unavailable(err))
	}
}
