// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestHostileAnswers are cut off, named and harmless: they cost a bounded amount of memory, and the next valid response
// is read.
func TestHostileAnswers(t *testing.T) {
	jsonType := http.Header{"Content-Type": {"application/json"}}
	nested := strings.Repeat("[", 1_000_000) + strings.Repeat("]", 1_000_000)
	long := strings.Repeat("x", 10<<20)
	comment := `[{"id":%d,"created_at":"2026-03-11T11:00:00Z","updated_at":"2026-03-11T11:00:00Z","user":{"id":7,` +
		`"login":%q,"type":"User"}}]`
	for name, test := range map[string]struct {
		effect  githubtest.Effect
		failed  bool
		invalid bool
	}{
		"a body of 1 GB":          {effect: githubtest.HugeBody(1 << 30), failed: true},
		"a million nested arrays": {effect: githubtest.StatusBody(200, jsonType, nested), failed: true},
		"a login of 10 MB": {
			effect:  githubtest.StatusBody(200, jsonType, fmt.Sprintf(comment, 1, long)),
			invalid: true,
		},
		"control characters": {
			effect:  githubtest.StatusBody(200, jsonType, fmt.Sprintf(comment, 1, "a\nb\tc")),
			invalid: true,
		},
		"an id that is no number": {effect: githubtest.StatusBody(200, jsonType, `[{"id":"x"}]`), failed: true},
		"a negative id": {
			effect:  githubtest.StatusBody(200, jsonType, fmt.Sprintf(comment, -1, "ann")),
			invalid: true,
		},
		"a row that is null":         {effect: githubtest.StatusBody(200, jsonType, "[null]"), failed: true},
		"another document behind it": {effect: githubtest.StatusBody(200, jsonType, "[][]"), failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			data := dataset("one")
			b := newBench(t, github.APIGraphQL, data, func(_ *githubtest.Settings,
				g *transport.Settings,
			) {
				g.Retry.MaxAttempts = 1
				g.Timeout = time.Minute
			})
			repo := b.repo("one")
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
				Route: "/repos/{owner}/{repo}/issues/comments",
			}, Times: 1, Effect: test.effect})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			events, outcome := b.read(since(repo, ago(24*time.Hour), activity.StreamComments))
			runtime.ReadMemStats(&after)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(400<<20), "bytes")
			err := outcome.Failed[activity.StreamComments]
			require.Equal(t, test.failed, err != nil, "%v", err)
			if err != nil {
				require.True(t, is[*transport.UnavailableError](err), "%T: %v", err, err)
				require.Less(t, len(err.Error()), 1000)
			}
			if test.invalid {
				for _, e := range events {
					require.Less(t, len(e.Actor.Login), 200)
					require.True(t, activity.IsPrintable(e.Actor.Login))
				}
				if len(events) == 0 {
					require.NotEmpty(t, b.invalid)
				}
				for _, err := range b.invalid {
					require.Less(t, len(err.Error()), 1000)
				}
			}
			events, outcome = b.read(since(repo, ago(24*time.Hour), activity.StreamComments))
			require.Empty(t, outcome.Failed)
			require.Empty(t, events)
		})
	}
}
