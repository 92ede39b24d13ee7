// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// Pass discovers what changed in the organization and reads it. It writes with the leader's fence. Its error says that
// the organization as a whole could not be read, or that the store rejected a batch; what could not be read of single
// repositories is in PassResult.Failures.
func (c *Collector) Pass(ctx context.Context, fence uint64) (PassResult, error) {
	ctx, span := c.settings.Tracer.Start(ctx, "githubexporter/pass",
		trace.WithAttributes(
			attribute.String("vcs.provider.name", "github"), attribute.String("vcs.owner.name", c.settings.Org),
		))
	defer span.End()
	start := c.settings.Now()
	result, err := c.pass(ctx, fence)
	if errors.Is(err, ledger.ErrReplaced) { // the new ledger's coverage has the gaps to read again
		c.forgetFacts()
		result, err = c.pass(ctx, fence)
	}
	if err != nil {
		c.stocks.unmark()
	}
	result.Duration = c.settings.Now().Sub(start)
	result.Status, result.RetryAt = passStatus(&result, err)
	span.SetAttributes(
		attribute.String("result", string(result.Status)), attribute.Int("repositories", result.Repositories),
		attribute.Int("changed", result.Changed), attribute.Int("events", result.Events),
	)
	if err != nil {
		span.SetStatus(codes.Error, string(result.Status))
	}
	if err != nil && ctx.Err() == nil {
		c.flush(ctx, fence, result.Status)
	}
	return result, err
}

// flush commits the tallies of a pass that failed. If the store rejects them they stay pending.
func (c *Collector) flush(ctx context.Context, fence uint64, status PassStatus) {
	c.tallies.Add(TallyRuns, string(status))
	_, _ = c.commit(ctx, fence, sourceLeader, ledger.Batch{})
}

// pass makes one attempt of Pass: discover, record the repositories, read, advance the edge.
func (c *Collector) pass(ctx context.Context, fence uint64) (PassResult, error) {
	result := PassResult{Start: c.Now()}
	cov, err := c.Coverage(ctx)
	if err != nil {
		return result, err
	}
	if err := c.loadStocks(ctx, &cov); err != nil {
		return result, err
	}
	todo, err := c.discover(ctx, &cov, &result)
	if err != nil {
		return result, err
	}
	todo.basis = cov.Basis
	c.facts.setReleasesDue(todo.readings)
	result.Start, result.Changed = todo.start, len(todo.readings)
	c.setPending(todo.readings)
	defer c.setPending(nil)
	if err := c.recordRepositories(ctx, fence, &todo); err != nil {
		return result, err
	}
	run := newPassRun(c, fence, &todo)
	if err := run.readAll(ctx); err != nil {
		return result, err
	}
	if err := run.readStocks(ctx); err != nil {
		return result, err
	}
	result.Changed -= run.unchanged
	result.Events, result.Failures = run.events, slices.Concat(run.failures, todo.deferred)
	result.Deferred = run.deferred
	missed := todo.missedProgress(run.read, run.observed)
	b := ledger.Batch{
		Basis: todo.basis, Progress: ledger.Progress{Edge: todo.start, Repos: missed},
		Entries: c.stocks.missed(missed),
	}
	if err := c.advanceEdge(ctx, fence, &result, b); err != nil {
		return result, err
	}
	c.facts.edge = todo.start
	return result, c.readCounts(ctx, fence, todo.basis, todo.start)
}

// forgetFacts makes the next pass read the facts of the ledger again, and write the newest events again.
func (c *Collector) forgetFacts() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.facts, c.lastEvents = knownFacts{}, make(lastEvents)
}

// advanceEdge commits the edge of the pass with the gaps that it leaves. The same commit counts the pass.
func (c *Collector) advanceEdge(ctx context.Context, fence uint64, result *PassResult, b ledger.Batch) error {
	status, _ := passStatus(result, nil)
	counted := ledger.Tally{TallyKey: ledger.TallyKey{Name: TallyRuns, Labels: [2]string{string(status)}}, Add: 1}
	b.Tallies = []ledger.Tally{counted}
	if _, err := c.commit(ctx, fence, sourceLeader, b); err != nil {
		return fmt.Errorf("commit the pass: %w", err)
	}
	c.stocksAgree(b.Progress.Edge)
	return nil
}

// recordRepositories commits the changes of repositories, and of their facts, before any of their events.
func (c *Collector) recordRepositories(ctx context.Context, fence uint64, todo *plan) error {
	if len(todo.changes) == 0 && len(todo.facts) == 0 {
		return nil
	}
	_, err := c.commit(ctx, fence, sourceLeader, ledger.Batch{
		Basis: todo.basis, Progress: ledger.Progress{Repos: todo.changes}, Entries: todo.facts,
	})
	if err != nil {
		return fmt.Errorf("commit the repositories: %w", err)
	}
	c.facts.recordFacts(todo.facts)
	return nil
}
