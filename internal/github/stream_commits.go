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
)

// commitSource reads the commits of the default branch. A reading goes from the head of the former one to the present
// one, whatever the dates of the commits are, or lists a window of committer dates.
var commitSource = streamSource{
	stream:   activity.StreamCommits,
	readREST: func(ctx context.Context, r *reader) error { return r.resolveHeads(ctx, r.readCommitsREST(ctx)) },
	activity: &activitySource{
		selectFirst: selectFirstCommits,
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

// selectFirstCommits selects the first page: from Request.AtCommit, or from the default branch's head.
func selectFirstCommits(req *ReadRequest, v *activityVariables) {
	if req.AtCommit == "" {
		v.Head = true
	} else {
		v.selectCommit(req.AtCommit)
	}
}

// commitsSince is the time from which commits are listed; nil for a walk from head to head, which has none.
func (r *ReadRequest) commitsSince() *string {
	if r.ReadHead != "" {
		return nil
	}
	since := stamp(r.Since[activity.StreamCommits])
	return &since
}

// commitsUntil is the time up to which commits are listed; nil for no bound.
func (r *ReadRequest) commitsUntil() *string {
	end := r.Until[activity.StreamCommits]
	if r.ReadHead != "" || end.IsZero() {
		return nil
	}
	until := stamp(end)
	return &until
}

// readCommitsGraphQL reads the commits from the first page on.
func (r *reader) readCommitsGraphQL(ctx context.Context, data *repositoryActivity, errs []graphqlError) error {
	target := data.target()
	if at := r.request.AtCommit; at != "" && (target == nil || target.OID != at) {
		return missingCommitError(errs)
	}
	if target == nil {
		if e := errorBelow(errs, "defaultBranchRef"); e != nil {
			return failure(activityQuery, e)
		}
		if r.request.hadCommits() { // one that had commits cannot become empty
			return &NotFoundError{Response{Endpoint: activityQuery.name, Status: http.StatusOK, Message: "no commits where there were some"}}
		}
		return nil // an empty repository
	}
	if !isObjectName(target.OID) {
		return &UnavailableError{Response: Response{Endpoint: activityQuery.name, Status: http.StatusOK}, Err: errNoHead}
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
			return missing(activityQuery, errs, "commit")
		}
	}
	return errEndless(activityQuery.name)
}

// handleCommitPage hands out a page and says whether another one is needed, for which it prepares the variables.
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

// completePage is a page of which nothing is missing, or an error.
func (r *reader) completePage(ctx context.Context, target *commitTarget, errs []graphqlError, v *activityVariables) (*commitTarget, error) {
	if err := unanswered(activityQuery, errs, "history"); err != nil {
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

// errorBelow is the first error of a field or of something below it.
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

// requestWithoutLines asks for a page again that the lines of a single commit made null, and then for the lines alone.
func (r *reader) requestWithoutLines(ctx context.Context, errs []graphqlError, v *activityVariables) (*commitTarget, error) {
	if e := errorAt(errs, "additions", "deletions"); e == nil {
		return nil, missing(activityQuery, errs, "history")
	}
	again := *v
	again.Lines = false
	data, errs, err := r.requestActivity(ctx, &again)
	if err != nil {
		return nil, err
	}
	target := data.target()
	if target == nil || target.History == nil || hasNull(target.History.Nodes) {
		return nil, missing(activityQuery, errs, "history")
	}
	if err := unanswered(activityQuery, errs, "history"); err != nil {
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
			r.client.settings.OnInvalidValue(err)
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

// detailConcurrency is how many commits of a page are asked for at once.
const detailConcurrency = 4

// readCommitsREST reads from the head that was seen to the present one, or what was committed since a time.
func (r *reader) readCommitsREST(ctx context.Context) error {
	if r.request.ReadHead != "" && r.request.AtCommit == "" {
		if done, err := r.compareBranch(ctx); done || err != nil {
			return err
		}
	}
	return r.readToHead(ctx)
}

// defaultBranch is Git's name for it, which no other branch or tag has.
const defaultBranch = "HEAD"

// compareBranch compares with the default branch itself, which is one question where a page shows everything: it shows the new head, too.
// Otherwise it is not done: a push between two pages would shift the rows.
func (r *reader) compareBranch(ctx context.Context) (done bool, err error) {
	comparison, told, err := r.requestComparison(ctx, defaultBranch, "1")
	if isIncomparable(err) {
		return false, nil // the old head is gone
	}
	if err != nil || told.next {
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
	return true, r.emitCommits(ctx, comparison.Commits, told.invalid)
}

// newestCommit is the one commit that is no other one's parent; empty when the comparison does not show that.
func newestCommit(c *gogithub.CommitsComparison) string {
	if c.GetTotalCommits() != len(c.Commits) {
		return ""
	}
	parents, met := make(map[string]bool, len(c.Commits)), make(map[string]bool, len(c.Commits))
	for _, row := range c.Commits {
		if row == nil || met[row.GetSHA()] {
			return ""
		}
		met[row.GetSHA()] = true
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

// readToHead pins the head first, so that a push meanwhile moves nothing.
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

// startCommit is the commit from which commits are listed.
func (r *reader) startCommit(ctx context.Context) (string, error) {
	if r.request.AtCommit != "" {
		return r.request.AtCommit, nil
	}
	return r.requestHead(ctx, r.request.hadCommits())
}

// isIncomparable reports whether one of two commits is not there.
func isIncomparable(err error) bool {
	gone, ok := errors.AsType[*NotFoundError](err)
	return ok && gone.Endpoint == compareEndpoint
}

// requestHead is the object name of the default branch's newest commit; empty in an empty repository, which answers 409, unless it had commits
// (https://docs.github.com/rest/commits/commits#list-commits).
func (r *reader) requestHead(ctx context.Context, had bool) (string, error) {
	rows, _, err := get(ctx, r.client, restRequest{
		endpoint: commitsEndpoint, path: r.path("/commits"), query: values("per_page", "1"),
	}, commitRows)
	var refused *NotFoundError
	// One that had commits cannot become empty.
	if errors.As(err, &refused) && refused.Status == http.StatusConflict && strings.Contains(refused.Message, "empty") && !had {
		return "", nil
	}
	if err == nil && len(rows) == 0 && had {
		err = &UnavailableError{Response: Response{Endpoint: commitsEndpoint}, Err: errors.New("no commits where there were some")}
	}
	if err == nil && len(rows) > 0 && !isObjectName(rows[0].GetSHA()) {
		err = &UnavailableError{Response: Response{Endpoint: commitsEndpoint}, Err: errNoHead}
	}
	if err != nil || len(rows) == 0 {
		return "", err
	}
	return rows[0].GetSHA(), nil
}

// comparisonStatuses are what one commit may be to another.
var comparisonStatuses = []string{"ahead", "behind", "diverged", "identical"}

// compareHead reads the commits that the new head reaches and the old one does not.
func (r *reader) compareHead(ctx context.Context, head string) error {
	return r.emitCommitPages(ctx, compareEndpoint, func(ctx context.Context, number string) ([]*gogithub.RepositoryCommit, restPage, error) {
		comparison, told, err := r.requestComparison(ctx, head, number)
		if comparison == nil {
			return nil, told, err
		}
		return comparison.Commits, told, err
	})
}

// requestComparison is a page of what a commit or a branch has and the old head has not
// (https://docs.github.com/rest/commits/commits#compare-two-commits).
func (r *reader) requestComparison(ctx context.Context, head, number string) (*gogithub.CommitsComparison, restPage, error) {
	comparison, told, err := get(ctx, r.client, restRequest{
		endpoint: compareEndpoint, path: r.path("/compare/" + r.request.ReadHead + "..." + head),
		query: values("per_page", strconv.Itoa(perPage), "page", number), expectsNotFound: true,
	}, comparisonFormat)
	if err == nil && !slices.Contains(comparisonStatuses, comparison.GetStatus()) {
		err = &UnavailableError{Response: Response{Endpoint: compareEndpoint}, Err: errors.New("an answer without a comparison")}
	}
	r.former.observe(r.request.ReadHead, comparison.GetStatus(), err)
	return comparison, told, err
}

// listCommits reads commits by committer date.
func (r *reader) listCommits(ctx context.Context, head string) error {
	return r.emitCommitPages(ctx, commitsEndpoint, func(ctx context.Context, number string) ([]*gogithub.RepositoryCommit, restPage, error) {
		return r.requestCommits(ctx, head, number)
	})
}

// readPastCommits reads a window of the past. Each commit is asked for its lines, and that may be more than may be asked for now: first
// all commits are listed, then they are asked for by their dates, the newest first, so that what was read counts when the rest fails.
func (r *reader) readPastCommits(ctx context.Context, head string) error {
	var all []restCommit
	err := r.eachCommitPage(ctx, commitsEndpoint, func(ctx context.Context, number string) ([]*gogithub.RepositoryCommit, restPage, error) {
		return r.requestCommits(ctx, head, number)
	}, func(rows []*gogithub.RepositoryCommit, broken map[int]fieldErrors) error {
		all = append(all, r.commitsOf(rows, broken)...)
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

// requestCommits asks for a page of the commits by committer date.
func (r *reader) requestCommits(ctx context.Context, head, number string) ([]*gogithub.RepositoryCommit, restPage, error) {
	query := values("sha", head, "per_page", strconv.Itoa(perPage), "page", number, "since", stamp(r.request.Since[activity.StreamCommits]))
	if until := r.request.Until[activity.StreamCommits]; !until.IsZero() && r.request.ReadHead == "" {
		query.Set("until", stamp(until))
	}
	return get(ctx, r.client, restRequest{
		endpoint: commitsEndpoint, path: r.path("/commits"), query: query,
	}, commitRows)
}

// emitCommitPages hands out the commits of a listing page by page.
func (r *reader) emitCommitPages(
	ctx context.Context, endpoint string, fetch func(ctx context.Context, number string) ([]*gogithub.RepositoryCommit, restPage, error),
) error {
	return r.eachCommitPage(ctx, endpoint, fetch, func(rows []*gogithub.RepositoryCommit, broken map[int]fieldErrors) error {
		return r.emitCommits(ctx, rows, broken)
	})
}

// emitCommits hands out commits with their lines.
func (r *reader) emitCommits(ctx context.Context, rows []*gogithub.RepositoryCommit, broken map[int]fieldErrors) error {
	r.former.addRows(rows)
	return r.emitWithLines(ctx, r.commitsOf(rows, broken))
}

// emitWithLines hands out commits with their lines, and those that have them also where others fail.
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

// eachCommitPage gives the pages of a listing of commits.
func (r *reader) eachCommitPage(
	ctx context.Context, endpoint string, fetch func(ctx context.Context, number string) ([]*gogithub.RepositoryCommit, restPage, error),
	take func(rows []*gogithub.RepositoryCommit, broken map[int]fieldErrors) error,
) error {
	for number := 1; number <= maxPages; number++ {
		rows, told, err := fetch(ctx, strconv.Itoa(number))
		if err != nil {
			return err
		}
		if err := take(rows, told.invalid); err != nil {
			return err
		}
		if !told.next || len(rows) == 0 {
			return nil
		}
	}
	return errEndless(endpoint)
}

// restCommit is what is kept of a row: the rest of it is a hundred times as much.
type restCommit struct {
	event activity.Event
	sha   string // whose lines are asked for; empty when they are not
}

// commitsOf are the commits of rows; those that cannot be decoded are left out.
func (r *reader) commitsOf(rows []*gogithub.RepositoryCommit, broken map[int]fieldErrors) []restCommit {
	commits := make([]restCommit, 0, len(rows))
	for i, row := range rows {
		if broken[i] != nil {
			r.client.reportInvalidRow(commitsEndpoint, broken[i])
			continue
		}
		id, err := activity.CommitID(row.GetSHA())
		if err != nil {
			r.client.settings.OnInvalidValue(err)
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
