package collect

import (
	"errors"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// What is forbidden or not there is asked for again, but ever more rarely: a repository that a credential may not read
// would otherwise cost requests in every pass for ever.
const (
	firstPutOff = 15 * time.Minute
	lastPutOff  = 6 * time.Hour
)

// refusals remembers which streams of which repositories could not be read, and until when to leave them alone.
type refusals struct {
	first, last time.Duration

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
}

func newRefusals(first, last time.Duration) *refusals {
	return &refusals{first: first, last: last, list: make(map[refusalKey]refusal)}
}

// refused reports whether GitHub will say the same if it is asked again at once.
func refused(err error) bool {
	var forbidden *github.ForbiddenError
	var missing *github.NotFoundError
	return errors.As(err, &forbidden) || errors.As(err, &missing)
}

// note remembers a failure: each one in a row doubles the wait.
func (r *refusals) note(repo int64, s activity.Stream, err error, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := refusalKey{repo, s}
	wait := max(r.first, min(r.last, 2*r.list[key].wait))
	r.list[key] = refusal{until: now.Add(wait), wait: wait, err: err}
}

// putOff is the reason why the stream is not to be asked for yet; nil when it may be.
func (r *refusals) putOff(repo int64, s activity.Stream, now time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := r.list[refusalKey{repo, s}]
	if now.Before(last.until) {
		return last.err
	}
	return nil
}

func (r *refusals) forget(repo int64, s activity.Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.list, refusalKey{repo, s})
}
