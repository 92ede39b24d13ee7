// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// withBases returns the request with the streams added in whose listings its streams are read. Such a listing is that
// of both streams: it begins at the earlier start, and it is conditional when both have the same validator.
func (r *ReadRequest) withBases() ReadRequest {
	full := *r
	for _, s := range activity.AllStreams() {
		base := s.Base()
		switch {
		case base == s || !r.Streams.Has(s):
		case !r.Streams.Has(base):
			full.Streams = full.Streams.With(base)
			full.Since[base], full.GapStart[base], full.Until[base] = r.Since[s], r.GapStart[s], r.Until[s]
			full.Validators[base] = r.Validators[s]
		default:
			full.joinWindows(base, s)
			if !full.Validators[base].isEqual(r.Validators[s]) {
				full.Validators[base] = Validator{}
			}
		}
	}
	return full
}

// isEqual reports whether two validators are the same.
func (v Validator) isEqual(other Validator) bool {
	return v.ETag == other.ETag && v.Since.Equal(other.Since)
}

// joinWindows extends the window of a stream by that of another one.
func (r *ReadRequest) joinWindows(s, other activity.Stream) {
	if r.Since[other].Before(r.Since[s]) {
		r.Since[s] = r.Since[other]
	}
	gaps := []time.Time{r.GapStart[s], r.GapStart[other]}
	r.GapStart[s] = time.Time{}
	for _, gap := range gaps {
		isEarlier := r.GapStart[s].IsZero() || gap.Before(r.GapStart[s])
		if !gap.IsZero() && gap.Before(r.Since[s]) && isEarlier {
			r.GapStart[s] = gap
		}
	}
	if r.Until[s].IsZero() || r.Until[other].IsZero() {
		r.Until[s] = time.Time{}
	} else if r.Until[other].After(r.Until[s]) {
		r.Until[s] = r.Until[other]
	}
}

// shareResults gives the streams that were read in the listings of others their results, and drops those of streams
// that were not asked for. asked is the request as it was made.
func (r *reader) shareResults(asked *ReadRequest) {
	for _, s := range activity.AllStreams() {
		base := s.Base()
		if base == s || !asked.Streams.Has(s) {
			continue
		}
		covered := r.request.Since[base]
		if at := r.result.GapCoveredFrom[base]; !at.IsZero() {
			covered = at
		}
		err := r.result.Failed[base]
		r.result.Validators[s], r.result.CoveredFrom[s] = r.result.Validators[base], r.result.CoveredFrom[base]
		for _, one := range []activity.Stream{base, s} {
			r.result.GapCoveredFrom[one] = time.Time{}
			if gap := asked.GapStart[one]; err == nil && !gap.IsZero() && !gap.Before(covered) {
				r.result.GapCoveredFrom[one] = gap
			}
		}
		if err == nil && s == activity.StreamPullFlow {
			err = r.pullFlowErr
		}
		r.result.setFailed(s, err)
		if !asked.Streams.Has(base) {
			r.result.drop(base)
		}
	}
}
