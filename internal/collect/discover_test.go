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
)

// discoverQuestion is what repositories are listed with.
var discoverQuestion = map[github.API]string{github.APIGraphQL: "Discover", github.APIREST: "/orgs/{org}/repos"}

// lookupQuestion is what a repository that a listing does not show is asked for with.
var lookupQuestion = map[github.API]string{github.APIGraphQL: "Lookup", github.APIREST: "/repos/{owner}/{repo}"}

func asks(question string) func(githubtest.RequestInfo) bool {
	return func(r githubtest.RequestInfo) bool { return r.Route == question || r.Operation == question }
}

// oldOrg has repositories of different ages, each fortieth and the one after it with a commit.
func oldOrg(n int) *githubtest.Dataset {
	d := dataset()
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
			commit(d, name, noon.Add(-time.Hour))
		}
	}
	return d
}

// gone are the names of the repositories that have left.
func (b *bench) gone() []string {
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

// during changes the data when the n-th page of the listing is asked for; pages that are asked for at the same time
// come after it.
func (b *bench) during(api github.API, n int, change func(*githubtest.Dataset)) {
	var mu sync.Mutex
	count := 0
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if !asks(discoverQuestion[api])(r) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if count++; count == n {
			b.server.Update(change)
		}
	})
}

func everyFortieth(n int) []string {
	var names []string
	for i := 0; i < n; i += 40 {
		names = append(names, fmt.Sprintf("repo-%04d", i))
	}
	return names
}

// requireOnlyOf holds failures to those of repositories that left after they were listed and before they were read.
func requireOnlyOf(t *testing.T, left []string, failures []Failure) {
	t.Helper()
	for _, f := range failures {
		require.Contains(t, left, f.Repo)
		require.ErrorAs(t, f.Err, new(*github.NotFoundError))
	}
}

// TestRowsShift: what a listing by page numbers skips because others were deleted is looked up, one request each, and
// is read in the same pass.
func TestRowsShift(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIREST, oldOrg(250))
	b.pass()
	at := b.clock.Advance(interval).Add(-time.Minute)
	var once sync.Once
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if !asks(discoverQuestion[github.APIREST])(r) || strings.Contains(r.Query, "page=1&") {
			return
		}
		once.Do(func() {
			b.server.Update(func(d *githubtest.Dataset) {
				for i := range 5 {
					d.RemoveRepo(fmt.Sprintf("repo-%04d", i))
				}
				commit(d, "repo-0102", at)
			})
		})
	})
	b.server.ResetRequests()
	sum := b.pass()
	requireOnlyOf(t, []string{"repo-0000", "repo-0001", "repo-0002", "repo-0003", "repo-0004"}, sum.Failures)
	require.Equal(t, 1, sum.Events)
	require.Equal(t, 250, sum.Repositories, "the five that were deleted are on the first page")
	require.Equal(
		t, 5, b.server.CountRequests(asks(lookupQuestion[github.APIREST])), "those that moved to the first page",
	)
	require.Empty(t, b.gone())
	b.clock.Advance(interval)
	b.pass()
	require.Empty(t, b.gone(), "one pass alone did not find them")
	b.clock.Advance(interval)
	b.pass()
	require.Len(t, b.gone(), 5)
}

// TestTwoLookupsForWhatIsGone: it is gone when two passes in a row did not find it, and is not looked up after that.
func TestTwoLookupsForWhatIsGone(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for _, restarted := range []bool{false, true} {
			b := newBench(t, api, dataset("one", "two", "three"))
			b.pass()
			b.server.Update(func(d *githubtest.Dataset) { d.RemoveRepo("two") })
			question := lookupQuestion[api]
			if restarted { // the node ids are not known any more
				b.collector = New(b.collector.settings, b.tallies)
				question = lookupQuestion[github.APIREST]
			}
			b.server.ResetRequests()
			for _, gone := range [][]string{{}, {"two"}, {"two"}, {"two"}} {
				b.clock.Advance(interval)
				require.Equal(t, PassSuccess, b.pass().Status)
				require.Equal(t, gone, b.gone())
			}
			require.Equal(t, 2, b.server.CountRequests(asks(question)))
		}
	})
}

var brokenNode = githubtest.FieldError(
	"organization.repositories.nodes.1", "", "Something went wrong while executing your query.",
)

// TestNullNodeCostsOnlyItsRepository: it is looked up, and read like the others.
func TestNullNodeCostsOnlyItsRepository(t *testing.T) {
	t.Parallel()
	data := dataset("one", "two", "three")
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Operation: "Discover"}, Effect: brokenNode})
	at := b.clock.Advance(interval).Add(-time.Minute)
	b.server.Update(func(d *githubtest.Dataset) {
		for _, repo := range []string{"one", "two", "three"} {
			commit(d, repo, at)
		}
		*data = *d
	})
	b.server.ResetRequests()
	sum := b.pass()
	require.Equal(t, PassSuccess, sum.Status)
	require.Equal(t, 3, sum.Events)
	require.Equal(t, 1, b.server.CountRequests(asks("Discover")))
	require.Equal(t, 1, b.server.CountRequests(asks("Lookup")))
	require.Empty(t, b.gone())
}

// TestNullNodeThatNoRequestFinds costs that repository alone: it neither leaves nor is taken for read, and heals.
func TestNullNodeThatNoRequestFinds(t *testing.T) {
	t.Parallel()
	for _, handed := range []bool{false, true} {
		data := dataset("one", "two", "three")
		b := newBench(t, github.APIGraphQL, data, func(s *Settings) { s.BackfillEnabled = handed })
		b.pass()
		b.fill()
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
					commit(d, repo, at)
					comment(d, repo, 1, at)
				}
				*data = *d
			})
			sum := b.pass()
			require.Equal(t, PassPartial, sum.Status)
			require.Equal(t, events, sum.Events)
			require.Len(t, sum.Failures, activity.NumStreams)
			require.NoError(t, sum.Incomplete, "it is known which one it was")
		}
		require.Empty(t, b.gone())
		cov := b.coverage()
		require.Len(t, cov.Gaps(), activity.NumStreams)
		for _, gap := range cov.Gaps() {
			require.Equal(t, activity.Window{Start: edge, End: b.clock.Now()}, gap.Window)
		}
		b.server.ClearFaults()
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		b.fill()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		requireAllRecorded(t, b, data)
	}
}

// TestNullNodeOfNewRepository: the pass is partial, and a later one finds the repository when it is listed.
func TestNullNodeOfNewRepository(t *testing.T) {
	t.Parallel()
	data := dataset("one", "three")
	commit(data, "one", noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.clock.Advance(interval)
	b.server.Update(func(d *githubtest.Dataset) {
		d.Repos = append(d.Repos, githubtest.Repo{Name: "two", DefaultBranch: "main", CreatedAt: noon})
		commit(d, "two", noon.Add(time.Minute))
	})
	b.server.InjectFault(
		githubtest.Fault{
			Match:  githubtest.Match{Operation: "Discover"},
			Effect: githubtest.NullAt("organization.repositories.nodes.2"),
		},
	)
	sum := b.pass()
	require.Equal(t, PassPartial, sum.Status)
	require.Empty(t, sum.Failures)
	require.ErrorAs(t, sum.Incomplete, new(*github.IncompleteError))
	require.Equal(t, 2, sum.Repositories)
	b.server.ClearFaults()
	b.clock.Advance(interval)
	require.Equal(t, PassSuccess, b.pass().Status)
	require.Equal(t, uint64(1), b.metrics().of("two", activity.KindCommit))
}

// tellsAllTheSame reports whether a fault leaves it clear that a repository is gone: the status of the answer says it,
// and there are no pages.
func tellsAllTheSame(api github.API, fault string) bool {
	return fault == "endless pages" || api == github.APIREST && slices.Contains(
		[]string{"404", "410", "451", "truncated JSON"}, fault,
	)
}

// TestManyVanish: finding that out is bounded in each pass, and comes to its end.
func TestManyVanish(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset()
		for i := range 600 {
			data.Repos = append(data.Repos, githubtest.Repo{
				Name: fmt.Sprintf("repo-%04d", i), DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, 0),
				Empty: true,
			})
		}
		b := newBench(t, api, data)
		b.pass()
		b.server.Update(func(d *githubtest.Dataset) { d.Repos = d.Repos[:50] })
		want := map[github.API][]int{github.APIGraphQL: {0, 550}, github.APIREST: {0, 200, 200, 400, 400, 550}}[api]
		for i, gone := range want {
			b.clock.Advance(interval)
			b.server.ResetRequests()
			sum := b.pass()
			require.Len(t, b.gone(), gone)
			require.LessOrEqual(t, b.server.CountRequests(asks(lookupQuestion[api])), 200)
			told := api == github.APIGraphQL || i >= len(want)-2 // what is there of all of them
			require.Equal(t, told, sum.Status == PassSuccess)
			require.Equal(t, i == 0 && told, sum.VanishedRepositories == 550)
		}
	})
}

// TestEverythingVanishesWithAHole: neither a hole in the listing nor answers by id make an organization of which
// nothing is left to be seen lose everything.
func TestEverythingVanishesWithAHole(t *testing.T) {
	t.Parallel()
	data := dataset("one", "two")
	commit(data, "one", noon.Add(-time.Hour))
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
	require.Empty(t, b.gone())
}

// TestNodeIDsFollow the repositories that are there: they are all that is kept of a discovery.
func TestNodeIDsFollow(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, dataset("one", "two", "fork"))
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
