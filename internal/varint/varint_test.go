package varint_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

func document(numbers ...uint64) (data []byte) {
	for _, n := range numbers {
		data = binary.AppendUvarint(data, n)
	}
	return data
}

func TestReader(t *testing.T) {
	t.Parallel()
	r := varint.Read(append(document(0, math.MaxUint64, 3), "abcd"...))
	require.Zero(t, r.Number(0))
	require.Equal(t, uint64(math.MaxUint64), r.Number(math.MaxUint64))
	require.Equal(t, "abc", r.Text())
	require.True(t, r.More())
	require.False(t, r.End(), "one byte is left")
}

func TestReaderOfWhatCannotBe(t *testing.T) {
	t.Parallel()
	for name, read := range map[string]func() *varint.Reader{
		"too large":     func() *varint.Reader { r := varint.Read(document(8, 1)); r.Number(7); return r },
		"nothing":       func() *varint.Reader { r := varint.Read(nil); r.Number(7); return r },
		"half a number": func() *varint.Reader { r := varint.Read([]byte{0x80}); r.Number(7); return r },
		"more than fits": func() *varint.Reader {
			r := varint.Read(bytes.Repeat([]byte{0xff}, 11))
			r.Number(math.MaxUint64)
			return r
		},
		"too short":       func() *varint.Reader { r := varint.Read(append(document(3), "ab"...)); r.Text(); return r },
		"an absurd text":  func() *varint.Reader { r := varint.Read(document(math.MaxUint64)); r.Text(); return r },
		"what is refused": func() *varint.Reader { r := varint.Read(nil); r.Refuse(); return r },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := read()
			require.False(t, r.End())
			require.False(t, r.More())
			require.Zero(t, r.Number(math.MaxUint64))
			require.Empty(t, r.Text())
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add(append(document(1, 2, 3), "abc"...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := varint.Read(data)
		total := 0
		for r.More() {
			r.Number(math.MaxUint32)
			total += len(r.Text())
		}
		require.LessOrEqual(t, total, len(data))
	})
}
