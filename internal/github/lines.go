package github

import (
	"context"
	"net/http"
	"strconv"
	"time"

	gogithub "github.com/google/go-github/v66/github"
	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// linesTogether is how many commits are asked for their lines before what they have is handed out: what an error can lose. With
// GraphQL they are one request.
const linesTogether = 50

// CommitLinesRequest asks for the lines of the commits of a window, by committer date, the newest first.
type CommitLinesRequest struct {
	Org  string
	Repo activity.Repository
	// HadCommits says that the repository is known to have commits: it is not believed to be empty.
	HadCommits bool
	// Window is in whole seconds.
	Window activity.Window
	// Head and Position are where an earlier reading of the window stopped. An empty head is the present one.
	Head     string
	Position int
	// MaxCommits is how many commits may be asked for their lines. Merges are not asked.
	MaxCommits int
	// Reserve says of how many of some commits it may be now, before they are asked; nil for all of them. When it is not all of
	// them the reading stops.
	Reserve func(n int) int
}

// CommitLinesResult says what was read, error or not.
type CommitLinesResult struct {
	// Head and Position are where to go on: the listing is of that head, so that a push moves nothing in it.
	Head     string
	Position int
	// Requested is how many commits were asked for their lines and handed out.
	Requested int
	// Complete says that nothing of the window is left.
	Complete bool
}

// ReadCommitLines yields the commits of a window that are no merges, with their lines, until all are read or Max of them were
// asked. Both APIs count the same: one for a commit.
func (c *Client) ReadCommitLines(ctx context.Context, req CommitLinesRequest, emit func([]activity.Event) error) (CommitLinesResult, error) {
	streams := activity.StreamsOf(activity.StreamCommits)
	request := ReadRequest{Org: req.Org, Repo: req.Repo, Streams: streams, SkipLines: true}
	request.Since[activity.StreamCommits] = req.Window.Start
	request.Until[activity.StreamCommits] = req.Window.End.Add(-time.Second) // GitHub's ends are inclusive
	s := &sampler{
		reader: reader{client: c, request: &request, emit: emit},
		had:    req.HadCommits, max: req.MaxCommits, grant: req.Reserve, outcome: CommitLinesResult{Head: req.Head, Position: req.Position}, met: make(map[string]bool),
	}
	if s.grant == nil {
		s.grant = func(n int) int { return n }
	}
	read := s.graphql
	if c.settings.API == APIREST {
		read = s.rest
	}
	s.reader.samples = true
	err := read(withRepository(ctx, req.Repo.ID, c.newPatience(partPatience, false)))
	s.reader.noteLines()
	return s.outcome, err
}

// sampler reads the lines of one window.
type sampler struct {
	reader  reader
	had     bool
	max     int
	grant   func(n int) int
	outcome CommitLinesResult
	// met are the commits of this reading: sums must not count one twice.
	met map[string]bool
}

// sampled is a commit of the listing. Its node has the lines when they were asked for.
type sampled struct {
	node  *commitNode
	event activity.Event
	// skip says that its lines are not asked for: it is a merge, or no commit that can be.
	skip bool
}

func (s *sampler) sampled(n *commitNode, author activity.Actor) sampled {
	id, err := activity.CommitID(n.OID)
	if err != nil {
		s.reader.client.settings.OnInvalidValue(err)
	}
	return sampled{n, s.reader.event(activity.KindCommit, id, author, n.CommittedDate), err != nil || n.merge()}
}

// page takes a page of the listing, of which the first place is known, and says whether the next one is wanted.
func (s *sampler) page(ctx context.Context, rows []sampled, first int, next bool) (bool, error) {
	for i := range rows {
		oid := rows[i].node.OID
		if oid != "" && s.met[oid] {
			return false, errEndless(commitsEndpoint)
		}
		s.met[oid] = true
	}
	rows = rows[min(len(rows), max(0, s.outcome.Position-first)):]
	for len(rows) > 0 {
		n, asks := chunk(rows, min(s.together(), s.max-s.outcome.Requested))
		granted := asks
		if asks > 0 {
			granted = s.grant(asks)
		}
		if granted < asks {
			n, _ = chunk(rows, granted)
		}
		if n == 0 {
			return false, nil // there is more, and no more may be asked
		}
		if err := s.take(ctx, rows[:n]); err != nil || granted < asks {
			return false, err
		}
		rows = rows[n:]
	}
	s.outcome.Complete = !next
	return next && s.outcome.Requested < s.max, nil
}

func (s *sampler) together() int {
	if s.reader.client.settings.API == APIREST {
		return detailConcurrency
	}
	return linesTogether
}

// chunk is how many of the rows are taken together, up to the last for which there is room, and how many of them are asked.
func chunk(rows []sampled, room int) (n, asks int) {
	for n, row := range rows {
		if asks >= room {
			return n, asks
		}
		if !row.skip {
			asks++
		}
	}
	return len(rows), asks
}

// take asks for the lines of some rows and hands them out.
func (s *sampler) take(ctx context.Context, rows []sampled) error {
	if err := s.lines(ctx, rows); err != nil {
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
			e.Additions, e.Deletions = lines(*n.Additions), lines(*n.Deletions)
		}
		events = append(events, e)
	}
	asked := len(events)
	if err := s.reader.give(events); err != nil {
		return err
	}
	s.outcome.Position += len(rows)
	s.outcome.Requested += asked
	return nil
}

// lines fills in the lines of rows that are no merges.
func (s *sampler) lines(ctx context.Context, rows []sampled) error {
	nodes := make([]*commitNode, 0, len(rows))
	for i := range rows {
		if !rows[i].skip {
			nodes = append(nodes, rows[i].node)
		}
	}
	if s.reader.client.settings.API != APIREST {
		return s.reader.linesOf(ctx, nodes)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(detailConcurrency)
	for _, n := range nodes {
		group.Go(func() error {
			added, removed, _, err := s.reader.singleLines(ctx, n.OID)
			n.Additions, n.Deletions = &added, &removed
			return err
		})
	}
	return group.Wait()
}

func (s *sampler) rest(ctx context.Context) error {
	if s.outcome.Head == "" {
		head, err := s.reader.restHead(ctx, s.had)
		if err != nil || head == "" {
			s.outcome.Complete = err == nil // an empty repository
			return err
		}
		s.outcome.Head = head
	}
	for number := 1 + s.outcome.Position/perPage; number <= maxPages; number++ {
		rows, told, err := s.reader.commitList(ctx, s.outcome.Head, strconv.Itoa(number))
		if err != nil {
			return err
		}
		more, err := s.page(ctx, s.restRows(rows, told.broken), (number-1)*perPage, told.next && len(rows) > 0)
		if err != nil || !more {
			return err
		}
	}
	return errEndless(commitsEndpoint)
}

func (s *sampler) restRows(rows []*gogithub.RepositoryCommit, broken map[int]fieldErrors) []sampled {
	list := make([]sampled, 0, len(rows))
	for i, row := range rows {
		if broken[i] != nil {
			s.reader.client.invalidRow(commitsEndpoint, broken[i])
			list = append(list, sampled{node: &commitNode{}, skip: true}) // it has a place
			continue
		}
		n := &commitNode{OID: row.GetSHA(), CommittedDate: row.GetCommit().GetCommitter().GetDate().Time}
		n.Parents.TotalCount = len(row.Parents)
		list = append(list, s.sampled(n, restAuthor(row)))
	}
	return list
}

func (s *sampler) graphql(ctx context.Context) error {
	v := s.reader.variables()
	s.pin(v)
	first := 0
	for range maxPages {
		data, errs, err := s.reader.activity(ctx, v)
		if err != nil {
			return err
		}
		target := data.target()
		if target == nil {
			return s.nothing(errs)
		}
		s.outcome.Head = target.OID
		s.pin(v)
		if target, err = s.reader.wholePage(ctx, target, errs, v); err != nil {
			return err
		}
		history := target.History
		next := history.PageInfo.HasNextPage
		if next && history.PageInfo.EndCursor == v["commitsAfter"] {
			return errEndless(activityQuery.name)
		}
		more, err := s.page(ctx, s.graphqlRows(history.Nodes), first, next)
		if err != nil || !more {
			return err
		}
		first += len(history.Nodes)
		v["commitsAfter"] = history.PageInfo.EndCursor
	}
	return errEndless(activityQuery.name)
}

// pin asks for the listing of the head, of the present one as long as none is known.
func (s *sampler) pin(v map[string]any) {
	pinned := s.outcome.Head != ""
	v["head"], v["pinned"] = !pinned, pinned
	if pinned {
		v["oid"] = s.outcome.Head
	}
}

// nothing is what no commit at all means.
func (s *sampler) nothing(errs []graphqlError) error {
	if e := fieldError(errs, "defaultBranchRef", "target", "object"); e != nil {
		return failure(activityQuery, e)
	}
	if s.outcome.Head != "" || s.had {
		return &NotFoundError{Response{Endpoint: activityQuery.name, Status: http.StatusOK, Message: "no such commit any more"}}
	}
	s.outcome.Complete = true // an empty repository
	return nil
}

func (s *sampler) graphqlRows(nodes []*commitNode) []sampled {
	list := make([]sampled, 0, len(nodes))
	for _, n := range nodes {
		if n.wrong != nil {
			s.reader.client.invalidRow(activityQuery.name, n.wrong)
			list = append(list, sampled{node: n, skip: true})
			continue
		}
		list = append(list, s.sampled(n, n.Author.author()))
	}
	return list
}
