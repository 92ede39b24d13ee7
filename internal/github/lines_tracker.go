// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import "sync"

// maxLineFailures is how many requests for lines may fail in a row in one reading; the others are not sent.
const maxLineFailures = 5

// linesTracker bounds the requests for lines that GitHub cannot compute. It is safe for concurrent use.
type linesTracker struct {
	mu sync.Mutex
	// failuresInRow counts failed requests, read and missing the commits with and without lines.
	failuresInRow, read, missing int
	// cause is the error of the first commit without lines.
	cause error
}

// canRequest reports whether another request for lines may be sent.
func (l *linesTracker) canRequest() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failuresInRow < maxLineFailures
}

// recordFailure counts a failed request.
func (l *linesTracker) recordFailure() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failuresInRow++
}

// recordRead counts a commit whose lines were read.
func (l *linesTracker) recordRead() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failuresInRow = 0
	l.read++
}

// recordMissing counts a commit without lines, with the reason.
func (l *linesTracker) recordMissing(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.missing++
	if l.cause == nil {
		l.cause = cause
	}
}

// summary returns how many commits have their lines, how many have not, and the error of the first that has not.
func (l *linesTracker) summary() (read, missing int, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.read, l.missing, l.cause
}
