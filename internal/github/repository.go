// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// listingConcurrency bounds the pages of a listing, or the lookups, in flight.
const listingConcurrency = 4

// disabledStreams returns the streams that have nothing to read: pull requests and issues where they are switched off,
// and comments where both are, with those that are read in their listings
// (https://docs.github.com/rest/repos/repos#get-a-repository). An unknown feature counts as
// switched on.
func disabledStreams(pulls, issues *bool) activity.Streams {
	var off activity.Streams
	if isDisabled(pulls) {
		off = off.With(activity.StreamPulls)
	}
	if isDisabled(issues) {
		off = off.With(activity.StreamIssues)
	}
	if isDisabled(pulls) && isDisabled(issues) {
		off = off.With(activity.StreamComments)
	}
	return off.WithDependent()
}

// repository converts a node. isIncomplete says that GitHub did not return a part of it: then its push time and head
// are no signals.
func (n *repositoryNode) repository(m latestUpdates, isIncomplete bool) activity.Repository {
	repo := activity.Repository{
		ID: n.DatabaseID, NodeID: n.ID, Name: n.Name,
		Archived: n.IsArchived, Fork: n.IsFork, Private: n.IsPrivate, Empty: n.IsEmpty,
		FlagsUnknown: n.invalid.hasAny("isArchived", "isFork", "hasIssuesEnabled", "hasPullRequestsEnabled"),
		Signals: activity.Signals{
			PushedAt: n.PushedAt, Archived: n.IsArchived, Disabled: disabledStreams(n.HasPulls, n.HasIssues),
		},
	}
	for _, source := range streamSources {
		if source.signal(n, m, isIncomplete, &repo.Signals) {
			repo.Signals.Streams = repo.Signals.Streams.With(source.stream)
		}
	}
	repo.Signals.Streams = repo.Signals.Streams.WithDependent()
	return repo
}

// repositoryName matches the names that GitHub allows; neither "." nor ".." is one.
var repositoryName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}$`)

// isValidRepository reports whether a repository has an id and a name that GitHub allows. It reports one that has
// not.
func (c *Client) isValidRepository(id int64, name string) bool {
	if id > 0 && repositoryName.MatchString(name) && strings.Trim(name, ".") != "" {
		return true
	}
	err := fmt.Errorf("repository %d %q: no id, or a name that GitHub does not allow", id, transport.Printable(name))
	c.transport.ReportInvalidValue(err)
	return false
}
