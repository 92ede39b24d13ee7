package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// rewindEntries notes that a reading has found commits that the default branch does not reach any more.
func (c *Collector) rewindEntries(todo *reading, outcome *github.ReadResult) []ledger.Entry {
	lost := len(outcome.Removed) > 0 || outcome.Sweep != nil
	if !c.settings.WithoutLines || !lost || outcome.Failed[activity.StreamCommits] != nil {
		return nil
	}
	now := c.now() // not before the head that was read was the present one
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rewrittenAt == nil {
		c.rewrittenAt = make(map[int64]time.Time)
	}
	c.rewrittenAt[todo.request.Repo.ID] = now
	return []ledger.Entry{{EntryKey: linesEntryKey(ledger.EntryBranchRewound, todo.request.Repo.ID), Observed: now}}
}

// rewoundAt is when the default branch of a repository was found to have lost commits for the last time, zero when it
// never was.
func (l *Lines) rewoundAt(repo int64) time.Time {
	l.collector.mu.Lock()
	at := l.collector.rewrittenAt[repo]
	l.collector.mu.Unlock()
	l.mu.Lock()
	samples := l.samples
	l.mu.Unlock()
	if sample, ok := samples.Entry(linesEntryKey(ledger.EntryBranchRewound, repo)); ok && sample.Observed.After(at) {
		at = sample.Observed
	}
	return at
}
