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

// orgHealth reports the results of passes over one organization to the log, readErrors and access. Passes with the same
// class of error are logged once as a warning, not each. It belongs to the goroutine of the pass loop.
type orgHealth struct {
	org        string
	readErrors *readErrors
	access     *githubAccess
	logger     *zap.Logger
	// class is the class of the last pass; see classifyError.
	class string
	// filterReported is what warnOfFilter found and logged last.
	filterReported string
}

// reset clears the state of a replica that leads no more: only a leader reports the errors of passes.
func (c *orgHealth) reset() {
	c.class = ""
	c.readErrors.set(c.org, nil)
}

// recordPass records the result of a pass. err is the error of the organization as a whole.
func (c *orgHealth) recordPass(result *collect.PassResult, err error) {
	fields := []zap.Field{
		zap.String("result", string(result.Status)), zap.Int("repositories", result.Repositories),
		zap.Int("changed", result.Changed),
		zap.Int("events", result.Events), zap.Duration("took", result.Duration), failuresField(result.Failures),
	}
	c.access.recordPass(c.org, err)
	c.warnOfVanishing(result)
	passErr := passError(result, err)
	before := c.class
	c.class = classifyError(result, passErr)
	if c.class != classStore { // an error of the store proves nothing about GitHub
		c.readErrors.set(c.org, githubError(result, passErr))
	}
	switch {
	case c.class == before:
		c.logger.Info("Pass ended.", append(fields, zap.Error(passErr))...)
		return
	case passErr == nil && before == "":
	case passErr == nil:
		c.logger.Info("The organization was read completely again.", fields...)
	default:
		c.logger.Warn("The organization was not read completely; its metrics keep their last values.",
			append(fields, zap.String("trouble", c.class), zap.Error(passErr))...)
	}
}

// warnOfFilter warns of settings of repositories that match nothing, once for each change.
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

// warnOfVanishing warns that most of the repositories were not found: their series end with the next pass, unless it
// finds them.
func (c *orgHealth) warnOfVanishing(result *collect.PassResult) {
	if result.VanishedRepositories == 0 {
		return
	}
	c.logger.Warn("Most of the organization's repositories disappeared at once. Their series end if the next pass "+
		"does not find them either; check the access of the credential, and repositories::include and exclude.",
		zap.Int("vanished", result.VanishedRepositories), zap.Int("repositories", result.Repositories))
}

// passError returns the error that represents all that a pass could not read; nil when it has read everything.
// Forbidden repositories come first: their series are about to end, and the remedy is another access of the credential.
func passError(result *collect.PassResult, err error) error {
	switch {
	case err != nil:
		return err
	case result.Incomplete != nil:
		return result.Incomplete
	case len(result.Failures) == 0:
		return nil
	}
	if first, n := forbiddenRepositories(result); n > 0 {
		return fmt.Errorf("%d repositories that were readable are forbidden to the credential, among them %s; "+
			"their windows are missing: %w", n, first.Repo, first.Err)
	}
	first := result.Failures[0]
	more := ""
	if n := len(result.Failures) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Errorf("%s of %s%s: %w", first.Stream, first.Repo, more, first.Err)
}

// forbiddenRepositories returns the number of repositories that were readable before and are forbidden to the
// credential, and a failure of one of them.
func forbiddenRepositories(result *collect.PassResult) (first *collect.Failure, n int) {
	counted := make(map[int64]bool)
	for i := range result.Failures {
		f := &result.Failures[i]
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

// githubError returns the part of a pass's error that makes GitHub an unhealthy dependency. A stream that GitHub
// refuses to the credential is none by itself: it stays a gap. A repository that was readable before, or that is
// forbidden at first contact, is one.
func githubError(result *collect.PassResult, err error) error {
	if err == nil || result.Incomplete != nil || len(result.Failures) == 0 {
		return err
	}
	if _, n := forbiddenRepositories(result); n > 0 {
		return err
	}
	for i := range result.Failures {
		if failure := result.Failures[i].Err; !errors.As(failure, new(*transport.ForbiddenError)) &&
			!errors.As(failure, new(*transport.NotFoundError)) {
			return err
		}
	}
	return nil
}

// classStore is the class of errors of the store.
const classStore = "store"

// classifyError returns the class of an error of a pass, as a text for logs: "ok" for nil. Two passes of the same class
// are one condition.
func classifyError(result *collect.PassResult, err error) string {
	var (
		store       *collect.StoreError
		limit       *transport.LimitError
		credential  *transport.CredentialError
		forbidden   *transport.ForbiddenError
		missing     *transport.NotFoundError
		unavailable *transport.UnavailableError
	)
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &store):
		return classStore
	case errors.As(err, &limit):
		return "limited"
	case errors.As(err, &credential):
		return "credential refused"
	case errors.As(err, &forbidden):
		return string(result.Status) + ": forbidden"
	case errors.As(err, &missing):
		return string(result.Status) + ": not found"
	case errors.As(err, &unavailable):
		return string(result.Status) + ": GitHub unavailable"
	default:
		return string(result.Status) + ": other"
	}
}

// failuresField returns the field with up to maxListed failures; zap.Skip() for none.
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

// maxListed is the number of failures in a log line.
const maxListed = 3
