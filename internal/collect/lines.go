package collect

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
)

const (
	// EntryLinesState names the samples that have the loc.State of a repository; the label is the repository's id.
	EntryLinesState = "lines_state"
	// entryLinesPart names the samples that have what was read of a week whose commits are not all read: a ledger.Weekly, which
	// speaks for everybody as long as nothing had to be left out.
	entryLinesPart = "lines_part"
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
	allowance allowance

	mu    sync.Mutex
	began time.Time // when the ledger did
	repos map[int64]*repoLines
}

// repoLines is what is known of one repository.
type repoLines struct {
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
		allowance: allowance{most: settings.MaxCommitsPerHour}, repos: make(map[int64]*repoLines),
	}
	if sample, ok := samples.Entry(entryAllowance); ok {
		l.allowance.decode(sample.Data)
	}
	return l
}

// repo is what is known of a repository, from the samples at first.
func (l *Lines) repo(id int64) *repoLines {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.repos[id]
	if known == nil {
		known = l.load(id)
		l.repos[id] = known
	}
	return known
}

// follow forgets everything when the ledger is another one than before: the store has lost its memory, and what this replica knows of
// the samples is of the former one.
func (l *Lines) follow(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.began.IsZero() && !began.Equal(l.began) {
		clear(l.repos)
		l.samples = noEntries{}
	}
	l.began = began
}

// noEntries are those of a ledger that has just begun.
type noEntries struct{}

func (noEntries) Entry(ledger.EntryKey) (ledger.Entry, bool) { return ledger.Entry{}, false }

// load reads the samples of a repository. What cannot be read is counted, and as good as nothing.
func (l *Lines) load(id int64) *repoLines {
	known := &repoLines{}
	sample, ok := l.samples.Entry(linesKey(EntryLinesState, id))
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
		part, _ := l.samples.Entry(linesKey(entryLinesPart, id))
		if known.part, err = ledger.DecodeWeeklyLines(part.Data); err != nil || !known.part.Week.Equal(state.Commits.Week) {
			l.collector.tallies.Add(TallyInvalid)
			state.Commits, known.part = loc.CommitProgress{}, ledger.WeeklyLines{}
		}
	}
	known.state = state
	return known
}

func linesKey(name string, repo int64) ledger.EntryKey {
	return ledger.EntryKey{Name: name, Labels: [2]string{strconv.FormatInt(repo, 10)}}
}

// taken is a step that was taken with a repository.
type taken struct {
	repo  int64
	known *repoLines
	state loc.State
	// week is what is shown from now on, nil when that is what it was.
	week *ledger.WeeklyLines
	// part is what was read so far of a week.
	part ledger.WeeklyLines
}

// commit records steps.
func (l *Lines) commit(ctx context.Context, steps ...*taken) error {
	var b ledger.Batch
	now := l.collector.now()
	for _, step := range steps {
		observed := now
		if step.known.observed.After(observed) {
			observed = step.known.observed
		}
		step.known.observed = observed // the next one is no older, whatever the clock does
		add := func(key ledger.EntryKey, data []byte) {
			b.Entries = append(b.Entries, ledger.Entry{EntryKey: key, Data: data, Observed: observed})
		}
		add(linesKey(EntryLinesState, step.repo), step.state.Encode())
		if step.week != nil {
			add(ledger.WeeklyLinesKey(step.repo), step.week.Encode())
		}
		switch {
		case step.state.Commits.Position > 0:
			add(linesKey(entryLinesPart, step.repo), step.part.Encode())
		case step.known.state.Commits.Position > 0:
			add(linesKey(entryLinesPart, step.repo), nil)
		}
	}
	b.Entries = append(b.Entries,
		ledger.Entry{EntryKey: entryAllowance, Data: l.allowance.encode(), Observed: now},
		ledger.Entry{EntryKey: ledger.EntryKey{Name: ledger.EntryCommitsWithoutLines}, Observed: now})
	if _, err := l.collector.commit(ctx, l.fence, sourceLeader, b); err != nil {
		return err
	}
	for _, step := range steps {
		step.known.state, step.known.part = step.state, step.part
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
	cov, err := l.collector.coverage(ctx)
	if err != nil {
		return LinesResult{}, err
	}
	l.follow(cov.LedgerStart)
	r := newLinesRound(l, &cov)
	if err := r.quiet(ctx); err != nil {
		return r.done, err
	}
	return r.done, r.work(ctx)
}

// linesHalts reports whether the round is over: every other request would be refused as well.
func linesHalts(err error) (retryAfter time.Duration, retryAt time.Time, halts bool) {
	if limit := (*github.LimitError)(nil); errors.As(err, &limit) {
		return 0, limit.RetryAt, true
	}
	return afterCredential, time.Time{}, errors.As(err, new(*github.CredentialError))
}

const (
	// afterCredential is the wait after GitHub has refused the credential, afterPause the one while it is not to be asked.
	afterCredential = 5 * time.Minute
	afterPause      = time.Minute
)
