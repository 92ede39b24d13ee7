// Package extstore is a ledger.Store on a storage extension of the collector: the durable store of a process that runs
// alone. Any storage extension will do; it has no compare-and-set, so this store cannot fence other processes out.
//
// Each change is written before it is made, under a key of its own:
//
//	v1/ORG/head, head2      the generation in force and how many chunks its snapshot has, twice
//	v1/ORG/began            that there is anything, so that a ledger without heads is not taken for a new one
//	v1/ORG/GENERATION/sN    chunk N of the snapshot
//	v1/ORG/GENERATION/N     change N after the snapshot
//
// When the changes outgrow the snapshot, a new generation replaces both in one call of Batch. Its number is above all
// before it, drawn by chance, so that no record of one that was lost is ever taken for one of it.
package extstore

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"strconv"
	"time"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// minCompaction is the least number of bytes of changes that is worth a new snapshot.
	minCompaction = 1 << 20
	// maxReplay is how many changes a start replays at most.
	maxReplay = 5000
	// maxMissing is how many changes in a row may be missing before later ones are found again.
	maxMissing = 32
)

// Settings are a store's.
type Settings struct {
	// MaxSeries bounds the users in repositories over all organizations; 0 does not.
	MaxSeries int
	// OnCorrupt is told of records that are not what was written. They are left out, and all that is wanted is declared
	// missing. It must not call the store.
	OnCorrupt func(key string, err error)
}

// Store is a ledger.Store on a storage extension.
type Store struct{ *ledger.Local }

var _ ledger.Store = (*Store)(nil)

// New makes a store on a client of a storage extension, which remains the caller's to close.
func New(client storage.Client, settings Settings) *Store {
	if settings.OnCorrupt == nil {
		settings.OnCorrupt = func(string, error) {}
	}
	j := &journal{client: client, onCorrupt: settings.OnCorrupt, positions: make(map[string]*position)}
	return &Store{ledger.NewLocal(j, settings.MaxSeries)}
}

// journal is a ledger.Journal.
type journal struct {
	client  storage.Client
	onCorrupt func(key string, err error)
	positions    map[string]*position
}

// position is where an organization's journal goes on.
type position struct {
	org           string
	head          head
	nextChange          int    // the number of the next change
	nextLink          uint32 // of the next change
	snapshotBytes int
	journalBytes  int
}

func (p *position) headKey() string { return "v1/" + url.PathEscape(p.org) + "/head" }

func (p *position) copyKey() string { return p.headKey() + "2" }

func (p *position) beganKey() string { return "v1/" + url.PathEscape(p.org) + "/began" }

func (p *position) key(generation uint64, rest string) string {
	return "v1/" + url.PathEscape(p.org) + "/" + strconv.FormatUint(generation, 10) + "/" + rest
}

func (p *position) chunkKey(generation uint64, n int) string {
	return p.key(generation, "s"+strconv.Itoa(n))
}

func (p *position) changeKey(n int) string { return p.key(p.head.generation, strconv.Itoa(n)) }

// Append writes a change. A journal that has outgrown its snapshot is replaced by one that has the state as it is
// before the change.
func (j *journal) Append(ctx context.Context, org string, c ledger.Change, state *ledger.State) error {
	p := j.positions[org]
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

// writeChange keeps the record of the next change; with the first one of all that the ledger began.
func (j *journal) writeChange(ctx context.Context, p *position, record []byte) error {
	if p.nextChange > 0 || p.head.generation > 0 {
		return j.client.Set(ctx, p.changeKey(p.nextChange), record)
	}
	return j.client.Batch(ctx, p.beganOperation(), storage.SetOperation(p.changeKey(0), record))
}

func (p *position) beganOperation() *storage.Operation {
	return storage.SetOperation(p.beganKey(), []byte{headVersion})
}

// compact writes the state as the snapshot of a new generation and takes the old one out, all in one call. Should a
// storage not make it one transaction, nothing is taken out before the head says where the new generation is.
func (j *journal) compact(ctx context.Context, p *position, state *ledger.State) error {
	fresh := head{generation: p.head.generation + 1 + rand.Uint64N(math.MaxUint32)} //nolint:gosec // no secret
	var operations []*storage.Operation
	bytes := 0
	for _, c := range state.Snapshot() {
		frame, err := ledger.EncodeChange(c)
		if err != nil {
			return err
		}
		operations = append(operations, storage.SetOperation(p.chunkKey(fresh.generation, fresh.chunks), frame))
		fresh.chunks++
		bytes += len(frame)
	}
	operations = append(append(operations, p.beganOperation()), p.headOperations(fresh)...)
	operations = append(operations, p.deleteOperations()...)
	if err := j.client.Batch(ctx, operations...); err != nil {
		return fmt.Errorf("write a snapshot: %w", err)
	}
	*p = position{org: p.org, head: fresh, snapshotBytes: bytes, nextLink: firstLink(fresh.generation)}
	return nil
}

// deleteOperations take out the generation in force.
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

// Load reads the snapshot and the changes after it. What is corrupt is left out and reported, and then everything is
// declared missing, so that what was lost is read again; the state is written anew.
func (j *journal) Load(ctx context.Context, org string) (*ledger.State, error) {
	p := &position{org: org}
	state := ledger.NewState()
	damaged, err := j.loadHead(ctx, p)
	if err != nil {
		return nil, err
	}
	bad, err := j.loadSnapshot(ctx, p, state)
	if err != nil {
		return nil, err
	}
	worse, err := j.loadChanges(ctx, p, state)
	if err != nil {
		return nil, err
	}
	lost, err := j.isLost(ctx, p)
	if err != nil {
		return nil, err
	}
	if damaged || bad || worse || lost {
		state.Invalidate(time.Time{})
		if err := j.compact(ctx, p, state); err != nil {
			return nil, err
		}
	}
	j.positions[org] = p
	return state, nil
}

func (j *journal) loadSnapshot(ctx context.Context, p *position, state *ledger.State) (damaged bool, err error) {
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

// loadChanges reads changes until there is none any more. One that is missing before another one was lost, and so was
// what a change names that does not follow the one before it.
func (j *journal) loadChanges(ctx context.Context, p *position, state *ledger.State) (damaged bool, err error) {
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
		case damaged: // what follows what is lost is unlinked in any case
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

func (j *journal) applyFrame(key string, frame []byte, state *ledger.State) bool {
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
