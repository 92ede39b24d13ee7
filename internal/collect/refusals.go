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
	firstPutOff = 15 * time.Minute
	lastPutOff  = 6 * time.Hour
)

// lastUnavailable is the longest wait for a stream that GitHub does not answer while it answers others.
const lastUnavailable = 30 * time.Minute

// refusals remembers which streams of which repositories could not be read, and until when to leave them alone.
type refusals struct {
	first, last time.Duration
	// interval is the time between two passes; 0 asks for what is unavailable in each.
	interval time.Duration

	mu   sync.Mutex
	list map[refusalKey]refusal
}

type refusalKey struct {
	repo   int64
	stream activity.Stream
}

type refusal struct {
	until time.Time
	wait  time.Duration
	err   error
	// failures is how many there were in a row of one kind: refused, or unavailable.
	failures    int
	unavailable bool
}

func newRefusals(first, last, interval time.Duration) *refusals {
	return &refusals{first: first, last: last, interval: interval, list: make(map[refusalKey]refusal)}
}

// refused reports whether GitHub will say the same if it is asked again at once.
func refused(err error) bool {
	var forbidden *github.ForbiddenError
	var missing *github.NotFoundError
	return errors.As(err, &forbidden) || errors.As(err, &missing)
}

// unanswered reports whether GitHub had no usable answer.
func unanswered(err error) bool { return errors.As(err, new(*github.UnavailableError)) }

// note remembers a refusal: the first one delays nothing, and each one in a row after the second doubles the wait.
func (r *refusals) note(repo int64, s activity.Stream, err error, now time.Time) {
	r.add(refusalKey{repo, s}, err, now, false, r.first, r.last)
}

// noteUnavailable remembers that a stream was not answered while others were: the wait is that of a scrape interval
// after the second failure in a row, and doubles.
func (r *refusals) noteUnavailable(repo int64, s activity.Stream, err error, now time.Time) {
	r.add(refusalKey{repo, s}, err, now, true, min(r.interval, lastUnavailable), lastUnavailable)
}

func (r *refusals) add(key refusalKey, err error, now time.Time, unavailable bool, first, last time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was := r.list[key]
	if was.unavailable != unavailable {
		was = refusal{}
	}
	next := refusal{err: err, failures: was.failures + 1, unavailable: unavailable}
	if next.failures > 1 {
		next.wait = max(first, min(last, 2*was.wait))
		next.until = now.Add(next.wait)
	}
	r.list[key] = next
}

// putOff is the reason why the stream is not to be asked for yet; nil when it may be.
func (r *refusals) putOff(repo int64, s activity.Stream, now time.Time) error {
	_, err := r.deferred(repo, s, now)
	return err
}

// deferred is the reason why the stream is not to be asked for yet, and until when; nil when it may be.
func (r *refusals) deferred(repo int64, s activity.Stream, now time.Time) (until time.Time, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.list[refusalKey{repo, s}]
	if now.Before(last.until) {
		return last.until, last.err
	}
	return time.Time{}, nil
}

// isUnavailable reports whether a stream of the repository was not answered when it was asked for last.
func (r *refusals) isUnavailable(repo int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range activity.AllStreams() {
		if r.list[refusalKey{repo, s}].unavailable {
			return true
		}
	}
	return false
}

func (r *refusals) forget(repo int64, s activity.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.list, refusalKey{repo, s})
}
