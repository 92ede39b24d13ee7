// Package rabbitqueue is a queue on RabbitMQ: a quorum queue of jobs, a queue with a time to live for every delay, and one for
// dead jobs, all behind one direct exchange. It publishes with confirms and acknowledges by hand, after the work. Whatever
// happens to a connection or to the broker ends in a new connection that declares everything again.
package rabbitqueue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
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
	// Exchange, Queue and DeadQueue are names. Those of the retry queues are made of Queue.
	Exchange, Queue, DeadQueue string
	Retries                    backfill.Retries
	// Prefetch is how many jobs a consumer holds that are not done, Consumers how many it works on at a time.
	Prefetch, Consumers int
	// Name shows in the broker's list of connections.
	Name   string
	Now    func() time.Time
	Logger *zap.Logger
	// OnState is called when the state changes; nil is good. It must not block.
	OnState func(error)
	// OnConsumer is called when consuming begins (nil) or is interrupted. It must not block.
	OnConsumer func(error)
	// OnInvalid is called for a message that is no job.
	OnInvalid func()
}

// Plain authenticates with a name and a password.
func Plain(username, password string) amqp.Authentication {
	return &amqp.PlainAuth{Username: username, Password: password}
}

// External authenticates with the certificate of the TLS client.
func External() amqp.Authentication { return &amqp.ExternalAuth{} }

// Queue is a queue on RabbitMQ. It is safe for concurrent use.
type Queue struct {
	settings  Settings
	topology  topology
	publisher *publisher
	consumer  *link
	stop      context.CancelFunc
	running   sync.WaitGroup

	consuming atomic.Int64
	oldest    atomic.Int64 // when the job was published that came last, in milliseconds
	state     state
}

var _ backfill.Queue = (*Queue)(nil)

// state joins what the connections say.
type state struct {
	mu       sync.Mutex
	troubles [2]error
	told     bool
}

// ErrDown is the error of whatever needs a broker that cannot be reached, or that takes nothing.
var ErrDown = errors.New("RabbitMQ is not available")

func down(err error) error { return fmt.Errorf("%w: %w", ErrDown, err) }

// New makes a queue. It does not wait for the broker.
func New(settings Settings) *Queue {
	if settings.OnConsumer == nil {
		settings.OnConsumer = func(error) {}
	}
	q := &Queue{settings: settings, topology: newTopology(&settings)}
	q.state.troubles = [2]error{errNotYet, errNotYet}
	ctx, cancel := context.WithCancel(context.Background())
	q.stop = cancel
	q.publisher = newPublisher(q)
	q.consumer = newLink(q, "consumer", func(err error) { q.trouble(1, err) }, q.topology.declare)
	q.running.Go(func() { q.publisher.link.run(ctx) })
	q.running.Go(func() { q.consumer.run(ctx) })
	return q
}

// Consuming is how many consumers this process has.
func (q *Queue) Consuming() int { return int(q.consuming.Load()) }

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

// Depth implements backfill.Queue.
func (q *Queue) Depth(ctx context.Context) (backfill.Depth, error) {
	depth, err := q.publisher.depth(ctx)
	if at := q.oldest.Load(); err == nil && depth.Jobs > 0 && at != 0 {
		depth.Oldest = time.UnixMilli(at).UTC()
	}
	return depth, err
}

// Publish implements backfill.Queue.
func (q *Queue) Publish(ctx context.Context, jobs []backfill.Job) (int, error) {
	messages := make([]outgoing, len(jobs))
	for i := range jobs {
		messages[i] = outgoing{key: q.settings.Queue, message: fresh(&jobs[i])}
	}
	return q.publisher.publish(ctx, messages)
}
