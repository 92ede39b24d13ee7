// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

// orgStatus is what the emitter reads of an organization.
type orgStatus struct{ *organization }

var _ emit.Status = orgStatus{}

// TermStart implements emit.Status.
func (s orgStatus) TermStart() time.Time { return s.state.termStart() }

// LastPass implements emit.Status.
func (s orgStatus) LastPass() (lastRun time.Time, took, caughtUp time.Duration) {
	return s.state.lastPass()
}

// OldestJob implements emit.Status.
func (s orgStatus) OldestJob() time.Time { return s.state.oldestJobInFlight() }

// MissingPermissions implements emit.Status.
func (s orgStatus) MissingPermissions() []string { return s.collector.MissingPermissions() }

// CredentialExpiry implements emit.Status.
func (s orgStatus) CredentialExpiry() time.Time { return s.credential.expiry() }

// Quotas implements emit.Status. The series of an App's limits have the id of its installation, which is known after
// the first request.
func (s orgStatus) Quotas() (installation string, quotas map[budget.Resource]budget.Quota, ok bool) {
	if s.client.IsInstallationPending() {
		return "", nil, false
	}
	if id := s.client.InstallationID(); id != 0 {
		installation = strconv.FormatInt(id, 10)
	}
	return installation, s.client.Quotas(), true
}

// EachLinesState implements emit.Status.
func (s orgStatus) EachLinesState(now time.Time, f func(repo string, state *loc.State, mode loc.Mode)) bool {
	if s.term.rounds == nil {
		return false
	}
	s.term.rounds.eachState(now, f)
	return true
}

// replicaStatus is what the emitter reads of a replica. orgs are by name.
type replicaStatus struct {
	monitor    *health.Monitor
	store      *backend
	jobs       *jobQueue // nil without backfill
	access     *access
	readErrors *readErrors
	orgs       map[string]*organization
}

var _ emit.Replica = (*replicaStatus)(nil)

// Leads implements emit.Replica.
func (s *replicaStatus) Leads(org string) bool { return s.monitor.Leads(org) }

// Report implements emit.Replica.
func (s *replicaStatus) Report() health.Report { return s.monitor.Report() }

// IsHealthyFor implements emit.Replica.
func (s *replicaStatus) IsHealthyFor(org, dependency string, all bool) bool {
	switch dependency {
	case health.GitHub, health.GitHubCore:
		return s.readErrors.errorOf(org) == nil
	case health.GitHubAccess:
		return s.access.errorOf(org) == nil
	case health.Leadership:
		return s.orgs[org].leaderWatch.isHealthy()
	default:
		return all
	}
}

// Sizes implements emit.Replica.
func (s *replicaStatus) Sizes(org string) (series, events int) { return s.store.Sizes(org) }

// CorruptRecords implements emit.Replica.
func (s *replicaStatus) CorruptRecords() int64 { return s.store.corrupt.Load() }

// Fallback implements emit.Replica.
func (s *replicaStatus) Fallback() (active, ok bool) {
	if s.store.isInFallback == nil {
		return false, false
	}
	return s.store.isInFallback(), true
}

// Backlog implements emit.Replica.
func (s *replicaStatus) Backlog() (emit.Backlog, bool) {
	if s.jobs == nil {
		return emit.Backlog{}, false
	}
	return s.jobs.backlog.last()
}
