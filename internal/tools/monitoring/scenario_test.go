// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// healthyMinutes is the time before a scenario.
const healthyMinutes = 90

// deployment is the series of a deployment by their names with labels, one sample a minute; NaN is no sample.
type deployment map[string][]float64

// replicas are the addresses of the replicas; the first leads.
var replicas = []string{"replica-1:9464", "replica-2:9464", "replica-3:9464"}

// organizations are the organizations of the deployment.
var organizations = []string{"acme", "widgets"}

// promql parses series and selectors.
var promql = parser.NewParser(parser.Options{})

// seriesName returns a series with more labels, in the order of their names.
func seriesName(t *testing.T, series string, more map[string]string) string {
	t.Helper()
	metric, err := promql.ParseMetric(series)
	require.NoError(t, err, series)
	builder := labels.NewBuilder(metric)
	for name, value := range more {
		if name != "exported_instance" || metric.Get(name) == "" {
			builder.Set(name, value)
		}
	}
	return builder.Labels().String()
}

// replicaLabels returns the labels of a replica's series.
func replicaLabels(n int) map[string]string {
	return map[string]string{
		"job": "githubexporter", "instance": replicas[n], "exported_instance": "id-" + strconv.Itoa(n+1),
	}
}

// newDeployment returns the series of healthy.yaml over some minutes.
func newDeployment(t *testing.T, minutes int) deployment {
	t.Helper()
	var content struct{ Target, Replica, Organization, Leader map[string]string }
	readYAML(t, filepath.Join(rulesDir, "tests", "healthy.yaml"), &content)
	d := make(deployment)
	add := func(series, value string, more map[string]string) {
		values := make([]float64, minutes)
		fill(t, values, 0, minutes, value)
		d[seriesName(t, series, more)] = values
	}
	for n := range replicas {
		own := replicaLabels(n)
		for series, value := range content.Target {
			add(series, value, map[string]string{"job": own["job"], "instance": own["instance"]})
		}
		for series, value := range content.Replica {
			add(series, value, own)
		}
		for _, org := range organizations {
			own["org"] = org
			for series, value := range content.Organization {
				add(series, value, own)
			}
			if n == 0 {
				for series, value := range content.Leader {
					add(series, value, own)
				}
			}
		}
	}
	return d
}

// fill sets the samples of some minutes: 5 stays 5, 5+2 grows by 2 a minute, +2 grows from the sample before, _ is no
// sample.
func fill(t *testing.T, values []float64, from, until int, value string) {
	t.Helper()
	start, step, grows := strings.Cut(value, "+")
	at, by := math.NaN(), 0.0
	var err error
	if grows {
		by, err = strconv.ParseFloat(step, 64)
		require.NoError(t, err, value)
	}
	switch {
	case start == "":
		at = values[from-1] + by
	case start != "_":
		at, err = strconv.ParseFloat(start, 64)
		require.NoError(t, err, value)
	}
	for i := from; i < until; i++ {
		values[i] = at + by*float64(i-from)
	}
}

// matching returns the series that a selector selects; an empty one selects all.
func (d deployment) matching(t *testing.T, selector string) []string {
	t.Helper()
	var matchers []*labels.Matcher
	if selector != "" {
		var err error
		matchers, err = promql.ParseMetricSelector(selector)
		require.NoError(t, err, selector)
	}
	var found []string
	for series := range d {
		metric, err := promql.ParseMetric(series)
		require.NoError(t, err)
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(metric.Get(m.Name)) }) {
			found = append(found, series)
		}
	}
	require.NotEmpty(t, found, "healthy.yaml has no series %s", selector)
	return found
}

// change is a change of series in a scenario.
type change struct {
	Match, Add, On        string
	Before, During, After string
}

// apply makes a change of a scenario between two minutes.
func (d deployment) apply(t *testing.T, c *change, from, until int) {
	t.Helper()
	if c.Add != "" {
		for n, address := range replicas {
			if c.On == "" || c.On == address {
				values := make([]float64, d.minutes())
				fill(t, values, 0, len(values), c.Before)
				fill(t, values, from, until, c.During)
				fill(t, values, until, len(values), c.After)
				d[seriesName(t, c.Add, replicaLabels(n))] = values
			}
		}
		return
	}
	for _, series := range d.matching(t, c.Match) {
		fill(t, d[series], from, until, c.During)
		if c.After != "" {
			fill(t, d[series], until, d.minutes(), c.After)
		}
	}
}

// minutes returns the number of samples of each series.
func (d deployment) minutes() int {
	for _, values := range d {
		return len(values)
	}
	return 0
}

// inputSeries returns the series in promtool's notation.
func (d deployment) inputSeries() []map[string]string {
	var list []map[string]string
	for _, series := range slices.Sorted(maps.Keys(d)) {
		var text strings.Builder
		values := d[series]
		for i := 0; i < len(values); {
			n := 1
			for i+n < len(values) && (values[i+n] == values[i] || math.IsNaN(values[i+n]) && math.IsNaN(values[i])) {
				n++
			}
			if math.IsNaN(values[i]) {
				fmt.Fprintf(&text, "_x%d ", n)
			} else {
				fmt.Fprintf(&text, "%vx%d ", strconv.FormatFloat(values[i], 'f', -1, 64), n-1)
			}
			i += n
		}
		list = append(list, map[string]string{"series": series, "values": text.String()})
	}
	return list
}

// expectation is a query of a promtool test.
type expectation struct {
	Expr     string           `yaml:"expr"`
	EvalTime string           `yaml:"eval_time"`
	Samples  []map[string]any `yaml:"exp_samples"`
}

// alertExpectation is what fires of an alert at a time.
type alertExpectation struct {
	Alert    string           `yaml:"alertname"`
	EvalTime string           `yaml:"eval_time"`
	Alerts   []map[string]any `yaml:"exp_alerts"`
}

// runPromtool writes a test for promtool with the recording rules and the alerts, and runs it.
func runPromtool(t *testing.T, d deployment, alerts []alertExpectation, queries []expectation) {
	t.Helper()
	dir, err := filepath.Abs(rulesDir)
	require.NoError(t, err)
	test := map[string]any{
		"rule_files":          []string{filepath.Join(dir, "recording.yaml"), filepath.Join(dir, "alerts.yaml")},
		"evaluation_interval": "1m",
		"group_eval_order":    groupOrder(t),
		"tests": []map[string]any{{
			"interval": "1m", "input_series": d.inputSeries(), "alert_rule_test": alerts, "promql_expr_test": queries,
		}},
	}
	text, err := yaml.Marshal(test)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "test.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	out, err := promtool(t, "test", "rules", file)
	require.NoError(t, err, out)
}

// groupOrder returns the groups in the order of their evaluation: the recorded series first.
func groupOrder(t *testing.T) []string {
	t.Helper()
	var order []string
	for _, name := range []string{"recording.yaml", "alerts.yaml"} {
		var content struct{ Groups []struct{ Name string } }
		readYAML(t, filepath.Join(rulesDir, name), &content)
		for _, group := range content.Groups {
			order = append(order, group.Name)
		}
	}
	return order
}

// firing is the query of the firing alerts, by the labels that tell their subjects.
const firing = `max by (alertname, org) (ALERTS{alertstate="firing"})`

// minute returns a time in promtool's notation.
func minute(n int) string { return (time.Duration(n) * time.Minute).String() }

// nothingFired is the expectation that no alert fires at a minute, or fired since another one.
func nothingFired(since, until int) expectation {
	return expectation{
		Expr: fmt.Sprintf(`count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[%dm]))`,
			max(1, until-since)),
		EvalTime: minute(until),
	}
}

// scenario is a scenario of tests/alerts.yaml.
type scenario struct {
	Alert                string
	Lasts, After         time.Duration
	Labels               map[string]string
	Series               []change
	Summary, Description string
}

// loadScenarios reads tests/alerts.yaml.
func loadScenarios(t *testing.T) []scenario {
	t.Helper()
	var list []scenario
	readYAML(t, filepath.Join(rulesDir, "tests", "alerts.yaml"), &list)
	for i := range list {
		list[i].Lasts = cmp.Or(list[i].Lasts, 2*time.Hour)
		list[i].After = cmp.Or(list[i].After, 80*time.Minute)
	}
	return list
}

// TestAlertsFire: each alert fires in its scenario, with its texts, and no other alert does; before the scenario and
// some time after it none fires.
func TestAlertsFire(t *testing.T) {
	t.Parallel()
	severities, scenarios := make(map[string]string), make(map[string]bool)
	for _, r := range loadRules(t, "alerts.yaml") {
		severities[r.Alert] = r.Labels["severity"]
	}
	for _, s := range loadScenarios(t) {
		scenarios[s.Alert] = true
		require.Contains(t, severities, s.Alert)
		t.Run(s.Alert, func(t *testing.T) {
			t.Parallel()
			runScenario(t, &s, severities[s.Alert])
		})
	}
	require.Len(t, scenarios, len(severities), "an alert has no scenario")
}

// runScenario runs a scenario with promtool.
func runScenario(t *testing.T, s *scenario, severity string) {
	t.Helper()
	until := healthyMinutes + int(s.Lasts.Minutes())
	end := until + int(s.After.Minutes())
	d := newDeployment(t, end+1)
	for i := range s.Series {
		d.apply(t, &s.Series[i], healthyMinutes, until)
	}
	shown := maps.Clone(s.Labels)
	if shown == nil {
		shown = make(map[string]string)
	}
	shown["severity"] = severity
	texts := map[string]string{
		"summary": s.Summary, "description": s.Description,
		"runbook_url": runbookURL + strings.ToLower(s.Alert),
	}
	fired := []map[string]any{{
		"labels": labels.FromStrings("alertname", s.Alert, "org", s.Labels["org"]).WithoutEmpty().String(), "value": 1,
	}}
	alert := map[string]any{"exp_labels": shown, "exp_annotations": texts}
	runPromtool(t, d,
		[]alertExpectation{{s.Alert, minute(until - 1), []map[string]any{alert}}},
		[]expectation{
			nothingFired(0, healthyMinutes-1),
			{Expr: firing, EvalTime: minute(until - 1), Samples: fired},
			nothingFired(end, end),
		})
}

// TestHealthyIsSilent: no alert fires in eight hours of a healthy deployment.
func TestHealthyIsSilent(t *testing.T) {
	t.Parallel()
	const end = 8 * 60
	runPromtool(t, newDeployment(t, end+1), nil, append(ledByOne(end), nothingFired(0, end)))
}

// TestRemovedOrganizationIsSilent: no alert fires after an organization was removed from the configuration.
func TestRemovedOrganizationIsSilent(t *testing.T) {
	t.Parallel()
	const end = healthyMinutes + 150
	d := newDeployment(t, end+1)
	for _, series := range d.matching(t, "gh_exporter_scrape_runs_total") {
		for i, value := range d[series] {
			d[series][i] = math.Floor(value) // a pass every five minutes
		}
	}
	d.apply(t, &change{Match: `{org="widgets"}`, During: "_"}, healthyMinutes, end+1)
	runPromtool(t, d, nil, []expectation{nothingFired(0, end)})
}

// ledByOne is the expectation that the recorded series have each organization once, with one leader.
func ledByOne(at int) []expectation {
	return []expectation{
		{Expr: "count(org:gh_exporter_leader:sum == 1)", EvalTime: minute(at), Samples: []map[string]any{
			{"labels": "{}", "value": len(organizations)},
		}},
		{Expr: "count(org:gh_exporter_gaps:max)", EvalTime: minute(at), Samples: []map[string]any{
			{"labels": "{}", "value": len(organizations)},
		}},
	}
}

// restarts of a rolling update, in minutes: a replica is down, then it starts and is not ready, then the next follows.
const (
	downFor  = 2
	startFor = 3
)

// restart makes a replica restart at a minute, with a series of another version afterwards. rename has its new labels;
// with another instance the target has another name and the former one is not scraped any more.
func (d deployment) restart(t *testing.T, n, at int, rename map[string]string) {
	t.Helper()
	end, ready := d.minutes(), at+downFor+startFor
	for _, series := range d.matching(t, fmt.Sprintf(`{instance=%q}`, replicas[n])) {
		former, next := d[series], make([]float64, end)
		fill(t, next, 0, end, "_")
		copy(next[at+downFor:], former[at+downFor:])
		metric, err := promql.ParseMetric(series)
		require.NoError(t, err)
		switch name := metric.Get(model.MetricNameLabel); name {
		case "gh_exporter_ready", "gh_exporter_dependency_health":
			fill(t, next, at+downFor, ready, "0")
		case "gh_exporter_leader", "gh_exporter_leader_cycle_last_run_unixtime":
			fill(t, next, at+downFor, end, map[bool]string{true: "0", false: "_"}[name == "gh_exporter_leader"])
		}
		if name := metric.Get(model.MetricNameLabel); name == "up" && rename["instance"] == "" {
			fill(t, former, at, at+downFor, "0")
			continue
		}
		fill(t, former, at, end, "_")
		builder := labels.NewBuilder(metric)
		for label, value := range rename {
			if label == "instance" || metric.Get(label) != "" {
				builder.Set(label, value)
			}
		}
		key := builder.Labels().String()
		if key == series {
			copy(former[at+downFor:], next[at+downFor:])
			continue
		}
		d[key] = next
	}
}

// lead makes a replica lead all organizations from a minute on.
func (d deployment) lead(t *testing.T, address string, from, until int) {
	t.Helper()
	for _, series := range d.matching(t, fmt.Sprintf(`gh_exporter_leader{instance=%q}`, address)) {
		for i := from; i < until; i++ {
			if !math.IsNaN(d[series][i]) {
				d[series][i] = 1
			}
		}
	}
	d.apply(t, &change{
		Add: `gh_exporter_leader_cycle_last_run_unixtime{org="acme"}`, On: address,
		Before: "_", During: fmt.Sprintf("%d+60", from*60), After: "_",
	}, from, until)
}

// TestRollingUpdateIsSilent: no alert fires while three replicas are replaced one after the other by those of another
// version, whether a target keeps its name or gets another one. The leadership changes three times, once with a scrape
// in which two lead. The shared counters go on.
func TestRollingUpdateIsSilent(t *testing.T) {
	t.Parallel()
	const begin, each, end = 90, 6, 240
	for name, pods := range map[string]bool{"same names": false, "new pods": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDeployment(t, end+1)
			for n := range replicas {
				rename := map[string]string{
					"version": "0.2.0", "revision": "bbbb", "exported_instance": fmt.Sprintf("new-%d", n),
				}
				if pods {
					rename["instance"] = fmt.Sprintf("pod-%d:9464", n)
				}
				d.restart(t, n, begin+n*each, rename)
			}
			second, last := replicas[1], replicas[0]
			if pods {
				last = "pod-0:9464"
			}
			d.lead(t, second, begin+1, begin+each)
			d.lead(t, last, begin+each-1, end+1)
			queries := append(ledByOne(end), nothingFired(0, end), expectation{
				Expr:     `increase(org_result:gh_exporter_scrape_runs_total:max{org="acme",result="success"}[1h])`,
				EvalTime: minute(begin + 30),
				Samples: []map[string]any{{
					"labels": `{job="githubexporter", org="acme", result="success"}`, "value": 12,
				}},
			})
			runPromtool(t, d, nil, queries)
		})
	}
}
