// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// errNeverRead is the state of an organization of which the ledger has nothing yet.
var errNeverRead = errors.New("nothing has been read yet")

// access has the state of this replica's access to the organizations. The replica is not ready while, for one of them,
//   - no replica has read the organization yet, or
//   - GitHub refuses the credential or the organization, and this process has never read it.
//
// After the first reading, later errors are a matter of the passes.
type access struct {
	monitor *health.Monitor

	mu   sync.Mutex
	orgs map[string]*orgAccess
}

// orgAccess is what is known of the access to one organization.
type orgAccess struct {
	// edge is up to when the ledger has the organization, zero when it never was read.
	edge func() time.Time
	// wasRead says that a pass of this process has read the organization. accepted says that GitHub has accepted the
	// credential.
	wasRead, accepted bool
	// refused is why GitHub refuses the credential or the organization, last the last error; nil for none.
	refused, lastErr error
}

func newAccess(monitor *health.Monitor) *access {
	return &access{monitor: monitor, orgs: make(map[string]*orgAccess)}
}

// add begins to watch an organization.
func (a *access) add(org string, edge func() time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.orgs[org] = &orgAccess{edge: edge}
}

// recordPass takes the end of a pass. err is that of the organization as a whole.
func (a *access) recordPass(org string, err error) {
	a.change(org, func(o *orgAccess) {
		switch {
		case err == nil:
			o.wasRead, o.accepted, o.refused, o.lastErr = true, true, nil, nil
		case errors.As(err, new(*collect.StoreError)) || errors.Is(err, collect.ErrNoRepositories):
			o.lastErr = err
		case refusesAccess(err):
			o.accepted, o.refused, o.lastErr = false, err, err
		default:
			o.lastErr = err
		}
	})
}

// recordCheck takes the answer to the question whether GitHub takes the credential.
func (a *access) recordCheck(org string, err error) {
	a.change(org, func(o *orgAccess) {
		switch {
		case err == nil:
			o.accepted, o.refused, o.lastErr = true, nil, nil
		case refusesAccess(err):
			o.refused, o.lastErr = err, err
		default:
			o.lastErr = err
		}
	})
}

// recordRequestError takes why a request had no answer, which is the reason as long as nothing was read: a pass repeats
// such requests for half a minute before it fails.
func (a *access) recordRequestError(org string, trouble error) {
	a.mu.Lock()
	o := a.orgs[org]
	unread := o != nil && !o.wasRead && o.refused == nil && o.edge().IsZero()
	a.mu.Unlock()
	if unread {
		a.change(org, func(o *orgAccess) { o.lastErr = trouble })
	}
}

func (a *access) change(org string, change func(o *orgAccess)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.orgs[org]; o != nil {
		change(o)
	}
	a.monitor.SetDependencies(map[string]error{health.GitHubAccess: a.joinErrors()})
}

// refresh computes the state again, for another replica may have read an organization, and returns it.
func (a *access) refresh() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.joinErrors()
	a.monitor.SetDependencies(map[string]error{health.GitHubAccess: err})
	return err
}

// needsCheck reports whether it is still to be found out whether GitHub takes the credential of an organization.
func (a *access) needsCheck(org string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return !a.orgs[org].accepted
}

// errorOf returns why this replica has no access to an organization, nil when it has.
func (a *access) errorOf(org string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if o := a.orgs[org]; o != nil {
		return o.err()
	}
	return nil
}

func (a *access) joinErrors() error {
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

// refusesAccess reports whether GitHub does not accept the credential, or does not know what is asked for. A replica
// with another secret, or another name of the organization, is needed then.
func refusesAccess(err error) bool {
	return errors.As(err, new(*github.CredentialError)) || errors.As(err, new(*github.NotFoundError))
}

// maxConcurrentChecks is how many credentials are checked at a time.
const maxConcurrentChecks = 8

// checkCredentials asks GitHub whether it takes the credentials of the organizations that this replica does not lead,
// until it has taken each of them once. The question costs nothing of a limit. Passes tell it of the others.
func (r *githubReceiver) checkCredentials(ctx context.Context, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		r.checkPendingCredentials(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (r *githubReceiver) checkPendingCredentials(ctx context.Context) {
	if r.cooldown.Err() != nil {
		return // GitHub answers nothing but errors
	}
	var group errgroup.Group
	group.SetLimit(maxConcurrentChecks)
	for _, org := range r.orgs {
		if r.monitor.Leads(org.name) || !r.access.needsCheck(org.name) {
			continue
		}
		group.Go(func() error {
			asking, cancel := context.WithTimeout(ctx, probeTimeout)
			defer cancel()
			if err := org.client.Probe(asking); ctx.Err() == nil {
				r.access.recordCheck(org.name, err)
			}
			return nil
		})
	}
	_ = group.Wait() // what failed was noted
}
