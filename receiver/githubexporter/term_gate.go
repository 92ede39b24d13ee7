// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// termGate lets work of a term wait until the view has all writes of a former leader.
type termGate struct {
	view *ledgerview.View
	// passed has the start of a pass that read the organization; viewChanged has a token when the view has changed.
	passed      chan time.Time
	viewChanged wakeup.Signal
}

func newTermGate(view *ledgerview.View) *termGate {
	return &termGate{view: view, passed: make(chan time.Time, 1), viewChanged: wakeup.NewSignal()}
}

// signalPass signals the end of a pass that read the organization, by its start. It does not block.
func (g *termGate) signalPass(start time.Time) {
	select {
	case g.passed <- start:
	default:
	}
}

// signalViewChange signals a change of the view. It does not block.
func (g *termGate) signalViewChange() { g.viewChanged.Notify() }

// discardPasses drops the signal of a pass of a former term.
func (g *termGate) discardPasses() {
	select {
	case <-g.passed:
	default:
	}
}

// awaitFirstPass waits for the first pass of the term, and until the view has it: by then the view has all writes of a
// former leader. It reports false when ctx ended first.
func (g *termGate) awaitFirstPass(ctx context.Context) bool {
	var start time.Time
	select {
	case <-ctx.Done():
		return false
	case start = <-g.passed:
	}
	for !g.view.IsCaughtUp() || g.view.Edge().Before(start) {
		select {
		case <-ctx.Done():
			return false
		case <-g.viewChanged:
		}
	}
	return true
}
