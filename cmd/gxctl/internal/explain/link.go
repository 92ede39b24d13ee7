// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package explain

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// link returns the address of GitHub's page of an event. The ledger does not have the pull request of a review, nor the
// issue of a comment: their addresses are searches for what the user reviewed or commented, with the id behind #. It
// does not have the tag of a release either: its address is the list of releases, with the id behind #.
func (c *contents) link(repo string, e *ledgerview.EventRef) string {
	recorded := c.recorded[eventKey{e.Repo, e.Kind, e.ID}]
	base := c.config.GitHub.WebAddress() + "/" + url.PathEscape(c.org.Name) + "/" + url.PathEscape(repo)
	number := binary.BigEndian.Uint64(recorded.id[12:])
	switch e.Kind {
	case activity.KindCommit:
		return base + "/commit/" + hex.EncodeToString(recorded.id[:])
	case activity.KindPullRequestOpened, activity.KindPullRequestMerged:
		return fmt.Sprintf("%s/pull/%d", base, number)
	case activity.KindIssueOpened, activity.KindIssueClosed:
		return fmt.Sprintf("%s/issues/%d", base, number)
	case activity.KindReviewSubmitted:
		return fmt.Sprintf("%s/pulls?q=%s#pullrequestreview-%d", base, search("reviewed-by", recorded.login, e.Time),
			number)
	case activity.KindIssueComment:
		return fmt.Sprintf("%s/issues?q=%s#issuecomment-%d", base, search("commenter", recorded.login, e.Time), number)
	case activity.KindReleasePublished:
		return fmt.Sprintf("%s/releases#%d", base, number)
	default:
		return base
	}
}

// search returns the query of a search for what a user did, escaped
// (https://docs.github.com/search-github/searching-on-github/searching-issues-and-pull-requests).
func search(qualifier, login string, at time.Time) string {
	text := "updated:>=" + at.Format(time.DateOnly)
	if name, isApp := strings.CutSuffix(login, "[bot]"); isApp {
		login = "app/" + name
	}
	if login != "" && !strings.HasPrefix(login, "_") {
		text = qualifier + ":" + login + " " + text
	}
	return url.QueryEscape(text)
}
