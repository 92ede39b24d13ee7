// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"errors"
	"fmt"
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

// overlap counts the requests that a server has at once, and holds them until a number of them is there.
type overlap struct {
	mu    sync.Mutex
	want  int
	there int
	most  int
	met   chan struct{}
}

// newOverlap counts the requests for pages of a listing, and holds them until so many are there at once. The first page
// of REST, which returns their number, is let through.
func newOverlap(b *bench, want int) *overlap {
	o := &overlap{want: want, met: make(chan struct{})}
	b.server.OnRequest(func(r githubtest.RequestInfo) {
		if (r.Operation != "Discover" && r.Route != orgReposRoute) || strings.Contains(r.Query, "page=1&") {
			return
		}
		o.add(1)
		defer o.add(-1)
		select {
		case <-o.met:
		case <-b.t.Context().Done():
		}
	})
	return o
}

func (o *overlap) add(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.there += n
	o.most = max(o.most, o.there)
	if o.there == o.want {
		o.want = -1
		close(o.met)
	}
}

// TestPagesAreReadTogether, four at once and never more, and handed out one by one; GraphQL does so from the second
// time on.
func TestPagesAreReadTogether(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, many(1000))
		_, err := b.discover()
		require.NoError(t, err)
		b.server.ResetRequests()
		o := newOverlap(b, 4)
		var handed sync.Mutex
		seen := make(map[int64]int)
		require.NoError(t, b.client.Discover(t.Context(), org, func(page []activity.Repository) error {
			require.True(t, handed.TryLock())
			defer handed.Unlock()
			for _, r := range page {
				seen[r.ID]++
			}
			return nil
		}))
		require.Equal(t, 4, o.most)
		require.Equal(t, 10, b.requests(discoverQuery(api)), "as many as one after the other")
		require.Len(t, seen, 1000)
		for id, times := range seen {
			require.Equal(t, 1, times, id)
		}
	})
}

// TestTheFirstListingIsReadInOrder: the starts of its pages are not cached yet.
func TestTheFirstListingIsReadInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(350))
	o := newOverlap(b, 1)
	_, err := b.discover()
	require.NoError(t, err)
	require.Equal(t, 1, o.most)
	require.Equal(t, 4, b.requests("Discover"))
}

// TestALimitEndsAllRanges: after it only what was under way is asked, and the ranges are good again when it is over.
func TestALimitEndsAllRanges(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, many(1200))
		_, err := b.discover()
		require.NoError(t, err)
		b.server.ResetRequests()
		fault := b.server.InjectFault(githubtest.Fault{
			Match: matching(discoverQuery(api)), Skip: 1,
			Effect: githubtest.SecondaryLimit(403, time.Minute),
		})
		_, err = b.discover()
		require.True(t, is[*transport.LimitError](err), "%T: %v", err, err)
		require.LessOrEqual(t, b.requests(discoverQuery(api)), 1+4)
		fault.Disarm()
		b.advance(2 * time.Minute)
		b.seen = nil // the server may still handle abandoned requests
		found, err := b.discover()
		require.NoError(t, err)
		require.Len(t, found, 1200)
		require.Len(t, b.seen, 12)
	})
}

// TestAnErrorOfTheCallerEndsAllRanges and comes back as it is.
func TestAnErrorOfTheCallerEndsAllRanges(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, many(1200))
		_, err := b.discover()
		require.NoError(t, err)
		b.server.ResetRequests()
		own := errors.New("enough")
		require.Equal(t, own, b.client.Discover(t.Context(), org, func([]activity.Repository) error { return own }))
		require.LessOrEqual(t, b.requests(discoverQuery(api)), 8)
	})
}

// TestARefusedCursorIsForgotten: the listing is read from the beginning, at once, and with ranges the next time.
func TestARefusedCursorIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(450))
	_, err := b.discover()
	require.NoError(t, err)
	b.server.ResetRequests()
	fault := b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{
			Operation: "Discover",
			Func:      func(r githubtest.RequestInfo) bool { return r.Variables["after"] != nil },
		}, Times: 1,
		Effect: githubtest.FieldError("organization.repositories", "INVALID_CURSOR_ARGUMENTS",
			"`x` does not appear to be a valid cursor."),
	})
	found, err := b.discover()
	require.NoError(t, err)
	require.Equal(t, 1, fault.Hits())
	require.Len(t, found, 450)
	require.LessOrEqual(t, b.requests("Discover"), 5+5)
	b.server.ResetRequests()
	o := newOverlap(b, 4)
	_, err = b.discover()
	require.NoError(t, err)
	require.Equal(t, 4, o.most)
	require.Equal(t, 5, b.requests("Discover"))
}

// TestPagesThatShrinkTogetherShrinkOnce: what was under way at once is one time-out, as far as the size goes.
func TestPagesThatShrinkTogetherShrinkOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(400))
	_, err := b.discover()
	require.NoError(t, err)
	newOverlap(b, 4)
	fault := b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{
		Operation: "Discover",
		Func: func(r githubtest.RequestInfo) bool {
			return number(r, "first") > 50
		},
	}, Effect: githubtest.GraphQLTimeout(504)})
	b.server.ResetRequests()
	found, err := b.discover()
	require.NoError(t, err)
	require.Len(t, found, 400)
	require.Equal(t, 4, fault.Hits())
	require.Equal(t, 4+8, b.requests("Discover"))
}

// TestRangesFollowTheListing: as repositories come and go, it costs no more pages than it has, but for one time after
// the ranges do not fit any more.
func TestRangesFollowTheListing(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, many(1000))
	pages := func() int {
		b.server.ResetRequests()
		_, err := b.discover()
		require.NoError(t, err)
		return b.requests("Discover")
	}
	require.Equal(t, 10, pages())
	require.Equal(t, 10, pages())
	b.server.Update(func(d *githubtest.Dataset) { // half of them go, all over the listing
		for i := range 500 {
			d.RemoveRepo(fmt.Sprintf("repo-%04d", 2*i))
		}
	})
	require.Equal(t, 10, pages(), "in the ranges of before")
	require.Equal(t, 5, pages(), "from the beginning")
	require.Equal(t, 5, pages())
	b.server.Update(func(d *githubtest.Dataset) { // an old one is transferred here, new ones are created
		d.Repos = append(d.Repos, githubtest.Repo{Name: "old", DefaultBranch: "main", CreatedAt: ago(8990 * time.Hour)})
		for i := range 150 {
			d.Repos = append(d.Repos, githubtest.Repo{
				Name: fmt.Sprint("new-", i), DefaultBranch: "main",
				CreatedAt: ago(time.Duration(i) * time.Minute),
			})
		}
	})
	require.Equal(t, 8, pages(), "one range is too long now")
	require.Equal(t, 7, pages())
	require.Equal(t, 7, pages())
}

// moving is a change of a listing between two of its pages, and the repositories that may be missing in it then.
type moving struct {
	change  func(d *githubtest.Dataset)
	touched func(name string, i int) bool
}

func noRow(string, int) bool { return false }

func evenOnes(_ string, i int) bool { return i%40 == 0 }

func eachEven(d *githubtest.Dataset, change func(r *githubtest.Repo)) {
	for i := 0; i < 350; i += 40 {
		change(d.Repo(fmt.Sprintf("repo-%04d", i)))
	}
}

var movements = map[string]moving{
	"appear": {func(d *githubtest.Dataset) {
		for i := range 20 {
			d.Repos = append(d.Repos, githubtest.Repo{
				Name: fmt.Sprint("new-", i), DefaultBranch: "main",
				CreatedAt: noon,
			})
		}
	}, noRow},
	"transferred in": {func(d *githubtest.Dataset) {
		for i := range 20 {
			d.Repos = append(d.Repos, githubtest.Repo{
				Name: fmt.Sprint("in-", i), DefaultBranch: "main",
				CreatedAt: ago(time.Duration(9000-17*i)*time.Hour - time.Minute),
			})
		}
	}, noRow},
	"vanish": {func(d *githubtest.Dataset) {
		for i := 0; i < 350; i += 40 {
			d.RemoveRepo(fmt.Sprintf("repo-%04d", i))
		}
	}, evenOnes},
	"transferred away": {func(d *githubtest.Dataset) {
		eachEven(d, func(r *githubtest.Repo) { r.TransferredTo = "elsewhere" })
	}, evenOnes},
	"made private": {
		func(d *githubtest.Dataset) { eachEven(d, func(r *githubtest.Repo) { r.Private = true }) },
		evenOnes,
	},
	"renamed": {func(d *githubtest.Dataset) {
		for i := 0; i < 350; i += 40 {
			d.Rename(fmt.Sprintf("repo-%04d", i), fmt.Sprintf("moved-%04d", i))
		}
	}, noRow},
}

// TestRepositoriesMoveBetweenPages of GraphQL: whatever happens to some repositories makes no other one be missed,
// whether the listing is read in order or in ranges. (REST counts pages: what it misses is looked up.)
func TestRepositoriesMoveBetweenPages(t *testing.T) {
	t.Parallel()
	for name, m := range movements {
		for _, ranges := range []bool{false, true} {
			for n := 1; n <= 4; n++ {
				t.Run(fmt.Sprintf("%s/ranges=%v/request %d", name, ranges, n), func(t *testing.T) {
					t.Parallel()
					data := many(350)
					b := newBench(t, github.APIGraphQL, data, func(s *githubtest.Settings, _ *transport.Settings) {
						s.Credentials = []githubtest.Credential{{
							Token: githubtest.DefaultToken, Login: "l",
							PublicOnly: true,
						}}
					})
					before, err := b.discover()
					require.NoError(t, err)
					require.Len(t, before, 350)
					if !ranges {
						requests, err := transport.New(b.settings)
						require.NoError(t, err)
						b.client = github.New(requests, github.Settings{API: b.api})
					}
					b.once("Discover", n, m.change)
					ids := make(map[int64]bool)
					require.NoError(t, b.client.Discover(t.Context(), org, func(page []activity.Repository) error {
						for _, r := range page {
							ids[r.ID] = true
						}
						return nil
					}))
					for i := range 350 {
						name := fmt.Sprintf("repo-%04d", i)
						require.True(t, ids[before[name].ID] || m.touched(name, i), name)
					}
				})
			}
		}
	}
}
