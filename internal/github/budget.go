package github

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// window is the length of GitHub's primary limits
	// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api).
	window = time.Hour
	// longestWindow is a window with what clocks differ by. A stored reset that is further away was told before the clock was set back,
	// or to somebody whose clock is ahead of ours, and says nothing.
	longestWindow = window + time.Minute
	// furthestReset bounds what is believed of the reset of a primary limit, clocks that differ allowed for.
	furthestReset = 2 * window
	// mostGranted bounds what is believed of a limit.
	mostGranted = 1 << 40
	// MaxLimitDuration bounds what is believed of a limit's end: no honest one is further away.
	MaxLimitDuration = 25 * time.Hour
	// MaxBackoff bounds the growth of waits that GitHub does not tell.
	MaxBackoff = time.Hour
	// MaxGitHubComLimit is the largest limit of github.com. What grants more is somebody's own server, where the limits of a minute are
	// others, or none.
	MaxGitHubComLimit = 15_000
)

// Quota is what an answer tells of a primary limit. Without a reset it tells nothing, as Enterprise Server by default.
type Quota struct {
	Remaining, Limit int
	Reset            time.Time
}

// believed is the quota, or none when no honest answer tells it: a reset in years would close the limit for good.
func (q Quota) believed(now time.Time) Quota {
	if q.Remaining < 0 || q.Limit < 0 || q.Limit > mostGranted || q.Reset.After(now.Add(furthestReset)) || q.Reset.Before(now.Add(-window)) {
		return Quota{}
	}
	return q
}

// BudgetState is what is known of the limits of a credential.
type BudgetState struct {
	// Quotas are what answers told last.
	Quotas map[Resource]Quota
	// Primary are the limits for which requests of a resource are in vain, Secondary is the one for which all are.
	Primary   map[Resource]Limit
	Secondary Limit
	// InFlight is how many requests are on their way.
	InFlight int
	// SlotsFull says that there was no place, Paced, unless it is zero, when there is one again in the points of a minute.
	SlotsFull  bool
	PacedUntil time.Time
}

// Limit is one that was met: its end, and when that was learned, zero where nobody knows.
type Limit struct{ End, MetAt time.Time }

// lasts reports whether the limit is one that is not over. One that ends later than any honest one, or in much more time than it had
// when it was met, is none: the clock was set back, or it is another's.
func (l Limit) lasts(now time.Time) bool {
	left := l.End.Sub(now)
	if left <= 0 || left >= MaxLimitDuration {
		return false
	}
	return l.MetAt.IsZero() || left <= 2*l.End.Sub(l.MetAt)+time.Minute
}

// or is the one that counts of two limits: the one with the later end, and the other unless this one lasts.
func (l Limit) or(other Limit, now time.Time) Limit {
	if l.lasts(now) && !other.End.After(l.End) {
		return l
	}
	return other
}

// Reservation is about to be asked. All times of a budget are by GitHub's clock.
type Reservation struct {
	// ID names it among all that are on their way.
	ID       string
	Resource Resource
	Now      time.Time
	// UnsyncedClock says that Now is by the asker's own clock, because he has had no answer yet. He goes by it, but what is over by it is not
	// forgotten, because others may know better; places only where none is left otherwise.
	UnsyncedClock bool
	// ExpiresAt is when its place is free again even if nobody says so.
	ExpiresAt time.Time
	// MaxInFlight is how many requests may be on their way together.
	MaxInFlight int
	// Interval is the time that one request stands for of a minute's points, Burst how much of it may be used at once. They count
	// once a quota is known that github.com could have.
	Interval, Burst time.Duration
}

// Settlement is how a question ended.
type Settlement struct {
	ID       string
	Resource Resource
	Now      time.Time
	// Quota is what the answer told; zero when there was none, or it told nothing.
	Quota Quota
	// Success says that the answer was of use: waits that grow begin anew.
	Success bool
	// Limited says that a limit was met, Secondary that it was a secondary one. Until is its end, zero when the answer did not
	// tell: then there is a wait that doubles from First, once for all requests that were on their way together.
	Limited, Secondary bool
	LimitEnd           time.Time
	InitialBackoff     time.Duration
}

// Budget is what everybody who uses one credential knows of its limits together. It never sleeps. It is safe for concurrent
// use.
type Budget interface {
	// Reserve gives what is known, and takes a place unless a limit is closed, no place is free or the minute's points are used.
	Reserve(ctx context.Context, q Reservation) (BudgetState, error)
	// Settle gives a place back and takes what was learned. It gives the end of the limit that was met.
	Settle(ctx context.Context, o Settlement) (until time.Time, err error)
	// Refresh reads what other users of the credential have learned. It takes no place.
	Refresh(ctx context.Context, now time.Time) error
	// Quotas returns the primary limits that are known and not over at a time. It does no I/O.
	Quotas(now time.Time) map[Resource]Quota
}

// BlockedUntil is when requests of a resource are of use again, and whether it is a secondary limit that says so.
func (k *BudgetState) BlockedUntil(resource Resource, now time.Time) (until time.Time, secondary bool) {
	if limit := k.Primary[resource]; limit.lasts(now) {
		until = limit.End
	}
	if k.Secondary.lasts(now) && k.Secondary.End.After(until) {
		return k.Secondary.End, true
	}
	return until, false
}

// IsReserved reports whether a place was taken.
func (k *BudgetState) IsReserved(resource Resource, now time.Time) bool {
	until, _ := k.BlockedUntil(resource, now)
	return until.IsZero() && !k.SlotsFull && k.PacedUntil.IsZero()
}

// IsPaced reports whether the points of a minute count: where a limit of github.com is known.
func (q *Quota) IsPaced(now time.Time) bool {
	return now.Before(q.Reset) && q.Limit > 0 && q.Limit <= MaxGitHubComLimit
}

// dearest is what one request costs at most, one point where it says nothing. Those that are on their way may all be that dear.
var dearest = map[Resource]int{ResourceGraphQL: 2}

// share is how much of a limit is left to others, and how much may be used at once: the rest is spread over the time to the
// reset.
type share struct{ kept, burst int }

// foreground leaves the floor, and a fifth of a limit that is no larger than it; half of the limit may be used at once.
func (s *RateLimitSettings) foreground(q *Quota) share {
	kept := s.MinRemaining
	if q.Limit > 0 && kept >= q.Limit {
		kept = q.Limit / 5
	}
	return share{kept: kept, burst: q.Limit / 2}
}

// background leaves a quarter to the foreground; a tenth may be used at once.
func background(q *Quota) share { return share{kept: q.Limit / 4, burst: q.Limit / 10} }

// allowed is when a request may be sent that leaves to others what is theirs; zero when it is now, and when the quota is not known.
// due is what it costs itself, and what those on their way cost at most.
func (s *RateLimitSettings) allowed(q *Quota, due int, inBackground bool, now time.Time) time.Time {
	if !now.Before(q.Reset) || q.Reset.After(now.Add(longestWindow)) {
		return time.Time{}
	}
	of := s.foreground(q)
	if inBackground {
		if b := background(q); b.kept > of.kept {
			of = b
		}
	}
	left := q.Remaining - due
	if left < of.kept {
		return q.Reset.Add(s.ResetBuffer)
	}
	if q.Limit <= of.kept {
		return time.Time{}
	}
	// The line falls from the whole limit to what is kept; who is above it less a burst may go on.
	lasts := time.Duration(float64(window) * float64(left-of.kept+of.burst) / float64(q.Limit-of.kept))
	if at := q.Reset.Add(-lasts); at.After(now) {
		return at
	}
	return time.Time{}
}

// refused is the limit that forbids a request, nil when none does.
func (s *RateLimitSettings) refused(known *BudgetState, resource Resource, price int, inBackground bool, now time.Time) *LimitError {
	if until, secondary := known.BlockedUntil(resource, now); !until.IsZero() {
		return &LimitError{Resource: resource, RetryAt: until, Secondary: secondary}
	}
	q := known.Quotas[resource]
	due := known.InFlight*max(1, dearest[resource], price) + price
	if at := s.allowed(&q, due, inBackground, now); !at.IsZero() {
		return &LimitError{Resource: resource, RetryAt: at, Deferred: true}
	}
	return nil
}

// LocalBudget is the budget of the users in this process. The zero value is ready.
type LocalBudget struct {
	mu        sync.Mutex
	quotas    map[Resource]Quota
	closed    map[Resource]Limit
	paced     map[Resource]time.Time
	flight    map[string]time.Time
	secondary Limit
	backoff   time.Duration // the next wait that is not told, 0 for the first
	waiting   time.Time     // the end of the last such wait
}

var _ Budget = (*LocalBudget)(nil)

// Reserve implements Budget.
func (l *LocalBudget) Reserve(_ context.Context, q Reservation) (BudgetState, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prepare()
	if !q.UnsyncedClock {
		l.forget(q.Now)
	}
	if !q.UnsyncedClock || len(l.flight) >= q.MaxInFlight {
		maps.DeleteFunc(l.flight, func(_ string, until time.Time) bool { return until.Before(q.Now) })
	}
	known := BudgetState{Quotas: maps.Clone(l.quotas), Primary: maps.Clone(l.closed), Secondary: l.secondary, InFlight: len(l.flight)}
	if until, _ := known.BlockedUntil(q.Resource, q.Now); !until.IsZero() {
		return known, nil
	}
	if known.SlotsFull = known.InFlight >= q.MaxInFlight; known.SlotsFull {
		return known, nil
	}
	if quota := l.quotas[q.Resource]; quota.IsPaced(q.Now) {
		next := later(l.paced[q.Resource], q.Now)
		if next.After(q.Now.Add(q.Burst + q.Interval + time.Minute)) { // users' times differ a little
			next = q.Now // the clock was set back
		}
		if at := next.Add(-q.Burst); at.After(q.Now) {
			known.PacedUntil = at
			return known, nil
		}
		l.paced[q.Resource] = next.Add(q.Interval)
	}
	l.flight[q.ID] = q.ExpiresAt
	return known, nil
}

// forget takes out limits that are over, so that they do not come back when the clock is set back.
func (l *LocalBudget) forget(now time.Time) {
	over := func(limit Limit) bool { return !limit.End.After(now) }
	maps.DeleteFunc(l.closed, func(_ Resource, limit Limit) bool { return over(limit) })
	if over(l.secondary) {
		l.secondary = Limit{}
	}
}

func (l *LocalBudget) prepare() {
	if l.quotas == nil {
		l.quotas, l.closed, l.paced = make(map[Resource]Quota), make(map[Resource]Limit), make(map[Resource]time.Time)
		l.flight = make(map[string]time.Time)
	}
}

// Settle implements Budget.
func (l *LocalBudget) Settle(_ context.Context, o Settlement) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prepare()
	delete(l.flight, o.ID)
	l.told(&o)
	if o.Success && !o.Now.Before(l.untold(o.Now)) {
		l.backoff = 0
	}
	if !o.Limited {
		return time.Time{}, nil
	}
	until := o.LimitEnd
	if until.IsZero() {
		until = l.wait(&o)
	}
	met := Limit{End: until, MetAt: o.Now}
	if o.Secondary {
		l.secondary = l.secondary.or(met, o.Now)
	} else {
		l.closed[o.Resource] = l.closed[o.Resource].or(met, o.Now)
	}
	return until, nil
}

// Refresh implements Budget: all users are in this process.
func (*LocalBudget) Refresh(context.Context, time.Time) error { return nil }

// Quotas implements Budget.
func (l *LocalBudget) Quotas(now time.Time) map[Resource]Quota {
	l.mu.Lock()
	defer l.mu.Unlock()
	quotas := make(map[Resource]Quota, len(l.quotas))
	for resource, q := range l.quotas {
		if q.Reset.After(now) && !q.Reset.After(now.Add(longestWindow)) {
			quotas[resource] = q
		}
	}
	return quotas
}

// Merge takes what others know of the same limits, as if it had been told here.
func (l *LocalBudget) Merge(known *BudgetState, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.prepare()
	for resource, limit := range known.Primary {
		if limit.lasts(now) {
			l.closed[resource] = l.closed[resource].or(limit, now)
		}
	}
	if known.Secondary.lasts(now) {
		l.secondary = l.secondary.or(known.Secondary, now)
	}
	for resource, q := range known.Quotas {
		if !q.Reset.After(now.Add(longestWindow)) {
			l.told(&Settlement{Resource: resource, Now: now, Quota: q.believed(now)})
		}
	}
}

// told keeps the newest: answers to requests that were on their way together come in any order.
func (l *LocalBudget) told(o *Settlement) {
	if o.Quota.Reset.IsZero() {
		return
	}
	before := l.quotas[o.Resource]
	if before.Reset.After(o.Now.Add(longestWindow)) {
		before = Quota{} // the clock was set back
	}
	if o.Quota.Reset.After(before.Reset) || (o.Quota.Reset.Equal(before.Reset) && o.Quota.Remaining < before.Remaining) {
		l.quotas[o.Resource] = o.Quota
	}
}

// wait is the end of a wait that GitHub did not tell
// (https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit).
func (l *LocalBudget) wait(o *Settlement) time.Time {
	if before := l.untold(o.Now); o.Now.Before(before) {
		return before
	}
	wait := l.backoff
	if wait == 0 {
		wait = max(time.Second, o.InitialBackoff)
	}
	l.backoff, l.waiting = min(2*wait, MaxBackoff), o.Now.Add(wait)
	return l.waiting
}

// untold is the end of the last wait that was not told; zero when it is so far away that the clock was set back meanwhile.
func (l *LocalBudget) untold(now time.Time) time.Time {
	if l.waiting.After(now.Add(MaxBackoff)) {
		return time.Time{}
	}
	return l.waiting
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func quotaOf(header http.Header) Quota {
	reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64)
	remaining, err2 := strconv.Atoi(header.Get("X-Ratelimit-Remaining"))
	if err != nil || err2 != nil {
		return Quota{}
	}
	limit, _ := strconv.Atoi(header.Get("X-Ratelimit-Limit")) // 0 when it is missing
	return Quota{Remaining: remaining, Limit: limit, Reset: time.Unix(reset, 0).UTC()}
}

// toldEnd is the end of a limit that was met, by its answer: retry-after, else the reset when nothing remains, else zero.
func (s *RateLimitSettings) toldEnd(header http.Header, q Quota, primary bool, now time.Time) time.Time {
	if told := retryAfter(header.Get("Retry-After"), now); told > 0 {
		return now.Add(min(told, 24*time.Hour))
	}
	if primary && q.Reset.After(now) {
		return q.Reset.Add(s.ResetBuffer)
	}
	return time.Time{}
}

// retryAfter is a wait in seconds or up to a date (https://www.rfc-editor.org/rfc/rfc9110#field.retry-after), 0 for none.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(min(max(seconds, 0), 86400)) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return at.Sub(now)
}
