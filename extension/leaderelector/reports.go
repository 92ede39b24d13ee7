package leaderelector

import (
	"strings"
	"unicode"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// leaseState is what the backend said last of a lease.
type leaseState struct {
	// trouble is why the backend could not be asked, nil when it answered.
	trouble error
	// holder is the identity of the other replica that holds the lease; "" when none is known to.
	holder string
	// leads says that this replica holds it.
	leads bool
}

// lease is the state of a lease. r.mu is held.
func (r *reports) lease(name string) *leaseState {
	state := r.leases[name]
	if state == nil {
		state = &leaseState{}
		if r.leases == nil {
			r.leases = make(map[string]*leaseState)
		}
		r.leases[name] = state
	}
	return state
}

// state is a copy of what is known of a lease.
func (r *reports) state(name string) leaseState {
	r.mu.Lock()
	defer r.mu.Unlock()
	if state := r.leases[name]; state != nil {
		return *state
	}
	return leaseState{}
}

// reached takes an answer of the backend, or why there was none. The log has a line when a lease changes between the
// two, the component status also the present reason.
func (r *reports) reached(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.lease(name)
	was := state.trouble
	state.trouble = err
	switch {
	case err != nil && was == nil:
		r.logger.Warn("Leader election backend unreachable; a leader steps down before its lease expires, and no "+
			"other "+
			"replica begins to lead.", zap.String("lease", name), zap.Error(err))
	case err == nil && was != nil:
		r.logger.Info("Leader election backend reachable again.", zap.String("lease", name))
	}
	r.report(err)
}

// report makes the component status of the troubles of all leases, when it changes. err is the newest of them. r.mu is
// held.
func (r *reports) report(err error) {
	troubled := false
	for _, state := range r.leases {
		troubled = troubled || state.trouble != nil
	}
	switch {
	case err != nil && r.reported != kindOf(err):
		r.reported = kindOf(err)
		componentstatus.ReportStatus(r.host, componentstatus.NewRecoverableErrorEvent(err))
	case !troubled && r.reported != "":
		r.reported = ""
		componentstatus.ReportStatus(r.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

// kindOf is an error's text without its numbers: ports and durations differ from one attempt to the next.
func kindOf(err error) string {
	return "error: " + strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, err.Error())
}

// held notes that another replica holds a lease.
func (r *reports) held(name, holder string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lease(name).holder = holder
}

// led notes that this replica begins or ceases to hold a lease.
func (r *reports) led(name string, leads bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	state := r.lease(name)
	state.leads, state.holder = leads, ""
}
