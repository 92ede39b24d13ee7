// Package varint reads what was written with [encoding/binary.AppendUvarint]: numbers, and texts after their lengths.
package varint

import "encoding/binary"

// Reader reads from a document. After anything that cannot be it gives zeros, and End is false.
type Reader struct {
	data []byte
	invalid  bool
}

// NewReader reads a document.
func NewReader(data []byte) *Reader { return &Reader{data: data} }

// ReadUvarint is the next number, which is at most so large.
func (r *Reader) ReadUvarint(most uint64) uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 || n > most {
		r.Invalidate()
		return 0
	}
	r.data = r.data[size:]
	return n
}

// ReadString is the next text, after its length in bytes.
func (r *Reader) ReadString() string {
	n := r.ReadUvarint(uint64(len(r.data)))
	if n > uint64(len(r.data)) {
		r.Invalidate()
		return ""
	}
	text := string(r.data[:n])
	r.data = r.data[n:]
	return text
}

// Invalidate says that what was read cannot be.
func (r *Reader) Invalidate() { r.data, r.invalid = nil, true }

// HasMore reports whether there is anything left to read.
func (r *Reader) HasMore() bool { return len(r.data) > 0 }

// IsComplete reports whether everything was read, and could be.
func (r *Reader) IsComplete() bool { return !r.invalid && len(r.data) == 0 }
