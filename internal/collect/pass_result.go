// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package collect

import (
	"errors"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// PassStatus is the result of a pass as the metrics label it.
type PassStatus string

// The statuses of passes.
const (
	PassSuccess        PassStatus = "success" // all changes were read
	PassPartial        PassStatus = "partial" // some were
	PassFailure        PassStatus = "failure" // the organization could not be read
	PassSkippedLimited PassStatus = "skipped_limited"
	// PassSkippedUnhealthy is the status of a pass that was skipped because the circuit breaker is open.
	PassSkippedUnhealthy PassStatus = "skipped_unhealthy"
)

// PassResult describes a pass.
type PassResult struct {
	Status   PassStatus
	Start    time.Time
	Duration time.Duration
	// Repositories is how many repositories the filter selects, Changed how many of them have, or may have, changed.
	Repositories, Changed int
	// UnmatchedPatterns are the filter's patterns that match none of the repositories that were discovered.
	UnmatchedPatterns UnmatchedPatterns
	// Events is how many events were recorded that the ledger did not have.
	Events int
	// Failures are the streams that could not be read or that back off from an earlier failure. They have become gaps.
	Failures []Failure
	// Incomplete is why the listing misses repositories that the lookups do not account for; nil when it is complete.
	Incomplete error
	// VanishedRepositories is how many repositories were not found, if those are most of the readable ones: the next
	// pass has to confirm it before any of their series ends. 0 otherwise.
	VanishedRepositories int
	// Deferred are the streams of which the pass read the last 24 h only; the time before, in which no pass ran, is a
	// gap.
	Deferred []RepoStream
	// RetryAt is when the rate limit resets that the pass has exceeded; zero for none.
	RetryAt time.Time
}

// Failure is a stream of a repository that could not be read.
type Failure struct {
	RepoID int64
	Repo   string
	Stream activity.Stream
	Err    error
	// AllFailed says that every stream that the pass wanted of the repository has failed.
	AllFailed bool
	// PresenceUnknown says that it is unknown whether the repository is readable: neither listing nor lookup showed it.
	PresenceUnknown bool
}

// RepoStream identifies a stream of a repository.
type RepoStream struct {
	RepoID int64
	Stream activity.Stream
}

// passStatus returns the status of a pass that ended with an error or nil, and when a rate limit that it exceeded
// resets, zero for none.
func passStatus(result *PassResult, err error) (status PassStatus, retryAt time.Time) {
	var limit *transport.LimitError
	if errors.As(err, &limit) {
		return PassSkippedLimited, limit.RetryAt
	}
	if err != nil {
		return PassFailure, time.Time{}
	}
	for _, f := range result.Failures {
		if errors.As(f.Err, &limit) && limit.RetryAt.After(retryAt) {
			retryAt = limit.RetryAt
		}
	}
	if len(result.Failures) > 0 || result.Incomplete != nil {
		return PassPartial, retryAt
	}
	return PassSuccess, retryAt
}
