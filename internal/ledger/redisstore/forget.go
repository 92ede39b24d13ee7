package redisstore

import (
	"context"
	"fmt"
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// scannedAtOnce is how many fields one step of a scan of a hash looks at.
	scannedAtOnce = 500
	// mostForgotten bounds the totals and samples that one script takes out; the first repository goes in any case.
	mostForgotten = 50_000
)

// forgotten is what a pruning forgets of repositories that left.
type forgotten struct {
	repos           []ledger.RepoProgress
	totals, samples []any // fields
}

// forgettable is what can be forgotten. All events of these repositories have been carried: whoever reads the log leaves them out,
// and nobody carries their totals again.
func (p *pruning) forgettable(ctx context.Context) (forgotten, error) {
	var f forgotten
	cov, err := p.store.Coverage(ctx, p.org)
	if err != nil || len(cov.Purgeable(p.carried, nil)) == 0 {
		return f, err
	}
	live := make(map[int64]bool)
	err = p.eachField(ctx, p.keys.series, func(field, newest string) {
		repo, ok := repoOfSeries(field)
		if at, err := strconv.ParseInt(newest, 10, 64); ok && (err != nil || at >= p.carried.Unix()) {
			live[repo] = true
		}
	})
	if err != nil {
		return f, err
	}
	totals, samples := make(map[int64][]any), make(map[int64][]any)
	err = p.eachField(ctx, p.keys.carried, func(field, _ string) {
		if repo, ok := repoOfSeries(field); ok {
			totals[repo] = append(totals[repo], field)
		}
	})
	if err != nil {
		return f, err
	}
	err = p.eachField(ctx, p.keys.samples, func(field, _ string) {
		if name, labels, err := splitName(field); err == nil {
			key := ledger.EntryKey{Name: name, Labels: labels}
			samples[key.RepoID()] = append(samples[key.RepoID()], field)
		}
	})
	for _, repo := range cov.Purgeable(p.carried, live) {
		more := len(totals[repo.ID]) + len(samples[repo.ID])
		if len(f.repos) > 0 && len(f.totals)+len(f.samples)+more > mostForgotten {
			break
		}
		f.repos = append(f.repos, repo)
		f.totals, f.samples = append(f.totals, totals[repo.ID]...), append(f.samples, samples[repo.ID]...)
	}
	return f, err
}

// eachField calls a function with the fields of a hash and their values; with some of them twice when the hash is being changed.
func (p *pruning) eachField(ctx context.Context, key string, visit func(field, value string)) error {
	for cursor := uint64(0); ; {
		fields, next, err := p.store.client.HScan(ctx, key, cursor, "", scannedAtOnce).Result()
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

// said is what the followers are told.
func (f *forgotten) said() ledger.Progress {
	var p ledger.Progress
	for i := range f.repos {
		p.Repos = append(p.Repos, ledger.RepoProgress{ID: f.repos[i].ID, Presence: ledger.PresencePurged})
	}
	return p
}

// arguments are the lists that mark.lua wants.
func (f *forgotten) arguments() []any {
	var gone, known []any
	for i := range f.repos {
		id := f.repos[i].ID
		gone = append(gone, goneField(id), stamp(f.repos[i].GoneSince))
		known = append(known, contactField(id), nameField(id), goneField(id), signalsField(id), tipsField(id))
		for _, stream := range activity.AllStreams() {
			known = append(known, missingField(id, stream))
		}
	}
	var args []any
	for _, list := range [][]any{gone, known, f.totals, f.samples} {
		args = append(append(args, len(list)), list...)
	}
	return args
}
