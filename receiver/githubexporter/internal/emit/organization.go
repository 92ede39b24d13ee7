// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// organization is an organization with the state of its last emission. It belongs to the emitter.
type organization struct {
	Source

	summary ledgerview.Summary // of the last emission
	// emits says whether this replica emits the organization, emitsTerm is the start of the term in which it does.
	emits     bool
	emitsTerm time.Time
	// seriesShown is the number of series in the last emission, by metric.
	seriesShown [ledgerview.NumMetrics]int
	ends        seriesEnds
	repos       repoHistory
	// isCut says that the last emission left out branches of pull requests.
	isCut   bool
	copilot []*copilotReports
}
