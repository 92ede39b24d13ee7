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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/loc/rounds"
)

// linesRequestCase is a request that a round over weekly lines sends.
type linesRequestCase struct {
	api     github.API
	matches func(githubtest.RequestInfo) bool
	// zeros makes the statistics those of a large repository, so that the week's commits are read.
	zeros bool
	// linesByFault has the faults that are a valid response, with the lines that follow: GitHub has no lines of a
	// commit, or there are no further pages.
	linesByFault map[string]map[string][2]uint64
}

var (
	fromStatistics = map[string][2]uint64{"ada": {20, 2}, "bob": {10, 1}, "eve": {0, 0}}
	fromCommits    = map[string][2]uint64{
		"ada": {20, 2}, "bob": {10, 1}, "eve": {0, 0}, "unlinked_git_author": {10, 1},
	}
	zeroLines   = map[string][2]uint64{"ada": {0, 0}, "bob": {0, 0}, "eve": {0, 0}, "unlinked_git_author": {0, 0}}
	oneResponse = map[string]map[string][2]uint64{"endless pages": fromStatistics}
	onePage     = map[string]map[string][2]uint64{"endless pages": fromCommits}
)

var linesRequestCases = map[string]linesRequestCase{
	"statistics":       {api: github.APIGraphQL, matches: isFirstPage(statsRoute), linesByFault: oneResponse},
	"REST statistics":  {api: github.APIREST, matches: isFirstPage(statsRoute), linesByFault: oneResponse},
	"a week's commits": {api: github.APIGraphQL, matches: isQuery("Activity"), zeros: true},
	"REST a week's commits": {
		api: github.APIREST, matches: isFirstPage(commitsRoute), zeros: true,
		linesByFault: onePage,
	},
	"REST one of these commits": {
		api: github.APIREST, matches: isFirstPage(commitRoute), zeros: true,
		linesByFault: map[string]map[string][2]uint64{"endless pages": fromCommits, "422": zeroLines},
	},
}

// TestLinesFaultMatrix: each fault in each request of a round becomes its error; no lines are invented as long as it
// lasts, and when it has ended they are correct.
func TestLinesFaultMatrix(t *testing.T) {
	t.Parallel()
	for asked, q := range linesRequestCases {
		for name, f := range httpFaults {
			t.Run(asked+": "+name, func(t *testing.T) {
				t.Parallel()
				b := newLinesBench(t, q.api, lastWeekData(), func(s *rounds.Settings) { s.Rules.ZeroAnswers = 1 })
				want := fromStatistics
				if q.zeros {
					b.zeroStatistics()
					want = fromCommits
				} else {
					b.passAndRound() // they are computed
					b.clock.Advance(time.Minute)
					b.pass()
				}
				armed := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: q.matches}, Effect: f.do})
				done, err := b.lines.Run(t.Context())
				require.NoError(t, err)
				require.Positive(t, armed.Hits())
				if weekly, ok := q.linesByFault[name]; ok {
					require.Empty(t, done.Failures)
					require.Equal(t, weekly, b.weekly("one"))
					return
				}
				require.Empty(t, b.weekly("one"))
				if halts := f.want(&transport.LimitError{}) || f.want(&transport.CredentialError{}); !halts &&
					!f.passes {
					require.Len(t, done.Failures, 1)
					require.True(t, f.want(done.Failures[0].Err), "%T: %v", done.Failures[0].Err, done.Failures[0].Err)
				}
				b.server.ClearFaults()
				if q.zeros {
					b.zeroStatistics()
				}
				b.clock.Advance(2 * time.Hour)
				b.roundsUntil(noon.Add(3 * day))
				require.Equal(t, want, b.weekly("one"))
			})
		}
	}
}

// TestEmptyStatisticsOfARepositoryWithCommits: a response that a repository with recorded commits has none is ignored.
func TestEmptyStatisticsOfARepositoryWithCommits(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newLinesBench(t, api, lastWeekData())
		b.server.InjectFault(
			githubtest.Fault{
				Match:  githubtest.Match{Route: statsRoute},
				Effect: githubtest.StatusBody(http.StatusNoContent, nil, ""),
			},
		)
		require.Len(t, b.passAndRound().Failures, 1)
		require.Empty(t, b.weekly("one"))
		b.server.ClearFaults()
		b.zeroStatistics()
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
