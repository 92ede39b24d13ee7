// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// recordQueue records the backlog as this replica observed it last; nothing when the last observation failed.
func (s *selfMetrics) recordQueue(orgs []*organization, now time.Time, at pcommon.Timestamp) {
	seen, known := s.settings.Replica.Backlog()
	if !known {
		return
	}
	for name, n := range seen.Depth {
		s.builder.RecordGhExporterQueueDepthDataPoint(at, int64(n), name)
	}
	for i := range seen.Queues {
		queue := &seen.Queues[i]
		s.builder.RecordGhExporterQueueInvalidMessagesDataPoint(at, seen.Invalid[queue.Name], queue.Name)
		s.builder.RecordGhExporterQueueReturnedMessagesDataPoint(at, seen.Returned[queue.Name], queue.Name)
		age := 0.0
		if oldest := s.oldestJob(orgs, queue); queue.Ready > 0 && !oldest.IsZero() {
			age = max(0, now.Sub(oldest).Seconds())
		}
		s.builder.RecordGhExporterQueueOldestMessageAgeDataPoint(at, age, queue.Name)
	}
}

// oldestJob returns when the oldest job of a queue was published, as far as that is known; zero when it is not.
func (s *selfMetrics) oldestJob(orgs []*organization, queue *backfill.QueueDepth) time.Time {
	oldest := queue.Oldest
	for _, org := range orgs {
		if queue.Org != "" && queue.Org != strings.ToLower(org.Org) {
			continue
		}
		if at := org.Status.OldestJob(); !at.IsZero() && (oldest.IsZero() || at.Before(oldest)) {
			oldest = at
		}
	}
	return oldest
}
