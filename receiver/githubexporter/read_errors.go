// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// readErrors has the error of each organization that passes of this replica cannot read completely, and reports them as
// the states of the dependencies health.GitHub and health.GitHubCore. It is safe for concurrent use.
type readErrors struct {
	reporter *dependencyReporter

	mu   sync.Mutex
	orgs map[string]error
}

func newReadErrors(monitor *health.Monitor) *readErrors {
	return &readErrors{
		reporter: newDependencyReporter(monitor, health.GitHub, health.GitHubCore), orgs: make(map[string]error),
	}
}

// set sets the error of an organization, nil for none, and reports the joined state.
func (s *readErrors) set(org string, err error) {
	s.update(func() {
		if err != nil {
			s.orgs[org] = fmt.Errorf("organization %s: %w", org, err)
		} else {
			delete(s.orgs, org)
		}
	})
}

// replace replaces the error of an organization that has one. It does nothing to any other organization.
func (s *readErrors) replace(org string, err error) {
	s.update(func() {
		if s.orgs[org] != nil {
			s.orgs[org] = fmt.Errorf("organization %s: %w", org, err)
		}
	})
}

// update changes the errors and reports the joined state.
func (s *readErrors) update(change func()) {
	s.mu.Lock()
	change()
	var errs []error
	for _, org := range slices.Sorted(maps.Keys(s.orgs)) {
		errs = append(errs, s.orgs[org])
	}
	s.reporter.add(errors.Join(errs...))
	s.mu.Unlock()
	s.reporter.report()
}

// errorOf returns the error of an organization, nil for none.
func (s *readErrors) errorOf(org string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.orgs[org]
}

// isUnavailable reports whether the error of an organization is that GitHub does not respond.
func (s *readErrors) isUnavailable(org string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.As(s.orgs[org], new(*transport.UnavailableError))
}
