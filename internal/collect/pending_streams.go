// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import "github.com/seed-358c4d9d/githubexporter/internal/activity"

// setPending records which streams a pass is about to read; no readings clear it.
func (c *Collector) setPending(readings []plannedReading) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pendingStreams = make(map[int64]activity.Streams, len(readings))
	for i := range readings {
		c.pendingStreams[readings[i].repo.ID] = readings[i].streams
	}
}

// clearPending removes a repository from the pending ones when its streams were read or have failed.
func (c *Collector) clearPending(repo int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pendingStreams, repo)
}

// PendingStreams returns the streams of a repository that need no job: those that the present pass is about to read,
// and all of them when the last pass did not find the repository, since nothing can be read of it then.
func (c *Collector) PendingStreams(repo int64) activity.Streams {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.notFound[repo] {
		return activity.EveryStream
	}
	return c.pendingStreams[repo]
}
