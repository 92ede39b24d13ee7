// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// newestPieceLength is the length of the newest piece of a long window. It completes the last week, which users look at
// first, before older weeks are read.
const newestPieceLength = 7 * 24 * time.Hour

// planner makes jobs for the gaps that no claim covers. It does no I/O and reads no clock.
type planner struct {
	org     string
	align   time.Duration
	claimed map[int64][]Claim
	// busyStreams returns the streams of a repository that a pass is about to read; they get no job.
	busyStreams func(repo int64) activity.Streams
	// reasonFor returns why a window is a gap.
	reasonFor func(r *ledger.RepoCoverage, s activity.Stream, w activity.Window) Reason
}

// planJobs returns the jobs to publish, without ids, the newest window first. Gaps are aligned and joined, and streams
// of a repository with the same gap share a job.
func (p *planner) planJobs(cov *ledger.Coverage) []Job {
	var jobs []Job
	for _, r := range cov.Repos {
		if !r.IsGone() {
			jobs = p.planRepo(jobs, r)
		}
	}
	slices.SortFunc(jobs, func(a, b Job) int {
		return cmp.Or(
			b.Window.End.Compare(a.Window.End), b.Window.Start.Compare(a.Window.Start),
			cmp.Compare(a.RepoID, b.RepoID), cmp.Compare(a.Streams, b.Streams),
		)
	})
	return jobs
}

// planRepo appends the jobs for the unclaimed gaps of a repository.
func (p *planner) planRepo(jobs []Job, r *ledger.RepoCoverage) []Job {
	first := len(jobs)
	busy := p.busyStreams(r.ID)
	for _, s := range activity.AllStreams() {
		if busy.Has(s) {
			continue
		}
		for _, w := range p.unclaimedGaps(r, s) {
			for _, piece := range splitWindow(w, s) {
				jobs = p.addStream(jobs, first, r, s, piece)
			}
		}
	}
	return jobs
}

// unclaimedGaps returns the gaps of a stream that no claim covers, aligned outward, so that windows that are close
// become one.
func (p *planner) unclaimedGaps(r *ledger.RepoCoverage, s activity.Stream) activity.Windows {
	unclaimed := r.Gaps(s)
	for i := range p.claimed[r.ID] {
		if claim := &p.claimed[r.ID][i]; claim.Streams.Has(s) {
			unclaimed = unclaimed.Remove(claim.coveredWindow())
		}
	}
	var aligned activity.Windows
	for _, w := range unclaimed {
		aligned = aligned.Add(alignOutward(w, p.align))
	}
	return aligned
}

// addStream adds a stream to the repository's job for the window, or appends a job. The repository's jobs start at
// index first.
func (p *planner) addStream(jobs []Job, first int, r *ledger.RepoCoverage, s activity.Stream, w activity.Window) []Job {
	for i := range jobs[first:] {
		job := &jobs[first+i]
		if job.Window.Start.Equal(w.Start) && job.Window.End.Equal(w.End) {
			job.Streams = job.Streams.With(s)
			return jobs
		}
	}
	return append(jobs, Job{
		Org: p.org, Repo: r.Name, RepoID: r.ID, Streams: activity.StreamsOf(s), Window: w,
		Reason: p.reasonFor(r, s, w), Attempt: 1,
	})
}

// alignOutward returns the smallest window of whole steps that contains w.
func alignOutward(w activity.Window, step time.Duration) activity.Window {
	aligned := activity.Window{Start: w.Start.UTC().Truncate(step), End: w.End.UTC().Truncate(step)}
	if aligned.End.Before(w.End) {
		aligned.End = aligned.End.Add(step)
	}
	return aligned
}

// splitWindow splits a long window into pieces, the newest first, each twice as long as the one before. A window of
// pull requests stays whole: GitHub lists them from the newest on, so that an older piece would read all newer ones
// again.
func splitWindow(w activity.Window, s activity.Stream) []activity.Window {
	if s.Base() == activity.StreamPulls {
		return []activity.Window{w}
	}
	var list []activity.Window
	for span := newestPieceLength; w.End.Sub(w.Start) > span+span/2; span *= 2 {
		cut := w.End.Add(-span)
		list = append(list, activity.Window{Start: cut, End: w.End})
		w.End = cut
	}
	return append(list, w)
}
