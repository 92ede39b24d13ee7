// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package ledger

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// LastCompleteWeek returns the last complete week before t. Weeks start on Sunday 00:00 UTC, as in GitHub's statistics
// (https://docs.github.com/rest/metrics/statistics).
func LastCompleteWeek(t time.Time) activity.Window {
	day := t.UTC().Truncate(24 * time.Hour) // the zero time is a midnight
	end := day.AddDate(0, 0, -int(day.Weekday()))
	return activity.Window{Start: end.AddDate(0, 0, -7), End: end}
}
