// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package flow

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// IssueEvents returns the events of an issue of a repository: each closing, with the time since its creation.
func IssueEvents(repo, number int64, created time.Time, closings []time.Time) []activity.Event {
	events := make([]activity.Event, 0, len(closings))
	for _, at := range closings {
		events = append(events, activity.Event{
			Kind: activity.KindIssueCloseTime, Repo: repo, ID: activity.OccurrenceID(number, at),
			Actor: activity.NoActor(), Time: at, Measures: activity.Measures{seconds(at.Sub(created))},
		})
	}
	return events
}
