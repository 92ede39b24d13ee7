// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// content is the data of all organizations, and the index from which requests are answered. It is safe for concurrent
// use. The timeline does not change.
type content struct {
	timeline Timeline

	mu    sync.RWMutex
	data  []*Dataset
	index *served.Index
	// hiddenAfter is the served time after which nothing is visible; zero hides nothing.
	hiddenAfter time.Time
}

// load sets the data to copies of datasets, and the timeline with its defaults filled in.
func (c *content) load(set Settings, now time.Time) {
	for _, d := range set.Datasets {
		c.data = append(c.data, d.Clone())
	}
	c.timeline = set.Timeline
	if c.timeline.Pivot.IsZero() && set.Now == nil {
		for _, d := range c.data {
			if end := d.LastEventTime(); end.After(c.timeline.Pivot) {
				c.timeline.Pivot = end
			}
		}
	}
	if c.timeline.Start.IsZero() {
		c.timeline.Start = now
	}
	c.timeline.Start = c.timeline.Start.UTC().Truncate(time.Second)
	c.reindex()
}

// update changes the data of an organization, of the first one when the login is empty. It panics when there is none.
func (c *content) update(login string, change func(*Dataset)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.data, func(d *Dataset) bool { return login == "" || strings.EqualFold(d.Org.Login, login) })
	change(c.data[i])
	c.reindex()
}

// reindex builds the index again. Views that exist keep the former one.
func (c *content) reindex() {
	copies := make([]*Dataset, len(c.data))
	for i, d := range c.data {
		d.AssignRepoIDs()
		d.AssignTeamIDs()
		copies[i] = d.Clone()
	}
	c.index = served.NewIndex(copies, c.timeline)
}

// hideAfter hides what is dated after a served time; the zero time hides nothing.
func (c *content) hideAfter(until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hiddenAfter = until
}

// hidden returns the time of hideAfter.
func (c *content) hidden() time.Time {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.hiddenAfter
}

// view returns what a credential can see now.
func (c *content) view(now time.Time, access served.Access) served.View {
	c.mu.RLock()
	defer c.mu.RUnlock()
	v := served.View{Index: c.index, Now: now, Cutoff: now, Access: access}
	if !c.hiddenAfter.IsZero() && c.hiddenAfter.Before(now) {
		v.Cutoff = c.hiddenAfter
	}
	return v
}
