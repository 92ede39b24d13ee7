// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// readAll returns the rows of a file.
func readAll(file io.Reader, limits Limits) ([]string, error) {
	reader := NewReader(file, limits)
	var rows []string
	for {
		row, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, string(row))
	}
}

func compress(text string) string {
	var buffer bytes.Buffer
	w := gzip.NewWriter(&buffer)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return buffer.String()
}

func TestReaderForms(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		text string
		want []string
	}{
		"empty":               {"", nil},
		"white space":         {" \r\n\t\n", nil},
		"lines":               {"{\"a\":1}\n{\"b\":2}\n", []string{`{"a":1}`, `{"b":2}`}},
		"no last line feed":   {"{\"a\":1}\n{\"b\":2}", []string{`{"a":1}`, `{"b":2}`}},
		"CRLF, empty lines":   {"{\"a\":1}\r\n\r\n\n{\"b\":2}\r\n", []string{`{"a":1}`, `{"b":2}`}},
		"no separator":        {`{"a":1}{"b":2}`, []string{`{"a":1}`, `{"b":2}`}},
		"over lines":          {"{\n \"a\": [\n1]\n}\n", []string{"{\n \"a\": [\n1]\n}"}},
		"byte order mark":     {"\xEF\xBB\xBF{\"a\":1}\n", []string{`{"a":1}`}},
		"gzip":                {compress("{\"a\":1}\n{}"), []string{`{"a":1}`, `{}`}},
		"gzip and mark":       {compress("\xEF\xBB\xBF{}"), []string{`{}`}},
		"array":               {"[{\"a\":1},\n {\"b\":[2]}]\n", []string{`{"a":1}`, `{"b":[2]}`}},
		"empty array":         {" [ ] ", nil},
		"brackets in strings": {`{"a":"}]\"{"}{}`, []string{`{"a":"}]\"{"}`, `{}`}},
		"escapes":             {`{"a":"\\"}{"b":"\\\""}`, []string{`{"a":"\\"}`, `{"b":"\\\""}`}},
		"a sentence":          {`"There is no report."`, []string{`"There is no report."`}},
		"scalars":             {"null 12 true", []string{"null", "12", "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, file := range []io.Reader{
				strings.NewReader(test.text), iotest.OneByteReader(strings.NewReader(test.text)),
			} {
				rows, err := readAll(file, Limits{})
				require.NoError(t, err)
				require.Equal(t, test.want, rows)
			}
		})
	}
}

func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	row := `{"day":"2026-11-02","user_id":1}` + "\n"
	cut := compress(strings.Repeat(row, 100))
	damaged := cut[:len(cut)-8] + "12345678"
	for name, test := range map[string]struct {
		text    string
		problem Problem
		row     int64
	}{
		"truncated in a row":       {row + `{"day":"2026`, ProblemTruncated, 2},
		"truncated in an array":    {"[" + `{"a":1},`, ProblemTruncated, 2},
		"truncated gzip":           {cut[:len(cut)-12], ProblemTruncated, 0},
		"damaged gzip":             {damaged, ProblemCompression, 0},
		"wrong gzip header":        {"\x1f\x8b{}", ProblemCompression, 1},
		"HTML":                     {"<!DOCTYPE html><html>Unicorn!</html>", ProblemMarkup, 1},
		"XML error":                {"\xEF\xBB\xBF<?xml version=\"1.0\"?><Error>Expired</Error>", ProblemMarkup, 1},
		"XML after rows":           {row + "<Error/>", ProblemMarkup, 2},
		"UTF-16 LE":                {"\xFF\xFE{\x00", ProblemEncoding, 1},
		"UTF-16 BE without a mark": {"\x00{\x00", ProblemEncoding, 1},
		"UTF-16 LE without a mark": {"{\x00\"\x00", ProblemEncoding, 1},
		"Latin-1":                  {row + "{\"user_login\":\"ren\xe9\"}\n", ProblemEncoding, 2},
		"not JSON":                 {row + "{day: 2026}", ProblemSyntax, 2},
		"words":                    {"Service Unavailable", ProblemSyntax, 1},
		"line feed in a string":    {"{\"a\":\"b\n\"}", ProblemSyntax, 1},
		"wrong bracket":            {`{"a":[1}}`, ProblemSyntax, 1},
		"closing bracket":          {row + "}", ProblemSyntax, 2},
		"text after an array":      {"[{}] x", ProblemSyntax, 2},
		"array in an array":        {"[[{}]]", ProblemNoRow, 1},
		"nested":                   {`{"a":` + strings.Repeat("[", 100_000), ProblemNesting, 1},
		"nested but unknown":       {`{"a":` + strings.Repeat("[", 80) + strings.Repeat("]", 80) + "}", ProblemNesting, 1},
		"long row":                 {row + `{"a":"` + strings.Repeat("x", 2000) + `"}`, ProblemRowSize, 2},
		"long number":              {strings.Repeat("1", 2000), ProblemRowSize, 1},
		"long file":                {strings.Repeat(row, 200), ProblemFileSize, 0},
		"long compressed file":     {compress(strings.Repeat(row, 100_000)), ProblemFileSize, 0},
		"a sentence":               {`"There is no report."`, ProblemNoRow, 1},
		"null":                     {row + "null", ProblemNoRow, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadUsers(strings.NewReader(test.text), Limits{RowBytes: 1000, TotalBytes: 5000},
				func(*User) error { return nil })
			var problem *Error
			require.ErrorAs(t, err, &problem)
			require.Equal(t, test.problem, problem.Problem, err)
			if test.row > 0 {
				require.Equal(t, test.row, problem.Row)
			}
			require.Contains(t, err.Error(), test.problem.String())
			require.NotContains(t, err.Error(), "rené")
		})
	}
}

// TestErrorStays checks that a reader returns its error again, and that errors of the file and of the caller are
// returned as they are.
func TestErrorStays(t *testing.T) {
	t.Parallel()
	reader := NewReader(strings.NewReader("{}<"), Limits{})
	_, err := reader.Next()
	require.NoError(t, err)
	for range 2 {
		_, err = reader.Next()
		require.Error(t, err)
	}
	failure := errors.New("connection reset")
	_, err = ReadUsers(io.MultiReader(strings.NewReader("{}\n{"), iotest.ErrReader(failure)), Limits{},
		func(*User) error { return nil })
	require.ErrorIs(t, err, failure)
	_, err = ReadUsers(strings.NewReader("{}"), Limits{}, func(*User) error { return failure })
	require.Equal(t, failure, err)
	_, err = ReadUsers(io.MultiReader(strings.NewReader("{}\n{"), iotest.ErrReader(io.ErrUnexpectedEOF)), Limits{},
		func(*User) error { return nil })
	var problem *Error
	require.ErrorAs(t, err, &problem)
	require.Equal(t, ProblemTruncated, problem.Problem)
}

// TestLargeAggregateIsOneRow reads an aggregate of 9 MB, which is within the default limits.
func TestLargeAggregateIsOneRow(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat(`{"language":"go","feature":"x","loc_added_sum":1},`, 180_000)
	text := `{"day_totals":[{"day":"2026-11-02","totals_by_language_feature":[` + filler[:len(filler)-1] + `]}]}`
	require.Greater(t, len(text), 8<<20)
	_, _, err := ReadAggregates(strings.NewReader(text), Limits{}, func(day *Aggregate) error {
		require.Len(t, day.ByLanguage, 180_000)
		return nil
	})
	require.NoError(t, err)
}

// TestFormsAreEqual checks that the rows do not depend on how they stand in the file.
func TestFormsAreEqual(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.MapOf(rapid.String(), rapid.OneOf(
			rapid.Custom(func(t *rapid.T) any { return rapid.String().Draw(t, "text") }),
			rapid.Custom(func(t *rapid.T) any { return rapid.Int64().Draw(t, "number") }),
			rapid.Custom(func(t *rapid.T) any { return []any{rapid.Bool().Draw(t, "flag"), map[string]any{"{": "]"}} }),
		))).Draw(t, "rows")
		var want []string
		for _, value := range values {
			raw, err := json.Marshal(value)
			require.NoError(t, err)
			want = append(want, string(raw))
		}
		text := strings.Join(want, rapid.SampledFrom([]string{"\n", "\r\n", "", " \n\n"}).Draw(t, "separator"))
		if rapid.Bool().Draw(t, "array") {
			text = "[" + strings.Join(want, ",\n") + "]"
		}
		text = rapid.SampledFrom([]string{"", "\xEF\xBB\xBF", " "}).Draw(t, "start") + text +
			rapid.SampledFrom([]string{"", "\n", "\r\n"}).Draw(t, "end")
		if rapid.Bool().Draw(t, "gzip") && strings.TrimSpace(text) != "" {
			text = compress(text)
		}
		rows, err := readAll(iotest.HalfReader(strings.NewReader(text)), Limits{})
		require.NoError(t, err)
		require.Equal(t, want, rows)
	})
}
