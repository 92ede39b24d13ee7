// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// isValid reports whether a text is one JSON value; ok is false when it is nested too deeply to say.
func isValid(text []byte) (valid, ok bool) {
	s := scanner{data: text}
	err := s.skipValue()
	return err == nil && s.isAtEnd(), !errors.Is(err, errNested)
}

func TestScannerSyntax(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " ", "null", "nul", "nulll", "true", "false",
		"tru", "0", "-0", "01", "-", "1.", ".5", "1.5e", "1e+5", "1E-05",
		"+1", "1 2", `""`, `"`, `"\`, `"\u12`, `"\u12g4"`, `"\u12A4"`, `"\x"`, "\"\t\"", "[]", "[1,]", "[,1]", "[1 2]", "[1",
		"{}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a":1 "b":2}`, `{"a":[{"b":null}]}`, "[}", "\x00", "{}x",
	} {
		valid, ok := isValid([]byte(text))
		require.True(t, ok)
		require.Equal(t, json.Valid([]byte(text)), valid, "%q", text)
	}
	_, ok := isValid([]byte(strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)))
	require.True(t, ok)
	_, ok = isValid([]byte(strings.Repeat(`{"a":`, maxDepth+1)))
	require.False(t, ok)
}

// FuzzScanner compares the syntax with that of the standard library.
func FuzzScanner(f *testing.F) {
	for _, seed := range []string{`{"a":[1,-2.5e+3,"\u00e4\n",null]}`, "[true,false]", "01", `"\`, "[1,]"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if valid, ok := isValid(text); ok {
			require.Equal(t, json.Valid(text), valid)
		}
	})
}

func drawCount(t *rapid.T) Count {
	if rapid.Bool().Draw(t, "absent") {
		return Count{}
	}
	return CountOf(rapid.Int64Range(0, MaxCount).Draw(t, "count"))
}

func drawTotals(t *rapid.T) Totals {
	return Totals{
		Counters: Counters{Interactions: drawCount(t), LinesAdded: drawCount(t)},
		IDE:      rapid.String().Draw(t, "ide"), Feature: rapid.StringMatching(`[a-z_]{0,9}`).Draw(t, "feature"),
	}
}

// TestDecodeIsThatOfTheStandardLibrary compares rows of valid values, and that their encoding decodes to them.
func TestDecodeIsThatOfTheStandardLibrary(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		row := User{
			Day: Day(rapid.IntRange(20_000, 30_000).Draw(t, "day")), ID: ID(rapid.StringMatching(`[1-9][0-9]{0,9}`).Draw(t, "id")),
			Login:       rapid.String().Draw(t, "login"),
			CreditsUsed: AmountOf(rapid.Float64Range(0, 1e9).Draw(t, "credits")),
		}
		row.Generations = drawCount(t)
		row.ByIDE = rapid.SliceOfN(rapid.Custom(drawTotals), 0, 4).Draw(t, "ides")
		if rapid.Bool().Draw(t, "cli") {
			row.CLI = &CLI{Sessions: drawCount(t), TokenUsage: TokenUsage{OutputTokens: drawCount(t)}}
			row.UsedCLI = FlagOf(rapid.Bool().Draw(t, "used"))
		}
		raw, err := json.Marshal(row)
		require.NoError(t, err)
		var want, got User
		require.NoError(t, json.Unmarshal(raw, &want))
		count, field, problem := decodeObject(raw, &got, new(textCache))
		require.Nil(t, problem)
		require.Zero(t, count, field)
		require.Equal(t, want, got)
		if len(row.ByIDE) == 0 {
			row.ByIDE = nil
		}
		require.Equal(t, row, got)
	})
}
