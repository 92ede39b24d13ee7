// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"context"
	"sync"
)

// callbacks runs callbacks in the terms of a backend, for contrib's SetCallBackFuncs. It campaigns from the first
// registration on.
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

// callback is what one component has registered.
type callback struct {
	start func(context.Context)
	stop  func()
}

// callbackTerm is a term with the callbacks that were started in it.
type callbackTerm struct {
	ctx     context.Context //nolint:containedctx // of the term, for later registrations
	serving sync.WaitGroup
}

// newCallbacks returns callbacks that run in the terms of leader.
func newCallbacks(leader backend) *callbacks {
	ctx, cancel := context.WithCancel(context.Background())
	return &callbacks{leader: leader, ctx: ctx, cancel: cancel}
}

// register adds a callback. It starts it at once when this replica leads, and does nothing after stop.
func (c *callbacks) register(start func(context.Context), stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return
	}
	cb := callback{start, stop}
	c.registered = append(c.registered, cb)
	if len(c.registered) == 1 {
		c.campaigning.Go(func() { _ = c.leader.Lead(c.ctx, "", c.serveTerm) }) // ends with the extension
	}
	if c.term != nil {
		c.term.serve(cb)
	}
}

// serve starts a callback, and stops it when the term ends.
func (t *callbackTerm) serve(cb callback) {
	t.serving.Go(func() {
		cb.start(t.ctx)
		<-t.ctx.Done()
		cb.stop()
	})
}

// serveTerm is the work of a term: it returns when all callbacks were stopped.
func (c *callbacks) serveTerm(ctx context.Context, _ uint64) error {
	term := &callbackTerm{ctx: ctx}
	c.mu.Lock()
	c.term = term
	for _, cb := range c.registered {
		term.serve(cb)
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.term = nil
	c.mu.Unlock()
	term.serving.Wait()
	return ctx.Err()
}

// stop ends the campaign, and waits until all callbacks were stopped.
func (c *callbacks) stop() {
	c.mu.Lock()
	c.stopped = true
	c.mu.Unlock()
	c.cancel()
	c.campaigning.Wait()
}
