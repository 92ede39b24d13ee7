// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync/atomic"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/pattern"
)

// labelAll is the user label of all users together. No login begins with an underscore.
const labelAll = "_all"

// userLabels makes the values of the user label as the block actors of the configuration wants them, for all
// organizations. It is safe for concurrent use.
type userLabels struct {
	bots    string
	exclude pattern.List
	labelOf func(activity.Actor) string
	// matched says, for each pattern of exclude, whether it has matched a user of any organization.
	matched []atomic.Bool
}

// newUserLabels returns the labels of a configuration that was validated.
func newUserLabels(config *ActorsConfig) *userLabels {
	exclude, err := pattern.CompileList(config.Exclude)
	if err != nil {
		panic(err) // cannot be: Validate compiles them too
	}
	return &userLabels{
		bots: config.Bots, exclude: exclude, labelOf: labelOf(config.Label), matched: make([]atomic.Bool, len(exclude)),
	}
}

// labelFor returns the label of a user; false for a user who is not shown. It tries every pattern, so that matched is
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

// unmatchedPatterns returns the patterns of exclude that have matched no user so far.
func (u *userLabels) unmatchedPatterns() []string {
	var texts []string
	for i := range u.exclude {
		if !u.matched[i].Load() {
			texts = append(texts, u.exclude[i].String())
		}
	}
	return texts
}

// labelOf returns the label of an actor for a value of actors::label.
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

// idLabel returns the id of the account, or the login where there is no account.
func idLabel(a activity.Actor) string {
	if a.ID == 0 {
		return a.Login
	}
	return strconv.FormatInt(a.ID, 10)
}

// hashedLabel returns the first 8 bytes of the SHA-256 of the login in hexadecimal. It keeps names off dashboards and
// is no anonymity: a list of logins resolves it. Actors that are no account keep their names.
func hashedLabel(a activity.Actor) string {
	switch a.Login {
	case activity.LoginGhost, activity.LoginUnlinkedGitAuthor, activity.LoginUnattributedCommit, activity.LoginOther:
		return a.Login
	}
	sum := sha256.Sum256([]byte(a.Login))
	return hex.EncodeToString(sum[:8])
}
