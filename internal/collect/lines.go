package collect

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

// LinesSource is where the lines of a week are read from. Its errors are package github's.
type LinesSource interface {
	ReadContributors(ctx context.Context, org string, repo activity.Repository) (github.ContributorStats, error)
	ReadCommitLines(ctx context.Context, req github.CommitLinesRequest, emit func([]activity.Event) error) (github.CommitLinesResult, error)
}

// LinesSettings say how weekly lines are got.
type LinesSettings struct {
	Source LinesSource
	Rules  loc.Rules
	// MaxCommits bounds the commits of a repository's week that the fallback asks for their lines, MaxCommitsPerHour those of
	// all repositories in an hour.
	MaxCommits, MaxCommitsPerHour int
	// Retention is how long a user who does nothing any more is shown.
	Retention time.Duration
	// CheckPaused says why GitHub is not to be asked now, nil when it may be.
	CheckPaused func() error
}

// EntryReader are what the store holds of values that are replaced as a whole, as far as this replica knows.
type EntryReader interface {
	Entry(key ledger.EntryKey) (ledger.Entry, bool)
}

// Lines gets the weekly lines of an organization's repositories from GitHub's statistics, and where those are worthless from
// single commits. It goes on where the samples say that a former leader stopped. One is for one term.
type Lines struct {
	collector *Collector
	settings  LinesSettings
	fence     uint64
	samples   EntryReader
	quota     commitQuota

	mu          sync.Mutex
	ledgerStart time.Time // when the ledger did
	repos       map[int64]*repoState
}

// repoState is what is known of one repository.
type repoState struct {
	state loc.State
	part  ledger.WeeklyLines
	// observed is when: a clock that is behind the one of the leader before must not make what is new look old.
	observed time.Time
}

// Lines begins a term.
func (c *Collector) Lines(settings LinesSettings, fence uint64, samples EntryReader) *Lines {
	if settings.CheckPaused == nil {
		settings.CheckPaused = func() error { return nil }
	}
	l := &Lines{
		collector: c, settings: settings, fence: fence, samples: samples,
		quota: commitQuota{limit: settings.MaxCommitsPerHour}, repos: make(map[int64]*repoState),
	}
	if sample, ok := samples.Entry(entryAllowance); ok {
		l.quota.decode(sample.Data)
	}
	return l
}

// repo is what is known of a repository, from the samples at first.
func (l *Lines) repo(id int64) *repoState {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.repos[id]
	if known == nil {
		known = l.loadRepo(id)
		l.repos[id] = known
	}
	return known
}

// resetForNewLedger forgets everything when the ledger is another one than before: the store has lost its memory, and what this replica knows of
// the samples is of the former one.
func (l *Lines) resetForNewLedger(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ledgerStart.IsZero() && !began.Equal(l.ledgerStart) {
		clear(l.repos)
		l.samples = emptyEntries{}
	}
	l.ledgerStart = began
}

// emptyEntries are those of a ledger that has just begun.
type emptyEntries struct{}

func (emptyEntries) Entry(ledger.EntryKey) (ledger.Entry, bool) { return ledger.Entry{}, false }

// loadRepo reads the samples of a repository. What cannot be read is counted, and as good as nothing.
func (l *Lines) loadRepo(id int64) *repoState {
	known := &repoState{}
	sample, ok := l.samples.Entry(linesEntryKey(ledger.EntryLinesState, id))
	if !ok {
		return known
	}
	known.observed = sample.Observed
	state, err := loc.Decode(sample.Data)
	if err != nil {
		l.collector.tallies.Add(TallyInvalid)
		return known
	}
	if state.Commits.Position > 0 {
		part, _ := l.samples.Entry(linesEntryKey(ledger.EntryLinesPart, id))
		if known.part, err = ledger.DecodeWeeklyLines(part.Data); err != nil || !known.part.Week.Equal(state.Commits.Week) {
			l.collector.tallies.Add(TallyInvalid)
			state.Commits, known.part = loc.CommitProgress{}, ledger.WeeklyLines{}
		}
	}
	known.state = state
	return known
}

func linesEntryKey(name string, repo int64) ledger.EntryKey {
	return ledger.EntryKey{Name: name, Repo: repo}
}

// stepResult is a step that was taken with a repository.
type stepResult struct {
	repoID int64
	repo   *repoState
	state  loc.State
	// lines is what is shown from now on, nil when that is what it was.
	lines *ledger.WeeklyLines
	// part is what was read so far of a week.
	part ledger.WeeklyLines
}

// commit records steps.
func (l *Lines) commit(ctx context.Context, steps ...*stepResult) error {
	var b ledger.Batch
	now := l.collector.now()
	for _, step := range steps {
		observed := now
		if step.repo.observed.After(observed) {
			observed = step.repo.observed
		}
		step.repo.observed = observed // the next one is no older, whatever the clock does
		add := func(key ledger.EntryKey, data []byte) {
			b.Entries = append(b.Entries, ledger.Entry{EntryKey: key, Data: data, Observed: observed})
		}
		add(linesEntryKey(ledger.EntryLinesState, step.repoID), step.state.Encode())
		if step.lines != nil {
			add(ledger.WeeklyLinesKey(step.repoID), step.lines.Encode())
		}
		switch {
		case step.state.Commits.Position > 0:
			add(linesEntryKey(ledger.EntryLinesPart, step.repoID), step.part.Encode())
		case step.repo.state.Commits.Position > 0:
			add(linesEntryKey(ledger.EntryLinesPart, step.repoID), nil)
		}
	}
	b.Entries = append(b.Entries,
		ledger.Entry{EntryKey: entryAllowance, Data: l.quota.encode(), Observed: now},
		ledger.Entry{EntryKey: ledger.EntryKey{Name: ledger.EntryCommitsWithoutLines}, Observed: now})
	if _, err := l.collector.commit(ctx, l.fence, sourceLeader, b); err != nil {
		return err
	}
	for _, step := range steps {
		step.repo.state, step.repo.part = step.state, step.part
	}
	return nil
}

// LinesResult says what a round did.
type LinesResult struct {
	// StatisticsReads is how many repositories were asked for statistics, CommitReads of how many the lines of commits were read, QuietWeeks how many
	// had a week without a push.
	StatisticsReads, CommitReads, QuietWeeks int
	// Failures are repositories that could not be read; what is known of them stays.
	Failures []Failure
	// NextAt is when there will be something to do.
	NextAt time.Time
}

// Refresh makes one round over the repositories. Its error is the store's or the context's.
func (l *Lines) Refresh(ctx context.Context) (LinesResult, error) {
	cov, err := l.collector.readCoverage(ctx)
	if err != nil {
		return LinesResult{}, err
	}
	l.resetForNewLedger(cov.LedgerStart)
	r := newRound(l, &cov)
	if err := r.commitQuietWeeks(ctx); err != nil {
		return r.result, err
	}
	return r.result, r.advanceRepositories(ctx)
}

// roundHaltedUntil reports whether the round is over: every other request would be refused as well.
func roundHaltedUntil(err error) (retryAfter time.Duration, retryAt time.Time, halts bool) {
	if limit := (*github.LimitError)(nil); errors.As(err, &limit) {
		return 0, limit.RetryAt, true
	}
	return credentialRetryDelay, time.Time{}, errors.As(err, new(*github.CredentialError))
}

const (
	// credentialRetryDelay is the wait after GitHub has refused the credential, afterPause the one while it is not to be asked.
	credentialRetryDelay = 5 * time.Minute
	pausedRetryDelay     = time.Minute
)
