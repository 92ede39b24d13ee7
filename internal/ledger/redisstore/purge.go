// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// scanBatchSize is the number of fields that one HSCAN command reads, about.
	scanBatchSize = 500
	// maxPurgedFields limits the totals and entries that one script deletes. At least one repository is purged.
	maxPurgedFields = 50_000
)

// purgeSet has the repositories that a pruning deletes, and their fields of other hashes than "cov".
type purgeSet struct {
	repos           []ledger.RepoProgress
	totals, entries []any // fields of the hashes "carried" and "samples" (the entries)
}

// findPurgeable returns the repositories that can be purged: gone, and without an event that is not carried. Readers of
// the log ignore carried events, so that no totals of a purged repository return.
func (p *pruning) findPurgeable(ctx context.Context) (purgeSet, error) {
	var f purgeSet
	cov, err := p.store.Coverage(ctx, p.org)
	if err != nil || len(cov.Purgeable(p.carried, nil)) == 0 {
		return f, err
	}
	live := make(map[int64]bool)
	err = p.scanFields(ctx, p.keys.series, func(field, newest string) {
		repo, ok := parseSeriesRepo(field)
		if at, err := strconv.ParseInt(newest, 10, 64); ok && (err != nil || at >= p.carried.Unix()) {
			live[repo] = true
		}
	})
	if err != nil {
		return f, err
	}
	totals, entries := make(map[int64][]any), make(map[int64][]any)
	err = p.scanFields(ctx, p.keys.carried, func(field, _ string) {
		if repo, ok := parseSeriesRepo(field); ok {
			totals[repo] = append(totals[repo], field)
		}
	})
	if err != nil {
		return f, err
	}
	err = p.scanFields(ctx, p.keys.entries, func(field, _ string) {
		if key, err := parseEntryKey(field); err == nil {
			entries[key.Repo] = append(entries[key.Repo], field)
		}
	})
	for _, repo := range cov.Purgeable(p.carried, live) {
		more := len(totals[repo.ID]) + len(entries[repo.ID])
		if len(f.repos) > 0 && len(f.totals)+len(f.entries)+more > maxPurgedFields {
			break
		}
		f.repos = append(f.repos, repo)
		f.totals, f.entries = append(f.totals, totals[repo.ID]...), append(f.entries, entries[repo.ID]...)
	}
	return f, err
}

// scanFields calls visit with the fields of a hash and their values, with some of them twice when the hash is changed
// concurrently.
func (p *pruning) scanFields(ctx context.Context, key string, visit func(field, value string)) error {
	for cursor := uint64(0); ; {
		fields, next, err := p.store.client.HScan(ctx, key, cursor, "", scanBatchSize).Result()
		if err != nil {
			return fmt.Errorf("redis: prune %s: %w", p.org, err)
		}
		for i := 0; i+1 < len(fields); i += 2 {
			visit(fields[i], fields[i+1])
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// progress returns the change that removes the repositories from the view of followers.
func (f *purgeSet) progress() ledger.Progress {
	var p ledger.Progress
	for i := range f.repos {
		p.Repos = append(p.Repos, ledger.RepoProgress{ID: f.repos[i].ID, Presence: ledger.PresencePurged})
	}
	return p
}

// addTo adds the lists of the prune script's arguments.
func (f *purgeSet) addTo(a *scriptArguments) {
	var gone, coverage []any
	for i := range f.repos {
		id := f.repos[i].ID
		gone = append(gone, goneField(id), encodeTime(f.repos[i].GoneSince))
		coverage = append(coverage, contactField(id), nameField(id), goneField(id), signalsField(id), tipsField(id))
		coverage = append(coverage, streamsField(id))
		for _, stream := range activity.AllStreams() {
			coverage = append(coverage, gapsField(id, stream))
		}
	}
	a.list("gone", gone)
	a.list("coverage", coverage)
	a.list("totals", f.totals)
	a.list("purged_entries", f.entries)
}
