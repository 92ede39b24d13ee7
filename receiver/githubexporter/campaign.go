// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"sync"
)

// campaign makes this replica the leader of its organizations in the terms that the election gives it.
type campaign struct {
	election leaderElection
	leases   *leases
	orgs     []*organization
}

// run campaigns for the leases of all organizations until ctx ends, and waits for the terms. Organizations whose lease
// has the same name are led together: all of them or, with leadership: org, each by itself.
func (c *campaign) run(ctx context.Context) {
	orgsOf := make(map[string][]*organization)
	for _, org := range c.orgs {
		lease := c.leases.leaseFor(org.config.key())
		orgsOf[lease] = append(orgsOf[lease], org)
	}
	var campaigns sync.WaitGroup
	for lease, orgs := range orgsOf {
		campaigns.Go(func() { // Lead ends with the context only
			_ = c.election.Lead(ctx, lease, func(ctx context.Context, fence uint64) error {
				return c.runTerm(ctx, fence, orgs)
			})
		})
	}
	campaigns.Wait()
}

// runTerm runs a term over organizations that share a lease. None of them waits for another, and it returns when all
// have stopped. An organization whose writes the store refuses does not stop the others, until it needs a new term.
func (c *campaign) runTerm(ctx context.Context, fence uint64, orgs []*organization) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	former := newFormerLeases(ctx, c.leases)
	defer former.release()
	errs := make([]error, len(orgs))
	var leading sync.WaitGroup
	for i, org := range orgs {
		leading.Go(func() {
			errs[i] = org.term.run(ctx, fence, former)
			if errors.Is(errs[i], errNewTerm) {
				cancel() // the term is over for all of them
			}
		})
	}
	leading.Wait()
	return errors.Join(errs...)
}
