// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package rounds reads the weekly lines of an organization's repositories, round by round, as package loc decides:
//
//	Run ── every repository ──▶ loc.Rules.NextStep ──┬─ quiet week ──────────────────────────┐
//	                                                 ├─ statistics of the contributors ───────┤
//	                                                 └─ lines of single commits (hourly quota) ┴─▶ stored entries
//
// What it stores is the state of each repository (ledger.EntryLinesState), a week whose commits are only partly read,
// the hourly quota, and the weekly lines themselves. A new leader continues from these entries.
package rounds

import (
	"context"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

// Source reads lines from GitHub. Its errors are those of the packages github and transport.
type Source interface {
	ReadContributors(ctx context.Context, org string, repo activity.Repository) (github.ContributorStats, error)
	ReadCommitLines(
		ctx context.Context, req github.CommitLinesRequest, emit func([]activity.Event) error,
	) (github.CommitLinesResult, error)
}

// Collector is what rounds share with the passes of an organization: the clock, the coverage and the way into the
// store.
type Collector interface {
	Now() time.Time
	Coverage(ctx context.Context) (ledger.Coverage, error)
	CommitAsLeader(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error)
	Repository(known *ledger.RepoCoverage) activity.Repository
	// RewrittenAt returns when the default branch was last found to have lost commits, zero for never. entry reads the
	// stored entries.
	RewrittenAt(repo int64, entry func(ledger.EntryKey) (ledger.Entry, bool)) time.Time
}

// EntryReader reads the stored entries that this replica has received.
type EntryReader interface {
	Entry(key ledger.EntryKey) (ledger.Entry, bool)
}

// Settings configure the rounds of an organization.
type Settings struct {
	Org    string
	Source Source
	Rules  loc.Rules
	// Concurrency is how many repositories are read at a time, at least one.
	Concurrency int
	// MaxCommits bounds how many commits of a repository's week the fallback requests with their lines, and
	// MaxCommitsPerHour how many of all repositories in an hour.
	MaxCommits, MaxCommitsPerHour int
	// Retention is for how long a user without further activity is shown.
	Retention time.Duration
	// CheckPaused returns why no request may be sent to GitHub at present, nil when requests may be sent. A nil
	// function never pauses.
	CheckPaused func() error
	// OnInvalidEntry is called when a stored entry cannot be decoded, and OnQuotaExhausted when a repository has to
	// wait for the next hour's quota. Both may be nil.
	OnInvalidEntry, OnQuotaExhausted func()
}

// withDefaults returns the settings with a function in place of each nil one, and a Concurrency of at least 1.
func (s Settings) withDefaults() Settings {
	if s.CheckPaused == nil {
		s.CheckPaused = func() error { return nil }
	}
	if s.OnInvalidEntry == nil {
		s.OnInvalidEntry = func() {}
	}
	if s.OnQuotaExhausted == nil {
		s.OnQuotaExhausted = func() {}
	}
	s.Concurrency = max(1, s.Concurrency)
	return s
}

// Result describes a round.
type Result struct {
	// StatisticsReads is of how many repositories statistics were requested, CommitReads of how many the lines of
	// single commits, and QuietWeeks how many had a week without a push.
	StatisticsReads, CommitReads, QuietWeeks int
	// Failures are the repositories that could not be read; their former lines stay.
	Failures []Failure
	// NextAt is when the next step of any repository is due.
	NextAt time.Time
}

// Failure is a repository that could not be read.
type Failure struct {
	RepoID int64
	Repo   string
	Err    error
}

// Rounds reads the weekly lines during one term of a leader.
type Rounds struct {
	settings  Settings
	collector Collector
	fence     uint64
	quota     commitQuota
	states    stateCache
}

// New makes the rounds of a term. They write with the fence and start from the stored entries.
func New(settings Settings, collector Collector, fence uint64, entries EntryReader) *Rounds {
	settings = settings.withDefaults()
	r := &Rounds{
		settings: settings, collector: collector, fence: fence, quota: commitQuota{limit: settings.MaxCommitsPerHour},
		states: stateCache{entries: entries, onInvalid: settings.OnInvalidEntry, repos: make(map[int64]*repoState)},
	}
	if entry, ok := entries.Entry(entryQuota); ok {
		r.quota.decode(entry.Data)
	}
	return r
}

// Run makes one round over the repositories. Its error is that of the store or of the context; errors of GitHub are
// Failures.
func (r *Rounds) Run(ctx context.Context) (Result, error) {
	cov, err := r.collector.Coverage(ctx)
	if err != nil {
		return Result{}, err
	}
	r.states.resetForNewLedger(cov.LedgerStart)
	round := newRound(r, &cov)
	if err := round.commitQuietWeeks(ctx); err != nil {
		return round.result, err
	}
	return round.result, round.advanceRepositories(ctx)
}

// commit stores the results of steps in one batch, and keeps them once the store has accepted it.
func (r *Rounds) commit(ctx context.Context, steps ...*stepResult) error {
	now := r.collector.Now()
	var b ledger.Batch
	for _, step := range steps {
		b.Entries = append(b.Entries, step.entries(now)...)
	}
	b.Entries = append(b.Entries,
		ledger.Entry{EntryKey: entryQuota, Data: r.quota.encode(), Observed: now},
		ledger.Entry{EntryKey: ledger.EntryKey{Name: ledger.EntryCommitsWithoutLines}, Observed: now})
	if _, err := r.collector.CommitAsLeader(ctx, r.fence, b); err != nil {
		return err
	}
	for _, step := range steps {
		step.repo.state, step.repo.part = step.state, step.part
	}
	return nil
}
