// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import "math"

// The wire types of earlier versions, which are read and never written. They share the parts that have not changed
// since; a part that changes gets a type of its own here.

// wireChange11 is a change of version 11.
type wireChange11 struct {
	_ struct{} `cbor:",toarray"`
	wireHead
	wireTables
	Events   []wireEvent
	Carried  []wireCarried
	Progress []wireProgress11
	Entries  []wireEntry
	Tallies  []wireTally
	Removed  []wireKey
	Restored []wireKey
}

// wireProgress11 has no signals of releases.
type wireProgress11 struct {
	_ struct{} `cbor:",toarray"`
	wireRepo
	Signals            *wireSignals11
	Presence           uint8
	GoneSince          int64
	Missed, Read       []wireWindow
	Tips, ResolvedTips []string
	Streams            uint8
	Contacts           []wireContact
}

// wireSignals11 are the signals of versions 7 to 11.
type wireSignals11 struct {
	_        struct{} `cbor:",toarray"`
	Streams  uint8
	Head     string
	PushedAt int64
	wireLatest
	HeadReadAt    int64
	Archived      bool
	Disabled      uint8
	DisabledSince int64
	Branch        string
}

// upgrade returns the signals in the present type; nil for none.
func (s *wireSignals11) upgrade() *wireSignals {
	if s == nil {
		return nil
	}
	return &wireSignals{
		Streams: s.Streams, Head: s.Head, PushedAt: s.PushedAt, wireLatest: s.wireLatest, HeadReadAt: s.HeadReadAt,
		Archived: s.Archived, Disabled: s.Disabled, DisabledSince: s.DisabledSince, Branch: s.Branch,
	}
}

// decode11 decodes a body of version 11 into the present types.
func decode11(body []byte) (*wireChange, error) {
	var old wireChange11
	if err := decodeMode.Unmarshal(body, &old); err != nil {
		return nil, err
	}
	w := &wireChange{
		wireHead: old.wireHead, wireTables: old.wireTables, Events: old.Events, Carried: old.Carried,
		Entries: old.Entries, Tallies: old.Tallies, Removed: old.Removed, Restored: old.Restored,
	}
	for _, p := range old.Progress {
		w.Progress = append(w.Progress, wireProgress{
			wireRepo: p.wireRepo, Signals: p.Signals.upgrade(), Presence: p.Presence, GoneSince: p.GoneSince,
			Missed: p.Missed, Read: p.Read, Tips: p.Tips, ResolvedTips: p.ResolvedTips, Streams: p.Streams,
			Contacts: p.Contacts,
		})
	}
	return w, nil
}

// wireChange8 is a change of version 8.
type wireChange8 struct {
	_ struct{} `cbor:",toarray"`
	wireHead
	wireTables
	Events   []wireEvent
	Carried  []wireCarried
	Progress []wireProgress8
	Entries  []wireEntry
	Tallies  []wireTally
	Removed  []wireKey
	Restored []wireKey
}

// wireProgress8 has no contacts of streams.
type wireProgress8 struct {
	_ struct{} `cbor:",toarray"`
	wireRepo
	Signals            *wireSignals11
	Presence           uint8
	GoneSince          int64
	Missed, Read       []wireWindow
	Tips, ResolvedTips []string
	Streams            uint8
}

// decode8 decodes a body of version 8 into the present types.
func decode8(body []byte) (*wireChange, error) {
	var old wireChange8
	if err := decodeMode.Unmarshal(body, &old); err != nil {
		return nil, err
	}
	w := &wireChange{
		wireHead: old.wireHead, wireTables: old.wireTables, Events: old.Events, Carried: old.Carried,
		Entries: old.Entries, Tallies: old.Tallies, Removed: old.Removed, Restored: old.Restored,
	}
	for _, p := range old.Progress {
		w.Progress = append(w.Progress, wireProgress{
			wireRepo: p.wireRepo, Signals: p.Signals.upgrade(), Presence: p.Presence, GoneSince: p.GoneSince,
			Missed: p.Missed, Read: p.Read, Tips: p.Tips, ResolvedTips: p.ResolvedTips, Streams: p.Streams,
		})
	}
	return w, nil
}

// wireChange7 is a change of version 7.
type wireChange7 struct {
	_ struct{} `cbor:",toarray"`
	wireHead
	wireTables
	Events   []wireEvent
	Carried  []wireCarried
	Progress []wireProgress7
	Entries  []wireEntry
	Tallies  []wireTally
	Removed  []wireKey
	Restored []wireKey
}

// wireProgress7 has no streams.
type wireProgress7 struct {
	_ struct{} `cbor:",toarray"`
	wireRepo
	Signals            *wireSignals11
	Presence           uint8
	GoneSince          int64
	Missed, Read       []wireWindow
	Tips, ResolvedTips []string
}

// decode7 decodes a body of version 7 into the present types.
func decode7(body []byte) (*wireChange, error) {
	var old wireChange7
	if err := decodeMode.Unmarshal(body, &old); err != nil {
		return nil, err
	}
	w := &wireChange{
		wireHead: old.wireHead, wireTables: old.wireTables, Events: old.Events, Carried: old.Carried,
		Entries: old.Entries, Tallies: old.Tallies, Removed: old.Removed, Restored: old.Restored,
	}
	for _, p := range old.Progress {
		w.Progress = append(w.Progress, wireProgress{
			wireRepo: p.wireRepo, Signals: p.Signals.upgrade(), Presence: p.Presence, GoneSince: p.GoneSince,
			Missed: p.Missed, Read: p.Read, Tips: p.Tips, ResolvedTips: p.ResolvedTips,
		})
	}
	return w, nil
}

// wireChange4 is a change of versions 1, 2 and 4.
type wireChange4 struct {
	_ struct{} `cbor:",toarray"`
	wireHead
	wireTables
	Events   []wireEvent4
	Carried  []wireCarried4
	Progress []wireProgress4
	Entries  []wireEntry
	Tallies  []wireTally
}

// wireEvent4 has two numbers of lines.
type wireEvent4 struct {
	_                    struct{} `cbor:",toarray"`
	Kind                 uint8
	Repo                 uint32
	ID                   []byte
	Actor                uint32
	At                   uint32
	Additions, Deletions uint32
}

// wireCarried4 has the totals in a fixed order: see LegacyTotalIDs.
type wireCarried4 struct {
	_      struct{} `cbor:",toarray"`
	Repo   int64
	Actor  uint32
	Totals []uint64
}

// wireProgress4 has no tips.
type wireProgress4 struct {
	_ struct{} `cbor:",toarray"`
	wireRepo
	Signals      *wireSignals4
	Presence     uint8
	GoneSince    int64
	Missed, Read []wireWindow
}

// wireSignals4 have no disabled streams and no branch.
type wireSignals4 struct {
	_        struct{} `cbor:",toarray"`
	Streams  uint8
	Head     string
	PushedAt int64
	wireLatest
	HeadReadAt int64
	Archived   bool
}

// wireSignals2 are the signals of versions 1 and 2.
type wireSignals2 struct {
	_        struct{} `cbor:",toarray"`
	Streams  uint8
	Head     string
	PushedAt int64
	wireLatest
}

// signals2Head is the first byte of an array of as many values as wireSignals2 has
// (https://www.rfc-editor.org/rfc/rfc8949#section-3.1).
const signals2Head = 0x87

// UnmarshalCBOR implements cbor.Unmarshaler.
func (w *wireSignals4) UnmarshalCBOR(data []byte) error {
	if len(data) > 0 && data[0] == signals2Head {
		var old wireSignals2
		err := decodeMode.Unmarshal(data, &old)
		*w = wireSignals4{
			Streams: old.Streams, Head: old.Head, PushedAt: old.PushedAt, wireLatest: old.wireLatest,
			HeadReadAt: math.MinInt64,
		}
		return err
	}
	type plain wireSignals4 // without this method
	return decodeMode.Unmarshal(data, (*plain)(w))
}

// decode4 decodes a body of version 1, 2 or 4 into the present types.
func decode4(body []byte) (*wireChange, error) {
	var old wireChange4
	if err := decodeMode.Unmarshal(body, &old); err != nil {
		return nil, err
	}
	w := &wireChange{
		wireHead: old.wireHead, wireTables: old.wireTables, Entries: old.Entries, Tallies: old.Tallies,
	}
	for _, e := range old.Events {
		w.Events = append(w.Events, wireEvent{
			Kind: e.Kind, Repo: e.Repo, ID: e.ID, Actor: e.Actor, At: e.At,
			Measures: []uint64{uint64(e.Additions), uint64(e.Deletions)},
		})
	}
	for _, c := range old.Carried {
		pairs, err := legacyPairs(c.Totals)
		if err != nil {
			return nil, err
		}
		w.Carried = append(w.Carried, wireCarried{Repo: c.Repo, Actor: c.Actor, Totals: pairs})
	}
	for i := range old.Progress {
		w.Progress = append(w.Progress, old.Progress[i].upgrade())
	}
	return w, nil
}

// upgrade returns the progress in the present type.
func (p *wireProgress4) upgrade() wireProgress {
	w := wireProgress{
		wireRepo: p.wireRepo, Presence: p.Presence, GoneSince: p.GoneSince, Missed: p.Missed, Read: p.Read,
	}
	if s := p.Signals; s != nil {
		w.Signals = &wireSignals{
			Streams: s.Streams, Head: s.Head, PushedAt: s.PushedAt, wireLatest: s.wireLatest, HeadReadAt: s.HeadReadAt,
			Archived: s.Archived, DisabledSince: math.MinInt64,
		}
	}
	return w
}
