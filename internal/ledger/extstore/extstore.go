// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package extstore is a ledger.Store on a storage extension of the collector: the durable store of a single process. It
// works with any storage extension. Storage extensions have no compare-and-set, so it cannot fence other processes.
//
// It is a write-ahead journal. Each change is a record of its own:
//
//	v1/ORG/head, head2      the current generation and the number of its snapshot's chunks, in two copies
//	v1/ORG/began            present once there is any record: without heads such a ledger is damaged, not new
//	v1/ORG/GENERATION/sN    chunk N of the snapshot
//	v1/ORG/GENERATION/N     change N after the snapshot
//
// When the changes outgrow the snapshot, compaction replaces both by a new generation in one call of Batch. Its number
// is the last one plus a random number, so that no record of a lost generation has a key of the new one.
package extstore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/local"
)

const (
	// minCompaction is the least size of the changes before a compaction, in bytes.
	minCompaction = 1 << 20
	// maxReplay is the most changes before a compaction, which a start replays.
	maxReplay = 5000
	// maxMissing is the number of missing changes in a row after which a start looks no further.
	maxMissing = 32
)

// Settings configure a store. The zero value is valid.
type Settings struct {
	// MaxSeries limits the number of series over all organizations; 0 means no limit.
	MaxSeries int
	// OnCorrupt is called for each record that is missing or fails to decode. The record is ignored, and the whole
	// retention becomes a gap. It must not call the store. Calls for different organizations may be concurrent.
	OnCorrupt func(key string, err error)
}

// Store is a ledger.Store on a storage extension. It is safe for concurrent use.
type Store struct{ *local.Store }

var _ ledger.Store = (*Store)(nil)

// New returns a store on a client of a storage extension, which the caller closes and which is safe for concurrent use,
// as those of the collector's extensions are. It does no I/O.
func New(client storage.Client, settings Settings) *Store {
	if settings.OnCorrupt == nil {
		settings.OnCorrupt = func(string, error) {}
	}
	j := &journal{client: client, onCorrupt: settings.OnCorrupt, positions: make(map[string]*position)}
	return &Store{local.New(j, settings.MaxSeries)}
}

// journal is a local.Journal. local.Store serializes the calls for one organization, so that nothing guards a position;
// calls for different organizations are concurrent.
type journal struct {
	client    storage.Client
	onCorrupt func(key string, err error)

	mu        sync.Mutex // guards the map
	positions map[string]*position
}

// position returns the end of the journal of an organization that was loaded.
func (j *journal) position(org string) *position {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.positions[org]
}

// setPosition records the end of the journal of an organization that was loaded.
func (j *journal) setPosition(org string, p *position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.positions[org] = p
}

// position is the end of an organization's journal.
type position struct {
	org           string
	head          head
	nextChange    int    // number of the next change
	nextLink      uint32 // of the next change
	snapshotBytes int
	journalBytes  int
}

// headKey returns the key of the first copy of the head, copyKey that of the second one.
func (p *position) headKey() string { return "v1/" + url.PathEscape(p.org) + "/head" }

func (p *position) copyKey() string { return p.headKey() + "2" }

// beganKey returns the key that is present once the organization has a record.
func (p *position) beganKey() string { return "v1/" + url.PathEscape(p.org) + "/began" }

// key returns the key of a record of a generation.
func (p *position) key(generation uint64, rest string) string {
	return "v1/" + url.PathEscape(p.org) + "/" + strconv.FormatUint(generation, 10) + "/" + rest
}

// chunkKey returns the key of a chunk of a generation's snapshot.
func (p *position) chunkKey(generation uint64, n int) string {
	return p.key(generation, "s"+strconv.Itoa(n))
}

// changeKey returns the key of a change of the current generation.
func (p *position) changeKey(n int) string { return p.key(p.head.generation, strconv.Itoa(n)) }

// Append writes a change. Before it, it compacts a journal that has outgrown its snapshot; state is the one without the
// change.
func (j *journal) Append(ctx context.Context, org string, c ledger.Change, state *local.State) error {
	p := j.position(org)
	if p.journalBytes > max(minCompaction, p.snapshotBytes) || p.nextChange >= maxReplay {
		if err := j.compact(ctx, p, state); err != nil {
			return err
		}
	}
	frame, err := ledger.EncodeChange(c)
	if err != nil {
		return err
	}
	if err := j.writeChange(ctx, p, encodeRecord(p.nextLink, frame)); err != nil {
		return fmt.Errorf("write a change: %w", err)
	}
	p.nextChange++
	p.nextLink = linkAfter(p.nextLink, frame)
	p.journalBytes += len(frame)
	return nil
}

// writeChange writes the record of the next change, and with the first one of an organization its key "began".
func (j *journal) writeChange(ctx context.Context, p *position, record []byte) error {
	if p.nextChange > 0 || p.head.generation > 0 {
		return j.client.Set(ctx, p.changeKey(p.nextChange), record)
	}
	return j.client.Batch(ctx, p.beganOperation(), storage.SetOperation(p.changeKey(0), record))
}

// beganOperation returns the operation that records that the organization has records.
func (p *position) beganOperation() *storage.Operation {
	return storage.SetOperation(p.beganKey(), []byte{headVersion})
}

// compact writes the state as the snapshot of a new generation and deletes the current one, in one call of Batch. Its
// order is safe for storages whose Batch is no transaction: the new head comes before the first deletion.
func (j *journal) compact(ctx context.Context, p *position, state *local.State) error {
	next := head{generation: p.head.generation + 1 + rand.Uint64N(math.MaxUint32)} //nolint:gosec // not a secret
	var operations []*storage.Operation
	bytes := 0
	for _, c := range state.Snapshot() {
		frame, err := ledger.EncodeChange(c)
		if err != nil {
			return err
		}
		operations = append(operations, storage.SetOperation(p.chunkKey(next.generation, next.chunks), frame))
		next.chunks++
		bytes += len(frame)
	}
	operations = append(append(operations, p.beganOperation()), p.headOperations(next)...)
	operations = append(operations, p.deleteOperations()...)
	if err := j.client.Batch(ctx, operations...); err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	*p = position{org: p.org, head: next, snapshotBytes: bytes, nextLink: firstLink(next.generation)}
	return nil
}

// deleteOperations returns the operations that delete the current generation.
func (p *position) deleteOperations() []*storage.Operation {
	operations := make([]*storage.Operation, 0, p.head.chunks+p.nextChange)
	for n := range p.head.chunks {
		operations = append(operations, storage.DeleteOperation(p.chunkKey(p.head.generation, n)))
	}
	for n := range p.nextChange {
		operations = append(operations, storage.DeleteOperation(p.changeKey(n)))
	}
	return operations
}

// Load reads the snapshot and the changes after it. It reports and ignores corrupt records. After one, the whole
// retention becomes a gap, so that lost events are read again, and the state is compacted.
func (j *journal) Load(ctx context.Context, org string) (*local.State, error) {
	p := &position{org: org}
	state := local.NewState()
	headDamaged, err := j.loadHead(ctx, p)
	if err != nil {
		return nil, err
	}
	snapshotDamaged, err := j.loadSnapshot(ctx, p, state)
	if err != nil {
		return nil, err
	}
	changesDamaged, err := j.loadChanges(ctx, p, state)
	if err != nil {
		return nil, err
	}
	lost, err := j.isLost(ctx, p)
	if err != nil {
		return nil, err
	}
	if headDamaged || snapshotDamaged || changesDamaged || lost {
		state.Invalidate(time.Time{})
		if err := j.compact(ctx, p, state); err != nil {
			return nil, err
		}
	}
	j.setPosition(org, p)
	return state, nil
}

// loadSnapshot applies the chunks of the current snapshot. damaged reports that one was ignored.
func (j *journal) loadSnapshot(ctx context.Context, p *position, state *local.State) (damaged bool, err error) {
	for n := range p.head.chunks {
		key := p.chunkKey(p.head.generation, n)
		frame, err := j.client.Get(ctx, key)
		if err != nil {
			return false, fmt.Errorf("read a snapshot: %w", err)
		}
		p.snapshotBytes += len(frame)
		if !j.applyFrame(key, frame, state) {
			damaged = true
		}
	}
	return damaged, nil
}

// loadChanges reads the changes up to the last one. A gap in their numbers, or a change whose link does not match,
// means that changes before it are lost.
func (j *journal) loadChanges(ctx context.Context, p *position, state *local.State) (damaged bool, err error) {
	p.nextLink = firstLink(p.head.generation)
	for missing := 0; missing < maxMissing; {
		key := p.changeKey(p.nextChange + missing)
		record, err := j.client.Get(ctx, key)
		if err != nil {
			return false, fmt.Errorf("read a change: %w", err)
		}
		if record == nil {
			missing++
			continue
		}
		frame, unlinked := decodeRecord(p.nextLink, record)
		switch {
		case damaged: // no link matches after a lost change
		case missing > 0:
			j.onCorrupt(p.changeKey(p.nextChange), errMissing)
		case unlinked:
			j.onCorrupt(key, errUnlinked)
		}
		damaged = damaged || missing > 0 || unlinked
		p.nextChange, missing = p.nextChange+missing+1, 0
		p.nextLink = linkAfter(p.nextLink, frame)
		p.journalBytes += len(frame)
		if !j.applyFrame(key, frame, state) {
			damaged = true
		}
	}
	return damaged, nil
}

// applyFrame applies an encoded change. It reports a corrupt one, ignores it and returns false.
func (j *journal) applyFrame(key string, frame []byte, state *local.State) bool {
	c, err := ledger.DecodeChange(frame)
	if frame == nil {
		err = errMissing
	}
	if err != nil {
		j.onCorrupt(key, err)
		return false
	}
	state.Apply(&c)
	return true
}
