package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// scanBatchSize is how many fields one step of a scan of a hash looks at.
	scanBatchSize = 500
	// maxPurgedFields bounds the totals and samples that one script takes out; the first repository goes in any case.
	maxPurgedFields = 50_000
)

// purgeSet is what a pruning forgets of repositories that left.
type purgeSet struct {
	repos           []ledger.RepoProgress
	totals, samples []any // fields
}

// findPurgeable is what can be forgotten. All events of these repositories have been carried: whoever reads the log leaves them out,
// and nobody carries their totals again.
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
	totals, samples := make(map[int64][]any), make(map[int64][]any)
	err = p.scanFields(ctx, p.keys.carried, func(field, _ string) {
		if repo, ok := parseSeriesRepo(field); ok {
			totals[repo] = append(totals[repo], field)
		}
	})
	if err != nil {
		return f, err
	}
	err = p.scanFields(ctx, p.keys.samples, func(field, _ string) {
		if name, labels, err := splitName(field); err == nil {
			key := ledger.EntryKey{Name: name, Labels: labels}
			samples[key.RepoID()] = append(samples[key.RepoID()], field)
		}
	})
	for _, repo := range cov.Purgeable(p.carried, live) {
		more := len(totals[repo.ID]) + len(samples[repo.ID])
		if len(f.repos) > 0 && len(f.totals)+len(f.samples)+more > maxPurgedFields {
			break
		}
		f.repos = append(f.repos, repo)
		f.totals, f.samples = append(f.totals, totals[repo.ID]...), append(f.samples, samples[repo.ID]...)
	}
	return f, err
}

// scanFields calls a function with the fields of a hash and their values; with some of them twice when the hash is being changed.
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

// progress is what the followers are told.
func (f *purgeSet) progress() ledger.Progress {
	var p ledger.Progress
	for i := range f.repos {
		p.Repos = append(p.Repos, ledger.RepoProgress{ID: f.repos[i].ID, Presence: ledger.PresencePurged})
	}
	return p
}

// scriptLists are the lists that mark.lua wants.
func (f *purgeSet) scriptLists() []any {
	var gone, known []any
	for i := range f.repos {
		id := f.repos[i].ID
		gone = append(gone, goneField(id), encodeTime(f.repos[i].GoneSince))
		known = append(known, contactField(id), nameField(id), goneField(id), signalsField(id), tipsField(id))
		for _, stream := range activity.AllStreams() {
			known = append(known, gapsField(id, stream))
		}
	}
	var args []any
	for _, list := range [][]any{gone, known, f.totals, f.samples} {
		args = append(append(args, len(list)), list...)
	}
	return args
}
