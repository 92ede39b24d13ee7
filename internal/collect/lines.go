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
	// SampleLinesState names the samples that have the loc.State of a repository; the label is the repository's id.
	SampleLinesState = "lines_state"
	// sampleLinesPart names the samples that have what was read of a week whose commits are not all read: a ledger.Weekly, which
	// speaks for everybody as long as nothing had to be left out.
	sampleLinesPart = "lines_part"
)

// LinesSource is where the lines of a week are read from. Its errors are package github's.
type LinesSource interface {
	Contributors(ctx context.Context, org string, repo activity.Repository) (github.Contributors, error)
	SampleLines(ctx context.Context, req github.LinesRequest, emit func([]activity.Event) error) (github.LinesOutcome, error)
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
	// Paused says why GitHub is not to be asked now, nil when it may be.
	Paused func() error
}

// Samples are what the store holds of values that are replaced as a whole, as far as this replica knows.
type Samples interface {
	Sample(key ledger.SampleKey) (ledger.Sample, bool)
}

// Lines gets the weekly lines of an organization's repositories from GitHub's statistics, and where those are worthless from
// single commits. It goes on where the samples say that a former leader stopped. One is for one term.
type Lines struct {
	collector *Collector
	settings  LinesSettings
	fence     uint64
	samples   Samples
	allowance allowance

	mu    sync.Mutex
	began time.Time // when the ledger did
	repos map[int64]*repoLines
}

// repoLines is what is known of one repository.
type repoLines struct {
	state loc.State
	part  ledger.Weekly
	// observed is when: a clock that is behind the one of the leader before must not make what is new look old.
	observed time.Time
}

// Lines begins a term.
func (c *Collector) Lines(settings LinesSettings, fence uint64, samples Samples) *Lines {
	if settings.Paused == nil {
		settings.Paused = func() error { return nil }
	}
	l := &Lines{
		collector: c, settings: settings, fence: fence, samples: samples,
		allowance: allowance{most: settings.MaxCommitsPerHour}, repos: make(map[int64]*repoLines),
	}
	if sample, ok := samples.Sample(sampleAllowance); ok {
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
		l.samples = noSamples{}
	}
	l.began = began
}

// noSamples are those of a ledger that has just begun.
type noSamples struct{}

func (noSamples) Sample(ledger.SampleKey) (ledger.Sample, bool) { return ledger.Sample{}, false }

// load reads the samples of a repository. What cannot be read is counted, and as good as nothing.
func (l *Lines) load(id int64) *repoLines {
	known := &repoLines{}
	sample, ok := l.samples.Sample(linesKey(SampleLinesState, id))
	if !ok {
		return known
	}
	known.observed = sample.Observed
	state, err := loc.Decode(sample.Data)
	if err != nil {
		l.collector.tallies.Add(TallyInvalid)
		return known
	}
	if state.Reading.Position > 0 {
		part, _ := l.samples.Sample(linesKey(sampleLinesPart, id))
		if known.part, err = ledger.DecodeWeekly(part.Data); err != nil || !known.part.Week.Equal(state.Reading.Week) {
			l.collector.tallies.Add(TallyInvalid)
			state.Reading, known.part = loc.Reading{}, ledger.Weekly{}
		}
	}
	known.state = state
	return known
}

func linesKey(name string, repo int64) ledger.SampleKey {
	return ledger.SampleKey{Name: name, Labels: [2]string{strconv.FormatInt(repo, 10)}}
}

// taken is a step that was taken with a repository.
type taken struct {
	repo  int64
	known *repoLines
	state loc.State
	// week is what is shown from now on, nil when that is what it was.
	week *ledger.Weekly
	// part is what was read so far of a week.
	part ledger.Weekly
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
		add := func(key ledger.SampleKey, data []byte) {
			b.Samples = append(b.Samples, ledger.Sample{SampleKey: key, Data: data, Observed: observed})
		}
		add(linesKey(SampleLinesState, step.repo), step.state.Encode())
		if step.week != nil {
			add(ledger.WeeklyKey(step.repo), step.week.Encode())
		}
		switch {
		case step.state.Reading.Position > 0:
			add(linesKey(sampleLinesPart, step.repo), step.part.Encode())
		case step.known.state.Reading.Position > 0:
			add(linesKey(sampleLinesPart, step.repo), nil)
		}
	}
	b.Samples = append(b.Samples,
		ledger.Sample{SampleKey: sampleAllowance, Data: l.allowance.encode(), Observed: now},
		ledger.Sample{SampleKey: ledger.SampleKey{Name: ledger.SampleUnread}, Observed: now})
	if _, err := l.collector.commit(ctx, l.fence, sourceLeader, b); err != nil {
		return err
	}
	for _, step := range steps {
		step.known.state, step.known.part = step.state, step.part
	}
	return nil
}

// Refreshed says what a round did.
type Refreshed struct {
	// Asked is how many repositories were asked for statistics, Read of how many the lines of commits were read, Quiet how many
	// had a week without a push.
	Asked, Read, Quiet int
	// Failures are repositories that could not be read; what is known of them stays.
	Failures []Failure
	// Next is when there will be something to do.
	Next time.Time
}

// Refresh makes one round over the repositories. Its error is the store's or the context's.
func (l *Lines) Refresh(ctx context.Context) (Refreshed, error) {
	cov, err := l.collector.coverage(ctx)
	if err != nil {
		return Refreshed{}, err
	}
	l.follow(cov.Began)
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
