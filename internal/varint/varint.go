// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package varint decodes unsigned varints, as [encoding/binary.AppendUvarint] writes them, and strings after their
// lengths.
package varint

import "encoding/binary"

// Reader decodes a document. After the first invalid value all methods return zeros, and IsComplete returns false.
type Reader struct {
	data    []byte
	invalid bool
}

// NewReader returns a reader at the start of a document, which it does not copy.
func NewReader(data []byte) *Reader { return &Reader{data: data} }

// ReadUvarint decodes the next number. One above limit is invalid.
func (r *Reader) ReadUvarint(limit uint64) uint64 {
	n, size := binary.Uvarint(r.data)
	if size <= 0 || n > limit {
		r.Invalidate()
		return 0
	}
	r.data = r.data[size:]
	return n
}

// ReadString decodes the next string, after its length in bytes.
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

// Invalidate marks the document as invalid, for values that only the caller can check.
func (r *Reader) Invalidate() { r.data, r.invalid = nil, true }

// HasMore reports whether the document is valid so far and continues.
func (r *Reader) HasMore() bool { return len(r.data) > 0 }

// IsValid reports whether the document is valid so far.
func (r *Reader) IsValid() bool { return !r.invalid }

// IsComplete reports whether the document is valid and was read to its end.
func (r *Reader) IsComplete() bool { return !r.invalid && len(r.data) == 0 }
