// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"strings"
	"testing"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestFaultMatrix: each fault in each question ends in its error after the right number of attempts, and as long as it
// lasts what could not be read, and nothing else, is missing and nothing is invented; when it has passed, every metric
// is the truth.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for asked, q := range questions {
		for name, f := range theFaults {
			t.Run(asked+": "+name, func(t *testing.T) {
				t.Parallel()
				faultCase(t, &q, f)
			})
		}
		if !q.matches(githubtest.RequestInfo{
			Operation: strings.SplitN(asked, ",", 2)[0],
			Variables: map[string]any{"after": 1, "commitsAfter": 1, "pullsAfter": 1},
		}) {
			continue // REST
		}
		for name, f := range graphqlFaults {
			t.Run(asked+": GraphQL "+name, func(t *testing.T) {
				t.Parallel()
				faultCase(t, &q, f)
			})
		}
	}
}
