// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package backfill

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// RepeatedLossThreshold is the number of jobs in a row for the same window that have to be lost before the queue counts
// as losing jobs. A broker that is replaced loses one or two.
const RepeatedLossThreshold = 3

// lossDetector decides which jobs are not in progress any more. It does no I/O and reads no clock.
type lossDetector struct {
	now                     time.Time
	staleAfter, expireAfter time.Duration
	depth                   *Depth
}

// splitClaims separates the claims of jobs in progress from stale ones, whose jobs are lost or expired.
func (d *lossDetector) splitClaims(all []Claim) (live, stale []Claim) {
	surplus := d.findSurplus(all)
	for i := range all {
		age := d.now.Sub(all[i].RefreshedAt)
		if age >= d.expireAfter || (age >= d.staleAfter && (d.isLost(&all[i]) || surplus[all[i].ID])) {
			stale = append(stale, all[i])
		} else {
			live = append(live, all[i])
		}
	}
	return live, stale
}

// isLost reports whether no queue holds the job: those that could hold it are empty.
func (d *lossDetector) isLost(c *Claim) bool {
	return !c.DeadLettered && d.depth.Ready == 0 && !d.mayWait(c)
}

// mayWait reports whether the job may be in a retry queue: it has failed, was deferred, or was returned by a replica
// that does not know its source.
func (d *lossDetector) mayWait(c *Claim) bool {
	return d.depth.Retries > 0 && (c.Retrying || c.Report != "")
}

// findSurplus returns the ids of undelivered jobs that exceed the depth of the queue, the oldest first. A queue that
// drops jobs at its length limit is never empty, and drops the oldest first.
func (d *lossDetector) findSurplus(all []Claim) map[string]bool {
	var undelivered []Claim
	for i := range all {
		if !all[i].isDelivered() && !d.mayWait(&all[i]) && d.now.Sub(all[i].RefreshedAt) >= d.staleAfter {
			undelivered = append(undelivered, all[i])
		}
	}
	n := len(undelivered) - d.depth.Ready - d.depth.MaxUnacked
	if n <= 0 {
		return nil
	}
	slices.SortFunc(undelivered, func(a, b Claim) int { return a.PublishedAt.Compare(b.PublishedAt) })
	lost := make(map[string]bool, n)
	for i := range undelivered[:n] {
		lost[undelivered[i].ID] = true
	}
	return lost
}

// isCertain reports whether the stale jobs that no worker received are lost. While workers are busy they may be unacked
// at a consumer: the broker does not report how many those are.
func (d *lossDetector) isCertain(live, stale []Claim) bool {
	undelivered := 0
	for i := range stale {
		if !stale[i].isDelivered() {
			undelivered++
		}
	}
	isBusy := slices.ContainsFunc(live, func(c Claim) bool {
		return c.isDelivered() && !c.Retrying && !c.DeadLettered && d.now.Sub(c.RefreshedAt) < d.staleAfter
	})
	return !isBusy || undelivered > d.depth.MaxUnacked
}

// lostJobs are claims, by id, of jobs that the queue confirmed and never delivered, until a job for their window is
// published or the gap is closed.
type lostJobs map[string]Claim

// add adds the stale jobs that no worker received. Where it is not certain that they are lost, their LostBefore does
// not grow.
func (l lostJobs) add(stale []Claim, certain bool) {
	for i := range stale {
		claim := stale[i]
		if claim.isDelivered() {
			continue
		}
		if !certain {
			claim.LostBefore--
		}
		l[claim.ID] = claim
	}
}

// dropRead removes the jobs whose window has no gap any more.
func (l lostJobs) dropRead(cov *ledger.Coverage, missed []MissedReport) {
	for id := range l {
		claim := l[id]
		if claim.Report != "" {
			if !slices.ContainsFunc(missed, func(m MissedReport) bool { return m.isOf(&claim) }) {
				delete(l, id)
			}
			continue
		}
		if r := cov.Repos[claim.RepoID]; r == nil || r.IsGone() || !hasGap(r, &claim) {
			delete(l, id)
		}
	}
}

// hasGap reports whether a claim's window overlaps a gap of its streams.
func hasGap(r *ledger.RepoCoverage, claim *Claim) bool {
	window := activity.Window{Start: claim.Start, End: claim.End}
	for _, s := range activity.AllStreams() {
		if claim.Streams.Has(s) && r.Gaps(s).Overlaps(window) {
			return true
		}
	}
	return false
}

// dropPublished removes the jobs whose window has a new job: its claim carries the count on.
func (l lostJobs) dropPublished(claims []Claim) {
	published := claimsByRepo(claims)
	for id := range l {
		claim := l[id]
		if slices.ContainsFunc(published[claim.RepoID], func(c Claim) bool { return c.overlaps(&claim) }) {
			delete(l, id)
		}
	}
}

// byRepo returns the claims of lost jobs by the id of their repository.
func (l lostJobs) byRepo() map[int64][]Claim {
	m := make(map[int64][]Claim)
	for id := range l {
		m[l[id].RepoID] = append(m[l[id].RepoID], l[id])
	}
	return m
}

// countRepeatedlyLost counts the jobs with which their window reaches RepeatedLossThreshold.
func (l lostJobs) countRepeatedlyLost() int {
	n := 0
	for id := range l {
		if l[id].LostBefore+1 >= RepeatedLossThreshold {
			n++
		}
	}
	return n
}

// countRepeatedlyLost counts the undelivered claims of windows that have reached RepeatedLossThreshold.
func countRepeatedlyLost(claims []Claim) int {
	n := 0
	for i := range claims {
		if claims[i].LostBefore >= RepeatedLossThreshold && !claims[i].isDelivered() {
			n++
		}
	}
	return n
}

// countLostBefore returns how many jobs in a row were lost before the one that is about to be published.
func countLostBefore(lost []Claim, claim *Claim) int {
	n := 0
	for i := range lost {
		if claim.overlaps(&lost[i]) {
			n = max(n, lost[i].LostBefore+1)
		}
	}
	return n
}

// overlaps reports whether two claims share a part of a window of a stream, or of a report.
func (c *Claim) overlaps(other *Claim) bool {
	return c.RepoID == other.RepoID && c.Streams&other.Streams != 0 && c.Report == other.Report &&
		c.Start.Before(other.End) && other.Start.Before(c.End)
}
