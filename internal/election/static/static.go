// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package static decides by configuration which replica leads: it is the Leaser of a single replica, or of replicas of
// which a person appoints one.
package static

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
)

// Leaser always grants the lease to a leader, and never to a follower.
type Leaser struct {
	leads bool

	mu    sync.Mutex
	fence uint64
}

var _ election.Leaser = (*Leaser)(nil)

// New returns the Leaser of a leader or of a follower.
func New(leads bool) *Leaser { return &Leaser{leads: leads} }

// Acquire implements election.Leaser. The fence is made of the time, so that a leader that is appointed later has a
// higher one, and of a random part: of two leaders that start in the same second the store accepts one.
func (l *Leaser) Acquire(_ context.Context, name string) (election.Term, error) {
	if !l.leads {
		return election.Term{}, election.ErrHeld
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fence = max(l.fence+1, election.NewFence(time.Now()))
	return election.Term{Name: name, Fence: l.fence, Token: strconv.FormatUint(l.fence, 10)}, nil
}

// Renew implements election.Leaser.
func (l *Leaser) Renew(context.Context, election.Term) error { return nil }

// Release implements election.Leaser.
func (l *Leaser) Release(context.Context, election.Term) error { return nil }
