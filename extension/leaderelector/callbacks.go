// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"context"
	"sync"
)

// callbacks implements contrib's interface. It campaigns from the first registration on.
type callbacks struct {
	leader backend
	ctx    context.Context //nolint:containedctx // of the extension's life: contrib's interface has none
	cancel context.CancelFunc

	mu          sync.Mutex
	registered  []callback
	term        *callbackTerm // nil while this replica does not lead
	stopped     bool
	campaigning sync.WaitGroup
}

type callback struct {
	start func(context.Context)
	stop  func()
}

// callbackTerm is a term with the callbacks that were started in it.
type callbackTerm struct {
	ctx     context.Context //nolint:containedctx // of the term, for later registrations
	serving sync.WaitGroup
}

func newCallbacks(leader backend) *callbacks {
	ctx, cancel := context.WithCancel(context.Background())
	return &callbacks{leader: leader, ctx: ctx, cancel: cancel}
}

func (c *callbacks) register(start func(context.Context), stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	one := callback{start, stop}
	c.registered = append(c.registered, one)
	if len(c.registered) == 1 {
		c.campaigning.Go(func() { _ = c.leader.Lead(c.ctx, "", c.serveTerm) }) // ends with the extension
	}
	if c.term != nil {
		c.term.serve(one)
	}
}

// serve starts one callback, and stops it when the term ends.
func (t *callbackTerm) serve(one callback) {
	t.serving.Go(func() {
		one.start(t.ctx)
		<-t.ctx.Done()
		one.stop()
	})
}

// serveTerm is the work of a term: it returns when all callbacks were stopped.
func (c *callbacks) serveTerm(ctx context.Context, _ uint64) error {
	term := &callbackTerm{ctx: ctx}
	c.mu.Lock()
	c.term = term
	for _, one := range c.registered {
		term.serve(one)
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.term = nil
	c.mu.Unlock()
	term.serving.Wait()
	return ctx.Err()
}

func (c *callbacks) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.cancel()
	c.campaigning.Wait()
}
