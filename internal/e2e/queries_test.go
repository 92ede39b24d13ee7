// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// documentedQueries returns the PromQL of a document: its blocks of promql, and what is code with a metric in the
// column of a table with that title.
func documentedQueries(text string) []string {
	var queries []string
	for _, block := range fencedBlock.FindAllStringSubmatch(text, -1) {
		if block[1] == "promql" {
			queries = append(queries, queriesOfBlock(block[2])...)
		}
	}
	column := -1
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		switch {
		case !strings.HasPrefix(line, "|"):
			column = -1
		case column < 0:
			column = slices.IndexFunc(cells, func(c string) bool { return strings.Trim(c, "| ") == "PromQL" })
		case column < len(cells):
			for _, code := range regexp.MustCompile("`([^`]*gh_[^`]*)`").FindAllStringSubmatch(cells[column], -1) {
				queries = append(queries, code[1])
			}
		}
	}
	return queries
}

// queriesOfBlock returns the queries of a block: one begins at each line that is not indented and is no comment.
func queriesOfBlock(text string) []string {
	var queries []string
	for line := range strings.Lines(text) {
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#"):
		case len(queries) > 0 && strings.HasPrefix(line, " "):
			queries[len(queries)-1] += line
		default:
			queries = append(queries, line)
		}
	}
	return queries
}

// TestQueriesOfDocumentsParse: every query of every document is one, as promtool reads it.
func TestQueriesOfDocumentsParse(t *testing.T) {
	t.Parallel()
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	for name, text := range documents(t) {
		for _, query := range documentedQueries(text) {
			rules = append(rules, rule{fmt.Sprintf("r%d", len(rules)), query})
			t.Logf("%s: %s", name, query)
		}
	}
	require.Greater(t, len(rules), 40)
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "documents", "rules": rules}}})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, text, 0o600))
	promtool := filepath.Join(filepath.Dir(proctest.ProgramPath(t, "GX_PROMETHEUS")), "promtool")
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", file).CombinedOutput()
	require.NoError(t, err, string(out))
}

// TestQueriesOfDocumentsReturnData: the queries of the README and of docs/which-metric.md, teams.md and flow.md return
// data of real activity.
func TestQueriesOfDocumentsReturnData(t *testing.T) {
	t.Parallel()
	data := loadData(t)
	data.Teams = []githubtest.Team{{Slug: "platform"}, {Slug: "storage", Parent: "platform"}}
	for i := range data.Commits {
		if login := data.Commits[i].Login; login != nil {
			team := &data.Teams[i%2]
			team.Members = append(team.Members, *login)
		}
	}
	data.Teams[0].Members = append(data.Teams[0].Members, "silent")
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Limits: highLimits,
		Timeline: githubtest.EndingAt(data, time.Hour, time.Now(), 1),
	})
	config := fmt.Sprintf(receiverConfig, org, githubtest.DefaultToken, server.URL, "graphql")
	gx := startCollector(t, config+"teams: {enabled: true}\n")
	prom := startPrometheus(t, gx.metrics)
	gx.awaitComplete(t, org)
	for _, name := range []string{"README.md", "docs/which-metric.md", "docs/teams.md", "docs/flow.md"} {
		name = filepath.FromSlash(name)
		queries := documentedQueries(documents(t)[name])
		require.GreaterOrEqual(t, len(queries), 6, name)
		for _, query := range queries {
			eventually(t, 30*time.Second, func() error {
				_, err := prom.query(t.Context(), query, time.Now())
				return err
			})
		}
	}
}
