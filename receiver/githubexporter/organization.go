// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/loc"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
)

// organization is one organization with its roles: the follower runs on every replica, the job reader wherever jobs are
// consumed, and the term has the roles of a leader. Its exported methods are what the emitter reads of it.
type organization struct {
	name        string
	config      *OrgConfig
	httpClient  *http.Client
	client      *transport.Client
	collector   *collect.Collector
	view        *ledgerview.View
	state       *orgState
	credential  *credentialState
	leaderWatch *leaderWatch
	follower    *follower
	reader      *jobReader
	term        *term
}

// addReaders adds the readers of the organization's jobs to a worker, and those of reports to the dispatcher.
func (o *organization) addReaders(worker *backfill.Worker) {
	worker.AddReader(o.name, "", o.reader)
	for _, reader := range o.term.copilot {
		jobs := &copilotJobs{reader: reader, jobs: o.reader}
		worker.AddReader(o.name, reader.source, jobs)
		o.term.dispatcher.copilot[reader.source] = jobs
	}
}

var _ emit.Status = (*organization)(nil)

// TermStart implements emit.Status.
func (o *organization) TermStart() time.Time { return o.state.termStart() }

// LastPass implements emit.Status.
func (o *organization) LastPass() (lastRun time.Time, took, caughtUp time.Duration) {
	return o.state.lastPass()
}

// OldestJob implements emit.Status.
func (o *organization) OldestJob() time.Time { return o.state.oldestJobInFlight() }

// MissingPermissions implements emit.Status.
func (o *organization) MissingPermissions() []string {
	list := slices.Concat(o.collector.MissingPermissions(), o.term.teams.missingPermissions())
	slices.Sort(list)
	return slices.Compact(list)
}

// CredentialExpiry implements emit.Status.
func (o *organization) CredentialExpiry() time.Time { return o.credential.expiry() }

// Quotas implements emit.Status. The series of an App's limits have the id of its installation, which is known after
// the first request.
func (o *organization) Quotas() (installation string, quotas map[budget.Resource]budget.Quota, ok bool) {
	if o.client.IsInstallationPending() {
		return "", nil, false
	}
	if id := o.client.InstallationID(); id != 0 {
		installation = strconv.FormatInt(id, 10)
	}
	return installation, o.client.Quotas(), true
}

// EachLinesState implements emit.Status.
func (o *organization) EachLinesState(now time.Time, f func(repo string, state *loc.State, mode loc.Mode)) bool {
	if o.term.rounds == nil {
		return false
	}
	o.term.rounds.eachState(now, f)
	return true
}
