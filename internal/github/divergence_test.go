// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const compareRoute = "/repos/{owner}/{repo}/compare/{basehead...}"

// requestCounts counts the questions of a reading: queries, comparisons, and listings of commits with REST.
type requestCounts struct{ queries, comparisons, listings int }

// rewound is a history that changes after its third commit was read, and what a reading must say of it.
type rewound struct {
	happens func(d *githubtest.Dataset)
	tips    []int // beside the third commit
	// head, removed, settled and keep are numbers of commits; keep is nil for no sweep.
	head                          int
	removed, settled, present     []int
	graphqlRequests, restRequests requestCounts
}

// pushOnto adds a commit with the given parents, a minute after the one before it.
func pushOnto(d *githubtest.Dataset, branch string, parents ...int) {
	c := commit(d, "one", ago(time.Duration(100-len(d.Commits))*time.Minute))
	c.Branch, c.ParentSHAs, c.Parents = branch, []string{}, len(parents)
	for _, p := range parents {
		c.ParentSHAs = append(c.ParentSHAs, sha(p))
	}
}

func switchTo(d *githubtest.Dataset, branch string) {
	r := d.Repo("one")
	r.Switches = append(r.Switches, githubtest.Switch{Branch: branch, At: ago(time.Minute)})
}

func resetTo(d *githubtest.Dataset, n int) {
	r := d.Repo("one")
	r.Resets = append(r.Resets, githubtest.Reset{SHA: sha(n), At: ago(2 * time.Minute)})
}

func deleteObject(d *githubtest.Dataset, n int) { d.Commits[n].GoneAt = ago(time.Minute) }

var rewinds = map[string]rewound{
	"nothing": {
		happens: func(*githubtest.Dataset) {}, head: 2,
		graphqlRequests: requestCounts{1, 0, 0}, restRequests: requestCounts{0, 1, 0},
	},
	"fast-forward": {
		happens: func(d *githubtest.Dataset) { pushOnto(d, "", 2) }, head: 3, settled: []int{2},
		graphqlRequests: requestCounts{1, 0, 0}, restRequests: requestCounts{0, 1, 0},
	},
	"a merge that reaches a tip": {
		happens: func(d *githubtest.Dataset) {
			pushOnto(d, "side", 1)
			pushOnto(d, "", 2, 3)
		},
		tips: []int{3, 1}, head: 4, settled: []int{2, 3, 1}, graphqlRequests: requestCounts{1, 0, 0},
		restRequests: requestCounts{0, 1, 0},
	},
	"nothing, and a tip behind it": {
		happens: func(*githubtest.Dataset) {}, tips: []int{0}, head: 2, settled: []int{0},
		graphqlRequests: requestCounts{1, 1, 0}, restRequests: requestCounts{0, 2, 0},
	},
	"nothing, and a tip elsewhere": {
		happens: func(d *githubtest.Dataset) { pushOnto(d, "side", 1) },
		tips:    []int{3}, head: 2, settled: []int{3}, removed: []int{3}, graphqlRequests: requestCounts{1, 1, 0},
		restRequests: requestCounts{0, 2, 0},
	},
	"a tip that is the head again": {
		happens: func(d *githubtest.Dataset) {
			pushOnto(d, "", 0)
			resetTo(d, 2)
		},
		tips: []int{2, 3, 3}, head: 2, settled: []int{3}, removed: []int{3}, graphqlRequests: requestCounts{1, 1, 0},
		restRequests: requestCounts{0, 2, 0},
	},
	"force-push": {
		happens: func(d *githubtest.Dataset) { pushOnto(d, "", 1) }, head: 3, settled: []int{2}, removed: []int{2},
		graphqlRequests: requestCounts{1, 1, 0}, restRequests: requestCounts{0, 2, 0},
	},
	"rebase": {
		happens: func(d *githubtest.Dataset) {
			pushOnto(d, "", 0)
			pushOnto(d, "", 3)
			pushOnto(d, "", 4)
		}, head: 5, settled: []int{2}, removed: []int{1, 2}, graphqlRequests: requestCounts{1, 1, 0},
		restRequests: requestCounts{0, 2, 0},
	},
	"reset to an older commit": {
		happens: func(d *githubtest.Dataset) { resetTo(d, 0) }, head: 0, settled: []int{2}, removed: []int{1, 2},
		graphqlRequests: requestCounts{1, 1, 0}, restRequests: requestCounts{0, 3, 1},
	},
	"another default branch": {
		happens: func(d *githubtest.Dataset) {
			pushOnto(d, "side", 0)
			switchTo(d, "side")
		}, head: 3, settled: []int{2}, removed: []int{1, 2}, graphqlRequests: requestCounts{1, 1, 0},
		restRequests: requestCounts{0, 2, 0},
	},
	"another default branch that reaches the old one": {
		happens: func(d *githubtest.Dataset) {
			pushOnto(d, "side", 2)
			switchTo(d, "side")
		}, head: 3, settled: []int{2}, graphqlRequests: requestCounts{1, 0, 0}, restRequests: requestCounts{0, 1, 0},
	},
	"nothing in common": {
		happens: func(d *githubtest.Dataset) { pushOnto(d, "") },
		tips:    []int{0}, head: 3, settled: []int{2, 0}, present: []int{3}, graphqlRequests: requestCounts{1, 1, 1},
		restRequests: requestCounts{0, 2, 3},
	},
	"an old head that is deleted": {
		happens: func(d *githubtest.Dataset) {
			pushOnto(d, "", 1)
			deleteObject(d, 2)
		}, head: 3, settled: []int{2}, present: []int{0, 1, 3}, graphqlRequests: requestCounts{1, 1, 1},
		restRequests: requestCounts{0, 2, 3},
	},
	"a tip that is deleted, and one elsewhere": {
		happens: func(d *githubtest.Dataset) {
			pushOnto(d, "side", 0)
			pushOnto(d, "side", 3)
			pushOnto(d, "", 1)
			deleteObject(d, 4)
		},
		tips: []int{3, 4}, head: 5, settled: []int{2, 3, 4}, removed: []int{2, 3}, present: []int{0, 1, 5},
		graphqlRequests: requestCounts{1, 3, 1}, restRequests: requestCounts{0, 4, 1},
	},
}

// TestRewoundHeads: what former heads reach and the present one does not is reported once for each of them, with as few
// questions as that takes, and both APIs say the same.
func TestRewoundHeads(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, test := range rewinds {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b, request := rewind(t, api, &test)
				_, outcome := b.read(request)
				require.Empty(t, outcome.Failed)
				require.Equal(t, sha(test.head), outcome.Head)
				require.Equal(t, names(test.settled), outcome.ResolvedTips)
				require.ElementsMatch(t, ids(t, test.removed), outcome.Removed)
				if test.present == nil {
					require.Nil(t, outcome.Sweep)
				} else {
					require.Equal(t, request.Since[activity.StreamCommits], outcome.Sweep.Since)
					require.ElementsMatch(t, ids(t, test.present), outcome.Sweep.Present)
				}
				want := test.graphqlRequests
				if api == github.APIREST {
					want = test.restRequests
				}
				require.Equal(t, want, b.askedFor())
			})
		}
	})
}

func (b *bench) askedFor() requestCounts {
	return requestCounts{b.requests("Activity"), b.requests(compareRoute), b.requests(commitsRoute)}
}

// rewind is a bench with a history that has changed, and a request that follows a reading of its third commit.
func rewind(t *testing.T, api github.API, test *rewound) (*bench, github.ReadRequest) {
	t.Helper()
	data := dataset("one")
	for n := range 3 {
		commit(data, "one", ago(time.Duration(100-n)*time.Minute))
	}
	test.happens(data)
	b := newBench(t, api, data)
	request := since(b.repo("one"), ago(200*time.Minute), activity.StreamCommits)
	request.ReadHead, request.Tips, request.SkipLines = sha(2), names(test.tips), true
	b.server.ResetRequests()
	return b, request
}

func names(numbers []int) (list []string) {
	for _, n := range numbers {
		list = append(list, sha(n))
	}
	return list
}

func ids(t *testing.T, numbers []int) (list []activity.ID) {
	t.Helper()
	for _, n := range numbers {
		id, err := activity.CommitID(sha(n))
		require.NoError(t, err)
		list = append(list, id)
	}
	return list
}

// TestUnresolvedHeads: as long as a former head is not resolved the commits have failed, and nothing is said of any
// head.
func TestUnresolvedHeads(t *testing.T) {
	t.Parallel()
	forced, unrelated := rewinds["force-push"], rewinds["nothing in common"]
	unrelated.happens = func(d *githubtest.Dataset) {
		pushOnto(d, "", 0)
		pushOnto(d, "side")
	}
	unrelated.tips = []int{4}
	noHead := githubtest.StatusBody(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, `[]`)
	noName := githubtest.StatusBody(http.StatusOK, http.Header{"Content-Type": {"application/json"}},
		`[null,{"sha":""}]`)
	comparing, listing := githubtest.Match{Route: compareRoute}, githubtest.Match{Route: commitsRoute}
	for name, test := range map[string]struct {
		history *rewound
		match   githubtest.Match
		do      githubtest.Effect
	}{
		"no answer":                  {&forced, comparing, githubtest.ConnectionReset()},
		"forbidden":                  {&forced, comparing, githubtest.Status(403)},
		"a limit":                    {&forced, comparing, githubtest.PrimaryLimit(403)},
		"a listing that fails":       {&unrelated, listing, githubtest.Status(502)},
		"a listing without its head": {&unrelated, listing, noHead},
		"rows without names":         {&unrelated, listing, noName},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, request := rewind(t, github.APIGraphQL, test.history)
			armed := b.server.InjectFault(githubtest.Fault{Match: test.match, Effect: test.do})
			events, outcome := b.read(request)
			require.Positive(t, armed.Hits())
			require.NotEmpty(t, events, "what was read is recorded all the same")
			require.Error(t, outcome.Failed[activity.StreamCommits])
			require.Empty(t, outcome.Removed)
			require.Empty(t, outcome.ResolvedTips)
			require.Nil(t, outcome.Sweep)
			b.server.ClearFaults()
			b.advance(2 * time.Hour)
			_, outcome = b.read(request)
			require.Empty(t, outcome.Failed)
			require.Len(t, outcome.ResolvedTips, 1+len(test.history.tips))
		})
	}
}

// TestComparisonThatCannotBeMade: GitHub has no time for the differences of some commits, and answers some questions
// with rows that are not all. Then the branch is listed.
func TestComparisonThatCannotBeMade(t *testing.T) {
	t.Parallel()
	few := `{"status":"ahead","total_commits":2,"commits":[{"sha":"` + sha(2) + `"}]}`
	many := `{"status":"ahead","total_commits":5001,"commits":[{"sha":"` + sha(2) + `"}]}`
	for name, effect := range map[string]githubtest.Effect{
		"500":               githubtest.Status(500),
		"422":               githubtest.Status(422),
		"404":               githubtest.Status(404),
		"an odd status":     githubtest.StatusBody(200, nil, `{"status":"odd","total_commits":0,"commits":[]}`),
		"without its total": githubtest.StatusBody(200, nil, `{"status":"ahead","commits":[]}`),
		"too few rows":      githubtest.StatusBody(200, nil, few),
		"too many":          githubtest.StatusBody(200, nil, many),
		"null":              githubtest.StatusBody(200, nil, `null`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test := rewinds["force-push"]
			b, request := rewind(t, github.APIGraphQL, &test)
			b.server.InjectFault(githubtest.Fault{Match: githubtest.Match{Route: compareRoute}, Effect: effect})
			_, outcome := b.read(request)
			require.Empty(t, outcome.Failed)
			require.Equal(t, []string{sha(2)}, outcome.ResolvedTips)
			require.ElementsMatch(t, ids(t, []int{0, 1, 3}), outcome.Sweep.Present)
		})
	}
}

// TestLongDivergence: all pages of a comparison are read; a listing goes on over its pages until one lies before the
// horizon.
func TestLongDivergence(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for n := range 600 {
			commit(data, "one", ago(time.Duration(600-n)*time.Hour))
		}
		c := commit(data, "one", ago(time.Minute))
		c.ParentSHAs = []string{sha(349)}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(400*time.Hour), activity.StreamCommits)
		request.ReadHead, request.SkipLines = sha(599), true
		_, outcome := b.read(request)
		require.Empty(t, outcome.Failed)
		require.Len(t, outcome.Removed, 250)
		b.server.ResetRequests()
		b.server.Update(func(d *githubtest.Dataset) {
			for n := 350; n < 600; n++ {
				deleteObject(d, n)
			}
		})
		_, outcome = b.read(request)
		require.Empty(t, outcome.Failed)
		require.Empty(t, outcome.Removed)
		require.GreaterOrEqual(t, len(outcome.Sweep.Present), 151, "from the horizon on")
		sweeping := 3
		if api == github.APIREST {
			sweeping += 1 + 2 // the head, and the pages of the commits themselves
		}
		require.Equal(t, sweeping, b.requests(commitsRoute))
	})
}

// TestHeadsOfOddDates: a date that cannot be decoded, or that hides a commit, does not take it from the branch.
func TestHeadsOfOddDates(t *testing.T) {
	t.Parallel()
	test := rewinds["nothing in common"]
	test.tips = nil
	b, request := rewind(t, github.APIGraphQL, &test)
	row := `{"sha":"` + sha(3) + `","commit":{"committer":{"date":"12200-05-05T00:00:00Z"}}},` +
		`{"sha":"` + sha(7) + `","commit":{"committer":{"date":17}}},{"sha":"` + sha(8) +
		`","commit":{"committer":null}}`
	b.server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Route: commitsRoute}, Effect: githubtest.StatusBody(200, nil, "["+row+"]"),
	})
	_, outcome := b.read(request)
	require.Empty(t, outcome.Failed)
	require.ElementsMatch(t, ids(t, []int{3, 7, 8}), outcome.Sweep.Present)
}

// TestPin: the head is known before its commits are handed out, and only then.
func TestPin(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for name, test := range rewinds {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b, request := rewind(t, api, &test)
				var pinned []string
				request.OnHead = func(head string) { pinned = append(pinned, head) }
				outcome := b.client.Read(t.Context(), request, func([]activity.Event) error {
					require.NotEmpty(t, pinned)
					return nil
				})
				for _, head := range pinned {
					require.Equal(t, outcome.Head, head)
				}
				if outcome.Head == request.ReadHead {
					require.Empty(t, pinned)
				}
			})
		}
	})
}

// TestWindowAtACommit: a window of the past is listed from the commit that is named, also when that is on no branch any
// more, and not from another one when it is gone.
func TestWindowAtACommit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		test := rewinds["force-push"]
		b, request := rewind(t, api, &test)
		pull := activity.StreamsOf(activity.StreamCommits, activity.StreamPulls)
		request.ReadHead, request.AtCommit, request.Streams = "", sha(2), pull
		request.Until[activity.StreamCommits] = noon
		var pinned []string
		request.OnHead = func(head string) { pinned = append(pinned, head) }
		events, outcome := b.read(request)
		require.Empty(t, outcome.Failed)
		require.Equal(t, []string{sha(2), sha(2)}, []string{outcome.Head, pinned[0]})
		var got []activity.ID
		for _, e := range events {
			got = append(got, e.ID)
		}
		require.ElementsMatch(t, ids(t, []int{0, 1, 2}), got)
		require.LessOrEqual(t, b.requests("Activity")+b.requests(commitsRoute), 1)
		b.server.Update(func(d *githubtest.Dataset) { deleteObject(d, 2) })
		events, outcome = b.read(request)
		require.Empty(t, events)
		_, missing := errorAs[*transport.NotFoundError](outcome.Failed[activity.StreamCommits])
		require.True(t, missing, "%v", outcome.Failed)
		require.Len(t, outcome.Failed, 1, "the pull requests are there")
		request.AtCommit = ""
		events, outcome = b.read(request)
		require.Empty(t, outcome.Failed)
		require.Len(t, events, 3)
	})
}

// TestRandomRewinds: whatever happened to the branch, and from whichever heads commits were recorded, what was recorded
// before and is read now, without what is reported to be lost, is what the branch has within the horizon.
func TestRandomRewinds(t *testing.T) {
	t.Parallel()
	var removals, sweeps atomic.Int64
	t.Cleanup(func() {
		require.Greater(t, removals.Load(), int64(50))
		require.Greater(t, sweeps.Load(), int64(50))
	})
	for seed := range uint64(150) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			rnd := rand.New(rand.NewPCG(seed, 11))
			h := rewoundHistory(rnd)
			want := h.within(h.head)
			for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
				b := newBench(t, api, h.data)
				request := since(b.repo("one"), h.horizon, activity.StreamCommits)
				request.ReadHead, request.Tips, request.SkipLines = h.seen, h.tips, true
				events, outcome := b.read(request)
				require.Empty(t, outcome.Failed)
				require.Equal(t, h.head, outcome.Head)
				require.Equal(t, want, h.after(t, events, &outcome), api)
				if outcome.Sweep != nil {
					sweeps.Add(1)
				} else if len(outcome.Removed) > 0 {
					removals.Add(1)
				}
			}
		})
	}
}

// rewritten is a history, what was recorded of it, and where its branch is now.
type rewritten struct {
	data       *githubtest.Dataset
	parents    map[string][]string
	horizon    time.Time
	head, seen string
	tips       []string
	recorded   map[string]bool
}

// rewoundHistory is one at random, in which the default branch is reset and another one may become it.
func rewoundHistory(rnd *rand.Rand) *rewritten {
	h := &rewritten{data: dataset("one"), horizon: ago(1500 * time.Minute), recorded: make(map[string]bool)}
	var heads []string
	heads, h.parents = history(h.data, rnd)
	for len(heads) > 90 { // one page: random dates may hide what is on others
		h.data = dataset("one")
		heads, h.parents = history(h.data, rnd)
	}
	for i := range h.data.Commits { // some are older than the horizon
		if rnd.IntN(4) == 0 {
			h.data.Commits[i].CommittedAt = ago(time.Duration(1400+rnd.IntN(300)) * time.Minute)
		}
		if c := &h.data.Commits[i]; rnd.IntN(20) == 0 { // it has nothing in common with what was before
			c.ParentSHAs, c.Parents, h.parents[c.SHA] = []string{}, 0, nil
		}
	}
	h.head, h.seen = heads[len(heads)-1], heads[rnd.IntN(len(heads))]
	repo := h.data.Repo("one")
	if rnd.IntN(3) == 0 {
		h.head = heads[rnd.IntN(len(heads))]
		repo.Resets = []githubtest.Reset{{SHA: h.head, At: ago(2 * time.Minute)}}
	}
	if rnd.IntN(3) == 0 { // another branch, which may have nothing in common with the old one
		h.head = h.data.Commits[rnd.IntN(len(h.data.Commits))].SHA
		repo.Resets = append(repo.Resets, githubtest.Reset{Branch: "next", SHA: h.head, At: ago(2 * time.Minute)})
		repo.Switches = []githubtest.Switch{{Branch: "next", At: ago(time.Minute)}}
	}
	for range rnd.IntN(4) {
		h.tips = append(h.tips, h.data.Commits[rnd.IntN(len(h.data.Commits))].SHA)
	}
	h.record(rnd)
	return h
}

// record records all that the head that was seen reaches within the horizon, and some of what the tips reach. Some of
// the objects that are on no branch any more are deleted.
func (h *rewritten) record(rnd *rand.Rand) {
	for name := range h.within(h.seen) {
		h.recorded[name] = true
	}
	for _, tip := range h.tips {
		for name := range h.within(tip) {
			h.recorded[name] = h.recorded[name] || rnd.IntN(2) == 0
		}
	}
	reached := reachable(h.head, h.parents)
	if rnd.IntN(3) != 0 {
		return
	}
	for i := range h.data.Commits {
		if !reached[h.data.Commits[i].SHA] {
			h.data.Commits[i].GoneAt = ago(time.Minute)
		}
	}
}

// within are the commits that one reaches, from the horizon on.
func (h *rewritten) within(from string) map[string]bool {
	set := make(map[string]bool)
	reached := reachable(from, h.parents)
	for i := range h.data.Commits {
		if c := &h.data.Commits[i]; reached[c.SHA] && !c.CommittedAt.Before(h.horizon) {
			set[c.SHA] = true
		}
	}
	return set
}

// after is what is recorded after a reading.
func (h *rewritten) after(t *testing.T, events []activity.Event, outcome *github.ReadResult) map[string]bool {
	t.Helper()
	emitted, keep := make(map[activity.ID]bool), make(map[activity.ID]bool)
	for _, e := range events {
		emitted[e.ID] = true
	}
	if outcome.Sweep != nil {
		require.Equal(t, h.horizon, outcome.Sweep.Since)
		for _, id := range outcome.Sweep.Present {
			keep[id] = true
		}
	}
	set := make(map[string]bool)
	for i := range h.data.Commits {
		c := &h.data.Commits[i]
		id, err := activity.CommitID(c.SHA)
		require.NoError(t, err)
		if (!h.recorded[c.SHA] && !emitted[id]) || c.CommittedAt.Before(h.horizon) {
			continue
		}
		if !slices.Contains(outcome.Removed, id) && (outcome.Sweep == nil || keep[id]) {
			set[c.SHA] = true
		}
	}
	return set
}
