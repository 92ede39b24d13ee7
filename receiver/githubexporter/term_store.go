// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// termStore is the store as one organization uses it. A write that the store refuses for its fence ends the term in
// which it was made, whichever part of the leader made it: another election has authority over the organization.
type termStore struct {
	ledger.Store

	mu       sync.Mutex
	onFenced func() // ends the present term; nil outside of one
}

// Commit implements ledger.Store.
func (a *termStore) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	receipt, err := a.Store.Commit(ctx, fence, b)
	if errors.Is(err, ledger.ErrFenced) {
		a.mu.Lock()
		fenced := a.onFenced
		a.mu.Unlock()
		if fenced != nil {
			fenced()
		}
	}
	return receipt, err
}

// setOnFenced calls fenced when a write is refused, until it is called with nil.
func (a *termStore) setOnFenced(fenced func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.onFenced = fenced
}
