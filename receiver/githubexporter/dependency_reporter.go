// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// dependencyReporter reports the state of dependencies to the monitor, which calls the host. Its users compute a state
// under a lock of their own: they add it under that lock, which orders the states, and report it without, so that the
// host is never called under a lock and an older state never replaces a newer one. It is safe for concurrent use.
type dependencyReporter struct {
	monitor *health.Monitor
	names   []string // of the dependencies, which share one state
	states  notify.Queue[error]
}

func newDependencyReporter(monitor *health.Monitor, names ...string) *dependencyReporter {
	return &dependencyReporter{monitor: monitor, names: names}
}

// add adds a state, nil for healthy. It calls nothing: the caller may hold a lock.
func (d *dependencyReporter) add(err error) { d.states.Add(err) }

// report reports the added states in their order. The caller holds no lock. Where another goroutine is reporting, that
// one reports the states, and report returns at once.
func (d *dependencyReporter) report() {
	d.states.Deliver(func(err error) {
		states := make(map[string]error, len(d.names))
		for _, name := range d.names {
			states[name] = err
		}
		d.monitor.SetDependencies(states)
	})
}
