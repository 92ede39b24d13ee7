// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// A change is stored and published as a frame:
//
//	version (1 byte) │ CRC-32C of the rest (4 bytes, big endian) │ CBOR of a wireChange
//
// The wire types are arrays without names and have tables of what repeats. They never change in place: a new form gets
// a new version, and the types of the one before move to codec_legacy.go, where they are still read.
//
//	version 1  an entry was a number; no ledger has one
//	version 2  all presences, no time of a head
//	version 4  an event has two numbers of lines, carried totals are seven numbers in a fixed order
//	version 7  measures and totals by their ids, removed and restored events, tips, disabled streams
//	version 8  the streams that a repository has
//	version 11 the contacts of streams
//	version 13 the signals of releases
//
// Versions differ in two bits, so that a flipped bit is noticed.
const (
	codecVersion = 13
	frameHead    = 5
)

var (
	readableVersions = []byte{1, 2, 4, 7, 8, 11, codecVersion}
	castagnoli       = crc32.MakeTable(crc32.Castagnoli)
	encodeMode       = must(cbor.CoreDetEncOptions().UserBufferEncMode())
	decodeMode       = must(cbor.DecOptions{
		MaxArrayElements: maxElements, MaxMapPairs: 16, MaxNestedLevels: 16,
		IndefLength: cbor.IndefLengthForbidden, TagsMd: cbor.TagsForbidden, ExtraReturnErrors: cbor.ExtraDecErrorNone,
	}.DecMode())
)

// must returns a mode whose options are constants, and panics on an error of theirs.
func must[T any](mode T, err error) T {
	if err != nil {
		panic(err) // the options are constants
	}
	return mode
}

// The fields of an embedded type are encoded in its place.
type wireChange struct {
	_ struct{} `cbor:",toarray"`
	wireHead
	wireTables
	Events   []wireEvent
	Carried  []wireCarried
	Progress []wireProgress
	Entries  []wireEntry
	Tallies  []wireTally
	Removed  []wireKey
	Restored []wireKey
}

// wireHead is the first part of a change.
type wireHead struct {
	Flags        uint8
	LedgerStart  int64 // when the ledger started
	PrunedBefore int64
	Edge         int64
}

// wireTables has the actors and the repositories of the events, which name them by their places.
type wireTables struct {
	Actors []wireActor
	Repos  []int64
}

const (
	flagReset = 1 << iota
	flagCaughtUp
)

// wireActor is a row of the table of actors.
type wireActor struct {
	_     struct{} `cbor:",toarray"`
	ID    int64
	Login string
}

// wireEvent is an event. Its repository and its actor are named by their places in the tables.
type wireEvent struct {
	_        struct{} `cbor:",toarray"`
	Kind     uint8
	Repo     uint32 // its place in the table
	ID       []byte // without leading zeros
	Actor    uint32 // its place in the table
	At       uint32
	Measures []uint64 // of the kind, in its order; zeros at the end are left out
}

// wireKey is the key of an event.
type wireKey struct {
	_    struct{} `cbor:",toarray"`
	Kind uint8
	Repo uint32 // its place in the table
	ID   []byte // without leading zeros
}

// wireCarried are the carried totals of a user in a repository.
type wireCarried struct {
	_      struct{} `cbor:",toarray"`
	Repo   int64
	Actor  uint32
	Totals []uint64 // id, value, id, value, ... of those that are not zero
}

// wireProgress is the progress of a repository.
type wireProgress struct {
	_ struct{} `cbor:",toarray"`
	wireRepo
	Signals            *wireSignals
	Presence           uint8
	GoneSince          int64
	Missed, Read       []wireWindow
	Tips, ResolvedTips []string
	Streams            uint8 // streams
	Contacts           []wireContact
}

// wireRepo is the first part of a repository's progress.
type wireRepo struct {
	ID               int64
	Name             string
	FirstSeen, Since int64
	Observed         int64 // the time of the signals
}

// wireSignals are the signals of a repository.
type wireSignals struct {
	_        struct{} `cbor:",toarray"`
	Streams  uint8
	Head     string
	PushedAt int64
	wireLatest
	HeadReadAt    int64
	Archived      bool
	Disabled      uint8 // the disabled streams
	DisabledSince int64
	Branch        string
	wireReleases
}

// wireReleases are the latest release and the digest of the newest ones.
type wireReleases struct {
	ReleaseID, ReleasePublished int64
	ReleaseList                 uint64
}

// wireLatest are the pull request and the issue that were updated last.
type wireLatest struct {
	PullNumber, PullUpdated   int64
	IssueNumber, IssueUpdated int64
}

// wireWindow is a window of a stream, in Unix seconds.
type wireWindow struct {
	_          struct{} `cbor:",toarray"`
	Stream     uint8
	Start, End int64
}

// wireContact is the contact of a stream.
type wireContact struct {
	_      struct{} `cbor:",toarray"`
	Stream uint8
	At     int64
}

// wireEntry is an entry with the labels of its key.
type wireEntry struct {
	_        struct{} `cbor:",toarray"`
	Name     string
	Labels   []string
	Data     cbor.RawMessage // a byte string
	Observed int64
}

// wireTally is an increment of a tally.
type wireTally struct {
	_      struct{} `cbor:",toarray"`
	Name   string
	Labels []string
	Add    uint64
}

// EncodeChange encodes a change as a frame, with times in whole seconds. It returns ErrInvalid for a change that
// DecodeChange would refuse.
func EncodeChange(c Change) ([]byte, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	var frame bytes.Buffer
	frame.Grow(frameHead + sizeOfEntries(c.Entries)) // entries may be large: their frame is not copied
	frame.Write(make([]byte, frameHead))
	if err := encodeMode.MarshalToBuffer(toWire(&c), &frame); err != nil {
		return nil, fmt.Errorf("encode a change: %w", err)
	}
	seal(frame.Bytes())
	return frame.Bytes(), nil
}

// entryOverhead is more than an entry's encoding needs beside its data and the texts of its key.
const entryOverhead = 64

// sizeOfEntries returns about how large the encoding of entries is.
func sizeOfEntries(entries []Entry) int {
	size := 0
	for i := range entries {
		e := &entries[i]
		size += entryOverhead + len(e.Name) + len(e.Sub) + len(e.Data)
	}
	return size
}

// seal sets the head of a frame: the version, and the checksum of the body after it.
func seal(frame []byte) {
	frame[0] = codecVersion
	binary.BigEndian.PutUint32(frame[1:], crc32.Checksum(frame[frameHead:], castagnoli))
}

// byteString returns data as a byte string of CBOR.
func byteString(data []byte) cbor.RawMessage {
	head := must(encodeMode.Marshal(uint64(len(data)))) // of a number; that of a byte string has another major type
	head[0] |= cborBytes << 5
	return slices.Concat(head, data)
}

// table numbers values in the order of their first appearance.
type table[T comparable] struct {
	indexes map[T]uint32
	list    []T
}

// index returns the place of a value, which it appends when the table does not have it.
func (t *table[T]) index(v T) uint32 {
	if n, ok := t.indexes[v]; ok {
		return n
	}
	if t.indexes == nil {
		t.indexes = make(map[T]uint32)
	}
	n := uint32(len(t.list)) //nolint:gosec // a batch has fewer
	t.indexes[v] = n
	t.list = append(t.list, v)
	return n
}

// toWire returns the wire type of a valid change.
func toWire(c *Change) *wireChange {
	var actors table[activity.Actor]
	var repos table[int64]
	w := &wireChange{wireHead: wireHead{
		LedgerStart: encodeTime(c.LedgerStart), PrunedBefore: encodeTime(c.PrunedBefore),
		Edge: encodeTime(c.Progress.Edge),
	}}
	if c.Reset {
		w.Flags |= flagReset
	}
	if c.CaughtUp {
		w.Flags |= flagCaughtUp
	}
	for i := range c.Events {
		e := &c.Events[i]
		w.Events = append(w.Events, wireEvent{
			Kind: uint8(e.Kind), Repo: repos.index(e.Repo), ID: trimID(e.ID), Actor: actors.index(e.Actor),
			At: Unix32(e.Time), Measures: EventMeasures(e),
		})
	}
	for i := range c.Carried {
		k := &c.Carried[i]
		w.Carried = append(w.Carried, wireCarried{
			Repo: k.Repo, Actor: actors.index(k.Actor),
			Totals: k.encodePairs(),
		})
	}
	w.Removed, w.Restored = keysToWire(c.Removed, &repos), keysToWire(c.Restored, &repos)
	for _, a := range actors.list {
		w.Actors = append(w.Actors, wireActor{ID: a.ID, Login: a.Login})
	}
	w.Repos = repos.list
	for i := range c.Progress.Repos {
		w.Progress = append(w.Progress, progressToWire(&c.Progress.Repos[i]))
	}
	for i := range c.Entries {
		s := &c.Entries[i]
		labels := s.Labels()
		w.Entries = append(w.Entries, wireEntry{
			Name: s.Name, Labels: labels[:], Data: byteString(s.Data),
			Observed: encodeTime(s.Observed),
		})
	}
	for i := range c.Tallies {
		t := &c.Tallies[i]
		w.Tallies = append(w.Tallies, wireTally{Name: t.Name, Labels: t.Labels[:], Add: t.Add})
	}
	return w
}

// keysToWire returns the wire types of keys, and adds their repositories to the table.
func keysToWire(keys []activity.Key, repos *table[int64]) []wireKey {
	var list []wireKey
	for _, k := range keys {
		list = append(list, wireKey{Kind: uint8(k.Kind), Repo: repos.index(k.Repo), ID: trimID(k.ID)})
	}
	return list
}

// progressToWire returns the wire type of the progress of a repository.
func progressToWire(p *RepoProgress) wireProgress {
	w := wireProgress{
		wireRepo: wireRepo{
			ID: p.ID, Name: p.Name, FirstSeen: encodeTime(p.FirstSeen), Since: encodeTime(p.Since),
			Observed: encodeTime(p.Observed),
		},
		Presence: uint8(p.Presence), GoneSince: encodeTime(p.GoneSince), Missed: windowsToWire(p.Missed),
		Read: windowsToWire(p.Read), Tips: p.Tips, ResolvedTips: p.ResolvedTips, Streams: uint8(p.Streams),
	}
	for _, c := range p.Contacts {
		w.Contacts = append(w.Contacts, wireContact{Stream: uint8(c.Stream), At: encodeTime(c.At)})
	}
	if s := p.Signals; s != nil {
		w.Signals = &wireSignals{
			Streams: uint8(s.Streams), Head: s.Head, PushedAt: encodeTime(s.PushedAt),
			wireLatest: wireLatest{
				PullNumber: s.Pulls.Number, PullUpdated: encodeTime(s.Pulls.UpdatedAt),
				IssueNumber: s.Issues.Number, IssueUpdated: encodeTime(s.Issues.UpdatedAt),
			},
			HeadReadAt: encodeTime(s.HeadReadAt), Archived: s.Archived, Disabled: uint8(s.Disabled),
			DisabledSince: encodeTime(s.DisabledSince), Branch: s.Branch,
			wireReleases: wireReleases{
				ReleaseID: s.Releases.Latest, ReleasePublished: s.Releases.Published, ReleaseList: s.Releases.List,
			},
		}
	}
	return w
}

// windowsToWire returns the wire types of windows.
func windowsToWire(list []StreamWindow) []wireWindow {
	var w []wireWindow
	for _, sw := range list {
		w = append(w, wireWindow{
			Stream: uint8(sw.Stream), Start: encodeTime(sw.Window.Start),
			End: encodeTime(sw.Window.End),
		})
	}
	return w
}

// encodeTime returns a time in Unix seconds, and a value outside the range of valid times for the zero time.
func encodeTime(t time.Time) int64 {
	if t.IsZero() {
		return math.MinInt64
	}
	return t.Unix()
}

// trimID returns an id without its leading zeros.
func trimID(id activity.ID) []byte {
	for i, b := range id {
		if b != 0 {
			return append([]byte(nil), id[i:]...)
		}
	}
	return nil
}
