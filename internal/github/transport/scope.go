// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package transport

import (
	"context"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
)

// Scope is what the requests of one reading have in common.
type Scope struct {
	// RepoID is the repository's id; 0 for requests about the organization.
	RepoID int64
	// Patience bounds the failures of the reading; nil for no bound.
	Patience *Patience
	Priority budget.Priority
}

type scopeKey struct{}

// WithScope returns a context whose requests have the scope.
func WithScope(ctx context.Context, s Scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, s)
}

// scopeOf returns the scope of a context's requests; zero where it has none.
func scopeOf(ctx context.Context) Scope {
	s, _ := ctx.Value(scopeKey{}).(Scope)
	return s
}
