// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

const org = "open-telemetry"

// loadData returns the recorded data of the organization, with drafts, closings and lines of pull requests.
func loadData(t *testing.T) *githubtest.Dataset {
	t.Helper()
	data, err := githubtest.LoadDataset(os.DirFS("../../testdata/open-telemetry"))
	require.NoError(t, err)
	data.Enrich()
	return data
}

// highLimits are limits that passes every two seconds do not reach: reading the same two minutes again and again costs
// REST thousands of requests.
var highLimits = githubtest.Limits{Core: 1_000_000, GraphQL: 1_000_000}

// receiverConfig has short intervals and a look-back that covers all of the data.
const receiverConfig = `
orgs:
  - name: %s
    auth: {token: %s}
    scrape_interval: 2s
    lookback: 1440h
github: {endpoint: %q, api: %s, retry: {initial_interval: 100ms, max_interval: 1s}}
storage: file_storage
retention: 1440h
emit_interval: 1s
`

// serveData serves the data of loadData. Its last part, of a length of `before`, arrives within a time from now.
func serveData(t *testing.T, before, within time.Duration) (*githubtest.Dataset, *githubtest.Server,
	githubtest.Timeline,
) {
	t.Helper()
	data := loadData(t)
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Limits: highLimits,
		Timeline: githubtest.EndingAt(data, before, time.Now(), before.Seconds()/within.Seconds()),
	})
	return data, server, server.Timeline()
}

// TestMetricsMatchTheData compares every activity metric of every user in every repository, as PromQL returns it, with
// the data files: at three times while data arrive, and after a kill -9.
func TestMetricsMatchTheData(t *testing.T) {
	for _, api := range []string{"graphql", "rest"} {
		t.Run(api, func(t *testing.T) {
			t.Parallel()
			data, server, timeline := serveData(t, 72*time.Hour, 90*time.Second)
			server.HideAfter(timeline.Start)

			gx := startCollector(t, fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, api))
			prom := startPrometheus(t, gx.metrics)
			for _, arrived := range []time.Duration{0, 30 * time.Second, 95 * time.Second} {
				visible := timeline.Start.Add(arrived)
				waitUntil(t, visible)
				server.HideAfter(visible)
				gx.awaitComplete(t, org)
				compareWithData(t, prom, data, timeline, visible)
				requirePage(t, gx)
			}

			gx.Kill()
			gx.start(t)
			gx.awaitComplete(t, org)
			compareWithData(t, prom, data, timeline, timeline.Start.Add(95*time.Second))
			requireNoReset(t, prom)
			require.Less(t, gx.Stop(), time.Second)
			requireNoSecret(t, gx.Output())
		})
	}
}

// compareWithData waits until Prometheus has the correct values of a time within the last seconds: between an emission
// and the response, an event may leave a window.
func compareWithData(
	t *testing.T,
	prom *prometheus,
	data *githubtest.Dataset,
	timeline githubtest.Timeline,
	visible time.Time,
) {
	t.Helper()
	compareWith(t, prom, func(at time.Time) map[series]float64 { return expectedAt(data, timeline, visible, at) })
}

// compareWith is compareWithData with expected values of the test.
func compareWith(t *testing.T, prom *prometheus, truth func(at time.Time) map[series]float64) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		now := time.Now().Truncate(time.Second)
		found, err := prom.activity(t.Context(), org, now)
		if err != nil {
			return err
		}
		var difference string
		for at := now; now.Sub(at) <= 5*time.Second; at = at.Add(-time.Second) {
			difference = cmp.Diff(truth(at), found)
			if difference == "" {
				t.Logf("%d series are as the data files say", len(found))
				return nil
			}
		}
		return fmt.Errorf("Prometheus differs from the data files (-truth +Prometheus):\n%s", difference)
	})
}

// requireNoReset requires that no sum in Prometheus has ever fallen: a restart must not show.
func requireNoReset(t *testing.T, prom *prometheus) {
	t.Helper()
	requireNoResetOf(t, prom, "commits", "prs_opened", "prs_merged", "reviews_submitted", "issue_comments",
		"loc_added", "loc_removed")
}

// requireNoResetOf is requireNoReset for some kinds of events.
func requireNoResetOf(t *testing.T, prom *prometheus, kinds ...string) {
	t.Helper()
	for _, kind := range kinds {
		samples, err := prom.query(t.Context(), fmt.Sprintf("max(resets(gh_activity_%s_total[1h]))", kind), time.Now())
		require.NoError(t, err)
		require.Equal(t, "0", samples[0].Value[1], kind)
	}
}

// requireNoSecret requires that a log has no credential of the tests.
func requireNoSecret(t *testing.T, log string) {
	t.Helper()
	require.NotContains(t, log, githubtest.DefaultToken)
	require.NotContains(t, strings.ToLower(log), "panic")
}

// waitUntil sleeps until a time.
func waitUntil(t *testing.T, moment time.Time) {
	t.Helper()
	select {
	case <-time.After(time.Until(moment)):
	case <-t.Context().Done():
	}
}

// getBody returns the body of a page.
func getBody(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), err
}

// eventually waits until check returns nil.
func eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(250 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			require.NoError(t, err, "still so after %s", limit)
		}
		<-ticker.C
	}
}
