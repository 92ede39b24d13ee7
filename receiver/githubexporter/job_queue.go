// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

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
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

const (
	// depthInterval is how often the queue's depth is asked for, and whether this replica should consume.
	depthInterval = 5 * time.Second
	// depthTimeout bounds the question.
	depthTimeout = 3 * time.Second
	// minLooksWithoutConsumer is how many looks in a row find no other consumer before a leader that was elected
	// consumes.
	minLooksWithoutConsumer = 2
	// memoryQueueName names the queue in the process.
	memoryQueueName = "memory"
)

// jobQueue is the queue of backfill jobs and its consumer in this replica. It is safe for concurrent use.
type jobQueue struct {
	config      *Config
	monitor     *health.Monitor
	roleChanged <-chan struct{}
	// shared is the queue of all replicas, local the one in the process. There is one of them, or both, when the local
	// one stands in for the other.
	shared *rabbitqueue.Queue
	local  *memqueue.Queue
	claims backfill.Claims
	worker *backfill.Worker
	errors *queueErrors
	// foreign are organizations of other deployments whose jobs were met.
	foreign foreignOrgs
	backlog backlogState
}

// backlogState is the backlog that refreshDepth observed last, and counts of messages. It is safe for concurrent use.
type backlogState struct {
	mu      sync.Mutex
	backlog emit.Backlog
	isKnown bool
	// looksWithoutConsumer are the observations in a row that found no other consumer of the shared queue.
	looksWithoutConsumer int
	// invalid and returned count messages since the start, by the queue's name.
	invalid, returned map[string]int64
}

// openJobs makes the queue that the configuration chose; nil when there is no backfill. It does not wait for the
// broker.
func (r *githubReceiver) openJobs(ctx context.Context) (*jobQueue, error) {
	if !r.config.Backfill.Enabled {
		return nil, nil //nolint:nilnil // there is none
	}
	j := &jobQueue{
		config: r.config, monitor: r.monitor, roleChanged: r.roleChanged, claims: &backfill.LocalClaims{},
		errors:  newQueueErrors(r.monitor),
		backlog: backlogState{invalid: make(map[string]int64), returned: make(map[string]int64)},
	}
	if r.config.RabbitMQ.Enabled() {
		var err error
		if j.shared, err = r.openRabbitMQ(ctx, j); err != nil {
			return nil, fmt.Errorf("rabbitmq: %w", err)
		}
		if r.store.claims != nil {
			j.claims = r.store.claims
		}
	}
	if !r.config.RabbitMQ.Enabled() || r.config.RabbitMQ.Unavailable == unavailableMemory {
		j.local = memqueue.New(memqueue.Settings{
			Retries:   r.config.Backfill.retries(),
			Consumers: r.config.Backfill.ConsumerCount,
		})
	}
	j.worker = backfill.NewWorker(backfill.WorkerSettings{
		ReaderOf: r.readerOf, Claims: j.claims, Retries: r.config.Backfill.retries(),
		MaxAge:            r.config.Backfill.MaxMessageAge,
		HeartbeatInterval: max(time.Second, claimTimeout(&r.config.Backfill)/3), Now: time.Now,
		Logger: r.settings.Logger, DeadLetter: j.deadLetter(),
	})
	return j, nil
}

// deadLetter is the field of the log that names the dead-letter queue, from which an operator can have a job replayed.
// The queue in the process has none.
func (j *jobQueue) deadLetter() zap.Field {
	if j.shared == nil || j.local != nil {
		return zap.Skip()
	}
	return zap.String("dead_letter_queue", j.config.RabbitMQ.DeadLetterQueue)
}

func (r *githubReceiver) openRabbitMQ(ctx context.Context, j *jobQueue) (*rabbitqueue.Queue, error) {
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
		URL: c.Endpoint, Auth: auth, TLS: encryption, Exchange: c.Exchange, Queue: c.Queue,
		DeadQueue: c.DeadLetterQueue,
		Orgs:      orgs, Retries: r.config.Backfill.retries(), Prefetch: c.Prefetch,
		Consumers:      r.config.Backfill.ConsumerCount,
		ConnectionName: r.settings.ID.String(), Now: time.Now, Logger: r.settings.Logger,
		OnState:    func(err error) { r.monitor.SetDependencies(map[string]error{health.AMQP: err}) },
		OnConsumer: func(err error) { r.monitor.SetDependencies(map[string]error{health.Consumer: err}) },
		OnInvalid:  func(queue string) { j.backlog.countMessage(j.backlog.invalid, queue) },
		OnReturned: func(queue string) { j.backlog.countMessage(j.backlog.returned, queue) },
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

// claimTimeout is how long the claim of a job may go without a refresh.
func claimTimeout(c *BackfillConfig) time.Duration { return max(5*time.Second, c.SweepInterval) }

// close ends the connections.
func (j *jobQueue) close() {
	if j != nil && j.shared != nil {
		j.shared.Close()
	}
}

// countMessage counts a message of a queue.
func (b *backlogState) countMessage(counters map[string]int64, queue string) {
	b.mu.Lock()
	defer b.mu.Unlock()
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
func (j *jobQueue) depth(ctx context.Context, ask func(context.Context) (backfill.Depth, error)) (backfill.Depth,
	error,
) {
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
			// nothing is to be consumed, or it is in the process
			j.monitor.SetDependencies(map[string]error{health.Consumer: nil})
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-j.roleChanged:
		}
	}
}

// shouldConsume reports whether this replica is to consume the shared queue: a follower does, and a leader where there
// is no other consumer, or where leadership is divided.
func (j *jobQueue) shouldConsume(does bool) bool {
	if !j.monitor.LeadsAny() || j.config.Leadership == leadershipOrg {
		return true
	}
	looks := j.backlog.numLooksWithoutConsumer()
	if does {
		return looks > 0
	}
	return looks >= minLooksWithoutConsumer || (looks > 0 && j.config.LeaderElection == nil)
}

// refreshDepth asks for the depth and who else consumes.
func (j *jobQueue) refreshDepth(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, depthTimeout)
	defer cancel()
	seen := emit.Backlog{Depth: make(map[string]int)}
	if j.local != nil {
		local, _ := j.local.Depth(ctx) // it has no errors
		seen.Depth[memoryQueueName], seen.Depth[memoryQueueName+".retry"] = local.Ready, local.Retries
		seen.Depth[memoryQueueName+".dead"] = local.DeadLetters
		if j.shared == nil {
			seen.Queues = []backfill.QueueDepth{{Name: memoryQueueName, Ready: local.Ready, Oldest: local.Oldest}}
		}
	}
	others, known := 1, true
	if j.shared != nil {
		shared, err := j.shared.Depth(ctx)
		if known = err == nil; known {
			c := &j.config.RabbitMQ
			seen.Queues = shared.Queues
			seen.Depth[rabbitqueue.RetryQueues(c.Queue)], seen.Depth[c.DeadLetterQueue] = shared.Retries,
				shared.DeadLetters
			for i := range shared.Queues {
				seen.Depth[shared.Queues[i].Name] = shared.Queues[i].Ready
			}
			others = shared.Consumers - j.shared.NumConsumers()
		}
	}
	j.backlog.set(seen, known, others > 0)
}

// set notes an observation of the queues. One without success says nothing about consumers.
func (b *backlogState) set(seen emit.Backlog, isKnown, hasOtherConsumer bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.backlog, b.isKnown = seen, isKnown
	switch {
	case !isKnown:
	case hasOtherConsumer:
		b.looksWithoutConsumer = 0
	default:
		b.looksWithoutConsumer++
	}
}

func (b *backlogState) numLooksWithoutConsumer() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.looksWithoutConsumer
}

// last returns the backlog that was observed last; false where the last observation failed.
func (b *backlogState) last() (emit.Backlog, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seen := b.backlog
	seen.Invalid, seen.Returned = maps.Clone(b.invalid), maps.Clone(b.returned)
	return seen, b.isKnown
}

// readerOf is who reads jobs of an organization; nil when it is not configured.
func (r *githubReceiver) readerOf(name string) backfill.Reader {
	key := (&OrgConfig{Name: name}).key()
	for _, org := range r.orgs {
		if org.config.key() == key {
			return org.reader
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
