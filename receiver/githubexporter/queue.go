package githubexporter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/memqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

const (
	// depthInterval is how often the queue's depth is asked for, and whether this replica should consume.
	depthInterval = 5 * time.Second
	// depthTimeout bounds the question.
	depthTimeout = 3 * time.Second
	// minLooksWithoutConsumer is how many looks in a row find no other consumer before a leader that was elected consumes.
	minLooksWithoutConsumer = 2
	// memoryQueueName names the queue in the process.
	memoryQueueName = "memory"
)

// jobQueue is the queue of backfill jobs, and who consumes it here.
type jobQueue struct {
	receiver *githubReceiver
	// shared is the queue of all replicas, local the one in the process. There is one of them, or both, when the local one
	// stands in for the other.
	shared *rabbitqueue.Queue
	local  *memqueue.Queue
	claims backfill.Claims
	worker *backfill.Worker

	errors *queueErrors
	// foreign are organizations of other deployments whose jobs were met.
	foreign foreignOrgs

	mu                   sync.Mutex
	backlog              backlog
	depthKnown           bool
	looksWithoutConsumer int
	// invalid and returned count messages since the start, by the queue's name.
	invalid, returned map[string]int64
}

// backlog is what waits, as it was seen last.
type backlog struct {
	// depth is by the queue's name.
	depth map[string]int
	// queues are those of which the age of the oldest job is shown.
	queues []backfill.QueueDepth
	// invalid and returned are what was counted since the start, by the queue's name.
	invalid, returned map[string]int64
}

// openJobs makes the queue that the configuration chose; nil when there is no backfill. It does not wait for the broker.
func openJobs(ctx context.Context, r *githubReceiver) (*jobQueue, error) {
	if !r.config.Backfill.Enabled {
		return nil, nil //nolint:nilnil // there is none
	}
	j := &jobQueue{
		receiver: r, claims: &backfill.LocalClaims{}, errors: newQueueErrors(r.monitor),
		invalid: make(map[string]int64), returned: make(map[string]int64),
	}
	if r.config.RabbitMQ.Enabled() {
		var err error
		if j.shared, err = openRabbitMQ(ctx, r, j); err != nil {
			return nil, fmt.Errorf("rabbitmq: %w", err)
		}
		if r.store.claims != nil {
			j.claims = r.store.claims
		}
	}
	if !r.config.RabbitMQ.Enabled() || r.config.RabbitMQ.Unavailable == unavailableMemory {
		j.local = memqueue.New(memqueue.Settings{Retries: r.config.Backfill.retries(), Consumers: r.config.Backfill.ConsumerCount})
	}
	j.worker = backfill.NewWorker(backfill.WorkerSettings{
		ReaderOf: r.readerOf, Claims: j.claims, Retries: r.config.Backfill.retries(), MaxAge: r.config.Backfill.MaxMessageAge,
		HeartbeatInterval: max(time.Second, claimTimeout(&r.config.Backfill)/3), Now: time.Now, Logger: r.settings.Logger, DeadLetter: j.deadLetter(),
	})
	return j, nil
}

// deadLetter is the field of the log that names the dead-letter queue, from which an operator can have a job replayed. The queue
// in the process has none.
func (j *jobQueue) deadLetter() zap.Field {
	if j.shared == nil || j.local != nil {
		return zap.Skip()
	}
	return zap.String("dead_letter_queue", j.receiver.config.RabbitMQ.DeadLetterQueue)
}

func openRabbitMQ(ctx context.Context, r *githubReceiver, j *jobQueue) (*rabbitqueue.Queue, error) {
	c := &r.config.RabbitMQ
	auth := rabbitqueue.ExternalAuth()
	if c.Auth.Plain != nil {
		auth = rabbitqueue.PlainAuth(c.Auth.Plain.Username, string(c.Auth.Plain.Password))
	}
	encryption, err := c.loadTLS(ctx)
	if err != nil {
		return nil, err
	}
	var orgs []string
	for i := range r.config.Orgs {
		orgs = append(orgs, r.config.Orgs[i].key())
	}
	return rabbitqueue.New(rabbitqueue.Settings{ //nolint:contextcheck // it lives until it is closed
		URL: c.Endpoint, Auth: auth, TLS: encryption, Exchange: c.Exchange, Queue: c.Queue, DeadQueue: c.DeadLetterQueue,
		Orgs: orgs, Retries: r.config.Backfill.retries(), Prefetch: c.Prefetch, Consumers: r.config.Backfill.ConsumerCount,
		ConnectionName: r.settings.ID.String(), Now: time.Now, Logger: r.settings.Logger,
		OnState:    func(err error) { r.monitor.SetDependencies(map[string]error{health.AMQP: err}) },
		OnConsumer: func(err error) { r.monitor.SetDependencies(map[string]error{health.Consumer: err}) },
		OnInvalid:  func(queue string) { j.countMessage(j.invalid, queue) },
		OnReturned: func(queue string) { j.countMessage(j.returned, queue) },
		OnRefused:  j.errors.setRefused,
	}), nil
}

// loadTLS gives the settings for amqps, those of the system where nothing is configured.
func (c *RabbitMQConfig) loadTLS(ctx context.Context) (*tls.Config, error) {
	if !c.TLS.HasValue() {
		return nil, nil //nolint:nilnil // the library's defaults
	}
	settings, err := c.TLS.Get().LoadTLSConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return settings, nil
}

// claimTimeout is how long there may be no sign of a job.
func claimTimeout(c *BackfillConfig) time.Duration { return max(5*time.Second, c.SweepInterval) }

// close ends the connections.
func (j *jobQueue) close() {
	if j != nil && j.shared != nil {
		j.shared.Close()
	}
}

// countMessage counts a message of a queue.
func (j *jobQueue) countMessage(counters map[string]int64, queue string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	counters[queue]++
}

// orgJobs are the jobs of one organization.
type orgJobs struct {
	*jobQueue
	org string
}

// Depth implements backfill.Publisher.
func (j orgJobs) Depth(ctx context.Context) (backfill.Depth, error) {
	return j.depth(ctx, func(ctx context.Context) (backfill.Depth, error) { return j.shared.OrgDepth(ctx, j.org) })
}

// Publish implements backfill.Publisher: the local queue takes what the shared one cannot.
func (j *jobQueue) Publish(ctx context.Context, list []backfill.Job) (int, error) {
	if j.shared == nil {
		return j.local.Publish(ctx, list)
	}
	n, err := j.shared.Publish(ctx, list)
	if err == nil || j.local == nil || !errors.Is(err, rabbitqueue.ErrUnavailable) {
		return n, err
	}
	more, err := j.local.Publish(ctx, list[n:])
	return n + more, err
}

// depth is that of the local queue and of the shared one together.
func (j *jobQueue) depth(ctx context.Context, ask func(context.Context) (backfill.Depth, error)) (backfill.Depth, error) {
	var depth backfill.Depth
	if j.local != nil {
		depth, _ = j.local.Depth(ctx) // it has no errors
	}
	if j.shared == nil {
		return depth, nil
	}
	shared, err := ask(ctx)
	if err != nil && j.local != nil && errors.Is(err, rabbitqueue.ErrUnavailable) {
		return depth, nil
	}
	shared.Ready += depth.Ready
	shared.Retries += depth.Retries
	shared.DeadLetters += depth.DeadLetters
	return shared, err
}

// consume consumes until ctx ends: the local queue always, the shared one where it is this replica's part.
func (j *jobQueue) consume(ctx context.Context) {
	var consumers sync.WaitGroup
	defer consumers.Wait()
	if j.local != nil {
		consumers.Go(func() { _ = j.local.Consume(ctx, j.worker.Handle) }) // ends with the context only
	}
	var stop context.CancelFunc
	ticker := time.NewTicker(depthInterval)
	defer ticker.Stop()
	for ctx.Err() == nil {
		j.refreshDepth(ctx)
		should := j.shared != nil && j.shouldConsume(stop != nil)
		switch {
		case should && stop == nil:
			var consuming context.Context
			consuming, stop = context.WithCancel(ctx)
			consumers.Go(func() { _ = j.shared.Consume(consuming, j.worker.Handle) })
		case !should && stop != nil:
			stop()
			stop = nil
		}
		if stop == nil {
			j.receiver.monitor.SetDependencies(map[string]error{health.Consumer: nil}) // nothing is to be consumed, or it is in the process
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-j.receiver.roleChanged:
		}
	}
}

// shouldConsume reports whether this replica is to consume the shared queue: followers are, and who leads when nobody else does, or
// when the organizations are divided.
func (j *jobQueue) shouldConsume(does bool) bool {
	if !j.receiver.monitor.LeadsAny() || j.receiver.config.Leadership == leadershipOrg {
		return true
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if does {
		return j.looksWithoutConsumer > 0
	}
	return j.looksWithoutConsumer >= minLooksWithoutConsumer || (j.looksWithoutConsumer > 0 && j.receiver.config.LeaderElection == nil)
}

// refreshDepth asks for the depth and who else consumes.
func (j *jobQueue) refreshDepth(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, depthTimeout)
	defer cancel()
	seen := backlog{depth: make(map[string]int)}
	if j.local != nil {
		local, _ := j.local.Depth(ctx) // it has no errors
		seen.depth[memoryQueueName], seen.depth[memoryQueueName+".retry"] = local.Ready, local.Retries
		seen.depth[memoryQueueName+".dead"] = local.DeadLetters
		if j.shared == nil {
			seen.queues = []backfill.QueueDepth{{Name: memoryQueueName, Ready: local.Ready, Oldest: local.Oldest}}
		}
	}
	others, known := 1, true
	if j.shared != nil {
		shared, err := j.shared.Depth(ctx)
		if known = err == nil; known {
			c := &j.receiver.config.RabbitMQ
			seen.queues = shared.Queues
			seen.depth[rabbitqueue.RetryQueues(c.Queue)], seen.depth[c.DeadLetterQueue] = shared.Retries, shared.DeadLetters
			for i := range shared.Queues {
				seen.depth[shared.Queues[i].Name] = shared.Queues[i].Ready
			}
			others = shared.Consumers - j.shared.NumConsumers()
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.backlog, j.depthKnown = seen, known
	switch {
	case !known:
	case others > 0:
		j.looksWithoutConsumer = 0
	default:
		j.looksWithoutConsumer++
	}
}

// lastBacklog is the backlog as it was seen last.
func (j *jobQueue) lastBacklog() (seen backlog, known bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	seen = j.backlog
	seen.invalid, seen.returned = maps.Clone(j.invalid), maps.Clone(j.returned)
	return seen, j.depthKnown
}

// readerOf is who reads jobs of an organization; nil when it is not configured.
func (r *githubReceiver) readerOf(name string) backfill.Reader {
	key := (&OrgConfig{Name: name}).key()
	for _, org := range r.orgs {
		if org.config.key() == key {
			return org
		}
	}
	if r.jobs.foreign.shouldName(key) {
		r.settings.Logger.Warn("Another deployment shares this queue: a backfill job is for an organization that "+
			"is not configured here. Its jobs are returned to the queue, and dead-lettered when no deployment "+
			"consumes them.", zap.String("org",
			name))
	}
	return nil
}

// maxForeign bounds the organizations of other deployments that are named in the log.
const maxForeign = 100

// foreignOrgs are organizations of other deployments that were named in the log. The zero value has none.
type foreignOrgs struct {
	mu    sync.Mutex
	named map[string]bool
}

// shouldName reports whether an organization is to be named, which is so once.
func (f *foreignOrgs) shouldName(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.named[key] || len(f.named) >= maxForeign {
		return false
	}
	if f.named == nil {
		f.named = make(map[string]bool)
	}
	f.named[key] = true
	return true
}
