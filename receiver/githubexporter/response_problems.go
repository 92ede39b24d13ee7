// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
)

// invalidLogInterval is the time between two log lines about invalid values.
const invalidLogInterval = time.Minute

// invalidValues counts invalid values in GitHub's responses and logs at most one each invalidLogInterval. It is safe
// for concurrent use.
type invalidValues struct {
	tallies *collect.Tallies
	logger  *zap.Logger

	mu       sync.Mutex
	loggedAt time.Time
}

// record counts a value that a correct response does not have.
func (v *invalidValues) record(err error) {
	v.tallies.Add(collect.TallyInvalid)
	now := time.Now()
	v.mu.Lock()
	isDue := now.Sub(v.loggedAt) >= invalidLogInterval
	if isDue {
		v.loggedAt = now
	}
	v.mu.Unlock()
	if isDue {
		v.logger.Warn("Ignoring an invalid value in a GitHub response; further occurrences are only counted.",
			zap.Error(err))
	}
}

// logSchemaError returns a function that logs a GraphQL query which the server's schema does not accept.
func logSchemaError(logger *zap.Logger) func(err *github.SchemaError) {
	return func(err *github.SchemaError) {
		logger.Warn("The server's GraphQL schema lacks a queried field. Falling back to REST where REST has the "+
			"data; other windows remain gaps.", zap.Error(err))
	}
}
