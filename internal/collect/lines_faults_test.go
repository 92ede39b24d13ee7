// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/loc/rounds"
)

// linesQuestion is something that a round over weekly lines asks.
type linesQuestion struct {
	api     github.API
	matches func(githubtest.RequestInfo) bool
	// zeros makes the statistics those of a large repository, so that the week's commits are read.
	zeros bool
	// answers are the faults that are an answer, and what is known then: GitHub has no lines of a commit, or there
	// are no further pages.
	answers map[string]map[string][2]uint64
}

var (
	fromStatistics = map[string][2]uint64{"ada": {20, 2}, "bob": {10, 1}, "eve": {0, 0}}
	fromCommits    = map[string][2]uint64{"ada": {20, 2}, "bob": {10, 1}, "eve": {0, 0}, "unlinked_git_author": {10, 1}}
	nobodysLines   = map[string][2]uint64{"ada": {0, 0}, "bob": {0, 0}, "eve": {0, 0}, "unlinked_git_author": {0, 0}}
	oneAnswer      = map[string]map[string][2]uint64{"endless pages": fromStatistics}
	onePage        = map[string]map[string][2]uint64{"endless pages": fromCommits}
)

var linesQuestions = map[string]linesQuestion{
	"statistics":            {api: github.APIGraphQL, matches: route(statsRoute), answers: oneAnswer},
	"REST statistics":       {api: github.APIREST, matches: route(statsRoute), answers: oneAnswer},
	"a week's commits":      {api: github.APIGraphQL, matches: query("Activity"), zeros: true},
	"REST a week's commits": {api: github.APIREST, matches: route(commitsRoute), zeros: true, answers: onePage},
	"REST one of these commits": {
		api: github.APIREST, matches: route(commitRoute), zeros: true,
		answers: map[string]map[string][2]uint64{"endless pages": fromCommits, "422": nobodysLines},
	},
}

// TestLinesFaultMatrix: each fault in each question of a round ends in its error, no lines are invented as long as it
// lasts, and when it has passed they are the truth.
func TestLinesFaultMatrix(t *testing.T) {
	t.Parallel()
	for asked, q := range linesQuestions {
		for name, f := range theFaults {
			t.Run(asked+": "+name, func(t *testing.T) {
				t.Parallel()
				b := newLinesBench(t, q.api, lastWeek(), func(s *rounds.Settings) { s.Rules.ZeroAnswers = 1 })
				want := fromStatistics
				if q.zeros {
					b.zeros()
					want = fromCommits
				} else {
					b.round() // they are computed
					b.clock.Advance(time.Minute)
					b.pass()
				}
				armed := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: q.matches}, Effect: f.do})
				done, err := b.lines.Run(t.Context())
				require.NoError(t, err)
				require.Positive(t, armed.Hits())
				if weekly, ok := q.answers[name]; ok {
					require.Empty(t, done.Failures)
					require.Equal(t, weekly, b.weekly("one"))
					return
				}
				require.Empty(t, b.weekly("one"))
				if halts := f.want(&github.LimitError{}) || f.want(&github.CredentialError{}); !halts && !f.passes {
					require.Len(t, done.Failures, 1)
					require.True(t, f.want(done.Failures[0].Err), "%T: %v", done.Failures[0].Err, done.Failures[0].Err)
				}
				b.server.ClearFaults()
				if q.zeros {
					b.zeros()
				}
				b.clock.Advance(2 * time.Hour)
				b.until(noon.Add(3 * day))
				require.Equal(t, want, b.weekly("one"))
			})
		}
	}
}

// TestHadCommits: what says that a repository with commits has none is not believed.
func TestHadCommits(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newLinesBench(t, api, lastWeek())
		b.server.InjectFault(
			githubtest.Fault{
				Match:  githubtest.Match{Route: statsRoute},
				Effect: githubtest.StatusBody(http.StatusNoContent, nil, ""),
			},
		)
		require.Len(t, b.round().Failures, 1)
		require.Empty(t, b.weekly("one"))
		b.server.ClearFaults()
		b.zeros()
		nothing := githubtest.StatusBody(http.StatusOK, jsonType, `[]`)
		asked := githubtest.Match{Route: commitsRoute}
		if api == github.APIGraphQL {
			nothing, asked = githubtest.NullAt("**.defaultBranchRef"), githubtest.Match{Operation: "Activity"}
		}
		b.settings.Rules.ZeroAnswers = 1
		b.newTerm()
		b.clock.Advance(day)
		b.pass()
		armed := b.server.InjectFault(githubtest.Fault{Match: asked, Effect: nothing})
		done, err := b.lines.Run(t.Context())
		require.NoError(t, err)
		require.Positive(t, armed.Hits())
		require.Equal(t, 1, done.CommitReads)
		require.Len(t, done.Failures, 1)
		require.Empty(t, b.weekly("one"))
	})
}
