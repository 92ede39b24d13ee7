// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package copilotstore stores the documents of Copilot reports as entries of an organization's ledger, which every
// replica receives. The reports of an enterprise are stored in the ledger of one organization.
package copilotstore

import (
	"context"
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Committer commits batches, as *collect.Collector does.
type Committer interface {
	Now() time.Time
	Coverage(ctx context.Context) (ledger.Coverage, error)
	CommitAsLeader(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error)
	CommitAsWorker(ctx context.Context, b ledger.Batch) (ledger.Receipt, error)
}

// Entries reads entries from the store, as ledger.Store does.
type Entries interface {
	ReadEntries(ctx context.Context, org string, keys []ledger.EntryKey) (map[ledger.EntryKey]ledger.Entry, error)
}

// Settings configure a store.
type Settings struct {
	// Org is the organization whose ledger has the documents.
	Org       string
	Owner     ledger.CopilotOwner
	Committer Committer
	Entries   Entries
	// Fence is that of the term. IsWorker is set for a worker, which has none.
	Fence    uint64
	IsWorker bool
}

// Store implements copilot.Store, during a term or for a job. It is for one goroutine.
//
// What is loaded is valid as long as the store has it: a store that lost its records, or was replaced, refuses what is
// saved, until the documents are loaded again.
type Store struct {
	settings Settings

	isLoaded    bool
	ledgerStart time.Time
	basis       string
	// observed is the time of the last entry. The next ones are never older, even when this replica's clock is behind
	// that of the former leader: otherwise the store would ignore them.
	observed time.Time
}

var _ copilot.Store = (*Store)(nil)

// New makes a store.
func New(settings Settings) *Store { return &Store{settings: settings} }

// Load implements copilot.Store.
func (s *Store) Load(ctx context.Context, name string) ([]byte, error) {
	cov, err := s.settings.Committer.Coverage(ctx)
	if err != nil {
		return nil, err
	}
	s.isLoaded, s.ledgerStart, s.basis = true, cov.LedgerStart, cov.Basis
	key := ledger.CopilotKey(s.settings.Owner, name)
	entries, err := s.settings.Entries.ReadEntries(ctx, s.settings.Org, []ledger.EntryKey{key})
	if err != nil {
		return nil, err
	}
	entry := entries[key]
	s.observe(entry.Observed)
	return dataOf(&entry), nil
}

// errReplaced is the error of a ledger that is not the one from which the documents were loaded.
var errReplaced = errors.New("the ledger was reset or replaced; the Copilot reports are read again")

// Save implements copilot.Store. All documents are in one batch.
func (s *Store) Save(ctx context.Context, documents []copilot.Document) error {
	if err := s.checkLedger(ctx); err != nil {
		return err
	}
	s.observe(s.settings.Committer.Now())
	batch := ledger.Batch{Basis: s.basis}
	for _, document := range documents {
		batch.Entries = append(batch.Entries, ledger.Entry{
			EntryKey: ledger.CopilotKey(s.settings.Owner, document.Name), Data: document.Data, Observed: s.observed,
		})
	}
	if err := s.commit(ctx, batch); err != nil {
		return err
	}
	if s.ledgerStart.IsZero() { // the batch started the ledger
		return s.checkLedger(ctx)
	}
	return nil
}

func (s *Store) commit(ctx context.Context, batch ledger.Batch) error {
	var err error
	if s.settings.IsWorker {
		_, err = s.settings.Committer.CommitAsWorker(ctx, batch)
	} else {
		_, err = s.settings.Committer.CommitAsLeader(ctx, s.settings.Fence, batch)
	}
	return err
}

// checkLedger returns an error when the ledger is another one than at Load.
func (s *Store) checkLedger(ctx context.Context) error {
	cov, err := s.settings.Committer.Coverage(ctx)
	switch {
	case err != nil:
		return err
	case !s.isLoaded || !cov.LedgerStart.Equal(s.ledgerStart) && !s.ledgerStart.IsZero():
		return errReplaced
	}
	s.ledgerStart = cov.LedgerStart
	return nil
}

// observe sets the time of the next entries.
func (s *Store) observe(at time.Time) {
	if at.After(s.observed) {
		s.observed = at
	}
}

// dataOf returns the data of an entry, nil for one that does not exist or was removed.
func dataOf(entry *ledger.Entry) []byte {
	if len(entry.Data) == 0 {
		return nil
	}
	return entry.Data
}

// View has the entries that a replica has received, as *ledgerview.View does.
type View interface {
	Entry(key ledger.EntryKey) (ledger.Entry, bool)
}

// ViewLoader returns a function that loads the documents of an owner from a view, for copilot.ReadReports.
func ViewLoader(view View, owner ledger.CopilotOwner) func(name string) []byte {
	return func(name string) []byte {
		entry, _ := view.Entry(ledger.CopilotKey(owner, name))
		return dataOf(&entry)
	}
}
