// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package emit turns the views of organizations, and the state of a replica, into metrics: at each interval, and marks
// series that end as stale.
package emit
