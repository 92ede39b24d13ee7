// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package github

import (
	"context"
	"errors"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// Discover calls page for each page of the repositories that the credential can see in the organization, one page at
// a time and in no order. A repository may be repeated, and one that exists may be missing when the listing shifts
// meanwhile: Lookup finds out whether it is gone. The error is an *IncompleteError when all pages were read and
// GitHub did not return some of the repositories in them. Discover never searches: a search ends after 1,000 results.
func (c *Client) Discover(ctx context.Context, org string, page func([]activity.Repository) error) error {
	c.readProperties(ctx, org)
	if c.settings.API == APIREST {
		return c.discoverREST(ctx, org, page)
	}
	err := c.discoverGraphQL(ctx, org, page)
	if errors.As(err, new(*SchemaError)) {
		return c.discoverREST(ctx, org, page) // what it does not tell of changes is read every time
	}
	return err
}
