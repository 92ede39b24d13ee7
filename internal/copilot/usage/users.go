// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"iter"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// Users adds up the rows of a users report. It is for one goroutine.
type Users struct {
	settings Settings
	table    table
	users    userList
	counts   Counts
	records  int64
	newest   report.Day
	teams    *Teams
}

// NewUsers starts a report. With teams, the samples are those of teams instead of users: the rows are joined with the
// teams of the same day.
func NewUsers(settings Settings, teams *Teams) *Users {
	settings.Span.Last = min(settings.Span.Last, settings.Span.First+MaxSpan-1)
	return &Users{settings: settings, table: newTable(settings), users: newUserList(), teams: teams}
}

// Add adds a row. It keeps nothing of the row but the login.
func (u *Users) Add(row *report.User) {
	if drop, ok := u.admit(row); !ok {
		u.counts.Dropped[drop]++
	}
}

func (u *Users) admit(row *report.User) (Drop, bool) {
	user := User{row.ID, report.CleanLabel(row.Login)}
	u.records++
	switch {
	case u.settings.MaxRecords > 0 && u.records > u.settings.MaxRecords:
		return DropMaxRecords, false
	case user == User{}:
		return DropUnidentified, false
	case !u.settings.Span.Contains(row.Day):
		return DropOutsideWindow, false
	}
	at, ok := u.users.find(user)
	if !ok {
		if u.settings.MaxUsers > 0 && u.users.size() >= u.settings.MaxUsers {
			return DropMaxUsers, false
		}
		at = u.users.add(user)
	}
	state := u.users.at(at)
	bit := uint64(1) << (row.Day - u.settings.Span.First)
	if state.days&bit != 0 {
		return DropDuplicate, false
	}
	state.days |= bit
	u.use(at, state, user, row)
	return 0, true
}

func (u *Users) use(at int32, state *userState, user User, row *report.User) {
	u.counts.Used++
	u.newest = max(u.newest, row.Day)
	if row.Day > state.loginDay && user.Login != "" {
		u.users.setLogin(state, user.Login, row.Day)
	}
	if u.teams == nil {
		u.table.add(at, row.Day, &row.Counters, &row.Breakdowns)
		u.table.addCredits(at, row.CreditsUsed)
		return
	}
	for _, team := range u.teams.teamsOf(user, row.Day) {
		u.table.add(team, row.Day, &row.Counters, &row.Breakdowns)
		u.table.addCredits(team, row.CreditsUsed)
	}
}

// Counts returns how many rows were used and dropped.
func (u *Users) Counts() Counts { return u.counts }

// Newest returns the newest day with a row; no day without rows.
func (u *Users) Newest() report.Day { return u.newest }

// Samples returns the samples of the users, or of the teams.
func (u *Users) Samples() iter.Seq[Sample] {
	if u.teams != nil {
		return u.table.samples(u.teams.labels)
	}
	labels := func(at int32) Labels { return Labels{User: u.users.user(at)} }
	return joined(u.table.samples(labels), reportDay(u.newest))
}

// joined returns the samples of several sequences.
func joined(sequences ...iter.Seq[Sample]) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		for _, sequence := range sequences {
			for sample := range sequence {
				if !yield(sample) {
					return
				}
			}
		}
	}
}

// reportDay returns the sample of the newest day, none without one.
func reportDay(day report.Day) iter.Seq[Sample] {
	return func(yield func(Sample) bool) {
		if day != 0 {
			yield(Sample{Metric: MetricReportDay, Value: float64(day.Time().Unix())})
		}
	}
}
