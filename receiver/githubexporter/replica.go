// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"go.opentelemetry.io/collector/receiver"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/download"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// replica has the parts of a receiver that its organizations share. Start of the receiver makes them.
type replica struct {
	config    *Config
	settings  receiver.Settings
	telemetry *metadata.TelemetryBuilder

	store      *backend
	leases     *leases
	monitor    *health.Monitor
	cooldown   *githubCooldown
	access     *githubAccess
	readErrors *readErrors
	jobs       *jobQueue // nil without backfill
	users      *userLabels
	// copilot has the health of the Copilot reports, files reads those behind links; files is nil where no reports are
	// read.
	copilot *copilotHealth
	files   *download.Client
	// credentials are used while the organizations are put together.
	credentials *credentials
}
