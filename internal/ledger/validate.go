// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// ErrInvalid refuses a batch or a change that cannot be stored and read again.
var ErrInvalid = errors.New("invalid change")

// maxElements bounds every list of a change, far above the size of a reading or of a part of a snapshot.
const maxElements = 1 << 20

// maxUnix bounds times on both sides of 1970, in seconds.
const maxUnix = math.MaxInt32 * 8

// validate returns ErrInvalid for a change that the codec could not decode to the same one. The codec validates when it
// encodes and when it decodes, and Plan before anything is written, so all stores refuse the same changes.
func (c *Change) validate() error {
	for i := range c.Events {
		if err := c.Events[i].Validate(); err != nil {
			return fmt.Errorf("%w: event %d: %w", ErrInvalid, i, err)
		}
	}
	for _, keys := range [][]activity.Key{c.Removed, c.Restored} {
		if len(keys) > maxElements {
			return fmt.Errorf("%w: a list of %d, want at most %d", ErrInvalid, len(keys), maxElements)
		}
		for i, k := range keys {
			if k.Repo <= 0 || !k.Kind.IsValid() {
				return fmt.Errorf("%w: key %d: of repository %d and kind %d", ErrInvalid, i, k.Repo, k.Kind)
			}
		}
	}
	for i := range c.Carried {
		if err := c.Carried[i].validate(); err != nil {
			return fmt.Errorf("%w: carried totals %d: %w", ErrInvalid, i, err)
		}
	}
	return c.validateMetadata()
}

// validate returns an error for totals of no repository or of an invalid actor.
func (c *CarriedTotals) validate() error {
	if c.Repo <= 0 {
		return activity.ErrRepo
	}
	return c.Actor.Validate()
}

// validateMetadata validates everything but events and carried totals.
func (c *Change) validateMetadata() error {
	longest := max(len(c.Events), len(c.Carried), len(c.Progress.Repos), len(c.Entries), len(c.Tallies))
	if longest > maxElements {
		return fmt.Errorf("%w: a list of %d, want at most %d", ErrInvalid, longest, maxElements)
	}
	if !areStorable(c.LedgerStart, c.PrunedBefore, c.Progress.Edge) {
		return fmt.Errorf("%w: a time out of range", ErrInvalid)
	}
	for i := range c.Progress.Repos {
		if err := c.Progress.Repos[i].validate(); err != nil {
			return fmt.Errorf("%w: repository %d: %w", ErrInvalid, c.Progress.Repos[i].ID, err)
		}
	}
	return c.validateEntries()
}

// validateEntries validates entries and tallies.
func (c *Change) validateEntries() error {
	for i := range c.Entries {
		s := &c.Entries[i]
		if s.Repo < 0 || !areUTF8(s.Name, s.Sub) || !areStorable(s.Observed) || len(s.Data) > MaxEntry {
			return fmt.Errorf("%w: entry %.64q of %d bytes", ErrInvalid, s.Name, len(s.Data))
		}
	}
	for i := range c.Tallies {
		t := &c.Tallies[i]
		if !areUTF8(t.Name, t.Labels[0], t.Labels[1]) {
			return fmt.Errorf("%w: tally %.64q", ErrInvalid, t.Name)
		}
	}
	return nil
}

// validate returns an error for progress that cannot be stored.
func (p *RepoProgress) validate() error {
	switch {
	case p.ID <= 0:
		return activity.ErrRepo
	case p.Presence > PresencePurged:
		return fmt.Errorf("presence %d", p.Presence)
	case p.Streams&^activity.EveryStream != 0:
		return fmt.Errorf("streams %d", p.Streams)
	case !areUTF8(p.Name):
		return fmt.Errorf("name %.64q", p.Name)
	case !areStorable(p.FirstSeen, p.Since, p.Observed, p.GoneSince):
		return errors.New("a time out of range")
	case len(p.Missed) > maxElements || len(p.Read) > maxElements:
		return fmt.Errorf("%d and %d windows", len(p.Missed), len(p.Read))
	}
	if len(p.Contacts) > activity.NumStreams {
		return fmt.Errorf("%d contacts", len(p.Contacts))
	}
	for _, c := range p.Contacts {
		if c.Stream >= activity.NumStreams || c.At.IsZero() || !areStorable(c.At) {
			return fmt.Errorf("contact %v of stream %d", c.At, c.Stream)
		}
	}
	for _, list := range [][]StreamWindow{p.Missed, p.Read} {
		for _, w := range list {
			if w.Stream >= activity.NumStreams || !areStorable(w.Window.Start, w.Window.End) {
				return fmt.Errorf("window %v of stream %d", w.Window, w.Stream)
			}
		}
	}
	for _, list := range [][]string{p.Tips, p.ResolvedTips} {
		if len(list) > maxElements || slices.ContainsFunc(list, func(head string) bool { return !isObjectName(head) }) {
			return fmt.Errorf("%d heads, or one that is no object name", len(list))
		}
	}
	return validateSignals(p.Signals)
}

// isObjectName reports whether a text can be a commit's object name. Object names are stored in lists separated by
// blanks.
func isObjectName(text string) bool {
	return len(text) > 0 && len(text) <= 64 && strings.Trim(text, "0123456789abcdef") == ""
}

// validateSignals returns an error for signals that cannot be stored. nil is valid.
func validateSignals(s *activity.Signals) error {
	if s == nil {
		return nil
	}
	if (s.Streams|s.Disabled)&^activity.EveryStream != 0 || !areUTF8(s.Head, s.Branch) ||
		!areStorable(s.HeadReadAt, s.PushedAt, s.Pulls.UpdatedAt, s.Issues.UpdatedAt, s.DisabledSince) {
		return fmt.Errorf("signals of head %.64q", s.Head)
	}
	return nil
}

// areStorable reports whether all times are zero or within maxUnix.
func areStorable(times ...time.Time) bool {
	for _, t := range times {
		if s := t.Unix(); !t.IsZero() && (s < -maxUnix || s > maxUnix) {
			return false
		}
	}
	return true
}

// areUTF8 reports whether all strings are UTF-8.
func areUTF8(list ...string) bool {
	for _, s := range list {
		if !utf8.ValidString(s) {
			return false
		}
	}
	return true
}
