// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	issueEventsRoute = "/repos/{owner}/{repo}/issues/{issue_number}/events"
	pullRoute        = "/repos/{owner}/{repo}/pulls/{pull_number}"
)

// withFlowRules makes the client read flow by other rules.
func (b *bench) withFlowRules(rules flow.Rules) *bench {
	b.client = github.New(b.transport, github.Settings{API: b.api, Flow: rules})
	return b
}

// flowOnly gives the events of the flow of pull requests and issues, by key.
func flowOnly(events []activity.Event) map[activity.Key]activity.Event {
	found := make(map[activity.Key]activity.Event)
	for _, e := range events {
		if e.Kind.IsOfRepository() {
			found[e.Key()] = e
		}
	}
	return found
}

// flowMoment is a minute after a pull request was opened.
func flowMoment(p *githubtest.Pull, minute int) time.Time {
	return p.CreatedAt.Add(time.Duration(minute) * time.Minute)
}

// randomPull adds a pull request with a random history to the data: each minute at most one change of its state.
func randomPull(d *githubtest.Dataset, rnd *rand.Rand, number int) {
	p := pull(d, number, ago(time.Duration(300+rnd.IntN(600))*time.Minute))
	p.Login = new([]string{"bob", "renovate[bot]", "gone"}[rnd.IntN(3)])
	p.Draft, p.Additions, p.Deletions = rnd.IntN(2) == 0, rnd.IntN(400), rnd.IntN(50)
	isDraft, isOpen := p.Draft, true
	for minute := rnd.IntN(20); minute < 250; minute += 1 + rnd.IntN(30) {
		at := flowMoment(p, minute)
		switch action := rnd.IntN(9); {
		case action == 0 && isOpen:
			p.Closings, isOpen = append(p.Closings, at), false
		case action == 1 && isOpen:
			p.MergedAt = &at
			return
		case action <= 2 && !isOpen:
			p.ReopenedAt, isOpen = append(p.ReopenedAt, at), true
		case action == 3 && isDraft:
			p.ReadyAt, isDraft = append(p.ReadyAt, at), false
		case action == 3:
			p.DraftAt, isDraft = append(p.DraftAt, at), true
		case action == 4:
			p.ReviewRequests = append(p.ReviewRequests, githubtest.ReviewRequest{Login: "eve", At: at})
		default:
			r := review(d, number, at)
			r.Login = new([]string{"bob", "eve", "kim", "renovate[bot]", "gone"}[rnd.IntN(5)])
			r.State = []string{"APPROVED", "COMMENTED", "CHANGES_REQUESTED"}[rnd.IntN(3)]
			if rnd.IntN(4) == 0 {
				r.DismissedAt = new(at.Add(time.Duration(rnd.IntN(40)) * time.Minute))
			}
		}
	}
}

// randomFlow is a repository with random pull requests and issues.
func randomFlow(seed uint64) *githubtest.Dataset {
	rnd := rand.New(rand.NewPCG(seed, 3))
	data := dataset("one")
	for number := range 12 {
		randomPull(data, rnd, number+1)
	}
	for number := range 3 {
		closed := ago(time.Duration(10+rnd.IntN(90)) * time.Minute)
		data.Issues = append(data.Issues, githubtest.Issue{
			Repo: "one", Number: 100 + number, Login: new("kim"), CreatedAt: ago(200 * time.Minute),
			ClosedAt:   []time.Time{closed.Add(-time.Hour), closed},
			ReopenedAt: []time.Time{closed.Add(-30 * time.Minute)},
		})
	}
	data.DeleteUser("gone")
	return data
}

// naiveFlow computes what is to be recorded from the data alone, minute by minute: by name of the kind, number and
// time, with the measures.
func naiveFlow(d *githubtest.Dataset, rules flow.Rules) map[string]activity.Measures {
	want := make(map[string]activity.Measures)
	for i := range d.Pulls {
		naivePull(d, &d.Pulls[i], rules, want)
	}
	for i := range d.Issues {
		for _, at := range d.Issues[i].ClosedAt {
			want[flowName(activity.KindIssueCloseTime, d.Issues[i].Number, at)] = activity.Measures{
				uint32(at.Sub(d.Issues[i].CreatedAt) / time.Second),
			}
		}
	}
	return want
}

// flowName names what is recorded.
func flowName(kind activity.Kind, number int, at time.Time) string {
	id := activity.NumberID(int64(number))
	if kind == activity.KindCloseTime || kind == activity.KindIssueCloseTime {
		id = activity.OccurrenceID(int64(number), at)
	}
	return fmt.Sprintf("%s %x %s", kind, id[:], at.UTC().Format(time.RFC3339))
}

// draftSeconds counts the minutes of draft between two times.
func draftSeconds(p *githubtest.Pull, from, until time.Time) uint32 {
	seconds := uint32(0)
	for at := from; at.Before(until); at = at.Add(time.Minute) {
		isDraft := p.Draft
		for _, change := range p.DraftAt {
			if !change.After(at) && !slices.ContainsFunc(p.ReadyAt, func(r time.Time) bool {
				return r.After(change) && !r.After(at)
			}) {
				isDraft = true
			}
		}
		if isReady := slices.ContainsFunc(p.ReadyAt, func(r time.Time) bool {
			return !r.After(at) && !slices.ContainsFunc(p.DraftAt, func(c time.Time) bool {
				return c.After(r) && !c.After(at)
			})
		}); isReady {
			isDraft = false
		}
		if isDraft {
			seconds += 60
		}
	}
	return seconds
}

// naivePull adds what is to be recorded of a pull request.
func naivePull(d *githubtest.Dataset, p *githubtest.Pull, rules flow.Rules, want map[string]activity.Measures) {
	waited := func(at time.Time) uint32 {
		start := p.CreatedAt
		begins := map[flow.Clock][]time.Time{flow.ClockReady: p.ReadyAt}[rules.Clock]
		if rules.Clock == flow.ClockRequested {
			for _, r := range p.ReviewRequests {
				begins = append(begins, r.At)
			}
		}
		for _, begin := range begins {
			if begin.After(start) && !begin.After(at) {
				start = begin
			}
		}
		seconds := uint32(at.Sub(start) / time.Second)
		if rules.Clock != flow.ClockCreated {
			seconds -= draftSeconds(p, start, at)
		}
		return seconds
	}
	var reviews []githubtest.Review
	for _, r := range d.Reviews {
		isOwn := *r.Login == *p.Login
		isBot := strings.HasSuffix(*r.Login, "[bot]")
		if r.Pull == p.Number && !isOwn && (rules.Bots || !isBot) {
			reviews = append(reviews, r)
		}
	}
	slices.SortFunc(reviews, func(a, b githubtest.Review) int {
		return cmp.Or(a.SubmittedAt.Compare(*b.SubmittedAt), cmp.Compare(a.ID, b.ID))
	})
	if len(reviews) > 0 {
		at := *reviews[0].SubmittedAt
		want[flowName(activity.KindFirstReview, p.Number, at)] = activity.Measures{waited(at)}
	}
	if i := slices.IndexFunc(reviews, func(r githubtest.Review) bool { return r.State == "APPROVED" }); i >= 0 {
		at := *reviews[i].SubmittedAt
		want[flowName(activity.KindFirstApproval, p.Number, at)] = activity.Measures{waited(at)}
	}
	for _, at := range p.Closings {
		want[flowName(activity.KindCloseTime, p.Number, at)] = activity.Measures{waited(at)}
	}
	if p.MergedAt == nil {
		return
	}
	before := uint32(0)
	for _, r := range reviews {
		if !r.SubmittedAt.After(*p.MergedAt) {
			before++
		}
	}
	want[flowName(activity.KindMergeTime, p.Number, *p.MergedAt)] = activity.Measures{
		waited(*p.MergedAt), draftSeconds(p, p.CreatedAt, *p.MergedAt),
	}
	want[flowName(activity.KindMergeSize, p.Number, *p.MergedAt)] = activity.Measures{
		before, uint32(p.Additions + p.Deletions),
	}
}

// named gives the measures of events by what naiveFlow calls them.
func named(events map[activity.Key]activity.Event) map[string]activity.Measures {
	got := make(map[string]activity.Measures)
	for _, e := range events {
		got[fmt.Sprintf("%s %x %s", e.Kind, e.ID[:], e.Time.Format(time.RFC3339))] = e.Measures
	}
	return got
}

// TestFlowOfRandomHistories: with each clock, both APIs record what a computation from the data alone gives, whether a
// history is read at once or step by step while it goes on.
func TestFlowOfRandomHistories(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range uint64(12) {
			data := randomFlow(seed)
			rules := flow.Rules{Clock: flow.Clock(seed % 3), Bots: seed%2 == 0}
			want := naiveFlow(data, rules)
			require.Greater(t, len(want), 20)
			b := newBench(t, api, data).withFlowRules(rules)
			start := ago(24 * time.Hour)
			require.Equal(t, want, named(flowOnly(b.all(everything(b.repo("one"))))), "seed %d, at once", seed)
			got, watermark := make(map[activity.Key]activity.Event), start
			rnd := rand.New(rand.NewPCG(seed, 4))
			for minute := -13 * 60; minute <= 0; minute += 1 + rnd.IntN(90) {
				step := noon.Add(time.Duration(minute) * time.Minute)
				b.server.HideAfter(step)
				for key, e := range flowOnly(b.all(since(b.repo("one"), watermark, everyStream...))) {
					if before, ok := got[key]; ok {
						require.Equal(t, before, e, "seed %d", seed)
					}
					got[key] = e
				}
				watermark = step.Add(-time.Minute)
			}
			b.server.HideAfter(noon)
			maps.Copy(got, flowOnly(b.all(since(b.repo("one"), watermark, everyStream...))))
			require.Equal(t, want, named(got), "seed %d, step by step", seed)
		}
	})
}

// busyPull is a pull request with more changes and reviews than a page has.
func busyPull() *githubtest.Dataset {
	data := dataset("one")
	p := pull(data, 1, ago(600*time.Minute))
	for i := range 130 {
		p.DraftAt = append(p.DraftAt, flowMoment(p, 4*i))
		p.ReadyAt = append(p.ReadyAt, flowMoment(p, 4*i+2))
	}
	for i := range 60 {
		review(data, 1, flowMoment(p, 521+i))
	}
	p.MergedAt, p.Additions = new(ago(time.Minute)), 7
	pull(data, 2, ago(30*time.Minute))
	return data
}

// TestFlowOfManyChanges reads them page by page, equally with both APIs.
func TestFlowOfManyChanges(t *testing.T) {
	t.Parallel()
	data := busyPull()
	eachAPI(t, func(t *testing.T, api github.API) {
		b := newBench(t, api, data)
		require.Equal(t, naiveFlow(data, flow.Rules{}), named(flowOnly(b.all(everything(b.repo("one"))))))
		want := map[github.API]map[string]int{
			github.APIGraphQL: {"Timeline": 3}, // 50, 100, 100 and the rest of 261
			github.APIREST:    {issueEventsRoute: 3, pullRoute: 1},
		}
		for route, n := range want[api] {
			require.Equal(t, n, b.requests(route), route)
		}
	})
}

// TestFlowThatFailsFailsAlone: what flow alone needs leaves the pull requests as they are.
func TestFlowThatFailsFailsAlone(t *testing.T) {
	t.Parallel()
	type fault struct {
		api    github.API
		match  githubtest.Match
		effect githubtest.Effect
	}
	unavailable, forbidden := "SERVICE_UNAVAILABLE", "FORBIDDEN"
	activityQuery := githubtest.Match{Operation: "Activity"}
	timeline := githubtest.Match{Operation: "Timeline"}
	for name, test := range map[string]fault{
		"changes, unavailable": {github.APIGraphQL, activityQuery, githubtest.FieldError(
			"byId.pullRequests.nodes.*.timelineItems", unavailable, "Something broke.")},
		"changes, forbidden": {github.APIGraphQL, activityQuery, githubtest.FieldError(
			"byId.pullRequests.nodes.*.timelineItems", forbidden, "Not accessible.")},
		"lines": {github.APIGraphQL, activityQuery, githubtest.FieldError(
			"byId.pullRequests.nodes.*.additions", unavailable, "Something broke.")},
		"more changes": {github.APIGraphQL, timeline, githubtest.FieldError(
			"node.timelineItems", unavailable, "Something broke.")},
		"no pull request": {github.APIGraphQL, timeline, githubtest.FieldError("node", "NOT_FOUND", "Not there.")},
		"REST changes":    {github.APIREST, githubtest.Match{Route: issueEventsRoute}, githubtest.Status(403)},
		"REST, broken":    {github.APIREST, githubtest.Match{Route: issueEventsRoute}, githubtest.TruncatedJSON()},
		"REST lines":      {github.APIREST, githubtest.Match{Route: pullRoute}, githubtest.Status(404)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := busyPull()
			b := newBench(t, test.api, data)
			repo := b.repo("one")
			base := since(repo, ago(24*time.Hour), activity.StreamPulls)
			want := authored(b.all(base))
			injected := b.server.InjectFault(githubtest.Fault{Match: test.match, Effect: test.effect})
			both := base
			both.Streams = both.Streams.WithDependent()
			both.GapStart[activity.StreamPulls] = ago(48 * time.Hour)
			events, outcome := b.read(both)
			require.Positive(t, injected.Hits())
			require.Len(t, outcome.Failed, 1)
			require.Error(t, outcome.Failed[activity.StreamPullFlow])
			require.Equal(t, want, authored(events))

			alone := base
			alone.Streams = activity.StreamsOf(activity.StreamPullFlow)
			_, outcome = b.read(alone)
			require.Len(t, outcome.Failed, 1)
			require.Error(t, outcome.Failed[activity.StreamPullFlow])
			require.Empty(t, outcome.PullScans)

			injected.Disarm()
			require.Equal(t, naiveFlow(data, flow.Rules{}), named(flowOnly(b.all(both))))
			alone.GapStart[activity.StreamPullFlow] = ago(48 * time.Hour)
			events, outcome = b.read(alone)
			require.Empty(t, outcome.Failed)
			require.Equal(t, naiveFlow(data, flow.Rules{}), named(flowOnly(events)))
			require.Zero(t, outcome.GapCoveredFrom[activity.StreamPulls])
			require.Zero(t, outcome.Validators[activity.StreamPulls])
		})
	}
}

// TestFlowThatTimesOut: a query that fails with the flow and succeeds without it fails the flow alone.
func TestFlowThatTimesOut(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, busyPull())
	repo := b.repo("one")
	b.server.InjectFault(githubtest.Fault{
		Match:  githubtest.Match{Operation: "Activity", Variables: map[string]any{"pullFlow": true}},
		Effect: githubtest.GraphQLTimeout(502),
	})
	events, outcome := b.read(everything(repo))
	require.Len(t, outcome.Failed, 1)
	require.ErrorAs(t, outcome.Failed[activity.StreamPullFlow], new(*transport.UnavailableError))
	require.Len(t, authored(events), 63, "two pull requests, a merge and the reviews")
}

// TestFlowIsRequestedWhereItMatters: with REST, a pull request that has not been reviewed or ended since the last
// reading costs nothing more.
func TestFlowIsRequestedWhereItMatters(t *testing.T) {
	t.Parallel()
	recently, before := ago(time.Hour), ago(30*time.Hour)
	for name, test := range map[string]struct {
		change        func(d *githubtest.Dataset, p *githubtest.Pull)
		events, lines int
	}{
		"only opened": {func(_ *githubtest.Dataset, p *githubtest.Pull) { p.CreatedAt = recently }, 0, 0},
		"merged":      {func(_ *githubtest.Dataset, p *githubtest.Pull) { p.MergedAt = &recently }, 1, 1},
		"closed":      {func(_ *githubtest.Dataset, p *githubtest.Pull) { p.ClosedAt = &recently }, 1, 0},
		"reviewed":    {func(d *githubtest.Dataset, _ *githubtest.Pull) { review(d, 1, recently) }, 1, 0},
		"touched, may have been closed": {
			func(_ *githubtest.Dataset, p *githubtest.Pull) { p.TouchedAt = []time.Time{recently} }, 1, 0,
		},
		"merged before": {
			func(_ *githubtest.Dataset, p *githubtest.Pull) {
				p.MergedAt, p.TouchedAt = &before, []time.Time{recently}
			}, 0, 0,
		},
		"closed before": {
			func(_ *githubtest.Dataset, p *githubtest.Pull) {
				p.ClosedAt, p.TouchedAt = &before, []time.Time{recently}
			}, 0, 0,
		},
		"merged before, reviewed now": {
			func(d *githubtest.Dataset, p *githubtest.Pull) {
				p.MergedAt = &before
				review(d, 1, recently)
			}, 1, 0,
		},
		"nothing since": {func(*githubtest.Dataset, *githubtest.Pull) {}, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data := dataset("one")
			test.change(data, pull(data, 1, ago(50*time.Hour)))
			want := map[activity.Key]activity.Event{}
			for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
				b := newBench(t, api, data)
				got := flowOnly(b.all(everything(b.repo("one"))))
				if api == github.APIGraphQL {
					want = got
					continue
				}
				require.Equal(t, want, got)
				require.Equal(t, test.events, b.requests(issueEventsRoute))
				require.Equal(t, test.lines, b.requests(pullRoute))
				b.server.ResetRequests()
				request := everything(b.repo("one"))
				request.Streams = request.Streams.Without(activity.StreamPullFlow)
				require.Empty(t, flowOnly(b.all(request)))
				require.Zero(t, b.requests(issueEventsRoute)+b.requests(pullRoute), "not wanted")
			}
		})
	}
}

// TestFlowOfWhatMovesMeanwhile: a pull request that is merged between the listing and the request for its changes was
// not closed without a merge.
func TestFlowOfWhatMovesMeanwhile(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	pull(data, 1, ago(time.Hour)).Draft = true
	review(data, 1, ago(30*time.Minute))
	b := newBench(t, github.APIREST, data)
	repo := b.repo("one")
	b.once(issueEventsRoute, 1, func(d *githubtest.Dataset) {
		d.Pulls[0].ReadyAt, d.Pulls[0].MergedAt = []time.Time{ago(20 * time.Minute)}, new(ago(10*time.Minute))
	})
	first := flowOnly(b.all(everything(repo)))
	require.Equal(t, map[string]int{"pull_request_first_review": 1, "pull_request_first_approval": 1}, kindsOf(first))
	second := flowOnly(b.all(everything(repo)))
	require.Equal(t, map[string]int{
		"pull_request_first_review": 1, "pull_request_first_approval": 1, "pull_request_merge_time": 1,
		"pull_request_merge_size": 1,
	}, kindsOf(second))
	for key, e := range first {
		require.Equal(t, e, second[key])
	}
}

// kindsOf counts events by their kinds.
func kindsOf(events map[activity.Key]activity.Event) map[string]int {
	counts := make(map[string]int)
	for _, e := range events {
		counts[e.Kind.String()]++
	}
	return counts
}

// TestFlowAndConditions: a listing is conditional when both of its streams have its validator, and "304 Not Modified"
// is the result of both.
func TestFlowAndConditions(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	pull(data, 1, ago(2*time.Hour)).MergedAt = new(ago(time.Hour))
	issue(data, 9, ago(2*time.Hour)).ClosedAt = []time.Time{ago(time.Hour)}
	b := newBench(t, github.APIREST, data)
	repo := b.repo("one")
	streams := []activity.Stream{
		activity.StreamPulls, activity.StreamPullFlow, activity.StreamIssues, activity.StreamIssueFlow,
	}
	request := since(repo, ago(24*time.Hour), streams...)
	events, outcome := b.read(request)
	require.Len(t, flowOnly(events), 3)
	for _, s := range streams {
		require.NotEmpty(t, outcome.Validators[s].ETag, s)
		require.Equal(t, outcome.Validators[s.Base()], outcome.Validators[s])
	}
	validators := outcome.Validators
	unchanged := func(change func(*github.ReadRequest)) (int, github.ReadResult) {
		again := request
		again.Validators = validators
		change(&again)
		b.server.ResetRequests()
		_, outcome := b.read(again)
		require.Empty(t, outcome.Failed)
		return b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Status == 304 }), outcome
	}
	n, outcome := unchanged(func(*github.ReadRequest) {})
	require.Equal(t, 2, n)
	require.Equal(t, validators, outcome.Validators)
	n, _ = unchanged(func(r *github.ReadRequest) { r.Validators[activity.StreamPullFlow] = github.Validator{} })
	require.Equal(t, 1, n, "the flow of pull requests was not read")
	n, _ = unchanged(func(r *github.ReadRequest) { r.Streams = activity.FlowStreams })
	require.Equal(t, 2, n)
	n, outcome = unchanged(func(r *github.ReadRequest) {
		r.Streams, r.Validators = activity.FlowStreams, [activity.NumStreams]github.Validator{}
	})
	require.Zero(t, n)
	require.Zero(t, outcome.Validators[activity.StreamPulls], "was not asked for")
	require.Equal(t, validators[activity.StreamPullFlow], outcome.Validators[activity.StreamPullFlow])
}

// TestFlowInAGroup: a query for several repositories has the flow of those that want it.
func TestFlowInAGroup(t *testing.T) {
	t.Parallel()
	data := dataset("one", "two", "three")
	for i, name := range []string{"one", "two", "three"} {
		p := pull(data, i+1, ago(20*time.Minute))
		p.Repo, p.MergedAt, p.Additions = name, new(ago(10*time.Minute)), i
	}
	b := newBench(t, github.APIGraphQL, data)
	var requests []*github.ReadRequest
	for _, name := range []string{"one", "two", "three"} {
		request := since(b.repo(name), ago(50*time.Minute), activity.StreamPullFlow)
		requests = append(requests, &request)
	}
	requests[1].Streams = activity.StreamsOf(activity.StreamPulls)
	b.client.Prefetch(t.Context(), requests)
	b.server.ResetRequests()
	for i, want := range []int{2, 0, 2} {
		require.Len(t, flowOnly(b.all(*requests[i])), want)
	}
	require.Empty(t, b.server.Requests(), "everything was in the query for all")
}

// TestWindowsOfStreamsInOneListing: a listing begins at the earlier start, and each stream gets the gap that it covers.
func TestWindowsOfStreamsInOneListing(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	pull(data, 1, ago(40*time.Hour)).MergedAt = new(ago(30 * time.Hour))
	pull(data, 2, ago(4*time.Hour)).MergedAt = new(ago(3 * time.Hour))
	const pulls, pullFlow = activity.StreamPulls, activity.StreamPullFlow
	b := newBench(t, github.APIGraphQL, data)
	request := since(b.repo("one"), ago(time.Hour), pulls, pullFlow)
	request.Since[pullFlow] = ago(24 * time.Hour)
	events, outcome := b.read(request)
	require.Len(t, flowOnly(events), 2)
	require.Len(t, authored(events), 2)
	require.Zero(t, outcome.GapCoveredFrom)

	request.GapStart[pullFlow] = ago(72 * time.Hour)
	events, outcome = b.read(request)
	require.Len(t, flowOnly(events), 4)
	require.Equal(t, ago(72*time.Hour), outcome.GapCoveredFrom[pullFlow])
	require.Zero(t, outcome.GapCoveredFrom[pulls])

	request.GapStart = [activity.NumStreams]time.Time{pulls: ago(10 * time.Hour)}
	_, outcome = b.read(request)
	require.Equal(t, ago(10*time.Hour), outcome.GapCoveredFrom[pulls], "the window of the other one has it")
	require.Zero(t, outcome.GapCoveredFrom[pullFlow])
}
