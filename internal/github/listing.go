package github

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// position is a repository's in the listing, which is in the order of creation.
type position struct {
	created time.Time
	id      int64
}

func (p position) before(q position) bool {
	if p.created.Equal(q.created) {
		return p.id < q.id
	}
	return p.created.Before(q.created)
}

func (n *repositoryNode) position() (position, bool) {
	if n == nil || n.DatabaseID <= 0 || n.CreatedAt.IsZero() {
		return position{}, false
	}
	return position{n.CreatedAt, n.DatabaseID}, true
}

// pageCursor is where a page began: a cursor, which is a value and no place, and the repository that it stands behind.
type pageCursor struct {
	cursor string
	after  position
}

// cursorCache remembers where the pages of the last discovery began, for each organization. Its zero value is ready.
type cursorCache struct {
	mu    sync.Mutex
	byOrg map[string][]pageCursor
}

func (s *cursorCache) get(org string) []pageCursor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byOrg[org]
}

// set replaces what is remembered; none forgets it.
func (s *cursorCache) set(org string, list []pageCursor) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byOrg == nil {
		s.byOrg = make(map[string][]pageCursor)
	}
	s.byOrg[org] = slices.Clip(list)
}

// discoverGraphQL reads the listing in ranges, from where a page began last time up to where the next one did, several at
// once. What is created meanwhile comes last, and what appears or vanishes in a range moves nothing in another, because
// a cursor is a value. The first time, and when the ranges are not good any more, it reads from the beginning to the end. A
// page of 100 costs 2 points.
func (c *Client) discoverGraphQL(ctx context.Context, org string, page func([]activity.Repository) error) error {
	l := &listing{client: c, org: org, page: page}
	known := c.cursors.get(org)
	begun, err := l.read(ctx, known)
	if known != nil && errors.Is(err, errStaleCursor) {
		l, known = &listing{client: c, org: org, page: page}, nil
		begun, err = l.read(ctx, known)
	}
	switch {
	case errors.As(err, new(*LimitError)) || ctx.Err() != nil:
		return err // that is not the ranges' fault
	case err != nil || (known != nil && l.pages > l.neededPages()):
		begun = nil
	}
	c.cursors.set(org, begun)
	if err == nil && l.incomplete.Missing > 0 {
		return &l.incomplete
	}
	return err
}

// listing is one discovery.
type listing struct {
	client *Client
	org    string
	page   func([]activity.Repository) error

	mu sync.Mutex
	// pages is how many were read, nodes how many repositories were in them, those of another range left out.
	pages, nodes int
	// incomplete are those that GitHub did not show.
	incomplete IncompleteError
}

// neededPages is how many pages of the present size the listing has.
func (l *listing) neededPages() int {
	size := l.client.pages.now()
	return max(1, (l.nodes+size-1)/size)
}

// segment is a range of the listing: what is behind from, to the end or up to and with a position.
type segment struct {
	start     pageCursor // zero for the beginning
	end       position
	isBounded bool         // at upTo
	cursors   []pageCursor // where its pages began
}

func segmentsBetween(known []pageCursor) []segment {
	parts := make([]segment, len(known)+1)
	for i, at := range known {
		parts[i].end, parts[i].isBounded = at.after, true
		parts[i+1].start, parts[i+1].cursors = at, []pageCursor{at}
	}
	return parts
}

// read reads the ranges between the starts and gives where pages began.
func (l *listing) read(ctx context.Context, known []pageCursor) ([]pageCursor, error) {
	parts := segmentsBetween(known)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(listingConcurrency)
	for i := range parts {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error { return l.readSegment(groupCtx, &parts[i]) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var begun []pageCursor
	for i := range parts {
		begun = append(begun, parts[i].cursors...)
	}
	return begun, context.Cause(ctx)
}

// readSegment reads a range page by page.
func (l *listing) readSegment(ctx context.Context, s *segment) error {
	after := s.start.cursor
	for {
		found, errs, err := l.client.discoverPage(ctx, l.org, after)
		if err != nil {
			return err
		}
		if found.Organization == nil {
			return l.organizationError(errs, after)
		}
		over, err := l.handlePage(s, &found, errs)
		if err != nil {
			return err
		}
		info := &found.Organization.Repositories.PageInfo
		if over || !info.HasNextPage {
			return nil
		}
		if info.EndCursor == "" || info.EndCursor == after {
			return errEndless(discoverQuery.name)
		}
		after = info.EndCursor
		nodes := found.Organization.Repositories.Nodes
		if at, ok := lastNode(nodes).position(); ok {
			s.cursors = append(s.cursors, pageCursor{cursor: after, after: at})
		}
	}
}

func lastNode(nodes []*repositoryNode) *repositoryNode {
	if len(nodes) == 0 {
		return nil
	}
	return nodes[len(nodes)-1]
}

// errStaleCursor says that a cursor that was remembered is none any more.
var errStaleCursor = errors.New("the server does not take a cursor of before")

func (l *listing) organizationError(errs []graphqlError, after string) error {
	if after != "" && slices.ContainsFunc(errs, func(e graphqlError) bool { return e.kind() == "INVALID_CURSOR_ARGUMENTS" }) {
		return errors.Join(errStaleCursor, missing(discoverQuery, errs, "organization"))
	}
	return missing(discoverQuery, under(errs, "organization"), "organization")
}

// handlePage hands out the repositories of a page, and reports whether the range is over.
func (l *listing) handlePage(s *segment, found *discoverData, errs []graphqlError) (over bool, err error) {
	list := found.Organization.Repositories.Nodes
	repositories, holes := l.client.repositories(found, errs)
	within, over := s.countWithin(list)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages++
	l.nodes += within
	for i, hole := range holes {
		if i < max(1, within) { // those of another range are its own; a page of which nothing came has one
			l.incomplete.add(hole)
		}
	}
	if l.pages > maxPages {
		return false, errEndless(discoverQuery.name)
	}
	return over, l.page(repositories)
}

// countWithin is how many of a page's repositories are in the range, and whether the page reaches its end.
func (s *segment) countWithin(nodes []*repositoryNode) (int, bool) {
	if !s.isBounded {
		return len(nodes), false
	}
	for i, node := range nodes {
		at, ok := node.position()
		switch {
		case !ok || at.before(s.end):
		case at == s.end:
			return i + 1, true
		default:
			return i, true
		}
	}
	return len(nodes), false
}

// discoverVariables are the variables of the Discover query.
type discoverVariables struct {
	Org   string  `json:"org"`
	First int     `json:"first"`
	After *string `json:"after"`
}

func (discoverVariables) document() document { return discoverQuery }

// discoverPage asks for a page, and for a smaller one when that was too much. Of the smallest one it uses what there is.
func (c *Client) discoverPage(ctx context.Context, org, after string) (discoverData, []graphqlError, error) {
	v := discoverVariables{Org: org}
	if after != "" {
		v.After = &after
	}
	size, shrank := c.pages.now(), false
	for {
		v.First = size
		found, errs, err := ask[discoverData](ctx, c, question{smaller: size > c.pages.least()}, v)
		next, smaller := c.pages.below(size, err)
		switch {
		case err == nil && shrank:
			c.pages.remember(size)
			return found, errs, nil
		case err == nil:
			c.pages.worked(size)
			return found, errs, nil
		case smaller:
			size, shrank = next, true
		case found.Organization != nil && tooMuch(err):
			return found, errs, nil
		default:
			return discoverData{}, nil, err
		}
	}
}

// nodesPath leads to the repositories of a page.
var nodesPath = []string{"organization", "repositories", "nodes"}

// repositories makes repositories of a page, and gives the reasons of those that GitHub did not show, by their places:
// it could not, or the credential may not see them
// (https://docs.github.com/authentication/authenticating-with-single-sign-on). One that is null for another reason is
// not there.
func (c *Client) repositories(found *discoverData, errs []graphqlError) ([]activity.Repository, map[int]error) {
	page := &found.Organization.Repositories
	if page.Nodes == nil {
		return nil, map[int]error{0: missing(discoverQuery, under(errs, nodesPath[0]), "repositories in the page")}
	}
	marks := newNodeMarks(found.Pulls.nodes(), found.Issues.nodes())
	list := make([]activity.Repository, 0, len(page.Nodes))
	holes := make(map[int]error)
	for i, node := range page.Nodes {
		broken := untold(discoverQuery, errs, nodesPath, i)
		if node != nil && node.invalid != nil {
			c.reportInvalidRow(discoverQuery.name, node.invalid)
		}
		switch {
		case node != nil && c.isValidRepository(node.DatabaseID, node.Name):
			list = append(list, node.repository(marks, broken != nil))
		case node == nil && broken != nil:
			holes[i] = broken
		case node == nil && !mentioned(errs, nodesPath, i):
			holes[i] = missing(discoverQuery, nil, "repository in its place of the page")
		case node == nil:
			if err := forbiddenAt(discoverQuery, errs, nodesPath, i); err != nil {
				holes[i] = err
			}
		}
	}
	return list, holes
}
