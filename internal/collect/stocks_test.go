// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// newStockBench returns a bench whose collector reads stocks.
func newStockBench(t *testing.T, api github.API, data *githubtest.Dataset) *bench {
	t.Helper()
	return newBench(t, api, data, func(s *Settings) { s.ReadsStocks = true })
}

// changeLeader replaces the collector by a new one, as a new leader has.
func (b *bench) changeLeader() { b.collector = New(b.collector.settings, b.tallies) }

// stocks returns what a replica that starts now would show of a repository.
func (b *bench) stocks(repo string) ledgerview.RepoStocks {
	b.t.Helper()
	for id, cov := range b.coverage().Repos {
		if cov.Name == repo {
			return b.newView().RepoStocks(id, b.clock.Now())
		}
	}
	return ledgerview.RepoStocks{}
}

// requireStocks compares the stocks of each repository with the data of now.
func (b *bench) requireStocks(context string) {
	b.t.Helper()
	b.server.Update(func(d *githubtest.Dataset) {
		for i := range d.Repos {
			name := d.Repos[i].Name
			require.Equal(b.t, wantStocks(d, name, b.clock.Now()), b.stocks(name), "%s: %s", name, context)
		}
	})
}

// wantStocks are the stocks of a repository by its rows.
func wantStocks(d *githubtest.Dataset, repo string, at time.Time) (want ledgerview.RepoStocks) {
	s := d.StocksAt(repo, at)
	if s.HasPulls {
		want.Pulls = &ledgerview.PullCounts{
			Ready: s.Ready, Draft: s.Draft, Unreviewed: s.Unreviewed, Awaited: s.Awaited, Oldest: s.OldestPull,
		}
	}
	if s.HasIssues {
		want.Issues = &ledgerview.IssueCounts{Open: s.Issues, Oldest: s.OldestIssue}
	}
	return want
}

// stockHistory changes the pull requests and issues of a dataset at random.
type stockHistory struct {
	rnd    *rand.Rand
	number int
}

// step makes one change at a time.
func (h *stockHistory) step(d *githubtest.Dataset, at time.Time) string {
	repo := d.Repos[h.rnd.IntN(len(d.Repos))].Name
	var open []*githubtest.Pull
	for i := range d.Pulls {
		if p := &d.Pulls[i]; p.Repo == repo && p.ClosedAt == nil {
			open = append(open, p)
		}
	}
	if len(open) == 0 || h.rnd.IntN(3) == 0 {
		return h.stepOfIssues(d, repo, at)
	}
	p := open[h.rnd.IntN(len(open))]
	what := [...]string{
		"merge", "close", "close and reopen", "ready", "draft", "ask", "ask a team", "review", "own review", "pending",
	}
	change := what[h.rnd.IntN(len(what))]
	review := githubtest.Review{
		Repo: repo, Pull: p.Number, ID: int64(5000 + len(d.Reviews)), Login: new("eve"), SubmittedAt: &at,
		State: "COMMENTED",
	}
	switch change {
	case "merge":
		p.MergedAt, p.ClosedAt = &at, &at
	case "close":
		p.ClosedAt = &at
	case "close and reopen":
		p.Closings, p.ReopenedAt = append(p.Closings, at.Add(-time.Second)), append(p.ReopenedAt, at)
	case "ready":
		p.ReadyAt = append(p.ReadyAt, at)
	case "draft":
		p.DraftAt = append(p.DraftAt, at)
	case "ask":
		p.ReviewRequests = append(p.ReviewRequests, githubtest.ReviewRequest{Login: "eve", At: at})
	case "ask a team":
		p.ReviewRequests = append(p.ReviewRequests, githubtest.ReviewRequest{
			Team: "owners", At: at, RemovedAt: at.Add(time.Duration(h.rnd.IntN(90)) * time.Minute),
		})
	case "own review":
		review.Login = p.Login
		d.Reviews = append(d.Reviews, review)
	case "pending":
		review.SubmittedAt, review.State = nil, "PENDING"
		d.Reviews = append(d.Reviews, review)
	default:
		d.Reviews = append(d.Reviews, review)
	}
	return fmt.Sprint(change, " ", repo, "#", p.Number)
}

// stepOfIssues opens a pull request or an issue, or closes, reopens or removes an issue.
func (h *stockHistory) stepOfIssues(d *githubtest.Dataset, repo string, at time.Time) string {
	h.number++
	issue := d.Issue(repo, h.number-1-h.rnd.IntN(5))
	switch h.rnd.IntN(5) {
	case 0, 1:
		d.Pulls = append(d.Pulls, githubtest.Pull{
			Repo: repo, Number: h.number, Login: new("bob"), CreatedAt: at, Draft: h.rnd.IntN(3) == 0,
		})
		return fmt.Sprint("open ", repo, "#", h.number)
	case 2:
		if issue != nil && len(issue.ClosedAt) == len(issue.ReopenedAt) {
			issue.ClosedAt = append(issue.ClosedAt, at)
			return fmt.Sprint("close issue ", repo, "#", issue.Number)
		}
	case 3:
		if issue != nil && len(issue.ClosedAt) > len(issue.ReopenedAt) {
			issue.ReopenedAt = append(issue.ReopenedAt, at)
			return fmt.Sprint("reopen issue ", repo, "#", issue.Number)
		}
	}
	d.Issues = append(d.Issues, githubtest.Issue{Repo: repo, Number: h.number, Login: new("ada"), CreatedAt: at})
	return fmt.Sprint("open issue ", repo, "#", h.number)
}

// TestStocksOfRandomHistories: whatever happens, after each pass every stock is what the data say, with either API, and
// with leaders that come and go.
func TestStocksOfRandomHistories(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		for seed := range uint64(4) {
			data := newDataset("one", "two", "three")
			b := newStockBench(t, api, data)
			h := &stockHistory{rnd: rand.New(rand.NewPCG(seed, 3)), number: 1}
			b.server.Update(func(d *githubtest.Dataset) {
				for range 20 {
					h.step(d, noon.AddDate(0, 0, -1-h.rnd.IntN(30)).Truncate(time.Hour))
				}
			})
			for pass := range 25 {
				b.clock.Advance(time.Duration(1+h.rnd.IntN(9)) * time.Minute)
				var log []string
				b.server.Update(func(d *githubtest.Dataset) {
					for range h.rnd.IntN(5) {
						log = append(log, h.step(d, b.clock.Now().Add(-time.Duration(h.rnd.IntN(50))*time.Second)))
					}
				})
				if h.rnd.IntN(5) == 0 {
					b.changeLeader()
				}
				require.Empty(t, b.pass().Failures)
				b.requireStocks(fmt.Sprint("seed ", seed, ", pass ", pass, ": ", log))
			}
		}
	})
}

// addOpenPulls adds n open pull requests, an hour apart.
func addOpenPulls(d *githubtest.Dataset, repo string, n int, last time.Time) {
	for i := range n {
		addPull(d, repo, 1+i, last.Add(-time.Duration(n-i)*time.Hour), nil)
	}
}

// TestStocksOfLargeRepository: of a repository with more open pull requests than a page has, changes are read without
// listing all of them again, as long as the number agrees.
func TestStocksOfLargeRepository(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addOpenPulls(data, "one", 250, noon.AddDate(0, 0, -2))
	b := newStockBench(t, github.APIGraphQL, data)
	listings := func() int {
		return b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Operation == "OpenPulls" })
	}
	b.pass()
	b.requireStocks("first contact")
	require.Equal(t, 3, listings())
	for i := range 5 {
		b.clock.Advance(10 * time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			at := b.clock.Now().Add(-time.Minute)
			d.Pull("one", 10+i).ClosedAt = &at
			addReview(d, "one", 100+i, at)
			addPull(d, "one", 1000+i, at, nil)
		})
		b.pass()
		b.requireStocks("after changes")
	}
	require.Equal(t, 3, listings(), "all were listed once")
	b.clock.Advance(10 * time.Minute)
	b.server.Update(func(d *githubtest.Dataset) { // a pull request that no update shows: the numbers differ
		d.Pulls = slices.Delete(d.Pulls, 150, 151)
		addReview(d, "one", 200, b.clock.Now().Add(-time.Minute))
	})
	b.pass()
	b.requireStocks("after a change without an update")
	require.Equal(t, 6, listings())
}

// TestStocksThatCannotBeRead: a stock whose reading fails is shown for the grace and not longer, and is there again
// with the first success, also after a change of the leader.
func TestStocksThatCannotBeRead(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addOpenPulls(data, "one", 2, noon.Add(-time.Hour))
		data.Issues = append(data.Issues, githubtest.Issue{Repo: "one", Number: 9, CreatedAt: noon.Add(-3 * time.Hour)})
		b := newStockBench(t, api, data)
		b.pass()
		b.requireStocks("first contact")
		before := b.stocks("one")
		fail := githubtest.Match{Operation: "Stocks"}
		if api == github.APIREST {
			fail = githubtest.Match{Query: "state=open"}
		}
		b.server.InjectFault(githubtest.Fault{Match: fail, Effect: githubtest.Status(http.StatusBadGateway)})
		b.clock.Advance(5 * time.Minute)
		b.server.Update(func(d *githubtest.Dataset) {
			at := b.clock.Now().Add(-time.Minute)
			addPull(d, "one", 5, at, nil)
			d.Issues[0].ClosedAt = append(d.Issues[0].ClosedAt, at)
		})
		require.Equal(t, PassSuccess, b.pass().Status, "the activity was read")
		require.Equal(t, before, b.stocks("one"), "within the grace")
		b.changeLeader()
		for range 4 {
			b.clock.Advance(5 * time.Minute)
			b.pass()
		}
		require.Equal(t, ledgerview.RepoStocks{}, b.stocks("one"), "unknown is not zero")
		b.server.ClearFaults()
		b.changeLeader()
		b.clock.Advance(5 * time.Minute)
		b.pass()
		b.requireStocks("after the fault")
	})
}

// TestStocksAfterAnOutage: while nothing can be read the stocks are shown for the grace, and with the first pass after
// it they are right, also when backfill has read the gap before.
func TestStocksAfterAnOutage(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		addOpenPulls(data, "one", 3, noon.Add(-time.Hour))
		b := newBench(t, api, data, func(s *Settings) { s.ReadsStocks, s.BackfillEnabled = true, true })
		b.pass()
		b.fillGaps()
		b.requireStocks("first contact")
		outage := githubtest.Match{Repo: "one"}
		if api == github.APIGraphQL {
			outage = githubtest.Match{Operation: "Activity"}
		}
		b.server.InjectFault(githubtest.Fault{Match: outage, Effect: githubtest.Status(http.StatusBadGateway)})
		for i := range 6 {
			b.clock.Advance(5 * time.Minute)
			at := b.clock.Now().Add(-time.Minute)
			b.server.Update(func(d *githubtest.Dataset) { addPull(d, "one", 10+i, at, nil) })
			b.pass()
		}
		require.Nil(t, b.stocks("one").Pulls)
		require.NotNil(t, b.stocks("two").Pulls)
		b.server.ClearFaults()
		b.clock.Advance(time.Minute)
		b.fillGaps()
		require.Nil(t, b.stocks("one").Pulls, "backfill reads activity, no stocks")
		b.clock.Advance(time.Hour) // backoffs end
		b.pass()
		b.requireStocks("after the outage")
	})
}

// TestStocksOfDisabledFeatures: what is switched off has no stock, is not asked for, and is counted again when it is
// back.
func TestStocksOfDisabledFeatures(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addOpenPulls(data, "one", 2, noon.Add(-time.Hour))
		data.Issues = append(data.Issues, githubtest.Issue{Repo: "one", Number: 9, CreatedAt: noon.Add(-3 * time.Hour)})
		off := []githubtest.Period{{Start: noon.Add(30 * time.Minute), End: noon.Add(90 * time.Minute)}}
		data.Repos[0].PullsOff, data.Repos[0].IssuesOff = off, off
		b := newStockBench(t, api, data)
		b.pass()
		b.requireStocks("on")
		b.clock.Advance(45 * time.Minute)
		b.server.ResetRequests()
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireStocks("off")
		b.requireNoGaps()
		b.clock.Advance(5 * time.Minute)
		b.server.ResetRequests()
		b.changeLeader()
		require.Equal(t, PassSuccess, b.pass().Status)
		require.Zero(t, b.server.CountRequests(isStockRequest), "%v", b.server.Requests())
		b.clock.Advance(time.Hour)
		b.server.Update(func(d *githubtest.Dataset) { addPull(d, "one", 3, noon.Add(80*time.Minute), nil) })
		require.Equal(t, PassSuccess, b.pass().Status)
		b.requireStocks("on again")
	})
}

// isStockRequest reports whether a request is about stocks alone.
func isStockRequest(r githubtest.RequestInfo) bool {
	return slices.Contains([]string{"Stocks", "OpenPulls", "PullStates"}, r.Operation) ||
		strings.Contains(r.Query, "state=open")
}

// TestStocksAreReconciled: a deleted issue and a removed request move no signal; reconciliation finds both.
func TestStocksAreReconciled(t *testing.T) {
	t.Parallel()
	data := newDataset("one", "quiet")
	addOpenPulls(data, "one", 2, noon.Add(-time.Hour))
	data.Pulls[0].ReviewRequests = []githubtest.ReviewRequest{{Login: "left", At: noon.Add(-time.Hour)}}
	old := noon.AddDate(0, 0, -30)
	data.Issues = []githubtest.Issue{
		{Repo: "quiet", Number: 1, CreatedAt: old}, {Repo: "quiet", Number: 2, CreatedAt: old.Add(time.Hour)},
	}
	b := newStockBench(t, github.APIGraphQL, data)
	b.pass()
	b.requireStocks("first contact")
	b.clock.Advance(5 * time.Minute)
	b.server.Update(func(d *githubtest.Dataset) {
		d.Issues[0].GoneAt, d.Pulls[0].ReviewRequests = b.clock.Now(), nil
	})
	_, err := b.collector.Reconcile(t.Context(), 1)
	require.NoError(t, err)
	b.clock.Advance(5 * time.Minute)
	b.pass()
	b.requireStocks("after the reconciliation")
}

// TestStocksAreOptional: without them there is no request, and those of before are due when they are read again.
func TestStocksAreOptional(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addOpenPulls(data, "one", 2, noon.Add(-time.Hour))
		b := newStockBench(t, api, data)
		b.pass()
		b.requireStocks("first contact")
		b.collector.settings.ReadsStocks = false
		b.changeLeader()
		b.clock.Advance(5 * time.Minute)
		b.server.ResetRequests()
		b.server.Update(func(d *githubtest.Dataset) { addPull(d, "one", 5, b.clock.Now().Add(-time.Minute), nil) })
		b.pass()
		require.Zero(t, b.server.CountRequests(isStockRequest))
		b.collector.settings.ReadsStocks = true
		b.changeLeader()
		b.clock.Advance(5 * time.Minute)
		b.pass()
		b.requireStocks("read again")
	})
}

// TestStocksAreDueAfterAFailedCommit: where the commit failed that said that a stock is due, or that it ended, the next
// one says so: a stock that cannot be read again is not shown for longer than the grace.
func TestStocksAreDueAfterAFailedCommit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "off")
		addOpenPulls(data, "one", 3, noon.Add(-time.Hour))
		addOpenPulls(data, "off", 3, noon.Add(-time.Hour))
		off := []githubtest.Period{{Start: noon.Add(6 * time.Minute), End: noon.Add(11 * time.Minute)}}
		data.Repos[1].PullsOff = off
		b := newStockBench(t, api, data)
		store := &failingAfter{countingStore: b.store, left: -1}
		b.collector.settings.Store = store
		b.pass()
		b.requireStocks("before")
		b.clock.Advance(7 * time.Minute)
		at := b.clock.Now().Add(-time.Minute)
		b.server.Update(func(d *githubtest.Dataset) { addPull(d, "one", 10, at, nil) })
		store.failAfter(0)
		_, err := b.collector.Pass(t.Context(), 1)
		require.Error(t, err)
		store.failAfter(1) // the repositories are recorded, and nothing after that
		_, err = b.collector.Pass(t.Context(), 1)
		require.Error(t, err)
		store.failAfter(-1)
		b.server.InjectFault(githubtest.Fault{
			Match: githubtest.Match{Func: isStockRequest}, Effect: githubtest.Status(http.StatusBadGateway),
		})
		for range 5 {
			b.clock.Advance(5 * time.Minute)
			b.pass()
		}
		require.Nil(t, b.stocks("one").Pulls)
		require.Nil(t, b.stocks("off").Pulls)
	})
}
