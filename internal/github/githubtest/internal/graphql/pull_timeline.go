// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package graphql

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// changeTypes are GraphQL's types of the changes.
var changeTypes = map[string]string{
	served.ChangeClosed:    "ClosedEvent",
	served.ChangeMerged:    "MergedEvent",
	served.ChangeReopened:  "ReopenedEvent",
	served.ChangeReady:     "ReadyForReviewEvent",
	served.ChangeDraft:     "ConvertToDraftEvent",
	served.ChangeRequested: "ReviewRequestedEvent",
	served.ChangeDismissed: "ReviewDismissedEvent",
}

// itemTypeOf returns the name of a change in PullRequestTimelineItemsItemType.
func itemTypeOf(change string) string {
	return strings.ToUpper(change) + "_EVENT"
}

// pullTimelineConnection returns the changes of a pull request of the selected types.
func (e *execution) pullTimelineConnection(p served.PullState, a args) (any, error) {
	types := a.strs("itemTypes")
	var rows []row
	for i, c := range e.Changes(p.Pull) {
		if types != nil && !slices.Contains(types, itemTypeOf(c.Name)) {
			continue
		}
		fields := obj{
			"id":        served.NodeID(served.NodeChange, p.Repository.DatabaseID, fmt.Sprintf("%d:%d", p.Number, i)),
			"createdAt": c.At, "actor": actorNode(e.Index.Account(p.Login)), "pullRequest": pullNode{p},
		}
		if c.Review != nil {
			fields["previousReviewState"], fields["review"] = c.Review.State, reviewNode{c.Review}
		}
		rows = append(rows, row{key: served.SortKey(c.At, int64(i)), node: record{changeTypes[c.Name], fields}})
	}
	return connect("PullRequestTimelineItemsConnection", rows, a, false)
}
