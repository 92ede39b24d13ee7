// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"context"
	"time"
)

// Queue carries jobs from the leader's dispatcher to the workers of all replicas. It delivers each job at least once,
// until a handler is done with it. A Queue is safe for concurrent use.
type Queue interface {
	// Publish returns when the queue has confirmed the jobs. After an error the first confirmed ones of them are
	// certainly in the queue; each of the others may be in it.
	Publish(ctx context.Context, jobs []Job) (confirmed int, err error)
	// Consume delivers jobs to the handler, several at a time, until ctx ends, and waits for the handlers. It returns
	// the cause of ctx. A job whose handler did not return before is delivered again, to this process or to another
	// one.
	Consume(ctx context.Context, handler Handler) error
	// Depth reads how many jobs are in the queue.
	Depth(ctx context.Context) (Depth, error)
}

// Handler works on a job. Its error decides what becomes of the job; see RetryPolicy.DecideOutcome.
type Handler func(ctx context.Context, job Job) error

// Depth is the number of jobs in a queue by state.
type Depth struct {
	// Ready is the number of jobs that wait for a consumer, Retries of those that wait for their next delivery,
	// DeadLetters of those that only an operator delivers again.
	Ready, Retries, DeadLetters int
	// MaxUnacked is an upper bound of the jobs that consumers have received and not acknowledged. Ready does not
	// include them.
	MaxUnacked int
	// Consumers is the number of consumers in all replicas; where there are several queues, the lowest number of a
	// queue.
	Consumers int
	// Oldest is the publishing time of the job that was delivered last; zero when none was delivered, or none is ready.
	Oldest time.Time
	// Queues has the depth of each queue, where there are several.
	Queues []QueueDepth
}

// QueueDepth is the number of jobs in one queue.
type QueueDepth struct {
	Name string
	// Org is the organization of the queue's jobs; "" where organizations share the queue.
	Org              string
	Ready, Consumers int
	// Oldest is when the job that was delivered last was published: an approximation of the age of the waiting jobs;
	// zero when none was delivered, or none waits.
	Oldest time.Time
}

// Pending returns the number of jobs that workers still have to do.
func (d *Depth) Pending() int { return d.Ready + d.Retries }
