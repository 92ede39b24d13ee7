// Package rabbitqueue is a queue on RabbitMQ: a quorum queue of jobs for each organization, a queue with a time to live
// for every delay, and one for dead jobs. It publishes with confirms and acknowledges by hand, after the work. Whatever
// happens to a connection or to the broker ends in a new connection that declares everything again.
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
)

// Settings are a queue's.
type Settings struct {
	// URL is the broker's, without credentials: amqp or amqps, host, port, virtual host.
	URL string
	// Auth is Plain or External.
	Auth amqp.Authentication
	// TLS is for amqps.
	TLS *tls.Config
	// Exchange, Queue and DeadQueue are names. Those of the organizations' queues and of the retry queues are made of
	// Queue.
	Exchange, Queue, DeadQueue string
	// Orgs are the organizations whose jobs are published and consumed.
	Orgs    []string
	Retries backfill.RetryPolicy
	// Prefetch is how many jobs a replica holds that are not done; where it has so many organizations that Consumers of
	// each are more, those. Consumers is how many it works on at a time.
	Prefetch, Consumers int
	// ConnectionName shows in the broker's list of connections.
	ConnectionName string
	Now            func() time.Time
	Logger         *zap.Logger
	// OnState is called when the state changes; nil is good. It must not block.
	OnState func(error)
	// OnConsumer is called when consuming begins (nil) or is interrupted. It must not block.
	OnConsumer func(error)
	// OnInvalid is called with the queue of a message that is no job, OnReturned with that of a job that was given
	// back.
	OnInvalid, OnReturned func(queue string)
	// OnRefused is called when a queue refuses jobs, and with nil when it takes jobs again. It must not block.
	OnRefused func(queue string, err error)
}

// PlainAuth authenticates with a name and a password.
func PlainAuth(username, password string) amqp.Authentication {
	return &amqp.PlainAuth{Username: username, Password: password}
}

// ExternalAuth authenticates with the certificate of the TLS client.
func ExternalAuth() amqp.Authentication { return &amqp.ExternalAuth{} }

// Queue is a queue on RabbitMQ. It is safe for concurrent use.
type Queue struct {
	settings  Settings
	topology  topology
	publisher *publisher
	consumer  *managedConn
	stop      context.CancelFunc
	running   sync.WaitGroup

	numConsumers   atomic.Int64
	isAwaitingConn atomic.Bool // says that Consume waits for a connection
	// sources are the queues that are consumed, one for each organization; shared is the one of a version before, which
	// is consumed while old has it.
	sources      []*source
	legacySource *source
	legacyQueues atomic.Pointer[[]string]
	connErrors   connErrors
}

// source is a queue that is consumed.
type source struct {
	name, org string
	oldest    atomic.Int64 // when the job was published that came last, in milliseconds
}

func newSource(name, org string) *source { return &source{name: name, org: org} }

var _ backfill.Queue = (*Queue)(nil)

// connErrors joins what the connections say.
type connErrors struct {
	mu         sync.Mutex
	errs       [2]error
	isReported bool
}

// ErrUnavailable is the error of whatever needs a broker that cannot be reached, or that takes nothing.
var ErrUnavailable = errors.New("RabbitMQ is not available")

func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

// New makes a queue. It does not wait for the broker.
func New(settings Settings) *Queue {
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
	q.consumer = newManagedConn(q, "consumer", q.setConsumerError, q.prepareConn)
	q.running.Go(func() { q.publisher.conns.run(ctx) })
	q.running.Go(func() { q.consumer.run(ctx) })
	return q
}

// prepareConn declares what is needed on a new connection, and looks for what a version before has left.
func (q *Queue) prepareConn(conn *amqp.Connection) error {
	if err := q.topology.declare(conn); err != nil {
		return err
	}
	found, err := q.topology.findLegacy(conn)
	if err != nil {
		return err
	}
	if before := q.legacyQueues.Swap(&found); len(found) > 0 && before == nil {
		q.settings.Logger.Info("The queue of a version before exists and is consumed, too; delete it with its retry "+
			"queues "+
			"when all replicas have this version and it is empty.", zap.Strings("queues", found))
	}
	return nil
}

// presentLegacyQueues are the queues of a version before that are there.
func (q *Queue) presentLegacyQueues() []string {
	if old := q.legacyQueues.Load(); old != nil {
		return *old
	}
	return nil
}

// dropLegacyQueue notes that a queue of a version before was deleted.
func (q *Queue) dropLegacyQueue(name string) {
	var left []string
	for _, old := range q.presentLegacyQueues() {
		if old != name {
			left = append(left, old)
		}
	}
	q.legacyQueues.Store(&left)
	q.settings.Logger.Info("A queue of a version before was deleted.", zap.String("queue", name))
}

// NumConsumers is how many consumers this process has.
func (q *Queue) NumConsumers() int { return int(q.numConsumers.Load()) }

// RetryQueues is a name for all retry queues together.
func RetryQueues(jobs string) string { return baseName(jobs) + ".retry" }

// Close ends the connections. Jobs that are not done go back to the broker.
func (q *Queue) Close() {
	q.stop()
	q.running.Wait()
}

// setConnError notes how a connection does and tells when that changes how the queue does.
func (q *Queue) setConnError(connection int, err error) {
	q.connErrors.mu.Lock()
	defer q.connErrors.mu.Unlock()
	before := errors.Join(q.connErrors.errs[:]...)
	q.connErrors.errs[connection] = err
	now := errors.Join(q.connErrors.errs[:]...)
	if q.settings.OnState != nil && (!q.connErrors.isReported || (before == nil) != (now == nil) || (now != nil && before.Error() != now.Error())) {
		q.connErrors.isReported = true
		q.settings.OnState(now)
	}
}

// setConsumerError notes how the connection of the consumers does, which is also why nothing is consumed without it.
func (q *Queue) setConsumerError(err error) {
	q.setConnError(1, err)
	if err != nil && q.isAwaitingConn.Load() {
		q.settings.OnConsumer(unavailable(err))
	}
}

// awaitConsumerConn waits for the connection of the consumers.
func (q *Queue) awaitConsumerConn(ctx context.Context) (*amqp.Connection, error) {
	q.isAwaitingConn.Store(true)
	defer q.isAwaitingConn.Store(false)
	if _, err := q.consumer.current(); err != nil {
		q.settings.OnConsumer(err)
	}
	return q.consumer.await(ctx)
}

// Depth implements backfill.Queue.
func (q *Queue) Depth(ctx context.Context) (backfill.Depth, error) {
	return q.sumDepths(ctx, q.sources, q.settings.DeadQueue)
}

// OrgDepth is the depth of one organization's jobs. Those that wait for their time are of all; dead ones are not
// counted.
func (q *Queue) OrgDepth(ctx context.Context, org string) (backfill.Depth, error) {
	for _, s := range q.sources {
		if strings.EqualFold(s.org, org) {
			return q.sumDepths(ctx, []*source{s})
		}
	}
	return backfill.Depth{}, fmt.Errorf("organization %q has no queue here", org)
}

// sumDepths adds up the depths of sources, of what a version before has left, and of all retry queues.
func (q *Queue) sumDepths(ctx context.Context, sources []*source, dead ...string) (backfill.Depth, error) {
	var depth backfill.Depth
	names := slices.Clone(dead)
	for _, s := range sources {
		names = append(names, s.name)
	}
	for _, delay := range q.settings.Retries.Delays {
		names = append(names, retryQueue(q.settings.Queue, delay))
	}
	counts, err := q.publisher.readDepths(ctx, names)
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

// addSourceDepth adds a source's depth.
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

// prefetchPerQueue is how many jobs of each queue are held. Quorum queues know no bound for a channel as a whole
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

// toJobQueue sends a message to a queue behind the exchange.
func (q *Queue) toJobQueue(queue string, m amqp.Publishing) outgoing {
	return outgoing{queue: queue, exchange: q.settings.Exchange, key: queue, message: m}
}

// toRetryQueue sends a message to a queue behind the exchange, once a delay is over.
func (q *Queue) toRetryQueue(delay time.Duration, queue string, m amqp.Publishing) outgoing {
	name := retryQueue(q.settings.Queue, delay)
	return outgoing{queue: name, exchange: name, key: queue, message: m}
}
