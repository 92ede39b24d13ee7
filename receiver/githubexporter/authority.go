package githubexporter

import (
	"context"
	"errors"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// authority is the store as one organization uses it. A write that the store refuses for its fence ends the term in
// which it was made, whichever part of the leader made it: another election has authority over the organization.
type authority struct {
	ledger.Store

	mu     sync.Mutex
	fenced func() // ends the present term; nil outside of one
}

// Commit implements ledger.Store.
func (a *authority) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	receipt, err := a.Store.Commit(ctx, fence, b)
	if errors.Is(err, ledger.ErrFenced) {
		a.mu.Lock()
		fenced := a.fenced
		a.mu.Unlock()
		if fenced != nil {
			fenced()
		}
	}
	return receipt, err
}

// watch calls fenced when a write is refused, until it is called with nil.
func (a *authority) watch(fenced func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.fenced = fenced
}
