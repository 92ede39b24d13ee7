// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package health

import "slices"

// Names of the dependencies. GitHubCore is GitHub without the paths of Copilot.
const (
	Redis = "redis"
	// Storage is the embedded store.
	Storage    = "storage"
	AMQP       = "amqp"
	GitHub     = "github"
	GitHubCore = "github_api_core"
	Scheduler  = "scheduler"
	Consumer   = "consumer"
	Exporter   = "exporter"
	// GitHubAccess is unhealthy while an organization could not be read yet.
	GitHubAccess = "github_access"
	// WeeklyLines is unhealthy while weekly lines have not been confirmed for too long.
	WeeklyLines = "loc"
	// Backfill is unhealthy while the queue of jobs loses or refuses jobs.
	Backfill = "backfill"
	// CopilotAPI begins the names of the dependencies for Copilot reports, one for each report that is read, such as
	// github_api_copilot_org_28d. CopilotDownload is unhealthy while the files of a report cannot be used.
	CopilotAPI      = "github_api_copilot_"
	CopilotDownload = "github_copilot_report_download"
	// GitHubTeams is unhealthy while the teams of an organization cannot be read.
	GitHubTeams = "github_teams"
	// Leadership is unhealthy while no replica leads an organization.
	Leadership = "leadership"
)

// Warning is the error of a dependency that makes a replica degraded, but not unready.
type Warning struct{ Err error }

// Error implements error.
func (w *Warning) Error() string { return w.Err.Error() }

// Unwrap returns the error itself.
func (w *Warning) Unwrap() error { return w.Err }

// requiredBy has, by dependency, the roles that are not ready without it. Without GitHub a replica is degraded, not
// unready: it still serves what it has read.
var requiredBy = map[string][]Role{
	Redis:        {Leader, Follower},
	Storage:      {Leader, Follower},
	AMQP:         {Leader, Follower},
	Scheduler:    {Leader},
	Consumer:     {Follower},
	Exporter:     {Leader, Follower},
	GitHubAccess: {Leader, Follower},

	Leadership: {Leader, Follower},
}

// newReport returns the report of a replica with these roles, by organization, and dependencies, without Since. It
// decides the readiness and the mode: the replica is ready while all dependencies that its role requires are healthy.
// No role requires a dependency for which isOptional is true. It owns the map and the slice.
func newReport(roles map[string]Role, dependencies []Dependency, isOptional func(name string) bool) Report {
	r := Report{Role: Follower, Ready: true, Mode: Healthy, Organizations: roles, Dependencies: dependencies}
	for _, role := range roles {
		if role == Leader {
			r.Role = Leader
		}
	}
	for i := range dependencies {
		d := &dependencies[i]
		d.Required = slices.Contains(requiredBy[d.Name], r.Role) && !isOptional(d.Name)
		if !d.Healthy {
			r.Mode = Degraded
			r.Ready = r.Ready && !d.Required
		}
	}
	if !r.Ready {
		r.Mode = Unhealthy
	}
	return r
}
