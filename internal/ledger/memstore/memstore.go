// Package memstore is a ledger.Store in memory, for tests and throw-away runs. A restart begins anew.
package memstore

import "github.com/seed-358c4d9d/githubexporter/internal/ledger"

// Settings are a store's.
type Settings struct {
	// MaxSeries bounds the users in repositories over all organizations; 0 does not.
	MaxSeries int
}

// Store is a ledger.Store in memory.
type Store struct{ *ledger.Local }

var _ ledger.Store = (*Store)(nil)

// New makes an empty store.
func New(settings Settings) *Store {
	return &Store{ledger.NewLocal(nil, settings.MaxSeries)}
}
