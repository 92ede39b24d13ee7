// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// queueErrors joins what the queue of jobs does wrong: jobs that it refuses, and jobs that it confirms and does not
// deliver. A replica stays ready: what was read is shown.
type queueErrors struct {
	monitor *health.Monitor

	mu sync.Mutex
	// errs are by queue and, of jobs that vanish, by organization.
	errs map[string]error
}

func newQueueErrors(monitor *health.Monitor) *queueErrors {
	return &queueErrors{monitor: monitor, errs: make(map[string]error)}
}

// setRefused notes that a queue refuses jobs, or takes them again.
func (c *queueErrors) setRefused(queue string, err error) { c.set("queue "+queue, err) }

// set notes a trouble, or that it has passed.
func (c *queueErrors) set(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		delete(c.errs, key)
	} else {
		c.errs[key] = err
	}
	var all []error
	for _, key := range slices.Sorted(maps.Keys(c.errs)) {
		all = append(all, c.errs[key])
	}
	c.monitor.SetDependencies(map[string]error{health.Backfill: errors.Join(all...)})
}

// setVanishing notes how many windows of an organization have jobs that vanish. It gives the trouble, nil for none.
func (c *queueErrors) setVanishing(org, queue string, windows int) error {
	var err error
	if windows > 0 {
		err = fmt.Errorf("jobs of organization %s vanish in queue %q: those of %d windows were confirmed %d times "+
			"in a row or more and never delivered; check max-length, message-ttl and overflow in the policy of "+
			"that queue (rabbitmqctl list_policies), and whether another deployment with a store of its own "+
			"consumes it",
			org, queue, windows, backfill.RepeatedLossThreshold)
	}
	c.set("organization "+org, err)
	return err
}

// queueOf names the queue of an organization's jobs.
func (j *jobQueue) queueOf(key string) string {
	if j.shared == nil {
		return memoryQueueName
	}
	return rabbitqueue.OrgQueue(j.config.RabbitMQ.Queue, key)
}
