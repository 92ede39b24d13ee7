// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import (
	"fmt"
	"time"
)

// Enrich gives the data what recorded data lack: lines to all pull requests, and to some of them a time in draft, a
// closing and a reopening, or a dismissed approval; releases to the repositories. It depends on nothing but the data:
// two calls on equal data give equal ones.
func (d *Dataset) Enrich() {
	end := d.LastEventTime()
	for i := range d.Pulls {
		d.Pulls[i].enrich(end)
	}
	for i := range d.Reviews {
		r := &d.Reviews[i]
		if r.SubmittedAt != nil && r.State == "APPROVED" && r.ID%5 == 0 {
			dismissed := r.SubmittedAt.Add(time.Hour)
			r.DismissedAt = &dismissed
		}
	}
	d.addReleases(end)
}

// addReleases adds a release of some commits of most repositories, by their authors: most soon after the commit, some
// much later, when newer ones have been released. Every third is a prerelease.
func (d *Dataset) addReleases(end time.Time) {
	const every, without = 5, 4
	delays := [...]time.Duration{time.Minute, 3 * time.Hour, 50 * time.Hour, 15 * 24 * time.Hour}
	seen := make(map[string]int)
	for i := without - 1; i < len(d.Repos); i += without {
		seen[d.Repos[i].Name] = -len(d.Commits) // it has no releases
	}
	for i := range d.Commits {
		c := &d.Commits[i]
		r := d.Repo(c.Repo)
		n := seen[c.Repo] / every
		if seen[c.Repo]++; r == nil || seen[c.Repo] < 0 || seen[c.Repo]%every != 1 {
			continue
		}
		published := c.CommittedAt.Add(delays[n%len(delays)])
		if published.After(end) {
			continue
		}
		release := Release{
			ID: int64(8_000_000 + i), Tag: fmt.Sprintf("v0.%d", n), CreatedAt: c.CommittedAt, PublishedAt: published,
			Prerelease: n%3 == 1,
		}
		if c.Login != nil {
			release.Login = *c.Login
		}
		r.Releases = append(r.Releases, release)
	}
}

// enrich enriches a pull request of data that end at a time.
func (p *Pull) enrich(end time.Time) {
	sizes := [...]int{3, 8, 14, 30, 45, 80, 120, 190, 300, 700, 1500, 6000}
	size := sizes[p.Number%len(sizes)] + p.Number%7
	p.Additions, p.Deletions = size-size/4, size/4
	if p.ClosedAt != nil {
		end = *p.ClosedAt
	}
	life := end.Sub(p.CreatedAt)
	if life <= 0 {
		return
	}
	eighth := func(n int64) time.Time { return p.CreatedAt.Add(time.Duration(int64(life) * n / 8)) }
	switch p.Number % 9 {
	case 0, 1:
		p.Draft, p.ReadyAt = true, []time.Time{eighth(2)}
	case 2:
		p.DraftAt, p.ReadyAt = []time.Time{eighth(1)}, []time.Time{eighth(3)}
	case 3:
		p.Draft, p.ReadyAt, p.DraftAt = true, []time.Time{eighth(1), eighth(3)}, []time.Time{eighth(2)}
	case 4:
		p.Closings, p.ReopenedAt = []time.Time{eighth(2)}, []time.Time{eighth(4)}
	}
}
