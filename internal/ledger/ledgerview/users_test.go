// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledgerview

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// TestUsers checks that the users of the last visit are those with a series in it, each with the type of its accounts.
func TestUsers(t *testing.T) {
	t.Parallel()
	of := func(n int64, actor activity.Actor) activity.Event {
		e := event(activity.KindIssueComment, n, actor.Login, noon)
		e.Actor = actor
		return e
	}
	label := func(a activity.Actor) (string, bool) {
		switch a.Login {
		case "eve", "renovate[bot]":
			return "mixed", true
		case "carl", "cora":
			return "two persons", true
		}
		return a.Login, a.Login != "hidden"
	}
	v := viewOf(Settings{Grace: time.Hour, Label: label},
		of(1, activity.Actor{ID: 1, Login: "ada"}), of(2, activity.Actor{ID: 2, Login: "eve"}),
		of(3, activity.Bot(3, "renovate")), of(4, activity.Actor{ID: 4, Login: "hidden"}),
		of(5, activity.Bot(5, "dependabot")), of(6, activity.Bot(198982749, "Copilot")), of(7, activity.Ghost()),
		of(8, activity.Actor{ID: 8, Login: "carl"}), of(9, activity.Actor{ID: 9, Login: "cora"}))
	require.Empty(t, v.Users(), "nothing was shown yet")
	visit(v, noon)
	require.Equal(t, map[string]activity.AccountType{
		"ada": activity.AccountPerson, "two persons": activity.AccountPerson, "dependabot[bot]": activity.AccountBot,
		"Copilot[bot]": activity.AccountAgent,
	}, v.Users())
	cover(v, noon.AddDate(0, 0, 31))
	visit(v, noon.AddDate(0, 0, 31))
	require.Empty(t, v.Users(), "nobody has an event within the retention")
}
