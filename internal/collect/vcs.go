// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// maxVCSReadings bounds the repositories of each part that one call reads: the others are read after the next pass.
	maxVCSReadings = 500
	// vcsCommitSize is how many documents are committed together.
	vcsCommitSize = 50
)

// VCSSource reads what the metrics vcs.* need from GitHub.
type VCSSource interface {
	// ReadChanges reads the pull requests of repositories and calls onResult for each, until a limit ends it.
	ReadChanges(ctx context.Context, org string, repos []activity.Repository, details github.ChangeDetails,
		onResult func(github.ChangesResult))
	// ReadBranches reads the branches of repositories and calls onResult for each that it came to, until a limit or its
	// bound on comparisons ends it.
	ReadBranches(ctx context.Context, org string, requests []github.BranchesRequest, maxRefs int,
		onResult func(github.BranchesResult))
	// CountContributors returns how many accounts have commits on the default branch.
	CountContributors(ctx context.Context, org string, repo activity.Repository) (activity.Number, error)
}

// VCSSettings say what is read for the metrics vcs.*. Nothing is requested for a part that is off.
type VCSSettings struct {
	Source VCSSource
	// Changes reads the pull requests by state, with Details, and Contributors their number.
	Changes, Contributors bool
	Details               github.ChangeDetails
	// Branches compares branches with the default one, at most MaxRefs of a repository, and about MaxRefsPerOrg of the
	// organization.
	Branches               bool
	MaxRefs, MaxRefsPerOrg int
}

// VCSReader reads what the metrics vcs.* need of repositories in which a signal moved since they were last read. What
// it reads are entries of the ledger, each with the signal under which it was read. One goroutine uses it.
type VCSReader struct {
	collector *Collector
	settings  VCSSettings
	// fence is that of the term in which seen was made; seen are the signals of what the ledger has.
	fence uint64
	seen  map[ledger.EntryKey]string
	// branches are how many branches the repositories have in the ledger, as far as that was seen, and pushes what
	// showed that one of them moved.
	branches map[int64]int
	pushes   map[int64]pushSignal
}

// NewVCSReader returns a reader, nil when all is off.
func (c *Collector) NewVCSReader(settings VCSSettings) *VCSReader {
	if !settings.Changes && !settings.Contributors && !settings.Branches {
		return nil
	}
	return &VCSReader{collector: c, settings: settings}
}

// VCSResult describes a call of VCSReader.Read.
type VCSResult struct {
	// Read is how many parts of repositories were read, Failed how many could not be.
	Read, Failed int
	// Err is the error of one that failed, nil for none.
	Err error
	// Cut is how many repositories have more pull requests or branches than are shown.
	Cut int
}

// vcsReading is a part of a repository that is to be read.
type vcsReading struct {
	key    ledger.EntryKey
	repo   activity.Repository
	signal string
	// stored is what the ledger has, since observed; nil for nothing.
	stored   []byte
	observed time.Time
}

// Read reads what has changed, with the leader's fence. With recent, it also reads the repositories that were active in
// the last 24 h. Its error is that of the store or of the context; a repository that could not be read keeps what is
// known of it, and is read after a backoff.
func (r *VCSReader) Read(ctx context.Context, fence uint64, recent bool) (VCSResult, error) {
	var result VCSResult
	cov, err := r.collector.Coverage(ctx)
	if err != nil {
		return result, err
	}
	if r.seen == nil || r.fence != fence {
		r.seen, r.fence = make(map[ledger.EntryKey]string), fence
		r.branches, r.pushes = make(map[int64]int), make(map[int64]pushSignal)
	}
	run := &vcsRun{VCSReader: r, cov: &cov, recent: recent, result: &result, now: r.collector.Now()}
	for _, part := range r.parts() {
		due, err := run.due(ctx, part)
		if err == nil {
			err = run.read(ctx, part, due)
		}
		if err != nil {
			return result, err
		}
	}
	return result, context.Cause(ctx)
}

// parts returns the parts that are read.
func (r *VCSReader) parts() []ledger.VCSPart {
	var parts []ledger.VCSPart
	if r.settings.Changes {
		parts = append(parts, ledger.VCSChanges)
	}
	if r.settings.Contributors {
		parts = append(parts, ledger.VCSContributors)
	}
	if r.settings.Branches {
		parts = append(parts, ledger.VCSBranches)
	}
	return parts
}

// vcsRun is one call of VCSReader.Read.
type vcsRun struct {
	*VCSReader

	cov    *ledger.Coverage
	recent bool
	now    time.Time
	result *VCSResult
	// written are the entries that are not committed yet.
	written []ledger.Entry
}

// due returns the repositories of which a part has to be read, at most maxVCSReadings.
func (r *vcsRun) due(ctx context.Context, part ledger.VCSPart) ([]vcsReading, error) {
	validators, err := r.pullValidators(ctx, part)
	if err == nil && part == ledger.VCSBranches {
		err = r.loadPushes(ctx)
	}
	if err != nil {
		return nil, err
	}
	from := r.cov.Edge.Add(-recentWindow)
	var list []vcsReading
	for id, repo := range r.cov.Repos {
		if repo.IsGone() || (part == ledger.VCSChanges && repo.Signals.Disabled.Has(activity.StreamPulls)) {
			continue
		}
		key, signal := ledger.VCSKey(id, part), r.signalOf(part, repo, validators[id])
		seen, isKnown := r.seen[key]
		isDue := signal == "" || !isKnown || seen != signal || (r.recent && isActive(&repo.Signals, from))
		if isDue && r.collector.backoffs.deferralOf(id, backoffOf(part), r.now) == nil {
			list = append(list, vcsReading{key: key, repo: r.collector.Repository(repo), signal: signal})
		}
	}
	slices.SortFunc(list, func(a, b vcsReading) int { return cmp.Compare(a.key.Repo, b.key.Repo) })
	if part != ledger.VCSBranches {
		return r.unread(ctx, list)
	}
	return r.dueBranches(ctx, list)
}

// backoffOf returns the key of the backoff of a part, beside those of the streams.
func backoffOf(part ledger.VCSPart) activity.Stream {
	switch part {
	case ledger.VCSChanges:
		return streamPresence + 1
	case ledger.VCSContributors:
		return streamPresence + 2
	default:
		return streamPresence + 3
	}
}

// unread returns the readings whose entry has another signal, with what is stored.
func (r *vcsRun) unread(ctx context.Context, list []vcsReading) ([]vcsReading, error) {
	var due []vcsReading
	for chunk := range slices.Chunk(list, maxVCSReadings) {
		keys := make([]ledger.EntryKey, len(chunk))
		for i := range chunk {
			keys[i] = chunk[i].key
		}
		entries, err := r.collector.settings.Store.ReadEntries(ctx, r.collector.settings.Org, keys)
		if err != nil {
			return nil, &StoreError{err}
		}
		for _, reading := range chunk {
			entry := entries[reading.key]
			reading.stored, reading.observed = entry.Data, entry.Observed
			r.countBranches(&reading)
			isRead := reading.signal != "" && ledger.VCSSignal(reading.stored) == reading.signal
			if isRead {
				r.seen[reading.key] = reading.signal
			}
			if !isRead || r.recent {
				due = append(due, reading)
			}
		}
		if len(due) >= maxVCSReadings {
			return due[:maxVCSReadings], nil
		}
	}
	return due, nil
}

// signalOf returns the signal under which a part of a repository is read: while it is the same, nothing changed. It is
// empty where nothing shows that. One that shows a change of the last moments differs from that of a later reading,
// because another change may follow in the same second.
func (r *vcsRun) signalOf(part ledger.VCSPart, repo *ledger.RepoCoverage, validator string) string {
	s := &repo.Signals
	if part == ledger.VCSBranches {
		return r.branchSignal(repo)
	}
	if part == ledger.VCSContributors {
		if s.Head != "" {
			return s.Head
		}
		return r.settled("pushed "+formatUnix(s.PushedAt), s.PushedAt)
	}
	d := &r.settings.Details
	const version = 2 // of the document: one of a former version is read again
	scope := fmt.Sprintf("%d %d %t %t %t ", version, d.MaxRows, d.States, d.Approvals, d.Lines)
	switch {
	case s.Streams.Has(activity.StreamPulls):
		latest := s.Pulls
		return r.settled(fmt.Sprintf("%s%d %s", scope, latest.Number, formatUnix(latest.UpdatedAt)), latest.UpdatedAt)
	case validator != "":
		return scope + validator
	default:
		return ""
	}
}

// settled returns a signal that shows a change at a time.
func (r *vcsRun) settled(signal string, at time.Time) string {
	if at.After(r.now.Add(-signalSettleTime)) {
		return signal + " unsettled"
	}
	return signal
}

// formatUnix formats a time of a signal.
func formatUnix(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// pullValidators returns, for the repositories whose listing has no signal of pull requests, the validator under which
// the pass has read them: it changes with their list.
func (r *vcsRun) pullValidators(ctx context.Context, part ledger.VCSPart) (map[int64]string, error) {
	if part != ledger.VCSChanges {
		return nil, nil
	}
	var keys []ledger.EntryKey
	for id, repo := range r.cov.Repos {
		if !repo.IsGone() && !repo.Signals.Streams.Has(activity.StreamPulls) {
			keys = append(keys, validatorKey(id, activity.StreamPulls))
		}
	}
	if len(keys) == 0 {
		return nil, nil
	}
	entries, err := r.collector.settings.Store.ReadEntries(ctx, r.collector.settings.Org, keys)
	if err != nil {
		return nil, &StoreError{err}
	}
	validators := make(map[int64]string, len(entries))
	for key := range entries {
		validators[key.Repo] = string(entries[key].Data)
	}
	return validators, nil
}

// read reads a part of repositories and commits it.
func (r *vcsRun) read(ctx context.Context, part ledger.VCSPart, due []vcsReading) error {
	if len(due) == 0 {
		return nil
	}
	switch part {
	case ledger.VCSContributors:
		return r.readContributors(ctx, due)
	case ledger.VCSBranches:
		return r.readBranches(ctx, due)
	default:
		return r.readChanges(ctx, due)
	}
}

// readChanges reads the pull requests of repositories.
func (r *vcsRun) readChanges(ctx context.Context, due []vcsReading) error {
	byID := make(map[int64]*vcsReading, len(due))
	repos := make([]activity.Repository, len(due))
	for i := range due {
		byID[due[i].key.Repo], repos[i] = &due[i], due[i].repo
	}
	var err error
	source := r.settings.Source
	readCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	source.ReadChanges(readCtx, r.collector.settings.Org, repos, r.settings.Details, func(got github.ChangesResult) {
		if err != nil {
			return
		}
		reading := byID[got.RepoID]
		if got.Changes.IsCut {
			r.result.Cut++
		}
		err = r.record(ctx, ledger.VCSChanges, reading, ledger.EncodeVCSChanges(reading.signal, &got.Changes), got.Err)
		if err != nil {
			cancel()
		}
	})
	if err != nil {
		return err
	}
	return r.flush(ctx)
}

// readContributors counts the contributors of repositories.
func (r *vcsRun) readContributors(ctx context.Context, due []vcsReading) error {
	for i := range due {
		n, err := r.settings.Source.CountContributors(ctx, r.collector.settings.Org, due[i].repo)
		_, limited := errors.AsType[*transport.LimitError](err)
		_, refused := errors.AsType[*transport.CredentialError](err)
		if limited || refused || ctx.Err() != nil {
			break
		}
		data := ledger.EncodeVCSContributors(due[i].signal, n)
		if err := r.record(ctx, ledger.VCSContributors, &due[i], data, err); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

// record writes what was read, unless the ledger has it, or begins a backoff. Its error is that of the store.
func (r *vcsRun) record(
	ctx context.Context, part ledger.VCSPart, reading *vcsReading, data []byte, failed error,
) error {
	if failed != nil {
		r.recordFailure(part, reading, failed)
		return nil
	}
	r.result.Read++
	r.collector.backoffs.clear(reading.key.Repo, backoffOf(part))
	return r.write(ctx, reading, data)
}

// recordFailure begins a backoff.
func (r *vcsRun) recordFailure(part ledger.VCSPart, reading *vcsReading, failed error) {
	r.result.Failed++
	r.result.Err = failed
	r.collector.backoffs.recordRefused(reading.key.Repo, backoffOf(part), failed, r.now)
}

// write writes what was read, unless the ledger has it. Its error is that of the store.
func (r *vcsRun) write(ctx context.Context, reading *vcsReading, data []byte) error {
	r.seen[reading.key] = reading.signal
	if bytes.Equal(data, reading.stored) {
		return nil
	}
	r.written = append(r.written, ledger.Entry{EntryKey: reading.key, Data: data, Observed: r.now})
	if len(r.written) < vcsCommitSize {
		return nil
	}
	return r.flush(ctx)
}

// flush commits the entries that are written.
func (r *vcsRun) flush(ctx context.Context) error {
	if len(r.written) == 0 || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	batch := ledger.Batch{Basis: r.cov.Basis, Entries: r.written}
	r.written = nil
	if _, err := r.collector.CommitAsLeader(ctx, r.fence, batch); err != nil {
		r.seen = nil
		return fmt.Errorf("commit the metrics vcs: %w", err)
	}
	return nil
}
