// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/varint"
)

// WeeklyLines are the lines of a repository's week by user.
type WeeklyLines struct {
	// Week is the week's start.
	Week time.Time
	// Complete says that users who are not in Users have no lines in the week. Otherwise theirs are unknown.
	Complete bool
	Users    []UserLines
}

// UserLines are the lines of a user's week.
type UserLines struct {
	Actor          activity.Actor
	Added, Removed uint64
}

const (
	weeklyVersion  = 1
	weeklyComplete = 1
)

// ErrWeeklyLines is returned for data that are no weekly lines.
var ErrWeeklyLines = errors.New("not the lines of a week")

// Encode returns the data of an entry:
//
//	version, flags (1 byte each) │ the week's start in days since 1970 │ for each user: id, the login's length, the
//	login, lines added, lines removed; numbers are varints
//
// If they are too long for an entry, it has the users with the most lines and is not complete.
func (w *WeeklyLines) Encode() []byte {
	users := slices.Clone(w.Users)
	slices.SortFunc(users, func(a, b UserLines) int {
		if a.total() != b.total() {
			if a.total() > b.total() {
				return -1
			}
			return 1
		}
		return slices.Compare([]byte(a.Actor.Login), []byte(b.Actor.Login))
	})
	data := binary.AppendUvarint([]byte{weeklyVersion, 0}, uint64(max(0, w.Week.Unix())/(24*60*60)))
	everybody := w.Complete
	for i := range users {
		longer := users[i].append(data)
		if len(longer) > MaxEntry {
			everybody = false
			break
		}
		data = longer
	}
	if everybody {
		data[1] = weeklyComplete
	}
	return data
}

// total returns the sum of added and removed lines.
func (u *UserLines) total() uint64 { return u.Added + u.Removed }

// append appends the encoded lines of a user.
func (u *UserLines) append(data []byte) []byte {
	data = binary.AppendUvarint(data, uint64(max(0, u.Actor.ID)))
	data = binary.AppendUvarint(data, uint64(len(u.Actor.Login)))
	data = append(data, u.Actor.Login...)
	data = binary.AppendUvarint(data, u.Added)
	return binary.AppendUvarint(data, u.Removed)
}

// DecodeWeeklyLines decodes what Encode encoded. It returns ErrWeeklyLines for other data.
func DecodeWeeklyLines(data []byte) (WeeklyLines, error) {
	var w WeeklyLines
	if len(data) < 2 || len(data) > MaxEntry || data[0] != weeklyVersion || data[1]&^weeklyComplete != 0 {
		return w, ErrWeeklyLines
	}
	w.Complete = data[1]&weeklyComplete != 0
	in := varint.NewReader(data[2:])
	w.Week = time.Unix(int64(in.ReadUvarint(math.MaxUint16))*24*60*60, 0).UTC() //nolint:gosec // 16 bits
	if w.Week.Weekday() != time.Sunday {
		return WeeklyLines{}, ErrWeeklyLines
	}
	for in.HasMore() {
		id := int64(in.ReadUvarint(math.MaxInt64)) //nolint:gosec // 63 bits
		u := UserLines{Actor: activity.Actor{ID: id, Login: in.ReadString()}}
		u.Added, u.Removed = in.ReadUvarint(math.MaxInt64), in.ReadUvarint(math.MaxInt64)
		if u.Actor.Validate() != nil {
			in.Invalidate()
		}
		w.Users = append(w.Users, u)
	}
	if !in.IsComplete() {
		return WeeklyLines{}, ErrWeeklyLines
	}
	return w, nil
}
