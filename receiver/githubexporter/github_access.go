// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// errNeverRead is the state of an organization of which the ledger has nothing yet.
var errNeverRead = errors.New("nothing has been read yet")

// githubAccess has the state of this replica's access to the organizations, the dependency health.GitHubAccess. The
// replica is not ready while, for one of them,
//   - no replica has read the organization yet, or
//   - GitHub refuses the credential or the organization, and this process has never read it.
//
// After the first reading, later errors are those of the passes; see readErrors. It is safe for concurrent use.
type githubAccess struct {
	reporter *dependencyReporter

	mu   sync.Mutex
	orgs map[string]*orgAccess
}

// orgAccess is the state of the access to one organization.
type orgAccess struct {
	// edge returns the time up to which the ledger has the organization; zero when it was never read.
	edge func() time.Time
	// wasRead says that a pass of this process has read the organization. accepted says that GitHub has accepted the
	// credential.
	wasRead, accepted bool
	// refused is why GitHub refuses the credential or the organization, lastErr the last error; nil for none.
	refused, lastErr error
}

func newGitHubAccess(monitor *health.Monitor) *githubAccess {
	return &githubAccess{
		reporter: newDependencyReporter(monitor, health.GitHubAccess), orgs: make(map[string]*orgAccess),
	}
}

// add adds an organization whose access is observed from now on. edge is orgAccess.edge.
func (a *githubAccess) add(org string, edge func() time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orgs[org] = &orgAccess{edge: edge}
}

// recordPass records the end of a pass. err is the error of the organization as a whole.
func (a *githubAccess) recordPass(org string, err error) {
	a.update(org, func(o *orgAccess) {
		switch {
		case err == nil:
			o.wasRead, o.accepted, o.refused, o.lastErr = true, true, nil, nil
		case errors.As(err, new(*collect.StoreError)) || errors.Is(err, collect.ErrNoRepositories):
			o.lastErr = err
		case isAccessRefused(err):
			o.accepted, o.refused, o.lastErr = false, err, err
		default:
			o.lastErr = err
		}
	})
}

// recordCredentialCheck records the result of a request that only checks the credential.
func (a *githubAccess) recordCredentialCheck(org string, err error) {
	a.update(org, func(o *orgAccess) {
		switch {
		case err == nil:
			o.accepted, o.refused, o.lastErr = true, nil, nil
		case isAccessRefused(err):
			o.refused, o.lastErr = err, err
		default:
			o.lastErr = err
		}
	})
}

// recordRequestError records the error of a request of an organization that was never read: a pass retries such
// requests for half a minute before it fails. It does nothing to any other organization.
func (a *githubAccess) recordRequestError(org string, err error) {
	a.mu.Lock()
	o := a.orgs[org]
	isUnread := o != nil && !o.wasRead && o.refused == nil && o.edge().IsZero()
	a.mu.Unlock()
	if isUnread {
		a.update(org, func(o *orgAccess) { o.lastErr = err })
	}
}

// update changes the state of an organization and reports the joined state.
func (a *githubAccess) update(org string, change func(o *orgAccess)) {
	a.mu.Lock()
	if o := a.orgs[org]; o != nil {
		change(o)
	}
	a.reporter.add(a.joinErrors())
	a.mu.Unlock()
	a.reporter.report()
}

// refresh computes and reports the joined state again: another replica may have read an organization.
func (a *githubAccess) refresh() {
	a.mu.Lock()
	a.reporter.add(a.joinErrors())
	a.mu.Unlock()
	a.reporter.report()
}

// needsCredentialCheck reports whether GitHub has not accepted the credential of an organization yet.
func (a *githubAccess) needsCredentialCheck(org string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.orgs[org].accepted
}

// errorOf returns why this replica has no access to an organization, nil when it has.
func (a *githubAccess) errorOf(org string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.orgs[org]; o != nil {
		return o.err()
	}
	return nil
}

// isRefused reports whether GitHub refused an organization, or its credential, with the last response that shows it.
func (a *githubAccess) isRefused(org string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.orgs[org]
	return o != nil && o.refused != nil
}

// joinErrors joins the errors of all organizations. a.mu is held.
func (a *githubAccess) joinErrors() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(a.orgs)) {
		if err := a.orgs[name].err(); err != nil {
			errs = append(errs, fmt.Errorf("organization %s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

func (o *orgAccess) err() error {
	switch {
	case o.wasRead:
		return nil
	case o.refused != nil:
		return o.refused
	case !o.edge().IsZero():
		return nil
	case o.lastErr != nil:
		return fmt.Errorf("%w: %w", errNeverRead, o.lastErr)
	default:
		return errNeverRead
	}
}

// isAccessRefused reports whether GitHub refuses the credential, or has no such organization for it. Another secret, or
// another name of the organization, is needed then.
func isAccessRefused(err error) bool {
	return errors.As(err, new(*transport.CredentialError)) || errors.As(err, new(*transport.NotFoundError))
}
