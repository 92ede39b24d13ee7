// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
)

// runbookURL is the address of the runbook without the name of an alert.
const runbookURL = "https://github.com/seed-358c4d9d/githubexporter/blob/main/docs/runbook.md#"

// readRunbook returns the runbook.
func readRunbook(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs", "runbook.md"))
	require.NoError(t, err)
	return string(text)
}

var (
	section = regexp.MustCompile(`(?ms)^### (GitHubExporter\w+)\n(.*?)(?:^##|\z)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	queries = regexp.MustCompile("(?ms)^```promql\n(.*?)^```$")
	anchor  = regexp.MustCompile(`\]\(#([a-z0-9-]+)\)`)
)

// TestAlertsAreDocumented: each alert has its texts and a section of the runbook that says what it means, what to look
// at and what to do; the runbook has no other alerts, and its links lead to headings.
func TestAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	runbook, alerts := readRunbook(t), make(map[string]bool)
	for _, r := range loadRules(t, "alerts.yaml") {
		alerts[r.Alert] = true
		require.Contains(t, []string{"critical", "warning", "info"}, r.Labels["severity"], r.Alert)
		require.NotEmpty(t, r.Annotations["summary"], r.Alert)
		require.NotEmpty(t, r.Annotations["description"], r.Alert)
		require.Equal(t, runbookURL+strings.ToLower(r.Alert), r.Annotations["runbook_url"])
	}
	// A section ends where the next begins, so each is found on its own.
	documented := make(map[string]bool)
	for rest := runbook; ; {
		at := section.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		name, body := rest[at[2]:at[3]], rest[at[4]:at[5]]
		documented[name] = true
		for _, part := range []string{"**Means.** ", "**Look at.** ", "```promql\n", "**Do.** "} {
			require.Contains(t, body, part, name)
		}
		rest = rest[at[5]:]
	}
	require.Equal(t, alerts, documented)
	anchors := make(map[string]bool)
	for _, match := range heading.FindAllStringSubmatch(runbook, -1) {
		anchors[strings.ReplaceAll(strings.ToLower(match[1]), " ", "-")] = true
	}
	for _, match := range anchor.FindAllStringSubmatch(runbook, -1) {
		require.True(t, anchors[match[1]], "a link to #%s", match[1])
	}
}

// TestRunbookIsComplete: the runbook has each dependency, each mode and role, and each value of the labels that are
// results, reasons or modes.
func TestRunbookIsComplete(t *testing.T) {
	t.Parallel()
	runbook, contract := readRunbook(t), loadContract(t)
	labels := []string{"result", "reason", "mode", "status_class"}
	for key, values := range contract.values {
		if _, label, _ := strings.Cut(key, " "); slices.Contains(labels, label) {
			require.NotEmpty(t, values, key)
			for _, value := range values {
				require.Contains(t, runbook, "`"+value+"`", key)
			}
		}
	}
	for _, name := range healthNames(t) {
		require.Contains(t, runbook, "`"+name+"`")
	}
}

// healthNames returns the names of dependencies, modes and roles.
func healthNames(t *testing.T) []string {
	t.Helper()
	var names []string
	files, err := filepath.Glob(filepath.Join(root, "internal", "health", "*.go"))
	require.NoError(t, err)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range regexp.MustCompile(`(?m)^\t[A-Z]\w+ +(?:Role |Mode )?= "([a-z_]+)"`).
			FindAllStringSubmatch(string(source), -1) {
			names = append(names, match[1])
		}
	}
	require.Contains(t, names, "leadership")
	require.Contains(t, names, "degraded")
	require.Contains(t, names, "follower")
	return names
}

// TestQueriesOfDocumentsUseMetrics: the queries of the documents are valid, and use metrics and labels that exist.
func TestQueriesOfDocumentsUseMetrics(t *testing.T) {
	t.Parallel()
	contract, recorded := loadContract(t), make(map[string]bool)
	for _, r := range loadRules(t) {
		recorded[r.Record] = true
	}
	count := 0
	for _, path := range []string{
		filepath.Join(root, "docs", "runbook.md"), filepath.Join(rulesDir, "README.md"),
	} {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		for _, block := range queries.FindAllStringSubmatch(string(text), -1) {
			for query := range strings.Lines(block[1]) {
				expr, err := promql.ParseExpr(query)
				require.NoError(t, err, path)
				count++
				parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
					if selector, ok := node.(*parser.VectorSelector); ok {
						requireSelector(t, &rule{Record: path}, selector, &contract, recorded)
					}
					return nil
				})
			}
		}
	}
	require.Greater(t, count, 30)
}
