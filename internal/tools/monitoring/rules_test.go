// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// root is the root of the tree, rulesDir has the rule files.
var (
	root     = filepath.Join("..", "..", "..")
	rulesDir = filepath.Join(root, "deploy", "prometheus")
)

// rule is a rule of a rule file.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

// name returns the name of the series or of the alert.
func (r *rule) name() string { return r.Record + r.Alert }

// ruleFiles returns the names of the rule files.
func ruleFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(rulesDir, "*.yaml"))
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 5)
	return files
}

// readYAML decodes a file of the tree.
func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, into), path)
}

// loadRules returns the rules of all files, or those of the named ones.
func loadRules(t *testing.T, names ...string) []rule {
	t.Helper()
	var rules []rule
	for _, file := range ruleFiles(t) {
		if len(names) > 0 && !slices.Contains(names, filepath.Base(file)) {
			continue
		}
		var content struct{ Groups []struct{ Rules []rule } }
		readYAML(t, file, &content)
		for _, group := range content.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	require.NotEmpty(t, rules)
	return rules
}

// promtool runs promtool.
func promtool(t *testing.T, args ...string) (string, error) {
	t.Helper()
	program := os.Getenv("GX_PROMTOOL")
	require.NotEmpty(t, program, `set GX_PROMTOOL, with: eval "$(make -s env)"`)
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	return string(out), err
}

// TestRulesAreValid: promtool accepts every rule file, without duplicates.
func TestRulesAreValid(t *testing.T) {
	t.Parallel()
	out, err := promtool(t, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, ruleFiles(t)...)...)
	require.NoError(t, err, out)
	seen := make(map[string]bool)
	for _, r := range loadRules(t) {
		key := r.name() + r.Labels["user"] + r.Labels["team"] + r.Labels["window"]
		require.False(t, seen[key], "two rules %s", key)
		seen[key] = true
	}
}

// metricContract is metadata.yaml as the rules see it: the metrics by their Prometheus names with their labels, and the
// values of labels that are enumerations.
type metricContract struct {
	labels map[string][]string
	values map[string][]string // by metric and label, separated by a space
}

// loadContract reads metadata.yaml.
func loadContract(t *testing.T) metricContract {
	t.Helper()
	var content struct {
		Attributes map[string]struct {
			NameOverride string `yaml:"name_override"`
			Enum         []string
		}
		Metrics map[string]struct {
			Unit       string
			Sum        *struct{ Monotonic bool }
			Attributes []string
		}
	}
	readYAML(t, filepath.Join(root, "metadata.yaml"), &content)
	c := metricContract{labels: make(map[string][]string), values: make(map[string][]string)}
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	for name, m := range content.Metrics {
		metric := otlptranslator.Metric{Name: name, Unit: m.Unit, Type: otlptranslator.MetricTypeGauge}
		if m.Sum != nil && m.Sum.Monotonic {
			metric.Type = otlptranslator.MetricTypeMonotonicCounter
		}
		translated, err := namer.Build(metric)
		require.NoError(t, err)
		shown := []string{"job", "instance"}
		for _, id := range m.Attributes {
			label := id
			if override := content.Attributes[id].NameOverride; override != "" {
				label = override
			}
			shown = append(shown, label)
			c.values[translated+" "+label] = content.Attributes[id].Enum
		}
		c.labels[translated] = shown
	}
	require.Contains(t, c.labels, "gh_exporter_scrape_runs_total")
	require.Contains(t, c.labels, "gh_exporter_coverage_lag_seconds")
	return c
}

// foreign are the metrics of rules that the exporter does not have: Prometheus's own, and the mapping of teams.
var foreign = map[string][]string{
	"up": {"job", "instance"}, "scrape_duration_seconds": {"job", "instance"},
	"gh_user_team_info": {"org", "user", "team"},
}

// TestRulesUseMetrics: every metric in a rule is one of metadata.yaml, a recorded one or Prometheus's own, with labels
// and values of labels that it has.
func TestRulesUseMetrics(t *testing.T) {
	t.Parallel()
	contract, recorded := loadContract(t), make(map[string]bool)
	rules := loadRules(t)
	for _, r := range rules {
		recorded[r.Record] = true
	}
	p := parser.NewParser(parser.Options{})
	for _, r := range rules {
		expr, err := p.ParseExpr(r.Expr)
		require.NoError(t, err, r.name())
		parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				requireSelector(t, &r, selector, &contract, recorded)
			}
			return nil
		})
	}
}

// requireSelector checks the metrics and the matchers of a selector.
func requireSelector(
	t *testing.T, r *rule, selector *parser.VectorSelector, contract *metricContract, recorded map[string]bool,
) {
	t.Helper()
	if recorded[selector.Name] || foreign[selector.Name] != nil {
		return
	}
	var names []string
	for name := range contract.labels {
		for _, m := range selector.LabelMatchers {
			if m.Name == model.MetricNameLabel && m.Matches(name) {
				names = append(names, name)
			}
		}
	}
	require.NotEmpty(t, names, "%s: metadata.yaml has no metric %s", r.name(), selector)
	for _, m := range selector.LabelMatchers {
		if m.Name == model.MetricNameLabel {
			continue
		}
		for _, name := range names {
			if !strings.HasPrefix(name, "gh_copilot_usage_") { // some of them have a part of the labels
				require.Contains(t, contract.labels[name], m.Name, "%s: %s", r.name(), selector)
			}
		}
	}
}

// TestMatchedValuesExist: the results and dependencies by which recorded series are selected exist.
func TestMatchedValuesExist(t *testing.T) {
	t.Parallel()
	contract := loadContract(t)
	source, err := os.ReadFile(filepath.Join(root, "internal", "health", "readiness.go"))
	require.NoError(t, err)
	var dependencies []string
	for _, match := range regexp.MustCompile(`= "([a-z_]+)"`).FindAllStringSubmatch(string(source), -1) {
		dependencies = append(dependencies, strings.TrimSuffix(match[1], "copilot_")+map[bool]string{
			true: "copilot_org_28d",
		}[strings.HasSuffix(match[1], "copilot_")])
	}
	known := map[string][]string{
		"dependency": dependencies,
		"result": slices.Concat(contract.values["gh_exporter_scrape_runs_total result"],
			contract.values["gh_exporter_copilot_scrape_runs_total result"]),
	}
	matcher := regexp.MustCompile(`(dependency|result)=(~?)"([^"]+)"`)
	found := make(map[string]bool)
	for _, r := range loadRules(t, "alerts.yaml") {
		for _, match := range matcher.FindAllStringSubmatch(r.Expr, -1) {
			for alternative := range strings.SplitSeq(match[3], "|") {
				pattern := regexp.MustCompile("^(?:" + alternative + ")$")
				require.True(t, slices.ContainsFunc(known[match[1]], pattern.MatchString), "%s: %s", r.Alert, match[0])
				found[match[1]] = true
			}
		}
	}
	require.Len(t, found, 2)
}

// TestRecordedSeries: promtool's own tests of the recorded series pass: each number counts once, the sums of users,
// repositories, organizations and teams are right, and those of a month have neither history nor a loss in them.
func TestRecordedSeries(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(rulesDir, "tests", "*_test.yaml"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			out, err := promtool(t, "test", "rules", file)
			require.NoError(t, err, out)
		})
	}
}

// TestTeamsHaveEveryKind: the mapping of teams has every kind of activity.
func TestTeamsHaveEveryKind(t *testing.T) {
	t.Parallel()
	var mapping string
	for _, r := range loadRules(t, "recording-teams.yaml") {
		if r.Record == "org_user_team_kind:gh_user_team_info:max" {
			mapping = r.Expr
		}
	}
	kind := regexp.MustCompile(`^gh_activity_(.+)_(?:total|24h|7d|30d|weekly)$`)
	kinds := make(map[string]bool)
	for name := range loadContract(t).labels {
		if match := kind.FindStringSubmatch(name); match != nil {
			kinds[match[1]] = true
		}
	}
	require.Contains(t, kinds, "commits")
	for name := range kinds {
		require.Contains(t, mapping, `"kind", "`+name+`"`)
	}
	require.Equal(t, len(kinds), strings.Count(mapping, "label_replace("))
}

// TestExampleConfiguration: the configuration of the example loads the rules that are there.
func TestExampleConfiguration(t *testing.T) {
	t.Parallel()
	out, err := promtool(t, "check", "config", filepath.Join(root, "examples", "redis-ha", "prometheus.yaml"))
	require.NoError(t, err, out)
	require.Contains(t, out, "3 rule files found")
}
