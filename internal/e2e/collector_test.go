// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// collector is the built collector with a configuration of the test.
type collector struct {
	*proctest.Process
	binary  string
	config  string
	metrics string // the address of the Prometheus exporter
	args    []string
}

const collectorConfig = `
extensions:
  bearertokenauth/github:
    token: extension-token
  file_storage:
    directory: %[1]s
    create_directory: true
receivers:
  githubexporter:
%[2]s
exporters:
  prometheus:
    endpoint: %[3]s
    metric_expiration: 10m
    without_scope_info: true
service:
  extensions: [bearertokenauth/github, file_storage]
  telemetry:
    metrics:
      level: none
    logs:
      level: info
      encoding: json
      sampling: {enabled: false}
  pipelines:
    metrics:
      receivers: [githubexporter]
      exporters: [prometheus]
`

// startCollector starts a collector with settings of the receiver and a file_storage of its own.
func startCollector(t *testing.T, receiver string) *collector {
	t.Helper()
	c := newCollector(t, receiver)
	c.start(t)
	return c
}

// newCollector writes the configuration of a collector without starting it.
func newCollector(t *testing.T, receiver string) *collector {
	t.Helper()
	dir := t.TempDir()
	c := &collector{
		binary: proctest.ProgramPath(
			t,
			"GX_COLLECTOR",
		),
		config:  filepath.Join(dir, "collector.yaml"),
		metrics: proctest.FreeAddress(t),
	}
	text := fmt.Sprintf(collectorConfig, filepath.Join(dir, "storage"), indent(receiver), c.metrics)
	require.NoError(t, os.WriteFile(c.config, []byte(text), 0o600))
	return c
}

// start starts the collector, also again after its process has ended.
func (c *collector) start(t *testing.T) {
	t.Helper()
	c.Process = proctest.New(t, c.binary, append([]string{"--config", c.config}, c.args...)...)
	c.Run()
	eventually(t, time.Minute, func() error {
		if c.HasExited() {
			return nil // what follows will tell
		}
		_, err := c.page(t.Context())
		return err
	})
	require.False(t, c.HasExited(), "the collector has ended")
}

// page returns the metrics page.
func (c *collector) page(ctx context.Context) (string, error) {
	return getBody(ctx, "http://"+c.metrics+"/metrics")
}

// seriesName returns a series as the tests name it: without the label of the replica, and without empty labels.
func seriesName(series string) string {
	name, labels, ok := strings.Cut(strings.TrimSuffix(series, "}"), "{")
	if !ok {
		return series
	}
	var list []string
	for _, label := range pageLabel.FindAllString(labels, -1) {
		if !strings.HasPrefix(label, "instance=") && !strings.HasSuffix(label, `=""`) {
			list = append(list, label)
		}
	}
	if len(list) == 0 {
		return name
	}
	return name + "{" + strings.Join(list, ",") + "}"
}

// value returns the value of a series on the metrics page, which is named as on the page without the label of the
// replica.
func (c *collector) value(ctx context.Context, series string) (float64, error) {
	page, err := c.page(ctx)
	if err != nil {
		return 0, err
	}
	want := seriesName(series)
	metric, _, _ := strings.Cut(series, "{")
	for line := range strings.Lines(page) {
		if !strings.HasPrefix(line, metric) { // most lines: their labels need not be read
			continue
		}
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok {
			name += "}"
		} else {
			name, value, _ = strings.Cut(strings.TrimSpace(line), " ")
		}
		if name == series || seriesName(name) == want {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("no %s on the page", series)
}

// count returns the value of a counter, 0 as long as it is not on the page.
func (c *collector) count(ctx context.Context, series string) float64 {
	value, err := c.value(ctx, series)
	if err != nil {
		return 0
	}
	return value
}

// awaitComplete waits until a pass has ended that began after now, and there is no gap.
func (c *collector) awaitComplete(t *testing.T, org string) {
	t.Helper()
	p := newPassCounter(time.Now())
	eventually(t, 2*time.Minute, func() error { return p.checkComplete(t, c, org) })
}

// passCounter counts the passes that a test sees on pages.
type passCounter struct {
	last float64 // when the last one ended
	seen int
}

// newPassCounter returns a counter of the passes after a time.
func newPassCounter(begun time.Time) *passCounter { return &passCounter{last: float64(begun.Unix())} }

// checkComplete returns an error as long as no new pass of an organization has ended without a gap on the page of a
// collector that leads.
func (p *passCounter) checkComplete(t *testing.T, c *collector, org string) error {
	t.Helper()
	run, err := c.value(t.Context(), fmt.Sprintf("gh_exporter_leader_cycle_last_run_unixtime{org=%q}", org))
	if err != nil {
		return err
	}
	if run > p.last {
		p.last = run
		p.seen++
	}
	gaps, err := c.value(t.Context(), fmt.Sprintf("gh_exporter_gaps{org=%q}", org))
	if err != nil {
		return err
	}
	if p.seen < 3 || gaps != 0 {
		return fmt.Errorf("%d passes since then, %v gaps", p.seen, gaps)
	}
	return nil
}

// indent indents the lines of a configuration.
func indent(text string) string {
	return "    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
}
