// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package ledger is the model of what is recorded of organizations: what happened (events) and which windows were read
// (coverage), with the encodings of both.
//
// A Batch is the result of one reading. A Store commits it atomically and publishes the resulting difference, a Change,
// to its followers. The metrics are functions of the changes and of the time: package ledgerview computes them.
//
//	readings ── Batch ──▶ Store ── Change ──▶ ledgerview.View ── Values ──▶ pdata
//
// Package local has what the stores in this process share. Nothing here has a clock or does I/O.
package ledger
