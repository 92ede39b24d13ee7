// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestBack: a question for the last day that shows everything of the days before as well says so, and then those need
// no question of their own. One that does not show it says nothing.
func TestBack(t *testing.T) {
	t.Parallel()
	const dayAgo, weekAgo = 24 * time.Hour, 7 * 24 * time.Hour
	type data = githubtest.Dataset
	pulls := func(n int, at time.Duration) func(*data) {
		return func(d *data) {
			for range n {
				pull(d, len(d.Pulls)+1, ago(at))
			}
		}
	}
	comments := func(n int, at time.Duration) func(*data) {
		return func(d *data) {
			for i := range n {
				comment(d, 1, ago(at+time.Duration(i)*time.Second))
			}
		}
	}
	issues := func(n int, at time.Duration) func(*data) {
		return func(d *data) {
			for range n {
				issue(d, len(d.Issues)+1, ago(at))
			}
		}
	}
	const both = ""
	for _, test := range []struct {
		name    string
		api     github.API // both when empty
		stream  activity.Stream
		happens []func(*data)
		back    bool
		events  int
	}{
		{"nothing", both, activity.StreamPulls, nil, true, 0},
		{"what is recent", both, activity.StreamPulls, []func(*data){pulls(3, time.Hour)}, true, 3},
		{
			"what is too old", both, activity.StreamPulls,
			[]func(*data){pulls(2, 2*weekAgo), pulls(1, time.Hour)},
			true,
			1,
		},
		{
			"what came with the page", github.APIGraphQL, activity.StreamPulls,
			[]func(*data){pulls(2, 2*dayAgo), pulls(1, time.Hour)},
			true, 3,
		},
		{
			"what needs questions of its own", github.APIREST, activity.StreamPulls,
			[]func(*data){pulls(1, 2*dayAgo), pulls(1, time.Hour)},
			false, 1,
		},
		{"what is behind the page", both, activity.StreamPulls, []func(*data){
			pulls(1, 2*dayAgo),
			pulls(120, time.Hour),
		}, false, 120},
		{
			"what is too old, behind the page", both, activity.StreamPulls,
			[]func(*data){pulls(130, 2*weekAgo), pulls(1, time.Hour)},
			true, 1,
		},
		{"no comments", both, activity.StreamComments, nil, true, 0},
		{"a page of comments", both, activity.StreamComments, []func(*data){
			comments(50, time.Hour),
			comments(50, 2*dayAgo), comments(1, 2*weekAgo),
		}, true, 100},
		{
			"more than a page of comments", both, activity.StreamComments,
			[]func(*data){comments(30, time.Hour), comments(71, 2*dayAgo)},
			false, 30,
		},
		{"pages of recent comments", both, activity.StreamComments, []func(*data){
			comments(130, time.Hour),
			comments(1, 2*dayAgo),
		}, false, 130},
		{"no issues", both, activity.StreamIssues, nil, true, 0},
		{
			"a page of issues", both, activity.StreamIssues,
			[]func(*data){issues(10, time.Hour), issues(10, 2*dayAgo), issues(1, 2*weekAgo)},
			true, 20,
		},
		{
			"more than a page of issues", github.APIREST, activity.StreamIssues,
			[]func(*data){issues(30, time.Hour), issues(101, 2*dayAgo)},
			false, 30,
		},
		{
			"more than a page of issues, of which the first is emitted", github.APIGraphQL, activity.StreamIssues,
			[]func(*data){issues(30, time.Hour), issues(101, 2*dayAgo)},
			false, 30 + 20,
		},
	} {
		for _, api := range []github.API{github.APIGraphQL, github.APIREST} {
			if test.api != both && test.api != api {
				continue
			}
			t.Run(fmt.Sprint(test.name, " ", api), func(t *testing.T) {
				t.Parallel()
				d := dataset("one")
				for _, happens := range test.happens {
					happens(d)
				}
				b := newBench(t, api, d)
				request := since(b.repo("one"), ago(dayAgo), test.stream)
				request.GapStart[test.stream] = ago(weekAgo)
				read := make(map[activity.Key]bool)
				outcome := b.client.Read(t.Context(), request, func(events []activity.Event) error {
					for _, e := range events {
						if !e.Time.Before(ago(weekAgo)) {
							read[e.Key()] = true
						}
					}
					return nil
				})
				require.Empty(t, outcome.Failed)
				require.Len(t, read, test.events)
				var want [activity.NumStreams]time.Time
				if test.back {
					want[test.stream] = ago(weekAgo)
				}
				require.Equal(t, want, outcome.GapCoveredFrom)
			})
		}
	}
}

// TestBackOfWhatFails: what failed says nothing about the time before.
func TestBackOfWhatFails(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		d := dataset("one")
		pull(d, 1, ago(time.Hour))
		for range 101 {
			review(d, 1, ago(time.Hour))
		}
		b := newBench(t, api, d)
		request := since(b.repo("one"), ago(24*time.Hour), activity.StreamPulls, activity.StreamComments)
		request.GapStart = [activity.NumStreams]time.Time{
			activity.StreamPulls:    ago(99 * time.Hour),
			activity.StreamComments: ago(99 * time.Hour),
		}
		asks := githubtest.Match{Func: func(r githubtest.RequestInfo) bool {
			return r.Route == commentsRoute || r.Operation == "Reviews" ||
				r.Route == "/repos/{owner}/{repo}/pulls/{pull_number}/reviews"
		}}
		b.server.InjectFault(githubtest.Fault{Match: asks, Effect: githubtest.Status(http.StatusBadGateway)})
		_, outcome := b.read(request)
		require.Len(t, outcome.Failed, 2)
		require.Zero(t, outcome.GapCoveredFrom)
	})
}
