// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/flow"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

const (
	// groupPageSize is the number of rows of each stream of a repository: what happens between two passes. A repository
	// with more is read on alone.
	groupPageSize = 10
	// groupFlowPageSize is that of pull requests with their flow: each of them has one connection more, for the price
	// of twice as many without it.
	groupFlowPageSize = 5
	// groupMaxAge is how far back a reading in a group may begin, unless signals show that nothing happened.
	groupMaxAge = time.Hour
	// prefetchConcurrency bounds the queries in flight.
	prefetchConcurrency = 4
)

// Prefetch requests the first pages of several readings in common queries, where those cost less than single ones. It
// never fails: Read requests what is missing.
func (c *Client) Prefetch(ctx context.Context, requests []*ReadRequest) {
	if c.settings.API == APIREST {
		return
	}
	fit := make([]*ReadRequest, 0, len(requests))
	originals := make(map[*ReadRequest]*ReadRequest, len(requests))
	for _, r := range requests {
		if full := r.withBases(); c.fitsGroup(&full) {
			fit, originals[&full] = append(fit, &full), r
		}
	}
	if len(fit) < 2 {
		return
	}
	var group errgroup.Group
	group.SetLimit(prefetchConcurrency)
	size := c.state.groupSize.current()
	for several := range slices.Chunk(fit, size) {
		if len(several) > 1 {
			group.Go(func() error { c.prefetchGroup(ctx, several, size); return nil })
		}
	}
	_ = group.Wait() // nothing fails
	for full, r := range originals {
		r.prefetched = full.prefetched
	}
}

// fitsGroup reports whether a short first page probably has everything.
func (c *Client) fitsGroup(r *ReadRequest) bool {
	if r.Minimal || c.state.repos.areLinesApart(r.Repo.ID, c.transport.Now()) {
		return false // the others of the query would wait for it
	}
	if r.Repo.NodeID == "" || r.AtCommit != "" {
		return false
	}
	from, hasStream := c.transport.Now().Add(-groupMaxAge), false
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

// prefetchGroup sends one query. When that was too much, it sends one for each half: if both succeed the next queries
// are smaller; if one fails, one of its repositories fails alone, too.
func (c *Client) prefetchGroup(ctx context.Context, several []*ReadRequest, size int) {
	err := c.requestGroup(ctx, several, size)
	if next, ok := c.state.groupSize.next(size, err); ok && len(several) > 2 {
		half := len(several) / 2
		first, second := c.requestGroup(ctx, several[:half], 0), c.requestGroup(ctx, several[half:], 0)
		if first == nil && second == nil {
			c.state.groupSize.remember(next)
		}
	}
}

// requestGroup sends a query for some repositories. A query that costs no less than single ones makes the next groups
// smaller.
func (c *Client) requestGroup(ctx context.Context, several []*ReadRequest, size int) error {
	v := newGroupVariables(several, c.settings.Flow)
	found, errs, cost, err := runQueryWithCost[map[string]json.RawMessage](ctx, c, queryOptions{noRetry: true}, v)
	switch {
	case err != nil:
		return err
	case cost >= len(several) && size > 0:
		c.state.groupSize.shrink(size)
	default:
		c.state.groupSize.recordSuccess(size)
	}
	for i, r := range several {
		r.prefetched = groupPage(found, errs, "r"+strconv.Itoa(i))
	}
	return nil
}

// groupVariables are the variables of the Activities query, which has some for each repository.
type groupVariables struct {
	shared       groupPageSizes
	repositories []memberVariables
}

// groupPageSizes are the variables that all repositories of a group have in common.
type groupPageSizes struct {
	Lines        bool `json:"lines"`
	CommitsFirst int  `json:"commitsFirst"`
	PullsFirst   int  `json:"pullsFirst"`
	IssuesFirst  int  `json:"issuesFirst"`

	ReleasesFirst int `json:"releasesFirst"`
	flowVariables
}

// newGroupVariables returns the variables that select the first pages of several readings. Those have the same
// SkipLines.
func newGroupVariables(several []*ReadRequest, rules flow.Rules) groupVariables {
	withFlow := slices.ContainsFunc(several, func(r *ReadRequest) bool {
		return r.Streams.Has(activity.StreamPullFlow)
	})
	v := groupVariables{shared: groupPageSizes{
		Lines:        !several[0].SkipLines,
		CommitsFirst: groupPageSize, PullsFirst: groupPageSize, IssuesFirst: groupPageSize,
		ReleasesFirst: groupPageSize,
		flowVariables: newFlowVariables(rules, withFlow),
	}}
	if withFlow {
		v.shared.PullsFirst = groupFlowPageSize
	}
	for _, r := range several {
		member := memberVariables{ID: r.Repo.NodeID}
		for _, s := range streamSources {
			if s.activity != nil && r.Streams.Has(s.stream) {
				s.activity.selectMember(r, &member)
			}
		}
		v.repositories = append(v.repositories, member)
	}
	return v
}

func (v groupVariables) document() document { return activitiesQuery[len(v.repositories)] }

// MarshalJSON implements json.Marshaler: the variables of a repository have its index in their names.
func (v groupVariables) MarshalJSON() ([]byte, error) {
	object := make(map[string]json.RawMessage)
	if err := addFields(object, v.shared, ""); err != nil {
		return nil, err
	}
	for i := range v.repositories {
		if err := addFields(object, v.repositories[i], strconv.Itoa(i)); err != nil {
			return nil, err
		}
	}
	return json.Marshal(object)
}

// addFields adds the encoded fields of a structure to an object, with a suffix to their names.
func addFields[T any](object map[string]json.RawMessage, structure T, suffix string) error {
	encoded, err := json.Marshal(structure)
	if err != nil {
		return err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &fields); err != nil {
		return err
	}
	for name, value := range fields {
		object[name+suffix] = value
	}
	return nil
}

// groupPage returns the part of the data that is about one repository; nil when it is missing, when an error may be
// about any repository, and when another request may return more.
func groupPage(found map[string]json.RawMessage, errs []graphqlError, name string) *prefetchedPage {
	page := &prefetchedPage{}
	for i := range errs {
		if len(errs[i].Path) == 0 {
			return nil
		}
		if !errs[i].isUnder(name) {
			continue
		}
		if _, ok := errors.AsType[*transport.UnavailableError](partError(activitiesQuery[1], &errs[i])); ok {
			return nil
		}
		page.errs = append(page.errs, errs[i])
	}
	if err := json.Unmarshal(found[name], &page.data); err != nil || page.data == nil {
		return nil
	}
	return page
}
