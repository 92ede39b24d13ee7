// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package demo is what `make demo` needs beside the collector and Prometheus: the scripted GitHub with Copilot reports,
// the past of the metrics for Prometheus, and a page that draws the dashboards of deploy/grafana.
//
//	data files ──▶ GitHub, Copilot ──▶ collector ──▶ Prometheus ──▶ page
//	     └───────▶ WriteHistory ───────────────────────┘
package demo
