// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// prometheus is a real Prometheus that scrapes a collector every second.
type prometheus struct {
	address string
}

const prometheusConfig = `
global: {scrape_interval: 1s, scrape_timeout: 1s}
scrape_configs:
  - job_name: githubexporter
    static_configs: [{targets: [%q]}]
`

// startPrometheus starts a Prometheus that scrapes a target.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	return runPrometheus(t, fmt.Sprintf(prometheusConfig, target))
}

// runPrometheus starts a Prometheus with a configuration.
func runPrometheus(t *testing.T, text string) *prometheus {
	t.Helper()
	dir := t.TempDir()
	config := filepath.Join(dir, "prometheus.yml")
	require.NoError(t, os.WriteFile(config, []byte(text), 0o600))
	p := &prometheus{address: proctest.FreeAddress(t)}
	proctest.New(
		t,
		proctest.ProgramPath(t, "GX_PROMETHEUS"),
		"--config.file="+config,
		"--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+p.address,
		"--web.enable-admin-api",
		"--log.level=warn",
	).Run()
	eventually(t, time.Minute, func() error {
		_, err := getBody(t.Context(), "http://"+p.address+"/-/ready")
		return err
	})
	return p
}

// sample is a sample of an instant vector.
type sample struct {
	Metric map[string]string `json:"metric"`
	Value  [2]any            `json:"value"`
}

// query evaluates PromQL at a time.
func (p *prometheus) query(ctx context.Context, promql string, at time.Time) ([]sample, error) {
	values := url.Values{"query": {promql}, "time": {strconv.FormatInt(at.Unix(), 10)}}
	body, err := getBody(ctx, "http://"+p.address+"/api/v1/query?"+values.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct {
		Data struct {
			Result []sample `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return nil, err
	}
	if len(answer.Data.Result) == 0 {
		return nil, errors.New("no result for " + promql)
	}
	return answer.Data.Result, nil
}

// activity returns the metrics of activity and flow at a time. It fails when a series has a label that it should not
// have.
func (p *prometheus) activity(ctx context.Context, org string, at time.Time) (map[series]float64, error) {
	samples, err := p.query(ctx, fmt.Sprintf(`{__name__=~"gh_(activity|pr|issue)_.+",org=%q}`, org), at)
	if err != nil {
		return nil, err
	}
	found := make(map[series]float64, len(samples))
	for _, s := range samples {
		for label := range s.Metric {
			switch label {
			case "__name__", "job", "instance", "org", "repo", "user", "le":
			default:
				return nil, fmt.Errorf("label %q on %s", label, s.Metric["__name__"])
			}
		}
		value, err := strconv.ParseFloat(s.Value[1].(string), 64)
		if err != nil {
			return nil, err
		}
		found[series{s.Metric["__name__"], s.Metric["repo"], s.Metric["user"] + s.Metric["le"]}] = value
	}
	return found, nil
}
