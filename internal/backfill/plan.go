package backfill

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// newestPieceLength is how long the newest piece of a long window is: it has the last complete week sooner than all the rest.
const newestPieceLength = 7 * 24 * time.Hour

// planner makes jobs of what is missing and not under way. It is pure.
type planner struct {
	org     string
	align   time.Duration
	claimed map[int64][]Claim
	// busyStreams are the streams of a repository that a pass is about to read.
	busyStreams func(repo int64) activity.Streams
	// reasonFor says why a window is missing.
	reasonFor func(r *ledger.RepoCoverage, s activity.Stream, w activity.Window) Reason
}

// planJobs lists what is to be published, the newest first: windows aligned and joined, one job for the streams that miss the
// same window. They have no id yet.
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
			cmp.Compare(a.RepoID, b.RepoID), cmp.Compare(a.Streams, b.Streams))
	})
	return jobs
}

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

// unclaimedGaps is what is missing of a stream and not under way, aligned: windows that are close are one.
func (p *planner) unclaimedGaps(r *ledger.RepoCoverage, s activity.Stream) activity.Windows {
	rest := r.Gaps(s)
	for i := range p.claimed[r.ID] {
		if claim := &p.claimed[r.ID][i]; claim.Streams.Has(s) {
			rest = rest.Remove(claim.coveredWindow())
		}
	}
	var aligned activity.Windows
	for _, w := range rest {
		aligned = aligned.Add(alignOutward(w, p.align))
	}
	return aligned
}

// addStream puts a stream into the repository's job for the window, or makes one.
func (p *planner) addStream(jobs []Job, first int, r *ledger.RepoCoverage, s activity.Stream, w activity.Window) []Job {
	for i := range jobs[first:] {
		job := &jobs[first+i]
		if job.Window.Start.Equal(w.Start) && job.Window.End.Equal(w.End) {
			job.Streams = job.Streams.With(s)
			return jobs
		}
	}
	return append(jobs, Job{
		Org: p.org, Repo: r.Name, RepoID: r.ID, Streams: activity.StreamsOf(s), Window: w, Reason: p.reasonFor(r, s, w), Attempt: 1,
	})
}

// alignOutward is the smallest window of whole steps around w.
func alignOutward(w activity.Window, step time.Duration) activity.Window {
	aligned := activity.Window{Start: w.Start.UTC().Truncate(step), End: w.End.UTC().Truncate(step)}
	if aligned.End.Before(w.End) {
		aligned.End = aligned.End.Add(step)
	}
	return aligned
}

// splitWindow cuts a long window, the newest first, each twice as long as the one before. Pull requests are not cut: GitHub lists
// them from the newest on, so that an older piece would read all the newer ones again.
func splitWindow(w activity.Window, s activity.Stream) []activity.Window {
	if s == activity.StreamPulls {
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
