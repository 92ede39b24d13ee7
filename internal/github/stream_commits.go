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
	signal: func(n *repositoryNode, _ nodeMarks, isIncomplete bool, s *activity.Signals) bool {
		if n.Branch != nil && n.Branch.Target != nil {
			s.Head = n.Branch.Target.OID
		}
		return !isIncomplete && n.invalid == nil
	},
}

// commitsPageSize is the number of commits in a page of GraphQL.
const commitsPageSize = 100

type commitTarget struct {
	OID     string `json:"oid"`
	History *struct {
		PageInfo pageInfo      `json:"pageInfo"`
		Nodes    []*commitNode `json:"nodes"`
	} `json:"history"`
}

func (a *repositoryActivity) target() *commitTarget {
	if a.Object != nil {
		return a.Object
	}
	if a.Branch != nil {
		return a.Branch.Target
	}
	return nil
}

// commitVariables select a page of commits: of the default branch's head, or of the commit with the object name OID.
type commitVariables struct {
	Head         bool    `json:"head"`
	Pinned       bool    `json:"pinned"`
	OID          *string `json:"oid"`
	Lines        bool    `json:"lines"`
	CommitsFirst int     `json:"commitsFirst"`
	CommitsAfter *string `json:"commitsAfter"`
	Since        *string `json:"since"`
	Until        *string `json:"until"`
}

// memberCommits select the first commits of a repository in a query for several.
type memberCommits struct {
	Commits bool    `json:"commits"`
	Since   *string `json:"since"`
}

// selectCommit selects the commits that a commit reaches, instead of those of the default branch.
func (v *commitVariables) selectCommit(oid string) { v.Head, v.Pinned, v.OID = false, true, &oid }

func (v *commitVariables) selectsCommits() bool { return v.Head || v.Pinned }

// nextPage selects the page after a cursor. It reports whether the cursor is a new one.
func (v *commitVariables) nextPage(cursor string) bool {
	if v.CommitsAfter != nil && *v.CommitsAfter == cursor {
		return false
	}
	v.CommitsAfter = &cursor
	return true
}

// selectFirstCommits selects the first page: from ReadRequest.AtCommit, or from the default branch's head.
func selectFirstCommits(req *ReadRequest, v *activityVariables) {
	if req.AtCommit == "" {
		v.Head = true
	} else {
		v.selectCommit(req.AtCommit)
	}
}

// commitsSince returns the time from which commits are listed; nil for a walk from head to head, which has no bound.
func (r *ReadRequest) commitsSince() *string {
	if r.ReadHead != "" {
		return nil
	}
	since := formatTime(r.Since[activity.StreamCommits])
	return &since
}

// commitsUntil returns the time up to which commits are listed; nil for no bound.
func (r *ReadRequest) commitsUntil() *string {
	end := r.Until[activity.StreamCommits]
	if r.ReadHead != "" || end.IsZero() {
		return nil
	}
	until := formatTime(end)
	return &until
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
		answer := transport.Response{Endpoint: activityQuery.name, Status: http.StatusOK}
		return &transport.UnavailableError{Response: answer, Err: errNoHead}
	}
	r.result.Head = target.OID
	if target.OID == r.request.ReadHead {
		return nil
	}
	w := newWalk(r.request.ReadHead, r.request.Since[activity.StreamCommits])
	v := r.variables()
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

func hasNull(nodes []*commitNode) bool {
	for _, n := range nodes {
		if n == nil {
			return true
		}
	}
	return false
}

// errorBelow returns the first error of a field or of something below it; nil for none.
func errorBelow(errs []graphqlError, name string) *graphqlError {
	for i := range errs {
		if slices.Contains(errs[i].Path, any(name)) {
			return &errs[i]
		}
	}
	return nil
}

func errorAt(errs []graphqlError, names ...string) *graphqlError {
	for i := range errs {
		if slices.ContainsFunc(names, errs[i].atField) {
			return &errs[i]
		}
	}
	return nil
}

// requestWithoutLines requests a page again that the lines of a single commit made null, and then the lines alone.
func (r *reader) requestWithoutLines(
	ctx context.Context, errs []graphqlError, v *activityVariables,
) (*commitTarget, error) {
	if e := errorAt(errs, "additions", "deletions"); e == nil {
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

const (
	commitsEndpoint = "/repos/{owner}/{repo}/commits"
	commitEndpoint  = "/repos/{owner}/{repo}/commits/{ref}"
	compareEndpoint = "/repos/{owner}/{repo}/compare/{basehead}"
)

type (
	// commitRowList is a page of a listing of commits; a row that cannot be decoded keeps its index.
	commitRowList = []*gogithub.RepositoryCommit
	// fetchCommits requests a page of commits by its number.
	fetchCommits func(ctx context.Context, number string) (commitRowList, restPage, error)
)

// commitFields are the fields of a commit that are used.
var commitFields = []string{"sha", "commit", "author", "parents", "stats"}

// commitRows is the format of a page of commits, commitObject that of a commit with its lines, comparisonFormat that of
// what one commit has and another has not.
var (
	commitRows       = listOf(isCompleteCommit, commitFields...)
	commitObject     = objectOf(hasLines, commitFields...)
	comparisonFormat = format[*gogithub.CommitsComparison]{decodeFields: decodeComparison, check: checkComparison}
)

func isCompleteCommit(r *gogithub.RepositoryCommit, wrong fieldErrors) bool {
	committer := r.GetCommit().GetCommitter()
	author := r.Author == nil || (r.Author.ID == nil) == (r.Author.Login == nil) // {} is one without an account
	return wrong.present(r.SHA != nil, "sha") && wrong.present(r.Parents != nil, "parents") && author &&
		wrong.present(committer != nil && committer.Date != nil, "commit")
}

// hasLines reports whether a commit has its lines, or lines that cannot be decoded.
func hasLines(r *gogithub.RepositoryCommit, wrong fieldErrors) bool {
	hasStats := r.Stats != nil && r.Stats.Additions != nil && r.Stats.Deletions != nil
	return r.SHA != nil && wrong.present(hasStats, "stats")
}

func checkComparison(c *gogithub.CommitsComparison, info restPage) error {
	if c.Status == nil || c.Commits == nil {
		return errIncomplete
	}
	return checkRows(c.Commits, info, isCompleteCommit)
}

// decodeComparison decodes the commits of a comparison row by row, and of the rest what is used.
func decodeComparison(body []byte, into **gogithub.CommitsComparison) (map[int]fieldErrors, error) {
	var parts struct {
		Status  *string         `json:"status"`
		Total   json.RawMessage `json:"total_commits"`
		Commits json.RawMessage `json:"commits"`
	}
	if err := json.Unmarshal(body, &parts); err != nil {
		return nil, err
	}
	found := &gogithub.CommitsComparison{Status: parts.Status}
	if err := json.Unmarshal(parts.Total, &found.TotalCommits); err != nil {
		found.TotalCommits = nil // unknown: then no commit counts as the newest
	}
	invalid, err := decodeRows(parts.Commits, &found.Commits, commitFields)
	*into = found
	return invalid, err
}

// detailConcurrency bounds the requests for single commits in flight.
const detailConcurrency = 4

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

// compareBranch compares with the default branch itself. That is one request where a page has everything, since it
// shows the new head as well. Otherwise it is not done: a push between two pages would shift the rows.
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

// readToHead pins the head first, so that a push meanwhile moves no row.
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

// isIncomparable reports whether one of two commits does not exist.
func isIncomparable(err error) bool {
	gone, ok := errors.AsType[*transport.NotFoundError](err)
	return ok && gone.Endpoint == compareEndpoint
}

// requestHead returns the object name of the default branch's newest commit; empty in an empty repository, whose
// response is 409, unless it had commits (https://docs.github.com/rest/commits/commits#list-commits).
func (r *reader) requestHead(ctx context.Context, hadCommits bool) (string, error) {
	rows, _, err := get(ctx, r.client, restRequest{
		endpoint: commitsEndpoint, path: r.path("/commits"), query: values("per_page", "1"),
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

// comparisonStatuses are how one commit may relate to another.
var comparisonStatuses = []string{"ahead", "behind", "diverged", "identical"}

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
	comparison, info, err := get(ctx, r.client, restRequest{
		endpoint: compareEndpoint, path: r.path("/compare/" + r.request.ReadHead + "..." + head),
		query: values("per_page", strconv.Itoa(perPage), "page", number), expectsNotFound: true,
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
		all = append(all, r.commitsOf(rows, invalid)...)
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
	query := values("sha", head, "per_page", strconv.Itoa(perPage), "page", number,
		"since", formatTime(r.request.Since[activity.StreamCommits]))
	if until := r.request.Until[activity.StreamCommits]; !until.IsZero() && r.request.ReadHead == "" {
		query.Set("until", formatTime(until))
	}
	return get(ctx, r.client, restRequest{
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
	return r.emitWithLines(ctx, r.commitsOf(rows, invalid))
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

// restCommit is the used part of a row: the whole row is a hundred times as large.
type restCommit struct {
	event activity.Event
	sha   string // whose lines are asked for; empty when they are not
}

// commitsOf converts rows. It drops those that cannot be decoded.
func (r *reader) commitsOf(rows commitRowList, invalid map[int]fieldErrors) []restCommit {
	commits := make([]restCommit, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			r.client.reportInvalidRow(commitsEndpoint, invalid[i])
			continue
		}
		id, err := activity.CommitID(row.GetSHA())
		if err != nil {
			r.client.transport.ReportInvalidValue(err)
			continue
		}
		at := row.GetCommit().GetCommitter().GetDate().Time
		commit := restCommit{event: r.newEvent(activity.KindCommit, id, restAuthor(row), at)}
		if len(row.Parents) <= 1 && !r.request.SkipLines && !at.Before(r.request.Since[activity.StreamCommits]) {
			commit.sha = row.GetSHA() // no merge, asked for, and not too old to be recorded
		}
		commits = append(commits, commit)
	}
	return commits
}
