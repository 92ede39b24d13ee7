package extstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// head is the record that says which generation is in force:
//
//	version (1 byte) │ CRC-32C of the rest (4 bytes) │ generation (8 bytes) │ chunks (4 bytes), all big endian
//
// It is kept twice, because without it nothing else can be found.
type head struct {
	generation uint64
	chunks     int
}

const (
	headVersion = 1
	headLength  = 17
	maxChunks   = 1 << 20
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errMissing = fmt.Errorf("%w: it is missing", ledger.ErrCorrupt)
)

func (h head) encode() []byte {
	record := make([]byte, headLength)
	record[0] = headVersion
	binary.BigEndian.PutUint64(record[5:], h.generation)
	binary.BigEndian.PutUint32(record[13:], uint32(h.chunks)) //nolint:gosec // never negative and at most maxChunks
	binary.BigEndian.PutUint32(record[1:], crc32.Checksum(record[5:], castagnoli))
	return record
}

func decodeHead(record []byte) (head, error) {
	switch {
	case record == nil:
		return head{}, errMissing
	case len(record) != headLength || record[0] != headVersion:
		return head{}, fmt.Errorf("%w: not a head of version %d", ledger.ErrCorrupt, headVersion)
	case binary.BigEndian.Uint32(record[1:]) != crc32.Checksum(record[5:], castagnoli):
		return head{}, fmt.Errorf("%w: the checksum of the head differs", ledger.ErrCorrupt)
	}
	h := head{generation: binary.BigEndian.Uint64(record[5:]), chunks: int(binary.BigEndian.Uint32(record[13:]))}
	if h.chunks > maxChunks {
		return head{}, fmt.Errorf("%w: a snapshot of %d chunks", ledger.ErrCorrupt, h.chunks)
	}
	return h, nil
}

// headOperations writes both copies.
func (p *position) headOperations(h head) []*storage.Operation {
	return []*storage.Operation{storage.SetOperation(p.headKey(), h.encode()), storage.SetOperation(p.copyKey(), h.encode())}
}

// loadHead finds the generation in force. A head of which one copy is sound is repaired; without any, the organization
// begins anew in a generation that was not used before.
func (j *journal) loadHead(ctx context.Context, p *position) (lost bool, err error) {
	first, err := j.client.Get(ctx, p.headKey())
	if err != nil {
		return false, fmt.Errorf("read the head: %w", err)
	}
	h, firstErr := decodeHead(first)
	if firstErr == nil {
		p.head = h
		return false, nil
	}
	second, err := j.client.Get(ctx, p.copyKey())
	if err != nil {
		return false, fmt.Errorf("read the copy of the head: %w", err)
	}
	if first == nil && second == nil {
		return false, nil // before the first snapshot
	}
	j.corrupt(p.headKey(), firstErr)
	h, secondErr := decodeHead(second)
	if secondErr == nil {
		p.head = h
		return false, j.repairHead(ctx, p)
	}
	if !errors.Is(secondErr, errMissing) {
		j.corrupt(p.copyKey(), secondErr)
	}
	// Which generations were used is not known any more: one that was not is found by chance.
	p.head = head{generation: rand.Uint64N(math.MaxUint32) << 16} //nolint:gosec // no secret
	return true, nil
}

func (j *journal) repairHead(ctx context.Context, p *position) error {
	if err := j.client.Batch(ctx, p.headOperations(p.head)...); err != nil {
		return fmt.Errorf("repair the head: %w", err)
	}
	return nil
}
