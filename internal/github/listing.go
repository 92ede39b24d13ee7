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

// start is where a page began: a cursor, which is a value and no place, and the repository that it stands behind.
type start struct {
	cursor string
	behind position
}

// starts remembers where the pages of the last discovery began, for each organization. Its zero value is ready.
type starts struct {
	mu    sync.Mutex
	ofOrg map[string][]start
}

func (s *starts) of(org string) []start {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ofOrg[org]
}

// set replaces what is remembered; none forgets it.
func (s *starts) set(org string, list []start) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ofOrg == nil {
		s.ofOrg = make(map[string][]start)
	}
	s.ofOrg[org] = slices.Clip(list)
}

// discoverGraphQL reads the listing in ranges, from where a page began last time up to where the next one did, several at
// once. What is created meanwhile comes last, and what appears or vanishes in a range moves nothing in another, because
// a cursor is a value. The first time, and when the ranges are not good any more, it reads from the beginning to the end. A
// page of 100 costs 2 points.
func (c *Client) discoverGraphQL(ctx context.Context, org string, page func([]activity.Repository) error) error {
	l := &listing{client: c, org: org, page: page}
	known := c.starts.of(org)
	begun, err := l.read(ctx, known)
	if known != nil && errors.Is(err, errCursor) {
		l, known = &listing{client: c, org: org, page: page}, nil
		begun, err = l.read(ctx, known)
	}
	switch {
	case errors.As(err, new(*LimitError)) || ctx.Err() != nil:
		return err // that is not the ranges' fault
	case err != nil || (known != nil && l.pages > l.needed()):
		begun = nil
	}
	c.starts.set(org, begun)
	if err == nil && l.holes.Missing > 0 {
		return &l.holes
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
	// holes are those that GitHub did not show.
	holes IncompleteError
}

// needed is how many pages of the present size the listing has.
func (l *listing) needed() int {
	size := l.client.pages.now()
	return max(1, (l.nodes+size-1)/size)
}

// stretch is a range of the listing: what is behind from, to the end or up to and with a position.
type stretch struct {
	from  start // zero for the beginning
	upTo  position
	ends  bool    // at upTo
	begun []start // where its pages began
}

func stretches(known []start) []stretch {
	parts := make([]stretch, len(known)+1)
	for i, at := range known {
		parts[i].upTo, parts[i].ends = at.behind, true
		parts[i+1].from, parts[i+1].begun = at, []start{at}
	}
	return parts
}

// read reads the ranges between the starts and gives where pages began.
func (l *listing) read(ctx context.Context, known []start) ([]start, error) {
	parts := stretches(known)
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i := range parts {
		if groupCtx.Err() != nil {
			break
		}
		group.Go(func() error { return l.stretch(groupCtx, &parts[i]) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var begun []start
	for i := range parts {
		begun = append(begun, parts[i].begun...)
	}
	return begun, context.Cause(ctx)
}

// stretch reads a range page by page.
func (l *listing) stretch(ctx context.Context, s *stretch) error {
	after := s.from.cursor
	for {
		found, errs, err := l.client.discoverPage(ctx, l.org, after)
		if err != nil {
			return err
		}
		if found.Organization == nil {
			return l.noOrganization(errs, after)
		}
		over, err := l.take(s, &found, errs)
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
		if at, ok := lastOf(nodes).position(); ok {
			s.begun = append(s.begun, start{cursor: after, behind: at})
		}
	}
}

func lastOf(nodes []*repositoryNode) *repositoryNode {
	if len(nodes) == 0 {
		return nil
	}
	return nodes[len(nodes)-1]
}

// errCursor says that a cursor that was remembered is none any more.
var errCursor = errors.New("the server does not take a cursor of before")

func (l *listing) noOrganization(errs []graphqlError, after string) error {
	if after != "" && slices.ContainsFunc(errs, func(e graphqlError) bool { return e.kind() == "INVALID_CURSOR_ARGUMENTS" }) {
		return errors.Join(errCursor, missing(discoverQuery, errs, "organization"))
	}
	return missing(discoverQuery, under(errs, "organization"), "organization")
}

// take hands out the repositories of a page, and reports whether the range is over.
func (l *listing) take(s *stretch, found *discovered, errs []graphqlError) (over bool, err error) {
	list := found.Organization.Repositories.Nodes
	repositories, holes := l.client.repositories(found, errs)
	within, over := s.within(list)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages++
	l.nodes += within
	for i, hole := range holes {
		if i < max(1, within) { // those of another range are its own; a page of which nothing came has one
			l.holes.add(hole)
		}
	}
	if l.pages > maxPages {
		return false, errEndless(discoverQuery.name)
	}
	return over, l.page(repositories)
}

// within is how many of a page's repositories are in the range, and whether the page reaches its end.
func (s *stretch) within(nodes []*repositoryNode) (int, bool) {
	if !s.ends {
		return len(nodes), false
	}
	for i, node := range nodes {
		at, ok := node.position()
		switch {
		case !ok || at.before(s.upTo):
		case at == s.upTo:
			return i + 1, true
		default:
			return i, true
		}
	}
	return len(nodes), false
}

// discoverPage asks for a page, and for a smaller one when that was too much. Of the smallest one it uses what there is.
func (c *Client) discoverPage(ctx context.Context, org, after string) (discovered, []graphqlError, error) {
	variables := map[string]any{"org": org, "after": nil}
	if after != "" {
		variables["after"] = after
	}
	size, shrank := c.pages.now(), false
	for {
		variables["first"] = size
		found, errs, err := ask[discovered](ctx, c, discoverQuery, question{smaller: size > c.pages.least()}, variables)
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
			return discovered{}, nil, err
		}
	}
}

// nodesPath leads to the repositories of a page.
var nodesPath = []string{"organization", "repositories", "nodes"}

// repositories makes repositories of a page, and gives the reasons of those that GitHub did not show, by their places:
// it could not, or the credential may not see them
// (https://docs.github.com/authentication/authenticating-with-single-sign-on). One that is null for another reason is
// not there.
func (c *Client) repositories(found *discovered, errs []graphqlError) ([]activity.Repository, map[int]error) {
	page := &found.Organization.Repositories
	if page.Nodes == nil {
		return nil, map[int]error{0: missing(discoverQuery, under(errs, nodesPath[0]), "repositories in the page")}
	}
	pulls, issues := marksOf(found.Pulls.nodes(), (*markedNode).pulls), marksOf(found.Issues.nodes(), (*markedNode).issues)
	list := make([]activity.Repository, 0, len(page.Nodes))
	holes := make(map[int]error)
	for i, node := range page.Nodes {
		broken := untold(discoverQuery, errs, nodesPath, i)
		if node != nil && node.wrong != nil {
			c.invalidRow(discoverQuery.name, node.wrong)
		}
		switch {
		case node != nil && c.honest(node.DatabaseID, node.Name):
			list = append(list, node.repository(pulls, issues, broken != nil))
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
