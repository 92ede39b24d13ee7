// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package varint_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// encodeUvarints returns a document with numbers.
func encodeUvarints(numbers ...uint64) (data []byte) {
	for _, n := range numbers {
		data = binary.AppendUvarint(data, n)
	}
	return data
}

func TestReader(t *testing.T) {
	t.Parallel()
	r := varint.NewReader(append(encodeUvarints(0, math.MaxUint64, 3), "abcd"...))
	require.Zero(t, r.ReadUvarint(0))
	require.Equal(t, uint64(math.MaxUint64), r.ReadUvarint(math.MaxUint64))
	require.Equal(t, "abc", r.ReadString())
	require.True(t, r.HasMore())
	require.False(t, r.IsComplete(), "one byte is left")
}

func TestReaderOfInvalidDocuments(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func() *varint.Reader{
		"too large": func() *varint.Reader {
			r := varint.NewReader(encodeUvarints(8,
				1))
			r.ReadUvarint(7)
			return r
		},
		"nothing":       func() *varint.Reader { r := varint.NewReader(nil); r.ReadUvarint(7); return r },
		"half a number": func() *varint.Reader { r := varint.NewReader([]byte{0x80}); r.ReadUvarint(7); return r },
		"more than fits": func() *varint.Reader {
			r := varint.NewReader(bytes.Repeat([]byte{0xff}, 11))
			r.ReadUvarint(math.MaxUint64)
			return r
		},
		"too short": func() *varint.Reader {
			r := varint.NewReader(append(encodeUvarints(3),
				"ab"...))
			r.ReadString()
			return r
		},
		"an absurd text": func() *varint.Reader {
			r := varint.NewReader(encodeUvarints(
				math.MaxUint64))
			r.ReadString()
			return r
		},
		"what is refused": func() *varint.Reader { r := varint.NewReader(nil); r.Invalidate(); return r },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := read()
			require.False(t, r.IsComplete())
			require.False(t, r.HasMore())
			require.Zero(t, r.ReadUvarint(math.MaxUint64))
			require.Empty(t, r.ReadString())
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add(append(encodeUvarints(1, 2, 3), "abc"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := varint.NewReader(data)
		total := 0
		for r.HasMore() {
			r.ReadUvarint(math.MaxUint32)
			total += len(r.ReadString())
		}
		require.LessOrEqual(t, total, len(data))
	})
}
