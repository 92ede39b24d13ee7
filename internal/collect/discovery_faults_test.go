// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

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

// TestRepositoriesMoveDuringAPass: whatever happens to some repositories between two pages of the listing, no other one
// leaves, for no moment; those that left have left when two passes did not find them; and everything is recorded once.
func TestRepositoriesMoveDuringAPass(t *testing.T) {
	t.Parallel()
	const repositories = 210
	moved := everyFortieth(repositories)
	each := func(change func(d *githubtest.Dataset, name string)) func(*githubtest.Dataset) {
		return func(d *githubtest.Dataset) {
			for _, name := range moved {
				change(d, name)
			}
		}
	}
	for name, test := range map[string]struct {
		change func(*githubtest.Dataset)
		leave  bool
		come   int
	}{
		"appear": {change: each(func(d *githubtest.Dataset, name string) {
			d.Repos = append(d.Repos, githubtest.Repo{Name: "new-" + name, DefaultBranch: "main", CreatedAt: noon})
		}), come: len(moved)},
		"transferred in": {change: each(func(d *githubtest.Dataset, name string) {
			d.Repos = append(
				d.Repos, githubtest.Repo{Name: "in-" + name, DefaultBranch: "main", CreatedAt: d.Repo(name).CreatedAt},
			)
		}), come: len(moved)},
		"vanish": {change: each((*githubtest.Dataset).RemoveRepo), leave: true},
		"transferred away": {
			change: each(func(d *githubtest.Dataset, name string) { d.Repo(name).TransferredTo = "elsewhere" }),
			leave:  true,
		},
		"made private": {
			change: each(func(d *githubtest.Dataset, name string) { d.Repo(name).Private = true }), leave: true,
		},
		"renamed": {change: each(func(d *githubtest.Dataset, name string) { d.Rename(name, "moved-"+name) })},
	} {
		for _, known := range []bool{false, true} { // where the pages begin
			for n := 1; n <= 3; n++ {
				eachAPI(t, func(t *testing.T, api github.API) {
					t.Run(fmt.Sprintf("%s/known=%v/request %d", name, known, n), func(t *testing.T) {
						t.Parallel()
						b := newBench(t, api, oldOrg(repositories))
						b.server.AddCredential(
							githubtest.Credential{Token: githubtest.DefaultToken, Login: "l", PublicOnly: true},
						)
						b.pass()
						require.Len(t, b.coverage().Repos, repositories)
						if !known {
							b.collector.settings.Source = b.client(api)
						}
						at := b.clock.Advance(interval).Add(-time.Minute)
						b.during(api, n, func(d *githubtest.Dataset) {
							test.change(d)
							for i := 1; i < repositories; i += 40 { // what is next to them has a commit
								commit(d, fmt.Sprintf("repo-%04d", i), at)
							}
						})
						left := []string{}
						if test.leave {
							left = moved
						}
						requireOnlyOf(t, left, b.pass().Failures)
						require.Subset(t, left, b.gone())
						b.clock.Advance(interval)
						sum := b.pass()
						require.Equal(t, PassSuccess, sum.Status)
						require.Subset(t, left, b.gone())
						require.Zero(t, sum.VanishedRepositories)
						b.clock.Advance(interval)
						sum = b.pass() // the second one that does not find them
						require.Equal(t, PassSuccess, sum.Status)
						require.Equal(t, left, b.gone())
						require.Equal(t, repositories-len(left)+test.come, sum.Repositories)
						require.Len(t, b.coverage().Repos, repositories+test.come)
						for i := 1; i < repositories; i += 40 {
							require.Equal(
								t, uint64(2), b.metrics().of(fmt.Sprintf("repo-%04d", i), activity.KindCommit),
							)
						}
					})
				})
			}
		}
	}
}

// TestLookupFails: in each way, what the listing did not show is neither gone nor covered, the others are read, and the
// next pass that can finds out.
func TestLookupFails(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, fault := range theFaults {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, api, dataset("one", "two", "three"), handover)
				b.pass()
				b.fill()
				edge := b.coverage().Edge
				at := b.clock.Advance(interval).Add(-time.Minute)
				b.server.Update(func(d *githubtest.Dataset) {
					d.RemoveRepo("two")
					commit(d, "one", at)
				})
				armed := b.server.InjectFault(
					githubtest.Fault{Match: githubtest.Match{Func: asks(lookupQuestion[api])}, Effect: fault.do},
				)
				sum := b.pass()
				require.Positive(t, armed.Hits())
				if tellsAllTheSame(api, name) {
					require.Equal(t, PassSuccess, sum.Status)
					require.Empty(t, b.gone())
					b.clock.Advance(interval)
					require.Equal(t, PassSuccess, b.pass().Status)
					require.Equal(t, []string{"two"}, b.gone())
					return
				}
				require.Equal(t, PassPartial, sum.Status)
				require.GreaterOrEqual(t, len(sum.Failures), activity.NumStreams)
				limited := fault.want(&github.LimitError{})
				require.Equal(t, limited, !sum.RetryAt.IsZero())
				for i := range sum.Failures {
					require.True(t, fault.want(sum.Failures[i].Err), "%T: %v", sum.Failures[i].Err, sum.Failures[i].Err)
					require.True(t, limited || sum.Failures[i].Repo == "two")
					require.True(t, sum.Failures[i].AllFailed)
				}
				require.Empty(t, b.gone())
				cov := b.coverage()
				missing := 0
				for _, gap := range cov.Gaps() {
					require.Equal(t, edge, gap.Window.Start)
					if gap.Name == "two" {
						missing++
					}
				}
				require.Equal(t, activity.NumStreams, missing)
				b.server.ClearFaults()
				b.clock.Advance(2 * time.Hour)
				b.pass()
				require.Empty(t, b.gone())
				b.clock.Advance(interval)
				b.pass()
				require.Equal(t, []string{"two"}, b.gone())
				b.fill()
				require.Equal(t, uint64(1), b.metrics().of("one", activity.KindCommit))
			})
		}
	})
}
