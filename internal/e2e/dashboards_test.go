// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// dashboard is what the tests read of a dashboard of Grafana.
type dashboard struct {
	name        string
	UID         string `json:"uid"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Time        struct{ From string }
	Templating  struct{ List []dashboardVariable }
	Panels      []dashboardPanel
}

// dashboardVariable is a variable: of type datasource, query or custom.
type dashboardVariable struct {
	Name, Type, Query, AllValue string
	Multi, IncludeAll           bool
	Current                     struct{ Value string }
}

type dashboardPanel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  struct{ X, Y, W, H int }
	Targets                  []dashboardTarget
	FieldConfig              struct {
		Defaults struct {
			Unit  string
			Color struct{ Mode string }
		}
	}
}

type dashboardTarget struct {
	Expr, RefID, Interval string
	Instant, Range        bool
}

// loadDashboards reads the dashboards of deploy/grafana.
func loadDashboards(t *testing.T) []dashboard {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "deploy", "grafana", "*.json"))
	require.NoError(t, err)
	var list []dashboard
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		d := dashboard{name: strings.TrimSuffix(filepath.Base(file), ".json")}
		require.NoError(t, json.Unmarshal(text, &d), file)
		list = append(list, d)
	}
	require.Len(t, list, 4)
	return list
}

// panels returns the panels that are no rows.
func (d *dashboard) panels() []dashboardPanel {
	return slices.DeleteFunc(slices.Clone(d.Panels), func(p dashboardPanel) bool { return p.Type == "row" })
}

// TestDashboardsAreComplete: every panel is described, has a unit, colours and a place of its own, and every variable
// that a query has is defined.
func TestDashboardsAreComplete(t *testing.T) {
	t.Parallel()
	known := []string{"__range", "__range_s", "__rate_interval"}
	variable := regexp.MustCompile(`\$\{?(\w+)\}?`)
	for _, d := range loadDashboards(t) {
		require.NotEmpty(t, d.Title)
		require.NotEmpty(t, d.Description)
		names := slices.Clone(known)
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
		}
		require.Contains(t, names, "org")
		taken := make(map[[2]int]string)
		for _, p := range d.panels() {
			where := d.name + ": " + p.Title
			require.Regexp(t, `^[A-Z].*\.$`, p.Description, where)
			require.NotEmpty(t, p.FieldConfig.Defaults.Unit, where)
			require.NotEmpty(t, p.FieldConfig.Defaults.Color.Mode, where)
			require.NotEmpty(t, p.Targets, where)
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					require.Empty(t, taken[[2]int{x, y}], "%s is on another panel", where)
					taken[[2]int{x, y}] = p.Title
					require.Less(t, x, 24, where)
				}
			}
			for _, target := range p.Targets {
				for _, found := range variable.FindAllStringSubmatch(target.Expr, -1) {
					if _, err := strconv.Atoi(found[1]); err != nil { // $1 is of label_replace
						require.Contains(t, names, found[1], where)
					}
				}
				requireOneReplica(t, where, target.Expr)
			}
		}
	}
}

// requireOneReplica checks that a query of metrics that every replica shows takes the value of one replica: it never
// sums them before a max.
func requireOneReplica(t *testing.T, where, expr string) {
	t.Helper()
	metric := regexp.MustCompile(`gh_(activity|copilot|repo)_\w+|gh_exporter_(gaps|coverage_lag_seconds|\w+_total)\b`)
	of := regexp.MustCompile(`max( by \([a-z_, ]+\) )?\((increase\()?$`)
	for _, at := range metric.FindAllStringIndex(expr, -1) {
		if strings.Contains(expr[at[0]:at[1]], "store_corrupt_records") {
			continue // each replica counts its own
		}
		require.Regexp(t, of, expr[:at[0]], "%s: %s", where, expr)
	}
}

// grafanaTime has the values of the variables that Grafana computes from the time range.
type grafanaTime struct {
	start, end time.Time
	step       time.Duration
}

// substitute replaces variables as Grafana does for Prometheus.
func substitute(expr string, values map[string]string, at grafanaTime) string {
	length := at.end.Sub(at.start)
	all := map[string]string{
		"__range":         fmt.Sprintf("%.0fs", length.Seconds()),
		"__range_s":       fmt.Sprintf("%.0f", length.Seconds()),
		"__rate_interval": fmt.Sprintf("%.0fs", max(at.step+15*time.Second, time.Minute).Seconds()),
	}
	maps.Copy(all, values)
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return len(b) - len(a) })
	for _, name := range names {
		expr = strings.ReplaceAll(expr, "${"+name+"}", all[name])
		expr = strings.ReplaceAll(expr, "$"+name, all[name])
	}
	return expr
}

// several is what Grafana makes of several selected values: a regular expression.
func several(values ...string) string {
	escaped := make([]string, len(values))
	for i, value := range values {
		escaped[i] = regexp.MustCompile(`[\\^$*+?.()|[\]{}]`).ReplaceAllString(value, `\\$0`)
	}
	return "(" + strings.Join(escaped, "|") + ")"
}

// defaults returns the values of a dashboard's variables as they are when it is opened.
func (d *dashboard) defaults() map[string]string {
	values := make(map[string]string)
	for _, v := range d.Templating.List {
		switch {
		case v.IncludeAll:
			values[v.Name] = v.AllValue
		case v.Type == "custom":
			values[v.Name] = v.Current.Value
		case v.Type == "query":
			values[v.Name] = org
		}
	}
	return values
}

// timeRange returns the time range of a dashboard and the step of a target.
func (d *dashboard) timeRange(t *testing.T, target dashboardTarget, bucket string, now time.Time) grafanaTime {
	t.Helper()
	length := promDuration(t, strings.TrimPrefix(d.Time.From, "now-"))
	step := max(length/1000, 15*time.Second).Truncate(time.Second)
	if target.Interval == "$bucket" {
		step = promDuration(t, bucket)
	}
	return grafanaTime{now.Add(-length), now, step}
}

// promDuration parses a duration as Prometheus writes it.
func promDuration(t *testing.T, text string) time.Duration {
	t.Helper()
	number, err := strconv.Atoi(text[:len(text)-1])
	require.NoError(t, err)
	unit := map[byte]time.Duration{'m': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[text[len(text)-1]]
	require.NotZero(t, unit, text)
	return time.Duration(number) * unit
}

// evaluate evaluates a target as Grafana does, and returns how many series it has.
func (p *prometheus) evaluate(ctx context.Context, expr string, target dashboardTarget, at grafanaTime) (int, error) {
	path, values := "query", url.Values{"query": {expr}, "time": {strconv.FormatInt(at.end.Unix(), 10)}}
	if target.Range {
		path, values = "query_range", url.Values{
			"query": {expr}, "start": {strconv.FormatInt(at.start.Unix(), 10)},
			"end": {strconv.FormatInt(at.end.Unix(), 10)}, "step": {strconv.Itoa(int(at.step.Seconds()))},
		}
	}
	body, err := getBody(ctx, "http://"+p.address+"/api/v1/"+path+"?"+values.Encode())
	if err != nil {
		return 0, fmt.Errorf("%s: %w", expr, err)
	}
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		return 0, err
	}
	if strings.Contains(body, `"NaN"`) || strings.Contains(body, `Inf"`) {
		return 0, fmt.Errorf("%s: a value is no number", expr)
	}
	return len(answer.Data.Result), nil
}

// demo is a running `make demo`.
type demo struct {
	*proctest.Process

	prometheus *prometheus
	page       string
}

// startDemo runs scripts/demo until it has shown everything.
func startDemo(t *testing.T) *demo {
	t.Helper()
	dir := t.TempDir()
	server := filepath.Join(dir, "gxdemo")
	out, err := bash(t, "go build -o "+server+" ./internal/demo/cmd/gxdemo")
	require.NoError(t, err, out)
	d := &demo{prometheus: &prometheus{address: proctest.FreeAddress(t)}, page: proctest.FreeAddress(t)}
	d.Process = proctest.New(t, filepath.Join("..", "..", "scripts", "demo"))
	d.Env = append(os.Environ(), "TMPDIR="+dir, "GX_DEMO_SERVER="+server,
		fmt.Sprintf("GX_PROMETHEUS_PORT=%d", proctest.Port(t, d.prometheus.address)),
		fmt.Sprintf("GX_PAGE_PORT=%d", proctest.Port(t, d.page)))
	for _, variable := range []string{"GITHUB", "METRICS", "HEALTH", "READY", "LIVE", "TELEMETRY"} {
		d.Env = append(d.Env, fmt.Sprintf("GX_%s_PORT=%d", variable, proctest.Port(t, proctest.FreeAddress(t))))
	}
	d.Run()
	t.Cleanup(func() { d.Stop() }) // with SIGTERM, so that the script stops what it has started
	eventually(t, 2*time.Minute, func() error {
		require.False(t, d.HasExited(), d.Output())
		if !strings.Contains(d.Output(), "Ctrl-C stops it") {
			return fmt.Errorf("not yet: %s", d.Output())
		}
		return nil
	})
	return d
}

// TestDemo: every query of every panel of every dashboard has data in the demo; its page draws all of them; what it
// prints is true.
func TestDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.checkOutput(t)
	d.checkQueries(t)
	d.checkPage(t)
}

// checkOutput checks what the demo prints: addresses that answer, people and repositories, queries that have data.
func (d *demo) checkOutput(t *testing.T) {
	t.Helper()
	out := d.Output()
	address := regexp.MustCompile(`(?m)^(?:dashboards|Prometheus|metrics|health) +(http\S+)$`)
	addresses := address.FindAllStringSubmatch(out, -1)
	require.Len(t, addresses, 4, out)
	require.Less(t, strings.Index(out, addresses[3][1]), strings.Index(out, "collector start"), "addresses come first")
	for _, address := range addresses {
		_, err := getBody(t.Context(), address[1])
		require.NoError(t, err)
	}
	require.Regexp(t, `everything is read: \d+ commits, \d+ merged pull requests, \d+ reviews in the last 7 days`, out)
	people := regexp.MustCompile(`(?m)^  dev-[0-9a-f]{8}(?: +\d+){5}$`).FindAllString(out, -1)
	require.Len(t, people, 5, out)
	require.Regexp(t, `(?m)^  opentelemetry-collector +\d+ +\d+$`, out)
	_, queries, found := strings.Cut(out, "Three queries to try")
	require.True(t, found, out)
	for _, query := range strings.Split(queries, "\n")[1:4] {
		dom, log := d.browse(t, "query="+url.QueryEscape(strings.TrimSpace(query)))
		require.Equal(t, 2, strings.Count(dom, `data-state="drawn"`), "%s: %s", query, log)
	}
}

// checkQueries evaluates every query of every panel of every dashboard.
func (d *demo) checkQueries(t *testing.T) {
	t.Helper()
	for _, board := range loadDashboards(t) {
		for _, p := range board.panels() {
			for _, target := range p.Targets {
				where := board.name + ": " + p.Title + " " + target.RefID
				values := board.defaults()
				eventually(t, time.Minute, func() error {
					at := board.timeRange(t, target, values["bucket"], time.Now())
					count, err := d.prometheus.evaluate(t.Context(), substitute(target.Expr, values, at), target, at)
					if err == nil && count == 0 {
						err = fmt.Errorf("no data: %s", substitute(target.Expr, values, at))
					}
					if err != nil {
						return fmt.Errorf("%s: %w", where, err)
					}
					return nil
				})
				// With single values selected it is valid, whatever it returns.
				for _, name := range []string{"org", "team", "repo", "user"} {
					values[name] = several("open-telemetry", "renovate[bot]", "opentelemetry-go")
				}
				at := board.timeRange(t, target, "6h", time.Now())
				_, err := d.prometheus.evaluate(t.Context(), substitute(target.Expr, values, at), target, at)
				require.NoError(t, err, where)
			}
		}
	}
}

// checkPage draws every dashboard in Chromium: no panel fails or is empty, and the console has no message.
func (d *demo) checkPage(t *testing.T) {
	t.Helper()
	panelState := regexp.MustCompile(`data-state="(\w+)"`)
	for _, board := range loadDashboards(t) {
		dom, log := d.browse(t, "d="+board.name)
		states := make(map[string]int)
		for _, found := range panelState.FindAllStringSubmatch(dom, -1) {
			states[found[1]]++
		}
		require.Equal(t, map[string]int{"done": 1, "drawn": len(board.panels())}, states, "%s: %s", board.name, log)
		require.NotContains(t, log, "CONSOLE", board.name)
		require.Contains(t, dom, board.Title)
	}
	_, log := d.browse(t, "d=nothing") // the check above can fail
	require.Contains(t, log, "CONSOLE")
}

// browse opens the page in Chromium with parameters, and returns the page as it is then, and the log.
func (d *demo) browse(t *testing.T, page string) (dom, log string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), proctest.ProgramPath(t, "GX_CHROMIUM"), "--headless", "--no-sandbox",
		"--disable-gpu", "--window-size=1400,1600", "--virtual-time-budget=60000", "--enable-logging=stderr",
		"--user-data-dir="+t.TempDir(), "--dump-dom", "http://"+d.page+"/?"+page)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	return string(out), stderr.String()
}
