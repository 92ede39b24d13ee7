// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// maxCommitAttempts limits the attempts of one commit. An attempt fails when another writer was faster, when the grant
// of series is too small, or when Redis has lost or damaged keys.
const maxCommitAttempts = 32

// errContended is the error of a commit whose attempts have all failed, as a rule because other writers were faster.
var errContended = errors.New("redis: other writers changed the ledger during every attempt")

// Commit implements ledger.Store. It takes one round trip, and further ones for facts that are not in the cache, for a
// batch that sweeps, and for a larger grant of series.
func (s *Store) Commit(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error) {
	mode := seriesUnlimited
	if s.settings.MaxSeries > 0 {
		mode = seriesReport
	}
	var grant seriesGrant
	for range maxCommitAttempts {
		facts, err := s.factsFor(ctx, &b)
		if err != nil {
			return ledger.Receipt{}, err
		}
		if b.Basis != "" && b.Basis != facts.basis {
			return ledger.Receipt{}, fmt.Errorf("redis: commit to %s: %w", b.Org, ledger.ErrReplaced)
		}
		if b.Basis == "" {
			facts.wrote = "" // it depends on no earlier write
		}
		p, err := newCommitPlan(fence, &b, &facts)
		if err != nil {
			return ledger.Receipt{}, err
		}
		if err := s.planSweep(ctx, fence, p); err != nil {
			return ledger.Receipt{}, err
		}
		keys := s.keys(b.Org)
		result, err := s.runCommit(ctx, b.Org, p.arguments(&keys, fence, &facts, mode, grant))
		if err != nil {
			return ledger.Receipt{}, err
		}
		switch result.verdict {
		case verdictOK:
			if b.Basis == "" {
				result.text = ""
			}
			s.cacheCommit(b.Org, p.epochAfter(&facts), result.text, p.newRepos)
			return p.receipt(result.numbers[0], result.numbers[1]), nil
		case verdictFenced:
			return ledger.Receipt{}, ledger.ErrFenced
		case verdictRoom:
			if grant, mode, err = s.requestGrant(ctx, b.Org, result); err != nil {
				return ledger.Receipt{}, err
			}
		case verdictDamaged:
			s.resetFacts(b.Org)
			s.settings.OnDamaged(b.Org)
		case verdictLost:
			s.recordLoss(b.Org, facts.wrote)
		default: // verdictStale
			s.invalidate(b.Org)
		}
	}
	return ledger.Receipt{}, errContended
}

// The verdicts of the commit script: see the table at its head.
const (
	verdictOK      = "OK"
	verdictFenced  = "FENCED"
	verdictStale   = "STALE"
	verdictRoom    = "ROOM"
	verdictDamaged = "DAMAGED"
	verdictLost    = "LOST"
)

// commitResult is the reply of the commit script.
type commitResult struct {
	verdict string   // verdictOK and others
	text    string   // of OK: the log's last entry that this process wrote; of ROOM: the grant
	numbers [2]int64 // of OK: recorded, folded; of ROOM: the second is the number of series that are needed
}

// runCommit runs the commit script.
func (s *Store) runCommit(ctx context.Context, org string, a *scriptArguments) (commitResult, error) {
	values, err := commitScript.Run(ctx, s.scripter, a.keys, a.values...).Slice()
	if err != nil {
		return commitResult{}, fmt.Errorf("redis: commit to %s: %w", org, err)
	}
	var r commitResult
	if len(values) > 0 {
		r.verdict = replyString(values[0])
	}
	for i, value := range values[1:] {
		if n, ok := value.(int64); ok && i < len(r.numbers) {
			r.numbers[i] = n
		} else {
			r.text = replyString(value)
		}
	}
	return r, nil
}
