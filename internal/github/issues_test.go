// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// issue adds an issue of "kim" to the repository "one".
func issue(d *githubtest.Dataset, number int, created time.Time, closed ...time.Time) *githubtest.Issue {
	d.Issues = append(d.Issues, githubtest.Issue{
		Repo: "one", Number: number, Login: new("kim"), CreatedAt: created, ClosedAt: closed,
	})
	return &d.Issues[len(d.Issues)-1]
}

func issueData() *githubtest.Dataset {
	data := fullRepository()
	data.Repos[0].Name = "one"
	data.Commits, data.Pulls, data.Reviews, data.Comments = nil, nil, nil, nil
	return data
}

// TestIssues checks, with both APIs, that an issue and each of its closings are events of its author, and that a pull
// request is no issue.
func TestIssues(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := issueData()
		issue(data, 1, ago(50*time.Hour), ago(3*time.Hour), ago(time.Hour)).ReopenedAt = []time.Time{ago(2 * time.Hour)}
		issue(data, 2, ago(5*time.Hour), ago(4*time.Hour)).ReopenedAt = []time.Time{ago(time.Hour)}
		issue(data, 3, ago(2*time.Hour))
		issue(data, 4, ago(90*time.Hour), ago(80*time.Hour))
		issue(data, 5, ago(9*time.Hour), ago(8*time.Hour)).GoneAt = ago(time.Hour)
		pull(data, 6, ago(time.Hour))
		b := newBench(t, api, data)
		events, outcome := b.read(since(b.repo("one"), ago(24*time.Hour), activity.StreamIssues))
		require.Empty(t, outcome.Failed)
		type found struct {
			kind activity.Kind
			id   activity.ID
			at   time.Time
		}
		var got []found
		for _, e := range events {
			require.Equal(t, "kim", e.Actor.Login)
			got = append(got, found{e.Kind, e.ID, e.Time})
		}
		opened := func(n int64, at time.Time) found { return found{activity.KindIssueOpened, activity.NumberID(n), at} }
		closed := func(n int64, at time.Time) found {
			return found{activity.KindIssueClosed, activity.OccurrenceID(n, at), at}
		}
		require.ElementsMatch(t, []found{
			opened(1, ago(50*time.Hour)), closed(1, ago(3*time.Hour)), closed(1, ago(time.Hour)),
			opened(2, ago(5*time.Hour)), closed(2, ago(4*time.Hour)), opened(3, ago(2*time.Hour)),
		}, got)
	})
}

// TestIssuePages checks that issues on later pages are read, also when a page has rows of one time only, and that a
// window of the past ends the reading.
func TestIssuePages(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := issueData()
		for i := range 230 {
			issue(data, i+1, ago(20*time.Hour))
		}
		for i := range 30 {
			issue(data, i+301, ago(time.Hour+time.Duration(i)*time.Second))
		}
		b := newBench(t, api, data)
		request := since(b.repo("one"), ago(24*time.Hour), activity.StreamIssues)
		events, outcome := b.read(request)
		require.Empty(t, outcome.Failed)
		require.Len(t, events, 260)
		request.Until[activity.StreamIssues] = ago(2 * time.Hour)
		events, outcome = b.read(request)
		require.Empty(t, outcome.Failed)
		require.Len(t, events, 230)
	})
}

// TestUnchangedIssues checks that with REST a list that has not changed costs nothing, and that a change requests the
// closings of the changed issues alone.
func TestUnchangedIssues(t *testing.T) {
	t.Parallel()
	data := issueData()
	issue(data, 1, ago(50*time.Hour), ago(3*time.Hour))
	issue(data, 2, ago(50*time.Hour))
	b := newBench(t, github.APIREST, data)
	request := since(b.repo("one"), ago(24*time.Hour), activity.StreamIssues)
	_, outcome := b.read(request)
	request.Validators, request.Since[activity.StreamIssues] = outcome.Validators, ago(time.Hour)
	b.server.ResetRequests()
	events, outcome := b.read(request)
	require.Empty(t, events)
	require.Zero(t, b.server.PointsSpent("core"))
	require.Equal(t, request.Validators, outcome.Validators)
	b.server.Update(func(d *githubtest.Dataset) { d.Issue("one", 2).ClosedAt = []time.Time{ago(time.Minute)} })
	b.server.ResetRequests()
	events, _ = b.read(request)
	require.Len(t, events, 2, "its opening is a duplicate")
	require.Equal(t, 2, b.server.PointsSpent("core"), "the list, and the events of one issue")
}

// TestIssuesSwitchedOffMeanwhile checks that an empty list is no reading of an empty list when the feature was switched
// off after discovery.
func TestIssuesSwitchedOffMeanwhile(t *testing.T) {
	t.Parallel()
	data := issueData()
	issue(data, 1, ago(time.Hour))
	b := newBench(t, github.APIGraphQL, data)
	request := since(b.repo("one"), ago(24*time.Hour), activity.StreamIssues)
	b.server.Update(func(d *githubtest.Dataset) { d.Repos[0].IssuesOff = always })
	_, outcome := b.read(request)
	require.ErrorAs(t, outcome.Failed[activity.StreamIssues], new(*transport.NotFoundError))
}

// TestManyClosings checks that an issue with more closings than a page of GraphQL is read with all of them.
func TestManyClosings(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := issueData()
		is := issue(data, 1, ago(20*time.Hour))
		for i := range 130 {
			is.ClosedAt = append(is.ClosedAt, ago(19*time.Hour-time.Duration(i)*time.Minute))
			is.ReopenedAt = append(is.ReopenedAt, ago(19*time.Hour-time.Duration(i)*time.Minute-30*time.Second))
		}
		b := newBench(t, api, data)
		events, outcome := b.read(since(b.repo("one"), ago(24*time.Hour), activity.StreamIssues))
		require.Empty(t, outcome.Failed)
		require.Len(t, events, 131)
	})
}
