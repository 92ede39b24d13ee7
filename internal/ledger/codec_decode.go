// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

var (
	errTableIndex = errors.New("a place outside its table")
	errListLength = errors.New("a list of the wrong length")
)

// cborBytes is the major type of byte strings (https://www.rfc-editor.org/rfc/rfc8949#section-3.1).
const cborBytes = 2

// DecodeChange decodes a frame of any version. Its errors wrap ErrCorrupt.
func DecodeChange(frame []byte) (Change, error) {
	if len(frame) < frameHead || !slices.Contains(readableVersions, frame[0]) {
		return Change{}, fmt.Errorf("%w: not a frame of version %v", ErrCorrupt, readableVersions)
	}
	body := frame[frameHead:]
	if binary.BigEndian.Uint32(frame[1:]) != crc32.Checksum(body, castagnoli) {
		return Change{}, fmt.Errorf("%w: the checksum differs", ErrCorrupt)
	}
	w, err := decodeWire(frame[0], body)
	if err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	c, err := w.change()
	if err == nil {
		err = c.validate()
	}
	if err != nil {
		return Change{}, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return c, nil
}

// decodeWire decodes the body of a frame of any version.
func decodeWire(version byte, body []byte) (*wireChange, error) {
	switch version {
	case codecVersion:
	case 11:
		return decode11(body)
	case 8:
		return decode8(body)
	case 7:
		return decode7(body)
	default:
		return decode4(body)
	}
	var w wireChange
	err := decodeMode.Unmarshal(body, &w)
	return &w, err
}

// change returns the change of a frame; it is not validated yet.
func (w *wireChange) change() (Change, error) {
	c := Change{
		Reset: w.Flags&flagReset != 0, CaughtUp: w.Flags&flagCaughtUp != 0,
		LedgerStart: decodeTime(w.LedgerStart), PrunedBefore: decodeTime(w.PrunedBefore),
		Progress: Progress{Edge: decodeTime(w.Edge)},
	}
	if err := w.events(&c); err != nil {
		return c, err
	}
	for i := range w.Carried {
		k := &w.Carried[i]
		if int(k.Actor) >= len(w.Actors) {
			return c, errTableIndex
		}
		carried := CarriedTotals{Repo: k.Repo, Actor: w.actor(k.Actor)}
		if err := carried.decodePairs(k.Totals); err != nil {
			return c, err
		}
		c.Carried = append(c.Carried, carried)
	}
	for i := range w.Progress {
		if w.Progress[i].ID <= 0 { // before anything is made of a list of nothings
			return c, activity.ErrRepo
		}
		c.Progress.Repos = append(c.Progress.Repos, w.Progress[i].progress())
	}
	var err error
	if c.Removed, err = w.keys(w.Removed); err != nil {
		return c, err
	}
	if c.Restored, err = w.keys(w.Restored); err != nil {
		return c, err
	}
	return c, w.entriesAndTallies(&c)
}

// keys decodes keys of events.
func (w *wireChange) keys(list []wireKey) ([]activity.Key, error) {
	var keys []activity.Key
	for _, wk := range list {
		k := activity.Key{Kind: activity.Kind(wk.Kind)}
		if int(wk.Repo) >= len(w.Repos) || len(wk.ID) > len(k.ID) {
			return nil, errTableIndex
		}
		k.Repo = w.Repos[wk.Repo]
		copy(k.ID[len(k.ID)-len(wk.ID):], wk.ID)
		keys = append(keys, k)
	}
	return keys, nil
}

// entriesAndTallies adds the entries and the tallies to a change. It leaves out entries that no version has written.
func (w *wireChange) entriesAndTallies(c *Change) error {
	for _, s := range w.Entries {
		if len(s.Labels) != len(EntryKey{}.Labels()) {
			return errListLength
		}
		if len(s.Data) > 0 && s.Data[0]>>5 != cborBytes {
			continue // a number of version 1
		}
		var data []byte
		if err := decodeMode.Unmarshal(s.Data, &data); err != nil {
			return fmt.Errorf("entry: %w", err)
		}
		key, err := ParseEntryKey(s.Name, [2]string(s.Labels))
		if err != nil {
			continue // no version has written one
		}
		c.Entries = append(c.Entries, Entry{EntryKey: key, Data: data, Observed: decodeTime(s.Observed)})
	}
	for _, t := range w.Tallies {
		if len(t.Labels) != len(TallyKey{}.Labels) {
			return errListLength
		}
		c.Tallies = append(c.Tallies, Tally{TallyKey{t.Name, [2]string(t.Labels)}, t.Add})
	}
	return nil
}

// actor returns the actor at a place in the table, which the caller has checked.
func (w *wireChange) actor(place uint32) activity.Actor {
	return activity.Actor{ID: w.Actors[place].ID, Login: w.Actors[place].Login}
}

// events adds the events to a change.
func (w *wireChange) events(c *Change) error {
	for i := range w.Events {
		e, err := w.event(&w.Events[i])
		if err != nil {
			return fmt.Errorf("event %d: %w", i, err)
		}
		c.Events = append(c.Events, e)
	}
	return nil
}

// event decodes an event.
func (w *wireChange) event(we *wireEvent) (activity.Event, error) {
	e := activity.Event{
		Kind: activity.Kind(we.Kind), Time: time.Unix(int64(we.At), 0).UTC(),
	}
	if err := SetMeasures(&e, we.Measures); err != nil {
		return e, err
	}
	if int(we.Actor) >= len(w.Actors) || int(we.Repo) >= len(w.Repos) || len(we.ID) > len(e.ID) {
		return e, errTableIndex
	}
	e.Repo, e.Actor = w.Repos[we.Repo], w.actor(we.Actor)
	copy(e.ID[len(e.ID)-len(we.ID):], we.ID)
	return e, nil
}

// progress decodes the progress of a repository.
func (w *wireProgress) progress() RepoProgress {
	p := RepoProgress{
		ID: w.ID, Name: w.Name, FirstSeen: decodeTime(w.FirstSeen), Since: decodeTime(w.Since),
		Observed: decodeTime(w.Observed),
		Presence: Presence(w.Presence), GoneSince: decodeTime(w.GoneSince),
		Missed: windowsFromWire(w.Missed), Read: windowsFromWire(w.Read),
		TipChanges: TipChanges{w.Tips, w.ResolvedTips}, Streams: activity.Streams(w.Streams),
	}
	for _, c := range w.Contacts {
		p.Contacts = append(p.Contacts, StreamContact{Stream: activity.Stream(c.Stream), At: decodeTime(c.At)})
	}
	if s := w.Signals; s != nil {
		p.Signals = &activity.Signals{
			Streams: activity.Streams(s.Streams), Head: s.Head, HeadReadAt: decodeTime(s.HeadReadAt),
			Archived: s.Archived, PushedAt: decodeTime(s.PushedAt),
			Pulls:    activity.LatestUpdate{Number: s.PullNumber, UpdatedAt: decodeTime(s.PullUpdated)},
			Issues:   activity.LatestUpdate{Number: s.IssueNumber, UpdatedAt: decodeTime(s.IssueUpdated)},
			Disabled: activity.Streams(s.Disabled), DisabledSince: decodeTime(s.DisabledSince), Branch: s.Branch,
			Releases: activity.ReleaseSignal{Latest: s.ReleaseID, Published: s.ReleasePublished, List: s.ReleaseList},
		}
	}
	return p
}

// windowsFromWire decodes windows.
func windowsFromWire(list []wireWindow) []StreamWindow {
	var sw []StreamWindow
	for _, w := range list {
		window := activity.Window{Start: decodeTime(w.Start), End: decodeTime(w.End)}
		sw = append(sw, StreamWindow{Stream: activity.Stream(w.Stream), Window: window})
	}
	return sw
}

// decodeTime returns the time that encodeTime encoded.
func decodeTime(s int64) time.Time {
	if s == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(s, 0).UTC()
}
