// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package monitoring

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/google/go-jsonnet"
	"github.com/stretchr/testify/require"
)

// ruleGroups is the content of a rule file.
type ruleGroups struct {
	Groups []any `json:"groups"`
}

// evaluateMixin evaluates an expression in which m is the mixin.
func evaluateMixin(t *testing.T, expression string) (result ruleGroups) {
	t.Helper()
	vm := jsonnet.MakeVM()
	vm.Importer(&jsonnet.FileImporter{JPaths: []string{rulesDir}})
	text, err := vm.EvaluateAnonymousSnippet("test", "local m = import 'mixin.libsonnet';\n"+expression)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(text), &result))
	return result
}

// groupsOf returns the groups of rule files, as JSON decodes them.
func groupsOf(t *testing.T, names ...string) []any {
	t.Helper()
	var groups []any
	for _, name := range names {
		var content any
		readYAML(t, filepath.Join(rulesDir, name), &content)
		text, err := json.Marshal(content)
		require.NoError(t, err)
		var decoded ruleGroups
		require.NoError(t, json.Unmarshal(text, &decoded))
		groups = append(groups, decoded.Groups...)
	}
	require.NotEmpty(t, groups)
	return groups
}

// TestMixin: the mixin has the groups of the rule files, without those that its settings leave out, and its settings
// change the alerts.
func TestMixin(t *testing.T) {
	t.Parallel()
	all := groupsOf(t, "recording.yaml", "recording-month.yaml", "recording-teams.yaml")
	require.Equal(t, all, evaluateMixin(t, "m.prometheusRules").Groups)
	require.Equal(t, groupsOf(t, "recording.yaml"),
		evaluateMixin(t, "(m + { _config+:: { month: false, teams: false } }).prometheusRules").Groups)
	require.Equal(t, groupsOf(t, "alerts.yaml"), evaluateMixin(t, "m.prometheusAlerts").Groups)
	const changed = `(m + { _config+:: { runbookURL: 'https://wiki/#', alertLabels: { team: 'dx' } } }).prometheusAlerts`
	for _, group := range evaluateMixin(t, changed).Groups {
		for _, rule := range group.(map[string]any)["rules"].([]any) {
			alert := rule.(map[string]any)
			require.Equal(t, "dx", alert["labels"].(map[string]any)["team"])
			require.Contains(t, alert["labels"], "severity")
			require.Regexp(t, `^https://wiki/#githubexporter[a-z]+$`, alert["annotations"].(map[string]any)["runbook_url"])
		}
	}
}
