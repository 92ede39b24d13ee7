// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"fmt"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Metadata returns the change that a batch makes apart from its events, rounded to seconds, or ErrInvalid. first says
// that the ledger starts with it; nothing before pruned is wanted. The change shares no memory with the batch. Without
// authority (fence 0) a resolved tip remains a tip.
func (b *Batch) Metadata(fence uint64, first bool, pruned time.Time) (Change, error) {
	c := Change{
		Progress: b.Progress.roundToSeconds(), Entries: roundEntries(b.Entries),
		Tallies: slices.Clone(b.Tallies),
	}
	if fence == 0 {
		c.Progress.unresolveTips()
	}
	if first {
		c.LedgerStart = FloorSecond(b.Observed)
	}
	if err := c.validateMetadata(); err != nil {
		return Change{}, err
	}
	for i := range c.Progress.Repos {
		if r := &c.Progress.Repos[i]; r.Presence == PresencePurged {
			return Change{}, fmt.Errorf("%w: repository %d: forgetting is for pruning", ErrInvalid, r.ID)
		}
	}
	c.Progress.clipMissed(pruned)
	return c, nil
}

// unresolveTips turns the resolved tips into tips.
func (p *Progress) unresolveTips() {
	for i := range p.Repos {
		r := &p.Repos[i]
		r.Tips, r.ResolvedTips = append(r.Tips, r.ResolvedTips...), nil
	}
}

// AuthorizedRemovals returns the keys of the events that a batch with this fence may remove: none without authority
// (fence 0).
func (b *Batch) AuthorizedRemovals(fence uint64) []activity.Key {
	if fence == 0 {
		return nil
	}
	return b.Removed
}

// Admit reports whether an event of the batch is recorded: it is valid and neither older than since, from which its
// repository is wanted, nor than pruned. It rounds the event's time to seconds, and sets one after the reading to the
// time of the reading.
func (b *Batch) Admit(e *activity.Event, since, pruned time.Time) bool {
	if !b.Observed.IsZero() && e.Time.After(b.Observed) {
		e.Time = b.Observed
	}
	e.Time = FloorSecond(e.Time)
	return !e.Time.Before(since) && !e.Time.Before(pruned) && e.Validate() == nil
}
