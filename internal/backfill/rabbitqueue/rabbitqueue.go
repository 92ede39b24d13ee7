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
	consumer  *link
	stop      context.CancelFunc
	running   sync.WaitGroup

	consuming atomic.Int64
	awaiting  atomic.Bool // says that Consume waits for a connection
	// sources are the queues that are consumed, one for each organization; shared is the one of a version before, which
	// is consumed while old has it.
	sources []*source
	shared  *source
	old     atomic.Pointer[[]string]
	state   state
}

// source is a queue that is consumed.
type source struct {
	name, org string
	oldest    atomic.Int64 // when the job was published that came last, in milliseconds
}

func newSource(name, org string) *source { return &source{name: name, org: org} }

var _ backfill.Queue = (*Queue)(nil)

// state joins what the connections say.
type state struct {
	mu       sync.Mutex
	troubles [2]error
	told     bool
}

// ErrUnavailable is the error of whatever needs a broker that cannot be reached, or that takes nothing.
var ErrUnavailable = errors.New("RabbitMQ is not available")

func down(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

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
	q := &Queue{settings: settings, topology: newTopology(&settings), shared: newSource(settings.Queue, "")}
	for _, org := range settings.Orgs {
		q.sources = append(q.sources, newSource(OrgQueue(settings.Queue, org), org))
	}
	q.state.troubles = [2]error{errNotYet, errNotYet}
	ctx, cancel := context.WithCancel(context.Background())
	q.stop = cancel
	q.publisher = newPublisher(q)
	q.consumer = newLink(q, "consumer", q.consumerTrouble, q.prepare)
	q.running.Go(func() { q.publisher.link.run(ctx) })
	q.running.Go(func() { q.consumer.run(ctx) })
	return q
}

// prepare declares what is needed on a new connection, and looks for what a version before has left.
func (q *Queue) prepare(conn *amqp.Connection) error {
	if err := q.topology.declare(conn); err != nil {
		return err
	}
	found, err := q.topology.findOld(conn)
	if err != nil {
		return err
	}
	if before := q.old.Swap(&found); len(found) > 0 && before == nil {
		q.settings.Logger.Info("The queue of a version before exists and is consumed, too; delete it with its retry "+
			"queues "+
			"when all replicas have this version and it is empty.", zap.Strings("queues", found))
	}
	return nil
}

// oldQueues are the queues of a version before that are there.
func (q *Queue) oldQueues() []string {
	if old := q.old.Load(); old != nil {
		return *old
	}
	return nil
}

// forgetOld notes that a queue of a version before was deleted.
func (q *Queue) forgetOld(name string) {
	var left []string
	for _, old := range q.oldQueues() {
		if old != name {
			left = append(left, old)
		}
	}
	q.old.Store(&left)
	q.settings.Logger.Info("A queue of a version before was deleted.", zap.String("queue", name))
}

// NumConsumers is how many consumers this process has.
func (q *Queue) NumConsumers() int { return int(q.consuming.Load()) }

// RetryQueues is a name for all retry queues together.
func RetryQueues(jobs string) string { return base(jobs) + ".retry" }

// Close ends the connections. Jobs that are not done go back to the broker.
func (q *Queue) Close() {
	q.stop()
	q.running.Wait()
}

// trouble notes how a connection does and tells when that changes how the queue does.
func (q *Queue) trouble(connection int, err error) {
	q.state.mu.Lock()
	defer q.state.mu.Unlock()
	before := errors.Join(q.state.troubles[:]...)
	q.state.troubles[connection] = err
	now := errors.Join(q.state.troubles[:]...)
	if q.settings.OnState != nil && (!q.state.told || (before == nil) != (now == nil) || (now != nil && before.Error() != now.Error())) {
		q.state.told = true
		q.settings.OnState(now)
	}
}

// consumerTrouble notes how the connection of the consumers does, which is also why nothing is consumed without it.
func (q *Queue) consumerTrouble(err error) {
	q.trouble(1, err)
	if err != nil && q.awaiting.Load() {
		q.settings.OnConsumer(down(err))
	}
}

// awaitConsumer waits for the connection of the consumers.
func (q *Queue) awaitConsumer(ctx context.Context) (*amqp.Connection, error) {
	q.awaiting.Store(true)
	defer q.awaiting.Store(false)
	if _, err := q.consumer.now(); err != nil {
		q.settings.OnConsumer(err)
	}
	return q.consumer.await(ctx)
}

// Depth implements backfill.Queue.
func (q *Queue) Depth(ctx context.Context) (backfill.Depth, error) {
	return q.depth(ctx, q.sources, q.settings.DeadQueue)
}

// OrgDepth is the depth of one organization's jobs. Those that wait for their time are of all; dead ones are not
// counted.
func (q *Queue) OrgDepth(ctx context.Context, org string) (backfill.Depth, error) {
	for _, s := range q.sources {
		if strings.EqualFold(s.org, org) {
			return q.depth(ctx, []*source{s})
		}
	}
	return backfill.Depth{}, fmt.Errorf("organization %q has no queue here", org)
}

// depth adds up the depths of sources, of what a version before has left, and of all retry queues.
func (q *Queue) depth(ctx context.Context, sources []*source, dead ...string) (backfill.Depth, error) {
	var depth backfill.Depth
	names := slices.Clone(dead)
	for _, s := range sources {
		names = append(names, s.name)
	}
	for _, delay := range q.settings.Retries.Delays {
		names = append(names, retryQueue(q.settings.Queue, delay))
	}
	counts, err := q.publisher.depths(ctx, names)
	if err != nil {
		return depth, err
	}
	for i, s := range sources {
		found := counts[s.name]
		delete(counts, s.name)
		q.addDepth(&depth, s, found)
		if i == 0 || found.Consumers < depth.Consumers {
			depth.Consumers = found.Consumers
		}
	}
	if found, there := counts[q.shared.name]; there {
		delete(counts, q.shared.name)
		q.addDepth(&depth, q.shared, found)
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

// addDepth adds a source's depth.
func (q *Queue) addDepth(depth *backfill.Depth, s *source, found amqp.Queue) {
	one := backfill.QueueDepth{Name: s.name, Org: s.org, Ready: found.Messages, Consumers: found.Consumers}
	if at := s.oldest.Load(); one.Ready > 0 && at != 0 {
		one.Oldest = time.UnixMilli(at).UTC()
		if depth.Oldest.IsZero() || one.Oldest.Before(depth.Oldest) {
			depth.Oldest = one.Oldest
		}
	}
	depth.Queues = append(depth.Queues, one)
	depth.Ready += one.Ready
	depth.MaxUnacked += one.Consumers * q.prefetch()
}

// prefetch is how many jobs of each queue are held. Quorum queues know no bound for a channel as a whole
// (https://www.rabbitmq.com/docs/quorum-queues#feature-matrix, "Global QoS Prefetch").
func (q *Queue) prefetch() int {
	return max(q.settings.Consumers, q.settings.Prefetch/max(1, len(q.sources)), 1)
}

// Publish implements backfill.Queue.
func (q *Queue) Publish(ctx context.Context, jobs []backfill.Job) (int, error) {
	messages := make([]outgoing, len(jobs))
	for i := range jobs {
		messages[i] = q.toJobs(OrgQueue(q.settings.Queue, jobs[i].Org), fresh(&jobs[i]))
	}
	return q.publisher.publish(ctx, messages)
}

// toJobs sends a message to a queue behind the exchange.
func (q *Queue) toJobs(queue string, m amqp.Publishing) outgoing {
	return outgoing{queue: queue, exchange: q.settings.Exchange, key: queue, message: m}
}

// toRetry sends a message to a queue behind the exchange, once a delay is over.
func (q *Queue) toRetry(delay time.Duration, queue string, m amqp.Publishing) outgoing {
	name := retryQueue(q.settings.Queue, delay)
	return outgoing{queue: name, exchange: name, key: queue, message: m}
}
