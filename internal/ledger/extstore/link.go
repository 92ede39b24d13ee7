package extstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// A change is kept as a record that names all records before it in its generation:
//
//	version (1 byte) │ link (4 bytes, big endian) │ frame of the change
//
// The link is the CRC-32C of the generation and of the frames before it. So a record is recognized that does not follow
// the one before it: between them others are gone, or it is left from before they were. Versions before wrote frames
// alone, whose first byte is another one.
const (
	linkVersion = 0x38
	linkLength  = 5
)

// errUnlinked is the error of a record that does not follow the one before it.
var errUnlinked = fmt.Errorf("%w: it does not follow the record before it", ledger.ErrCorrupt)

// firstLink is the link of the first change of a generation.
func firstLink(generation uint64) uint32 {
	return crc32.Checksum(binary.BigEndian.AppendUint64(nil, generation), castagnoli)
}

// linkAfter is the link of the record after a frame.
func linkAfter(link uint32, frame []byte) uint32 { return crc32.Update(link, castagnoli, frame) }

func encodeRecord(link uint32, frame []byte) []byte {
	record := make([]byte, 0, linkLength+len(frame))
	record = append(record, linkVersion)
	record = binary.BigEndian.AppendUint32(record, link)
	return append(record, frame...)
}

// decodeRecord gives the frame of a record and whether the record has a link, which is another one than the one given.
func decodeRecord(link uint32, record []byte) (frame []byte, unlinked bool) {
	if len(record) < linkLength || record[0] != linkVersion {
		return record, false
	}
	return record[linkLength:], binary.BigEndian.Uint32(record[1:]) != link
}
