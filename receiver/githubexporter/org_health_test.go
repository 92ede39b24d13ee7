// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
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

// TestHealthOfGitHub: streams that GitHub refuses or does not have leave the dependency healthy; other failures, and
// repositories that were readable before, do not. docs/high-availability.md says so.
func TestHealthOfGitHub(t *testing.T) {
	t.Parallel()
	forbidden, missing := error(&transport.ForbiddenError{}), error(&transport.NotFoundError{})
	other, of := errors.New("no answer"), func(errs ...error) *collect.PassResult {
		result := &collect.PassResult{}
		for i, err := range errs {
			result.Failures = append(result.Failures, collect.Failure{RepoID: int64(i), Repo: "x", Err: err})
		}
		return result
	}
	before := of(forbidden)
	before.Failures[0].PresenceUnknown = true
	for name, test := range map[string]struct {
		result  *collect.PassResult
		err     error
		healthy bool
	}{
		"everything was read":         {of(), nil, true},
		"a missing permission":        {of(forbidden, missing), nil, true},
		"a failure too":               {of(forbidden, other), nil, false},
		"a repository of before":      {before, nil, false},
		"the organization":            {of(), forbidden, false},
		"not all of the repositories": {&collect.PassResult{Incomplete: forbidden}, nil, false},
	} {
		err := githubError(test.result, passError(test.result, test.err))
		require.Equal(t, test.healthy, err == nil, "%s: %v", name, err)
	}
}
