// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// The series of activity of a user in a repository of TestPageSize, and the bounds of what one of them needs.
const (
	seriesPerPair     = 11
	maxPageBytes      = 250
	maxPageMemory     = 5000
	maxScrapedMemory  = 14000
	usersOfRepository = 100
)

// pageSize is what a page and its collector need.
type pageSize struct {
	series, bytes int
	took          time.Duration
	// without is the largest resident set with a debug exporter in place of the page, unread that with a page between
	// two scrapes, and read that with scrapes.
	without, unread, read int64
}

// TestPageSize measures the page and the memory of a collector with some thousand series: the points of docs/sizing.md.
// GX_PAGE_SERIES=100000 measures that size in their place.
func TestPageSize(t *testing.T) {
	sizes := []int{1000, 10_000}
	if text := os.Getenv("GX_PAGE_SERIES"); text != "" {
		size, err := strconv.Atoi(text)
		require.NoError(t, err)
		sizes = []int{size}
	}
	for _, size := range sizes {
		m := measurePage(t, size/seriesPerPair)
		t.Logf("%d series: page of %d bytes in %s; %d MB without a page, %d MB with it, %d MB while it is scraped",
			m.series, m.bytes, m.took.Round(time.Millisecond), m.without/1e6, m.unread/1e6, m.read/1e6)
		require.Greater(t, m.series, size*9/10)
		require.Less(t, m.bytes/m.series, maxPageBytes)
		if size < 10_000 {
			continue // the process itself is larger than its page
		}
		require.Less(t, (m.unread-m.without)/int64(m.series), int64(maxPageMemory))
		require.Less(t, (m.read-m.without)/int64(m.series), int64(maxScrapedMemory))
	}
}

// measurePage measures with a number of users in repositories. The collectors begin with a store that has everything:
// they need no memory for reading it.
func measurePage(t *testing.T, pairs int) pageSize {
	t.Helper()
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{orgOfPairs(pairs)}, Limits: highLimits,
	})
	gx := newCollector(t, fmt.Sprintf("orgs: [{name: %s, auth: {token: %s}, lookback: 336h, concurrency: 16, "+
		"scrape_interval: 5s}]\ngithub: {endpoint: %q, tls: {insecure: true}}\nemit_interval: 1s\n%s",
		org, githubtest.DefaultToken, server.URL, embedded))
	points := min(pairs*seriesPerPair, pointsOfCall)
	withExporters := func(exporters string) {
		gx.args = []string{
			"--config", "yaml:exporters::debug::sampling_initial: 1000000",
			"--config", "yaml:service::pipelines::metrics::exporters: " + exporters,
		}
		gx.Process = proctest.New(t, gx.binary, append([]string{"--config", gx.config}, gx.args...)...)
		gx.Run()
		awaitEmissions(t, gx, points, 1)
	}
	withExporters("[debug, prometheus]")
	gx.awaitComplete(t, org)
	gx.Stop()
	var m pageSize
	withExporters("[debug]")
	m.without = peakOfEmissions(t, gx, points)
	gx.Stop()
	withExporters("[debug, prometheus]")
	m.unread = peakOfEmissions(t, gx, points)
	gx.ResetPeakMemory()
	for range 5 {
		began := time.Now()
		page, err := gx.page(t.Context())
		require.NoError(t, err)
		m.took, m.bytes, m.series = time.Since(began), len(page), countSeries(page)
		awaitEmissions(t, gx, points, 1)
	}
	m.read = gx.PeakMemory()
	gx.Stop()
	return m
}

// peakOfEmissions returns the largest resident set during some emissions.
func peakOfEmissions(t *testing.T, gx *collector, points int) int64 {
	t.Helper()
	gx.ResetPeakMemory()
	awaitEmissions(t, gx, points, 5)
	return gx.PeakMemory()
}

// pointsOfCall bounds the points that the pipeline gets at once: a large emission is several calls.
const pointsOfCall = 50_000

// emittedPoints matches the number of points in the line that the debug exporter logs of an emission.
var emittedPoints = regexp.MustCompile(`"data points":(\d+)`)

// awaitEmissions waits for further emissions with at least some points.
func awaitEmissions(t *testing.T, gx *collector, points, n int) {
	t.Helper()
	count := func() (complete int) {
		for _, match := range emittedPoints.FindAllStringSubmatch(gx.Output(), -1) {
			if number, err := strconv.Atoi(match[1]); err == nil && number >= points {
				complete++
			}
		}
		return complete
	}
	before := count()
	eventually(t, 3*time.Minute, func() error {
		if got := count() - before; got < n && !gx.HasExited() {
			return fmt.Errorf("%d emissions with %d points, the last of %s", got, points,
				emittedPoints.FindString(gx.Output()))
		}
		return nil
	})
	require.False(t, gx.HasExited())
}

// countSeries returns the number of series on a page.
func countSeries(page string) int {
	series := 0
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, "#") {
			series++
		}
	}
	return series
}

// orgOfPairs returns an organization in which users have made a commit and opened a pull request within the last hour,
// each in one of its repositories.
func orgOfPairs(pairs int) *githubtest.Dataset {
	now := time.Now().UTC().Truncate(time.Second)
	data := &githubtest.Dataset{Org: githubtest.Org{Login: org, CreatedAt: now.AddDate(-1, 0, 0)}}
	for n := range pairs {
		repo, user := fmt.Sprintf("repository-%04d", n/usersOfRepository), new(fmt.Sprintf("some-user-%04d", n%3000))
		if n%usersOfRepository == 0 {
			data.Repos = append(data.Repos, githubtest.Repo{
				Name: repo, DefaultBranch: "main", CreatedAt: now.AddDate(-1, 0, 0),
			})
		}
		at := now.Add(-time.Hour).Add(time.Duration(n%usersOfRepository) * time.Second)
		addCommit(data, repo, int64(n), user, at)
		data.Pulls = append(data.Pulls, githubtest.Pull{
			Repo: repo, Number: n%usersOfRepository + 1, Login: user, CreatedAt: at, UpdatedAt: at, State: "OPEN",
		})
	}
	return data
}
