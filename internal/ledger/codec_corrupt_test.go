// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"bytes"
	"math"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// TestDecodeRefuses checks that DecodeChange refuses what EncodeChange cannot have written, although the checksum is
// right.
func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *wireChange){
		"a kind":             func(w *wireChange) { w.Events[0].Kind = activity.NumKinds + 1 },
		"kind 0":             func(w *wireChange) { w.Events[0].Kind = 0 },
		"a repository":       func(w *wireChange) { w.Events[0].Repo = 1 },
		"a repository's id":  func(w *wireChange) { w.Repos[0] = -5 },
		"an actor":           func(w *wireChange) { w.Events[0].Actor = 2 },
		"an actor's login":   func(w *wireChange) { w.Actors[0].Login = "\n" },
		"a long id":          func(w *wireChange) { w.Events[0].ID = make([]byte, 21) },
		"lines of a comment": func(w *wireChange) { w.Events[1].Measures = []uint64{1} },
		"many measures":      func(w *wireChange) { w.Events[0].Measures = []uint64{1, 2, 3} },
		"a large measure":    func(w *wireChange) { w.Events[0].Measures = []uint64{1 << 32} },
		"a carried id":       func(w *wireChange) { w.Carried[0].Repo = 0 },
		"a progress id":      func(w *wireChange) { w.Progress[0].ID = -1 },
		"a carried actor":    func(w *wireChange) { w.Carried[0].Actor = math.MaxUint32 },
		"half a total":       func(w *wireChange) { w.Carried[0].Totals = w.Carried[0].Totals[1:] },
		"a total's id":       func(w *wireChange) { w.Carried[0].Totals = append(w.Carried[0].Totals, 1<<16, 1) },
		"a total without id": func(w *wireChange) { w.Carried[0].Totals = append(w.Carried[0].Totals, 0, 1) },
		"a removed kind":     func(w *wireChange) { w.Removed[0].Kind = 0 },
		"a removed place":    func(w *wireChange) { w.Removed[0].Repo = 2 },
		"a restored id":      func(w *wireChange) { w.Restored[0].ID = make([]byte, 21) },
		"a tip":              func(w *wireChange) { w.Progress[0].Tips[0] = "no head" },
		"an empty tip":       func(w *wireChange) { w.Progress[0].ResolvedTips[0] = "" },
		"streams off":        func(w *wireChange) { w.Progress[0].Signals.Disabled = 1 << activity.NumStreams },
		"a stream":           func(w *wireChange) { w.Progress[0].Missed[0].Stream = activity.NumStreams },
		"a stream read":      func(w *wireChange) { w.Progress[0].Read[0].Stream = 255 },
		"streams of a repo":  func(w *wireChange) { w.Progress[0].Streams = 1 << activity.NumStreams },
		"a presence":         func(w *wireChange) { w.Progress[0].Presence = 4 },
		"known streams":      func(w *wireChange) { w.Progress[0].Signals.Streams = 1 << activity.NumStreams },
		"a time":             func(w *wireChange) { w.Progress[0].FirstSeen = math.MaxInt64 },
		"an edge":            func(w *wireChange) { w.Edge = math.MinInt64 + 1 },
		"a window":           func(w *wireChange) { w.Progress[0].Read[0].End = math.MaxInt64 },
		"no labels":          func(w *wireChange) { w.Entries[0].Labels = nil },
		"many labels":        func(w *wireChange) { w.Tallies[0].Labels = []string{"", "", ""} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := golden()
			w := toWire(&c)
			change(w)
			body, err := encodeMode.Marshal(w)
			require.NoError(t, err)
			_, err = DecodeChange(sealFrame(body))
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// sealFrame returns the frame of a body.
func sealFrame(body []byte) []byte {
	frame := append(make([]byte, frameHead), body...)
	seal(frame)
	return frame
}

// TestDecodeOfGarbage checks bytes that are no frame, other versions, and bodies that are no change.
func TestDecodeOfGarbage(t *testing.T) {
	t.Parallel()
	frame, err := EncodeChange(golden())
	require.NoError(t, err)
	other := bytes.Clone(frame)
	other[0] = 3
	body := frame[frameHead:]
	for name, garbage := range map[string][]byte{
		"nothing": nil, "no body": sealFrame(nil), "a head": frame[:frameHead], "cut off": frame[:len(frame)-1],
		"another version":    other,
		"cut off and sealed": sealFrame(body[:len(body)-1]), "something after it": sealFrame(append(bytes.Clone(body),
			0)),
		"a number": sealFrame([]byte{0x01}), "a map": sealFrame([]byte{0xa0}), "short": sealFrame([]byte{0x80}),
		"a tag":              sealFrame(append([]byte{0xc1}, body...)),
		"a list without end": sealFrame([]byte{0x9f, 0xff}), "a list of 2⁶⁴": sealFrame([]byte{
			0x9b, 255, 255, 255, 255,
			255, 255, 255, 255,
		}),
		"nested": sealFrame(bytes.Repeat([]byte{0x81}, 1000)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := DecodeChange(garbage)
			require.ErrorIs(t, err, ErrCorrupt)
		})
	}
}

// TestDecodeAllocates in proportion to the frame only, also where one byte stands for a large element.
func TestDecodeAllocates(t *testing.T) { //nolint:paralleltest // others would allocate meanwhile
	const n = 100_000
	hollow := []byte{0x8d, 0, 0, 0, 0, 0x80, 0x80}
	for list := range 7 {
		body := bytes.Clone(hollow)
		for range list {
			body = append(body, 0x80)
		}
		body = append(body, 0x9a, 0, n>>16&0xff, n>>8&0xff, n&0xff)
		body = append(body, bytes.Repeat([]byte{0xf6}, n)...)
		for range 6 - list {
			body = append(body, 0x80)
		}
		frame := sealFrame(body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = DecodeChange(frame)
		runtime.ReadMemStats(&after)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(400*len(frame)), "list %d", list)
		t.Logf("list %d: %d bytes for each of the frame", list, (after.TotalAlloc-before.TotalAlloc)/uint64(len(frame)))
	}
}
