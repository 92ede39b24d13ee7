// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// accountKey identifies a user: the account's id, or the login of an actor without an id.
type accountKey struct {
	id   int64
	name string
}

// accountKeyOf returns the key of an actor's account.
func accountKeyOf(a activity.Actor) accountKey {
	if a.ID != 0 {
		return accountKey{id: a.ID}
	}
	return accountKey{name: a.Login}
}

// account is a user of a view, under its newest login.
type account struct {
	actor activity.Actor
	// lastEvent is the time of the newest event with the login, in Unix seconds.
	lastEvent uint32
	// observed is when the login was observed apart from events; such an observation wins over events. Zero without
	// one.
	observed time.Time
	// superseded is set while another account has the login, so that this one must have another by now.
	superseded bool
	// label is the label under which the account is shown; nil when it is not shown.
	label *userLabel
}

// recency orders two accounts that have been seen with one login, in Unix seconds.
func (a *account) recency() int64 { return max(int64(a.lastEvent), a.observed.Unix()) }

// userLabel is a value of the user label, with the indexes of the accounts that are shown under it.
type userLabel struct {
	text    string
	members []uint32
	// shownIn is the visit that showed a series of it last.
	shownIn uint64
}

// isShared reports whether several accounts are shown as one series.
func (l *userLabel) isShared() bool { return len(l.members) > 1 }

// accounts has the users of a view. The login of an account depends only on what the ledger has, not on the order of
// the changes: it is the one observed last apart from events, otherwise that of the newest event.
type accounts struct {
	labeller func(activity.Actor) (string, bool)
	// onRelabel is called with accounts before their series are shown under another label, apart, or as one.
	onRelabel func(members []uint32)
	// onLeave is called with an account before it leaves a label that other accounts still have.
	onLeave func(label *userLabel, member uint32)
	byKey   map[accountKey]uint32
	list    []account
	labels  map[string]*userLabel
	// holders has the index of the account with an id that has a login.
	holders map[string]uint32
}

// newAccounts returns the users of an empty view. relabel and leaves are onRelabel and onLeave.
func newAccounts(
	labeller func(activity.Actor) (string, bool), relabel func([]uint32), leaves func(*userLabel, uint32),
) *accounts {
	return &accounts{
		labeller: labeller, onRelabel: relabel, onLeave: leaves,
		byKey: make(map[accountKey]uint32), labels: make(map[string]*userLabel), holders: make(map[string]uint32),
	}
}

// resolve returns the index of the account of an event's actor, and updates the account's login. at is the event's
// time.
func (a *accounts) resolve(actor activity.Actor, at uint32) uint32 {
	n, known := a.byKey[accountKeyOf(actor)]
	if !known {
		return a.add(actor, at)
	}
	acc := &a.list[n]
	switch {
	case acc.actor.Login == actor.Login:
		acc.lastEvent = max(acc.lastEvent, at)
		if acc.superseded {
			a.claimLogin(n)
		}
	case acc.observed.IsZero() && (at > acc.lastEvent || (at == acc.lastEvent && actor.Login > acc.actor.Login)):
		acc.lastEvent = at
		a.rename(n, actor.Login)
	}
	return n
}

// add adds an account with the login of an event at a time, in Unix seconds, and returns its index.
func (a *accounts) add(actor activity.Actor, at uint32) uint32 {
	n := uint32(len(a.list)) //nolint:gosec // there are not 2³² accounts
	a.byKey[accountKeyOf(actor)] = n
	a.list = append(a.list, account{actor: actor, lastEvent: at})
	a.claimLogin(n)
	a.setLabel(n)
	return n
}

// observeLogin records a login that was observed apart from events.
func (a *accounts) observeLogin(id int64, login string, observed time.Time) {
	actor := activity.Actor{ID: id, Login: login}
	n, known := a.byKey[accountKeyOf(actor)]
	if !known {
		n = a.add(actor, 0)
	}
	acc := &a.list[n]
	if observed.Before(acc.observed) {
		return
	}
	acc.observed = observed
	if acc.actor.Login != login {
		a.rename(n, login)
	} else {
		a.claimLogin(n)
	}
}

// rename gives an account another login, and its former one to the newest of the other accounts that were seen with it.
func (a *accounts) rename(n uint32, login string) {
	acc := &a.list[n]
	former := acc.actor.Login
	acc.actor.Login, acc.superseded = login, false
	if holder, ok := a.holders[former]; ok && holder == n {
		delete(a.holders, former)
		for i := range a.list {
			if a.list[i].superseded && a.list[i].actor.Login == former {
				a.claimLogin(uint32(i))
			}
		}
	}
	a.claimLogin(n)
	a.setLabel(n)
}

// claimLogin makes an account the holder of its login, unless another one was seen with it later.
func (a *accounts) claimLogin(n uint32) {
	acc := &a.list[n]
	if acc.actor.ID == 0 {
		return
	}
	holder, held := a.holders[acc.actor.Login]
	if held && holder == n {
		return
	}
	if held && !a.isNewer(n, holder) {
		a.setSuperseded(n, true)
		return
	}
	a.holders[acc.actor.Login] = n
	a.setSuperseded(n, false)
	if held {
		a.setSuperseded(holder, true)
	}
}

// isNewer reports whether an account was seen later than another one.
func (a *accounts) isNewer(n, than uint32) bool {
	x, y := &a.list[n], &a.list[than]
	return x.recency() > y.recency() || (x.recency() == y.recency() && x.actor.ID > y.actor.ID)
}

// setSuperseded records whether another account has the login of an account, and updates its label.
func (a *accounts) setSuperseded(n uint32, superseded bool) {
	acc := &a.list[n]
	if acc.superseded == superseded {
		return
	}
	acc.superseded = superseded
	if acc.label != nil || !superseded {
		a.setLabel(n)
	}
}

// setLabel shows an account under the label of its login. An account whose login belongs to another one by now is shown
// under its id until its present login is observed.
func (a *accounts) setLabel(n uint32) {
	acc := &a.list[n]
	actor := acc.actor
	if acc.superseded {
		actor = withoutLogin(actor)
	}
	text, shown := a.labeller(actor)
	if acc.label != nil && shown && acc.label.text == text {
		return
	}
	if was := acc.label; was != nil {
		if len(was.members) <= 2 { // one series less, or one that is alone from now on
			a.onRelabel(was.members)
		}
		if len(was.members) > 1 {
			a.onLeave(was, n)
		}
		was.members = slices.DeleteFunc(was.members, func(m uint32) bool { return m == n })
		if acc.label = nil; len(was.members) == 0 {
			delete(a.labels, was.text)
		}
	}
	if !shown {
		return
	}
	l := a.labels[text]
	if l == nil {
		l = &userLabel{text: text}
		a.labels[text] = l
	}
	if len(l.members) == 1 { // it was alone until now
		a.onRelabel(l.members)
	}
	l.members = append(l.members, n)
	acc.label = l
}

// withoutLogin returns an account with its id in place of its login.
func withoutLogin(actor activity.Actor) activity.Actor {
	id := strconv.FormatInt(actor.ID, 10)
	if actor.IsBot() {
		return activity.Bot(actor.ID, id)
	}
	actor.Login = id
	return actor
}

// typeOf returns the type of the accounts of a label; AccountUnknown when they have several.
func (a *accounts) typeOf(label *userLabel) activity.AccountType {
	first := a.list[label.members[0]].actor.AccountType()
	for _, n := range label.members[1:] {
		if a.list[n].actor.AccountType() != first {
			return activity.AccountUnknown
		}
	}
	return first
}
