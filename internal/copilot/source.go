// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// API sends requests to the REST API of GitHub.
type API interface {
	// Get requests a path with its query. Every status is a response, not an error: report.ReadLinks interprets it. An
	// error is a *LimitError while requests are not allowed, or says that there was no response.
	Get(ctx context.Context, route, path string) (Response, error)
}

// Response is a response of the API.
type Response struct {
	Status int
	Body   []byte
}

// LimitError says that no request is allowed until a time.
type LimitError struct {
	RetryAt time.Time
	Err     error
}

func (e *LimitError) Error() string {
	return "Copilot reports wait until " + e.RetryAt.UTC().Format(time.RFC3339) + ": " + e.Err.Error()
}

func (e *LimitError) Unwrap() error { return e.Err }

// Files reads the files behind links, as *download.Client does.
type Files interface {
	Read(ctx context.Context, link string, use func(io.Reader) error) error
}

// Settings configure a source.
type Settings struct {
	// Owner is the name of the organization, or the slug of the enterprise.
	Owner string
	Rules Rules
	API   API
	Files Files
	Store Store
	// Workers read the days that reports of 28 days missed; nil for a source that reads them itself.
	Workers Workers
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// Usage configures the samples; its Span is that of each report.
	Usage  usage.Settings
	Limits report.Limits
	// IsEnterpriseServer says that the API is that of GitHub Enterprise Server, which has no such reports: no request
	// is sent.
	IsEnterpriseServer bool
	// OnResult is called after each target that was due; nil for not at all.
	OnResult func(Result)
}

// Outcome is how the reading of a target ended.
type Outcome uint8

// The outcomes.
const (
	// OutcomeRead is a report that was read and stored.
	OutcomeRead Outcome = iota
	// OutcomeUnchanged is the report that was read before.
	OutcomeUnchanged
	// OutcomePending is a report that is not there yet.
	OutcomePending
	// OutcomeRefused is a policy, role, permission or credential that an administrator has to change.
	OutcomeRefused
	// OutcomeFailed is an error.
	OutcomeFailed
	// OutcomeLimited is a rate limit: the target is read later.
	OutcomeLimited
)

// NumOutcomes is the number of outcomes.
const NumOutcomes = 6

// String returns the outcome in metrics and logs.
func (o Outcome) String() string {
	return [NumOutcomes]string{
		"success", "unchanged", "pending", "refused", "failure", "limited",
	}[min(o, OutcomeLimited)]
}

// Result describes the reading of a target.
type Result struct {
	Target  Target
	Outcome Outcome
	// State is that of the response with the links, StateReady without one.
	State report.State
	// Failure is the reason of OutcomeFailed: "api" without a response, "response_" and a report.State, "download_" and
	// a download.Reason, "report_" and a report.Problem, or "report_window" for a file without a row of the report's
	// days. Err is the error, nil for a report; it has GitHub's message, and no link.
	Failure string
	Err     error
	Stats   report.Stats
	Counts  usage.Counts
	// NextAt is when the target is requested next, zero for never.
	NextAt time.Time
}

// ErrUnsupported is the error of a source of GitHub Enterprise Server.
var ErrUnsupported = errors.New("GitHub Enterprise Server has no Copilot usage reports")

// Source reads the reports of one owner during the term of a leader. It is for one goroutine.
type Source struct {
	settings Settings
	table    *progressTable
	// missedTimes is how often each day was missed, delegates whether workers read the missed days.
	missedTimes map[Target]int
	delegates   bool
}

// New makes a source. It continues from what is stored.
func New(settings Settings) *Source {
	if settings.Now == nil {
		settings.Now = time.Now
	}
	if settings.OnResult == nil {
		settings.OnResult = func(Result) {}
	}
	return &Source{settings: settings, missedTimes: make(map[Target]int)}
}

// minPause bounds how often Loop runs.
const minPause = 10 * time.Second

// Loop runs the source whenever a target is due. It returns the first error of Run: that of the store, the cause of
// ctx, or ErrUnsupported.
func (s *Source) Loop(ctx context.Context) error {
	for {
		next, err := s.Run(ctx)
		if err != nil {
			return err
		}
		if err := wakeup.Sleep(ctx, max(minPause, next.Sub(s.settings.Now()))); err != nil {
			return err
		}
	}
}

// Run reads the targets that are due, and returns when the next one is. Its error is that of the store or of ctx, or
// ErrUnsupported. What fails at GitHub is a Result, and does not stop the other targets, except for a limit.
func (s *Source) Run(ctx context.Context) (time.Time, error) {
	if s.settings.IsEnterpriseServer {
		return time.Time{}, ErrUnsupported
	}
	if err := s.loadProgress(ctx); err != nil {
		return time.Time{}, err
	}
	now := s.settings.Now()
	for target, progress := range s.table.targets {
		s.table.targets[target] = progress.withoutFuture(now)
	}
	limit, err := s.runTargets(ctx)
	if err != nil {
		s.table = nil // the store may have what was saved, or not
		return time.Time{}, err
	}
	s.requestDays()
	if !limit.IsZero() {
		return limit, nil
	}
	return s.nextAt(), nil
}

// runTargets reads the targets that are due, and prunes. It returns the time of a limit, zero for none.
func (s *Source) runTargets(ctx context.Context) (time.Time, error) {
	if err := s.prune(ctx); err != nil { // first: what is not configured any more is not requested
		return time.Time{}, err
	}
	if err := s.adoptDays(ctx); err != nil {
		return time.Time{}, err
	}
	s.requestDays()
	for _, target := range s.settings.Rules.Targets(s.settings.Now(), s.table.targets) {
		progress := s.table.targets[target]
		at, ok := s.settings.Rules.NextAt(target, &progress)
		if !ok || s.settings.Now().Before(at) || s.isDelegated(target) {
			continue
		}
		limit, err := s.readTarget(ctx, target)
		if err != nil || !limit.IsZero() {
			return limit, err
		}
	}
	return time.Time{}, s.prune(ctx)
}

func (s *Source) loadProgress(ctx context.Context) error {
	if s.table != nil {
		return nil
	}
	raw, err := s.settings.Store.Load(ctx, progressName)
	if err != nil {
		return err
	}
	table, err := decodeProgress(raw)
	if err != nil {
		table = newProgressTable() // everything is read again
	}
	for target, progress := range table.targets {
		isUsable := progress.ReadAt.IsZero() || progress.Layout == s.layout()
		if isUsable && !progress.ReadAt.IsZero() {
			if isUsable, err = s.isStored(ctx, &table, target); err != nil {
				return err
			}
		}
		if !isUsable {
			table.targets[target] = Progress{Backfill: progress.Backfill, Missed: progress.Missed}
		}
	}
	s.table = &table
	return nil
}

// isStored reports whether the documents of a report that was read are complete and undamaged.
func (s *Source) isStored(ctx context.Context, table *progressTable, target Target) (bool, error) {
	var failed error
	r, err := readReport(target, table.stems[target], func(name string) []byte {
		raw, err := s.settings.Store.Load(ctx, name)
		failed = errors.Join(failed, err)
		return raw
	})
	if err == nil && r != nil {
		err = r.EachSample(func(usage.Sample) {})
	}
	return err == nil && r != nil, failed
}

// layout identifies the settings of the samples: when they change, all reports are read again.
func (s *Source) layout() string {
	settings := s.settings.Usage
	settings.Span = report.Span{}
	return fmt.Sprintf("%+v", settings)
}

// nextAt returns the earliest time at which a target is due, at most an interval from now: the days change.
func (s *Source) nextAt() time.Time {
	now := s.settings.Now()
	next := now.Add(s.settings.Rules.Interval)
	for _, target := range s.settings.Rules.Targets(now, s.table.targets) {
		progress := s.table.targets[target]
		at, ok := s.settings.Rules.NextAt(target, &progress)
		if s.isDelegated(target) {
			at, ok = now.Add(daysPoll), true
		}
		if ok && at.Before(next) {
			next = at
		}
	}
	if next.Before(now) {
		return now
	}
	return next
}

// readTarget reads a target and stores the result. It returns the time of a limit, zero for none.
func (s *Source) readTarget(ctx context.Context, target Target) (time.Time, error) {
	before := s.table.targets[target]
	reading := reading{source: s, target: target, before: before, result: Result{Target: target}}
	err := reading.run(ctx)
	if ctx.Err() != nil {
		return time.Time{}, context.Cause(ctx)
	}
	now := s.settings.Now()
	after, limit := reading.conclude(now, err)
	documents := reading.documents
	if reading.result.Outcome == OutcomeFailed && target.Type.Window == report.Window28Days && !target.Seats {
		s.addBackfill(target, &after, now)
	}
	s.table.targets[target] = after
	if reading.parts > 0 {
		s.table.parts[target] = reading.parts
	}
	progress, err := s.table.encode()
	if err != nil {
		return time.Time{}, err
	}
	if err := s.settings.Store.Save(ctx, append(documents, progress)); err != nil {
		return time.Time{}, err
	}
	reading.result.NextAt, _ = s.settings.Rules.NextAt(target, &after)
	s.settings.OnResult(reading.result)
	return limit, nil
}

// addBackfill makes targets of the days that a report of 28 days would have added.
func (s *Source) addBackfill(target Target, progress *Progress, now time.Time) {
	of := target.Type
	of.Window = report.WindowDay
	for _, d := range missedDays(progress, now) {
		missed := Target{Type: of, Day: d}
		known := s.table.targets[missed]
		if !known.ReadAt.IsZero() {
			continue
		}
		known.Backfill, known.Missed = true, progress.Failure
		if progress.Failure == "" {
			known.Missed = "response_" + progress.State.String()
		}
		s.table.targets[missed] = known
		s.table.stemOf(missed)
		s.missedTimes[missed]++
	}
}

// prune removes what is no longer wanted: reports that are not configured any more, days that a report of 28 days has
// by now, and days that are not read any more, except for the newest one of each report.
func (s *Source) prune(ctx context.Context) error {
	isWanted := make(map[Target]bool)
	for _, target := range s.settings.Rules.Targets(s.settings.Now(), s.table.targets) {
		isWanted[target] = true
	}
	newest := make(map[report.Type]report.Day)
	for target, progress := range s.table.targets {
		if !progress.ReadAt.IsZero() {
			newest[target.Type] = max(newest[target.Type], target.Day)
		}
	}
	var documents []Document
	isChanged := false
	for _, target := range sortedTargets(s.table.targets) {
		progress := s.table.targets[target]
		isNewest := !target.Seats && target.Day == newest[target.Type] && !progress.Backfill &&
			!progress.ReadAt.IsZero() && slices.Contains(s.settings.Rules.Reports, target.Type)
		if !s.isCovered(target, &progress) && (isWanted[target] || isNewest) {
			continue
		}
		documents = append(documents, s.table.remove(target)...)
		isChanged = true
	}
	if !isChanged {
		return nil
	}
	progress, err := s.table.encode()
	if err != nil {
		return err
	}
	return s.settings.Store.Save(ctx, append(documents, progress))
}

// isCovered reports whether a day that is read because a report of 28 days failed is in such a report by now, or is
// older than all of its days.
func (s *Source) isCovered(target Target, progress *Progress) bool {
	of := target.Type
	of.Window = report.Window28Days
	window := s.table.targets[Target{Type: of}]
	return progress.Backfill && target.Day <= window.Span.Last
}
