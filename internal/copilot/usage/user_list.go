// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package usage

import (
	"strconv"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
)

// userList has the users of a report, each at a position from 0 on. GitHub's ids are numbers, and are kept as such: a
// report may have a hundred thousand users.
type userList struct {
	users    list[userState]
	byNumber map[uint64]int32
	byKey    map[string]int32 // the users without a number, by User.Key
	ids      map[int32]report.ID
	logins   texts
}

type userState struct {
	number   uint64 // the id; 0 for one that is in userList.ids, or absent
	days     uint64 // one bit for each day of the span that had a row
	login    string
	loginDay report.Day
}

func newUserList() userList {
	return userList{
		byNumber: make(map[uint64]int32), byKey: make(map[string]int32), ids: make(map[int32]report.ID),
	}
}

func (l *userList) size() int { return l.users.size }

func (l *userList) at(position int32) *userState { return l.users.at(int(position)) }

// find returns the position of a user, and whether there is one.
func (l *userList) find(user User) (int32, bool) {
	if number := numberOf(user.ID); number > 0 {
		at, ok := l.byNumber[number]
		return at, ok
	}
	at, ok := l.byKey[user.Key()]
	return at, ok
}

// add adds a user who is not in the list, and returns the position.
func (l *userList) add(user User) int32 {
	at := int32(l.users.size) //nolint:gosec // bounded by the memory
	state := l.at(at)
	if state.number = numberOf(user.ID); state.number > 0 {
		l.byNumber[state.number] = at
	} else {
		l.byKey[user.Key()] = at
		l.ids[at] = user.ID
	}
	if user.Login != "" {
		state.login = l.logins.copyOf(user.Login)
	}
	return at
}

// setLogin replaces the login of a user by that of a newer day.
func (l *userList) setLogin(state *userState, login string, day report.Day) {
	if login != state.login {
		state.login = l.logins.copyOf(login)
	}
	state.loginDay = day
}

// user returns the user at a position.
func (l *userList) user(at int32) User {
	state := l.at(at)
	if state.number > 0 {
		return User{report.ID(strconv.FormatUint(state.number, 10)), state.login}
	}
	return User{l.ids[at], state.login}
}

// numberOf returns the number that an id is, 0 for another one: a number is written in one way alone.
func numberOf(id report.ID) uint64 {
	number, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil || strconv.FormatUint(number, 10) != string(id) {
		return 0
	}
	return number
}
