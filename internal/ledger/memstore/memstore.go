// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package memstore is a ledger.Store in memory, for tests and throw-away runs. After a restart it is empty.
package memstore

import (
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/local"
)

// Settings configures a store.
type Settings struct {
	// MaxSeries bounds the users in repositories over all organizations; 0 means no bound.
	MaxSeries int
}

// Store is a ledger.Store in memory.
type Store struct{ *local.Store }

var _ ledger.Store = (*Store)(nil)

// New returns an empty store.
func New(settings Settings) *Store {
	return &Store{local.New(nil, settings.MaxSeries)}
}
