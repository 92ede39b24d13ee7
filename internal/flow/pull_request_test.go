// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

var opened = time.Date(2026, 3, 11, 8, 0, 0, 0, time.UTC)

// after is a time so many minutes after the pull request was opened.
func after(minutes int) time.Time { return opened.Add(time.Duration(minutes) * time.Minute) }

var (
	ann = activity.Actor{ID: 1, Login: "ann"}
	bob = activity.Actor{ID: 2, Login: "bob"}
)

// newPull returns a pull request of ann's that is open and was updated long after.
func newPull(change func(*PullRequest)) *PullRequest {
	p := &PullRequest{Repo: 7, Number: 3, Author: ann, Created: opened, Updated: after(100_000), Open: true}
	change(p)
	return p
}

// change adds a change to a pull request.
func (p *PullRequest) change(t ChangeType, minutes int) {
	p.Changes = append(p.Changes, Change{Type: t, At: after(minutes)})
	switch t {
	case Closed:
		p.Open = false
	case Reopened:
		p.Open = true
	case ReadyForReview:
		p.Draft = false
	case ConvertedToDraft:
		p.Draft = true
	case ReviewRequested, Dismissed:
	}
}

// review adds a review by an account.
func (p *PullRequest) review(by activity.Actor, minutes int, approves bool) {
	p.Reviews = append(p.Reviews, Review{
		ID: int64(len(p.Reviews) + 1), Author: by, At: after(minutes), Approves: approves,
	})
}

// dismiss dismisses the review with an id.
func (p *PullRequest) dismiss(id int64, minutes int, approved bool) {
	p.Reviews[id-1].Approves = false
	p.Changes = append(p.Changes, Change{Type: Dismissed, At: after(minutes), Review: id, Approved: approved})
}

// merge merges it, which closes it.
func (p *PullRequest) merge(minutes int) {
	p.Merged, p.Open = after(minutes), false
	p.change(Closed, minutes)
}

// describe lists events as "kind@minute: measures in minutes", sizes as they are.
func describe(events []activity.Event) []string {
	list := []string{}
	for _, e := range events {
		unit := uint32(60)
		if e.Kind == activity.KindMergeSize {
			unit = 1
		}
		values := []string{}
		for i := range e.Kind.NumMeasures() {
			values = append(values, strconv.FormatUint(uint64(e.Measures[i]/unit), 10))
		}
		name := strings.TrimPrefix(e.Kind.String(), "pull_request_")
		minute := int(e.Time.Sub(opened).Minutes())
		list = append(list, fmt.Sprintf("%s@%d: %s", name, minute, strings.Join(values, " ")))
	}
	return list
}

// TestPullRequestEvents: each history with each clock. A clock that is not named has the events of ClockReady.
func TestPullRequestEvents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		history                   func(*PullRequest)
		ready, created, requested []string
		bots                      []string // with bots counted, by ClockReady; like ready when nil
	}{
		"nothing": {history: func(*PullRequest) {}},
		"reviewed, approved and merged": {
			history: func(p *PullRequest) {
				p.review(bob, 10, false)
				p.review(bob, 30, true)
				p.review(bob, 50, true)
				p.Lines = 250
				p.merge(60)
			},
			ready: []string{
				"first_review@10: 10", "first_approval@30: 30", "merge_time@60: 60 0", "merge_size@60: 3 250",
			},
		},
		"created as a draft": {
			history: func(p *PullRequest) {
				p.change(ReadyForReview, 20)
				p.review(bob, 50, false)
			},
			ready: []string{"first_review@50: 30"}, created: []string{"first_review@50: 50"},
			requested: []string{"first_review@50: 30"},
		},
		"a draft that never was anything else": {
			history: func(p *PullRequest) {
				p.Draft = true
				p.review(bob, 50, false)
			},
			ready: []string{"first_review@50: 0"}, created: []string{"first_review@50: 50"},
		},
		"made a draft again": {
			history: func(p *PullRequest) {
				p.change(ConvertedToDraft, 10)
				p.change(ReadyForReview, 40)
				p.change(ConvertedToDraft, 50)
				p.change(ReadyForReview, 55)
				p.review(bob, 60, true)
				p.merge(70)
			},
			ready: []string{
				"first_review@60: 5", "first_approval@60: 5", "merge_time@70: 15 35", "merge_size@70: 1 0",
			},
			created: []string{
				"first_review@60: 60", "first_approval@60: 60", "merge_time@70: 70 35", "merge_size@70: 1 0",
			},
			requested: []string{
				"first_review@60: 25", "first_approval@60: 25", "merge_time@70: 35 35", "merge_size@70: 1 0",
			},
		},
		"reviewed while it was a draft again": {
			history: func(p *PullRequest) {
				p.change(ConvertedToDraft, 10)
				p.review(bob, 30, false)
				p.change(ReadyForReview, 40)
				p.merge(45)
			},
			ready:     []string{"first_review@30: 10", "merge_time@45: 5 30", "merge_size@45: 1 0"},
			created:   []string{"first_review@30: 30", "merge_time@45: 45 30", "merge_size@45: 1 0"},
			requested: []string{"first_review@30: 10", "merge_time@45: 15 30", "merge_size@45: 1 0"},
		},
		"reviewed in the second in which it became ready": {
			history: func(p *PullRequest) {
				p.change(ReadyForReview, 20)
				p.review(bob, 20, false)
			},
			ready: []string{"first_review@20: 0"}, created: []string{"first_review@20: 20"},
		},
		"reviewed in the second of its creation": {
			history: func(p *PullRequest) { p.review(bob, 0, true) },
			ready:   []string{"first_review@0: 0", "first_approval@0: 0"},
		},
		"requested": {
			history: func(p *PullRequest) {
				p.change(ReviewRequested, 20)
				p.review(bob, 30, false)
				p.change(ReviewRequested, 50)
				p.review(bob, 55, true)
				p.change(ReviewRequested, 70)
			},
			ready:     []string{"first_review@30: 30", "first_approval@55: 55"},
			requested: []string{"first_review@30: 10", "first_approval@55: 5"},
		},
		"requested while it was a draft": {
			history: func(p *PullRequest) {
				p.change(ReviewRequested, 10)
				p.change(ReadyForReview, 20)
				p.review(bob, 30, false)
			},
			ready: []string{"first_review@30: 10"}, created: []string{"first_review@30: 30"},
			requested: []string{"first_review@30: 10"},
		},
		"an approval that was dismissed": {
			history: func(p *PullRequest) {
				p.review(bob, 10, true)
				p.dismiss(1, 20, true)
				p.review(bob, 40, true)
			},
			ready: []string{"first_review@10: 10", "first_approval@10: 10"},
		},
		"a request for changes that was dismissed": {
			history: func(p *PullRequest) {
				p.review(bob, 10, false)
				p.dismiss(1, 20, false)
				p.review(bob, 40, true)
			},
			ready: []string{"first_review@10: 10", "first_approval@40: 40"},
		},
		"dismissed after the state was read": {
			history: func(p *PullRequest) {
				p.review(bob, 10, true)
				p.dismiss(1, 20, true)
				p.Updated = after(10)
			},
			ready: []string{"first_review@10: 10", "first_approval@10: 10"},
		},
		"the author's own review": {
			history: func(p *PullRequest) {
				p.review(activity.Actor{ID: 1, Login: "renamed"}, 10, false)
				p.review(bob, 20, false)
				p.merge(30)
			},
			ready: []string{"first_review@20: 20", "merge_time@30: 30 0", "merge_size@30: 1 0"},
		},
		"merged without a review": {
			history: func(p *PullRequest) {
				p.review(ann, 10, false)
				p.merge(30)
				p.review(bob, 40, true)
			},
			ready: []string{
				"first_review@40: 40", "first_approval@40: 40", "merge_time@30: 30 0", "merge_size@30: 0 0",
			},
		},
		"deleted accounts": {
			history: func(p *PullRequest) {
				p.Author = activity.Ghost()
				p.review(activity.Ghost(), 10, false) // the author's, for all that is known
				p.review(bob, 20, false)
			},
			ready: []string{"first_review@20: 20"},
		},
		"a deleted reviewer": {
			history: func(p *PullRequest) { p.review(activity.Ghost(), 10, false) },
			ready:   []string{"first_review@10: 10"},
		},
		"a bot": {
			history: func(p *PullRequest) {
				p.review(activity.Bot(5, "renovate"), 10, true)
				p.review(bob, 20, true)
			},
			ready: []string{"first_review@20: 20", "first_approval@20: 20"},
			bots:  []string{"first_review@10: 10", "first_approval@10: 10"},
		},
		"an agent": {
			history: func(p *PullRequest) { p.review(agent(), 10, false) },
			ready:   []string{}, bots: []string{"first_review@10: 10"},
		},
		"a bot's own": {
			history: func(p *PullRequest) {
				p.Author = activity.Bot(5, "renovate")
				p.review(activity.Bot(5, "renovate"), 10, true)
				p.review(bob, 20, false)
			},
			ready: []string{"first_review@20: 20"},
		},
		"closed, reopened and closed again": {
			history: func(p *PullRequest) {
				p.change(Closed, 10)
				p.change(Reopened, 20)
				p.change(Closed, 40)
			},
			ready: []string{"close_time@10: 10", "close_time@40: 40"},
		},
		"closed and reopened": {
			history: func(p *PullRequest) {
				p.change(Closed, 10)
				p.change(Reopened, 20)
			},
			ready: []string{"close_time@10: 10"},
		},
		"closed, reopened and merged": {
			history: func(p *PullRequest) {
				p.change(Closed, 10)
				p.change(Reopened, 20)
				p.merge(40)
			},
			ready: []string{"merge_time@40: 40 0", "merge_size@40: 0 0", "close_time@10: 10"},
		},
		"closed, reopened and merged in one second": {
			history: func(p *PullRequest) {
				p.change(Closed, 10)
				p.change(Reopened, 10)
				p.merge(10)
			},
			ready: []string{"merge_time@10: 10 0", "merge_size@10: 0 0", "close_time@10: 10"},
		},
		"closed in the second of its last update, after its state was read": {
			history: func(p *PullRequest) {
				p.change(Closed, 10)
				p.change(Reopened, 20)
				p.change(Closed, 40)
				p.Open, p.Updated = true, after(40)
			},
			ready: []string{"close_time@10: 10"},
		},
		"merged after its state was read": {
			history: func(p *PullRequest) {
				p.change(ReadyForReview, 10)
				p.review(bob, 20, false)
				p.change(Closed, 30)
				p.review(bob, 31, true)
				p.Open, p.Updated = true, after(20)
			},
			ready: []string{"first_review@20: 10"}, created: []string{"first_review@20: 20"},
		},
		"in the second after its last update": {
			history: func(p *PullRequest) {
				p.review(bob, 10, true)
				p.change(Closed, 20)
				p.Reviews[0].At, p.Changes[0].At = after(10).Add(time.Second), after(10).Add(time.Second)
				p.Updated = after(10)
			},
			ready: []string{"first_review@10: 10", "first_approval@10: 10", "close_time@10: 10"},
		},
		"unsorted": {
			history: func(p *PullRequest) {
				p.review(bob, 30, true)
				p.review(bob, 15, false)
				p.change(ReadyForReview, 25)
				p.change(ConvertedToDraft, 20)
				p.change(ReadyForReview, 10)
			},
			ready:     []string{"first_review@15: 5", "first_approval@30: 5"},
			created:   []string{"first_review@15: 15", "first_approval@30: 30"},
			requested: []string{"first_review@15: 5", "first_approval@30: 15"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPull(test.history)
			for clock, want := range map[Clock][]string{
				ClockReady: test.ready, ClockCreated: test.created, ClockRequested: test.requested,
			} {
				if want == nil {
					want = test.ready
				}
				require.ElementsMatch(t, want, describe(Rules{Clock: clock}.PullRequestEvents(p)), "clock %d", clock)
			}
			bots := test.bots
			if bots == nil {
				bots = test.ready
			}
			require.ElementsMatch(t, bots, describe(Rules{Bots: true}.PullRequestEvents(p)))
			for _, e := range (Rules{}).PullRequestEvents(p) {
				require.NoError(t, e.Validate())
				require.Equal(t, int64(7), e.Repo)
			}
		})
	}
}

// TestLinesBeyondRange are the largest number that an event holds, and none below zero.
func TestLinesBeyondRange(t *testing.T) {
	t.Parallel()
	for lines, want := range map[int64]uint32{-5: 0, 12: 12, 1 << 40: 1<<32 - 1} {
		p := newPull(func(p *PullRequest) { p.Lines = lines; p.merge(5) })
		events := Rules{}.PullRequestEvents(p)
		i := slices.IndexFunc(events, func(e activity.Event) bool { return e.Kind == activity.KindMergeSize })
		require.Equal(t, want, events[i].Measures[activity.MergeSizeLines])
	}
}

// TestHostileTimes: a change before the creation, or long after what an event holds, makes no event invalid.
func TestHostileTimes(t *testing.T) {
	t.Parallel()
	const late = 140 * 365 * 24 * 60
	p := newPull(func(p *PullRequest) {
		p.Updated = after(late)
		p.review(bob, -90, true)
		p.change(ReadyForReview, -100)
		p.change(ConvertedToDraft, -50)
		p.merge(late)
	})
	events := Rules{}.PullRequestEvents(p)
	require.Len(t, events, 4)
	created := Rules{Clock: ClockCreated}.PullRequestEvents(p)
	require.Zero(t, created[0].Measures[0])
	require.Equal(t, uint32(1<<32-1), created[2].Measures[activity.MergeTimeToMerge])
}

// TestIssueEvents: each closing is an event of its own.
func TestIssueEvents(t *testing.T) {
	t.Parallel()
	events := IssueEvents(7, 3, opened, []time.Time{after(10), after(30)})
	require.Len(t, events, 2)
	for i, want := range []uint32{600, 1800} {
		require.NoError(t, events[i].Validate())
		require.Equal(t, activity.KindIssueCloseTime, events[i].Kind)
		require.Equal(t, activity.OccurrenceID(3, events[i].Time), events[i].ID)
		require.Equal(t, want, events[i].Measures[0])
	}
	require.Empty(t, IssueEvents(7, 3, opened, nil))
}

// TestEarlierReadingsHaveTheSameEvents: what a reading at one time has of a random history, the readings at all later
// times have unchanged.
func TestEarlierReadingsHaveTheSameEvents(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		steps := randomHistory(rng)
		before := make(map[activity.Key]activity.Event)
		for n := range steps {
			p := newPull(func(p *PullRequest) {
				for _, step := range steps[:n+1] {
					step(p)
				}
				p.Updated = after(n + 1)
			})
			now := make(map[activity.Key]activity.Event)
			for _, e := range (Rules{Clock: Clock(seed % 3), Bots: true}).PullRequestEvents(p) {
				require.NotContains(t, now, e.Key(), "seed %d", seed)
				now[e.Key()] = e
			}
			for key, e := range before {
				require.Equal(t, e, now[key], "seed %d, step %d", seed, n)
			}
			before = now
		}
	}
}

// randomHistory returns the steps of a pull request, one a minute, each possible in its state.
func randomHistory(rng *rand.Rand) []func(*PullRequest) {
	isDraft := rng.IntN(2) == 0
	asDraft := isDraft
	steps := []func(*PullRequest){func(p *PullRequest) { p.Draft = asDraft }}
	isOpen, isMerged, reviews := true, false, 0
	for minute := 1; minute < 15; minute++ {
		var step func(*PullRequest)
		switch action := rng.IntN(7); {
		case action == 0 && isOpen && !isMerged:
			isMerged, isOpen = true, false
			step = func(p *PullRequest) { p.merge(minute) }
		case action == 1 && isOpen:
			isOpen = false
			step = func(p *PullRequest) { p.change(Closed, minute) }
		case action == 2 && !isOpen && !isMerged:
			isOpen = true
			step = func(p *PullRequest) { p.change(Reopened, minute) }
		case action == 3 && isOpen:
			kind := map[bool]ChangeType{true: ReadyForReview, false: ConvertedToDraft}[isDraft]
			isDraft = !isDraft
			step = func(p *PullRequest) { p.change(kind, minute) }
		case action == 4 && reviews > 0:
			id := int64(rng.IntN(reviews) + 1)
			step = func(p *PullRequest) { p.dismiss(id, minute, p.wasApproval(id)) }
		case action == 5:
			step = func(p *PullRequest) { p.change(ReviewRequested, minute) }
		default:
			reviews++
			by, approves := []activity.Actor{ann, bob, activity.Bot(5, "renovate")}[rng.IntN(3)], rng.IntN(2) == 0
			step = func(p *PullRequest) { p.review(by, minute, approves) }
		}
		steps = append(steps, step)
	}
	return steps
}

// wasApproval reports whether a review is, or was until it was dismissed, an approval.
func (p *PullRequest) wasApproval(id int64) bool {
	return p.Reviews[id-1].Approves ||
		slices.ContainsFunc(p.Changes, func(c Change) bool { return c.Review == id && c.Approved })
}

// agent returns an account of an agent.
func agent() activity.Actor { return activity.Actor{ID: 198982749, Login: "Copilot"} }
