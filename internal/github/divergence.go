// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// maxComparisonPages bounds the pages of a comparison. For more commits it is cheaper to list the branch.
	maxComparisonPages = 50
	// listingMargin is how far before the horizon a listing ends: clients choose the dates of commits, and a commit
	// may be listed after an older one.
	listingMargin = 24 * time.Hour
)

// emitListed emits commits that are listed from the head of the result, after the first call of ReadRequest.OnHead.
func (r *reader) emitListed(events []activity.Event) error {
	if len(events) > 0 && !r.headReported && r.request.OnHead != nil {
		r.request.OnHead(r.result.Head)
		r.headReported = true
	}
	return r.emitValid(events)
}

// resolveHeads finds the commits that the former heads reach and the present one does not, when the commits were read
// without an error. It sends no request when the reading has met all former heads. Its error is that of the commits.
func (r *reader) resolveHeads(ctx context.Context, err error) error {
	former := r.formerHeads()
	if err != nil || len(former) == 0 {
		return err
	}
	var removed []activity.ID
	var sweep *Sweep
	for _, tip := range former {
		ofTip, compared, err := r.removedSince(ctx, tip)
		if err != nil {
			return err
		}
		removed = append(removed, ofTip...)
		if compared {
			continue
		}
		if sweep, err = r.listBranch(ctx); err != nil {
			return err
		}
		break // the sweep is about the other heads, too
	}
	slices.SortFunc(removed, compareIDs)
	r.result.Removed, r.result.ResolvedTips, r.result.Sweep = slices.Compact(removed), former, sweep
	return nil
}

// compareIDs orders ids by their bytes.
func compareIDs(a, b activity.ID) int { return slices.Compare(a[:], b[:]) }

// formerHeads returns ReadHead and Tips, each once, without the present head.
func (r *reader) formerHeads() []string {
	var list []string
	for _, name := range append([]string{r.request.ReadHead}, r.request.Tips...) {
		if name != "" && name != r.result.Head && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// removedSince returns the commits that a former head reaches and the present one does not. compared is false when
// GitHub does not return all of them: the former head does not exist any more, has no commit in common with the
// present one, or the comparison is too large.
func (r *reader) removedSince(ctx context.Context, tip string) (removed []activity.ID, compared bool, err error) {
	switch r.former.relations[tip] {
	case relationReached:
		return nil, true, nil
	case relationNone:
		return nil, false, nil
	case relationUnknown:
	}
	if !isObjectName(tip) {
		return nil, false, nil
	}
	for number := 1; number <= maxComparisonPages; number++ {
		comparison, info, err := r.requestReverseComparison(ctx, tip, number)
		if err != nil {
			return nil, false, ignoreIncomparable(err)
		}
		if comparison.isReached() {
			return nil, true, nil
		}
		for _, row := range comparison.Commits {
			removed = append(removed, row.id())
		}
		if *comparison.Total > maxComparisonPages*perPage || !info.next {
			slices.SortFunc(removed, compareIDs)
			removed = slices.Compact(removed)
			return removed, len(removed) == *comparison.Total, nil
		}
	}
	return removed, false, nil
}

// ignoreIncomparable drops the error of a comparison that GitHub refuses or fails to compute: it includes the
// difference of all files, which may take too long each time. An error without a response stays.
func ignoreIncomparable(err error) error {
	unavailable, ok := errors.AsType[*transport.UnavailableError](err)
	if isIncomparable(err) || ok && unavailable.Status != 0 {
		return nil
	}
	return err
}

// requestReverseComparison requests a page of the commits that a former head has and the present one has not
// (https://docs.github.com/rest/commits/commits#compare-two-commits).
func (r *reader) requestReverseComparison(
	ctx context.Context, tip string, number int,
) (*reverseComparison, restPage, error) {
	return requestREST(ctx, r.client, restRequest{
		endpoint: compareEndpoint, path: r.path("/compare/" + r.result.Head + "..." + tip),
		query: queryValues("per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)), expectsNotFound: true,
	}, reverseComparisonFormat)
}

// reverseComparison is the used part of a comparison: only the names of its commits.
type reverseComparison struct {
	Status  string        `json:"status"`
	Total   *int          `json:"total_commits"`
	Commits []*objectName `json:"commits"`
}

// reverseComparisonFormat and objectNames must be valid as a whole: each row decides which commits exist.
var (
	reverseComparisonFormat = format[*reverseComparison]{check: checkReverseComparison}
	objectNames             = format[[]*objectName]{maxRows: perPage, check: checkObjectNames}
)

// checkReverseComparison refuses a comparison that lacks its status, its total, or the name of a commit.
func checkReverseComparison(c *reverseComparison, info restPage) error {
	if !slices.Contains(comparisonStatuses, c.Status) || c.Total == nil {
		return errIncomplete
	}
	return checkObjectNames(c.Commits, info)
}

// checkObjectNames refuses a list with a commit that has no object name.
func checkObjectNames(rows []*objectName, info restPage) error {
	return checkRows(rows, info, (*objectName).isComplete)
}

// isReached reports whether the base reaches the head.
func (c *reverseComparison) isReached() bool { return c.Status == "behind" || c.Status == "identical" }

// objectName is the used part of a commit in a listing of existing commits: its name, and its date where that can be
// decoded.
type objectName struct {
	SHA    string `json:"sha"`
	Commit struct {
		Committer struct {
			Date json.RawMessage `json:"date"`
		} `json:"committer"`
	} `json:"commit"`
}

// isComplete reports whether the row has an object name.
func (n *objectName) isComplete(fieldErrors) bool { return isObjectName(n.SHA) }

// id returns the commit's id. The name must be complete.
func (n *objectName) id() activity.ID {
	id, _ := activity.CommitID(n.SHA)
	return id
}

// isBefore reports whether the commit is older than a time. One without a valid date is not.
func (n *objectName) isBefore(t time.Time) bool {
	date := n.date()
	return !date.IsZero() && date.Before(t)
}

// date returns the committer date; zero where it cannot be decoded.
func (n *objectName) date() time.Time {
	var date time.Time
	if json.Unmarshal(n.Commit.Committer.Date, &date) != nil {
		return time.Time{}
	}
	return date
}

// listBranch lists the commits of the present head, without a start, which would hide commits behind older ones. It
// ends at a page that has only commits from before the horizon.
func (r *reader) listBranch(ctx context.Context) (*Sweep, error) {
	since := r.request.Since[activity.StreamCommits]
	keep := slices.Clone(r.former.listed)
	for number := 1; number <= maxPages; number++ {
		rows, info, err := requestREST(ctx, r.client, restRequest{
			endpoint: commitsEndpoint, path: r.path("/commits"),
			query: queryValues("sha", r.result.Head, "per_page", strconv.Itoa(perPage), "page", strconv.Itoa(number)),
		}, objectNames)
		if err != nil {
			return nil, err
		}
		if number == 1 && (len(rows) == 0 || !strings.EqualFold(rows[0].SHA, r.result.Head)) {
			return nil, &transport.UnavailableError{
				Response: transport.Response{Endpoint: commitsEndpoint, Status: http.StatusOK},
				Err:      errors.New("a list of commits without its head"),
			}
		}
		isPast := true
		for _, row := range rows {
			keep = append(keep, row.id())
			isPast = isPast && row.isBefore(since.Add(-listingMargin))
		}
		if isPast || !info.next {
			slices.SortFunc(keep, compareIDs)
			return &Sweep{Since: since, Present: slices.Compact(keep)}, nil
		}
	}
	return nil, errEndless(commitsEndpoint)
}

// missingCommitError is the error of a ReadRequest.AtCommit that does not exist.
func missingCommitError(errs []graphqlError) error {
	if e := errorBelow(errs, "object"); e != nil {
		return partError(activityQuery, e)
	}
	return notInActivity("no such commit any more")
}
