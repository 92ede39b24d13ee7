// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
)

// isCopilotDependency reports whether a dependency is one of Copilot reports.
func isCopilotDependency(name string) bool {
	return name == health.CopilotDownload || strings.HasPrefix(name, health.CopilotAPI)
}

// copilotDependencies returns the dependencies of the reports that are configured, sorted.
func copilotDependencies(config *CopilotConfig) []string {
	names := []string{health.CopilotDownload}
	for _, scope := range config.scopes() {
		rules := config.rules(scope)
		for _, of := range rules.Reports {
			names = append(names, apiDependency(&copilot.Target{Type: of}))
		}
		if rules.Seats != nil {
			names = append(names, apiDependency(&copilot.Target{Type: report.Type{Scope: scope}, Seats: true}))
		}
	}
	slices.Sort(names)
	return names
}

// apiDependency returns the dependency of the requests for a target.
func apiDependency(target *copilot.Target) string {
	if target.Seats {
		return health.CopilotAPI + copilotScope(target)
	}
	return health.CopilotAPI + target.Type.String()
}

// copilotHealth has the errors of the Copilot reports of the organizations that this replica leads, as their progress
// in the ledger says. A replica with errors is degraded, never unready. It is safe for concurrent use.
type copilotHealth struct {
	dependencies []string

	mu sync.Mutex
	// errs has the errors by organization and dependency.
	errs map[string]map[string]error
}

// newCopilotHealth returns the health of the reports of a configuration; nil where no reports are read.
func newCopilotHealth(config *Config) *copilotHealth {
	if !config.readsCopilot() {
		return nil
	}
	return &copilotHealth{dependencies: copilotDependencies(&config.Copilot), errs: make(map[string]map[string]error)}
}

// evaluate reads the progress of the reports from the views.
func (h *copilotHealth) evaluate(orgs []*organization, monitor *health.Monitor) {
	errs := make(map[string]map[string]error, len(orgs))
	for _, org := range orgs {
		if !monitor.Leads(org.name) {
			continue
		}
		errs[org.name] = make(map[string]error)
		for _, reader := range org.term.copilot {
			addCopilotErrors(errs[org.name], reader, org.view)
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.errs = errs
}

// addCopilotErrors adds the errors of an owner's targets to those of the dependencies.
func addCopilotErrors(errs map[string]error, reader *copilotReader, view *ledgerview.View) {
	progress, err := copilot.ReadProgress(copilotstore.ViewLoader(view, reader.owner.Documents))
	if err != nil {
		return // the leader reads everything again
	}
	targets := slices.SortedFunc(maps.Keys(progress), func(a, b copilot.Target) int {
		return strings.Compare(a.String(), b.String())
	})
	for _, target := range targets {
		p := progress[target]
		if p.Backfill || p.Abandoned {
			continue
		}
		dependency, reason := failedDependency(&target, &p)
		if reason != "" {
			err := fmt.Errorf("report %s of %s: %s", target, reader.owner.Name, reason)
			errs[dependency] = errors.Join(errs[dependency], err)
		}
	}
}

// failedDependency returns the dependency that a target failed for, with the reason; "" for a target that did not fail.
// A report that is not there yet is none.
func failedDependency(target *copilot.Target, p *copilot.Progress) (dependency, reason string) {
	switch {
	case strings.HasPrefix(p.Failure, downloadFailure), strings.HasPrefix(p.Failure, reportFailure):
		return health.CopilotDownload, p.Failure
	case p.Failure != "":
		return apiDependency(target), p.Failure
	case p.State == report.StateReady || p.State.IsPending():
		return "", ""
	default:
		return apiDependency(target), p.State.String()
	}
}

// states returns the state of each dependency, over all organizations.
func (h *copilotHealth) states() map[string]error {
	h.mu.Lock()
	defer h.mu.Unlock()
	states := make(map[string]error, len(h.dependencies))
	for _, dependency := range h.dependencies {
		var errs []error
		for _, org := range slices.Sorted(maps.Keys(h.errs)) {
			if err := h.errs[org][dependency]; err != nil {
				errs = append(errs, err)
			}
		}
		states[dependency] = errors.Join(errs...)
	}
	return states
}

// errorOf returns the error of a dependency for an organization, nil for none.
func (h *copilotHealth) errorOf(org, dependency string) error {
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.errs[org][dependency]
}
