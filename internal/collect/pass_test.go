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
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

const interval = 5 * time.Minute

// TestPassesFindWhatHappens makes passes over a day of real activity as it arrives and compares the ledger with the
// data.
func TestPassesFindWhatHappens(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := realData(t)
		b := newBench(t, api, data, func(s *Settings) { s.Lookback = 720 * time.Hour })
		end := data.LastEventTime().Truncate(time.Second)
		b.clock.now = end.Add(-24 * time.Hour)
		for b.clock.Now().Before(end) {
			require.Empty(t, b.pass().Failures)
			b.clock.Advance(time.Hour)
		}
		b.pass()
		b.fill()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
		requireAllRecorded(t, b, data)
	})
}

// requireAllRecorded compares totals by repository and user with the data.
func requireAllRecorded(t *testing.T, b *bench, data *githubtest.Dataset) {
	t.Helper()
	now := b.clock.Now()
	want := make(map[ledgerview.Series][activity.NumKinds]uint64)
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
	got := make(map[ledgerview.Series][activity.NumKinds]uint64)
	for series, v := range b.metrics() {
		got[series] = [activity.NumKinds]uint64(v.Of[ledgerview.MetricTotal : ledgerview.MetricTotal+activity.NumKinds])
	}
	require.Equal(t, want, got)
}

// thousand is an organization of 1,000 repositories of which each has a commit, a pull request and an issue.
func thousand() *githubtest.Dataset {
	d := dataset()
	old := noon.AddDate(0, 0, -10)
	for i := range 1000 {
		name := fmt.Sprintf("repo-%04d", i)
		d.Repos = append(
			d.Repos, githubtest.Repo{Name: name, DefaultBranch: "main", CreatedAt: noon.AddDate(-1, 0, -i)},
		)
		commit(d, name, old)
		pull(d, name, 1, old, nil)
		comment(d, name, 2, old)
	}
	return d
}

// TestPassCost holds the numbers of the design: what an idle pass over 1,000 repositories costs, and one with 50
// changed.
func TestPassCost(t *testing.T) {
	t.Parallel()
	b := newBench(t, github.APIGraphQL, thousand(), func(s *Settings) { s.Concurrency = 8 })
	require.Equal(t, PassSuccess, b.pass().Status)
	b.fill()
	b.requireNoGaps()
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
			commit(d, name, at)
			pull(d, name, 3, at, &at)
			review(d, name, 3, at)
			comment(d, name, 2, at)
		}
	})
	b.server.ResetRequests()
	changed := b.pass()
	require.Equal(t, 50, changed.Changed)
	require.Equal(t, 50*5, changed.Events)
	require.Empty(t, changed.Failures)
	require.LessOrEqual(t, len(b.server.Requests()), 120)
	t.Logf(
		"50 of 1,000 changed: %d requests, %d GraphQL points", len(b.server.Requests()),
		b.server.PointsSpent("graphql"),
	)
}

// TestFirstContact reads the last 24 h at once, takes what that shows of the time before, and leaves the rest as gaps.
// With REST, each pull request is a question.
func TestFirstContact(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-10*24*time.Hour))
		commit(data, "one", noon.Add(-2*time.Hour))
		commit(data, "one", noon.Add(-20*24*time.Hour)) // before the look-back
		pull(data, "one", 1, noon.Add(-5*24*time.Hour), nil)
		b := newBench(t, api, data)
		missing, events := commits, 2
		if api == github.APIREST {
			missing, events = commits|pulls, 1
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
		require.Equal(t, uint64(1), b.metrics().of("one", activity.KindCommit))
		ada := b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.False(t, ada.Present.Has(ledgerview.MetricLinesAdded), "the last week has not been read yet")
		b.fill()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(2), b.metrics().of("one", activity.KindCommit))
		ada = b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.True(t, ada.Present.Has(ledgerview.MetricLinesAdded))
		require.Equal(t, uint64(10), ada.Of[ledgerview.MetricLinesAdded])
	})
}

// TestLatePush finds a commit that is pushed long after its date.
func TestLatePush(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-48*time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fill()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			commit(d, "one", noon.Add(-72*time.Hour)).PushedAt = b.clock.Now()
		})
		require.Equal(t, 1, b.pass().Events)
		require.Equal(t, uint64(2), b.metrics().of("one", activity.KindCommit))
	})
}

// TestFirstPushOfOldHistory finds commits that are older than the repository's first contact with us.
func TestFirstPushOfOldHistory(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		commit(data, "two", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fill()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			for i := range 150 {
				commit(d, "one", noon.Add(-time.Duration(100-i/2)*time.Hour)).PushedAt = b.clock.Now()
			}
		})
		require.Equal(t, 150, b.pass().Events)
	})
}

// TestFutureCommit counts a commit that is dated in the future when it is first seen.
func TestFutureCommit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			commit(d, "one", b.clock.Now().Add(300*time.Hour)).PushedAt = b.clock.Now()
		})
		require.Equal(t, 1, b.pass().Events)
		ada := b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.Equal(t, uint64(2), ada.Of[ledgerview.MetricCount])
		require.Equal(t, uint64(b.clock.Now().Unix()), ada.Of[ledgerview.MetricLastEvent])
		b.clock.Advance(interval)
		require.Zero(t, b.pass().Events)
	})
}

// TestRename keeps the numbers under the new name, and a new repository of the old name does not mix with it.
func TestRename(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("old")
		commit(data, "old", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) { d.Rename("old", "new") })
		require.Zero(t, b.pass().Events)
		require.Equal(t, uint64(1), b.metrics().of("new", activity.KindCommit))
		require.Zero(t, b.metrics().of("old", activity.KindCommit))
	})
}

// TestGoneAndBack ends a repository's series while it is out of sight and reads what was missed when it is back.
func TestGoneAndBack(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		commit(data, "one", noon.Add(-time.Hour))
		commit(data, "two", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fill()
		repo := *data.Repo("one")
		b.server.Update(func(d *githubtest.Dataset) { d.Repo("one").TransferredTo = "elsewhere" })
		b.clock.Advance(interval)
		b.pass()
		require.Zero(t, b.metrics().of("one", activity.KindCommit))
		require.Equal(t, uint64(1), b.metrics().of("two", activity.KindCommit))
		b.server.Update(func(d *githubtest.Dataset) {
			commit(d, "one", b.clock.Now())
			*d.Repo("one") = repo
		})
		b.clock.Advance(interval)
		b.pass()
		b.fill()
		require.Equal(t, uint64(2), b.metrics().of("one", activity.KindCommit))
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
	})
}

// TestFailingStream leaves a gap, keeps the rest going, and closes the gap when it heals; no number moves meanwhile.
func TestFailingStream(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		comment(data, "one", 1, noon.Add(-time.Hour))
		comment(data, "two", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.fill()
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Repo: "one", Route: "/repos/{owner}/{repo}/issues/comments"},
			Effect: githubtest.Status(503),
		})
		edge := b.coverage().Edge
		for range 3 {
			at := b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) {
				comment(d, "one", 1, at.Add(-time.Minute))
				comment(d, "two", 1, at.Add(-time.Minute))
			})
			sum := b.pass()
			require.Equal(t, PassPartial, sum.Status)
			require.Len(t, sum.Failures, 1)
			var unavailable *github.UnavailableError
			require.ErrorAs(t, sum.Failures[0].Err, &unavailable)
		}
		cov := b.coverage()
		require.Equal(t, b.clock.Now(), cov.Edge)
		require.Equal(t, edge, cov.OldestUncovered())
		require.Len(t, cov.Gaps(), 1)
		require.Equal(t, uint64(4), b.metrics().of("two", activity.KindIssueComment))
		require.Equal(t, uint64(1), b.metrics().of("one", activity.KindIssueComment))
		b.server.ClearFaults()
		b.clock.Advance(interval)
		require.Equal(t, PassSuccess, b.pass().Status)
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		require.Equal(t, uint64(4), b.metrics().of("one", activity.KindIssueComment))
	})
}

// TestLongOutage: what happened in three days without a pass is all found, the last day at once, the rest as a gap.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "quiet")
		commit(data, "one", noon.Add(-time.Hour))
		commit(data, "quiet", noon.Add(-time.Hour))
		pull(data, "one", 1, noon.Add(-time.Hour), nil)
		b := newBench(t, api, data)
		b.pass()
		b.fill()
		end := b.clock.Advance(72 * time.Hour)
		b.server.Update(func(d *githubtest.Dataset) {
			for h := range 72 {
				at := noon.Add(time.Duration(h)*time.Hour + time.Minute)
				commit(d, "one", at)
				pull(d, "one", 10+h, at, &at)
				review(d, "one", 10+h, at)
				comment(d, "one", 1000+h, at)
			}
		})
		require.Equal(t, PassSuccess, b.pass().Status)
		cov := b.coverage()
		require.Equal(t, end, cov.Edge)
		require.NotEmpty(t, cov.Gaps(), "two days are still to be read")
		b.fill()
		cov = b.coverage()
		require.Empty(t, cov.Gaps())
		for kind, want := range map[activity.Kind]uint64{
			activity.KindCommit: 73, activity.KindPullRequestOpened: 73, activity.KindPullRequestMerged: 72,
			activity.KindReviewSubmitted: 72, activity.KindIssueComment: 72,
		} {
			require.Equal(t, want, b.metrics().of("one", kind), kind)
		}
	})
}

// TestForbiddenRepository holds nothing up and is asked for ever more rarely.
func TestForbiddenRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		comment(data, "one", 1, noon.Add(-time.Hour))
		comment(data, "two", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Repo: "one", Route: "/repos/{owner}/{repo}/issues/comments"},
			Effect: githubtest.Status(403),
		})
		for range 24 { // two hours
			require.Equal(t, PassPartial, b.pass().Status, "also while it is not asked for")
			b.clock.Advance(interval)
		}
		asked := b.server.CountRequests(func(r githubtest.RequestInfo) bool {
			return r.Repo == "one" && r.Route == "/repos/{owner}/{repo}/issues/comments"
		})
		require.LessOrEqual(t, asked, 2*5, "twice in the first pass and the next one, then after 15, 30 and 60 minutes")
		require.Equal(t, uint64(1), b.metrics().of("two", activity.KindIssueComment))
		b.server.ClearFaults()
		b.clock.Advance(maxRefusedDelay)
		b.pass()
		require.Equal(t, uint64(1), b.metrics().of("one", activity.KindIssueComment))
	})
}

// TestOrganizationFails: nothing that is known changes, whatever the failure is.
func TestOrganizationFails(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		before := b.coverage()
		for _, fault := range []githubtest.Effect{
			githubtest.Status(401), githubtest.Status(404), githubtest.Status(403), githubtest.Status(500),
			githubtest.TruncatedJSON(), githubtest.HTML(200), githubtest.ConnectionReset(), githubtest.WrongLength(),
		} {
			b.server.InjectFault(githubtest.Fault{Effect: fault})
			b.clock.Advance(interval)
			sum, err := b.collector.Pass(t.Context(), 1)
			require.Error(t, err, fault.Kind)
			require.Equal(t, PassFailure, sum.Status, fault.Kind)
			b.server.ClearFaults()
		}
		require.Equal(t, before, b.coverage())
		b.clock.Advance(48 * time.Hour)
		ada := b.metrics()[ledgerview.Series{Repo: "one", User: "ada"}]
		require.Equal(t, uint64(1), ada.Of[ledgerview.MetricCount], "an outage does not count down")
		require.Equal(t, uint64(8), b.tally(TallyRuns, string(PassFailure)))
	})
}

// TestLimit ends the pass and says when the next one may be; nothing else is asked meanwhile.
func TestLimit(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two", "three", "four", "five", "six", "seven", "eight")
		for _, r := range data.Repos {
			comment(data, r.Name, 1, noon.Add(-time.Hour))
		}
		b := newBench(t, api, data, func(s *Settings) { s.Concurrency = 2 })
		b.server.InjectFault(githubtest.Fault{
			Match:  githubtest.Match{Route: "/repos/{owner}/{repo}/issues/comments"},
			Effect: githubtest.SecondaryLimit(429, 90*time.Second),
		})
		sum := b.pass()
		require.Equal(t, PassPartial, sum.Status)
		require.Equal(t, b.clock.Now().Add(90*time.Second).Unix(), sum.RetryAt.Unix())
		limited := b.server.CountRequests(func(r githubtest.RequestInfo) bool { return r.Status == 429 })
		require.LessOrEqual(t, limited, 2, "at most as many as were under way")
		b.server.ClearFaults()
		b.clock.Advance(2 * time.Minute)
		require.Equal(t, PassSuccess, b.pass().Status)
		require.Equal(t, uint64(1), b.metrics().of("eight", activity.KindIssueComment))
	})
}

// TestNothingVisible does not take an empty listing for an empty organization.
func TestNothingVisible(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		commit(data, "one", noon.Add(-time.Hour))
		b := newBench(t, api, data)
		b.pass()
		b.server.Update(func(d *githubtest.Dataset) { d.Repos = nil })
		_, err := b.collector.Pass(t.Context(), 1)
		require.ErrorIs(t, err, ErrNoRepositories)
		require.Equal(t, uint64(1), b.metrics().of("one", activity.KindCommit))
	})
}

// TestEmptyRepository is no error, in no pass.
func TestEmptyRepository(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "void")
		data.Repo("void").Empty = true
		b := newBench(t, api, data)
		for range 3 {
			require.Equal(t, PassSuccess, b.pass().Status)
			b.clock.Advance(interval)
		}
		b.fill()
		cov := b.coverage()
		require.Empty(t, cov.Gaps())
	})
}

// TestArchivedAndForks are left out unless they are asked for.
func TestArchivedAndForks(t *testing.T) {
	t.Parallel()
	data := dataset("one", "attic", "fork", "secret")
	for _, r := range data.Repos {
		commit(data, r.Name, noon.Add(-time.Hour))
	}
	data.Repo("attic").Archived = true
	data.Repo("fork").Fork = true
	for name, test := range map[string]struct {
		filter func(t *testing.T) Filter
		want   []string
	}{
		"default":  {allRepositories, []string{"one", "secret"}},
		"archived": {filter([]string{"*"}, nil, true, false), []string{"one", "secret", "attic"}},
		"forks":    {filter([]string{"*"}, nil, false, true), []string{"one", "secret", "fork"}},
		"patterns": {filter([]string{"*"}, []string{"SEC*"}, true, true), []string{"one", "attic", "fork"}},
		"names":    {filter([]string{"One", "two", "secret"}, nil, false, false), []string{"one", "secret"}},
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

func filter(include, exclude []string, archived, forks bool) func(t *testing.T) Filter {
	return func(t *testing.T) Filter {
		t.Helper()
		f, err := NewFilter(include, exclude, archived, forks)
		require.NoError(t, err)
		return f
	}
}

// TestPatternsWithoutAMatch: a pass says which patterns match no repository, whether it would be read or not.
func TestPatternsWithoutAMatch(t *testing.T) {
	t.Parallel()
	data := dataset("one", "attic", "fork")
	data.Repo("attic").Archived = true
	data.Repo("fork").Fork = true
	include, exclude := []string{"o*", "Attic", "{one,two}", "fork", "on"}, []string{"FORK", "*[bot]", "one?"}
	b := newBench(
		t, github.APIGraphQL, data, func(s *Settings) { s.Filter = filter(include, exclude, false, false)(t) },
	)
	sum := b.pass()
	require.Equal(
		t, UnmatchedPatterns{Include: []string{"{one,two}", "on"}, Exclude: []string{"*[bot]", "one?"}},
		sum.UnmatchedPatterns,
	)
	require.Equal(t, 1, sum.Repositories)
	b.server.Update(func(d *githubtest.Dataset) {
		d.Repos = append(d.Repos, githubtest.Repo{Name: "One2", CreatedAt: noon.Add(-time.Hour)})
	})
	sum = b.pass()
	require.Equal(
		t, UnmatchedPatterns{Include: []string{"{one,two}", "on"}, Exclude: []string{"*[bot]"}}, sum.UnmatchedPatterns,
	)
}

// TestArchivedLater keeps what was recorded of a repository that is archived.
func TestArchivedLater(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", noon.Add(-time.Hour))
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

// TestFenced writes nothing after the term and says so.
func TestFenced(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", noon.Add(-time.Hour))
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

// TestPassStops at once when its context ends, and the next one does the whole work.
func TestPassStops(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", noon.Add(-time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	b.server.InjectFault(githubtest.Fault{Effect: githubtest.Hang()})
	ctx, cancel := context.WithCancel(t.Context())
	b.server.OnRequest(func(githubtest.RequestInfo) { cancel() })
	_, err := b.collector.Pass(ctx, 1)
	require.ErrorIs(t, err, context.Canceled)
	b.server.ClearFaults()
	require.Equal(t, 1, b.pass().Events)
}

// failingStore refuses commits while it is set to fail.
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

// TestStoreFails reports the failure, counts it when the store is back, and loses nothing.
func TestStoreFails(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", noon.Add(-time.Hour))
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

// TestReconcile finds nothing as long as the signals are good, and what they hid when they are not.
func TestReconcile(t *testing.T) {
	t.Parallel()
	data := dataset("one")
	commit(data, "one", noon.Add(-time.Hour))
	pull(data, "one", 1, noon.Add(-time.Hour), nil)
	b := newBench(t, github.APIGraphQL, data)
	b.pass()
	b.fill()
	b.clock.Advance(interval)
	b.pass()
	sum, err := b.collector.Reconcile(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, sum.Repositories)
	require.Zero(t, sum.Found)

	b.server.Update(func(d *githubtest.Dataset) { // a review that moved nothing
		review(d, "one", 1, noon.Add(-30*time.Minute))
	})
	b.clock.Advance(interval)
	require.Zero(t, b.pass().Events)
	sum, err = b.collector.Reconcile(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 1, sum.Found)
	b.clock.Advance(interval)
	b.pass()
	require.Equal(t, uint64(1), b.tally(TallyReconciled))
	require.Equal(t, uint64(1), b.metrics().of("one", activity.KindReviewSubmitted))
}

// TestClockAheadOfGitHub loses nothing although our clock runs ahead.
func TestClockAheadOfGitHub(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		const ahead = 20 * time.Minute
		data := dataset("one")
		comment(data, "one", 1, noon.Add(-time.Hour))
		b := newBench(t, api, data)
		client := b.client(api)
		b.collector.settings.Now = func() time.Time { return b.clock.Now().Add(ahead) }
		b.collector.settings.Skew = func() time.Duration { return -ahead }
		b.collector.settings.Source = client
		b.pass()
		for range 4 {
			at := b.clock.Advance(interval)
			b.server.Update(func(d *githubtest.Dataset) { comment(d, "one", 1, at.Add(-time.Minute)) })
			require.Equal(t, 1, b.pass().Events)
		}
	})
}

// TestReconcileFindsWhatIsDeleted: a comment that was deleted, or moved away with its issue, is in no window any more;
// the sums keep it, and what is older than the last day is not judged.
func TestReconcileFindsWhatIsDeleted(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one", "two")
		for i := range 4 {
			comment(data, "one", 10+i, noon.Add(-time.Duration(i+1)*time.Hour))
		}
		comment(data, "one", 20, noon.Add(-30*time.Hour))
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
			comment(d, "one", 11, b.clock.Advance(time.Second))
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
		data := dataset("one")
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

// TestSwitchWithoutAPush: another default branch is read with the next pass, also where nothing is pushed.
func TestSwitchWithoutAPush(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := dataset("one")
		for i := range 5 {
			commit(data, "one", noon.Add(-time.Duration(60-i)*time.Minute))
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

// TestHeadWithoutAnObjectName: a head that is no object name makes a gap of its repository's commits, and nothing of it
// reaches the ledger; the other repository is read.
func TestHeadWithoutAnObjectName(t *testing.T) {
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
				b := newBench(t, api, full(t))
				for _, path := range paths {
					match := githubtest.Match{Repo: "one"}
					if strings.HasPrefix(path, "organization") {
						match = githubtest.Match{Operation: "Discover"}
					}
					b.server.InjectFault(
						githubtest.Fault{Match: match, Effect: githubtest.ValueAt(path, strconv.Quote(name))},
					)
				}
				sum := b.pass()
				require.Equal(t, PassPartial, sum.Status)
				for i := range sum.Failures {
					require.Equal(t, "one commits", sum.Failures[i].Repo+" "+sum.Failures[i].Stream.String())
				}
			})
		}
	}
}
