package collect

import (
	"errors"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// What is forbidden or not there is asked for again, but ever more rarely: a repository that a credential may not read
// would otherwise cost requests in every pass for ever. The first refusal may be a passing one, and delays nothing.
const (
	firstRefusedDelay = 15 * time.Minute
	maxRefusedDelay   = 6 * time.Hour
)

// maxUnavailableDelay is the longest wait for a stream that GitHub does not answer while it answers others.
const maxUnavailableDelay = 30 * time.Minute

// streamBackoffs remembers which streams of which repositories could not be read, and until when to leave them alone.
type streamBackoffs struct {
	firstDelay, maxDelay time.Duration
	// interval is the time between two passes; 0 asks for what is unavailable in each.
	interval time.Duration

	mu     sync.Mutex
	states map[refusalKey]backoffState
}

type refusalKey struct {
	repo   int64
	stream activity.Stream
}

type backoffState struct {
	until time.Time
	delay time.Duration
	err   error
	// failures is how many there were in a row of one kind: refused, or unavailable.
	failures    int
	unavailable bool
}

func newStreamBackoffs(first, last, interval time.Duration) *streamBackoffs {
	return &streamBackoffs{firstDelay: first, maxDelay: last, interval: interval, states: make(map[refusalKey]backoffState)}
}

// isRefused reports whether GitHub will say the same if it is asked again at once.
func isRefused(err error) bool {
	var forbidden *github.ForbiddenError
	var missing *github.NotFoundError
	return errors.As(err, &forbidden) || errors.As(err, &missing)
}

// isUnavailable reports whether GitHub had no usable answer.
func isUnavailable(err error) bool { return errors.As(err, new(*github.UnavailableError)) }

// recordRefused remembers a refusal: the first one delays nothing, and each one in a row after the second doubles the wait.
func (r *streamBackoffs) recordRefused(repo int64, s activity.Stream, err error, now time.Time) {
	r.add(refusalKey{repo, s}, err, now, false, r.firstDelay, r.maxDelay)
}

// recordUnavailable remembers that a stream was not answered while others were: the wait is that of a scrape interval
// after the second failure in a row, and doubles.
func (r *streamBackoffs) recordUnavailable(repo int64, s activity.Stream, err error, now time.Time) {
	r.add(refusalKey{repo, s}, err, now, true, min(r.interval, maxUnavailableDelay), maxUnavailableDelay)
}

func (r *streamBackoffs) add(key refusalKey, err error, now time.Time, unavailable bool, first, last time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.states[key]
	if was.unavailable != unavailable {
		was = backoffState{}
	}
	next := backoffState{err: err, failures: was.failures + 1, unavailable: unavailable}
	if next.failures > 1 {
		next.delay = max(first, min(last, 2*was.delay))
		next.until = now.Add(next.delay)
	}
	r.states[key] = next
}

// deferralOf is the reason why the stream is not to be asked for yet; nil when it may be.
func (r *streamBackoffs) deferralOf(repo int64, s activity.Stream, now time.Time) error {
	_, err := r.deferredUntil(repo, s, now)
	return err
}

// deferredUntil is the reason why the stream is not to be asked for yet, and until when; nil when it may be.
func (r *streamBackoffs) deferredUntil(repo int64, s activity.Stream, now time.Time) (until time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.states[refusalKey{repo, s}]
	if now.Before(last.until) {
		return last.until, last.err
	}
	return time.Time{}, nil
}

// isUnavailable reports whether a stream of the repository was not answered when it was asked for last.
func (r *streamBackoffs) isUnavailable(repo int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range activity.AllStreams() {
		if r.states[refusalKey{repo, s}].unavailable {
			return true
		}
	}
	return false
}

func (r *streamBackoffs) clear(repo int64, s activity.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.states, refusalKey{repo, s})
}
