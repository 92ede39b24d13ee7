// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Coverage is what has been read of an organization: one edge for all repositories, and the exceptions of single ones.
type Coverage struct {
	// LedgerStart is when the ledger of the organization started; zero before the first commit.
	LedgerStart time.Time
	// Edge is the start of the last pass that looked at every repository.
	Edge  time.Time
	Repos map[int64]*RepoCoverage
	// Basis identifies the store's records that this coverage describes, for Batch.Basis; empty for a store that cannot
	// lose records while the process runs.
	Basis string
}

// RepoCoverage is what has been read of a repository: of each stream everything from Since to the organization's edge
// except the windows in Missing.
type RepoCoverage struct {
	ID               int64
	Name             string
	FirstSeen, Since time.Time
	// Streams are the streams that the ledger has of the repository. Of others, which an earlier version did not know,
	// nothing was read.
	Streams activity.Streams
	// Contacts are those of the streams that the ledger got later than the repository.
	Contacts []StreamContact
	Signals  activity.Signals
	Observed time.Time
	// GoneSince is when the repository left; zero while it can be read.
	GoneSince time.Time
	Missing   [activity.NumStreams]activity.Windows
	// Tips are heads, other than that of Signals, that may reach recorded commits which the head of Signals does not
	// reach. They are sorted.
	Tips []string
}

// maxTips bounds the tips of a repository. When there are more, UnknownTip alone stands for all of them.
const maxTips = 32

// UnknownTip stands for tips whose names are lost. It is no commit's object name.
const UnknownTip = "0000000000000000000000000000000000000000"

// Gap is a window that was not read and can be.
type Gap struct {
	Repo   int64
	Name   string
	Stream activity.Stream
	Window activity.Window
}

// IsGone reports whether the repository left the organization's readable repositories.
func (r *RepoCoverage) IsGone() bool { return !r.GoneSince.IsZero() }

// Gaps returns the missing windows of a stream that can be read: none while the repository is gone or the stream is
// disabled. They are kept, and are gaps again when the stream is enabled.
func (r *RepoCoverage) Gaps(s activity.Stream) activity.Windows {
	if r.IsGone() || r.Signals.Disabled.Has(s) {
		return nil
	}
	return r.Missing[s]
}

// Contact returns when the ledger got a stream: FirstSeen unless it is one of Contacts.
func (r *RepoCoverage) Contact(s activity.Stream) time.Time {
	for _, c := range r.Contacts {
		if c.Stream == s {
			return c.At
		}
	}
	return r.FirstSeen
}

// WantedSince returns the time from which the events of a stream are wanted: Since, or as long before the contact of a
// later stream as Since is before the first contact. Older events of a later stream are not complete.
func (r *RepoCoverage) WantedSince(s activity.Stream) time.Time {
	if since := r.Contact(s).Add(-r.FirstSeen.Sub(r.Since)); since.After(r.Since) {
		return since
	}
	return r.Since
}

// HasHistory reports whether everything of a stream from before its contact was read, or was too old to be read. A
// stream that has been disabled since before then was never read, nor was one that the ledger does not have.
func (r *RepoCoverage) HasHistory(s activity.Stream) bool {
	if !r.Streams.Has(s) {
		return false
	}
	contact := r.Contact(s)
	if r.Signals.Disabled.Has(s) && r.Signals.DisabledSince.Before(contact) {
		return false
	}
	return !r.Missing[s].Overlaps(activity.Window{Start: r.WantedSince(s), End: contact})
}

// Apply applies the progress of a batch. Repeating it changes nothing.
func (c *Coverage) Apply(p Progress) {
	if c.Repos == nil {
		c.Repos = make(map[int64]*RepoCoverage)
	}
	for i := range p.Repos {
		c.applyRepo(&p.Repos[i])
	}
	if p.Edge.After(c.Edge) {
		c.Edge = p.Edge
	}
}

// applyRepo applies the progress of a repository, which it introduces or purges.
func (c *Coverage) applyRepo(p *RepoProgress) {
	if p.Presence == PresencePurged {
		delete(c.Repos, p.ID)
		return
	}
	r, ok := c.Repos[p.ID]
	if !ok {
		if p.Since.IsZero() {
			return // from before the ledger was reset: the next pass introduces the repository again
		}
		r = &RepoCoverage{ID: p.ID, FirstSeen: p.FirstSeen, Since: p.Since}
		c.Repos[p.ID] = r
	}
	r.apply(p)
	if r.Streams == 0 {
		r.Streams = activity.FirstStreams
	}
}

// apply applies progress to a recorded repository. Windows that were read win over missed ones.
func (r *RepoCoverage) apply(p *RepoProgress) {
	if p.Name != "" {
		r.Name = p.Name
	}
	if r.Streams |= p.Streams; p.Streams != 0 {
		r.Contacts = p.Contacts
	}
	head := r.Signals.Head
	if p.Signals != nil && !p.Observed.Before(r.Observed) {
		r.Signals, r.Observed = *p.Signals, p.Observed
	}
	r.applyTips(p, head)
	switch p.Presence {
	case PresenceReadable:
		r.GoneSince = time.Time{}
	case PresenceGone:
		r.GoneSince = p.GoneSince
	case PresenceUnchanged, PresencePurged:
	}
	for _, m := range p.Missed {
		r.Missing[m.Stream] = r.Missing[m.Stream].Add(m.Window)
	}
	for _, m := range p.Read {
		r.Missing[m.Stream] = r.Missing[m.Stream].Remove(m.Window)
	}
}

// applyTips keeps the heads from which commits were listed and that are not resolved. had is the head before the batch.
func (r *RepoCoverage) applyTips(p *RepoProgress, had string) {
	if len(p.Tips) == 0 && len(p.ResolvedTips) == 0 && r.Signals.Head == had && p.Signals == nil {
		return
	}
	tips := append(slices.Clone(r.Tips), p.Tips...)
	tips = append(tips, had)
	if p.Signals != nil {
		tips = append(tips, p.Signals.Head)
	}
	tips = slices.DeleteFunc(tips, func(tip string) bool {
		return tip == "" || tip == r.Signals.Head || slices.Contains(p.ResolvedTips, tip)
	})
	slices.Sort(tips)
	tips = slices.Compact(tips)
	if len(tips) > maxTips {
		tips = []string{UnknownTip}
	}
	r.Tips = slices.Clip(tips)
	if len(r.Tips) == 0 {
		r.Tips = nil
	}
}

// PassEdge returns the time up to which passes have looked at a repository, whatever they missed.
func (c *Coverage) PassEdge(r *RepoCoverage) time.Time {
	if r.FirstSeen.After(c.Edge) {
		return r.FirstSeen
	}
	return c.Edge
}

// RepoEdge returns the time up to which the newest part of a repository's stream has been read. A disabled stream does
// not lag, whatever it misses, and a stream that the ledger does not have was read up to Since.
func (c *Coverage) RepoEdge(r *RepoCoverage, s activity.Stream) time.Time {
	edge := c.PassEdge(r)
	if r.Signals.Disabled.Has(s) {
		return edge
	}
	if !r.Streams.Has(s) {
		return r.Since
	}
	if n := len(r.Missing[s]); n > 0 && !r.Missing[s][n-1].End.Before(edge) {
		edge = r.Missing[s][n-1].Start
	}
	return edge
}

// Gaps returns the gaps of all repositories, the newest first.
func (c *Coverage) Gaps() []Gap {
	var gaps []Gap
	for _, r := range c.Repos {
		for _, s := range activity.AllStreams() {
			for _, w := range r.Gaps(s) {
				gaps = append(gaps, Gap{Repo: r.ID, Name: r.Name, Stream: s, Window: w})
			}
		}
	}
	slices.SortFunc(gaps, func(a, b Gap) int {
		if d := b.Window.End.Compare(a.Window.End); d != 0 {
			return d
		}
		if a.Repo != b.Repo {
			return int(min(1, max(-1, a.Repo-b.Repo)))
		}
		return int(a.Stream) - int(b.Stream)
	})
	return gaps
}

// OldestUncovered returns the oldest time that is not covered: the start of the oldest gap, or the edge without gaps.
// Zero before the first pass.
func (c *Coverage) OldestUncovered() time.Time {
	oldest := c.Edge
	for _, r := range c.Repos {
		for _, s := range activity.AllStreams() {
			if gaps := r.Gaps(s); len(gaps) > 0 && gaps[0].Start.Before(oldest) {
				oldest = gaps[0].Start
			}
		}
	}
	return oldest
}

// Prune drops the missing windows before a time, from when nothing is wanted any more.
func (c *Coverage) Prune(before time.Time) {
	for _, r := range c.Repos {
		for s := range r.Missing {
			r.Missing[s] = r.Missing[s].Remove(activity.Window{End: before})
		}
	}
}

// maxPurgedAtOnce bounds the repositories that one pruning purges; the next pruning continues.
const maxPurgedAtOnce = 1000

// Purgeable returns the repositories that can be purged when everything before a time is pruned: they left, and
// discovery last returned them, more than a day before it. live has the repositories with events since then, which are
// kept: passes may have failed for days before one noticed that a repository had left.
func (c *Coverage) Purgeable(pruned time.Time, live map[int64]bool) []RepoProgress {
	limit := pruned.AddDate(0, 0, -1)
	var list []RepoProgress
	for id, r := range c.Repos {
		if r.IsGone() && !live[id] && r.GoneSince.Before(limit) && r.FirstSeen.Before(limit) &&
			r.Observed.Before(limit) {
			list = append(list, RepoProgress{ID: id, Presence: PresencePurged, GoneSince: r.GoneSince})
		}
	}
	slices.SortFunc(list, func(a, b RepoProgress) int { return cmp.Compare(a.ID, b.ID) })
	return list[:min(len(list), maxPurgedAtOnce)]
}

// Invalidate marks everything from a time on as missing, after records were lost. Reading it again records nothing
// twice.
func (c *Coverage) Invalidate(from time.Time) {
	for _, r := range c.Repos {
		edge := c.PassEdge(r)
		start := r.Since
		if from.After(start) {
			start = from
		}
		for s := range r.Missing {
			r.Missing[s] = r.Missing[s].Add(activity.Window{Start: start, End: edge})
		}
	}
}

// Clone returns a copy that shares no memory that is changed in place.
func (c *Coverage) Clone() Coverage {
	clone := *c
	clone.Repos = maps.Clone(c.Repos)
	for id, r := range clone.Repos {
		repo := *r
		clone.Repos[id] = &repo
	}
	return clone
}

// AsProgress returns the progress that makes this coverage when applied to an empty one.
func (c *Coverage) AsProgress() Progress {
	p := Progress{Edge: c.Edge, Repos: make([]RepoProgress, 0, len(c.Repos))}
	for _, id := range slices.Sorted(maps.Keys(c.Repos)) {
		p.Repos = append(p.Repos, c.Repos[id].asProgress())
	}
	return p
}

// asProgress returns the progress that introduces this repository.
func (r *RepoCoverage) asProgress() RepoProgress {
	p := RepoProgress{
		ID: r.ID, Name: r.Name, FirstSeen: r.FirstSeen, Since: r.Since, Streams: r.Streams,
		Contacts: r.Contacts, Observed: r.Observed,
		TipChanges: TipChanges{Tips: r.Tips},
	}
	signals := r.Signals
	p.Signals = &signals
	if r.IsGone() {
		p.Presence, p.GoneSince = PresenceGone, r.GoneSince
	}
	for _, s := range activity.AllStreams() {
		for _, w := range r.Missing[s] {
			p.Missed = append(p.Missed, StreamWindow{Stream: s, Window: w})
		}
	}
	return p
}
