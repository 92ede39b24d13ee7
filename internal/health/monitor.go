// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// maxDetail bounds a detail in bytes.
const maxDetail = 500

// Monitor records the states of a replica's dependencies and its roles, and reports changes. A dependency that was
// never set is not reported. It is safe for concurrent use.
type Monitor struct {
	optional []string
	now      func() time.Time
	onChange func(Report)

	mu           sync.Mutex
	dependencies map[string]*Dependency
	warnings     map[string]bool // whether the error of a dependency is a Warning
	roles        map[string]Role
	report       Report
	changes      notify.Queue[Report]
}

// NewMonitor returns the monitor of a replica that follows all organizations. No role requires the optional
// dependencies. onChange is called with each report that differs from the one before in more than incidental parts of
// details: in order, one call at a time, without a lock of the monitor. It may call the monitor's methods; it is then
// called again when it has returned.
func NewMonitor(orgs, optional []string, now func() time.Time, onChange func(Report)) *Monitor {
	m := &Monitor{
		optional: optional, now: now, onChange: onChange,
		dependencies: make(map[string]*Dependency), warnings: make(map[string]bool), roles: make(map[string]Role),
	}
	for _, org := range orgs {
		m.roles[org] = Follower
	}
	return m
}

// SetDependencies sets the states of dependencies by name; nil is healthy.
func (m *Monitor) SetDependencies(states map[string]error) {
	m.change(func() {
		for name, err := range states {
			m.setDependency(name, err)
		}
	})
}

// change makes a change under m.mu and reports it without m.mu.
func (m *Monitor) change(apply func()) {
	m.mu.Lock()
	apply()
	m.evaluate()
	m.mu.Unlock()
	m.changes.Deliver(m.onChange)
}

// setDependency sets the state of a dependency. m.mu is held.
func (m *Monitor) setDependency(name string, err error) {
	d := m.dependencies[name]
	if d == nil {
		d = &Dependency{Name: name, Healthy: err != nil} // so that Since is set now
		m.dependencies[name] = d
	}
	if healthy := err == nil; healthy != d.Healthy {
		d.Healthy, d.Since = healthy, m.now()
	}
	d.Detail, d.Permanent = "", false
	m.warnings[name] = errors.As(err, new(*Warning))
	if err != nil {
		d.Permanent = errors.As(err, new(*PermanentError))
		d.Detail = truncate(err.Error())
	}
}

func truncate(text string) string {
	if len(text) > maxDetail {
		text = text[:maxDetail] + "..."
	}
	return strings.ToValidUTF8(text, "")
}

// SetLeader sets whether this replica leads an organization.
func (m *Monitor) SetLeader(org string, leads bool) {
	m.change(func() {
		m.roles[org] = Follower
		if leads {
			m.roles[org] = Leader
		}
	})
}

// Leads reports whether this replica leads an organization.
func (m *Monitor) Leads(org string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roles[org] == Leader
}

// LeadsAny reports whether this replica leads at least one organization.
func (m *Monitor) LeadsAny() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.computeReport().Role == Leader
}

// IsHealthy reports whether a dependency was healthy when it was set last.
func (m *Monitor) IsHealthy(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	d := m.dependencies[name]
	return d != nil && d.Healthy
}

// Report returns the present report.
func (m *Monitor) Report() Report {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.computeReport()
}

// evaluate computes the report and adds it to the changes when it differs, also in a reason alone: the present reason
// is what an operator needs. m.mu is held.
func (m *Monitor) evaluate() {
	r := m.computeReport()
	last := &m.report
	if r.Role != last.Role || r.Ready != last.Ready || r.Mode != last.Mode {
		r.Since = m.now()
	}
	same := r.Since.Equal(last.Since) && maps.Equal(r.Organizations, last.Organizations) &&
		slices.EqualFunc(r.Dependencies, last.Dependencies, func(a, b Dependency) bool {
			return a.Name == b.Name && a.Healthy == b.Healthy && a.Required == b.Required &&
				a.Permanent == b.Permanent && isSameReason(a.Detail, b.Detail)
		})
	m.report = r
	if !same {
		m.changes.Add(r)
	}
}

// incidentalPattern matches what differs between two errors of the same cause: GitHub's request id, and the local port
// of a connection.
var incidentalPattern = regexp.MustCompile(`\[request [^\]]*\]|:[0-9]+->`)

// isSameReason reports whether two details are the same but for incidental parts.
func isSameReason(a, b string) bool {
	return a == b || incidentalPattern.ReplaceAllString(a, "") == incidentalPattern.ReplaceAllString(b, "")
}

// computeReport returns the present report. m.mu is held.
func (m *Monitor) computeReport() Report {
	var dependencies []Dependency
	for _, name := range slices.Sorted(maps.Keys(m.dependencies)) {
		dependencies = append(dependencies, *m.dependencies[name])
	}
	r := newReport(maps.Clone(m.roles), dependencies, func(name string) bool {
		return slices.Contains(m.optional, name) || m.warnings[name]
	})
	r.Since = m.report.Since
	return r
}
