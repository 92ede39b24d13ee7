// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
)

// TestTroubleCountsTheOthers, if there are others.
func TestTroubleCountsTheOthers(t *testing.T) {
	t.Parallel()
	failure := collect.Failure{Repo: "prometheus", Stream: activity.StreamCommits, Err: errors.New("no answer")}
	for n, want := range map[int]string{
		1: "commits of prometheus: no answer",
		3: "commits of prometheus and 2 more: no answer",
	} {
		sum := &collect.PassResult{}
		for range n {
			sum.Failures = append(sum.Failures, failure)
		}
		require.EqualError(t, passError(sum, nil), want)
	}
}
