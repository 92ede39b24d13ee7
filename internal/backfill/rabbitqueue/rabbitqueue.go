// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package rabbitqueue is a queue on RabbitMQ: a quorum queue of jobs for each organization, a queue with a time to live
// for each delay, and one of dead letters. It publishes with confirms and acknowledges by hand, after the work. Every
// failure of a connection or of the broker leads to a new connection that declares everything again.
package rabbitqueue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// Settings configure a Queue.
type Settings struct {
	// URL is the broker's address without credentials: amqp or amqps, host, port, virtual host.
	URL string
	// Auth is PlainAuth or ExternalAuth.
	Auth amqp.Authentication
	// TLS configures amqps; nil is the system's defaults.
	TLS *tls.Config
	// Exchange, Queue and DeadQueue are names. The names of the organizations' queues and of the retry queues are
	// derived from Queue; see OrgQueue and RetryQueues.
	Exchange, Queue, DeadQueue string
	// Orgs are the organizations whose jobs are published and consumed.
	Orgs    []string
	Retries backfill.RetryPolicy
	// Prefetch bounds the unacknowledged jobs of a replica, unless Consumers for each organization are more. Consumers
	// is the number of jobs that it works on at a time.
	Prefetch, Consumers int
	// ConnectionName is shown in the broker's list of connections.
	ConnectionName string
	Now            func() time.Time
	Logger         *zap.Logger
	// OnState is called with each change of the state of the connections, in order, one call at a time; nil is
	// connected. It may call methods of the queue; it must not block.
	OnState func(error)
	// OnConsumer is called when consuming starts (nil) or is interrupted. It must not block.
	OnConsumer func(error)
	// OnInvalid is called with the queue of a message that does not encode a job, OnReturned with that of a job that
	// was returned for its organization.
	OnInvalid, OnReturned func(queue string)
	// OnRefused is called when a queue refuses jobs (basic.nack), and with nil when it accepts jobs again; in order,
	// one call at a time. It must not block.
	OnRefused func(queue string, err error)
}

// PlainAuth authenticates with a user name and a password.
func PlainAuth(username, password string) amqp.Authentication {
	return &amqp.PlainAuth{Username: username, Password: password}
}

// ExternalAuth authenticates with the certificate of the TLS client.
func ExternalAuth() amqp.Authentication { return &amqp.ExternalAuth{} }

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
	// sources are the consumed queues, one for each organization. legacySource is the one queue of the release before,
	// which is consumed while legacyQueues has it.
	sources      []*source
	legacySource *source
	legacyQueues atomic.Pointer[[]string]
	connErrors   connErrors
}

// source is a consumed queue.
type source struct {
	name, org string
	oldest    atomic.Int64 // publishing time of the job that was delivered last, in Unix milliseconds
}

func newSource(name, org string) *source { return &source{name: name, org: org} }

var _ backfill.Queue = (*Queue)(nil)

// connErrors joins the states of the two connections and reports changes of the whole.
type connErrors struct {
	mu         sync.Mutex
	errs       [2]error
	isReported bool
	changes    notify.Queue[error]
}

// ErrUnavailable is the error of operations on a broker that cannot be reached, or that blocks publishers.
var ErrUnavailable = errors.New("RabbitMQ is not available")

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// New returns a queue and connects in the background, again and again, until Close. It does not wait for the broker.
func New(settings Settings) *Queue {
	if settings.OnState == nil {
		settings.OnState = func(error) {}
	}
	if settings.OnConsumer == nil {
		settings.OnConsumer = func(error) {}
	}
	if settings.OnInvalid == nil {
		settings.OnInvalid = func(string) {}
	}
	if settings.OnReturned == nil {
		settings.OnReturned = func(string) {}
	}
	if settings.OnRefused == nil {
		settings.OnRefused = func(string, error) {}
	}
	q := &Queue{settings: settings, topology: newTopology(&settings), legacySource: newSource(settings.Queue, "")}
	for _, org := range settings.Orgs {
		q.sources = append(q.sources, newSource(OrgQueue(settings.Queue, org), org))
	}
	q.connErrors.errs = [2]error{errNotConnected, errNotConnected}
	ctx, cancel := context.WithCancel(context.Background())
	q.stop = cancel
	q.publisher = newPublisher(q)
	q.depths = newDepthReader(q.publisher)
	q.consumer = newManagedConn(q, "consumer", q.setConsumerError, q.prepareConn)
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
	if before := q.legacyQueues.Swap(&found); len(found) > 0 && before == nil {
		q.settings.Logger.Info("Consuming the queue of the release before, too; delete it with its retry queues when "+
			"all replicas have this release and it is empty.", zap.Strings("queues", found))
	}
	return nil
}

// presentLegacyQueues returns the queues of the release before that exist.
func (q *Queue) presentLegacyQueues() []string {
	if old := q.legacyQueues.Load(); old != nil {
		return *old
	}
	return nil
}

// dropLegacyQueue removes a queue that the broker has deleted from the list of the previous release's queues, and logs
// it.
func (q *Queue) dropLegacyQueue(name string) {
	var left []string
	for _, old := range q.presentLegacyQueues() {
		if old != name {
			left = append(left, old)
		}
	}
	q.legacyQueues.Store(&left)
	q.settings.Logger.Info("A queue of the release before was deleted.", zap.String("queue", name))
}

// NumConsumers returns the number of this process's consumers of each queue: 1 while it consumes.
func (q *Queue) NumConsumers() int { return int(q.numConsumers.Load()) }

// RetryQueues returns the common prefix of the retry queues' names: gh.backfill.retry beside gh.backfill.jobs.
func RetryQueues(jobs string) string { return baseName(jobs) + ".retry" }

// Close ends the connections and waits for them. The broker delivers unacknowledged jobs again.
func (q *Queue) Close() {
	q.stop()
	q.running.Wait()
}

// setConnError sets the state of a connection, and reports the joined state when it differs or was never reported.
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

// setConsumerError sets the state of the consumers' connection, which is also the state of a consumer that waits for
// it.
func (q *Queue) setConsumerError(err error) {
	q.setConnError(1, err)
	if err != nil && q.isAwaitingConn.Load() {
		q.settings.OnConsumer(unavailable(err))
	}
}

// awaitConsumerConn returns the connection of the consumers as soon as there is one.
func (q *Queue) awaitConsumerConn(ctx context.Context) (*amqp.Connection, error) {
	q.isAwaitingConn.Store(true)
	defer q.isAwaitingConn.Store(false)
	if _, err := q.consumer.current(); err != nil {
		q.settings.OnConsumer(err)
	}
	return q.consumer.await(ctx)
}

// Depth implements backfill.Queue. It does not wait for a publish.
func (q *Queue) Depth(ctx context.Context) (backfill.Depth, error) {
	return q.sumDepths(ctx, q.sources, q.settings.DeadQueue)
}

// OrgDepth returns the depth of one organization's queue. Retries are those of all organizations; dead letters are not
// counted.
func (q *Queue) OrgDepth(ctx context.Context, org string) (backfill.Depth, error) {
	for _, s := range q.sources {
		if strings.EqualFold(s.org, org) {
			return q.sumDepths(ctx, []*source{s})
		}
	}
	return backfill.Depth{}, fmt.Errorf("organization %q has no queue here", org)
}

// sumDepths adds up the depths of sources, of the queues of the release before, of all retry queues, and of dead.
func (q *Queue) sumDepths(ctx context.Context, sources []*source, dead ...string) (backfill.Depth, error) {
	var depth backfill.Depth
	names := slices.Clone(dead)
	for _, s := range sources {
		names = append(names, s.name)
	}
	for _, delay := range q.settings.Retries.Delays {
		names = append(names, retryQueue(q.settings.Queue, delay))
	}
	counts, err := q.depths.read(ctx, names)
	if err != nil {
		return depth, err
	}
	for i, s := range sources {
		found := counts[s.name]
		delete(counts, s.name)
		q.addSourceDepth(&depth, s, found)
		if i == 0 || found.Consumers < depth.Consumers {
			depth.Consumers = found.Consumers
		}
	}
	if found, there := counts[q.legacySource.name]; there {
		delete(counts, q.legacySource.name)
		q.addSourceDepth(&depth, q.legacySource, found)
	}
	for _, name := range dead {
		depth.DeadLetters += counts[name].Messages
		delete(counts, name)
	}
	for _, found := range counts {
		depth.Retries += found.Messages
	}
	return depth, nil
}

// addSourceDepth adds the depth of one source.
func (q *Queue) addSourceDepth(depth *backfill.Depth, s *source, found amqp.Queue) {
	one := backfill.QueueDepth{Name: s.name, Org: s.org, Ready: found.Messages, Consumers: found.Consumers}
	if at := s.oldest.Load(); one.Ready > 0 && at != 0 {
		one.Oldest = time.UnixMilli(at).UTC()
		if depth.Oldest.IsZero() || one.Oldest.Before(depth.Oldest) {
			depth.Oldest = one.Oldest
		}
	}
	depth.Queues = append(depth.Queues, one)
	depth.Ready += one.Ready
	depth.MaxUnacked += one.Consumers * q.prefetchPerQueue()
}

// prefetchPerQueue returns the prefetch count of each queue. Quorum queues have no limit for a channel as a whole
// (https://www.rabbitmq.com/docs/quorum-queues#feature-matrix, "Global QoS Prefetch").
func (q *Queue) prefetchPerQueue() int {
	return max(q.settings.Consumers, q.settings.Prefetch/max(1, len(q.sources)), 1)
}

// Publish implements backfill.Queue.
func (q *Queue) Publish(ctx context.Context, jobs []backfill.Job) (int, error) {
	messages := make([]outgoing, len(jobs))
	for i := range jobs {
		messages[i] = q.toJobQueue(OrgQueue(q.settings.Queue, jobs[i].Org), newMessage(&jobs[i]))
	}
	return q.publisher.publish(ctx, messages)
}

// toJobQueue addresses a message to a queue through the exchange.
func (q *Queue) toJobQueue(queue string, m amqp.Publishing) outgoing {
	return outgoing{queue: queue, exchange: q.settings.Exchange, key: queue, message: m}
}

// toRetryQueue addresses a message to the retry queue of a delay, from which the broker moves it to queue.
func (q *Queue) toRetryQueue(delay time.Duration, queue string, m amqp.Publishing) outgoing {
	name := retryQueue(q.settings.Queue, delay)
	return outgoing{queue: name, exchange: name, key: queue, message: m}
}
