// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package teams reads the teams of an organization with their members, at an interval of its own:
//
//	Read ── list the teams ── members of the selected ones ── compare with what is stored ── commit what changed
//
// A team is an entry of the ledger (ledger.Team), in several parts if it is large. An entry is written when its content
// has changed, and emptied when the team is gone or not selected any more. The state (ledger.TeamsState) says when the
// teams were read: a new leader continues from it.
package teams

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

const (
	// maxFailures is the number of teams in a reading that may fail; with one more, the reading has failed.
	maxFailures = 10
	// maxBatchEntries bounds the entries of a commit, apart from those of a single team.
	maxBatchEntries = 100
	// MinKeepTime is how long teams are shown at least that can no longer be read.
	MinKeepTime = 24 * time.Hour
)

// KeepTime returns how long teams are shown that can no longer be read.
func KeepTime(interval time.Duration) time.Duration { return max(MinKeepTime, 3*interval) }

// Source reads teams from GitHub, as *github.Client does. Its errors are those of the packages github and transport.
type Source interface {
	ListTeams(ctx context.Context, req github.TeamsRequest) ([]github.Team, error)
	ReadTeamMembers(
		ctx context.Context, req github.TeamsRequest, teams []github.Team, onResult func(github.TeamMembers) error,
	) error
}

// Committer commits batches, as *collect.Collector does.
type Committer interface {
	Now() time.Time
	Coverage(ctx context.Context) (ledger.Coverage, error)
	CommitAsLeader(ctx context.Context, fence uint64, b ledger.Batch) (ledger.Receipt, error)
}

// View has the entries that this replica has received, as *ledgerview.View does.
type View interface {
	LedgerStart() time.Time
	Entry(key ledger.EntryKey) (ledger.Entry, bool)
	Entries(name string) []ledger.Entry
}

// Settings configure a Reader.
type Settings struct {
	Org       string
	Source    Source
	Committer Committer
	View      View
	Selection Selection
	// Interval is the time between two readings.
	Interval time.Duration
}

// Reader reads the teams of an organization. It is for one goroutine.
type Reader struct{ settings Settings }

// New makes a reader.
func New(settings Settings) *Reader { return &Reader{settings: settings} }

// Result describes a reading.
type Result struct {
	// Listed is the number of teams that GitHub lists, Selected of those that the settings select.
	Listed, Selected int
	// Changed is the number of teams whose entries were written, Removed of those that ended.
	Changed, Removed int
	// Failures are the teams whose members could not be read; their entries stay.
	Failures []Failure
	// Unmatched are the patterns of Selection.Include and Exclude that match no team.
	Unmatched []string
}

// Failure is a team that could not be read.
type Failure struct {
	Slug string
	Err  error
}

// ErrReplaced is the error of a ledger that this replica does not have yet.
var ErrReplaced = errors.New("the ledger was reset or replaced; the teams are read again")

// DueAt returns when the next reading is due: at once after a change of the settings, and after the first start.
func (r *Reader) DueAt() time.Time {
	state, err := r.state()
	if err != nil || state.Selection != r.settings.Selection.Fingerprint() {
		return time.Time{}
	}
	return state.ReadAt.Add(r.settings.Interval)
}

// state returns the state of the last reading; the error is that of one that does not exist.
func (r *Reader) state() (ledger.TeamsState, error) {
	entry, _ := r.settings.View.Entry(ledger.TeamsStateKey())
	return ledger.DecodeTeamsState(entry.Data)
}

// Read reads the teams and commits what changed, with the fence of the term. Its error is that of the store, of the
// context, or of GitHub; a team that fails alone is a failure of the result.
func (r *Reader) Read(ctx context.Context, fence uint64) (Result, error) {
	cov, err := r.settings.Committer.Coverage(ctx)
	if err != nil {
		return Result{}, err
	}
	if !cov.LedgerStart.Equal(r.settings.View.LedgerStart()) {
		return Result{}, ErrReplaced
	}
	selection := &r.settings.Selection
	req := github.TeamsRequest{Org: r.settings.Org, Secret: selection.Secret, Nested: selection.Nested}
	listed, err := r.settings.Source.ListTeams(ctx, req)
	if err != nil {
		return Result{}, err
	}
	reading := r.newReading(fence, cov.Basis)
	reading.result.Unmatched = unmatched(selection, listed)
	reading.result.Listed = len(listed)
	var selected []github.Team
	for _, team := range listed {
		if selection.Selects(team.Slug, team.Secret) {
			selected = append(selected, team)
			reading.wanted[team.ID] = true
		}
	}
	reading.result.Selected = len(selected)
	err = r.settings.Source.ReadTeamMembers(ctx, req, selected, func(m github.TeamMembers) error {
		return reading.add(ctx, &m)
	})
	if err == nil {
		err = reading.finish(ctx)
	}
	return reading.result, err
}

// unmatched returns the patterns that match no team of a list. That of everything is no mistake.
func unmatched(selection *Selection, listed []github.Team) []string {
	var texts []string
	for _, p := range slices.Concat(selection.Include, selection.Exclude) {
		matches := func(team github.Team) bool { return p.Match(team.Slug) }
		if p.String() != "*" && !slices.ContainsFunc(listed, matches) {
			texts = append(texts, p.String())
		}
	}
	return texts
}

// reading is one reading of the teams.
type reading struct {
	reader *Reader
	fence  uint64
	basis  string
	// wanted has the selected teams, failed those whose members could not be read.
	wanted map[int64]bool
	failed []ledger.FailedTeam
	before ledger.TeamsState
	batch  []ledger.Entry
	result Result
}

func (r *Reader) newReading(fence uint64, basis string) *reading {
	before, _ := r.state() // zero for none
	return &reading{reader: r, fence: fence, basis: basis, before: before, wanted: make(map[int64]bool)}
}

// add adds the members of a team, or its failure.
func (g *reading) add(ctx context.Context, m *github.TeamMembers) error {
	if m.Err != nil {
		g.result.Failures = append(g.result.Failures, Failure{Slug: m.Team.Slug, Err: m.Err})
		if len(g.result.Failures) > maxFailures {
			return fmt.Errorf("more than %d teams, among them %s: %w", maxFailures, m.Team.Slug, m.Err)
		}
		g.failed = append(g.failed, ledger.FailedTeam{ID: m.Team.ID, Since: g.readBefore(m.Team.ID)})
		return nil
	}
	team := ledger.Team{
		ID: m.Team.ID, Slug: m.Team.Slug, Secret: m.Team.Secret, Nested: g.reader.settings.Selection.Nested,
		Members: m.Members,
	}
	if g.put(team.ID, team.Encode()) {
		g.result.Changed++
	}
	if len(g.batch) < maxBatchEntries {
		return nil
	}
	return g.commit(ctx)
}

// readBefore returns when the members of a team were last read.
func (g *reading) readBefore(id int64) time.Time {
	for _, failed := range g.before.Failed {
		if failed.ID == id {
			return failed.Since
		}
	}
	return g.before.ReadAt
}

// put adds the parts of a team to the batch unless all of them are stored, and empties those that it has no more. It
// reports whether there was a change.
func (g *reading) put(id int64, parts [][]byte) (changed bool) {
	var entries []ledger.Entry
	for part := 0; ; part++ {
		key := ledger.TeamKey(id, part)
		stored, known := g.reader.settings.View.Entry(key)
		var data []byte
		if part < len(parts) {
			data = parts[part]
		} else if !known {
			break
		}
		if !bytes.Equal(stored.Data, data) {
			observed := g.reader.settings.Committer.Now()
			if stored.Observed.After(observed) { // by the clock of a former leader
				observed = stored.Observed
			}
			entries = append(entries, ledger.Entry{EntryKey: key, Data: data, Observed: observed})
		}
	}
	g.batch = append(g.batch, entries...)
	return len(entries) > 0
}

// finish ends the teams that are not selected any more, and commits the rest with the state.
func (g *reading) finish(ctx context.Context) error {
	view := g.reader.settings.View
	for _, entry := range view.Entries(ledger.EntryTeam) {
		if id, ok := ledger.ParseTeamKey(entry.EntryKey); ok && !g.wanted[id] && g.put(id, nil) {
			g.result.Removed++
		}
	}
	state := ledger.TeamsState{
		ReadAt: g.reader.settings.Committer.Now(), Selection: g.reader.settings.Selection.Fingerprint(),
		Failed: g.failed,
	}
	observed := state.ReadAt
	if stored, _ := view.Entry(ledger.TeamsStateKey()); stored.Observed.After(observed) {
		observed = stored.Observed
	}
	g.batch = append(g.batch, ledger.Entry{EntryKey: ledger.TeamsStateKey(), Data: state.Encode(), Observed: observed})
	return g.commit(ctx)
}

// commit commits the batch and empties it.
func (g *reading) commit(ctx context.Context) error {
	batch := ledger.Batch{Basis: g.basis, Entries: g.batch}
	_, err := g.reader.settings.Committer.CommitAsLeader(ctx, g.fence, batch)
	g.batch = nil
	return err
}
