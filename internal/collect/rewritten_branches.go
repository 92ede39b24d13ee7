// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// rewrittenEntries records that a reading has found commits that the default branch does not reach any more, and
// returns the entry to store. It is stored where commits are read without their lines: lines from another source must
// then be read again, also by the next leader.
func (c *Collector) rewrittenEntries(todo *reading, result *github.ReadResult) []ledger.Entry {
	lost := len(result.Removed) > 0 || result.Sweep != nil
	if !c.settings.WithoutLines || !lost || result.Failed[activity.StreamCommits] != nil {
		return nil
	}
	now := c.Now() // not before the head that was read was the present one
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rewrittenAt == nil {
		c.rewrittenAt = make(map[int64]time.Time)
	}
	c.rewrittenAt[todo.request.Repo.ID] = now
	return []ledger.Entry{{
		EntryKey: ledger.EntryKey{Name: ledger.EntryBranchRewound, Repo: todo.request.Repo.ID},
		Observed: now,
	}}
}

// RewrittenAt returns when the default branch of a repository was last found to have lost commits, by this collector or
// by a former leader whose entry is stored; zero for never.
func (c *Collector) RewrittenAt(repo int64, entry func(ledger.EntryKey) (ledger.Entry, bool)) time.Time {
	c.mu.Lock()
	at := c.rewrittenAt[repo]
	c.mu.Unlock()
	if stored, ok := entry(ledger.EntryKey{Name: ledger.EntryBranchRewound, Repo: repo}); ok &&
		stored.Observed.After(at) {
		at = stored.Observed
	}
	return at
}
