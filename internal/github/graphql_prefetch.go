package github

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

const (
	// maxGroupSize is how many repositories are asked for in one query at most.
	maxGroupSize = 10
	// groupCommitsPageSize and pullsTogether are how much of each is asked for: what usually happens between two passes. Whoever has more
	// is read on alone.
	groupCommitsPageSize = 10
	groupPullsPageSize   = 10
	// groupMaxAge is how far back a reading may reach of which little is expected, where nothing tells that it is nothing.
	groupMaxAge = time.Hour
	// prefetchConcurrency is how many such queries are sent at once.
	prefetchConcurrency = 4
)

// prefetchedPage is the answer to the first question of a reading, asked together with those of others.
type prefetchedPage struct {
	data *repositoryActivity
	errs []graphqlError
}

// consume hands the page out once: whoever holds the request for longer does not hold the page.
func (p *prefetchedPage) consume() (*repositoryActivity, []graphqlError) {
	if p == nil {
		return nil, nil
	}
	data, errs := p.data, p.errs
	*p = prefetchedPage{}
	return data, errs
}

// Prefetch asks for the beginnings of several readings at once, where that is cheaper than one by one. It never fails: what it does
// not get Read asks for itself.
func (c *Client) Prefetch(ctx context.Context, requests []*ReadRequest) {
	if c.settings.API == APIREST {
		return
	}
	fit := slices.DeleteFunc(slices.Clone(requests), func(r *ReadRequest) bool { return !c.fitsGroup(r) })
	if len(fit) < 2 {
		return
	}
	var group errgroup.Group
	group.SetLimit(prefetchConcurrency)
	size := c.together.now()
	for several := range slices.Chunk(fit, size) {
		if len(several) > 1 {
			group.Go(func() error { c.prefetchGroup(ctx, several, size); return nil })
		}
	}
	_ = group.Wait() // nothing fails
}

// fitsGroup reports whether a first page that is small may be all that there is.
func (c *Client) fitsGroup(r *ReadRequest) bool {
	if r.Minimal || c.repos.areLinesApart(r.Repo.ID, c.settings.Now()) {
		return false // the others of the query would wait for it
	}
	if r.Repo.NodeID == "" || r.AtCommit != "" {
		return false
	}
	from, hasStream := c.settings.Now().Add(-groupMaxAge), false
	for _, source := range streamSources {
		s := source.stream
		if source.activity == nil || !r.Streams.Has(s) {
			continue
		}
		hasStream = true
		if source.activity.isBounded(r) || r.Repo.Signals.QuietStreams(r.Since[s]).Has(s) {
			continue
		}
		if r.Since[s].Before(from) || !r.Until[s].IsZero() {
			return false
		}
	}
	return hasStream
}

// prefetchGroup sends one query. When it asked for too much, both halves are asked for: where both are answered the next
// queries are smaller, where one fails it has a repository in it that fails by itself.
func (c *Client) prefetchGroup(ctx context.Context, several []*ReadRequest, size int) {
	err := c.requestGroup(ctx, several, size)
	if next, ok := c.together.below(size, err); ok && len(several) > 2 {
		half := len(several) / 2
		first, second := c.requestGroup(ctx, several[:half], 0), c.requestGroup(ctx, several[half:], 0)
		if first == nil && second == nil {
			c.together.remember(next)
		}
	}
}

// requestGroup sends a query for some repositories. One that costs no less than single ones makes the next ones smaller.
func (c *Client) requestGroup(ctx context.Context, several []*ReadRequest, size int) error {
	found, errs, cost, err := askCosting[map[string]json.RawMessage](ctx, c, question{once: true}, newGroupVariables(several))
	switch {
	case err != nil:
		return err
	case cost >= len(several) && size > 0:
		c.together.shrink(size)
	default:
		c.together.worked(size)
	}
	for i, r := range several {
		r.prefetched = groupPage(found, errs, "r"+strconv.Itoa(i))
	}
	return nil
}

// groupVariables are the variables of the Activities query, which has some of its own for each repository.
type groupVariables struct {
	lines        bool
	repositories []memberVariables
}

// memberVariables are those of one repository of a group.
type memberVariables struct {
	id             string
	commits, pulls bool
	since          *string
}

func newGroupVariables(several []*ReadRequest) groupVariables {
	v := groupVariables{lines: !several[0].SkipLines}
	for _, r := range several {
		v.repositories = append(v.repositories, memberVariables{
			id: r.Repo.NodeID, since: r.commitsSince(),
			commits: r.Streams.Has(activity.StreamCommits), pulls: r.Streams.Has(activity.StreamPulls),
		})
	}
	return v
}

func (v groupVariables) document() document { return activitiesQuery[len(v.repositories)] }

// MarshalJSON implements json.Marshaler: the variables of a repository have its index in their names.
func (v groupVariables) MarshalJSON() ([]byte, error) {
	object := fmt.Appendf(nil, `{"lines":%t,"commitsFirst":%d,"pullsFirst":%d`, v.lines, groupCommitsPageSize, groupPullsPageSize)
	for i := range v.repositories {
		r := &v.repositories[i]
		id, err := json.Marshal(r.id)
		if err != nil {
			return nil, err
		}
		since, err := json.Marshal(r.since)
		if err != nil {
			return nil, err
		}
		object = fmt.Appendf(object, `,"id%d":%s,"since%d":%s,"commits%d":%t,"pulls%d":%t`, i, id, i, since, i, r.commits, i, r.pulls)
	}
	return append(object, '}'), nil
}

// groupPage is the part of an answer that is about one repository; nil when there is none, when an error may be about any of them,
// and when a part is missing that GitHub may tell who asks again.
func groupPage(found map[string]json.RawMessage, errs []graphqlError, name string) *prefetchedPage {
	page := &prefetchedPage{}
	for i := range errs {
		if len(errs[i].Path) == 0 {
			return nil
		}
		if !errs[i].under(name) {
			continue
		}
		if _, ok := errors.AsType[*UnavailableError](failure(activitiesQuery[1], &errs[i])); ok {
			return nil
		}
		page.errs = append(page.errs, errs[i])
	}
	if err := json.Unmarshal(found[name], &page.data); err != nil || page.data == nil {
		return nil
	}
	return page
}
