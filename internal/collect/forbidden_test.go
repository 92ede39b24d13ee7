// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// forbidRepos makes repositories forbidden.
func (b *bench) forbidRepos(names ...string) {
	b.server.Update(func(d *githubtest.Dataset) {
		for _, name := range names {
			d.Repo(name).Forbidden = []githubtest.Period{{Start: b.clock.Now()}}
		}
	})
}

// allowRepos ends what forbidRepos began.
func (b *bench) allowRepos() {
	b.server.Update(func(d *githubtest.Dataset) {
		for i := range d.Repos {
			d.Repos[i].Forbidden = nil
		}
	})
}

// TestForbiddenIsNotGone: a repository that the credential may not read for a while has gaps and is looked up ever more
// rarely; no series of it ends, and afterwards it is complete.
func TestForbiddenIsNotGone(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("all=%v", all), func(t *testing.T) {
				t.Parallel()
				names := []string{"one", "two", "three", "four"}
				data := newDataset(names...)
				for _, name := range names {
					addCommit(data, name, noon.Add(-time.Hour))
				}
				b := newBench(t, api, data, enableBackfill)
				b.pass()
				b.fillGaps()
				edge := b.coverage().Edge
				forbidden := names[:3]
				if all {
					forbidden = names
				}
				b.forbidRepos(forbidden...)
				b.server.ResetRequests()
				for range 12 {
					at := b.clock.Advance(interval).Add(-time.Minute)
					b.server.Update(func(d *githubtest.Dataset) {
						for _, name := range names {
							addCommit(d, name, at)
						}
						*data = *d
					})
					result := b.pass()
					require.Equal(t, PassPartial, result.Status)
					require.Zero(t, result.VanishedRepositories)
					require.Len(t, result.Failures, len(forbidden)*activity.NumStreams)
					for _, f := range result.Failures {
						require.True(t, f.PresenceUnknown)
						require.ErrorAs(t, f.Err, new(*transport.ForbiddenError))
						require.ErrorContains(t, f.Err, "organization SAML enforcement")
					}
					require.Equal(
						t, activity.EveryStream, b.collector.PendingStreams(b.repoID("one")), "no job can read it",
					)
				}
				require.Empty(t, b.goneRepos())
				lookups := b.server.CountRequests(isRequest(lookupRequest[api]))
				if api == github.APIREST {
					lookups -= 12 * (len(names) - len(forbidden)) // the counts of the one that moves in each pass
				}
				require.LessOrEqual(t, lookups, 4*len(forbidden), "in an hour")
				cov := b.coverage()
				require.Len(t, cov.Gaps(), len(forbidden)*activity.NumStreams)
				require.Equal(t, edge, cov.OldestUncovered())
				b.allowRepos()
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				require.Zero(t, b.collector.PendingStreams(b.repoID("one")))
				b.fillGaps()
				b.requireNoGaps()
				*data = *dataOf(b)
				requireAllRecorded(t, b, data)
			})
		}
	})
}

// dataOf returns the data that the server has.
func dataOf(b *bench) *githubtest.Dataset {
	var data *githubtest.Dataset
	b.server.Update(func(d *githubtest.Dataset) { data = d.Clone() })
	return data
}

// TestForbiddenAtFirstContact: a pass reports that there are repositories that the credential may not read, with
// GitHub's message.
func TestForbiddenAtFirstContact(t *testing.T) {
	t.Parallel()
	for api, text := range map[github.API]string{
		github.APIGraphQL: "2 repositories of the listing are forbidden to the credential: Discover: forbidden " +
			"(status 200): Resource protected by organization SAML enforcement.",
		github.APIREST: "1 repositories of the listing are forbidden to the credential: /orgs/{org}/repos: " +
			"forbidden (status 200): X-GitHub-SSO: partial-results; organizations=",
	} {
		t.Run(string(api), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, api, newDataset("one", "two", "three"), enableBackfill)
			b.forbidRepos("one", "two")
			for range 2 {
				result := b.pass()
				require.Equal(t, PassPartial, result.Status)
				require.ErrorContains(t, result.Incomplete, text)
				require.ErrorAs(t, result.Incomplete, new(*transport.ForbiddenError))
				require.Empty(t, result.Failures)
				require.Equal(t, 1, result.Repositories)
				b.clock.Advance(interval)
			}
			b.allowRepos()
			require.Equal(t, PassSuccess, b.pass().Status)
			require.Len(t, b.coverage().Repos, 3)
		})
	}
}

// TestGoneAfterTwoPasses: one pass that does not find a repository ends no series and covers nothing; a transfer, which
// GitHub reports, and a filter count at once.
func TestGoneAfterTwoPasses(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two", "three", "four", "five", "six", "fork")
		b := newBench(t, api, data, enableBackfill)
		b.pass()
		b.fillGaps()
		edge := b.coverage().Edge
		lost := *data.Repo("one")
		b.server.Update(func(d *githubtest.Dataset) {
			d.RemoveRepo("one")
			d.Repo("two").TransferredTo = "elsewhere"
		})
		b.clock.Advance(interval)
		result := b.pass()
		require.Equal(t, PassSuccess, result.Status)
		require.Empty(t, result.Failures)
		require.Equal(t, []string{"two"}, b.goneRepos())
		cov := b.coverage()
		require.Len(t, cov.Gaps(), activity.NumStreams)
		require.Equal(t, edge, cov.OldestUncovered())
		require.Equal(t, activity.EveryStream, b.collector.PendingStreams(b.repoID("one")))

		at := b.clock.Advance(interval).Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			d.Repos = append(d.Repos, lost)
			addCommit(d, "one", at)
		})
		require.Equal(t, 1, b.pass().Events, "it was there")
		b.fillGaps()
		b.requireNoGaps()

		b.server.Update(func(d *githubtest.Dataset) { d.RemoveRepo("one") })
		for _, gone := range [][]string{{"two"}, {"one", "two"}} {
			b.clock.Advance(interval)
			b.pass()
			require.Equal(t, gone, b.goneRepos())
		}
		filter, err := NewFilter([]string{"*"}, []string{"six"}, false, false)
		require.NoError(t, err)
		b.collector.settings.Filter = filter
		b.clock.Advance(interval)
		require.Zero(t, b.pass().VanishedRepositories)
		require.Equal(t, []string{"one", "six", "two"}, b.goneRepos())
	})
}

// TestUnseenIsForgottenAfterPassesOfOthers: a repository that a pass did not find is not gone when the next pass of the
// same replica does not find it, and another replica has made passes between.
func TestUnseenIsForgottenAfterPassesOfOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, newDataset("one", "two"), enableBackfill)
	other := New(b.collector.settings, b.tallies)
	b.pass()
	fault := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: func(r githubtest.RequestInfo) bool {
		return isRequest("Discover")(r) || isRequest("Lookup")(r)
	}}, Effect: githubtest.FieldError("**.nodes.0", "NOT_FOUND", "Could not resolve.")})
	b.clock.Advance(interval)
	b.pass()
	require.Len(t, b.collector.unseen, 1)
	fault.Disarm()
	b.clock.Advance(interval)
	_, err := other.Pass(t.Context(), 2)
	require.NoError(t, err)
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: func(r githubtest.RequestInfo) bool {
		return isRequest("Discover")(r) || isRequest("Lookup")(r)
	}}, Effect: githubtest.FieldError("**.nodes.0", "NOT_FOUND", "Could not resolve.")})
	b.clock.Advance(interval)
	_, err = b.collector.Pass(t.Context(), 3)
	require.NoError(t, err)
	require.Empty(t, b.goneRepos())
	require.Len(t, b.collector.unseen, 1)
}

// TestMostVanish: whatever makes most of the repositories vanish at once, a second pass must miss them before any
// series ends.
func TestMostVanish(t *testing.T) {
	t.Parallel()
	names := []string{"one", "two", "three", "four", "five"}
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, vanish := range map[string]func(b *bench){
			"not found": func(b *bench) {
				b.server.Update(func(d *githubtest.Dataset) {
					for _, name := range names[:3] {
						d.RemoveRepo(name)
					}
				})
			},
			"transferred": func(b *bench) {
				b.server.Update(func(d *githubtest.Dataset) {
					for _, name := range names[:3] {
						d.Repo(name).TransferredTo = "elsewhere"
					}
				})
			},
			"filtered": func(b *bench) {
				filter, err := NewFilter([]string{"f*"}, nil, false, false)
				require.NoError(b.t, err)
				b.collector.settings.Filter = filter
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, api, newDataset(names...), enableBackfill)
				b.pass()
				b.fillGaps()
				vanish(b)
				b.clock.Advance(interval)
				result := b.pass()
				require.Equal(t, 3, result.VanishedRepositories)
				require.Equal(t, PassSuccess, result.Status)
				require.Empty(t, b.goneRepos())
				b.clock.Advance(interval)
				result = b.pass()
				require.Zero(t, result.VanishedRepositories)
				require.Len(t, b.goneRepos(), 3)
			})
		}
	})
}
