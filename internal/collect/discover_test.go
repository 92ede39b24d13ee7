// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// discoverRequest is the route or the operation that lists the repositories.
var discoverRequest = map[github.API]string{github.APIGraphQL: "Discover", github.APIREST: "/orgs/{org}/repos"}

// lookupRequest is the route or the operation that looks up a repository by its id.
var lookupRequest = map[github.API]string{github.APIGraphQL: "Lookup", github.APIREST: "/repos/{owner}/{repo}"}

// isRequest returns a function that reports whether a request is for a route or an operation.
func isRequest(question string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Route == question || r.Operation == question }
}

// agedOrg returns an organization of n repositories of different ages, of which each fortieth and the one after it has
// a commit.
func agedOrg(n int) *githubtest.Dataset {
	d := newDataset()
	for i := range n {
		name := fmt.Sprintf("repo-%04d", i)
		d.Repos = append(
			d.Repos,
			githubtest.Repo{
				Name: name, DefaultBranch: "main",
				CreatedAt: noon.AddDate(-1, 0, 0).Add(time.Duration(i) * time.Minute),
			},
		)
		if i%40 < 2 {
			addCommit(d, name, noon.Add(-time.Hour))
		}
	}
	return d
}

// goneRepos returns the names of the repositories that are gone.
func (b *bench) goneRepos() []string {
	b.t.Helper()
	names := []string{}
	for _, r := range b.coverage().Repos {
		if r.IsGone() {
			names = append(names, r.Name)
		}
	}
	slices.Sort(names)
	return names
}

// changeDuringListing changes the data when the n-th page of the listing is requested; pages that are requested at the
// same time get the changed data.
func (b *bench) changeDuringListing(api github.API, n int, change func(*githubtest.Dataset)) {
	var mu sync.Mutex
	count := 0
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if !isRequest(discoverRequest[api])(r) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if count++; count == n {
			b.server.Update(change)
		}
	})
}

// fortiethNames returns the names of each fortieth repository of agedOrg.
func fortiethNames(n int) []string {
	var names []string
	for i := 0; i < n; i += 40 {
		names = append(names, fmt.Sprintf("repo-%04d", i))
	}
	return names
}

// requireFailuresOf requires that all failures are of repositories that left after they were listed and before they
// were read.
func requireFailuresOf(t *testing.T, left []string, failures []Failure) {
	t.Helper()
	for _, f := range failures {
		require.Contains(t, left, f.Repo)
		require.ErrorAs(t, f.Err, new(*transport.NotFoundError))
	}
}

// TestListingShiftsBetweenPages: repositories that a listing by page numbers skips, because others were deleted, are
// looked up with one request each, and are read in the same pass.
func TestListingShiftsBetweenPages(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, agedOrg(205))
	b.pass()
	at := b.clock.Advance(interval).Add(-time.Minute)
	var once sync.Once
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if !isRequest(discoverRequest[github.APIREST])(r) || strings.Contains(r.Query, "page=1&") {
			return
		}
		once.Do(func() {
			b.server.Update(func(d *githubtest.Dataset) {
				for i := range 5 {
					d.RemoveRepo(fmt.Sprintf("repo-%04d", i))
				}
				addCommit(d, "repo-0102", at)
			})
		})
	})
	b.server.ResetRequests()
	result := b.pass()
	requireFailuresOf(t, []string{"repo-0000", "repo-0001", "repo-0002", "repo-0003", "repo-0004"}, result.Failures)
	require.Equal(t, 1, result.Events)
	require.Equal(t, 205, result.Repositories, "the five that were deleted are on the first page")
	require.Equal(
		t, 5+github.MaxCountsREST, b.server.CountRequests(isRequest(lookupRequest[github.APIREST])),
		"those that moved to the first page, and those of which the counts are read",
	)
	require.Empty(t, b.goneRepos())
	b.clock.Advance(interval)
	b.pass()
	require.Empty(t, b.goneRepos(), "one pass alone did not find them")
	b.clock.Advance(interval)
	b.pass()
	require.Len(t, b.goneRepos(), 5)
}

// TestGoneAfterTwoLookups: a repository is gone when two passes in a row did not find it, and is not looked up after
// that.
func TestGoneAfterTwoLookups(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, restarted := range []bool{false, true} {
			b := newBench(t, api, newDataset("one", "two", "three"))
			b.pass()
			b.server.Update(func(d *githubtest.Dataset) { d.RemoveRepo("two") })
			question := lookupRequest[api]
			if restarted { // the node ids are not known any more
				b.collector = New(b.collector.settings, b.tallies)
				question = lookupRequest[github.APIREST]
			}
			b.server.ResetRequests()
			for _, gone := range [][]string{{}, {"two"}, {"two"}, {"two"}} {
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				require.Equal(t, gone, b.goneRepos())
			}
			require.Equal(t, 2, b.server.CountRequests(isRequest(question)))
		}
	})
}

// brokenNode makes GitHub answer null with an error for one repository of the listing.
var brokenNode = githubtest.FieldError(
	"organization.repositories.nodes.1", "", "Something went wrong while executing your query.",
)

// TestNullNodeIsLookedUp: a repository that is null in the listing is looked up, and read like the others.
func TestNullNodeIsLookedUp(t *testing.T) {
	t.Parallel()
	data := newDataset("one", "two", "three")
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Operation: "Discover"}, Effect: brokenNode})
	at := b.clock.Advance(interval).Add(-time.Minute)
	b.server.Update(func(d *githubtest.Dataset) {
		for _, repo := range []string{"one", "two", "three"} {
			addCommit(d, repo, at)
		}
		*data = *d
	})
	b.server.ResetRequests()
	result := b.pass()
	require.Equal(t, PassSuccess, result.Status)
	require.Equal(t, 3, result.Events)
	require.Equal(t, 1, b.server.CountRequests(isRequest("Discover")))
	require.Equal(t, 1, b.server.CountRequests(isRequest("Lookup")))
	require.Empty(t, b.goneRepos())
}

// TestNullNodeWhoseLookupFails: a repository that is null in the listing and whose lookup fails is neither gone nor
// covered, is complete after the fault has ended, and changes no other repository.
func TestNullNodeWhoseLookupFails(t *testing.T) {
	t.Parallel()
	for _, handed := range []bool{false, true} {
		data := newDataset("one", "two", "three")
		b := newBench(t, github.APIGraphQL, data, func(s *Settings) { s.BackfillEnabled = handed })
		b.pass()
		b.fillGaps()
		edge := b.coverage().Edge
		b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Operation: "Discover"}, Effect: brokenNode})
		b.server.InjectFault(
			githubtest.Fault{
				Match:  githubtest.Match{Operation: "Lookup"},
				Effect: githubtest.FieldError("nodes.0", "", "Something went wrong."),
			},
		)
		for _, events := range []int{6, 4, 4} { // of the two others, with the issues that the first comments open
			at := b.clock.Advance(interval).Add(-time.Minute)
			b.server.Update(func(d *githubtest.Dataset) {
				for _, repo := range []string{"one", "two", "three"} {
					addCommit(d, repo, at)
					addComment(d, repo, 1, at)
				}
				*data = *d
			})
			result := b.pass()
			require.Equal(t, PassPartial, result.Status)
			require.Equal(t, events, result.Events)
			require.Len(t, result.Failures, activity.NumStreams)
			require.NoError(t, result.Incomplete, "it is known which one it was")
		}
		require.Empty(t, b.goneRepos())
		cov := b.coverage()
		require.Len(t, cov.Gaps(), activity.NumStreams)
		for _, gap := range cov.Gaps() {
			require.Equal(t, activity.Window{Start: edge, End: b.clock.Now()}, gap.Window)
		}
		b.server.ClearFaults()
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fillGaps()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		requireAllRecorded(t, b, data)
	}
}

// TestNullNodeOfNewRepository: the pass is partial, and a later one finds the repository when it is listed.
func TestNullNodeOfNewRepository(t *testing.T) {
	t.Parallel()
	data := newDataset("one", "three")
	addCommit(data, "one", noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.clock.Advance(interval)
	b.server.Update(func(d *githubtest.Dataset) {
		d.Repos = append(d.Repos, githubtest.Repo{Name: "two", DefaultBranch: "main", CreatedAt: noon})
		addCommit(d, "two", noon.Add(time.Minute))
	})
	b.server.InjectFault(
		githubtest.Fault{
			Match:  githubtest.Match{Operation: "Discover"},
			Effect: githubtest.NullAt("organization.repositories.nodes.2"),
		},
	)
	result := b.pass()
	require.Equal(t, PassPartial, result.Status)
	require.Empty(t, result.Failures)
	require.ErrorAs(t, result.Incomplete, new(*github.IncompleteError))
	require.Equal(t, 2, result.Repositories)
	b.server.ClearFaults()
	b.clock.Advance(interval)
	require.Equal(t, PassSuccess, b.pass().Status)
	require.Equal(t, uint64(1), b.metrics().total("two", activity.KindCommit))
}

// isGoneDespiteFault reports whether responses with a fault still show that a repository is gone: their status does,
// and there are no pages.
func isGoneDespiteFault(api github.API, fault string) bool {
	return fault == "endless pages" || api == github.APIREST && slices.Contains(
		[]string{"404", "410", "451", "truncated JSON"}, fault,
	)
}

// TestManyVanish: the number of lookups in a pass is bounded, and after some passes all repositories that vanished are
// gone.
func TestManyVanish(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset()
		for i := range 600 {
			data.Repos = append(data.Repos, githubtest.Repo{
				Name: fmt.Sprintf("repo-%04d", i), DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0),
				RepoState: githubtest.RepoState{Empty: true},
			})
		}
		b := newBench(t, api, data)
		b.pass()
		b.server.Update(func(d *githubtest.Dataset) { d.Repos = d.Repos[:50] })
		want := map[github.API][]int{github.APIGraphQL: {0, 550}, github.APIREST: {0, 200, 200, 400, 400, 550}}[api]
		for i, gone := range want {
			b.clock.Advance(interval)
			b.server.ResetRequests()
			result := b.pass()
			require.Len(t, b.goneRepos(), gone)
			require.LessOrEqual(t, b.server.CountRequests(isRequest(lookupRequest[api])), 200)
			allResolved := api == github.APIGraphQL || i >= len(want)-2 // every repository was looked up
			require.Equal(t, allResolved, result.Status == PassSuccess)
			require.Equal(t, i == 0 && allResolved, result.VanishedRepositories == 550)
		}
	})
}

// TestNothingIsGoneWhenEverythingVanishes: when the credential sees no repository any more, neither an incomplete
// listing nor the responses to lookups make a repository gone.
func TestNothingIsGoneWhenEverythingVanishes(t *testing.T) {
	t.Parallel()
	data := newDataset("one", "two")
	addCommit(data, "one", noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.server.Update(func(d *githubtest.Dataset) {
		d.Repos = []githubtest.Repo{{Name: "other", DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0)}}
	})
	b.server.InjectFault(
		githubtest.Fault{
			Match:  githubtest.Match{Operation: "Discover"},
			Effect: githubtest.NullAt("organization.repositories.nodes.0"),
		},
	)
	_, err := b.collector.Pass(t.Context(), 1)
	require.ErrorIs(t, err, ErrNoRepositories)
	require.Empty(t, b.goneRepos())
}

// TestNodeIDsOfReadableRepositories: a collector keeps the node ids of the readable repositories between passes, and of
// no other.
func TestNodeIDsOfReadableRepositories(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, newDataset("one", "two", "fork"))
	b.server.Update(func(d *githubtest.Dataset) { d.Repo("fork").Fork = true })
	b.pass()
	require.Len(t, b.collector.nodeIDs, 2)
	b.server.Update(func(d *githubtest.Dataset) { d.RemoveRepo("two") })
	for range 2 {
		b.clock.Advance(interval)
		b.pass()
	}
	one := b.coverage()
	for id := range maps.Keys(b.collector.nodeIDs) {
		require.Equal(t, "one", one.Repos[id].Name)
	}
	require.Len(t, b.collector.nodeIDs, 1)
}
