// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// unmatchedUsers warns once of patterns in actors::exclude that match no user. It belongs to the goroutine that emits.
type unmatchedUsers struct {
	labels       *userLabels
	monitor      *health.Monitor
	emitInterval time.Duration
	logger       *zap.Logger
	hasChecked   bool
}

// check warns, when it is the first check after every organization that this replica leads was read once and the views
// had an emission's interval to follow.
func (u *unmatchedUsers) check(orgs []*organization, now time.Time) {
	if u.hasChecked || len(u.labels.exclude) == 0 {
		return
	}
	leads := false
	for _, org := range orgs {
		if !org.view.IsCaughtUp() {
			return
		}
		if !u.monitor.Leads(org.name) {
			continue
		}
		leads = true
		if at := org.state.firstComplete(); at.IsZero() || now.Sub(at) < u.emitInterval {
			return
		}
	}
	if !leads {
		return
	}
	u.hasChecked = true
	if texts := u.labels.unmatchedPatterns(); len(texts) > 0 {
		u.logger.Warn("Patterns in actors::exclude match no user found up to the first complete pass. "+
			"Only * and ? are wildcards; case is ignored.", zap.Strings("patterns", texts))
	}
}
