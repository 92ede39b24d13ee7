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
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// queueErrors has the faults of the queues of backfill jobs, the dependency health.Backfill: queues that refuse jobs,
// and queues that confirm jobs and do not deliver them. It is safe for concurrent use.
type queueErrors struct {
	reporter *dependencyReporter

	mu   sync.Mutex
	errs map[string]error // by "queue <name>" of refused jobs and "organization <name>" of vanishing ones
}

func newQueueErrors(monitor *health.Monitor) *queueErrors {
	return &queueErrors{reporter: newDependencyReporter(monitor, health.Backfill), errs: make(map[string]error)}
}

// setRefused sets the error of a queue that refuses jobs; nil when it accepts them again.
func (c *queueErrors) setRefused(queue string, err error) { c.set("queue "+queue, err) }

// setVanishing sets the number of windows of an organization whose jobs were lost in its queue again and again. It
// returns the error that this is; nil for zero windows.
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

// set sets an error, nil for none, and reports the joined state.
func (c *queueErrors) set(key string, err error) {
	c.mu.Lock()
	if err == nil {
		delete(c.errs, key)
	} else {
		c.errs[key] = err
	}
	var all []error
	for _, key := range slices.Sorted(maps.Keys(c.errs)) {
		all = append(all, c.errs[key])
	}
	c.reporter.add(errors.Join(all...))
	c.mu.Unlock()
	c.reporter.report()
}
