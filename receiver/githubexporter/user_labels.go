// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
)

// labelAll is the user label of all users together. No login begins with an underscore.
const labelAll = "_all"

// userLabels makes the user labels that the configuration asks for, for all organizations. It is safe for concurrent
// use.
type userLabels struct {
	bots    string
	exclude pattern.List
	labelOf func(activity.Actor) string
	// matched are the patterns of exclude that match a user of any organization.
	matched []atomic.Bool
	// unmatchedReported says that the patterns which match no user were reported; it belongs to the emitter.
	unmatchedReported bool
}

// newUserLabels takes a configuration that has been validated.
func newUserLabels(config *ActorsConfig) *userLabels {
	exclude, err := pattern.CompileList(config.Exclude)
	if err != nil {
		panic(err) // Validate has refused it
	}
	return &userLabels{
		bots: config.Bots, exclude: exclude, labelOf: labelOf(config.Label), matched: make([]atomic.Bool, len(exclude)),
	}
}

// labelFor is a user's label, and false for a user who is not shown. Every pattern is tried, so that matched is
// complete.
func (u *userLabels) labelFor(a activity.Actor) (string, bool) {
	a = a.Canonical()
	shown := u.bots != botsExclude || !a.IsBot()
	for i := range u.exclude {
		if u.exclude[i].Match(a.Login) {
			u.matched[i].Store(true)
			shown = false
		}
	}
	if !shown {
		return "", false
	}
	return u.labelOf(a), true
}

// unmatchedPatterns are the patterns that match no user so far.
func (u *userLabels) unmatchedPatterns() []string {
	var texts []string
	for i := range u.exclude {
		if !u.matched[i].Load() {
			texts = append(texts, u.exclude[i].String())
		}
	}
	return texts
}

// reportUnmatchedUsers warns once of patterns in actors::exclude that match no user, when every organization that this
// replica leads has been read once and the views had an emission's interval to follow.
func (r *githubReceiver) reportUnmatchedUsers(now time.Time) {
	if r.users.unmatchedReported || len(r.users.exclude) == 0 {
		return
	}
	leads := false
	for _, org := range r.orgs {
		if !org.view.IsCaughtUp() {
			return
		}
		if !r.monitor.Leads(org.name) {
			continue
		}
		leads = true
		if at := org.state.firstComplete(); at.IsZero() || now.Sub(at) < r.config.EmitInterval {
			return
		}
	}
	if !leads {
		return
	}
	r.users.unmatchedReported = true
	if texts := r.users.unmatchedPatterns(); len(texts) > 0 {
		r.settings.Logger.Warn("Patterns in actors::exclude match no user found up to the first complete pass. "+
			"Only * and ? are wildcards; case is ignored.", zap.Strings("patterns", texts))
	}
}

func labelOf(kind string) func(activity.Actor) string {
	switch kind {
	case labelID:
		return idLabel
	case labelHashed:
		return hashedLabel
	case labelNone:
		return func(activity.Actor) string { return labelAll }
	default:
		return func(a activity.Actor) string { return a.Login }
	}
}

// idLabel is the account's id, or the login where there is no account.
func idLabel(a activity.Actor) string {
	if a.ID == 0 {
		return a.Login
	}
	return strconv.FormatInt(a.ID, 10)
}

// hashedLabel is the beginning of the SHA-256 of the login in hexadecimal. A list of logins
// resolves it: it keeps names off dashboards, it is not anonymity. Those who are no account keep their names.
func hashedLabel(a activity.Actor) string {
	switch a.Login {
	case activity.LoginGhost, activity.LoginUnlinkedGitAuthor, activity.LoginUnattributedCommit, activity.LoginOther:
		return a.Login
	}
	sum := sha256.Sum256([]byte(a.Login))
	return hex.EncodeToString(sum[:8])
}
