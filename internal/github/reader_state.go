// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"sync"
	"time"
)

// readerState is what a client's readers remember between requests. It is safe for concurrent use.
type readerState struct {
	// pageSize and cursors are those of listings and lookups.
	pageSize *pageSize
	cursors  cursorCache
	// releaseTurns are whose lists of releases the next listing requests.
	releaseTurns releaseTurns
	// groupSize is the number of repositories in a query of Prefetch.
	groupSize *pageSize
	repos     repositoryMemory
}

// newReaderState returns the state of a client that has read nothing.
func newReaderState() readerState {
	return readerState{pageSize: newListingPageSize(), groupSize: newGroupSize()}
}

// linesMemory is how long the client remembers that GitHub does not return the lines of a repository's commits, or not
// together with them.
const linesMemory = time.Hour

// repositoryMemory has the repositories that need other requests than most. Its zero value is ready; it is safe for
// concurrent use.
type repositoryMemory struct {
	mu sync.Mutex
	// sizes are of repositories whose pages are smaller than the largest, in percent.
	sizes map[int64]*pageSize
	// linesApart has until when the lines of a repository's commits are requested apart from them.
	linesApart map[int64]time.Time
	// linesMissed are the repositories of which GitHub did not return the lines of commits.
	linesMissed map[int64]linesMissed
}

// linesMissed counts the readings in a row that missed lines; it counts until a time.
type linesMissed struct {
	readings int // in a row
	until    time.Time
}

// pageSizeOf returns the page size of a repository, which does not affect the pages of another one.
func (m *repositoryMemory) pageSizeOf(repo int64) *pageSize {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.sizes[repo]; known != nil {
		return known
	}
	return newPageSize(100, 50, 25, 10)
}

// recordSuccess records a request that succeeded; shrank says that larger ones had failed.
func (m *repositoryMemory) recordSuccess(repo int64, sizes *pageSize, size int, shrank bool) {
	if shrank {
		sizes.remember(size)
	} else {
		sizes.recordSuccess(size)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case sizes.isFull():
		delete(m.sizes, repo)
	case m.sizes == nil:
		m.sizes = map[int64]*pageSize{repo: sizes}
	default:
		m.sizes[repo] = sizes
	}
}

// setLinesApart remembers that a query for commits with their lines fails where one without succeeds.
func (m *repositoryMemory) setLinesApart(repo int64, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.linesApart == nil {
		m.linesApart = make(map[int64]time.Time)
	}
	m.linesApart[repo] = now.Add(linesMemory)
}

// areLinesApart reports whether the lines of a repository's commits are requested apart from them.
func (m *repositoryMemory) areLinesApart(repo int64, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.linesApart[repo])
}

// recordLines remembers whether a reading missed lines.
func (m *repositoryMemory) recordLines(repo int64, missed bool, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !missed {
		delete(m.linesMissed, repo)
		return
	}
	was := m.linesMissed[repo]
	if !now.Before(was.until) {
		was.readings = 0
	}
	if m.linesMissed == nil {
		m.linesMissed = make(map[int64]linesMissed)
	}
	m.linesMissed[repo] = linesMissed{readings: was.readings + 1, until: now.Add(linesMemory)}
}

// missedLines returns how many of the latest readings in a row missed lines.
func (m *repositoryMemory) missedLines(repo int64, now time.Time) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	if last := m.linesMissed[repo]; now.Before(last.until) {
		return last.readings
	}
	return 0
}
