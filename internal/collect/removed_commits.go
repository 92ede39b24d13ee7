// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"math"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// maxEventTime is later than the time of any event.
var maxEventTime = time.Unix(math.MaxUint32, 0).UTC()

// addRemovals adds to a batch the removal of the commits that the default branch does not reach any more.
func addRemovals(b *ledger.Batch, repo int64, result *github.ReadResult) {
	for _, id := range result.Removed {
		b.Removed = append(b.Removed, activity.Key{Repo: repo, Kind: activity.KindCommit, ID: id})
	}
	if result.Sweep == nil {
		return
	}
	sweep := ledger.Sweep{
		Repo: repo, Kind: activity.KindCommit, Window: activity.Window{Start: result.Sweep.Since, End: maxEventTime},
		Present: make(map[activity.ID]struct{}, len(result.Sweep.Present)),
	}
	for _, id := range result.Sweep.Present {
		sweep.Present[id] = struct{}{}
	}
	b.Sweeps = append(b.Sweeps, sweep)
}
