// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package leaderelector

import (
	"strings"
	"unicode"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// leaseStatus is the state of a lease as the backend reported it last.
type leaseStatus struct {
	// backendErr is the error of the last request for the lease; nil when the backend responded.
	backendErr error
	// holder is the identity of another replica that holds the lease; "" when no other holder was reported.
	holder string
	// leads says that this replica holds the lease.
	leads bool
}

// ensureLease returns the state of a lease, a new one at first. r.mu is held.
func (r *statusReporter) ensureLease(name string) *leaseStatus {
	state := r.leases[name]
	if state == nil {
		state = &leaseStatus{}
		if r.leases == nil {
			r.leases = make(map[string]*leaseStatus)
		}
		r.leases[name] = state
	}
	return state
}

// leaseState returns a copy of the state of a lease.
func (r *statusReporter) leaseState(name string) leaseStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	if state := r.leases[name]; state != nil {
		return *state
	}
	return leaseStatus{}
}

// onBackend records the result of a request to the backend. It logs when a lease changes between success and failure;
// the component status has the present reason, too.
func (r *statusReporter) onBackend(name string, err error) {
	r.recordBackend(name, err)
	r.events.Deliver(func(event *componentstatus.Event) { componentstatus.ReportStatus(r.host, event) })
}

// recordBackend records the result and adds a changed component status to the events. It logs under r.mu, so that the
// lines are in the order of the changes; a logger does not call back.
func (r *statusReporter) recordBackend(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.ensureLease(name)
	was := state.backendErr
	state.backendErr = err
	switch {
	case err != nil && was == nil:
		r.logger.Warn("Leader election backend unreachable; the leader steps down before its lease expires, and "+
			"no other replica begins to lead.", zap.String("lease", name), zap.Error(err))
	case err == nil && was != nil:
		r.logger.Info("Leader election backend reachable again.", zap.String("lease", name))
	}
	r.updateStatus(err)
}

// updateStatus joins the errors of all leases into the component status, on changes only. err is the newest of them.
// r.mu is held.
func (r *statusReporter) updateStatus(err error) {
	hasErrors := false
	for _, state := range r.leases {
		hasErrors = hasErrors || state.backendErr != nil
	}
	switch {
	case err != nil && r.reportedKind != errorKind(err):
		r.reportedKind = errorKind(err)
		r.events.Add(componentstatus.NewRecoverableErrorEvent(err))
	case !hasErrors && r.reportedKind != "":
		r.reportedKind = ""
		r.events.Add(componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

// errorKind returns the text of an error without digits: ports and durations differ from one attempt to the next.
func errorKind(err error) string {
	return "error: " + strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
}

// onHeld records that another replica holds a lease.
func (r *statusReporter) onHeld(name, holder string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ensureLease(name).holder = holder
}

// setLeads records whether this replica holds a lease.
func (r *statusReporter) setLeads(name string, leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.ensureLease(name)
	state.leads, state.holder = leads, ""
}
