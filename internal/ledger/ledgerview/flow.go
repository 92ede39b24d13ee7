// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// flow has the histograms of a repository: the totals of all events that are attributed to it, whatever their age.
type flow struct {
	totals ledger.RepositoryTotals
	// starting has the kinds of which the first event was recorded lately, or the first one since the repository is
	// back. Their histograms are shown as they were before for Settings.ZeroFor, so that a query that compares two
	// values counts that event.
	starting []startingFlow
}

// startingFlow is a kind whose histograms start, or start again. The times are those of startingTotal.
type startingFlow struct {
	kind                 activity.Kind
	before               ledger.RepositoryTotals // nil for zeros
	notBefore, shownFrom int64
}

// addFlow adds an event that is attributed to its repository.
func (v *View) addFlow(e *activity.Event) {
	f := &v.repoAt(e.Repo).flow
	if v.settings.ZeroFor > 0 && v.caughtUp && v.open[e.Repo].Has(e.Kind.Stream()) && !f.hasEvents(e.Kind) {
		f.addStarting(startingFlow{kind: e.Kind, notBefore: v.visits.last})
	}
	f.totals.AddEvent(e)
}

// hasEvents reports whether there is an event of a kind.
func (f *flow) hasEvents(kind activity.Kind) bool {
	specs := ledger.HistogramSpecs()
	for i := range specs {
		if specs[i].Kind == kind {
			h := f.totals.Histogram(&specs[i])
			return h.Count() > 0
		}
	}
	return false
}

// noteReturn notes that the histograms start again because the repository is back. last is the time of the last visit.
func (f *flow) noteReturn(last int64) {
	before := f.totals.Clone()
	for _, kind := range activity.Kinds() {
		if kind.IsOfRepository() && f.hasEvents(kind) {
			f.addStarting(startingFlow{kind: kind, before: before, notBefore: last})
		}
	}
}

// addStarting notes that the histograms of a kind start, unless that is noted already.
func (f *flow) addStarting(s startingFlow) {
	if !slices.ContainsFunc(f.starting, func(o startingFlow) bool { return o.kind == s.kind }) {
		f.starting = append(f.starting, s)
	}
}

// histogram returns a histogram as it is shown at a time: as it was before while it starts. It returns false for one
// without events. now is in Unix nanoseconds.
func (f *flow) histogram(spec *ledger.HistogramSpec, now int64, zeroFor time.Duration) (ledger.Histogram, bool) {
	h := f.totals.Histogram(spec)
	if h.Count() == 0 {
		return h, false
	}
	if s := f.startOf(spec.Kind, now, zeroFor); s != nil {
		return s.before.Histogram(spec), true
	}
	return h, true
}

// startOf returns how the histograms of a kind start at a time; nil when they are shown as they are.
func (f *flow) startOf(kind activity.Kind, now int64, zeroFor time.Duration) *startingFlow {
	f.starting = slices.DeleteFunc(f.starting, func(s startingFlow) bool {
		return s.shownFrom != 0 && now-s.shownFrom >= int64(zeroFor)
	})
	for i := range f.starting {
		if s := &f.starting[i]; s.kind == kind {
			if s.shownFrom == 0 {
				s.shownFrom = now
			}
			return s
		}
	}
	return nil
}

// takeOver drops what starts and may have been shown by the replica that emitted the view until now.
func (f *flow) takeOver(now int64, zeroFor time.Duration) {
	f.starting = slices.DeleteFunc(f.starting, func(s startingFlow) bool {
		return s.notBefore == 0 || now-s.notBefore >= int64(zeroFor)
	})
}

// Histograms returns the histograms of a repository at a time, by the index of ledger.HistogramSpecs: without Buckets
// where nothing was recorded, or the history of the stream has not been read. It returns nil without any. Their memory
// is that of the view until the next change is applied.
func (v *View) Histograms(id int64, now time.Time) []ledger.Histogram {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.histograms(id, now)
}

// histograms is Histograms under the lock.
func (v *View) histograms(id int64, now time.Time) []ledger.Histogram {
	repo := v.repos[id]
	if repo == nil || repo.flow.totals == nil {
		return nil
	}
	specs := ledger.HistogramSpecs()
	list := make([]ledger.Histogram, len(specs))
	for i := range specs {
		if !v.open[id].Has(specs[i].Kind.Stream()) {
			continue
		}
		if h, ok := repo.flow.histogram(&specs[i], now.UnixNano(), v.settings.ZeroFor); ok {
			list[i] = h
		}
	}
	return list
}
