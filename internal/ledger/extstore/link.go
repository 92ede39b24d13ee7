// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package extstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// The record of a change identifies all records before it in its generation:
//
//	version (1 byte) │ link (4 bytes, big endian) │ frame of the change
//
// The link is the CRC-32C of the generation and of the frames before it. A link that does not match means that records
// before this one are missing, or that it is left over from an earlier state. Earlier versions wrote frames alone,
// whose first byte is another one.
const (
	linkVersion = 0x38
	linkLength  = 5
)

// errUnlinked is the error of a record whose link does not match.
var errUnlinked = fmt.Errorf("%w: it does not follow the record before it", ledger.ErrCorrupt)

// firstLink returns the link of the first change of a generation.
func firstLink(generation uint64) uint32 {
	return crc32.Checksum(binary.BigEndian.AppendUint64(nil, generation), castagnoli)
}

// linkAfter returns the link of the record after one with the link and the frame.
func linkAfter(link uint32, frame []byte) uint32 { return crc32.Update(link, castagnoli, frame) }

// encodeRecord returns the record of a change.
func encodeRecord(link uint32, frame []byte) []byte {
	record := make([]byte, 0, linkLength+len(frame))
	record = append(record, linkVersion)
	record = binary.BigEndian.AppendUint32(record, link)
	return append(record, frame...)
}

// decodeRecord returns the frame of a record, and whether its link differs from link. A record of earlier versions has
// no link and always matches.
func decodeRecord(link uint32, record []byte) (frame []byte, unlinked bool) {
	if len(record) < linkLength || record[0] != linkVersion {
		return record, false
	}
	return record[linkLength:], binary.BigEndian.Uint32(record[1:]) != link
}
