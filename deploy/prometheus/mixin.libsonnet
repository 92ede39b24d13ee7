// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// The rules and alerts as a monitoring mixin: the same YAML files, for Jsonnet. Files that are not wanted are left out
// with _config:: (import 'mixin.libsonnet') + { _config+:: { teams: false } }.
local groups(text) = std.parseYaml(text).groups;

{
  _config:: {
    // Sums of 30 days from counters: recording-month.yaml.
    month: true,
    // Sums by team: recording-teams.yaml.
    teams: true,
    // Where the runbook is: a fork or a copy can name its own.
    runbookURL: 'https://github.com/seed-358c4d9d/githubexporter/blob/main/docs/runbook.md#',
    // Labels that every alert gets, such as a team to route to.
    alertLabels: {},
  },

  prometheusRules+:: {
    groups+: groups(importstr 'recording.yaml') +
             (if $._config.month then groups(importstr 'recording-month.yaml') else []) +
             (if $._config.teams then groups(importstr 'recording-teams.yaml') else []),
  },

  prometheusAlerts+:: {
    groups+: [
      group {
        rules: [
          rule {
            labels+: $._config.alertLabels,
            annotations+: { runbook_url: $._config.runbookURL + std.asciiLower(rule.alert) },
          }
          for rule in group.rules
        ],
      }
      for group in groups(importstr 'alerts.yaml')
    ],
  },
}
