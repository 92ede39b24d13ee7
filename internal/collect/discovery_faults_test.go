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
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestRepositoriesMoveDuringAPass: whatever happens to some repositories between two pages of the listing, no other one
// is gone, at no time; those that left are gone when two passes did not find them; and everything is recorded once.
func TestRepositoriesMoveDuringAPass(t *testing.T) {
	t.Parallel()
	const repositories = 210
	moved := fortiethNames(repositories)
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
						b := newBench(t, api, agedOrg(repositories))
						b.server.AddCredential(
							githubtest.Credential{Token: githubtest.DefaultToken, Login: "l", PublicOnly: true},
						)
						b.pass()
						require.Len(t, b.coverage().Repos, repositories)
						if !known {
							b.collector.settings.Source = b.newClient(api)
						}
						at := b.clock.Advance(interval).Add(-time.Minute)
						b.changeDuringListing(api, n, func(d *githubtest.Dataset) {
							test.change(d)
							for i := 1; i < repositories; i += 40 { // what is next to them has a commit
								addCommit(d, fmt.Sprintf("repo-%04d", i), at)
							}
						})
						left := []string{}
						if test.leave {
							left = moved
						}
						requireFailuresOf(t, left, b.pass().Failures)
						require.Subset(t, left, b.goneRepos())
						b.clock.Advance(interval)
						result := b.pass()
						require.Equal(t, PassSuccess, result.Status)
						require.Subset(t, left, b.goneRepos())
						require.Zero(t, result.VanishedRepositories)
						b.clock.Advance(interval)
						result = b.pass() // the second one that does not find them
						require.Equal(t, PassSuccess, result.Status)
						require.Equal(t, left, b.goneRepos())
						require.Equal(t, repositories-len(left)+test.come, result.Repositories)
						require.Len(t, b.coverage().Repos, repositories+test.come)
						for i := 1; i < repositories; i += 40 {
							require.Equal(
								t, uint64(2), b.metrics().total(fmt.Sprintf("repo-%04d", i), activity.KindCommit),
							)
						}
					})
				})
			}
		}
	}
}

// TestLookupFails: whatever error a lookup has, a repository that the listing did not show is neither gone nor covered,
// the others are read, and the next pass whose lookup succeeds decides.
func TestLookupFails(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, fault := range httpFaults {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := newBench(t, api, newDataset("one", "two", "three"), enableBackfill)
				b.pass()
				b.fillGaps()
				edge := b.coverage().Edge
				at := b.clock.Advance(interval).Add(-time.Minute)
				b.server.Update(func(d *githubtest.Dataset) {
					d.RemoveRepo("two")
					addCommit(d, "one", at)
				})
				armed := b.server.InjectFault(
					githubtest.Fault{Match: githubtest.Match{Func: isRequest(lookupRequest[api])}, Effect: fault.do},
				)
				result := b.pass()
				require.Positive(t, armed.Hits())
				if isGoneDespiteFault(api, name) {
					require.Equal(t, PassSuccess, result.Status)
					require.Empty(t, b.goneRepos())
					b.clock.Advance(interval)
					require.Equal(t, PassSuccess, b.pass().Status)
					require.Equal(t, []string{"two"}, b.goneRepos())
					return
				}
				require.Equal(t, PassPartial, result.Status)
				require.GreaterOrEqual(t, len(result.Failures), activity.NumStreams)
				limited := fault.want(&transport.LimitError{})
				require.Equal(t, limited, !result.RetryAt.IsZero())
				for i := range result.Failures {
					require.True(t, fault.want(result.Failures[i].Err), "%T: %v", result.Failures[i].Err,
						result.Failures[i].Err)
					require.True(t, limited || result.Failures[i].Repo == "two")
					require.True(t, result.Failures[i].AllFailed)
				}
				require.Empty(t, b.goneRepos())
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
				require.Empty(t, b.goneRepos())
				b.clock.Advance(interval)
				b.pass()
				require.Equal(t, []string{"two"}, b.goneRepos())
				b.fillGaps()
				require.Equal(t, uint64(1), b.metrics().total("one", activity.KindCommit))
			})
		}
	})
}
