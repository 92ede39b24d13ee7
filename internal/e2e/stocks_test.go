// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// stockConfig is the configuration of a replica that makes a pass every two seconds.
const stockConfig = `
orgs:
  - name: %[1]s
    auth: {token: %[2]s}
    scrape_interval: 2s
    lookback: 48h
github:
  endpoint: %[3]q
  api: %[4]s
  timeout: 3s
  retry: {max_attempts: 2, initial_interval: 10ms, max_interval: 20ms}
  health: {probe_interval: 1s, failure_threshold: 1000}
backfill: {requeue_delays: [1s], sweep_interval: 1s, max_enqueues_per_org_per_minute: 10000}
emit_interval: 1s
`

// stockMetrics are the metrics of what is open.
var stockMetrics = []string{
	"gh_repo_open_pull_requests", "gh_repo_pull_requests_unreviewed", "gh_repo_review_requests",
	"gh_repo_oldest_open_pull_request_unixtime", "gh_repo_open_issues", "gh_repo_oldest_open_issue_unixtime",
}

// stockData has pull requests and issues that are opened, reviewed and closed from twenty days before a time to two
// minutes after it, in repositories of which some have features switched off, and one later.
func stockData(now time.Time) *githubtest.Dataset {
	now = now.UTC().Truncate(time.Second)
	d := &githubtest.Dataset{Org: githubtest.Org{Login: org, From: now.AddDate(0, 0, -60), Until: now.Add(time.Hour)}}
	for _, name := range []string{"one", "two", "three", "quiet", "no-pulls", "no-issues", "later-off"} {
		d.Repos = append(d.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: now.AddDate(-1, 0, 0)})
	}
	d.Repo("no-pulls").PullsOff = []githubtest.Period{{Start: now.AddDate(0, 0, -40)}}
	d.Repo("no-issues").IssuesOff = []githubtest.Period{{Start: now.AddDate(0, 0, -40)}}
	later := []githubtest.Period{{Start: now.Add(20 * time.Second), End: now.Add(45 * time.Second)}}
	d.Repo("later-off").PullsOff, d.Repo("later-off").IssuesOff = later, later
	rnd := rand.New(rand.NewPCG(16, 2))
	for i := range d.Repos {
		addStockHistory(d, rnd, d.Repos[i].Name, now)
	}
	return d
}

// addStockHistory adds what happens in one repository.
func addStockHistory(d *githubtest.Dataset, rnd *rand.Rand, repo string, now time.Time) {
	from, length := now.AddDate(0, 0, -20), 20*24*time.Hour
	count := 40
	if repo == "quiet" { // nothing within the look-back
		length, count = 10*24*time.Hour, 8
	}
	moment := func(after time.Time) time.Time {
		if repo == "quiet" || rnd.IntN(3) > 0 {
			at := from.Add(time.Duration(rnd.Int64N(int64(length)))).Truncate(time.Second)
			if at.After(after) {
				return at
			}
			return after.Add(time.Minute)
		}
		return laterOf(after.Add(time.Second), now.Add(time.Duration(rnd.IntN(60))*time.Second)) // while the test runs
	}
	for n := 1; n <= count; n++ {
		opened := moment(from)
		if n%3 == 0 {
			issue := githubtest.Issue{Repo: repo, Number: n, Login: new("ada"), CreatedAt: opened}
			if rnd.IntN(2) == 0 {
				issue.ClosedAt = []time.Time{moment(opened)}
			}
			d.Issues = append(d.Issues, issue)
			continue
		}
		p := githubtest.Pull{Repo: repo, Number: n, Login: new("bob"), CreatedAt: opened, Draft: rnd.IntN(3) == 0}
		if p.Draft && rnd.IntN(2) == 0 {
			p.ReadyAt = []time.Time{moment(opened)}
		}
		if rnd.IntN(3) == 0 {
			p.ClosedAt = new(moment(opened))
		}
		if rnd.IntN(2) == 0 {
			p.ReviewRequests = []githubtest.ReviewRequest{
				{Login: "eve", At: moment(opened)}, {Team: "owners", At: moment(opened)},
			}
		}
		for _, by := range []string{"eve", "bob"} {
			if rnd.IntN(3) == 0 {
				d.Reviews = append(d.Reviews, githubtest.Review{
					Repo: repo, Pull: n, ID: int64(7000 + len(d.Reviews)), Login: new(by), State: "COMMENTED",
					SubmittedAt: new(moment(opened)),
				})
			}
		}
		d.Pulls = append(d.Pulls, p)
	}
}

// laterOf returns the later one of two times.
func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// wantStocks are the series of what is open, by the data alone, when GitHub shows what happened until a time.
func wantStocks(d *githubtest.Dataset, timeline githubtest.Timeline, visible time.Time) map[string]float64 {
	want := make(map[string]float64)
	for i := range d.Repos {
		s := d.StocksAt(d.Repos[i].Name, lastDataTime(timeline, visible))
		labels := fmt.Sprintf("{org=%q,repo=%q", org, d.Repos[i].Name)
		unix := func(at time.Time) float64 { return float64(timeline.ToServed(at).Unix()) }
		if s.HasPulls {
			want["gh_repo_open_pull_requests"+labels+`,state="ready"}`] = float64(s.Ready)
			want["gh_repo_open_pull_requests"+labels+`,state="draft"}`] = float64(s.Draft)
			want["gh_repo_pull_requests_unreviewed"+labels+"}"] = float64(s.Unreviewed)
			want["gh_repo_review_requests"+labels+"}"] = float64(s.Awaited)
			if !s.OldestPull.IsZero() {
				want["gh_repo_oldest_open_pull_request_unixtime"+labels+"}"] = unix(s.OldestPull)
			}
		}
		if s.HasIssues {
			want["gh_repo_open_issues"+labels+"}"] = float64(s.Issues)
			if !s.OldestIssue.IsZero() {
				want["gh_repo_oldest_open_issue_unixtime"+labels+"}"] = unix(s.OldestIssue)
			}
		}
	}
	return want
}

// stocks returns the series of what is open on the page.
func (c *collector) stocks(ctx context.Context) (map[string]float64, error) {
	page, err := c.page(ctx)
	if err != nil {
		return nil, err
	}
	found := make(map[string]float64)
	for line := range strings.Lines(page) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		metric, _, _ := strings.Cut(name, "{")
		if !ok || !slices.Contains(stockMetrics, metric) {
			continue
		}
		if found[seriesName(name+"}")], err = strconv.ParseFloat(value, 64); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// stockSystem is what a test of stocks runs.
type stockSystem struct {
	t        *testing.T
	data     *githubtest.Dataset
	server   *githubtest.Server
	replicas []*replica
	began    time.Time
}

// startStockSystem starts GitHub and one collector with the embedded store, or two with a Redis.
func startStockSystem(t *testing.T, store, api string) *stockSystem {
	t.Helper()
	s := &stockSystem{t: t, began: time.Now().Truncate(time.Second)}
	s.data = stockData(s.began)
	s.server = githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{s.data}, Limits: highLimits,
		Timeline: githubtest.Timeline{Pivot: s.began, Start: s.began},
	})
	s.server.HideAfter(s.began)
	receiver := fmt.Sprintf(stockConfig, org, githubtest.DefaultToken, s.server.URL, api)
	if store == "embedded" {
		s.replicas = []*replica{startEmbedded(t, receiver)}
	} else {
		s.replicas = startReplicas(t, 2, redistest.Start(t).Address, receiver)
	}
	return s
}

// at waits until some time after the start, and returns it.
func (s *stockSystem) at(after time.Duration) time.Time {
	s.t.Helper()
	waitUntil(s.t, s.began.Add(after))
	return s.began.Add(after)
}

// kill kills the leader. A single collector starts again.
func (s *stockSystem) kill() {
	s.t.Helper()
	if len(s.replicas) == 1 {
		s.replicas[0].Kill()
		s.replicas[0].start(s.t)
		return
	}
	s.replicas[awaitLeader(s.t, s.replicas)].Kill()
}

// requireStocks waits until every replica shows what is open at a time, and nothing else.
func (s *stockSystem) requireStocks(what string, at time.Time) {
	s.t.Helper()
	s.server.HideAfter(at)
	want := wantStocks(s.data, s.server.Timeline(), at)
	for n, r := range s.replicas {
		if r.HasExited() {
			continue
		}
		eventually(s.t, 90*time.Second, func() error {
			found, err := r.stocks(s.t.Context())
			if difference := cmp.Diff(want, found); err == nil && difference != "" {
				err = fmt.Errorf("%s: replica %d differs from the data (-data +page):\n%s", what, n, difference)
			}
			return err
		})
	}
	s.t.Logf("%s: %d series are as the data say", what, len(want))
}

// outage lets GitHub answer nothing for some seconds or, if it is long, until no stock is shown any more: that is after
// the grace of a minute.
func (s *stockSystem) outage(isLong bool) {
	s.t.Helper()
	s.server.InjectFault(githubtest.Fault{Effect: githubtest.Status(http.StatusBadGateway)})
	defer s.server.ClearFaults()
	if !isLong {
		waitUntil(s.t, time.Now().Add(8*time.Second))
		return
	}
	for _, r := range s.replicas {
		if r.HasExited() {
			continue
		}
		eventually(s.t, 3*time.Minute, func() error {
			found, err := r.stocks(s.t.Context())
			if err == nil && len(found) > 0 {
				err = fmt.Errorf("stocks are still shown: %v", found)
			}
			return err
		})
	}
}

// TestStocksMatchTheData compares every metric of what is open in every repository with the data: at three times while
// data arrive, after kill -9, which changes the leader where there are two, and after an outage of GitHub during which
// data arrive. What is switched off is absent, and back when it is on again.
func TestStocksMatchTheData(t *testing.T) {
	for _, test := range []struct {
		store, api string
		isLong     bool
	}{
		{"embedded", "graphql", true},
		{"embedded", "rest", false},
		{"redis", "graphql", false},
		{"redis", "rest", true},
	} {
		t.Run(test.store+"/"+test.api, func(t *testing.T) {
			t.Parallel()
			s := startStockSystem(t, test.store, test.api)
			s.requireStocks("first contact", s.began)
			for _, after := range []time.Duration{15 * time.Second, 30 * time.Second} {
				s.requireStocks("while data arrive", s.at(after))
			}
			moment := s.at(40 * time.Second)
			s.server.HideAfter(moment)
			s.kill()
			s.requireStocks("after kill -9", moment)
			s.server.HideAfter(s.at(50 * time.Second))
			s.outage(test.isLong)
			s.requireStocks("after an outage", s.at(time.Minute))
			for _, r := range s.replicas {
				if !r.HasExited() {
					requireNoSecret(t, r.Output())
				}
			}
		})
	}
}
