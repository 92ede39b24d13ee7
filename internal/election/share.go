package election

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Roster is where replicas say how many leases they hold, so that leases are spread evenly.
type Roster interface {
	// Announce says how many leases this replica holds and gives the numbers of the other replicas that are there.
	// One that has not announced for some time is not there any more.
	Announce(ctx context.Context, held int) (others []int, err error)
}

// share spreads leases over the replicas: who holds fewer is quicker to take one, and who holds at least two more than
// another gives one up.
type share struct {
	roster Roster
	period time.Duration

	mu     sync.Mutex
	terms  []*holding // in the order in which they were taken
	leads  int        // calls of Lead
	looked time.Time
	gave   time.Time
}

type holding struct{ yield func() }

func (s *share) join() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leads++
}

func (s *share) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leads--
}

// hold counts a term until what it returns is called. yield gives the term up.
func (s *share) hold(yield func()) (withdraw func()) {
	one := &holding{yield}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terms = append(s.terms, one)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.terms = slices.DeleteFunc(s.terms, func(h *holding) bool { return h == one })
	}
}

// handicap is how much longer a replica waits before it tries to take one more lease: at most half a retry period.
func (s *share) handicap() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roster == nil || s.leads <= 1 {
		return 0
	}
	return min(time.Duration(len(s.terms))*s.period/8, s.period/2)
}

// look announces what this replica holds, at most once a period, and gives up the newest lease when another replica holds
// at least two fewer. What it gave up is taken before it looks again.
func (s *share) look(ctx context.Context) {
	held, due := s.due()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.period)
	defer cancel()
	others, err := s.roster.Announce(ctx, held)
	if err != nil || len(others) == 0 || held <= slices.Min(others)+1 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.terms); n > 0 && time.Since(s.gave) > 4*s.period {
		s.gave = time.Now()
		s.terms[n-1].yield()
	}
}

func (s *share) due() (held int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roster == nil || time.Since(s.looked) < s.period/2 {
		return 0, false
	}
	s.looked = time.Now()
	return len(s.terms), true
}
