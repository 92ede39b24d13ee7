// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// explanation is the output of `gxctl explain --json`.
type explanation struct {
	Label   string
	Exclude []string
	Notes   []string
	Series  []explainedNumber
}

// explainedNumber is a number with its events.
type explainedNumber struct {
	Repo, User, Metric string
	Value              int
	Events             []struct {
		Kind, URL string
		Adds      int
	}
}

// runExplain runs `gxctl explain` with the configuration of a collector, and returns its output.
func runExplain(t *testing.T, c *collector, args ...string) (*explanation, error) {
	t.Helper()
	args = append([]string{"explain", "--json", "--config", c.config}, args...)
	out, err := exec.CommandContext(t.Context(), proctest.ProgramPath(t, "GX_CTL"), args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	var e explanation
	return &e, json.Unmarshal(out, &e)
}

// windowSeries matches a series of an activity metric over a window, with its value.
var windowSeries = regexp.MustCompile(
	`(?m)^(gh_activity_\w+_(?:24h|7d|30d|weekly))\{.*?org="[^"]*",repo="([^"]*)",user="([^"]*)".*?\} (\S+)`)

// shownWindows returns the values over windows of a page, by repository, user and metric.
func shownWindows(page string) map[string]string {
	shown := make(map[string]string)
	for _, match := range windowSeries.FindAllStringSubmatch(page, -1) {
		shown[match[2]+" "+match[3]+" "+match[1]] = match[4]
	}
	return shown
}

// TestExplain: for every repository, user and metric over a window, the numbers of gxctl are those of the page, and
// its events add up to them; from the embedded store while the collector has it open, and from Redis.
func TestExplain(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(t *testing.T) string{
		"embedded": func(*testing.T) string { return "storage: file_storage" },
		"Redis": func(t *testing.T) string {
			return fmt.Sprintf("redis: {endpoints: [%q]}", redistest.Start(t).Address)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := githubtest.Start(t, githubtest.Settings{
				Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits,
			})
			receiver := strings.Replace(
				fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, "graphql"),
				"storage: file_storage", store(t)+"\nactors: {bots: exclude, exclude: [\"opentelemetrybot\"]}", 1)
			gx := startCollector(t, receiver)
			gx.awaitComplete(t, org)
			var found *explanation
			eventually(t, time.Minute, func() error {
				page, err := gx.page(t.Context())
				if err != nil {
					return err
				}
				if found, err = runExplain(t, gx, "--org", strings.ToUpper(org)); err != nil {
					return err
				}
				return compareExplanation(shownWindows(page), found)
			})
			require.Equal(t, "login", found.Label)
			require.Equal(t, []string{"opentelemetrybot"}, found.Exclude)
			requireLinks(t, found, server.URL)
			requireFilters(t, gx, found)
		})
	}
}

// compareExplanation compares the numbers of a page with those of gxctl, and each number with its events.
func compareExplanation(shown map[string]string, found *explanation) error {
	if len(shown) < 500 || len(shown) != len(found.Series) {
		return fmt.Errorf("%d numbers on the page, %d of gxctl", len(shown), len(found.Series))
	}
	for _, s := range found.Series {
		if name := s.Repo + " " + s.User + " " + s.Metric; shown[name] != strconv.Itoa(s.Value) {
			return fmt.Errorf("%s: %q on the page, %d of gxctl", name, shown[name], s.Value)
		}
		sum := 0
		for _, e := range s.Events {
			sum += e.Adds
		}
		if sum != s.Value {
			return fmt.Errorf("%s %s %s: the events make %d, not %d", s.Repo, s.User, s.Metric, sum, s.Value)
		}
	}
	return nil
}

// requireLinks checks the form of the links of each kind of event.
func requireLinks(t *testing.T, found *explanation, server string) {
	t.Helper()
	forms := map[string]string{
		"commit": `/commit/[0-9a-f]{40}$`, "pull_request_opened": `/pull/\d+$`, "pull_request_merged": `/pull/\d+$`,
		"issue_opened": `/issues/\d+$`, "issue_closed": `/issues/\d+$`,
		"review_submitted": `/pulls\?q=reviewed-by\S+#pullrequestreview-\d+$`,
		"issue_comment":    `/issues\?q=commenter\S+#issuecomment-\d+$`,
	}
	seen := make(map[string]bool)
	for _, s := range found.Series {
		for _, e := range s.Events {
			seen[e.Kind] = true
			require.Regexp(t, "^"+server+"/"+org+"/"+s.Repo+forms[e.Kind], e.URL)
		}
	}
	for _, kind := range []string{"commit", "pull_request_opened", "review_submitted", "issue_comment"} {
		require.True(t, seen[kind], kind)
	}
}

// requireFilters checks that each flag selects, and that a user who is not shown is named.
func requireFilters(t *testing.T, gx *collector, all *explanation) {
	t.Helper()
	first := all.Series[slices.IndexFunc(all.Series, func(s explainedNumber) bool {
		return s.Metric == "gh_activity_commits_7d" && s.Value > 0
	})]
	one, err := runExplain(t, gx, "--org", org, "--repo", org+"/"+first.Repo, "--user", first.User,
		"--metric", "gh.activity.commits_7d")
	require.NoError(t, err)
	require.Len(t, one.Series, 1)
	require.Equal(t, first.Metric, one.Series[0].Metric)
	week, err := runExplain(t, gx, "--org", org, "--window", "7d")
	require.NoError(t, err)
	require.NotEmpty(t, week.Series)
	for _, s := range week.Series {
		require.True(t, strings.HasSuffix(s.Metric, "_7d"), s.Metric)
	}
	since, err := runExplain(t, gx, "--org", org, "--repo", first.Repo, "--user", first.User, "--since", "168h")
	require.NoError(t, err)
	require.NotEmpty(t, since.Series)
	require.Equal(t, "commit", since.Series[0].Metric)
	hidden, err := runExplain(t, gx, "--org", org, "--user", "opentelemetrybot")
	require.NoError(t, err)
	require.Empty(t, hidden.Series)
	require.Contains(t, hidden.Notes[0], "the user opentelemetrybot is not shown")
	_, err = runExplain(t, gx, "--org", "nowhere")
	require.ErrorContains(t, err, `"nowhere" is not configured`)
}
