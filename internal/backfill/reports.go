// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// MissedReport is a day of a report that was not read. The coverage has no reports: their source says which days are
// missing.
type MissedReport struct {
	// Source and Name are Job.Source and Job.Repo.
	Source, Name string
	Window       activity.Window
	Reason       Reason
	// Times is how often the source has missed the day so far.
	Times int
}

// missedKey identifies a day of a report.
type missedKey struct {
	report string
	start  int64
}

func (m *MissedReport) key() missedKey {
	return missedKey{reportKey(m.Source, m.Name), m.Window.Start.Unix()}
}

// isOf reports whether a claim is that of a job for the day.
func (m *MissedReport) isOf(c *Claim) bool {
	return c.Report == reportKey(m.Source, m.Name) && c.Start.Equal(m.Window.Start)
}

// SetMissedReports replaces the days of reports that are missing. The next Dispatch publishes jobs for those that no
// claim covers, before those of gaps.
func (d *Dispatcher) SetMissedReports(missed []MissedReport) { d.reports = missed }

// planReports returns the jobs for the days of reports that are still missing and that no claim covers, without ids.
func (d *Dispatcher) planReports(ctx context.Context, live []Claim) ([]Job, error) {
	var jobs []Job
	for i := range d.reports {
		m := &d.reports[i]
		if slices.ContainsFunc(live, func(c Claim) bool { return m.isOf(&c) }) {
			continue
		}
		isMissing, err := d.settings.IsMissing(ctx, m)
		if err != nil {
			return nil, fmt.Errorf("look for a report: %w", err)
		}
		if !isMissing {
			continue
		}
		jobs = append(jobs, Job{
			Org: d.settings.Org, Source: m.Source, Repo: m.Name, Streams: activity.StreamsOf(activity.StreamCommits),
			Window: m.Window, Reason: m.Reason, Attempt: 1,
		})
	}
	return jobs, nil
}

// countDedupedReports counts how often days were missed again while a job was in progress.
func (d *Dispatcher) countDedupedReports(todo []Job) {
	published := make(map[missedKey]bool)
	for i := range todo {
		if todo[i].Source != "" {
			published[missedKey{reportKey(todo[i].Source, todo[i].Repo), todo[i].Window.Start.Unix()}] = true
		}
	}
	counted := make(map[missedKey]int, len(d.reports))
	for i := range d.reports {
		m := &d.reports[i]
		counted[m.key()] = m.Times
		if more := m.Times - d.countedTimes[m.key()]; more > 0 && !published[m.key()] {
			d.settings.Counters.Deduped(m.Reason, more)
		}
	}
	d.countedTimes = counted
}
