// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// pageCommitter commits the pages of a reading. It buffers one page, so that the last one and the progress are one
// commit. Its first error is kept in err, and nothing is committed afterwards.
type pageCommitter struct {
	collector *Collector
	fence     uint64
	source    string
	repo      int64
	basis     string // that of the coverage that the reading was planned from
	// tips are the heads from which the commits of the pages were listed.
	tips []string
	// buffered is the page that is not committed yet, recorded how many events of the others were new.
	buffered []activity.Event
	recorded int
	err      error
}

// add buffers a page and commits the one before.
func (p *pageCommitter) add(ctx context.Context, events []activity.Event) error {
	if len(p.buffered) > 0 {
		p.commit(ctx, ledger.Batch{Events: p.buffered, Progress: p.progress()})
		p.buffered = nil
	}
	p.buffered = append(p.buffered, events...)
	return p.err
}

// finish commits the buffered page with the progress of the reading.
func (p *pageCommitter) finish(ctx context.Context, b ledger.Batch) {
	b.Events = p.buffered
	for i := range b.Progress.Repos {
		b.Progress.Repos[i].Tips = p.tips
	}
	p.commit(ctx, b)
}

// withHeads returns the request with a callback that records the heads before their commits are emitted.
func (p *pageCommitter) withHeads(request github.ReadRequest) github.ReadRequest {
	request.OnHead = func(head string) {
		if !slices.Contains(p.tips, head) {
			p.tips = append(p.tips, head)
		}
	}
	return request
}

// progress returns the heads that the commits of a page were listed from; it is committed with them.
func (p *pageCommitter) progress() ledger.Progress {
	if len(p.tips) == 0 {
		return ledger.Progress{}
	}
	return ledger.Progress{Repos: []ledger.RepoProgress{
		{ID: p.repo, TipChanges: ledger.TipChanges{Tips: p.tips}},
	}}
}

// commit commits a batch with the basis of the reading, unless a former commit has failed.
func (p *pageCommitter) commit(ctx context.Context, b ledger.Batch) {
	if p.err != nil {
		return
	}
	b.Basis = p.basis
	receipt, err := p.collector.commit(ctx, p.fence, p.source, b)
	if err != nil {
		p.err = fmt.Errorf("commit a reading: %w", err)
		return
	}
	p.recorded += receipt.Recorded
}
