// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package githubexporter is an OpenTelemetry Collector receiver that reads the activity of whole GitHub organizations
// and emits it as metrics: exact rolling windows and cumulative sums of commits, pull requests, reviews, comments and
// lines for every user of every repository.
package githubexporter
