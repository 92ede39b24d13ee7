// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

const interval = 5 * time.Minute

// TestPassesRecordADayOfActivity makes passes over a day of recorded activity as it arrives and compares the ledger
// with the data.
func TestPassesRecordADayOfActivity(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := loadRecordedData(t)
		b := newBench(t, api, data, func(s *Settings) { s.Lookback = 720 * time.Hour })
		end := data.LastEventTime().Truncate(time.Second)
		b.clock.now = end.Add(-24 * time.Hour)
		for b.clock.Now().Before(end) {
			require.Empty(t, b.pass().Failures)
			b.clock.Advance(time.Hour)
		}
		b.pass()
		b.fillGaps()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
		requireAllRecorded(t, b, data)
	})
}

// requireAllRecorded compares the totals by repository and user with the data.
func requireAllRecorded(t *testing.T, b *bench, data *githubtest.Dataset) {
	t.Helper()
	now := b.clock.Now()
	want := make(map[ledgerview.Series][activity.NumAuthorKinds]uint64)
	count := func(repo string, login *string, otherwise string, kind activity.Kind, at time.Time) {
		if at.After(now) {
			return
		}
		series := ledgerview.Series{Repo: repo, User: otherwise}
		if login != nil {
			series.User = *login
		}
		counts := want[series]
		counts[kind.Index()]++
		want[series] = counts
	}
	for _, c := range data.Commits {
		count(c.Repo, c.Login, activity.LoginUnlinkedGitAuthor, activity.KindCommit, c.CommittedAt)
	}
	for _, p := range data.Pulls {
		count(p.Repo, p.Login, activity.LoginGhost, activity.KindPullRequestOpened, p.CreatedAt)
		if p.MergedAt != nil {
			count(p.Repo, p.Login, activity.LoginGhost, activity.KindPullRequestMerged, *p.MergedAt)
		}
	}
	for _, r := range data.Reviews {
		count(r.Repo, r.Login, activity.LoginGhost, activity.KindReviewSubmitted, *r.SubmittedAt)
	}
	for _, c := range data.Comments {
		count(c.Repo, c.Login, activity.LoginGhost, activity.KindIssueComment, c.CreatedAt)
	}
	for _, is := range data.OpenedIssues() {
		count(is.Repo, is.Login, activity.LoginGhost, activity.KindIssueOpened, is.CreatedAt)
		for _, at := range is.ClosedAt {
			count(is.Repo, is.Login, activity.LoginGhost, activity.KindIssueClosed, at)
		}
	}
	got := make(map[ledgerview.Series][activity.NumAuthorKinds]uint64)
	for series, v := range b.metrics() {
		totals := v.Of[ledgerview.MetricTotal:]
		got[series] = [activity.NumAuthorKinds]uint64(totals[:activity.NumAuthorKinds])
	}
	require.Equal(t, want, got)
}

// thousandRepos returns an organization of 1,000 repositories of which each has a commit, a pull request and an issue.
func thousandRepos() *githubtest.Dataset {
	d := newDataset()
	old := noon.AddDate(0, 0, -10)
	for i := range 1000 {
		name := fmt.Sprintf("repo-%04d", i)
		d.Repos = append(
			d.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, -i)},
		)
		addCommit(d, name, old)
		addPull(d, name, 1, old, nil)
		addComment(d, name, 2, old)
	}
	return d
}

// TestPassCost bounds the requests and points of an idle pass over 1,000 repositories, and of one with 50 changed.
func TestPassCost(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, thousandRepos(), func(s *Settings) { s.Concurrency, s.ReadsStocks = 8, true })
	require.Equal(t, PassSuccess, b.pass().Status)
	b.fillGaps()
	b.requireNoGaps()
	t.Logf(
		"first contact: %d requests, %d GraphQL points, of them %d requests for stocks", len(b.server.Requests()),
		b.server.PointsSpent("graphql"), b.server.CountRequests(isStockRequest),
	)
	b.clock.Advance(interval)
	b.server.ResetRequests()

	idle := b.pass()
	require.Equal(t, 1000, idle.Repositories)
	require.Zero(t, idle.Changed)
	require.LessOrEqual(
		t, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Resource == "graphql" }), 10,
	)
	require.LessOrEqual(t, b.server.PointsSpent("graphql"), 25)
	require.Zero(t, b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Resource != "graphql" }))
	require.Zero(t, b.server.PointsSpent("core"))
	t.Logf(
		"nothing of 1,000 changed: %d requests, %d GraphQL points", len(b.server.Requests()),
		b.server.PointsSpent("graphql"),
	)

	b.clock.Advance(interval)
	b.server.Update(func(d *githubtest.Dataset) {
		at := b.clock.Now().Add(-time.Minute)
		for i := range 50 {
			name := fmt.Sprintf("repo-%04d", i*20)
			addCommit(d, name, at)
			addPull(d, name, 3, at, &at)
			addReview(d, name, 3, at)
			addComment(d, name, 2, at)
			publish(d, name, int64(i+1), at)
		}
	})
	b.server.ResetRequests()
	changed := b.pass()
	require.Equal(t, 50, changed.Changed)
	require.Equal(t, 50*(6+4), changed.Events, "four of them of the flow of pull requests")
	require.Empty(t, changed.Failures)
	require.LessOrEqual(t, len(b.server.Requests()), 90)
	require.LessOrEqual(t, b.server.PointsSpent("graphql"), 45)
	t.Logf(
		"50 of 1,000 changed: %d requests, %d GraphQL points", len(b.server.Requests()),
		b.server.PointsSpent("graphql"),
	)
}

// TestFirstContact: a pass reads the last 24 h of a new repository, records what the responses have of the time before,
// and leaves the rest as gaps. With REST, each pull request is a request.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-10*24*time.Hour))
		addCommit(data, "one", noon.Add(-2*time.Hour))
		addCommit(data, "one", noon.Add(-20*24*time.Hour)) // before the look-back
		addPull(data, "one", 1, noon.Add(-5*24*time.Hour), nil)
		b := newBench(t, api, data)
		missing, events := commits, 2
		if api == github.APIREST {
			missing, events = (commits | pulls).WithDependent(), 1
		}
		require.Equal(t, events, b.pass().Events)
		cov := b.coverage()
		require.Len(t, cov.Gaps(), missing.Len())
		for _, gap := range cov.Gaps() {
			require.True(t, missing.Has(gap.Stream), gap.Stream)
			require.Equal(
				t, activity.Window{Start: noon.Add(-14 * 24 * time.Hour), End: noon.Add(-24 * time.Hour)}, gap.Window,
			)
		}
		require.Equal(t, uint64(1), b.metrics().total("one", activity.KindCommit))
		ada := b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.False(t, ada.Present.Has(ledgerview.MetricLinesAdded), "the last week has not been read yet")
		b.fillGaps()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(2), b.metrics().total("one", activity.KindCommit))
		ada = b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.True(t, ada.Present.Has(ledgerview.MetricLinesAdded))
		require.Equal(t, uint64(10), ada.Of[ledgerview.MetricLinesAdded])
	})
}

// TestLatePush: a commit that is pushed long after its date is recorded.
func TestLatePush(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-48*time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fillGaps()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			addCommit(d, "one", noon.Add(-72*time.Hour)).PushedAt = b.clock.Now()
		})
		require.Equal(t, 1, b.pass().Events)
		require.Equal(t, uint64(2), b.metrics().total("one", activity.KindCommit))
	})
}

// TestFirstPushOfOldHistory: commits that are older than the first contact with their repository are recorded.
func TestFirstPushOfOldHistory(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		addCommit(data, "two", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fillGaps()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			for i := range 150 {
				addCommit(d, "one", noon.Add(-time.Duration(100-i/2)*time.Hour)).PushedAt = b.clock.Now()
			}
		})
		require.Equal(t, 150, b.pass().Events)
	})
}

// TestFutureCommit: a commit that is dated in the future is recorded when it is first read.
func TestFutureCommit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			addCommit(d, "one", b.clock.Now().Add(300*time.Hour)).PushedAt = b.clock.Now()
		})
		require.Equal(t, 1, b.pass().Events)
		ada := b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.Equal(t, uint64(2), ada.Of[ledgerview.MetricCount])
		require.Equal(t, uint64(b.clock.Now().Unix()), ada.Of[ledgerview.MetricLastEvent])
		b.clock.Advance(interval)
		require.Zero(t, b.pass().Events)
	})
}

// TestRename: totals continue under the new name, and those of a new repository with the old name are separate.
func TestRename(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("old")
		addCommit(data, "old", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) { d.Rename("old", "new") })
		require.Zero(t, b.pass().Events)
		require.Equal(t, uint64(1), b.metrics().total("new", activity.KindCommit))
		require.Zero(t, b.metrics().total("old", activity.KindCommit))
	})
}

// TestGoneAndBack: a repository's series end while it is gone, and what was missed is read when it is back.
func TestGoneAndBack(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		addCommit(data, "one", noon.Add(-time.Hour))
		addCommit(data, "two", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fillGaps()
		repo := *data.Repo("one")
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").TransferredTo = "elsewhere" })
		b.clock.Advance(interval)
		b.pass()
		require.Zero(t, b.metrics().total("one", activity.KindCommit))
		require.Equal(t, uint64(1), b.metrics().total("two", activity.KindCommit))
		b.server.Update(func(d *githubtest.Dataset) {
			addCommit(d, "one", b.clock.Now())
			*d.Repo("one") = repo
		})
		b.clock.Advance(interval)
		b.pass()
		b.fillGaps()
		require.Equal(t, uint64(2), b.metrics().total("one", activity.KindCommit))
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
	})
}

// TestFailingStream: a stream that fails leaves a gap and does not stop the others; the gap is closed when the fault
// ends, and no metric changes meanwhile.
func TestFailingStream(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		addComment(data, "one", 1, noon.Add(-time.Hour))
		addComment(data, "two", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fillGaps()
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Repo: "one", Route: "/repos/{owner}/{repo}/issues/comments"},
			Effect: githubtest.Status(503),
		})
		edge := b.coverage().Edge
		for range 3 {
			at := b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) {
				addComment(d, "one", 1, at.Add(-time.Minute))
				addComment(d, "two", 1, at.Add(-time.Minute))
			})
			result := b.pass()
			require.Equal(t, PassPartial, result.Status)
			require.Len(t, result.Failures, 1)
			var unavailable *transport.UnavailableError
			require.ErrorAs(t, result.Failures[0].Err, &unavailable)
		}
		cov := b.coverage()
		require.Equal(t, b.clock.Now(), cov.Edge)
		require.Equal(t, edge, cov.OldestUncovered())
		require.Len(t, cov.Gaps(), 1)
		require.Equal(t, uint64(4), b.metrics().total("two", activity.KindIssueComment))
		require.Equal(t, uint64(1), b.metrics().total("one", activity.KindIssueComment))
		b.server.ClearFaults()
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(4), b.metrics().total("one", activity.KindIssueComment))
	})
}

// TestLongOutage: after three days without a pass, the last day is read at once, and the rest is a gap.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "quiet")
		addCommit(data, "one", noon.Add(-time.Hour))
		addCommit(data, "quiet", noon.Add(-time.Hour))
		addPull(data, "one", 1, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data)
		b.pass()
		b.fillGaps()
		end := b.clock.Advance(72 * time.Hour)
		b.server.Update(func(d *githubtest.Dataset) {
			for h := range 72 {
				at := noon.Add(time.Duration(h)*time.Hour + time.Minute)
				addCommit(d, "one", at)
				addPull(d, "one", 10+h, at, &at)
				addReview(d, "one", 10+h, at)
				addComment(d, "one", 1000+h, at)
			}
		})
		require.Equal(t, PassSuccess, b.pass().Status)
		cov := b.coverage()
		require.Equal(t, end, cov.Edge)
		require.NotEmpty(t, cov.Gaps(), "two days are still to be read")
		b.fillGaps()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		for kind, want := range map[activity.Kind]uint64{
			activity.KindCommit: 73, activity.KindPullRequestOpened: 73, activity.KindPullRequestMerged: 72,
			activity.KindReviewSubmitted: 72, activity.KindIssueComment: 72,
		} {
			require.Equal(t, want, b.metrics().total("one", kind), kind)
		}
	})
}

// TestForbiddenRepository: a forbidden repository does not delay the others and is requested ever more rarely.
func TestForbiddenRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		addComment(data, "one", 1, noon.Add(-time.Hour))
		addComment(data, "two", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Repo: "one", Route: "/repos/{owner}/{repo}/issues/comments"},
			Effect: githubtest.Status(403),
		})
		for range 24 { // two hours
			require.Equal(t, PassPartial, b.pass().Status, "also while it is not requested")
			b.clock.Advance(interval)
		}
		asked := b.server.CountRequests(func(r githubtest.RequestInfo) bool {
			return r.Repo == "one" && r.Route == "/repos/{owner}/{repo}/issues/comments"
		})
		require.LessOrEqual(t, asked, 2*5, "twice in the first pass and the next one, then after 15, 30 and 60 minutes")
		require.Equal(t, uint64(1), b.metrics().total("two", activity.KindIssueComment))
		b.server.ClearFaults()
		b.clock.Advance(maxRefusedDelay)
		b.pass()
		require.Equal(t, uint64(1), b.metrics().total("one", activity.KindIssueComment))
	})
}

// TestOrganizationFails: the recorded data stay as they are, whatever the failure is.
func TestOrganizationFails(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		before := b.coverage()
		for _, fault := range []githubtest.Effect{
			githubtest.Status(401), githubtest.Status(404), githubtest.Status(403), githubtest.Status(500),
			githubtest.TruncatedJSON(), githubtest.HTML(200), githubtest.ConnectionReset(), githubtest.WrongLength(),
		} {
			b.server.InjectFault(githubtest.Fault{Effect: fault})
			b.clock.Advance(interval)
			result, err := b.collector.Pass(t.Context(), 1)
			require.Error(t, err, fault.Kind)
			require.Equal(t, PassFailure, result.Status, fault.Kind)
			b.server.ClearFaults()
		}
		require.Equal(t, before, b.coverage())
		b.clock.Advance(48 * time.Hour)
		ada := b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.Equal(t, uint64(1), ada.Of[ledgerview.MetricCount], "an outage does not count down")
		require.Equal(t, uint64(8), b.tally(TallyRuns, string(PassFailure)))
	})
}

// TestLimit: a limit ends the pass, which returns when the next one may run; nothing else is requested meanwhile.
func TestLimit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two", "three", "four", "five", "six", "seven", "eight")
		for _, r := range data.Repos {
			addComment(data, r.Name, 1, noon.Add(-time.Hour))
		}
		b := newBench(t, api, data, func(s *Settings) { s.Concurrency = 2 })
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Route: "/repos/{owner}/{repo}/issues/comments"},
			Effect: githubtest.SecondaryLimit(429, 90*time.Second),
		})
		result := b.pass()
		require.Equal(t, PassPartial, result.Status)
		require.Equal(t, b.clock.Now().Add(90*time.Second).Unix(), result.RetryAt.Unix())
		limited := b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Status == 429 })
		require.LessOrEqual(t, limited, 2, "at most as many as were under way")
		b.server.ClearFaults()
		b.clock.Advance(2 * time.Minute)
		require.Equal(t, PassSuccess, b.pass().Status)
		require.Equal(t, uint64(1), b.metrics().total("eight", activity.KindIssueComment))
	})
}

// TestEmptyListingIsAnError: a listing without repositories does not count as an empty organization.
func TestEmptyListingIsAnError(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		addCommit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.server.Update(func(d *githubtest.Dataset) { d.Repos = nil })
		_, err := b.collector.Pass(t.Context(), 1)
		require.ErrorIs(t, err, ErrNoRepositories)
		require.Equal(t, uint64(1), b.metrics().total("one", activity.KindCommit))
	})
}

// TestEmptyRepository: an empty repository is no error, in any pass.
func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "void")
		data.Repo("void").Empty = true
		b := newBench(t, api, data)
		for range 3 {
			require.Equal(t, PassSuccess, b.pass().Status)
			b.clock.Advance(interval)
		}
		b.fillGaps()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
	})
}

// TestArchivedAndForks: archived repositories and forks are read only with their settings.
func TestArchivedAndForks(t *testing.T) {
	t.Parallel()
	data := newDataset("one", "attic", "fork", "secret")
	for _, r := range data.Repos {
		addCommit(data, r.Name, noon.Add(-time.Hour))
	}
	data.Repo("attic").Archived = true
	data.Repo("fork").Fork = true
	for name, test := range map[string]struct {
		filter func(t *testing.T) Filter
		want   []string
	}{
		"default":  {allRepositoriesFilter, []string{"one", "secret"}},
		"archived": {newFilter([]string{"*"}, nil, true, false), []string{"one", "secret", "attic"}},
		"forks":    {newFilter([]string{"*"}, nil, false, true), []string{"one", "secret", "fork"}},
		"patterns": {newFilter([]string{"*"}, []string{"SEC*"}, true, true), []string{"one", "attic", "fork"}},
		"names":    {newFilter([]string{"One", "two", "secret"}, nil, false, false), []string{"one", "secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, github.APIGraphQL, data, func(s *Settings) { s.Filter = test.filter(t) })
			require.Equal(t, len(test.want), b.pass().Repositories, "what the filter leaves out does not count")
			var got []string
			for series := range b.metrics() {
				got = append(got, series.Repo)
			}
			require.ElementsMatch(t, test.want, got)
		})
	}
}

// newFilter returns a function that makes a filter, for the tables of tests.
func newFilter(include, exclude []string, archived, forks bool) func(t *testing.T) Filter {
	return func(t *testing.T) Filter {
		t.Helper()
		f, err := NewFilter(include, exclude, archived, forks)
		require.NoError(t, err)
		return f
	}
}

// TestPatternsWithoutAMatch: a pass returns the patterns that match no repository, neither archived nor fork.
func TestPatternsWithoutAMatch(t *testing.T) {
	t.Parallel()
	data := newDataset("one", "attic", "fork")
	data.Repo("attic").Archived = true
	data.Repo("fork").Fork = true
	include, exclude := []string{"o*", "Attic", "{one,two}", "fork", "on"}, []string{"FORK", "*[bot]", "one?"}
	b := newBench(
		t, github.APIGraphQL, data, func(s *Settings) { s.Filter = newFilter(include, exclude, false, false)(t) },
	)
	result := b.pass()
	require.Equal(
		t, UnmatchedPatterns{Include: []string{"{one,two}", "on"}, Exclude: []string{"*[bot]", "one?"}},
		result.UnmatchedPatterns,
	)
	require.Equal(t, 1, result.Repositories)
	b.server.Update(func(d *githubtest.Dataset) {
		d.Repos = append(d.Repos, githubtest.Repo{Name: "One2", CreatedAt: noon.Add(-time.Hour)})
	})
	result = b.pass()
	require.Equal(
		t, UnmatchedPatterns{Include: []string{"{one,two}", "on"}, Exclude: []string{"*[bot]"}},
		result.UnmatchedPatterns,
	)
}

// TestArchivedRepositoryKeepsItsEvents: the events of a repository that is archived later stay recorded.
func TestArchivedRepositoryKeepsItsEvents(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addCommit(data, "one", noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").Archived = true })
	b.clock.Advance(25 * time.Hour)
	b.pass()
	ada := b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
	require.True(t, ada.Present.Has(ledgerview.MetricCount))
	require.Zero(t, ada.Of[ledgerview.MetricCount])
	require.Equal(t, uint64(1), ada.Of[ledgerview.MetricTotal])
}

// TestFenced: a pass with an old fence writes nothing and returns ledger.ErrFenced.
func TestFenced(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addCommit(data, "one", noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	_, err := b.collector.Pass(t.Context(), 7)
	require.NoError(t, err)
	b.clock.Advance(interval)
	_, err = b.collector.Pass(t.Context(), 6)
	require.ErrorIs(t, err, ledger.ErrFenced)
	require.Equal(t, noon, b.coverage().Edge)
	_, err = b.collector.Pass(t.Context(), 7)
	require.NoError(t, err)
	require.Positive(t, b.tally(TallyStoreWrites, sourceLeader, resultFenced))
}

// TestPassStops: a pass ends at once when its context ends, and the next one reads everything.
func TestPassStops(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addCommit(data, "one", noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	b.server.InjectFault(githubtest.Fault{Effect: githubtest.Hang()})
	ctx, cancel := context.WithCancel(t.Context())
	b.server.OnRequest(func(githubtest.RequestInfo) { cancel() })
	_, err := b.collector.Pass(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	b.server.ClearFaults()
	require.Equal(t, 1, b.pass().Events)
}

// failingStore fails commits while it is set to fail.
type failingStore struct {
	Recorder
	err error
}

func (s *failingStore) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	if s.err != nil {
		return ledger.Receipt{}, s.err
	}
	return s.Recorder.Commit(ctx, fence, b)
}

// TestStoreFails: a pass returns the error of the store, counts it when the store is back, and loses nothing.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addCommit(data, "one", noon.Add(-time.Hour))
	store := &failingStore{}
	b := newBench(t, github.APIGraphQL, data, func(s *Settings) {
		store.Recorder = s.Store
		s.Store = store
	})
	store.err = errors.New("disk full")
	_, err := b.collector.Pass(t.Context(), 1)
	require.ErrorIs(t, err, store.err)
	store.err = nil
	require.Equal(t, 1, b.pass().Events)
	require.Positive(t, b.tally(TallyStoreWrites, sourceLeader, resultFailure))
	require.Equal(t, uint64(1), b.tally(TallyRuns, string(PassFailure)))
	require.Equal(t, uint64(1), b.tally(TallyRuns, string(PassSuccess)))
}

// TestReconcile: a reconciliation finds nothing as long as the signals are reliable, and what they hid when they are
// not.
func TestReconcile(t *testing.T) {
	t.Parallel()
	data := newDataset("one")
	addCommit(data, "one", noon.Add(-time.Hour))
	addPull(data, "one", 1, noon.Add(-time.Hour), nil)
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.fillGaps()
	b.clock.Advance(interval)
	b.pass()
	result, err := b.collector.Reconcile(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, result.Repositories)
	require.Zero(t, result.Found)

	b.server.Update(func(d *githubtest.Dataset) { // a review that moved nothing
		addReview(d, "one", 1, noon.Add(-30*time.Minute))
	})
	b.clock.Advance(interval)
	require.Zero(t, b.pass().Events)
	result, err = b.collector.Reconcile(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, result.Found, "the review")
	require.Equal(t, 2, result.FoundFlow, "that it is the first one and the first approval")
	b.clock.Advance(interval)
	b.pass()
	require.Equal(t, uint64(1), b.tally(TallyReconciled), "one thing happened that passes had missed")
	require.Equal(t, uint64(1), b.metrics().total("one", activity.KindReviewSubmitted))
}

// TestClockAheadOfGitHub: nothing is lost although this clock is ahead of GitHub's.
func TestClockAheadOfGitHub(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		const ahead = 20 * time.Minute
		data := newDataset("one")
		addComment(data, "one", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data)
		client := b.newClient(api)
		b.collector.settings.Now = func() time.Time { return b.clock.Now().Add(ahead) }
		b.collector.settings.Skew = func() time.Duration { return -ahead }
		b.collector.settings.Source = client
		b.pass()
		for range 4 {
			at := b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) { addComment(d, "one", 1, at.Add(-time.Minute)) })
			require.Equal(t, 1, b.pass().Events)
		}
	})
}

// TestReconcileRemovesDeletedComments: a comment that was deleted, or transferred with its issue, is in no window any
// more; the totals keep it, and comments that are older than the last day stay.
func TestReconcileRemovesDeletedComments(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		for i := range 4 {
			addComment(data, "one", 10+i, noon.Add(-time.Duration(i+1)*time.Hour))
		}
		addComment(data, "one", 20, noon.Add(-30*time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.clock.Advance(interval)
		b.pass()
		counted := func(repo string) [2]uint64 {
			var window, total uint64
			for series, values := range b.metrics() {
				if series.Repo == repo {
					window += values.Of[ledgerview.MetricCount+ledgerview.Metric(activity.KindIssueComment.Index())]
					total += values.Of[ledgerview.MetricTotal+ledgerview.Metric(activity.KindIssueComment.Index())]
				}
			}
			return [2]uint64{window, total}
		}
		require.Equal(t, [2]uint64{4, 5}, counted("one"))
		b.server.Update(func(d *githubtest.Dataset) {
			d.Comments[1].Repo = "two" // transferred with its issue
			d.Comments = slices.Delete(d.Comments, 2, 3)
			addComment(d, "one", 11, b.clock.Advance(time.Second))
			d.Comments[len(d.Comments)-1].ID = 99_999
		})
		for range 2 {
			b.clock.Advance(interval)
			b.pass()
			_, err := b.collector.Reconcile(t.Context(), 1)
			require.NoError(t, err)
			require.Equal(t, [2]uint64{3, 6}, counted("one"))
		}
	})
}

// TestReconcileFindsIssuesThatVanished checks that an issue which was deleted or transferred is in no window any more,
// nor are its closings; that the sums keep it; and that a closing outlives the reopening.
func TestReconcileFindsIssuesThatVanished(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		for i := range 3 {
			data.Issues = append(data.Issues, githubtest.Issue{
				Repo: "one", Number: i + 1, Login: new("kim"), CreatedAt: noon.Add(-3 * time.Hour),
				ClosedAt: []time.Time{noon.Add(-2 * time.Hour)},
			})
		}
		b := newBench(t, api, data)
		b.pass()
		b.clock.Advance(interval)
		b.pass()
		counted := func(kind activity.Kind) [2]uint64 {
			values := b.metrics()[ledgerview.Series{Repo: "one", User: "kim"}]
			return [2]uint64{
				values.Of[ledgerview.MetricCount+ledgerview.Metric(kind.Index())],
				values.Of[ledgerview.MetricTotal+ledgerview.Metric(kind.Index())],
			}
		}
		require.Equal(t, [2]uint64{3, 3}, counted(activity.KindIssueOpened))
		require.Equal(t, [2]uint64{3, 3}, counted(activity.KindIssueClosed))
		b.server.Update(func(d *githubtest.Dataset) {
			at := b.clock.Advance(time.Second)
			d.Issue("one", 2).GoneAt = at
			d.Issue("one", 3).ReopenedAt = []time.Time{at}
		})
		for range 2 {
			b.clock.Advance(interval)
			b.pass()
			_, err := b.collector.Reconcile(t.Context(), 1)
			require.NoError(t, err)
			require.Equal(t, [2]uint64{2, 3}, counted(activity.KindIssueOpened))
			require.Equal(t, [2]uint64{2, 3}, counted(activity.KindIssueClosed))
		}
	})
}

// TestDefaultBranchSwitchedWithoutAPush: another default branch is read with the next pass, also when nothing is
// pushed.
func TestDefaultBranchSwitchedWithoutAPush(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one")
		for i := range 5 {
			addCommit(data, "one", noon.Add(-time.Duration(60-i)*time.Minute))
		}
		data.Repo("one").Resets = []githubtest.Reset{
			{Branch: "old", SHA: data.Commits[1].SHA, At: noon.Add(-10 * time.Minute)},
		}
		b := newBench(t, api, data)
		b.pass()
		b.clock.Advance(interval)
		b.pass()
		commits := func() uint64 {
			var n uint64
			for _, values := range b.metrics() {
				n += values.Of[ledgerview.MetricCount]
			}
			return n
		}
		require.Equal(t, uint64(5), commits())
		at := b.clock.Advance(interval)
		b.server.Update(
			func(d *githubtest.Dataset) { d.Repo("one").Switches = []githubtest.Switch{{Branch: "old", At: at}} },
		)
		b.pass()
		require.Equal(t, uint64(2), commits())
	})
}

// TestInvalidHead: a head that is not an object name leaves a gap of the repository's commits, and nothing of it is
// recorded; the other repository is read.
func TestInvalidHead(t *testing.T) {
	t.Parallel()
	paths := map[github.API][]string{
		github.APIGraphQL: {
			"organization.repositories.nodes.0.defaultBranchRef.target.oid", "byId.*.target.oid", "r0.*.target.oid",
		},
		github.APIREST: {"0.sha"},
	}
	for api, paths := range paths {
		for _, name := range []string{"zzz", "0A" + strings.Repeat("0", 38), strings.Repeat("0", 48)} {
			t.Run(string(api)+" "+name[:3], func(t *testing.T) {
				t.Parallel()
				b := newBench(t, api, fullOrg(t))
				for _, path := range paths {
					match := githubtest.Match{Repo: "one"}
					if strings.HasPrefix(path, "organization") {
						match = githubtest.Match{Operation: "Discover"}
					}
					b.server.InjectFault(
						githubtest.Fault{Match: match, Effect: githubtest.ValueAt(path, strconv.Quote(name))},
					)
				}
				result := b.pass()
				require.Equal(t, PassPartial, result.Status)
				for i := range result.Failures {
					require.Equal(t, "one commits", result.Failures[i].Repo+" "+result.Failures[i].Stream.String())
				}
			})
		}
	}
}
