package backfill

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// RepeatedLossThreshold is how many jobs in a row for the same window have to be lost before the queue is said to lose jobs. One
// or two are what a broker loses that is replaced.
const RepeatedLossThreshold = 3

// lossDetector decides which jobs are not under way any more. It is pure.
type lossDetector struct {
	now                     time.Time
	staleAfter, expireAfter time.Duration
	depth                   *Depth
}

// splitClaims parts the claims of jobs that are under way from those of jobs that are lost or forgotten.
func (q *lossDetector) splitClaims(all []Claim) (live, silent []Claim) {
	surplus := q.findSurplus(all)
	for i := range all {
		quiet := q.now.Sub(all[i].RefreshedAt)
		if quiet >= q.expireAfter || (quiet >= q.staleAfter && (q.isLost(&all[i]) || surplus[all[i].ID])) {
			silent = append(silent, all[i])
		} else {
			live = append(live, all[i])
		}
	}
	return live, silent
}

// isLost reports whether a job is nowhere: nothing waits where it could be. Only a job that has failed or was snoozed
// can be among those that wait for their time.
func (q *lossDetector) isLost(c *Claim) bool {
	return !c.DeadLettered && q.depth.Ready == 0 && (!c.Retrying || q.depth.Retries == 0)
}

// findSurplus are jobs that no worker has had and that cannot all be in the queue, because fewer are: a queue that drops
// jobs may be as long as it is allowed to be for ever. It drops the oldest first.
func (q *lossDetector) findSurplus(all []Claim) map[string]bool {
	var undelivered []Claim
	for i := range all {
		if !all[i].isDelivered() && q.now.Sub(all[i].RefreshedAt) >= q.staleAfter {
			undelivered = append(undelivered, all[i])
		}
	}
	n := len(undelivered) - q.depth.Ready - q.depth.MaxUnacked
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

// isCertain reports whether the silent jobs that no worker has had are lost. While workers are busy they may be jobs
// that consumers hold: the broker does not say how many those are.
func (q *lossDetector) isCertain(live, silent []Claim) bool {
	undelivered := 0
	for i := range silent {
		if !silent[i].isDelivered() {
			undelivered++
		}
	}
	isBusy := slices.ContainsFunc(live, func(c Claim) bool {
		return c.isDelivered() && !c.Retrying && !c.DeadLettered && q.now.Sub(c.RefreshedAt) < q.staleAfter
	})
	return !isBusy || undelivered > q.depth.MaxUnacked
}

// lostJobs are claims, by id, of jobs that were confirmed and never delivered, until a job for their window is
// published or the window is read.
type lostJobs map[string]Claim

// add adds those of silent jobs that no worker has had. Where it is not certain that they are lost, they do not count
// as one more.
func (l lostJobs) add(silent []Claim, certain bool) {
	for i := range silent {
		claim := silent[i]
		if claim.isDelivered() {
			continue
		}
		if !certain {
			claim.LostBefore--
		}
		l[claim.ID] = claim
	}
}

// dropRead drops those whose window misses nothing any more.
func (l lostJobs) dropRead(cov *ledger.Coverage) {
	for id := range l {
		claim := l[id]
		if r := cov.Repos[claim.RepoID]; r == nil || r.IsGone() || !hasGap(r, &claim) {
			delete(l, id)
		}
	}
}

// hasGap reports whether anything of a claim's window is missing.
func hasGap(r *ledger.RepoCoverage, claim *Claim) bool {
	window := activity.Window{Start: claim.Start, End: claim.End}
	for _, s := range activity.AllStreams() {
		if claim.Streams.Has(s) && r.Gaps(s).Overlaps(window) {
			return true
		}
	}
	return false
}

// dropPublished drops those for whose window there is a job again: its claim counts on.
func (l lostJobs) dropPublished(claims []Claim) {
	published := claimsByRepo(claims)
	for id := range l {
		claim := l[id]
		if slices.ContainsFunc(published[claim.RepoID], func(c Claim) bool { return c.overlaps(&claim) }) {
			delete(l, id)
		}
	}
}

func (l lostJobs) byRepo() map[int64][]Claim {
	m := make(map[int64][]Claim)
	for id := range l {
		m[l[id].RepoID] = append(m[l[id].RepoID], l[id])
	}
	return m
}

// countRepeatedlyLost counts those that were lost often enough.
func (l lostJobs) countRepeatedlyLost() int {
	n := 0
	for id := range l {
		if l[id].LostBefore+1 >= RepeatedLossThreshold {
			n++
		}
	}
	return n
}

// countRepeatedlyLost counts the claims of windows whose jobs were lost often enough.
func countRepeatedlyLost(claims []Claim) int {
	n := 0
	for i := range claims {
		if claims[i].LostBefore >= RepeatedLossThreshold && !claims[i].isDelivered() {
			n++
		}
	}
	return n
}

// countLostBefore is how many jobs in a row were lost before one that is about to be published.
func countLostBefore(lost []Claim, claim *Claim) int {
	n := 0
	for i := range lost {
		if claim.overlaps(&lost[i]) {
			n = max(n, lost[i].LostBefore+1)
		}
	}
	return n
}

// overlaps reports whether two claims are for the same of a repository.
func (c *Claim) overlaps(other *Claim) bool {
	return c.RepoID == other.RepoID && c.Streams&other.Streams != 0 &&
		c.Start.Before(other.End) && other.Start.Before(c.End)
}
