// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package local

import "sync"

// seriesBudget bounds the series of all organizations together. It is safe for concurrent use.
type seriesBudget struct {
	limit int // 0 means no bound

	mu   sync.Mutex
	used int // the sum of all shares
}

// budgetShare is the number of series that an organization has or has reserved. The lock of its budget guards it. An
// organization keeps it while its state is not loaded.
type budgetShare int

// reserve reserves room for one more series, until the share is set. It returns false when there is none.
func (b *seriesBudget) reserve(share *budgetShare) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.limit > 0 && b.used >= b.limit {
		return false
	}
	b.used++
	*share++
	return true
}

// set sets the number of series that an organization has, which ends its reservations.
func (b *seriesBudget) set(share *budgetShare, series int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used += series - int(*share)
	*share = budgetShare(series)
}
