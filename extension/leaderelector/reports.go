package leaderelector

import (
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// reached takes an answer of the backend, or why there was none.
func (r *reports) reached(name string, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if (err != nil) == r.troubled[name] {
		return
	}
	if r.troubled == nil {
		r.troubled = make(map[string]bool)
	}
	was := len(r.troubled)
	if err != nil {
		r.troubled[name] = true
		r.logger.Warn("The leases are out of reach; who leads stops in time.", zap.String("lease", name), zap.Error(err))
	} else {
		delete(r.troubled, name)
		r.logger.Info("The leases can be reached again.", zap.String("lease", name))
	}
	switch {
	case was == 0:
		componentstatus.ReportStatus(r.host, componentstatus.NewRecoverableErrorEvent(err))
	case len(r.troubled) == 0:
		componentstatus.ReportStatus(r.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}
