// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	data  = os.DirFS("../../testdata/open-telemetry")
	start = time.Date(2026, 11, 28, 12, 30, 0, 0, time.UTC)
)

func newGitHub(t *testing.T, start time.Time) *GitHub {
	t.Helper()
	github, err := NewGitHub(data, "token", start, 60)
	require.NoError(t, err)
	t.Cleanup(github.Close)
	return github
}

// TestWeekdaysStay: whenever the demo starts, the present is the same weekday and hour in the data, with two days or
// more to come, and with twelve days or more before it.
func TestWeekdaysStay(t *testing.T) {
	t.Parallel()
	github := newGitHub(t, start)
	for hours := range 8 * 24 {
		at := start.Add(time.Duration(hours) * time.Hour)
		pivot := pivotFor(github.Data.Org.Until, at)
		require.Equal(t, at.Weekday(), pivot.Weekday())
		require.Equal(t, at.Format(time.TimeOnly), pivot.Format(time.TimeOnly))
		require.GreaterOrEqual(t, github.Data.Org.Until.Sub(pivot), atLeastLeft)
		require.GreaterOrEqual(t, pivot.Sub(github.Data.Org.From), 12*24*time.Hour)
	}
}

// TestDemoTeams: the teams are valid, of people alone, and some people are in several.
func TestDemoTeams(t *testing.T) {
	t.Parallel()
	github := newGitHub(t, start)
	require.NoError(t, github.Data.Validate())
	require.Len(t, github.Data.Teams, demoTeams+1)
	in := make(map[string]int)
	for _, team := range github.Data.Teams[1:] {
		require.Equal(t, parentTeam, team.Parent)
		require.NotEmpty(t, team.Members, team.Slug)
		for _, login := range team.Members {
			require.NotContains(t, login, "[bot]")
			in[login]++
		}
	}
	require.NotNil(t, github.Data.Team("collector"))
	require.Greater(t, slices.Max(slices.Collect(maps.Values(in))), 1)
}

// sample is a line of the history.
type sample struct {
	value float64
	at    time.Time
}

// readHistory returns the samples by series.
func readHistory(t *testing.T, github *GitHub) map[string][]sample {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, github.History("job", "instance", 14*24*time.Hour).Write(&out))
	text, ok := strings.CutSuffix(out.String(), "# EOF\n")
	require.True(t, ok)
	series := make(map[string][]sample)
	for line := range strings.Lines(text) {
		name, rest, ok := strings.Cut(line, "} ")
		value, unix, isSample := strings.Cut(strings.TrimSpace(rest), " ")
		number, valueErr := strconv.ParseFloat(value, 64)
		second, timeErr := strconv.ParseInt(unix, 10, 64)
		if !ok || !isSample || valueErr != nil || timeErr != nil {
			require.Fail(t, "not a sample", line)
		}
		series[name] = append(series[name], sample{number, time.Unix(second, 0)})
	}
	return series
}

// TestHistory: sums start at 0, never fall and end with the number of events; samples are in order and end before the
// demo starts.
func TestHistory(t *testing.T) {
	t.Parallel()
	github := newGitHub(t, start)
	since := start.Add(-14 * 24 * time.Hour)
	commits, last := 0, 0
	for _, c := range github.Data.Commits {
		if at := github.Timeline.ToServed(c.CommittedAt); !at.Before(since) && at.Before(start.Add(-time.Minute)) {
			commits++
		}
	}
	for name, list := range readHistory(t, github) {
		isSum, step := strings.Contains(name, "_total{"), historyStep
		if strings.HasPrefix(name, "gh_pr_") || strings.HasPrefix(name, "gh_issue_") {
			isSum, step = true, flowStep // a histogram, or the sum beside it
		}
		require.True(t, list[len(list)-1].at.Equal(start.Add(-time.Minute)), name)
		for i := 1; i < len(list); i++ {
			isStep := list[i].at.Sub(list[i-1].at) == step
			isFalling := isSum && list[i].value < list[i-1].value
			if !isStep || isFalling { // of a million samples
				require.Fail(t, "samples are out of order", "%s: %v", name, list[i-1:i+1])
			}
		}
		require.Contains(t, name, `instance="instance",job="job"`)
		if isSum && list[0].at.After(since.Add(step)) {
			require.Zero(t, list[0].value, name)
		}
		if strings.HasPrefix(name, "gh_activity_commits_total{") {
			last += int(list[len(list)-1].value)
		}
	}
	require.NotZero(t, commits)
	require.Equal(t, commits, last)
}

// TestPage: the page lists the dashboards, serves itself, and passes queries to Prometheus.
func TestPage(t *testing.T) {
	t.Parallel()
	prometheus := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprint(w, r.URL.String())
	}))
	t.Cleanup(prometheus.Close)
	boards := fstest.MapFS{"a.json": {Data: []byte(`{"title": "A"}`)}, "b.json": {Data: []byte(`{}`)}}
	page, err := NewPage(boards, prometheus.URL)
	require.NoError(t, err)
	for path, want := range map[string]string{
		"/": "<!doctype html>", "/dashboards/": `["a","b"]`, "/dashboards/a.json": `{"title": "A"}`,
		"/api/v1/query?query=up": "/api/v1/query?query=up",
	} {
		response := httptest.NewRecorder()
		page.ServeHTTP(response, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		require.Equal(t, http.StatusOK, response.Code, path)
		require.Contains(t, response.Body.String(), want, path)
	}
	_, err = NewPage(fstest.MapFS{}, prometheus.URL)
	require.ErrorIs(t, err, fs.ErrNotExist)
}
