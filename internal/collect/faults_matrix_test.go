// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package collect

import (
	"strings"
	"testing"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestFaultMatrix: each fault in each request becomes its error after the right number of attempts. As long as it
// lasts, exactly what could not be read is a gap and nothing is invented; when it has ended, every metric is correct.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	for asked, q := range requestCases {
		for name, f := range httpFaults {
			t.Run(asked+": "+name, func(t *testing.T) {
				t.Parallel()
				testFault(t, &q, f)
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
				testFault(t, &q, f)
			})
		}
	}
}
