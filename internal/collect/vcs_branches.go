// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// pushSignal is what the facts of a repository show of its branches. The coverage has it only where a stream was read.
type pushSignal struct {
	// digest is that of the facts, 0 for none.
	digest uint64
	trunk  string
	at     time.Time
}

// loadPushes reads the facts that the last pass has changed; all of them at the beginning of a term.
func (r *vcsRun) loadPushes(ctx context.Context) error {
	var keys []ledger.EntryKey
	for id, repo := range r.cov.Repos {
		known, isKnown := r.pushes[id]
		hasChanged := !isKnown || known.digest != r.collector.facts.repos[id].facts
		if hasChanged && !repo.IsGone() {
			keys = append(keys, ledger.RepoFactsKey(id))
		}
	}
	for chunk := range slices.Chunk(keys, factsChunk) {
		entries, err := r.collector.settings.Store.ReadEntries(ctx, r.collector.settings.Org, chunk)
		if err != nil {
			return &StoreError{err}
		}
		for _, key := range chunk {
			var push pushSignal
			if facts, err := ledger.DecodeRepoFacts(entries[key].Data); err == nil {
				push = pushSignal{digestOf(entries[key].Data), facts.DefaultBranch, facts.PushedAt}
			}
			r.pushes[key.Repo] = push
		}
	}
	return nil
}

// branchSignal returns the signal under which the branches of a repository are read.
func (r *vcsRun) branchSignal(repo *ledger.RepoCoverage) string {
	push := r.pushes[repo.ID]
	if push.digest == 0 {
		push.at = repo.Signals.PushedAt
	}
	signal := fmt.Sprintf("%d %s %s %s", r.settings.MaxRefs, push.trunk, repo.Signals.Head, formatUnix(push.at))
	return r.settled(signal, push.at)
}

// dueBranches returns those of a list whose branches have to be read: of the newest repositories that have as many
// branches as an organization shows. Those that were read longest ago are first, because a call may not come to all.
func (r *vcsRun) dueBranches(ctx context.Context, list []vcsReading) ([]vcsReading, error) {
	oldest := r.oldestShown()
	list = slices.DeleteFunc(list, func(v vcsReading) bool { return v.key.Repo < oldest })
	slices.Reverse(list)
	due, err := r.unread(ctx, list)
	slices.SortStableFunc(due, func(a, b vcsReading) int { return a.observed.Compare(b.observed) })
	return due, err
}

// countBranches records how many branches the ledger has of a repository.
func (r *vcsRun) countBranches(reading *vcsReading) {
	if reading.key.Sub != string(ledger.VCSBranches) {
		return
	}
	if _, stored, err := ledger.DecodeVCSBranches(reading.stored); err == nil {
		r.branches[reading.key.Repo] = len(stored.List)
	}
}

// oldestShown returns the smallest id of the repositories of which branches are shown, as far as their numbers are
// known.
func (r *vcsRun) oldestShown() int64 {
	ids := make([]int64, 0, len(r.branches))
	for id := range r.branches {
		if repo := r.cov.Repos[id]; repo != nil && !repo.IsGone() {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b int64) int { return cmp.Compare(b, a) })
	sum := 0
	for _, id := range ids {
		if sum += r.branches[id]; sum >= r.settings.MaxRefsPerOrg {
			return id
		}
	}
	return 0
}

// readBranches reads the branches of repositories. What the source did not come to stays due.
func (r *vcsRun) readBranches(ctx context.Context, due []vcsReading) error {
	byID := make(map[int64]*vcsReading, len(due))
	requests := make([]github.BranchesRequest, len(due))
	for i := range due {
		byID[due[i].key.Repo], requests[i].Repo = &due[i], due[i].repo
		branch := &requests[i].Repo.Signals.Branch
		*branch = cmp.Or(r.pushes[due[i].key.Repo].trunk, *branch)
		if _, former, err := ledger.DecodeVCSBranches(due[i].stored); err == nil {
			requests[i].Former = former
		}
	}
	var err error
	readCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	onResult := func(got github.BranchesResult) {
		if err != nil {
			return
		}
		if err = r.recordBranches(ctx, byID[got.RepoID], &got); err != nil {
			cancel()
		}
	}
	r.settings.Source.ReadBranches(readCtx, r.collector.settings.Org, requests, r.settings.MaxRefs, onResult)
	if err != nil {
		return err
	}
	return r.flush(ctx)
}

// recordBranches writes the branches of a repository, also when not all of them are current: then without a signal, so
// that the next call goes on. Its error is that of the store.
func (r *vcsRun) recordBranches(ctx context.Context, reading *vcsReading, got *github.BranchesResult) error {
	if got.IsListed {
		r.branches[got.RepoID] = len(got.Branches.List)
		if got.Branches.IsCut {
			r.result.Cut++
		}
		if !got.IsComplete {
			reading.signal = ""
		}
		data := ledger.EncodeVCSBranches(reading.signal, &got.Branches)
		if got.IsComplete {
			return r.record(ctx, ledger.VCSBranches, reading, data, nil)
		}
		if err := r.write(ctx, reading, data); err != nil {
			return err
		}
	}
	if got.Err != nil {
		r.recordFailure(ledger.VCSBranches, reading, got.Err)
	}
	return nil
}
