// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// Source is one organization as the emitter reads it.
type Source struct {
	Org    string
	View   *ledgerview.View
	Status Status
	// Copilot are the owners of the Copilot reports in the view.
	Copilot []CopilotOwner
}

// Status is the work of a replica on an organization, as the emitter shows it. It is read at each emission, by one
// goroutine.
type Status interface {
	// TermStart returns when this replica began to lead the organization; zero while it does not.
	TermStart() time.Time
	// LastPass returns the end and the duration of the term's last pass, and how long the view last took to catch up.
	LastPass() (lastRun time.Time, took, caughtUp time.Duration)
	// OldestJob returns when the oldest backfill job in flight was published; zero for none.
	OldestJob() time.Time
	// MissingPermissions returns the permissions that the credential lacks.
	MissingPermissions() []string
	// CredentialExpiry returns when the credential expires; zero where that is unknown.
	CredentialExpiry() time.Time
	// Quotas returns the present rate limits and the id of the installation that they belong to, "" for none; false
	// before that is known.
	Quotas() (installation string, quotas map[budget.Resource]budget.Quota, ok bool)
	// EachLinesState calls f for every repository with weekly lines from GitHub's statistics. It reports false where
	// weekly lines are those of the commits.
	EachLinesState(now time.Time, f func(repo string, state *loc.State, mode loc.Mode)) bool
}

// Replica is the state of the replica as the emitter shows it. It is read at each emission, by one goroutine.
type Replica interface {
	// Leads reports whether this replica leads an organization.
	Leads(org string) bool
	// Report returns the state of the dependencies.
	Report() health.Report
	// IsHealthyFor reports whether a dependency is healthy for an organization; all is its state over all of them.
	IsHealthyFor(org, dependency string, all bool) bool
	// IsCredentialRefused reports whether GitHub refuses an organization, or this replica's credential for it.
	IsCredentialRefused(org string) bool
	// Sizes returns how many series and events the store has of an organization.
	Sizes(org string) (series, events int)
	// CorruptRecords returns how many records of the store were corrupt.
	CorruptRecords() int64
	// Fallback reports whether the store continues in memory without Redis; ok is false where it never does.
	Fallback() (active, ok bool)
	// Backlog returns the depth of the queues of backfill jobs; false where it is unknown.
	Backlog() (Backlog, bool)
}

// Backlog is the depth of the queues of backfill jobs, as this replica observed it last.
type Backlog struct {
	// Depth has the number of jobs by the queue's name, those of retry and dead-letter queues as well.
	Depth map[string]int
	// Queues are the queues of jobs, for which the age of the oldest job is shown.
	Queues []backfill.QueueDepth
	// Invalid and Returned count messages since the start, by the queue's name.
	Invalid, Returned map[string]int64
}

// Settings configure an Emitter.
type Settings struct {
	Metrics  metadata.MetricsBuilderConfig
	Receiver receiver.Settings
	Next     consumer.Metrics
	Obs      *receiverhelper.ObsReport
	Replica  Replica
	// Interval is the time between two emissions.
	Interval time.Duration
	// ZeroFor is the time for which the shared counters of a new ledger are shown at 0.
	ZeroFor time.Duration
	// Elected says that leaders are elected, FromLeader that only the leader of an organization emits it, Backfill
	// that there are backfill jobs, Teams that teams are read.
	Elected, FromLeader, Backfill, Teams bool
	// Copilot configures the metrics of Copilot; nil for none.
	Copilot *CopilotSettings
	// VCS configures the metrics vcs.*.
	VCS VCSSettings
	// Topics and Properties are the topics and the custom properties of repositories that are labels of gh.repo.info.
	Topics, Properties []string
	// OnEmission is called after each emission with its time. nil is none.
	OnEmission func(at time.Time)
}
