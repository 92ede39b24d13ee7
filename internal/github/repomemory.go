package github

import (
	"errors"
	"sync"
	"time"
)

// linesMemory is how long the client remembers that GitHub cannot tell the lines of a repository's commits.
const linesMemory = time.Hour

// repoMemory is what the client remembers of repositories that need other questions than most. Its zero value is ready; it is
// safe for concurrent use.
type repoMemory struct {
	mu sync.Mutex
	// sizes are of repositories whose pages are smaller than the largest, in percent.
	sizes map[int64]*pageSize
	// linesFail has until when the lines of a repository's commits are asked for apart.
	linesFail map[int64]time.Time
	// samplesFail has how often in a row the lines of a repository could not be sampled.
	samplesFail map[int64]int
}

// mostSamplesFailed is how often in a row the lines of a week may fail before those of single commits are left out.
const mostSamplesFailed = 3

func (m *repoMemory) noteSamples(repo int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case err == nil:
		delete(m.samplesFail, repo)
	case !errors.As(err, new(*UnavailableError)):
	case m.samplesFail == nil:
		m.samplesFail = map[int64]int{repo: 1}
	default:
		m.samplesFail[repo]++
	}
}

func (m *repoMemory) haveSamplesFailed(repo int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.samplesFail[repo] >= mostSamplesFailed
}

// size is the page size of a repository: that of one does not make the pages of another smaller.
func (m *repoMemory) size(repo int64) *pageSize {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known := m.sizes[repo]; known != nil {
		return known
	}
	return newPageSize(100, 50, 25, 10)
}

// worked notes a question that succeeded; shrank says that larger ones had failed.
func (m *repoMemory) worked(repo int64, sizes *pageSize, size int, shrank bool) {
	if shrank {
		sizes.remember(size)
	} else {
		sizes.worked(size)
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

// noteLines remembers that the lines of a repository's commits fail, or that they do not any more.
func (m *repoMemory) noteLines(repo int64, fail bool, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !fail {
		delete(m.linesFail, repo)
		return
	}
	if m.linesFail == nil {
		m.linesFail = make(map[int64]time.Time)
	}
	m.linesFail[repo] = now.Add(linesMemory)
}

// haveLinesFailed reports whether the lines of a repository's commits have failed lately.
func (m *repoMemory) haveLinesFailed(repo int64, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return now.Before(m.linesFail[repo])
}
