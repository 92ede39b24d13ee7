// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledgerview computes the activity metrics of an organization from the changes of its ledger. A View holds what
// one replica emits: it follows a store, is built from changes alone, and is evaluated at the time of each emission.
//
//	accounts.go  users: which login an account has, and under which label it is shown
//	series.go    the events of a user in a repository, and their values at a time
//	view.go      applying changes
//	visit.go     evaluating all series at a time, and marking those that ended
//	weekview.go  weekly lines from entries, in place of those of commits
//	starting.go  totals that start, or start again, and totals of accounts that left a label
//	metric.go    the metrics and sets of them
//
// Nothing here has a clock or does I/O.
package ledgerview
