package ledger

import (
	"context"
	"errors"
	"time"
)

// Store keeps the ledger of organizations. Its methods are safe for concurrent use.
type Store interface {
	// Commit records a batch, whole or not at all. It is idempotent but for tallies. A fence that is lower than one
	// that this organization has seen is refused with ErrFenced; 0 stands for a worker, which needs no authority
	// because recording is a set union. After any other error it is unknown whether the batch was recorded:
	// committing it again is safe.
	Commit(ctx context.Context, fence uint64, b Batch) (Receipt, error)
	// Follow calls apply with a snapshot of the organization, as one or more changes of which the first has Reset and
	// the last has Caught, and then with every change in the order of their commits, each once. It may start over with
	// a new snapshot. It ends with apply's error or with the context's.
	Follow(ctx context.Context, org string, apply func(Change) error) error
	// Coverage is a copy of what has been read of the organization.
	Coverage(ctx context.Context, org string) (Coverage, error)
	// ReadEntries are the newest observations of some values as the store has them now; those that it does not have are left out. A
	// view may know more than a store that has lost its tail. Their data must not be changed.
	ReadEntries(ctx context.Context, org string, keys []EntryKey) (map[EntryKey]Entry, error)
	// Prune takes out the events before the given time; their totals stay. Of repositories that left more than a day before it, and
	// have no event since, everything is forgotten, totals and samples too: some of them at once, at the latest by the next pruning.
	Prune(ctx context.Context, org string, before time.Time) error
}

// ErrFenced refuses the write of a leader whose term is over.
var ErrFenced = errors.New("refused: written in an old term of leadership")

// ErrReplaced refuses a batch that builds on a coverage of which the store has lost a part since it was read, as Redis
// does in a failover or when keys are evicted. Who reads begins again with the coverage as it is.
var ErrReplaced = errors.New("refused: the store lost records since the coverage was read")

// ErrCorrupt is the error of a stored value or message that cannot be what was written.
var ErrCorrupt = errors.New("corrupt record")
