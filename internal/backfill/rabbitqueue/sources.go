// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"slices"
	"sync/atomic"

	"go.uber.org/zap"
)

// source is a queue of jobs that is consumed.
type source struct {
	name, org string
	oldest    atomic.Int64 // publishing time of the job that was delivered last, in Unix milliseconds
}

// sources are the queues that are consumed. The release before had one queue for the jobs of all organizations: it is
// consumed, too, while the broker has it. It is safe for concurrent use.
type sources struct {
	orgs   []*source // one for each organization
	legacy *source   // the queue of the release before, whether it exists or not
	logger *zap.Logger

	// legacyQueues are the queues of the release before that exist, the queue of jobs first; nil before the first
	// connection.
	legacyQueues atomic.Pointer[[]string]
}

// newSources returns the sources of organizations. queue is Settings.Queue.
func newSources(queue string, orgs []string, logger *zap.Logger) *sources {
	s := &sources{legacy: &source{name: queue}, logger: logger}
	for _, org := range orgs {
		s.orgs = append(s.orgs, &source{name: OrgQueue(queue, org), org: org})
	}
	return s
}

// setLegacyQueues sets the queues of the release before that exist, and logs them when they are found first.
func (s *sources) setLegacyQueues(found []string) {
	if before := s.legacyQueues.Swap(&found); len(found) > 0 && before == nil {
		s.logger.Info("Consuming the queue of the release before, too; delete it with its retry queues when "+
			"all replicas have this release and it is empty.", zap.Strings("queues", found))
	}
}

// presentLegacyQueues returns the queues of the release before that exist.
func (s *sources) presentLegacyQueues() []string {
	if present := s.legacyQueues.Load(); present != nil {
		return *present
	}
	return nil
}

// dropLegacyQueue removes a queue of the release before that the broker has deleted, and logs it.
func (s *sources) dropLegacyQueue(name string) {
	var left []string
	for _, present := range s.presentLegacyQueues() {
		if present != name {
			left = append(left, present)
		}
	}
	s.legacyQueues.Store(&left)
	s.logger.Info("A queue of the release before was deleted.", zap.String("queue", name))
}

// present returns the sources that the broker has.
func (s *sources) present() []*source {
	if queues := s.presentLegacyQueues(); len(queues) > 0 && queues[0] == s.legacy.name {
		return append(slices.Clone(s.orgs), s.legacy)
	}
	return s.orgs
}
