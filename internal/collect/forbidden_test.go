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
)

// forbid forbids repositories from now on.
func (b *bench) forbid(names ...string) {
	b.server.Update(func(d *githubtest.Dataset) {
		for _, name := range names {
			d.Repo(name).Forbidden = []githubtest.Period{{Start: b.clock.Now()}}
		}
	})
}

func (b *bench) allow() {
	b.server.Update(func(d *githubtest.Dataset) {
		for i := range d.Repos {
			d.Repos[i].Forbidden = nil
		}
	})
}

// TestForbiddenIsNotGone: what the credential may not see for a while is missing, and is looked up ever more rarely;
// nothing ends, and afterwards nothing is missing.
func TestForbiddenIsNotGone(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("all=%v", all), func(t *testing.T) {
				t.Parallel()
				names := []string{"one", "two", "three", "four"}
				data := dataset(names...)
				for _, name := range names {
					commit(data, name, noon.Add(-time.Hour))
				}
				b := newBench(t, api, data, handover)
				b.pass()
				b.fill()
				edge := b.coverage().Edge
				forbidden := names[:3]
				if all {
					forbidden = names
				}
				b.forbid(forbidden...)
				b.server.ResetRequests()
				for range 12 {
					at := b.clock.Advance(interval).Add(-time.Minute)
					b.server.Update(func(d *githubtest.Dataset) {
						for _, name := range names {
							commit(d, name, at)
						}
						*data = *d
					})
					sum := b.pass()
					require.Equal(t, PassPartial, sum.Status)
					require.Zero(t, sum.VanishedRepositories)
					require.Len(t, sum.Failures, len(forbidden)*activity.NumStreams)
					for _, f := range sum.Failures {
						require.True(t, f.PresenceUnknown)
						require.ErrorAs(t, f.Err, new(*github.ForbiddenError))
						require.ErrorContains(t, f.Err, "organization SAML enforcement")
					}
					require.Equal(
						t, activity.EveryStream, b.collector.PendingStreams(b.idOf("one")), "no job can read it",
					)
				}
				require.Empty(t, b.gone())
				lookups := b.server.CountRequests(asks(lookupQuestion[api]))
				require.LessOrEqual(t, lookups, 4*len(forbidden), "in an hour")
				cov := b.coverage()
				require.Len(t, cov.Gaps(), len(forbidden)*activity.NumStreams)
				require.Equal(t, edge, cov.OldestUncovered())
				b.allow()
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				require.Zero(t, b.collector.PendingStreams(b.idOf("one")))
				b.fill()
				b.requireNoGaps()
				*data = *dataOf(b)
				requireAllRecorded(t, b, data)
			})
		}
	})
}

// dataOf is the data that the server has.
func dataOf(b *bench) *githubtest.Dataset {
	var data *githubtest.Dataset
	b.server.Update(func(d *githubtest.Dataset) { data = d.Clone() })
	return data
}

// TestForbiddenAtFirstContact: the pass says that there are repositories that the credential may not see, with GitHub's
// text.
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
			b := newBench(t, api, dataset("one", "two", "three"), handover)
			b.forbid("one", "two")
			for range 2 {
				sum := b.pass()
				require.Equal(t, PassPartial, sum.Status)
				require.ErrorContains(t, sum.Incomplete, text)
				require.ErrorAs(t, sum.Incomplete, new(*github.ForbiddenError))
				require.Empty(t, sum.Failures)
				require.Equal(t, 1, sum.Repositories)
				b.clock.Advance(interval)
			}
			b.allow()
			require.Equal(t, PassSuccess, b.pass().Status)
			require.Len(t, b.coverage().Repos, 3)
		})
	}
}

// TestGoneAtTheSecondLook: one pass that does not find a repository ends nothing and claims nothing; a transfer, which
// GitHub reports, and a filter count at once.
func TestGoneAtTheSecondLook(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two", "three", "four", "five", "six", "fork")
		b := newBench(t, api, data, handover)
		b.pass()
		b.fill()
		edge := b.coverage().Edge
		lost := *data.Repo("one")
		b.server.Update(func(d *githubtest.Dataset) {
			d.RemoveRepo("one")
			d.Repo("two").TransferredTo = "elsewhere"
		})
		b.clock.Advance(interval)
		sum := b.pass()
		require.Equal(t, PassSuccess, sum.Status)
		require.Empty(t, sum.Failures)
		require.Equal(t, []string{"two"}, b.gone())
		cov := b.coverage()
		require.Len(t, cov.Gaps(), activity.NumStreams)
		require.Equal(t, edge, cov.OldestUncovered())
		require.Equal(t, activity.EveryStream, b.collector.PendingStreams(b.idOf("one")))

		at := b.clock.Advance(interval).Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			d.Repos = append(d.Repos, lost)
			commit(d, "one", at)
		})
		require.Equal(t, 1, b.pass().Events, "it was there")
		b.fill()
		b.requireNoGaps()

		b.server.Update(func(d *githubtest.Dataset) { d.RemoveRepo("one") })
		for _, gone := range [][]string{{"two"}, {"one", "two"}} {
			b.clock.Advance(interval)
			b.pass()
			require.Equal(t, gone, b.gone())
		}
		filter, err := NewFilter([]string{"*"}, []string{"six"}, false, false)
		require.NoError(t, err)
		b.collector.settings.Filter = filter
		b.clock.Advance(interval)
		require.Zero(t, b.pass().VanishedRepositories)
		require.Equal(t, []string{"one", "six", "two"}, b.gone())
	})
}

// TestASuspicionOfLongAgo is none: passes of another replica have come between.
func TestASuspicionOfLongAgo(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, dataset("one", "two"), handover)
	other := New(b.collector.settings, b.tallies)
	b.pass()
	fault := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: func(r githubtest.RequestInfo) bool {
		return asks("Discover")(r) || asks("Lookup")(r)
	}}, Effect: githubtest.FieldError("**.nodes.0", "NOT_FOUND", "Could not resolve.")})
	b.clock.Advance(interval)
	b.pass()
	require.Len(t, b.collector.unseen, 1)
	fault.Disarm()
	b.clock.Advance(interval)
	_, err := other.Pass(t.Context(), 2)
	require.NoError(t, err)
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Func: func(r githubtest.RequestInfo) bool {
		return asks("Discover")(r) || asks("Lookup")(r)
	}}, Effect: githubtest.FieldError("**.nodes.0", "NOT_FOUND", "Could not resolve.")})
	b.clock.Advance(interval)
	_, err = b.collector.Pass(t.Context(), 3)
	require.NoError(t, err)
	require.Empty(t, b.gone())
	require.Len(t, b.collector.unseen, 1)
}

// TestMostVanish: whatever makes most of the repositories vanish at once, a second look comes before anything ends.
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
				b := newBench(t, api, dataset(names...), handover)
				b.pass()
				b.fill()
				vanish(b)
				b.clock.Advance(interval)
				sum := b.pass()
				require.Equal(t, 3, sum.VanishedRepositories)
				require.Equal(t, PassSuccess, sum.Status)
				require.Empty(t, b.gone())
				b.clock.Advance(interval)
				sum = b.pass()
				require.Zero(t, sum.VanishedRepositories)
				require.Len(t, b.gone(), 3)
			})
		}
	})
}
