// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// withBases returns the request with the streams added in whose listings its streams are read. Such a listing is that
// of both streams: it begins at the earlier start, and it is conditional when both have the same validator.
func (req *ReadRequest) withBases() ReadRequest {
	full := *req
	for _, s := range activity.AllStreams() {
		base := s.Base()
		switch {
		case base == s || !req.Streams.Has(s):
		case !req.Streams.Has(base):
			full.Streams = full.Streams.With(base)
			full.Since[base], full.GapStart[base], full.Until[base] = req.Since[s], req.GapStart[s], req.Until[s]
			full.Validators[base] = req.Validators[s]
		default:
			full.joinWindows(base, s)
			if v := req.Validators[s]; v.ETag != full.Validators[base].ETag || !v.Since.Equal(full.Validators[base].Since) {
				full.Validators[base] = Validator{}
			}
		}
	}
	return full
}

// joinWindows extends the window of a stream by that of another one.
func (req *ReadRequest) joinWindows(s, other activity.Stream) {
	if req.Since[other].Before(req.Since[s]) {
		req.Since[s] = req.Since[other]
	}
	gaps := []time.Time{req.GapStart[s], req.GapStart[other]}
	req.GapStart[s] = time.Time{}
	for _, gap := range gaps {
		isEarlier := req.GapStart[s].IsZero() || gap.Before(req.GapStart[s])
		if !gap.IsZero() && gap.Before(req.Since[s]) && isEarlier {
			req.GapStart[s] = gap
		}
	}
	if req.Until[s].IsZero() || req.Until[other].IsZero() {
		req.Until[s] = time.Time{}
	} else if req.Until[other].After(req.Until[s]) {
		req.Until[s] = req.Until[other]
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
