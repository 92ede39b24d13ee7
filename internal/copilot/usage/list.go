// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import "strings"

// list is a list that grows without being copied, so that it needs no more memory than its elements.
type list[T any] struct {
	chunks [][]T
	size   int
}

const chunkSize = 1024

// at returns the element at a position, which it appends, with those before it, when the list is shorter.
func (l *list[T]) at(position int) *T {
	for len(l.chunks)*chunkSize <= position {
		l.chunks = append(l.chunks, make([]T, chunkSize))
	}
	l.size = max(l.size, position+1)
	return &l.chunks[position/chunkSize][position%chunkSize]
}

// texts copies short texts into large blocks: each alone would need up to twice its size.
type texts struct{ block strings.Builder }

const blockSize = 64 << 10

// copyOf returns a copy of a text.
func (t *texts) copyOf(text string) string {
	if t.block.Cap()-t.block.Len() < len(text) {
		t.block = strings.Builder{}
		t.block.Grow(max(blockSize, len(text)))
	}
	start := t.block.Len()
	t.block.WriteString(text)
	return t.block.String()[start:]
}
