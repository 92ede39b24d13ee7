package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// What every store does with a batch before it looks at what it has.

// Metadata is the change that a batch makes apart from its events, in whole seconds and valid, or ErrInvalid. first says
// that the ledger begins with it; pruned is the time before which nothing is wanted. It shares nothing with the batch.
// Without authority (fence 0) no head is settled: it remains a tip.
func (b *Batch) Metadata(fence uint64, first bool, pruned time.Time) (Change, error) {
	c := Change{Progress: b.Progress.whole(), Entries: wholeSamples(b.Entries), Tallies: slices.Clone(b.Tallies)}
	if fence == 0 {
		c.Progress.unsettle()
	}
	if first {
		c.LedgerStart = floor(b.Observed)
	}
	if err := c.validateRest(); err != nil {
		return Change{}, err
	}
	for i := range c.Progress.Repos {
		if r := &c.Progress.Repos[i]; r.Presence == PresencePurged {
			return Change{}, fmt.Errorf("%w: repository %d: forgetting is for pruning", ErrInvalid, r.ID)
		}
	}
	c.Progress.clip(pruned)
	return c, nil
}

// unsettle makes tips of the heads that are settled.
func (p *Progress) unsettle() {
	for i := range p.Repos {
		r := &p.Repos[i]
		r.Tips, r.ResolvedTips = append(r.Tips, r.ResolvedTips...), nil
	}
}

// AuthorizedRemovals are the keys of the events that a batch with this fence may remove: none without authority.
func (b *Batch) AuthorizedRemovals(fence uint64) []activity.Key {
	if fence == 0 {
		return nil
	}
	return b.Removed
}

// Admit reports whether an event of the batch is wanted of a repository that is wanted since a time, and gives one from
// the future the time of the reading.
func (b *Batch) Admit(e *activity.Event, since, pruned time.Time) bool {
	if !b.Observed.IsZero() && e.Time.After(b.Observed) {
		e.Time = b.Observed
	}
	e.Time = floor(e.Time)
	return !e.Time.Before(since) && !e.Time.Before(pruned) && e.Validate() == nil
}
