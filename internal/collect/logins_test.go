// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// TestLoginTakenByAnotherAccount: an account that has taken the login of another one is shown under it, even if all
// that is read of it is older than the events of the other account under that login, and the other account has no
// events any more.
func TestLoginTakenByAnotherAccount(t *testing.T) {
	t.Parallel()
	eachAPI(t, func(t *testing.T, api github.API) {
		data := newDataset("one", "two")
		data.Users = []githubtest.User{
			{Login: "first", ID: 7, RenamedTo: "ada"}, {Login: "second", ID: 8, RenamedTo: "eve"},
		}
		addCommit(data, "one", noon.Add(-time.Minute)).Login = new("first")
		var shows func(activity.Actor) bool
		b := newBench(t, api, data, enableBackfill, func(s *Settings) {
			s.ShowsLogin = func(a activity.Actor) bool { return shows(a) }
		})
		shows = func(a activity.Actor) bool { return b.newView().ShowsLogin(a) }
		b.pass()
		b.clock.Advance(interval)
		b.server.Update(func(d *githubtest.Dataset) {
			d.User("first").RenamedTo, d.User("second").RenamedTo = "bob", "ada"
			c := addCommit(d, "two", noon.Add(-time.Hour))
			c.Login, c.PushedAt = new("second"), b.clock.Now()
		})
		b.pass()
		users := make(map[string]string)
		for series := range b.metrics() {
			users[series.Repo] = series.User
		}
		require.Equal(
			t, map[string]string{"one": "7", "two": "ada"}, users, "the present login of the first is not known",
		)
	})
}

// newView returns the view of a replica that starts now.
func (b *bench) newView() *ledgerview.View {
	b.t.Helper()
	view := ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour, Grace: 15 * time.Minute})
	ctx, cancel := context.WithCancel(b.t.Context())
	defer cancel()
	err := b.store.Follow(ctx, b.collector.settings.Org, func(c ledger.Change) error {
		view.Apply(c)
		if c.CaughtUp {
			cancel()
		}
		return nil
	})
	require.ErrorIs(b.t, err, context.Canceled)
	return view
}
