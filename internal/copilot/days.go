// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilot

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// MissedDay is a day that a report of 28 days would have added, had it not failed.
type MissedDay struct {
	Target Target
	// Stem names the documents of the day's report.
	Stem string
	// Failure is that of the report of 28 days, as in Result.
	Failure string
	// Times is how often the day was missed since the source was made.
	Times int
}

// Workers read missed days with ReadDay, on any replica.
type Workers interface {
	// Request replaces the days of the source that are to be read. It reports false while no worker can be given
	// anything: then the source reads the days itself.
	Request(days []MissedDay) bool
}

// daysPoll is the time between two looks for days that workers have read.
const daysPoll = time.Minute

// ParseStem returns the target of a day with the stem of a MissedDay.
func ParseStem(stem string, d report.Day) (Target, error) {
	cut := strings.LastIndexByte(stem, '_')
	for _, of := range report.Types() {
		if of.Window == report.WindowDay && cut > 0 && stem[:cut] == of.String() {
			return Target{Type: of, Day: d}, nil
		}
	}
	return Target{}, fmt.Errorf("%.100q is no name of a report of a day", stem)
}

// isMissed reports whether a day is to be read because a report of 28 days failed.
func (t *progressTable) isMissed(target Target) bool {
	progress, ok := t.targets[target]
	return ok && target.Day != 0 && progress.Backfill && !progress.Abandoned && progress.ReadAt.IsZero() &&
		t.stems[target] != ""
}

// isDelegated reports whether workers read the target.
func (s *Source) isDelegated(target Target) bool { return s.delegates && s.table.isMissed(target) }

// requestDays requests the missed days from the workers.
func (s *Source) requestDays() {
	if s.settings.Workers == nil {
		return
	}
	days := []MissedDay{}
	for _, target := range sortedTargets(s.table.targets) {
		if s.table.isMissed(target) {
			days = append(days, MissedDay{
				target, s.table.stems[target], s.table.targets[target].Missed, s.missedTimes[target],
			})
		}
	}
	s.delegates = s.settings.Workers.Request(days)
}

// loadHeader loads the header of a target's report, nil for none. A damaged one is none: it will be replaced.
func (s *Source) loadHeader(ctx context.Context, target Target) (*Header, error) {
	raw, err := s.settings.Store.Load(ctx, headerName(s.table.stems[target]))
	if err != nil || raw == nil {
		return nil, err
	}
	var header Header
	if json.Unmarshal(raw, &header) != nil || header.Parts < 0 {
		return nil, nil //nolint:nilnil // documented
	}
	return &header, nil
}

// loadDay loads how many documents a missed day has, of whatever day they are. It returns the header of the report, nil
// when the day was not read, or not with these settings.
func (s *Source) loadDay(ctx context.Context, target Target) (*Header, error) {
	header, err := s.loadHeader(ctx, target)
	if header == nil {
		return nil, err
	}
	s.table.parts[target] = header.Parts
	if !header.isOf(target) || header.Layout != s.layout() {
		return nil, nil //nolint:nilnil // documented
	}
	return header, nil
}

// adoptDays records the missed days that workers have read, and those that are too old to be wanted. Workers write the
// reports; only the source writes the progress.
func (s *Source) adoptDays(ctx context.Context) error {
	isChanged := false
	for _, target := range sortedTargets(s.table.targets) {
		if !s.table.isMissed(target) {
			continue
		}
		header, err := s.loadDay(ctx, target)
		if err != nil {
			return err
		}
		progress := s.table.targets[target]
		switch {
		case header != nil:
			progress = progress.withReport(header.ReadAt, header.Span, time.Time{})
			progress.Layout = header.Layout
		case isGivenUp(target, s.settings.Now()):
			progress.Abandoned = true
		default:
			continue
		}
		s.table.targets[target], isChanged = progress, true
	}
	if !isChanged {
		return nil
	}
	document, err := s.table.encode()
	if err != nil {
		return err
	}
	return s.settings.Store.Save(ctx, []Document{document})
}

// ReadDay reads a missed day for the source that requested it, and stores the report without the progress. It returns
// nil when the day is not missing any more: it was read, a report of 28 days has it, or it was given up. The error is
// that of the store or of ctx; what fails at GitHub is a Result, in which NextAt is the end of a limit.
func ReadDay(ctx context.Context, settings Settings, target Target, stem string) (*Result, error) {
	s := New(settings)
	if isMissing, err := s.isDayMissing(ctx, target, stem); !isMissing {
		return nil, err
	}
	reading := reading{source: s, target: target, result: Result{Target: target}}
	err := reading.run(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	_, reading.result.NextAt = reading.conclude(s.settings.Now(), err)
	if reading.result.Outcome == OutcomeRead {
		if isMissing, err := s.isDayMissing(ctx, target, stem); !isMissing {
			return nil, err
		}
		if err := s.settings.Store.Save(ctx, reading.documents); err != nil {
			return nil, err
		}
	}
	s.settings.OnResult(reading.result)
	return &reading.result, nil
}

// IsDayMissing reports whether a requested day is still missing, as ReadDay would find. The error is that of the store.
func IsDayMissing(ctx context.Context, settings Settings, target Target, stem string) (bool, error) {
	return New(settings).isDayMissing(ctx, target, stem)
}

// isDayMissing loads the progress and reports whether the day is still to be read into the documents of the stem.
func (s *Source) isDayMissing(ctx context.Context, target Target, stem string) (bool, error) {
	raw, err := s.settings.Store.Load(ctx, progressName)
	if err != nil {
		return false, err
	}
	table, err := decodeProgress(raw)
	if err != nil {
		return false, nil //nolint:nilerr // the leader reads everything again
	}
	s.table = &table
	progress := table.targets[target]
	if !table.isMissed(target) || table.stems[target] != stem || s.isCovered(target, &progress) {
		return false, nil
	}
	header, err := s.loadDay(ctx, target)
	return header == nil && err == nil, err
}
