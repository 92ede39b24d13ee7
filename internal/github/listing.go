// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// position returns the position of a repository in the listing; false when the node does not have it.
func (n *repositoryNode) position() (position, bool) {
	if n == nil || n.DatabaseID <= 0 || n.CreatedAt.IsZero() {
		return position{}, false
	}
	return position{n.CreatedAt, n.DatabaseID}, true
}

// discoverGraphQL reads the listing in segments, several at once: each from the start of a page of the last discovery
// to the next start. New repositories come last, and what appears or vanishes in a segment moves no row of another,
// because a cursor is a value. The first discovery, and one whose cursors have become invalid, reads from the start
// to the end. A page of 100 costs 2 points, and 3 with the lists of releases.
func (c *Client) discoverGraphQL(ctx context.Context, org string, page func([]activity.Repository) error) error {
	l := &listing{client: c, org: org, onPage: page}
	cached := c.state.cursors.get(org)
	cursors, err := l.read(ctx, cached)
	if cached != nil && errors.Is(err, errStaleCursor) {
		l, cached = &listing{client: c, org: org, onPage: page}, nil
		cursors, err = l.read(ctx, cached)
	}
	switch {
	case errors.As(err, new(*transport.LimitError)) || ctx.Err() != nil:
		return err // the cursors may still be valid
	case err != nil || (cached != nil && l.pages > l.neededPages()):
		cursors = nil
	}
	c.state.cursors.set(org, cursors)
	if err == nil && l.incomplete.Missing > 0 {
		return &l.incomplete
	}
	return err
}

// listing is one discovery.
type listing struct {
	client *Client
	org    string
	onPage func([]activity.Repository) error

	mu sync.Mutex
	// pages is the number of pages that were read; nodes that of the repositories in them, each in its own segment.
	pages, nodes int
	// incomplete counts the repositories that GitHub did not return.
	incomplete IncompleteError
}

// neededPages returns how many pages of the present size the listing has.
func (l *listing) neededPages() int {
	size := l.client.state.pageSize.current()
	return max(1, (l.nodes+size-1)/size)
}

// segment is a range of the listing: from the repository after start, to the end of the listing or, when it is
// bounded, up to the position end, inclusive.
type segment struct {
	start     pageCursor // zero for the beginning
	end       position
	isBounded bool         // at end
	cursors   []pageCursor // where its pages began
	// withReleases says that the lists of releases are requested, which costs a point for each page.
	withReleases bool
}

// segmentsBetween returns the segments between cached cursors: one more than there are cursors.
func segmentsBetween(cached []pageCursor) []segment {
	parts := make([]segment, len(cached)+1)
	for i, at := range cached {
		parts[i].end, parts[i].isBounded = at.after, true
		parts[i+1].start, parts[i+1].cursors = at, []pageCursor{at}
	}
	return parts
}

// read reads the segments between cached cursors and returns the starts of its pages.
func (l *listing) read(ctx context.Context, cached []pageCursor) ([]pageCursor, error) {
	parts := segmentsBetween(cached)
	l.client.state.releaseTurns.assign(l.org, parts)
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
	var cursors []pageCursor
	for i := range parts {
		cursors = append(cursors, parts[i].cursors...)
	}
	return cursors, context.Cause(ctx)
}

// readSegment reads a segment page by page.
func (l *listing) readSegment(ctx context.Context, s *segment) error {
	after := s.start.cursor
	for {
		found, errs, err := l.client.discoverPage(ctx, l.org, after, s.withReleases)
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

// lastNode returns the last repository of a page; nil for an empty one.
func lastNode(nodes []*repositoryNode) *repositoryNode {
	if len(nodes) == 0 {
		return nil
	}
	return nodes[len(nodes)-1]
}

// errStaleCursor says that the server refused a cached cursor.
var errStaleCursor = errors.New("the server refused a cached cursor")

// organizationError returns the error of a page without the organization.
func (l *listing) organizationError(errs []graphqlError, after string) error {
	isStale := func(e graphqlError) bool { return e.code() == "INVALID_CURSOR_ARGUMENTS" }
	if after != "" && slices.ContainsFunc(errs, isStale) {
		return errors.Join(errStaleCursor, missingDataError(discoverQuery, errs, "organization"))
	}
	return missingDataError(discoverQuery, firstErrorUnder(errs, "organization"), "organization")
}

// handlePage passes the repositories of a page on, and reports whether the segment is complete.
func (l *listing) handlePage(s *segment, found *discoverData, errs []graphqlError) (over bool, err error) {
	list := found.Organization.Repositories.Nodes
	repositories, hidden := l.client.repositories(found, errs)
	within, over := s.countWithin(list)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pages++
	l.nodes += within
	for i, reason := range hidden {
		if i < max(1, within) { // those of another segment count there; a page without any node counts as one
			l.incomplete.add(reason)
		}
	}
	if l.pages > maxPages {
		return false, errEndless(discoverQuery.name)
	}
	return over, l.onPage(repositories)
}

// countWithin returns how many repositories of a page are in the segment, and whether the page reaches its end.
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
	// Topics says that the topics are selected.
	Topics bool `json:"topics"`
	// ReleaseList says that the newest releases are selected.
	ReleaseList bool `json:"releaseList"`
}

func (discoverVariables) document() document { return discoverQuery }

// discoverPage requests a page, and a smaller one when that was too much. Of the smallest one it returns what there
// is.
func (c *Client) discoverPage(
	ctx context.Context, org, after string, withReleases bool,
) (discoverData, []graphqlError, error) {
	v := discoverVariables{Org: org, Topics: len(c.settings.Topics) > 0, ReleaseList: withReleases}
	if after != "" {
		v.After = &after
	}
	size, shrank := c.state.pageSize.current(), false
	for {
		v.First = size
		options := queryOptions{canShrink: size > c.state.pageSize.smallest()}
		found, errs, err := runQuery[discoverData](ctx, c, options, v)
		found.hasReleaseList = withReleases
		next, smaller := c.state.pageSize.next(size, err)
		switch {
		case err == nil && shrank:
			c.state.pageSize.remember(size)
			return found, errs, nil
		case err == nil:
			c.state.pageSize.recordSuccess(size)
			return found, errs, nil
		case smaller:
			size, shrank = next, true
		case found.Organization != nil && transport.IsTooLarge(err):
			return found, errs, nil
		default:
			return discoverData{}, nil, err
		}
	}
}

// nodesPath leads to the repositories of a page.
var nodesPath = []string{"organization", "repositories", "nodes"}

// repositories converts a page. It returns the reasons of those that GitHub did not return, by index: it failed, or
// the credential may not see them (https://docs.github.com/authentication/authenticating-with-single-sign-on). A null
// for another reason is not a repository.
func (c *Client) repositories(found *discoverData, errs []graphqlError) ([]activity.Repository, map[int]error) {
	page := &found.Organization.Repositories
	if page.Nodes == nil {
		return nil, map[int]error{0: missingDataError(discoverQuery, firstErrorUnder(errs, nodesPath[0]),
			"repositories in the page")}
	}
	releases := newReleaseSignals(found.Releases.nodes(), found.hasReleaseList, c.transport.Now())
	marks := newLatestUpdates(found.Pulls.nodes(), found.Issues.nodes(), releases)
	list := make([]activity.Repository, 0, len(page.Nodes))
	hidden := make(map[int]error)
	for i, node := range page.Nodes {
		itemErr := itemError(discoverQuery, errs, nodesPath, i)
		if node != nil && node.invalid != nil {
			c.reportInvalidRow(discoverQuery.name, node.invalid)
		}
		switch {
		case node != nil && c.isValidRepository(node.DatabaseID, node.Name):
			list = append(list, c.repositoryOfNode(node, marks, itemErr != nil))
		case node == nil && itemErr != nil:
			hidden[i] = itemErr
		case node == nil && !hasErrorAt(errs, nodesPath, i):
			hidden[i] = missingDataError(discoverQuery, nil, "repository at its index of the page")
		case node == nil:
			if err := forbiddenAt(discoverQuery, errs, nodesPath, i); err != nil {
				hidden[i] = err
			}
		}
	}
	return list, hidden
}
