// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// pullSource reads pull requests and their reviews, by update time.
var pullSource = streamSource{
	stream:        activity.StreamPulls,
	readREST:      func(ctx context.Context, r *reader) error { return r.readPullsREST(ctx) },
	isConditional: true,
	activity: &activitySource{
		selectFirst: func(req *ReadRequest, v *activityVariables) {
			v.Pulls, v.PullFlow = true, req.Streams.Has(activity.StreamPullFlow)
			if v.PullFlow {
				v.PullsFirst = flowPullsPageSize
			}
		},
		selectMember: func(_ *ReadRequest, v *memberVariables) { v.Pulls = true },
		read: func(ctx context.Context, r *reader, data *repositoryActivity, errs []graphqlError) error {
			return r.readPullsGraphQL(ctx, data, errs)
		},
		isBounded: func(*ReadRequest) bool { return false },
	},
	signal: func(n *repositoryNode, m latestUpdates, _ bool, s *activity.Signals) (ok bool) {
		s.Pulls, ok = m.pulls.get(n.ID, n.HasPulls)
		return ok
	},
}

// The numbers of pull requests in a page of GraphQL: of the first one beside commits, which is one point together, of
// the following ones, and of the smallest one. With its flow each pull request has one connection more.
const (
	pullsPageSize     = 25
	flowPullsPageSize = 13
	pullsNextPageSize = 50
	minPullsPageSize  = 5
)

// memberPulls select the first pull requests of a repository in a query for several.
type memberPulls struct {
	Pulls bool `json:"pulls"`
}

// pullVariables select a page of pull requests.
type pullVariables struct {
	Pulls      bool    `json:"pulls"`
	PullsFirst int     `json:"pullsFirst"`
	PullsAfter *string `json:"pullsAfter"`
	flowVariables
}

// newPullEvents returns the events of a pull request itself. Both count for its author.
func (r *reader) newPullEvents(
	number int64, author activity.Actor, created time.Time, merged *time.Time,
) []activity.Event {
	id := activity.NumberID(number)
	events := []activity.Event{r.newEvent(activity.KindPullRequestOpened, id, author, created)}
	if merged != nil {
		events = append(events, r.newEvent(activity.KindPullRequestMerged, id, author, *merged))
	}
	return events
}

// errPullsOff is the error of a repository that has pull requests switched off. That may have happened after its
// discovery: an empty list would be wrong then.
func errPullsOff() error {
	return notInActivity("pull requests are switched off")
}
