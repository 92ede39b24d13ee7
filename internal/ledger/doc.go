// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledger records what happened in organizations (events), which windows were read (coverage), and computes the
// activity metrics as functions of both and of the time.
//
// A Batch is the result of one reading. A Store commits it atomically and publishes the resulting difference, a Change,
// to its followers. State is the state machine of the stores that hold their data in this process: it plans the change
// that a batch makes, and applies changes. View holds what one replica emits: it follows a store and is built from
// changes alone.
//
//	readings ── Batch ──▶ Store ── Change ──▶ View ── Values ──▶ pdata
//
// Nothing here has a clock. Only Local does I/O, through a Journal.
package ledger
