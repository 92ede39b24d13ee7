// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"context"
	"time"
)

// Store stores the ledger of organizations. Its methods are safe for concurrent use.
type Store interface {
	// Commit records a batch atomically. It is idempotent except for tallies. A fence lower than one that this
	// organization has seen is refused with ErrFenced; 0 is the fence of a worker, which needs no authority because
	// recording is a set union. After any other error it is unknown whether the batch was recorded: committing it again
	// is safe.
	Commit(ctx context.Context, fence uint64, b Batch) (Receipt, error)
	// Follow calls apply with a snapshot of the organization, as one or more changes of which the first has Reset and
	// the last CaughtUp, and then with every change in the order of their commits, each once. It may start over with a
	// new snapshot. It returns apply's error or the context's.
	Follow(ctx context.Context, org string, apply func(Change) error) error
	// Coverage returns a copy of the organization's coverage.
	Coverage(ctx context.Context, org string) (Coverage, error)
	// ReadEntries returns the entries with the given keys that the store has now. A view may have newer ones than a
	// store that lost its last writes. Their data must not be changed.
	ReadEntries(ctx context.Context, org string, keys []EntryKey) (map[EntryKey]Entry, error)
	// Prune drops the events before the given time; their totals stay. A repository that left more than a day before
	// that time, and has no event since, is purged with its totals and entries: a part of them at once, the rest by
	// later prunings.
	Prune(ctx context.Context, org string, before time.Time) error
}
