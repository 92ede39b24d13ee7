// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledgerview computes the activity metrics of an organization from the changes of its ledger. A View holds what
// one replica emits: it follows a store, is built from changes alone, and is evaluated at the time of each emission.
//
//	view.go              applies changes
//	visit.go             emits all series at a time, and marks those that ended
//	evaluation_times.go  computes at which times the windows of a repository start and end
//	series.go            has the events of a user in a repository, and computes their values
//	accounts.go          decides which login an account has, and under which label it is shown
//	starting.go          has totals that start or start again, and totals of accounts that left a label
//	weekview.go          replaces the weekly lines of commits by those of entries
//	metric.go            has the metrics, sets of them, and the values of a series
//	queries.go           answers questions about a view apart from its series
//
// Nothing here has a clock or does I/O.
package ledgerview
