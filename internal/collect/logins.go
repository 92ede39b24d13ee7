// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
)

// addLogins adds to a batch the login of each account whose events it has, unless isShown reports that it is already
// shown under that login: the account was renamed.
func addLogins(b *ledger.Batch, isShown func(activity.Actor) bool) {
	checked := make(map[int64]bool)
	for i := range b.Events {
		actor := b.Events[i].Actor
		if actor.ID == 0 || checked[actor.ID] {
			continue
		}
		checked[actor.ID] = true
		if !isShown(actor) {
			entry := ledger.Entry{EntryKey: ledger.LoginKey(actor.ID), Data: []byte(actor.Login), Observed: b.Observed}
			b.Entries = append(b.Entries, entry)
		}
	}
}
