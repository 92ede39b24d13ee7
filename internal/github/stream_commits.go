// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v66/github"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// commitSource reads the commits of the default branch. A reading goes from the head of the former one to the present
// one, whatever the dates of the commits are, or lists a window of committer dates.
var commitSource = streamSource{
	stream:   activity.StreamCommits,
	readREST: func(ctx context.Context, r *reader) error { return r.resolveHeads(ctx, r.readCommitsREST(ctx)) },
	activity: &activitySource{
		selectFirst: selectFirstCommits,
		selectMember: func(req *ReadRequest, v *memberVariables) {
			v.memberCommits = memberCommits{Commits: true, Since: req.commitsSince()}
		},
		read: func(ctx context.Context, r *reader, data *repositoryActivity, errs []graphqlError) error {
			return r.resolveHeads(ctx, r.readCommitsGraphQL(ctx, data, errs))
		},
		isBounded: func(req *ReadRequest) bool { return req.ReadHead != "" },
	},
	signal: func(n *repositoryNode, _ latestUpdates, isIncomplete bool, s *activity.Signals) bool {
		if n.Branch != nil && n.Branch.Target != nil {
			s.Head = n.Branch.Target.OID
		}
		return !isIncomplete && (n.invalid == nil || n.invalid.hasOnly(factNodeFields...))
	},
}

// selectFirstCommits selects the first page: from ReadRequest.AtCommit, or from the default branch's head.
func selectFirstCommits(req *ReadRequest, v *activityVariables) {
	if req.AtCommit == "" {
		v.Head = true
	} else {
		v.selectCommit(req.AtCommit)
	}
}

// readCommitsGraphQL reads commits from their first page on.
func (r *reader) readCommitsGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	target := data.target()
	if at := r.request.AtCommit; at != "" && (target == nil || target.OID != at) {
		return missingCommitError(errs)
	}
	if target == nil {
		if e := errorBelow(errs, "defaultBranchRef"); e != nil {
			return partError(activityQuery, e)
		}
		if r.request.hadCommits() { // one that had commits cannot become empty
			return notInActivity("no commits where there were some")
		}
		return nil // an empty repository
	}
	if !isObjectName(target.OID) {
		return &transport.UnavailableError{
			Response: transport.Response{Endpoint: activityQuery.name, Status: http.StatusOK}, Err: errNoHead,
		}
	}
	r.result.Head = target.OID
	if target.OID == r.request.ReadHead {
		return nil
	}
	w := newHistoryWalk(r.request.ReadHead, r.request.Since[activity.StreamCommits])
	v := r.newActivityVariables()
	v.selectCommit(target.OID)
	for range maxPages {
		more, err := r.handleCommitPage(ctx, target, errs, w, &v)
		if err != nil || !more {
			return err
		}
		if data, errs, err = r.requestActivity(ctx, &v); err != nil {
			return err
		}
		if target = data.target(); target == nil {
			return missingDataError(activityQuery, errs, "commit")
		}
	}
	return errEndless(activityQuery.name)
}

// handleCommitPage emits a page and reports whether another one is needed, for which it sets the variables.
func (r *reader) handleCommitPage(
	ctx context.Context, target *commitTarget, errs []graphqlError, w *historyWalk, v *activityVariables,
) (bool, error) {
	target, err := r.completePage(ctx, target, errs, v)
	if err != nil {
		return false, err
	}
	nodes := target.History.Nodes
	fresh := nodes
	if r.request.ReadHead != "" {
		fresh = w.newCommits(nodes)
	}
	r.former.addNodes(nodes)
	if r.linesApart && !r.request.SkipLines {
		if err := r.fillLines(ctx, fresh); err != nil {
			return false, err
		}
	}
	if err := r.emitListed(r.commitEvents(fresh)); err != nil {
		return false, err
	}
	if err := r.checkLines(ctx); err != nil {
		return false, err
	}
	info := target.History.PageInfo
	if !info.HasNextPage || (r.request.ReadHead != "" && w.isComplete(nodes)) {
		return false, nil
	}
	if !v.nextPage(info.EndCursor) {
		return false, errEndless(activityQuery.name)
	}
	return true, nil
}

// completePage returns a page without gaps, which takes further requests where lines made a part of it null.
func (r *reader) completePage(
	ctx context.Context, target *commitTarget, errs []graphqlError, v *activityVariables,
) (*commitTarget, error) {
	if err := fieldUnavailable(activityQuery, errs, "history"); err != nil {
		return nil, err
	}
	if target.History == nil || target.History.Nodes == nil || hasNull(target.History.Nodes) {
		return r.requestWithoutLines(ctx, errs, v)
	}
	return target, nil
}

// hasNull reports whether a row of a page is missing.
func hasNull(nodes []*commitNode) bool {
	for _, n := range nodes {
		if n == nil {
			return true
		}
	}
	return false
}

// requestWithoutLines requests a page again that the lines of a single commit made null, and then the lines alone.
func (r *reader) requestWithoutLines(
	ctx context.Context, errs []graphqlError, v *activityVariables,
) (*commitTarget, error) {
	if e := errorAtField(errs, "additions", "deletions"); e == nil {
		return nil, missingDataError(activityQuery, errs, "history")
	}
	again := *v
	again.Lines = false
	data, errs, err := r.requestActivity(ctx, &again)
	if err != nil {
		return nil, err
	}
	target := data.target()
	if target == nil || target.History == nil || hasNull(target.History.Nodes) {
		return nil, missingDataError(activityQuery, errs, "history")
	}
	if err := fieldUnavailable(activityQuery, errs, "history"); err != nil {
		return nil, err
	}
	return target, r.fillLines(ctx, target.History.Nodes)
}

// commitEvents converts rows. It drops those without lines that are wanted, and those that cannot be decoded.
func (r *reader) commitEvents(nodes []*commitNode) []activity.Event {
	events := make([]activity.Event, 0, len(nodes))
	for _, n := range nodes {
		if n.linesUnavailable {
			continue
		}
		if n.invalid != nil {
			r.client.reportInvalidRow(activityQuery.name, n.invalid)
			if !n.invalid.hasOnly("additions", "deletions") {
				continue
			}
		}
		id, err := activity.CommitID(n.OID)
		if err != nil {
			r.client.transport.ReportInvalidValue(err)
			continue
		}
		e := r.newEvent(activity.KindCommit, id, n.Author.actor(), n.CommittedDate)
		if !n.isMerge() && n.Additions != nil && n.Deletions != nil {
			e.Measures = activity.Lines(clampLines(*n.Additions), clampLines(*n.Deletions))
		}
		events = append(events, e)
	}
	return events
}

// readCommitsREST reads from the head of the former reading to the present one, or a window of committer dates.
func (r *reader) readCommitsREST(ctx context.Context) error {
	if r.request.ReadHead != "" && r.request.AtCommit == "" {
		if isDone, err := r.compareBranch(ctx); isDone || err != nil {
			return err
		}
	}
	return r.readToHead(ctx)
}

// defaultBranch is Git's name of the default branch, which no other branch or tag has.
const defaultBranch = "HEAD"

// compareBranch reads the commits between ReadHead and the default branch by its name. That is one request when a page
// has all of them, since it shows the new head as well. Otherwise isDone is false: a push between two pages would shift
// the rows.
func (r *reader) compareBranch(ctx context.Context) (isDone bool, err error) {
	comparison, info, err := r.requestComparison(ctx, defaultBranch, "1")
	if isIncomparable(err) {
		return false, nil // the old head is gone
	}
	if err != nil || info.next {
		return false, err
	}
	head := r.request.ReadHead
	if comparison.GetStatus() != "identical" {
		head = newestCommit(comparison)
	}
	if head == "" {
		return false, nil
	}
	r.result.Head = head
	return true, r.emitCommits(ctx, comparison.Commits, info.invalid)
}

// newestCommit returns the one commit that is no parent of another; empty when the comparison does not have exactly
// one.
func newestCommit(c *gogithub.CommitsComparison) string {
	if c.GetTotalCommits() != len(c.Commits) {
		return ""
	}
	parents, seen := make(map[string]bool, len(c.Commits)), make(map[string]bool, len(c.Commits))
	for _, row := range c.Commits {
		if row == nil || seen[row.GetSHA()] {
			return ""
		}
		seen[row.GetSHA()] = true
		for _, parent := range row.Parents {
			parents[parent.GetSHA()] = true
		}
	}
	found := ""
	for _, row := range c.Commits {
		switch sha := row.GetSHA(); {
		case parents[sha]:
		case found != "":
			return ""
		default:
			found = sha
		}
	}
	if !isObjectName(found) {
		return ""
	}
	return found
}

// readToHead reads commits up to the present head, which it requests first, so that a push meanwhile moves no row.
func (r *reader) readToHead(ctx context.Context) error {
	head, err := r.startCommit(ctx)
	if err != nil || head == "" || head == r.request.ReadHead {
		r.result.Head = head
		return err
	}
	r.result.Head = head
	if r.request.ReadHead != "" {
		if err = r.compareHead(ctx, head); !isIncomparable(err) {
			return err
		} // the old head is gone: the history was rewritten, and what is in the horizon is listed
	}
	if !r.request.Until[activity.StreamCommits].IsZero() && !r.request.SkipLines {
		return r.readPastCommits(ctx, head)
	}
	return r.listCommits(ctx, head)
}

// startCommit returns the commit from which commits are listed.
func (r *reader) startCommit(ctx context.Context) (string, error) {
	if r.request.AtCommit != "" {
		return r.request.AtCommit, nil
	}
	return r.requestHead(ctx, r.request.hadCommits())
}

// requestHead returns the object name of the default branch's newest commit; empty in an empty repository, whose
// response is 409, unless it had commits (https://docs.github.com/rest/commits/commits#list-commits).
func (r *reader) requestHead(ctx context.Context, hadCommits bool) (string, error) {
	rows, _, err := requestREST(ctx, r.client, restRequest{
		endpoint: commitsEndpoint, path: r.path("/commits"), query: queryValues("per_page", "1"),
	}, commitRows)
	var refused *transport.NotFoundError
	// One that had commits cannot become empty.
	isEmpty := errors.As(err, &refused) && refused.Status == http.StatusConflict &&
		strings.Contains(refused.Message, "empty")
	if isEmpty && !hadCommits {
		return "", nil
	}
	if err == nil && len(rows) == 0 && hadCommits {
		err = malformed(commitsEndpoint, "no commits where there were some")
	}
	if err == nil && len(rows) > 0 && !isObjectName(rows[0].GetSHA()) {
		err = &transport.UnavailableError{Response: transport.Response{Endpoint: commitsEndpoint}, Err: errNoHead}
	}
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0].GetSHA(), nil
}

// compareHead reads the commits that the new head reaches and the former one does not.
func (r *reader) compareHead(ctx context.Context, head string) error {
	fetch := func(ctx context.Context, number string) (commitRowList, restPage, error) {
		comparison, info, err := r.requestComparison(ctx, head, number)
		if comparison == nil {
			return nil, info, err
		}
		return comparison.Commits, info, err
	}
	return r.emitCommitPages(ctx, compareEndpoint, fetch)
}

// requestComparison requests a page of the commits that a commit or a branch has and the former head has not
// (https://docs.github.com/rest/commits/commits#compare-two-commits).
func (r *reader) requestComparison(
	ctx context.Context, head, number string,
) (*gogithub.CommitsComparison, restPage, error) {
	comparison, info, err := requestREST(ctx, r.client, restRequest{
		endpoint: compareEndpoint, path: r.path("/compare/" + r.request.ReadHead + "..." + head),
		query: queryValues("per_page", strconv.Itoa(perPage), "page", number), expectsNotFound: true,
	}, comparisonFormat)
	if err == nil && !slices.Contains(comparisonStatuses, comparison.GetStatus()) {
		err = malformed(compareEndpoint, "a response without a comparison")
	}
	r.former.observe(r.request.ReadHead, comparison.GetStatus(), err)
	return comparison, info, err
}

// listCommits reads commits by committer date.
func (r *reader) listCommits(ctx context.Context, head string) error {
	fetch := func(ctx context.Context, number string) (commitRowList, restPage, error) {
		return r.requestCommits(ctx, head, number)
	}
	return r.emitCommitPages(ctx, commitsEndpoint, fetch)
}

// readPastCommits reads a window of the past. Each commit takes a request for its lines, which may be more than the
// limit allows now: so all commits are listed first, and then read by date, the newest first, so that the commits
// that were read count when the others fail.
func (r *reader) readPastCommits(ctx context.Context, head string) error {
	var all []restCommit
	fetch := func(ctx context.Context, number string) (commitRowList, restPage, error) {
		return r.requestCommits(ctx, head, number)
	}
	err := r.eachCommitPage(ctx, commitsEndpoint, fetch, func(rows commitRowList, invalid map[int]fieldErrors) error {
		all = append(all, r.toRestCommits(rows, invalid)...)
		return nil
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b restCommit) int { return b.event.Time.Compare(a.event.Time) })
	for some := range slices.Chunk(all, detailConcurrency) {
		if err := r.emitWithLines(ctx, some); err != nil {
			return err
		}
		oldest := some[len(some)-1].event.Time.Truncate(time.Second)
		r.result.CoveredFrom[activity.StreamCommits] = oldest.Add(time.Second) // there may be others of the same second
	}
	return nil
}

// requestCommits requests a page of commits by committer date.
func (r *reader) requestCommits(ctx context.Context, head, number string) (commitRowList, restPage, error) {
	query := queryValues("sha", head, "per_page", strconv.Itoa(perPage), "page", number,
		"since", formatTime(r.request.Since[activity.StreamCommits]))
	if until := r.request.Until[activity.StreamCommits]; !until.IsZero() && r.request.ReadHead == "" {
		query.Set("until", formatTime(until))
	}
	return requestREST(ctx, r.client, restRequest{
		endpoint: commitsEndpoint, path: r.path("/commits"), query: query,
	}, commitRows)
}

// emitCommitPages emits the commits of a listing page by page.
func (r *reader) emitCommitPages(
	ctx context.Context, endpoint string, fetch fetchCommits,
) error {
	return r.eachCommitPage(ctx, endpoint, fetch, func(rows commitRowList, invalid map[int]fieldErrors) error {
		return r.emitCommits(ctx, rows, invalid)
	})
}

// emitCommits emits commits with their lines.
func (r *reader) emitCommits(ctx context.Context, rows commitRowList, invalid map[int]fieldErrors) error {
	r.former.addRows(rows)
	return r.emitWithLines(ctx, r.toRestCommits(rows, invalid))
}

// emitWithLines emits commits with their lines. Those that have them are emitted also where others fail.
func (r *reader) emitWithLines(ctx context.Context, commits []restCommit) error {
	events, err := r.addLines(ctx, commits)
	if err == nil {
		err = r.emitListed(events)
	}
	if err == nil {
		err = r.checkLines(ctx)
	}
	return err
}

// eachCommitPage calls handle for each page of a listing of commits.
func (r *reader) eachCommitPage(
	ctx context.Context, endpoint string, fetch fetchCommits,
	handle func(rows commitRowList, invalid map[int]fieldErrors) error,
) error {
	for number := 1; number <= maxPages; number++ {
		rows, info, err := fetch(ctx, strconv.Itoa(number))
		if err != nil {
			return err
		}
		if err := handle(rows, info.invalid); err != nil {
			return err
		}
		if !info.next || len(rows) == 0 {
			return nil
		}
	}
	return errEndless(endpoint)
}
