// Package varint reads what was written with [encoding/binary.AppendUvarint]: numbers, and texts after their lengths.
package varint

import "encoding/binary"

// Reader reads from a document. After anything that cannot be it gives zeros, and End is false.
type Reader struct {
	data []byte
	bad  bool
}

// Read reads a document.
func Read(data []byte) *Reader { return &Reader{data: data} }

// Number is the next number, which is at most so large.
func (r *Reader) Number(most uint64) uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 || n > most {
		r.Refuse()
		return 0
	}
	r.data = r.data[size:]
	return n
}

// Text is the next text, after its length in bytes.
func (r *Reader) Text() string {
	n := r.Number(uint64(len(r.data)))
	if n > uint64(len(r.data)) {
		r.Refuse()
		return ""
	}
	text := string(r.data[:n])
	r.data = r.data[n:]
	return text
}

// Refuse says that what was read cannot be.
func (r *Reader) Refuse() { r.data, r.bad = nil, true }

// More reports whether there is anything left to read.
func (r *Reader) More() bool { return len(r.data) > 0 }

// End reports whether everything was read, and could be.
func (r *Reader) End() bool { return !r.bad && len(r.data) == 0 }
