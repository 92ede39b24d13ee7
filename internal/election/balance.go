// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package election

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Roster exchanges how many leases each replica holds, so that leases are balanced over the replicas.
type Roster interface {
	// Announce stores how many leases this replica holds and returns the numbers of the other live replicas. A replica
	// that has not announced for a while is not live any more.
	Announce(ctx context.Context, held int) (others []int, err error)
}

// balancer balances leases over the replicas: a replica that holds more waits longer before it acquires one more, and
// one that holds at least two more than another yields one. The zero value with a period balances nothing.
type balancer struct {
	roster Roster
	period time.Duration

	mu        sync.Mutex
	terms     []*heldTerm // the terms of this replica, the newest last
	campaigns int         // the running calls of Lead
	// announcedAt is when this replica announced last, yieldedAt when it yielded last.
	announcedAt time.Time
	yieldedAt   time.Time
}

// heldTerm is a term of this replica. yield ends it.
type heldTerm struct{ yield func() }

// addCampaign counts a call of Lead until removeCampaign.
func (b *balancer) addCampaign() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.campaigns++
}

// removeCampaign ends the count of addCampaign.
func (b *balancer) removeCampaign() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.campaigns--
}

// addTerm counts a term until remove is called. yield ends the term.
func (b *balancer) addTerm(yield func()) (remove func()) {
	term := &heldTerm{yield}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.terms = append(b.terms, term)
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.terms = slices.DeleteFunc(b.terms, func(held *heldTerm) bool { return held == term })
	}
}

// acquireDelay returns how much longer this replica waits before it tries to acquire one more lease: at most half a
// retry period.
func (b *balancer) acquireDelay() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.roster == nil || b.campaigns <= 1 {
		return 0
	}
	return min(time.Duration(len(b.terms))*b.period/8, b.period/2)
}

// rebalance announces what this replica holds, at most twice a period, and yields the newest lease when another replica
// holds at least two fewer. It yields at most one in four periods, in which another replica acquires that one.
func (b *balancer) rebalance(ctx context.Context) {
	held, due := b.announceDue()
	if !due {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, b.period)
	defer cancel()
	others, err := b.roster.Announce(ctx, held)
	if err != nil || len(others) == 0 || held <= slices.Min(others)+1 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.terms); n > 0 && time.Since(b.yieldedAt) > 4*b.period {
		b.yieldedAt = time.Now()
		b.terms[n-1].yield()
	}
}

// announceDue reports whether it is time to announce, and returns the number of held leases.
func (b *balancer) announceDue() (held int, due bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.roster == nil || time.Since(b.announcedAt) < b.period/2 {
		return 0, false
	}
	b.announcedAt = time.Now()
	return len(b.terms), true
}
