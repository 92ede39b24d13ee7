// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	coordination "k8s.io/api/coordination/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// Causes of the end of a term, beside those of package election.
var (
	errRenewalStopped = errors.New("the renewal of the lease stopped")
	errWorkReturned   = errors.New("the work of the leader returned")
)

// term is one campaign, and one holding of the lease when it succeeds.
type term struct {
	elector *Elector
	lock    *lock
	logger  *slog.Logger
	// ctx is the context of work; cancel ends it with the cause of the end of the term.
	ctx    context.Context
	cancel context.CancelCauseFunc
}

// newTerm prepares a campaign with an identity of its own: acquiring a lease again is then a transition like any other.
func (e *Elector) newTerm(ctx context.Context, name string, api *apiState) *term {
	t := &term{elector: e}
	t.ctx, t.cancel = context.WithCancelCause(ctx)
	t.lock = &lock{
		LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta: meta.ObjectMeta{Namespace: e.settings.Namespace, Name: e.LeaseName(name)},
			Client:    e.client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{
				Identity: e.settings.Identity + "_" + strconv.FormatUint(campaignCount.Add(1), 10),
			},
		},
		api:           api,
		timeout:       e.settings.RenewDeadline / 3,
		trustedFor:    e.settings.RenewDeadline,
		renewInterval: e.settings.RetryPeriod,
		onExpired:     func() { t.cancel(election.ErrExpired) },
		onLost:        func() { t.cancel(election.ErrLost) },
		onHeld:        func(holder string) { e.settings.OnHeld(name, holder) },
	}
	t.logger = e.settings.Logger.With("lease", t.lock.Describe(), "identity", t.lock.Identity())
	return t
}

// serve runs work while the term lasts.
func (t *term) serve(work func(context.Context, uint64) error) {
	fence, err := t.readFence()
	if err != nil {
		t.cancel(err)
		t.logger.Warn("acquired the lease, but failed to read its fence", "cause", context.Cause(t.ctx))
		return
	}
	t.logger.Info("leading", "fence", fence)
	err = work(t.ctx, fence)
	t.cancel(errors.Join(errWorkReturned, err)) // without effect when the term had ended before
	t.logger.Info("stopped leading", "fence", fence, "cause", context.Cause(t.ctx))
}

// readFence returns the fence of the term, from the Lease while it is held. A creation time has the resolution of a
// second: so that a Lease and its replacement have different ones, the first term of a Lease waits until it is older.
func (t *term) readFence() (uint64, error) {
	lease, err := t.readLease()
	for settled := lease.isUnique(time.Now()); err == nil && !settled; {
		before := lease
		_ = wakeup.Sleep(t.ctx, creationResolution)
		lease, err = t.readLease()
		settled = lease.createdAt.Equal(before.createdAt)
	}
	if err != nil {
		return 0, err
	}
	return lease.fence(), context.Cause(t.ctx)
}

// creationResolution is the resolution of the creation time of a Lease.
const creationResolution = time.Second

// leaseVersion is the creation time of a Lease object and the number of its transitions, of which a fence is made.
type leaseVersion struct {
	createdAt   time.Time
	transitions int32
}

// isUnique reports whether the Lease is certainly older than the resolution of its creation time, even if the clocks of
// this machine and of the API server differ.
func (c leaseVersion) isUnique(now time.Time) bool {
	return c.transitions > 0 && now.Sub(c.createdAt) >= 2*creationResolution
}

// fence grows with each transition, and is higher for a Lease that was created later.
func (c leaseVersion) fence() uint64 {
	return election.FenceAt(c.createdAt) + uint64(max(c.transitions, 0)) + 1
}

// readLease reads the Lease. It returns ErrLost unless this term holds it.
func (t *term) readLease() (leaseVersion, error) {
	var lease *coordination.Lease
	leases := t.lock.Client.Leases(t.lock.LeaseMeta.Namespace)
	err := t.lock.sendRequest(t.ctx, func(ctx context.Context) (err error) {
		lease, err = leases.Get(ctx, t.lock.LeaseMeta.Name, meta.GetOptions{})
		return err
	})
	if err != nil {
		return leaseVersion{}, fmt.Errorf("read the lease: %w", err)
	}
	if leaseHolder(lease) != t.lock.Identity() {
		return leaseVersion{}, election.ErrLost
	}
	c := leaseVersion{createdAt: lease.CreationTimestamp.Time}
	if lease.Spec.LeaseTransitions != nil {
		c.transitions = *lease.Spec.LeaseTransitions
	}
	return c, nil
}

func leaseHolder(lease *coordination.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// release releases the lease if this term may hold it; if that fails the lease expires. client-go would release it
// before work has returned, and without checking the holder.
func (t *term) release(ctx context.Context) {
	if !t.lock.mayHold {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.elector.settings.RetryPeriod)
	defer cancel()
	if err := t.lock.release(ctx); err != nil {
		t.logger.Warn("failed to release the lease; it expires", "error", err)
	}
}
