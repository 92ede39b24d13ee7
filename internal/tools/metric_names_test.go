// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package tools

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// metricNames returns the metrics of metadata.yaml by their names in Prometheus, with the names of OpenTelemetry.
func metricNames(t *testing.T) map[string]string {
	t.Helper()
	names := map[string]string{}
	_, metrics, found := strings.Cut(readFile(t, "metadata.yaml"), "\nmetrics:\n")
	if !found {
		t.Fatal("metadata.yaml has no metrics")
	}
	for _, match := range regexp.MustCompile(`(?m)^  (gh\.\S+):\n((?:    .*\n)+)`).FindAllStringSubmatch(metrics, -1) {
		name := strings.ReplaceAll(match[1], ".", "_")
		if regexp.MustCompile(`(?m)^    unit: "?s"?$`).MatchString(match[2]) {
			name += "_seconds"
		}
		if regexp.MustCompile(`(?m)^    unit: "?By"?$`).MatchString(match[2]) {
			name += "_bytes"
		}
		if strings.HasPrefix(match[2], "    description: Histogram of ") {
			for _, suffix := range []string{"", "_bucket", "_sum", "_count"} {
				names[name+suffix] = match[1]
			}
			continue
		}
		if strings.Contains(match[2], "monotonic: true") {
			name += "_total"
		}
		names[name] = match[1]
	}
	if len(names) < 70 {
		t.Fatalf("metadata.yaml has %d metrics", len(names))
	}
	return names
}

// metricName matches a name of a metric or of a recording rule in a document, with what follows it.
var metricName = regexp.MustCompile(`\b(?:[a-z_]+:)?gh_(?:activity|exporter|app|copilot|user|repo|pr|issue)_?[a-z0-9_:]*(?:[*{.]\S?)?`)

// recordedNames returns the names of the recording rules in deploy/prometheus.
func recordedNames(t *testing.T) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy", "prometheus", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text := readFile(t, "deploy", "prometheus", filepath.Base(file))
		for _, match := range regexp.MustCompile(`(?m)record: ["']?([a-z0-9_:]+)`).FindAllStringSubmatch(text, -1) {
			names[match[1]] = true
		}
	}
	return names
}

// TestMetricNamesExist: each metric that a document names is in metadata.yaml. A name that ends in an underscore, a
// star, dots or braces with alternatives is the beginning of some.
func TestMetricNamesExist(t *testing.T) {
	names := metricNames(t)
	for name := range recordedNames(t) {
		names[name] = "a recording rule"
	}
	count := 0
	for path, text := range markdownFiles(t) {
		name := filepath.Base(path)
		if name == "CHANGELOG.md" || name == "documentation.md" || strings.Contains(path, "decisions") {
			continue
		}
		for _, written := range metricName.FindAllString(text, -1) {
			count++
			if !isMetric(names, written) {
				t.Errorf("%s names the metric %s, which metadata.yaml does not have", path, written)
			}
		}
	}
	if count < 100 {
		t.Errorf("found %d names of metrics", count)
	}
}

// isMetric reports whether a name is that of a metric, or the beginning of one.
func isMetric(names map[string]string, written string) bool {
	written = strings.TrimSuffix(written, ":") // of the sentence
	whole, rest := written, ""
	if i := strings.IndexAny(written, "*{."); i >= 0 {
		whole, rest = written[:i], written[i:]
	}
	if names[whole] != "" {
		return true
	}
	if rest == "" && !strings.HasSuffix(whole, "_") {
		return false
	}
	for name := range names {
		if strings.HasPrefix(name, whole) {
			return true
		}
	}
	return false
}
