// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// orgHealth is how an organization is doing. It is logged once per change, not once per pass.
type orgHealth struct {
	org        string
	readErrors *readErrors
	access     *githubAccess
	logger     *zap.Logger
	class      string
	// filterReported is what the last complete pass found of the settings of repositories.
	filterReported string
}

// reset is for a replica that leads no more: how GitHub does is the leader's business.
func (c *orgHealth) reset() {
	c.class = ""
	c.readErrors.set(c.org, nil)
}

// recordPass takes the outcome of a pass.
func (c *orgHealth) recordPass(sum *collect.PassResult, err error) {
	fields := []zap.Field{
		zap.String("result", string(sum.Status)), zap.Int("repositories", sum.Repositories),
		zap.Int("changed", sum.Changed),
		zap.Int("events", sum.Events), zap.Duration("took", sum.Duration), failuresField(sum.Failures),
	}
	c.access.recordPass(c.org, err)
	c.warnOfVanishing(sum)
	trouble := passError(sum, err)
	was := c.class
	c.class = classifyError(sum, trouble)
	if c.class != classStore { // how the store does is not GitHub's business
		c.readErrors.set(c.org, githubError(sum, trouble))
	}
	switch {
	case c.class == was:
		c.logger.Info("Pass ended.", append(fields, zap.Error(trouble))...)
		return
	case trouble == nil && was == "":
	case trouble == nil:
		c.logger.Info("The organization was read completely again.", fields...)
	default:
		c.logger.Warn("The organization was not read completely; its metrics keep their last values.",
			append(fields, zap.String("trouble", c.class), zap.Error(trouble))...)
	}
}

// warnOfFilter warns of settings of repositories that select nothing, once for each change.
func (c *orgHealth) warnOfFilter(result *collect.PassResult) {
	none := result.Repositories == 0
	found := fmt.Sprintf("%q %t", result.UnmatchedPatterns, none)
	if found == c.filterReported {
		return
	}
	c.filterReported = found
	if un := &result.UnmatchedPatterns; len(un.Include)+len(un.Exclude) > 0 {
		c.logger.Warn("Patterns in repositories::include or repositories::exclude match no repository of the "+
			"organization. Only * and ? are wildcards; case is ignored.",
			zap.Strings("include", un.Include), zap.Strings("exclude", un.Exclude))
	}
	if none {
		c.logger.Warn("No repository of the organization is read: the credential sees none that the settings of " +
			"repositories select.")
	}
}

// warnOfVanishing says that most of the repositories are not there any more: their series end with the next pass,
// unless it finds them.
func (c *orgHealth) warnOfVanishing(sum *collect.PassResult) {
	if sum.VanishedRepositories == 0 {
		return
	}
	c.logger.Warn("Most of the organization's repositories disappeared at once. Their series end if the next pass "+
		"does not find them either; check the access of the credential, and repositories::include and exclude.",
		zap.Int("vanished", sum.VanishedRepositories), zap.Int("repositories", sum.Repositories))
}

// passError is the error that stands for all that a pass could not read; nil when it has read everything. Repositories
// that are forbidden come first: their series are in question, and the remedy is a matter of the credential.
func passError(sum *collect.PassResult, err error) error {
	switch {
	case err != nil:
		return err
	case sum.Incomplete != nil:
		return sum.Incomplete
	case len(sum.Failures) == 0:
		return nil
	}
	if first, n := forbiddenRepositories(sum); n > 0 {
		return fmt.Errorf("%d repositories that were readable are forbidden to the credential, among them %s; "+
			"their windows are missing: %w", n, first.Repo, first.Err)
	}
	first := sum.Failures[0]
	more := ""
	if n := len(sum.Failures) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%s of %s%s: %w", first.Stream, first.Repo, more, first.Err)
}

// forbiddenRepositories counts the repositories that were there and that the credential may not see, and gives a
// failure of one of them.
func forbiddenRepositories(sum *collect.PassResult) (first *collect.Failure, n int) {
	counted := make(map[int64]bool)
	for i := range sum.Failures {
		f := &sum.Failures[i]
		if !f.PresenceUnknown || counted[f.RepoID] || !errors.As(f.Err, new(*transport.ForbiddenError)) {
			continue
		}
		counted[f.RepoID] = true
		if first == nil {
			first = f
		}
	}
	return first, len(counted)
}

// githubError is the trouble that GitHub is in. A stream that it refuses to this credential, and nothing else, is none:
// that stays a gap. A repository that was there and is forbidden, or that is forbidden at first contact, is.
func githubError(sum *collect.PassResult, trouble error) error {
	if trouble == nil || sum.Incomplete != nil || len(sum.Failures) == 0 {
		return trouble
	}
	if _, n := forbiddenRepositories(sum); n > 0 {
		return trouble
	}
	for i := range sum.Failures {
		if err := sum.Failures[i].Err; !errors.As(err, new(*transport.ForbiddenError)) &&
			!errors.As(err, new(*transport.NotFoundError)) {
			return trouble
		}
	}
	return nil
}

// classStore is the class of trouble with the store.
const classStore = "store"

// classifyError names the kind of trouble: two passes of one class are one condition. "ok" is none, "" is not known
// yet.
func classifyError(sum *collect.PassResult, trouble error) string {
	var (
		store       *collect.StoreError
		limit       *transport.LimitError
		credential  *transport.CredentialError
		forbidden   *transport.ForbiddenError
		missing     *transport.NotFoundError
		unavailable *transport.UnavailableError
	)
	switch {
	case trouble == nil:
		return "ok"
	case errors.As(trouble, &store):
		return classStore
	case errors.As(trouble, &limit):
		return "limited"
	case errors.As(trouble, &credential):
		return "credential refused"
	case errors.As(trouble, &forbidden):
		return string(sum.Status) + ": forbidden"
	case errors.As(trouble, &missing):
		return string(sum.Status) + ": not found"
	case errors.As(trouble, &unavailable):
		return string(sum.Status) + ": GitHub unavailable"
	default:
		return string(sum.Status) + ": other"
	}
}

// failuresField lists some of the failures.
func failuresField(failures []collect.Failure) zap.Field {
	if len(failures) == 0 {
		return zap.Skip()
	}
	list := make([]string, 0, maxListed)
	for i, f := range failures {
		if i == maxListed {
			list = append(list, fmt.Sprintf("and %d more", len(failures)-i))
			break
		}
		list = append(list, fmt.Sprintf("%s of %s: %v", f.Stream, f.Repo, f.Err))
	}
	return zap.Strings("failures", list)
}

// maxListed is how many failures a log line lists.
const maxListed = 3
