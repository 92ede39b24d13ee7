// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Names of the tallies: operational counters that all replicas share, with their labels beside the organization.
const (
	TallyRuns        = "scrape_runs"           // result
	TallyReconciled  = "reconciled_events"     //
	TallyRequests    = "github_requests"       // endpoint, status_class
	TallyPoints      = "github_points"         // resource
	TallyMispriced   = "github_mispriced"      //
	TallySecondary   = "github_secondary_hits" //
	TallyStoreWrites = "store_write"           // source, result
	TallyInvalid     = "invalid_values"        //
	TallyEnqueued    = "backfill_enqueued"     // reason
	TallyDeduped     = "backfill_deduped"      // reason
	TallyDeferred    = "backfill_deferred"     // reason
	TallyJobs        = "backfill_jobs"         // result
	TallyLinesWait   = "loc_fallback_waits"    //
	TallyDeprecated  = "github_deprecations"   // endpoint
	TallyTeamReads   = "team_reads"            // result

	TallyCopilotRuns      = "copilot_runs"      // scope, result
	TallyCopilotDownloads = "copilot_downloads" // scope, result
	TallyCopilotDrops     = "copilot_drops"     // scope, reason

	sourceLeader  = "leader_scrape"
	sourceWorker  = "worker_backfill"
	resultFailure = "failure"
	resultFenced  = "fenced"

	// SourceLeader and WriteSuccess are the labels of TallyStoreWrites for a successful write of a leader.
	SourceLeader = sourceLeader
	WriteSuccess = "success"
)

// Tallies collects increments of shared counters until the next commit stores them. Its zero value is ready; it is safe
// for concurrent use.
type Tallies struct {
	mu      sync.Mutex
	pending map[ledger.TallyKey]uint64
}

// Add increments a counter by one.
func (t *Tallies) Add(name string, labels ...string) { t.AddN(name, 1, labels...) }

// AddN increments a counter by n; 0 leaves it as it is.
func (t *Tallies) AddN(name string, n uint64, labels ...string) {
	if n == 0 {
		return
	}
	key := ledger.TallyKey{Name: name}
	copy(key.Labels[:], labels)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending == nil {
		t.pending = make(map[ledger.TallyKey]uint64)
	}
	t.pending[key] += n
}

// drain removes and returns the pending increments.
func (t *Tallies) drain() []ledger.Tally {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := make([]ledger.Tally, 0, len(t.pending)+1)
	for key, n := range t.pending {
		list = append(list, ledger.Tally{TallyKey: key, Add: n})
	}
	clear(t.pending)
	return list
}

// restore adds increments again that could not be committed.
func (t *Tallies) restore(list []ledger.Tally) {
	for _, tally := range list {
		t.AddN(tally.Name, tally.Add, tally.Labels[:]...)
	}
}

// writeResult returns the label of TallyStoreWrites for an error.
func writeResult(err error) string {
	if errors.Is(err, ledger.ErrFenced) {
		return resultFenced
	}
	return resultFailure
}
