// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/memqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

const (
	// depthInterval is the time between two reads of the queue's depth, and decisions whether this replica consumes.
	depthInterval = 5 * time.Second
	// depthTimeout bounds a read of the depth.
	depthTimeout = 3 * time.Second
	// minLooksWithoutConsumer is the number of reads in a row without another consumer after which an elected leader
	// consumes.
	minLooksWithoutConsumer = 2
	// memoryQueueName names the queue in the process.
	memoryQueueName = "memory"
)

// jobQueue is the queue of backfill jobs, and its consumer in this replica. It is safe for concurrent use.
type jobQueue struct {
	config  *Config
	monitor *health.Monitor
	logger  *zap.Logger
	// shared is the queue of all replicas, local the one in this process. There is one of them, or both when the local
	// one is used while the shared one is unavailable.
	shared *rabbitqueue.Queue
	local  *memqueue.Queue
	claims backfill.Claims
	worker *backfill.Worker
	errors *queueErrors
	// roleChanged has a token when this replica has begun or ceased to lead.
	roleChanged wakeup.Signal
	backlog     backlogState
}

// backlogState has the backlog as refreshDepth read it last, and counts of messages. It is safe for concurrent use.
type backlogState struct {
	mu      sync.Mutex
	backlog emit.Backlog
	isKnown bool
	// looksWithoutConsumer is the number of reads in a row that found no other consumer of the shared queue.
	looksWithoutConsumer int
	// invalid and returned count messages since the start, by the queue's name.
	invalid, returned map[string]int64
}

// openJobQueue opens the queue that the configuration chose; nil when there is no backfill. claims are those of a
// shared store, nil for a store of this process. It does not wait for the broker. The error is one of the
// configuration.
func openJobQueue(
	ctx context.Context, config *Config, settings receiver.Settings, monitor *health.Monitor, claims backfill.Claims,
) (*jobQueue, error) {
	if !config.Backfill.Enabled {
		return nil, nil //nolint:nilnil // there is none
	}
	j := &jobQueue{
		config: config, monitor: monitor, logger: settings.Logger, claims: &backfill.LocalClaims{},
		errors: newQueueErrors(monitor), roleChanged: wakeup.NewSignal(),
		backlog: backlogState{invalid: make(map[string]int64), returned: make(map[string]int64)},
	}
	if config.RabbitMQ.Enabled() {
		if err := j.openRabbitMQ(ctx, settings.ID.String()); err != nil {
			return nil, fmt.Errorf("rabbitmq: %w", err)
		}
		if claims != nil {
			j.claims = claims
		}
	}
	if !config.RabbitMQ.Enabled() || config.RabbitMQ.Unavailable == unavailableMemory {
		j.local = memqueue.New(memqueue.Settings{
			Retries: config.Backfill.retries(), Consumers: config.Backfill.ConsumerCount,
		})
	}
	j.worker = backfill.NewWorker(backfill.WorkerSettings{
		Claims: j.claims, Retries: config.Backfill.retries(),
		MaxAge:            config.Backfill.MaxMessageAge,
		HeartbeatInterval: max(time.Second, config.Backfill.claimTimeout()/3), Now: time.Now,
		Logger: settings.Logger, DeadLetter: j.deadLetter(),
	})
	return j, nil
}

// signalRoleChange makes consume decide again whether this replica consumes the shared queue. It does not block, and
// does nothing to a nil queue.
func (j *jobQueue) signalRoleChange() {
	if j != nil {
		j.roleChanged.Notify()
	}
}

// deadLetter returns the field of the log that names the dead-letter queue, from which an operator can replay a job;
// zap.Skip() for the queue in this process, which has none.
func (j *jobQueue) deadLetter() zap.Field {
	if j.shared == nil || j.local != nil {
		return zap.Skip()
	}
	return zap.String("dead_letter_queue", j.config.RabbitMQ.DeadLetterQueue)
}

// openRabbitMQ opens the shared queue. name is shown in the broker's list of connections.
func (j *jobQueue) openRabbitMQ(ctx context.Context, name string) error {
	settings, err := j.config.RabbitMQSettings(ctx)
	if err != nil {
		return err
	}
	settings.ConnectionName, settings.Logger = name, j.logger
	settings.OnState = func(err error) { j.monitor.SetDependencies(map[string]error{health.AMQP: err}) }
	settings.OnConsumer = func(err error) { j.monitor.SetDependencies(map[string]error{health.Consumer: err}) }
	settings.OnInvalid = func(queue string) { j.backlog.countMessage(j.backlog.invalid, queue) }
	settings.OnReturned = func(queue string) { j.backlog.countMessage(j.backlog.returned, queue) }
	settings.OnRefused = j.errors.setRefused
	j.shared = rabbitqueue.New(settings) //nolint:contextcheck // it lives until it is closed
	return nil
}

// queueOf returns the name of the queue of an organization's jobs, by the key of the organization.
func (j *jobQueue) queueOf(key string) string {
	if j.shared == nil {
		return memoryQueueName
	}
	return rabbitqueue.OrgQueue(j.config.RabbitMQ.Queue, key)
}

// close ends the connections to the broker. It does nothing to a nil queue.
func (j *jobQueue) close() {
	if j != nil && j.shared != nil {
		j.shared.Close()
	}
}

// countMessage adds one to the count of a queue in counters, which is invalid or returned.
func (b *backlogState) countMessage(counters map[string]int64, queue string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	counters[queue]++
}

// orgJobs is the queue as the dispatcher of one organization uses it. org is the key of the organization.
type orgJobs struct {
	*jobQueue
	org string
}

// Depth implements backfill.Publisher.
func (j orgJobs) Depth(ctx context.Context) (backfill.Depth, error) {
	return j.depth(ctx, func(ctx context.Context) (backfill.Depth, error) { return j.shared.OrgDepth(ctx, j.org) })
}

// Publish implements backfill.Publisher: jobs go to the local queue while the shared one is unavailable.
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

// depth returns the depth of the local queue and of the shared one together. readShared reads that of the shared one.
func (j *jobQueue) depth(
	ctx context.Context, readShared func(context.Context) (backfill.Depth, error),
) (backfill.Depth, error) {
	var depth backfill.Depth
	if j.local != nil {
		depth, _ = j.local.Depth(ctx) // it has no errors
	}
	if j.shared == nil {
		return depth, nil
	}
	shared, err := readShared(ctx)
	if err != nil && j.local != nil && errors.Is(err, rabbitqueue.ErrUnavailable) {
		return depth, nil
	}
	shared.Ready += depth.Ready
	shared.Retries += depth.Retries
	shared.DeadLetters += depth.DeadLetters
	return shared, err
}

// consume consumes the local queue, and the shared one while shouldConsume is true, until ctx ends. It waits for the
// consumers.
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
			// no consumer of the shared queue is wanted here
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
// is no other consumer, or where leadership is divided. isConsuming says that it does now.
func (j *jobQueue) shouldConsume(isConsuming bool) bool {
	if !j.monitor.LeadsAny() || j.config.Leadership == leadershipOrg {
		return true
	}
	looks := j.backlog.numLooksWithoutConsumer()
	if isConsuming {
		return looks > 0
	}
	return looks >= minLooksWithoutConsumer || (looks > 0 && j.config.LeaderElection == nil)
}

// refreshDepth reads the depth of the queues and whether other replicas consume, into the backlog.
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

// set records a read of the depths. A failed one is not counted in looksWithoutConsumer.
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

// numLooksWithoutConsumer returns the number of reads in a row that found no other consumer.
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
