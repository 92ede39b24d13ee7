package ledger

import (
	"slices"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// EntryLogin names the samples that have an account's present login, where that is not the one of its newest event.
const EntryLogin = "account_login"

// LoginKey is the key of an account's present login.
func LoginKey(account int64) EntryKey {
	return EntryKey{Name: EntryLogin, Labels: [2]string{"", strconv.FormatInt(account, 10)}}
}

// accountKey is what makes a user one: the account's id, or the name where there is no id.
type accountKey struct {
	id   int64
	name string
}

func keyOf(a activity.Actor) accountKey {
	if a.ID != 0 {
		return accountKey{id: a.ID}
	}
	return accountKey{name: a.Login}
}

// account is a user of a view, under its newest login.
type account struct {
	actor activity.Actor
	// at is the time of the newest event with the login, in Unix seconds.
	at uint32
	// named is when the login was observed apart from events; then it wins over those. Zero when it was not.
	named time.Time
	// superseded says that another account has the login now, so that this one must have another.
	superseded bool
	// label is under what it is shown; nil when it is not.
	label *userLabel
}

// recency orders two accounts that claim one login.
func (a *account) recency() int64 { return max(int64(a.at), a.named.Unix()) }

// userLabel is a user label, with the accounts that are shown under it.
type userLabel struct {
	text    string
	members []uint32
}

// shared reports whether the series of several accounts add up to the one that is shown.
func (l *userLabel) shared() bool { return len(l.members) > 1 }

// accounts are the users of a view. The login of an account is a function of what the ledger has, whatever the order in
// which it came: that of the newest observation apart from events, otherwise that of the newest event.
type accounts struct {
	labeller func(activity.Actor) (string, bool)
	// relabel is called with accounts whose series are about to be shown under another label, or alone, or together.
	relabel func(members []uint32)
	// leaves is called with an account that is about to leave a label which others still have.
	leaves func(label *userLabel, member uint32)
	byKey  map[accountKey]uint32
	list   []account
	labels map[string]*userLabel
	// holders have, of each login, the account with an id that has it.
	holders map[string]uint32
}

func newAccounts(
	labeller func(activity.Actor) (string, bool), relabel func([]uint32), leaves func(*userLabel, uint32),
) *accounts {
	return &accounts{
		labeller: labeller, relabel: relabel, leaves: leaves,
		byKey: make(map[accountKey]uint32), labels: make(map[string]*userLabel), holders: make(map[string]uint32),
	}
}

// see gives the account of an actor of an event at a time.
func (a *accounts) see(actor activity.Actor, at uint32) uint32 {
	n, known := a.byKey[keyOf(actor)]
	if !known {
		return a.add(actor, at)
	}
	acc := &a.list[n]
	switch {
	case acc.actor.Login == actor.Login:
		acc.at = max(acc.at, at)
		if acc.superseded {
			a.claim(n)
		}
	case acc.named.IsZero() && (at > acc.at || (at == acc.at && actor.Login > acc.actor.Login)):
		acc.at = at
		a.rename(n, actor.Login)
	}
	return n
}

func (a *accounts) add(actor activity.Actor, at uint32) uint32 {
	n := uint32(len(a.list)) //nolint:gosec // there are not 2³² accounts
	a.byKey[keyOf(actor)] = n
	a.list = append(a.list, account{actor: actor, at: at})
	a.claim(n)
	a.setLabel(n)
	return n
}

// observe takes a login that was observed apart from events.
func (a *accounts) observe(id int64, login string, observed time.Time) {
	actor := activity.Actor{ID: id, Login: login}
	n, known := a.byKey[keyOf(actor)]
	if !known {
		n = a.add(actor, 0)
	}
	acc := &a.list[n]
	if observed.Before(acc.named) {
		return
	}
	acc.named = observed
	if acc.actor.Login != login {
		a.rename(n, login)
	} else {
		a.claim(n)
	}
}

// rename gives an account another login, and its former one to who else has it.
func (a *accounts) rename(n uint32, login string) {
	acc := &a.list[n]
	former := acc.actor.Login
	acc.actor.Login, acc.superseded = login, false
	if holder, ok := a.holders[former]; ok && holder == n {
		delete(a.holders, former)
		for i := range a.list {
			if a.list[i].superseded && a.list[i].actor.Login == former {
				a.claim(uint32(i))
			}
		}
	}
	a.claim(n)
	a.setLabel(n)
}

// claim makes an account the holder of its login, unless another one was seen with it later.
func (a *accounts) claim(n uint32) {
	acc := &a.list[n]
	if acc.actor.ID == 0 {
		return
	}
	holder, held := a.holders[acc.actor.Login]
	if held && holder == n {
		return
	}
	if held && !a.isNewer(n, holder) {
		a.supersede(n, true)
		return
	}
	a.holders[acc.actor.Login] = n
	a.supersede(n, false)
	if held {
		a.supersede(holder, true)
	}
}

func (a *accounts) isNewer(n, than uint32) bool {
	x, y := &a.list[n], &a.list[than]
	return x.recency() > y.recency() || (x.recency() == y.recency() && x.actor.ID > y.actor.ID)
}

func (a *accounts) supersede(n uint32, superseded bool) {
	acc := &a.list[n]
	if acc.superseded == superseded {
		return
	}
	acc.superseded = superseded
	if acc.label != nil || !superseded {
		a.setLabel(n)
	}
}

// setLabel shows an account under the label of its login. Who has lost its login is shown by its id until its present
// one is seen.
func (a *accounts) setLabel(n uint32) {
	acc := &a.list[n]
	actor := acc.actor
	if id := strconv.FormatInt(actor.ID, 10); acc.superseded && actor.IsBot() {
		actor = activity.Bot(actor.ID, id)
	} else if acc.superseded {
		actor.Login = id
	}
	text, shown := a.labeller(actor)
	if acc.label != nil && shown && acc.label.text == text {
		return
	}
	if was := acc.label; was != nil {
		if len(was.members) <= 2 { // one series less, or one that is alone from now on
			a.relabel(was.members)
		}
		if len(was.members) > 1 {
			a.leaves(was, n)
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
		a.relabel(l.members)
	}
	l.members = append(l.members, n)
	acc.label = l
}
