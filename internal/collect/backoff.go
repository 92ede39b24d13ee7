// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// A stream that GitHub forbids or does not find is requested ever more rarely: a repository that the credential may not
// read would otherwise cost requests in every pass. The first refusal may be transient and delays nothing.
const (
	firstRefusedDelay = 15 * time.Minute
	maxRefusedDelay   = 6 * time.Hour
)

// maxUnavailableDelay is the longest delay of a stream that is unavailable while others are not.
const maxUnavailableDelay = 30 * time.Minute

// streamBackoffs has, for each stream of a repository that could not be read, when it may be requested again. It is
// safe for concurrent use.
type streamBackoffs struct {
	// firstDelay and maxDelay are those of refused streams.
	firstDelay, maxDelay time.Duration
	// interval is the time between two passes, the first delay of an unavailable stream; with 0 every pass requests it.
	interval time.Duration

	mu     sync.Mutex
	states map[RepoStream]backoffState
}

// backoffState is the backoff of one stream: it may be requested again at until, which is delay after its last failure
// err. until and delay are zero after a first failure.
type backoffState struct {
	until time.Time
	delay time.Duration
	err   error
	// failures counts the failures in a row of one kind: refused, or unavailable.
	failures    int
	unavailable bool
}

// newStreamBackoffs returns backoffs without a failure. first and last are the delays of refused streams.
func newStreamBackoffs(first, last, interval time.Duration) *streamBackoffs {
	return &streamBackoffs{
		firstDelay: first, maxDelay: last, interval: interval, states: make(map[RepoStream]backoffState),
	}
}

// isRefused reports whether GitHub will answer the same if the request is repeated at once.
func isRefused(err error) bool {
	var forbidden *transport.ForbiddenError
	var missing *transport.NotFoundError
	return errors.As(err, &forbidden) || errors.As(err, &missing)
}

// isUnavailable reports whether GitHub gave no usable response.
func isUnavailable(err error) bool { return errors.As(err, new(*transport.UnavailableError)) }

// recordRefused records that GitHub refused a stream. The second refusal in a row starts the delay, further ones double
// it.
func (r *streamBackoffs) recordRefused(repo int64, s activity.Stream, err error, now time.Time) {
	r.add(RepoStream{repo, s}, err, now, false, r.firstDelay, r.maxDelay)
}

// recordUnavailable records that a stream was unavailable while others were not. The second failure in a row starts the
// delay with the interval, further ones double it.
func (r *streamBackoffs) recordUnavailable(repo int64, s activity.Stream, err error, now time.Time) {
	r.add(RepoStream{repo, s}, err, now, true, min(r.interval, maxUnavailableDelay), maxUnavailableDelay)
}

// add records a failure of a kind. first and last bound the delay, which the second failure in a row starts.
func (r *streamBackoffs) add(key RepoStream, err error, now time.Time, unavailable bool, first, last time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.states[key]
	if before.unavailable != unavailable {
		before = backoffState{}
	}
	next := backoffState{err: err, failures: before.failures + 1, unavailable: unavailable}
	if next.failures > 1 {
		next.delay = max(first, min(last, 2*before.delay))
		next.until = now.Add(next.delay)
	}
	r.states[key] = next
}

// deferralOf returns the error that a stream backs off from at now, nil when it may be requested.
func (r *streamBackoffs) deferralOf(repo int64, s activity.Stream, now time.Time) error {
	_, err := r.deferredUntil(repo, s, now)
	return err
}

// deferredUntil returns until when a stream backs off, and the error; nil when it may be requested.
func (r *streamBackoffs) deferredUntil(repo int64, s activity.Stream, now time.Time) (until time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.states[RepoStream{repo, s}]
	if now.Before(last.until) {
		return last.until, last.err
	}
	return time.Time{}, nil
}

// isUnavailable reports whether a stream of the repository was unavailable at its last request.
func (r *streamBackoffs) isUnavailable(repo int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range activity.AllStreams() {
		if r.states[RepoStream{repo, s}].unavailable {
			return true
		}
	}
	return false
}

// clear ends the backoff of a stream.
func (r *streamBackoffs) clear(repo int64, s activity.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.states, RepoStream{repo, s})
}
