// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"

	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// head is the record that names the current generation:
//
//	version (1 byte) │ CRC-32C of the rest (4 bytes) │ generation (8 bytes) │ chunks (4 bytes), all big endian
//
// There are two copies of it, because without it no other record can be found.
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
	errStale   = fmt.Errorf("%w: it is older than the other copy", ledger.ErrCorrupt)
)

// encode returns the record of a head.
func (h head) encode() []byte {
	record := make([]byte, headLength)
	record[0] = headVersion
	binary.BigEndian.PutUint64(record[5:], h.generation)
	binary.BigEndian.PutUint32(record[13:], uint32(h.chunks)) //nolint:gosec // never negative and at most maxChunks
	binary.BigEndian.PutUint32(record[1:], crc32.Checksum(record[5:], castagnoli))
	return record
}

// decodeHead decodes a record; nil is a missing one. Its errors wrap ledger.ErrCorrupt.
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

// headOperations returns the operations that write both copies.
func (p *position) headOperations(h head) []*storage.Operation {
	return []*storage.Operation{
		storage.SetOperation(p.headKey(), h.encode()),
		storage.SetOperation(p.copyKey(), h.encode()),
	}
}

// loadHead reads the current generation from the newer valid copy of the head, and repairs the other copy. When both
// are damaged it reports a loss, and the organization starts over in a new generation.
func (j *journal) loadHead(ctx context.Context, p *position) (lost bool, err error) {
	var heads [2]head
	var errs [2]error
	absent := true
	for i, key := range []string{p.headKey(), p.copyKey()} {
		record, err := j.client.Get(ctx, key)
		if err != nil {
			return false, fmt.Errorf("read the head: %w", err)
		}
		absent = absent && record == nil
		heads[i], errs[i] = decodeHead(record)
	}
	if absent {
		return false, nil // before the first snapshot: see isLost
	}
	p.head = heads[0]
	if errs[0] != nil || (errs[1] == nil && heads[1].generation > heads[0].generation) {
		p.head = heads[1]
	}
	for i, key := range []string{p.headKey(), p.copyKey()} {
		if errs[i] == nil && heads[i] != p.head {
			errs[i] = errStale
		}
		if errs[i] != nil {
			j.onCorrupt(key, errs[i])
		}
	}
	switch {
	case errs[0] != nil && errs[1] != nil:
		p.head = newGenerationHead()
		return true, nil
	case errs[0] != nil || errs[1] != nil:
		return false, j.repairHead(ctx, p)
	}
	return false, nil
}

// isLost reports whether the organization once had records, when it has neither a head nor a change.
func (j *journal) isLost(ctx context.Context, p *position) (lost bool, err error) {
	if p.head != (head{}) || p.nextChange > 0 {
		return false, nil
	}
	began, err := j.client.Get(ctx, p.beganKey())
	if err != nil {
		return false, fmt.Errorf("read whether the ledger has started: %w", err)
	}
	if began != nil {
		j.onCorrupt(p.headKey(), errMissing)
	}
	return began != nil, nil
}

// newGenerationHead returns the head of a random generation, without chunks. The number of the last one is lost; that
// it is drawn again is unlikely enough.
func newGenerationHead() head {
	return head{generation: rand.Uint64N(math.MaxUint32) << 16} //nolint:gosec // not a secret
}

// repairHead writes both copies of the current head.
func (j *journal) repairHead(ctx context.Context, p *position) error {
	if err := j.client.Batch(ctx, p.headOperations(p.head)...); err != nil {
		return fmt.Errorf("repair the head: %w", err)
	}
	return nil
}
