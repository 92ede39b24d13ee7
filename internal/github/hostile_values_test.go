// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package github_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// raw is JSON that Go's encoder would not write.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

var (
	hostileTexts = map[string]any{
		"1 MB": strings.Repeat("x", 1<<20), "nothing": "", "control characters": "a\nb\t\x00c\x1b[31m",
		"another direction": "\u202egnp.exe\u2066",
		"a line separator":  "a\u2028b", "no UTF-8": raw("\"a\xff\xfeb\""), "half a surrogate": raw(`"\ud800"`),
		"another path": "../../../user", "another host": "https://example.com/", "a label": `",user="root"} 1 #`,
	}
	hostileTimes = map[string]any{
		"year 0": "0000-01-01T00:00:00Z", "year 1": "0001-01-01T00:00:00Z", "year 9999": "9999-12-31T23:59:59Z",
		"year 12026": "12026-03-11T12:00:00Z",
		"no date":    "yesterday", "no day": "2026-02-30T12:00:00Z", "an odd zone": "2026-03-11T12:00:00+23:59",
	}
	hostileNumbers = map[string]any{
		"negative": -1, "the least": raw("-9223372036854775808"), "the largest": raw("9223372036854775807"),
		"too large":     raw("9223372036854775808"),
		"far too large": raw("1e400"), "a fraction": raw("0.5"), "a text": "7",
		"many digits": raw(strings.Repeat("9", 64<<10)),
	}
)

// hostileValues are what a value is replaced by.
func hostileValues(value any) map[string]any {
	switch value := value.(type) {
	case string:
		if len(value) == len("2026-03-11T12:00:00Z") && strings.HasSuffix(value, "Z") {
			return hostileTimes
		}
		return hostileTexts
	case float64:
		return hostileNumbers
	default:
		return nil
	}
}

// TestHostileValues: whatever stands in place of a value, in each place of each answer, is refused, left out and
// counted, or harmless: what comes out can be recorded and shown, texts are short and fit for a log, and afterwards
// everything is the truth.
func TestHostileValues(t *testing.T) {
	t.Parallel()
	for name, w := range works() {
		if strings.HasSuffix(name, " reading") {
			w.data = rich(51, 1) // one page more of what is asked for by GraphQL
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, w)
			var wrong []string
			cases, large := 0, make(map[string]bool)
			for question, body := range h.distinct() {
				for what, change := range hostileChanges(t, body, large) {
					cases++
					h.arm(question, change)
					c := h.client(t)
					text := harmIn(h.work.do(t, c))
					if text += h.healed(t, c); text != "" {
						wrong = append(wrong, question+what+": "+text)
					}
				}
			}
			t.Logf("%d values, %d times something was left out", cases, h.invalid.Load())
			slices.Sort(wrong)
			require.Empty(t, strings.Join(wrong, "\n"))
		})
	}
}

// hostileChanges replaces each value of an answer by each that is hostile; one that is large by its name once.
func hostileChanges(t *testing.T, body []byte, large map[string]bool) map[string]func([]byte) []byte {
	t.Helper()
	var honest any
	require.NoError(t, json.Unmarshal(body, &honest))
	changes := make(map[string]func([]byte) []byte)
	visitJSON(honest, nil, func(path []any, value any) {
		key, _ := lastNode(path).(string)
		if strings.HasSuffix(key, "url") {
			return // no address of an answer is ever used
		}
		for name, other := range hostileValues(value) {
			if name == "1 MB" || name == "many digits" {
				if large[key] {
					continue
				}
				large[key] = true
			}
			changes[shapeOf(path)+" = "+name] = func(body []byte) []byte { return replaced(body, path, other) }
		}
	})
	return changes
}

// harmIn says what of a result cannot be recorded or shown.
func harmIn(r result) string {
	for _, err := range append(slices.Collect(maps.Values(r.failed)), r.err) {
		if err != nil && (len(err.Error()) > 1000 || !activity.IsPrintable(err.Error()) ||
			strings.Contains(err.Error(), "ghp_")) {
			return fmt.Sprintf("%d bytes: %.600q", len(err.Error()), err.Error())
		}
	}
	for _, repo := range r.repos {
		if repo.ID <= 0 || !activity.IsPrintable(repo.Name) || len(repo.Name) > 100 ||
			strings.Contains(repo.Name, "/") {
			return fmt.Sprintf("repository %d %.100q", repo.ID, repo.Name)
		}
	}
	for _, events := range r.events {
		for _, e := range events {
			if err := e.Validate(); err != nil || e.Actor.ID < 0 {
				return fmt.Sprintf("%+v: %v", e, err)
			}
		}
	}
	return ""
}

// endlessBody is a text that is repeated up to a size; it is never held in memory as a whole.
type endlessBody struct {
	chunk string // whole repetitions
	at    int    // the position in the chunk
	left  int
}

// endless repeats a text up to a size in bytes.
func endless(text string, size int) *endlessBody {
	return &endlessBody{chunk: strings.Repeat(text, max(1, 64<<10/len(text))), left: size}
}

func (e *endlessBody) Read(into []byte) (int, error) {
	if e.left <= 0 {
		return 0, io.EOF
	}
	n := copy(into[:min(len(into), e.left)], e.chunk[e.at:])
	e.at, e.left = (e.at+n)%len(e.chunk), e.left-n
	return n, nil
}

// TestHostileBodies: what is too long, too deep or too many costs little memory in each question, and a text that is
// fit for a log.
func TestHostileBodies(t *testing.T) {
	const gigabyte = 1 << 30
	for name, body := range map[string]struct {
		status int
		text   func() io.Reader
	}{
		"1 GB of space":  {200, func() io.Reader { return endless(" ", gigabyte) }},
		"1 GB of arrays": {200, func() io.Reader { return endless("[", gigabyte) }},
		"1 GB of a text": {200, func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"data":"`),
				endless("x", gigabyte))
		}},
		"1 GB, refused":     {403, func() io.Reader { return endless("x", gigabyte) }},
		"1 GB, not found":   {404, func() io.Reader { return endless("x", gigabyte) }},
		"1 GB, unavailable": {503, func() io.Reader { return endless("x", gigabyte) }},
		"a million arrays":  {200, func() io.Reader { return strings.NewReader(strings.Repeat("[", 1_000_000)) }},
		"a million objects": {200, func() io.Reader {
			return strings.NewReader(strings.Repeat(`{"data":`,
				1_000_000))
		}},
		"9,000 objects": {200, func() io.Reader {
			return strings.NewReader(strings.Repeat(`{"data":`, 9000) + "null" + strings.Repeat("}", 9000))
		}},
		"200,000 errors": {200, func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"data":{"x":null},"errors":[{}`), endless(",{}", 600_000),
				strings.NewReader("]}"))
		}},
		"200,000 nulls": {200, func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"data":{"organization":{"repositories":{"nodes":[null`),
				endless(",null", 1_000_000), strings.NewReader("]}}}}"))
		}},
		"200,000 nulls, a list": {200, func() io.Reader {
			return io.MultiReader(strings.NewReader(`[null`), endless(",null", 1_000_000), strings.NewReader("]"))
		}},
		"200,000 elements of path": {200, func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"data":{"x":null},"errors":[{"path":[0`), endless(",0", 400_000),
				strings.NewReader("]}]}"))
		}},
		"a message of 10 MB": {403, func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"message":"`), endless("\u202e\u0001x", 10<<20),
				strings.NewReader(`"}`))
		}},
		"an error of 1 MB": {200, func() io.Reader {
			return io.MultiReader(strings.NewReader(`{"data":null,"errors":[{"message":"`), endless("x", 1<<20),
				strings.NewReader(`"}]}`))
		}},
	} {
		for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
			for work, do := range map[string]func(*testing.T, *github.Client) result{
				"discovery": discovering, "reading": readingAll(activity.Repository{ID: 1, NodeID: "R_1", Name: "one"},
					""),
				"going on": readingAll(activity.Repository{ID: 1, NodeID: "R_1", Name: "one"}, sha(1)),
			} {
				t.Run(fmt.Sprint(name, ", ", api, ", ", work), func(t *testing.T) {
					requests := 0
					sender, err := transport.New(transport.Settings{
						Endpoint:   "https://api.github.example",
						Credential: transport.TokenCredential("ghp_secret"),
						HTTP: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
							requests++
							header := http.Header{
								"X-Github-Request-Id": {"a\x7f\u202e" + strings.Repeat("9", 64<<10)},
								"Link":                {strings.Repeat("<,", 1<<20)},
							}
							return &http.Response{
								StatusCode: body.status, Header: header,
								Body: io.NopCloser(body.text()), Request: r,
							}, nil
						})},
					})
					require.NoError(t, err)
					client := github.New(sender, github.Settings{API: api})
					var before, after runtime.MemStats
					runtime.ReadMemStats(&before)
					got := do(t, client)
					runtime.ReadMemStats(&after)
					require.Empty(t, harmIn(got))
					require.True(t, got.err != nil || len(got.failed) == activity.NumStreams || requests == 0)
					perRequest := (after.TotalAlloc - before.TotalAlloc) / uint64(max(1, requests))
					require.Less(t, perRequest, uint64(400<<20), "bytes")
				})
			}
		}
	}
}
