// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// linesGroupSize is the number of commits whose lines are requested before they are emitted, which is what an error
// can lose. With GraphQL they are one request.
const linesGroupSize = 50

// CommitLinesRequest selects the lines of the commits of a window, by committer date, the newest first.
type CommitLinesRequest struct {
	Org  string
	Repo activity.Repository
	// HadCommits says that the repository had commits: an empty listing is then an error.
	HadCommits bool
	// Window is in whole seconds.
	Window activity.Window
	// Head and Position are where an earlier reading of the window stopped. An empty head is the present one.
	Head     string
	Position int
	// MaxCommits bounds the commits whose lines are requested. Merges do not count.
	MaxCommits int
	// Reserve returns how many of n commits may be requested now; nil allows all. The reading stops when it is not
	// all of them.
	Reserve func(n int) int
	// Priority is that of the requests.
	Priority budget.Priority
}

// CommitLinesResult is the result of a reading, also of one that failed.
type CommitLinesResult struct {
	// Head and Position are where the next reading continues: the listing is that of Head, so that a push moves no
	// row.
	Head     string
	Position int
	// Requested is how many commits with their lines were emitted.
	Requested int
	// Complete says that everything of the window was emitted.
	Complete bool
}

// ReadCommitLines emits the commits of a window, without merges, with their lines, until all are read or MaxCommits
// were requested. Both APIs count one for a commit.
func (c *Client) ReadCommitLines(
	ctx context.Context, req CommitLinesRequest, emit func([]activity.Event) error,
) (CommitLinesResult, error) {
	streams := activity.StreamsOf(activity.StreamCommits)
	request := ReadRequest{Org: req.Org, Repo: req.Repo, Streams: streams, Priority: req.Priority}
	request.SkipLines = true
	request.Since[activity.StreamCommits] = req.Window.Start
	request.Until[activity.StreamCommits] = req.Window.End.Add(-time.Second) // GitHub's ends are inclusive
	s := &lineReader{
		reader:     reader{client: c, request: &request, emit: emit},
		hasCommits: req.HadCommits, maxCommits: req.MaxCommits, reserve: req.Reserve,
		result: CommitLinesResult{Head: req.Head, Position: req.Position}, seen: make(map[string]bool),
	}
	if s.reserve == nil {
		s.reserve = func(n int) int { return n }
	}
	read := s.readGraphQL
	if c.settings.API == APIREST {
		read = s.readREST
	}
	s.reader.forWeeklyLines = true
	err := read(transport.WithScope(ctx, transport.Scope{
		RepoID: req.Repo.ID, Patience: c.transport.NewPatience(activityPatience, false), Priority: req.Priority,
	}))
	s.reader.recordMissedLines()
	return s.result, err
}

// lineReader reads the lines of one window.
type lineReader struct {
	reader     reader
	hasCommits bool
	maxCommits int
	reserve    func(n int) int
	result     CommitLinesResult
	// seen are the commits of this reading: sums must not count one twice.
	seen map[string]bool
}

// commitRow is a commit of the listing. Its node has the lines once they were requested.
type commitRow struct {
	node  *commitNode
	event activity.Event
	// skip says that its lines are not requested: it is a merge, or it cannot be decoded.
	skip bool
}

// newRow returns a row of the listing. A commit without a valid name is reported, and its lines are not requested.
func (s *lineReader) newRow(n *commitNode, author activity.Actor) commitRow {
	id, err := activity.CommitID(n.OID)
	if err != nil {
		s.reader.client.transport.ReportInvalidValue(err)
	}
	return commitRow{n, s.reader.newEvent(activity.KindCommit, id, author, n.CommittedDate), err != nil || n.isMerge()}
}

// handlePage handles a page of the listing, whose first row has the position first, and reports whether the next page
// is wanted.
func (s *lineReader) handlePage(ctx context.Context, rows []commitRow, first int, next bool) (bool, error) {
	for i := range rows {
		oid := rows[i].node.OID
		if oid != "" && s.seen[oid] {
			return false, errEndless(commitsEndpoint)
		}
		s.seen[oid] = true
	}
	rows = rows[min(len(rows), max(0, s.result.Position-first)):]
	for len(rows) > 0 {
		n, requested := nextGroup(rows, min(s.groupSize(), s.maxCommits-s.result.Requested))
		granted := requested
		if requested > 0 {
			granted = s.reserve(requested)
		}
		if granted < requested {
			n, _ = nextGroup(rows, granted)
		}
		if n == 0 {
			return false, nil // there is more, and no more may be requested
		}
		if err := s.readGroup(ctx, rows[:n]); err != nil || granted < requested {
			return false, err
		}
		rows = rows[n:]
	}
	s.result.Complete = !next
	return next && s.result.Requested < s.maxCommits, nil
}

// groupSize returns how many commits are requested before they are emitted.
func (s *lineReader) groupSize() int {
	if s.reader.client.settings.API == APIREST {
		return detailConcurrency
	}
	return linesGroupSize
}

// nextGroup returns how many of the rows are read together, up to the last for which there is room, and how many of
// them are requested.
func nextGroup(rows []commitRow, room int) (n, requested int) {
	for n, row := range rows {
		if requested >= room {
			return n, requested
		}
		if !row.skip {
			requested++
		}
	}
	return len(rows), requested
}

// readGroup requests the lines of some rows and emits their commits.
func (s *lineReader) readGroup(ctx context.Context, rows []commitRow) error {
	if err := s.fillLines(ctx, rows); err != nil {
		return err
	}
	if err := s.reader.checkLines(ctx); err != nil {
		return err
	}
	var events []activity.Event
	for i := range rows {
		if rows[i].skip {
			continue
		}
		e, n := rows[i].event, rows[i].node
		if n.Additions != nil && n.Deletions != nil {
			e.Measures = activity.Lines(clampLines(*n.Additions), clampLines(*n.Deletions))
		}
		events = append(events, e)
	}
	requested := len(events)
	if err := s.reader.emitValid(events); err != nil {
		return err
	}
	s.result.Position += len(rows)
	s.result.Requested += requested
	return nil
}

// fillLines sets the lines of the rows that are not skipped.
func (s *lineReader) fillLines(ctx context.Context, rows []commitRow) error {
	nodes := make([]*commitNode, 0, len(rows))
	for i := range rows {
		if !rows[i].skip {
			nodes = append(nodes, rows[i].node)
		}
	}
	if s.reader.client.settings.API != APIREST {
		return s.reader.fillLines(ctx, nodes)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(detailConcurrency)
	for _, n := range nodes {
		group.Go(func() error {
			added, removed, _, err := s.reader.readSingleLines(ctx, n.OID)
			n.Additions, n.Deletions = &added, &removed
			return err
		})
	}
	return group.Wait()
}

// readREST reads the window with REST: its listing, and a request for each commit.
func (s *lineReader) readREST(ctx context.Context) error {
	if s.result.Head == "" {
		head, err := s.reader.requestHead(ctx, s.hasCommits)
		if err != nil || head == "" {
			s.result.Complete = err == nil // an empty repository
			return err
		}
		s.result.Head = head
	}
	for number := 1 + s.result.Position/perPage; number <= maxPages; number++ {
		rows, info, err := s.reader.requestCommits(ctx, s.result.Head, strconv.Itoa(number))
		if err != nil {
			return err
		}
		more, err := s.handlePage(ctx, s.restRows(rows, info.invalid), (number-1)*perPage, info.next && len(rows) > 0)
		if err != nil || !more {
			return err
		}
	}
	return errEndless(commitsEndpoint)
}

// restRows converts a page. A row that cannot be decoded keeps its position.
func (s *lineReader) restRows(rows []*gogithub.RepositoryCommit, invalid map[int]fieldErrors) []commitRow {
	list := make([]commitRow, 0, len(rows))
	for i, row := range rows {
		if invalid[i] != nil {
			s.reader.client.reportInvalidRow(commitsEndpoint, invalid[i])
			list = append(list, commitRow{node: &commitNode{}, skip: true}) // it keeps its position
			continue
		}
		n := &commitNode{OID: row.GetSHA(), CommittedDate: row.GetCommit().GetCommitter().GetDate().Time}
		n.Parents.TotalCount = len(row.Parents)
		list = append(list, s.newRow(n, restAuthor(row)))
	}
	return list
}

// readGraphQL reads the window with GraphQL: its listing, and a request for the lines of each group.
func (s *lineReader) readGraphQL(ctx context.Context) error {
	v := s.reader.newActivityVariables()
	s.selectHead(&v)
	first := 0
	for range maxPages {
		data, errs, err := s.reader.requestActivity(ctx, &v)
		if err != nil {
			return err
		}
		target := data.target()
		if target == nil {
			return s.handleNoCommits(errs)
		}
		s.result.Head = target.OID
		s.selectHead(&v)
		if target, err = s.reader.completePage(ctx, target, errs, &v); err != nil {
			return err
		}
		history := target.History
		next := history.PageInfo.HasNextPage
		if next && v.CommitsAfter != nil && history.PageInfo.EndCursor == *v.CommitsAfter {
			return errEndless(activityQuery.name)
		}
		more, err := s.handlePage(ctx, s.graphqlRows(history.Nodes), first, next)
		if err != nil || !more {
			return err
		}
		first += len(history.Nodes)
		v.nextPage(history.PageInfo.EndCursor)
	}
	return errEndless(activityQuery.name)
}

// selectHead selects the listing of the head; of the present one as long as none is set.
func (s *lineReader) selectHead(v *activityVariables) {
	if s.result.Head == "" {
		v.Head = true
	} else {
		v.selectCommit(s.result.Head)
	}
}

// handleNoCommits handles a listing without a commit.
func (s *lineReader) handleNoCommits(errs []graphqlError) error {
	if e := errorAtField(errs, "defaultBranchRef", "target", "object"); e != nil {
		return partError(activityQuery, e)
	}
	if s.result.Head != "" || s.hasCommits {
		return notInActivity("no such commit any more")
	}
	s.result.Complete = true // an empty repository
	return nil
}

// graphqlRows converts a page. A row that cannot be decoded keeps its position.
func (s *lineReader) graphqlRows(nodes []*commitNode) []commitRow {
	list := make([]commitRow, 0, len(nodes))
	for _, n := range nodes {
		if n.invalid != nil {
			s.reader.client.reportInvalidRow(activityQuery.name, n.invalid)
			list = append(list, commitRow{node: n, skip: true})
			continue
		}
		list = append(list, s.newRow(n, n.Author.actor()))
	}
	return list
}
