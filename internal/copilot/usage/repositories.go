// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"iter"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// Repositories has the pull requests of a repos report of one day, with the label repo. It is for one goroutine.
type Repositories struct {
	settings Settings
	rows     []report.Repository
	index    map[report.ID]bool
	counts   Counts
	records  int64
}

// NewRepositories starts a report.
func NewRepositories(settings Settings) *Repositories {
	return &Repositories{settings: settings, index: make(map[report.ID]bool)}
}

// Add adds a row.
func (r *Repositories) Add(row *report.Repository) {
	if drop, ok := r.admit(row); !ok {
		r.counts.Dropped[drop]++
		return
	}
	r.counts.Used++
	r.index[repositoryKey(row)] = true
	r.rows = append(r.rows, report.Repository{
		Day: row.Day, OwnerName: row.OwnerName, Name: row.Name, PullRequests: row.PullRequests,
	})
}

func repositoryKey(row *report.Repository) report.ID {
	if row.ID != "" {
		return row.ID
	}
	return report.ID("@" + row.OwnerName + "/" + row.Name)
}

func (r *Repositories) admit(row *report.Repository) (Drop, bool) {
	r.records++
	switch {
	case r.settings.MaxRecords > 0 && r.records > r.settings.MaxRecords:
		return DropMaxRecords, false
	case report.CleanLabel(row.Name) == "":
		return DropUnidentified, false
	case row.Day == 0 || row.Day != r.settings.Span.Last:
		return DropOutsideWindow, false
	case r.index[repositoryKey(row)]:
		return DropDuplicate, false
	}
	return 0, true
}

// Counts returns how many rows were used and dropped.
func (r *Repositories) Counts() Counts { return r.counts }

// Samples returns the samples of pull requests.
func (r *Repositories) Samples() iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for i := range r.rows {
			row := &r.rows[i]
			day := NewAggregates(Settings{
				Span: report.Span{First: row.Day, Last: row.Day}, ByDay: r.settings.ByDay,
			})
			day.Add(&report.Aggregate{Day: row.Day, PullRequests: row.PullRequests})
			for sample := range joined(day.pullRequests, day.pullRequestKinds, day.minutesToMerge) {
				sample.Labels.Owner = report.CleanLabel(row.OwnerName)
				sample.Labels.Repository = report.CleanLabel(row.Name)
				if !yield(sample) {
					return
				}
			}
		}
	}
}
