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

// balancer spreads leases over the replicas: who holds fewer is quicker to take one, and who holds at least two more
// than another gives one up.
type balancer struct {
	roster Roster
	period time.Duration

	mu          sync.Mutex
	terms       []*heldTerm // in the order in which they were taken
	campaigns   int         // calls of Lead
	announcedAt time.Time
	yieldedAt   time.Time
}

type heldTerm struct{ yield func() }

func (s *balancer) addCampaign() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.campaigns++
}

func (s *balancer) removeCampaign() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.campaigns--
}

// addTerm counts a term until what it returns is called. yield gives the term up.
func (s *balancer) addTerm(yield func()) (withdraw func()) {
	one := &heldTerm{yield}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terms = append(s.terms, one)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.terms = slices.DeleteFunc(s.terms, func(h *heldTerm) bool { return h == one })
	}
}

// acquireDelay is how much longer a replica waits before it tries to take one more lease: at most half a retry period.
func (s *balancer) acquireDelay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roster == nil || s.campaigns <= 1 {
		return 0
	}
	return min(time.Duration(len(s.terms))*s.period/8, s.period/2)
}

// rebalance announces what this replica holds, at most once a period, and gives up the newest lease when another
// replica holds at least two fewer. What it gave up is taken before it looks again.
func (s *balancer) rebalance(ctx context.Context) {
	held, due := s.announceDue()
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
	if n := len(s.terms); n > 0 && time.Since(s.yieldedAt) > 4*s.period {
		s.yieldedAt = time.Now()
		s.terms[n-1].yield()
	}
}

func (s *balancer) announceDue() (held int, due bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.roster == nil || time.Since(s.announcedAt) < s.period/2 {
		return 0, false
	}
	s.announcedAt = time.Now()
	return len(s.terms), true
}
