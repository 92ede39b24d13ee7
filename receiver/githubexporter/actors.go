package githubexporter

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/gobwas/glob"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// labelAll is the user label when users are not told apart. No login begins with an underscore.
const labelAll = "_all"

// labeller makes the user labels that the configuration asks for. The configuration has been validated.
func labeller(config *ActorsConfig) func(activity.Actor) (string, bool) {
	excluded := make([]glob.Glob, 0, len(config.Exclude))
	for _, pattern := range config.Exclude {
		excluded = append(excluded, glob.MustCompile(pattern))
	}
	label := labelOf(config.Label)
	return func(a activity.Actor) (string, bool) {
		if config.Bots == botsExclude && a.IsBot() {
			return "", false
		}
		for _, g := range excluded {
			if g.Match(a.Login) {
				return "", false
			}
		}
		return label(a), true
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

// hashedLabel is the beginning of the SHA-256 of the login in hexadecimal. Whoever knows the logins can tell them
// apart: it keeps names off dashboards, it is not anonymity. Those who are no account keep their names.
func hashedLabel(a activity.Actor) string {
	switch a.Login {
	case activity.LoginGhost, activity.LoginUnlinkedGitAuthor, activity.LoginUnattributedCommit, activity.LoginOther:
		return a.Login
	}
	sum := sha256.Sum256([]byte(a.Login))
	return hex.EncodeToString(sum[:8])
}
