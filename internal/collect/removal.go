package collect

import (
	"math"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// maxEventTime is later than every event.
var maxEventTime = time.Unix(math.MaxUint32, 0).UTC()

// addRemovals adds to a batch the commits that are not on the default branch any more.
func addRemovals(b *ledger.Batch, repo int64, outcome *github.ReadResult) {
	for _, id := range outcome.Removed {
		b.Removed = append(b.Removed, activity.Key{Repo: repo, Kind: activity.KindCommit, ID: id})
	}
	if outcome.Sweep == nil {
		return
	}
	sweep := ledger.Sweep{
		Repo: repo, Kind: activity.KindCommit, Window: activity.Window{Start: outcome.Sweep.Since, End: maxEventTime},
		Present: make(map[activity.ID]struct{}, len(outcome.Sweep.Present)),
	}
	for _, id := range outcome.Sweep.Present {
		sweep.Present[id] = struct{}{}
	}
	b.Sweeps = append(b.Sweeps, sweep)
}

// addLogins adds to a batch the present logins of accounts that the view shows under another one.
func (c *Collector) addLogins(b *ledger.Batch) {
	if c.settings.ShowsLogin == nil {
		return
	}
	met := make(map[int64]bool)
	for i := range b.Events {
		actor := b.Events[i].Actor
		if actor.ID == 0 || met[actor.ID] {
			continue
		}
		met[actor.ID] = true
		if !c.settings.ShowsLogin(actor) {
			sample := ledger.Entry{EntryKey: ledger.LoginKey(actor.ID), Data: []byte(actor.Login), Observed: b.Observed}
			b.Entries = append(b.Entries, sample)
		}
	}
}
