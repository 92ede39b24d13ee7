// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

// replicaStatus is what the emitter reads of a replica.
type replicaStatus struct {
	*replica

	orgs map[string]*organization // by name
}

var _ emit.Replica = (*replicaStatus)(nil)

// Leads implements emit.Replica.
func (s *replicaStatus) Leads(org string) bool { return s.monitor.Leads(org) }

// Report implements emit.Replica.
func (s *replicaStatus) Report() health.Report { return s.monitor.Report() }

// IsHealthyFor implements emit.Replica.
func (s *replicaStatus) IsHealthyFor(org, dependency string, all bool) bool {
	if isCopilotDependency(dependency) {
		return s.copilot.errorOf(org, dependency) == nil
	}
	switch dependency {
	case health.GitHub, health.GitHubCore:
		return s.readErrors.errorOf(org) == nil
	case health.GitHubAccess:
		return s.access.errorOf(org) == nil
	case health.GitHubTeams:
		return s.orgs[org].term.teams.err() == nil
	case health.Leadership:
		return s.orgs[org].leaderWatch.isHealthy()
	default:
		return all
	}
}

// IsCredentialRefused implements emit.Replica.
func (s *replicaStatus) IsCredentialRefused(org string) bool { return s.access.isRefused(org) }

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
