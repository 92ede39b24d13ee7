// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// refusedChannelLife is the time for which a channel is used after a queue refused jobs on it. An old channel does not
// apply a changed policy, and a new one may exceed the queue's limit until it applies it.
const refusedChannelLife = 20 * time.Second

// RefusedError is the error of a job that the broker refused for a queue. It is an ErrUnavailable, too.
type RefusedError struct{ Queue string }

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("RabbitMQ refuses jobs for the queue %q (basic.nack): it is full, or has no majority of its "+
		"members; look at max-length and overflow in its policy (rabbitmqctl list_policies)", e.Queue)
}

// Is implements errors.Is.
func (e *RefusedError) Is(target error) bool { return target == ErrUnavailable }

// refusals are the queues that refuse jobs. It is safe for concurrent use: publishing and reading depths change it.
type refusals struct {
	settings *Settings

	mu      sync.Mutex
	lastAt  map[string]time.Time // by queue, while it refuses jobs
	changes notify.Queue[refusalChange]
}

// refusalChange is a queue that begins to refuse jobs, or with a nil err one that accepts them again.
type refusalChange struct {
	queue string
	err   error
}

// newRefusals returns an empty set.
func newRefusals(settings *Settings) refusals {
	return refusals{settings: settings, lastAt: make(map[string]time.Time)}
}

// record records by queue whether all messages of a chunk were accepted. The first chunk on a channel does not prove
// that a queue accepts messages again: the channel does not apply the queue's limit yet.
func (r *refusals) record(accepted map[string]bool, firstOnChannel bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for queue, ok := range accepted {
		_, isRefusing := r.lastAt[queue]
		switch {
		case !ok:
			r.lastAt[queue] = r.settings.Now()
			if !isRefusing {
				r.changes.Add(refusalChange{queue, &RefusedError{Queue: queue}})
			}
		case !firstOnChannel && isRefusing:
			r.clear(queue)
		}
	}
}

// recordEmpty records that a queue is empty. One that refused messages a while ago counts as accepting them: there may
// be nothing to publish any more.
func (r *refusals) recordEmpty(queue string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if lastAt, ok := r.lastAt[queue]; ok && r.settings.Now().Sub(lastAt) >= refusedChannelLife {
		r.clear(queue)
	}
}

// clear ends the refusal of a queue. r.mu is held.
func (r *refusals) clear(queue string) {
	delete(r.lastAt, queue)
	r.changes.Add(refusalChange{queue: queue})
}

// report logs and reports the changes. The caller holds no lock.
func (r *refusals) report() {
	r.changes.Deliver(func(change refusalChange) {
		if change.err != nil {
			r.settings.Logger.Warn("RabbitMQ refuses jobs for a queue; their windows stay gaps until it takes them.",
				zap.String("queue", change.queue), zap.Error(change.err))
		} else {
			r.settings.Logger.Info("RabbitMQ takes jobs for a queue again.", zap.String("queue", change.queue))
		}
		r.settings.OnRefused(change.queue, change.err)
	})
}
