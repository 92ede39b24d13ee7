// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package dataset

import "time"

// Enrich gives the pull requests what recorded data lack: lines to all, and to some of them a time in draft, a closing
// and a reopening, or a dismissed approval. It depends on nothing but the data: two calls on equal data give equal
// ones.
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
