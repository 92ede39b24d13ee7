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
	errRenewalStopped = errors.New("the lease is not renewed any more")
	errWorkReturned   = errors.New("the work of the leader returned")
)

// term is one campaign, and one holding of the lease when it succeeds.
type term struct {
	elector *Elector
	lock    *lock
	logger  *slog.Logger
	// ctx is what work runs with; end ends it.
	ctx context.Context
	end context.CancelCauseFunc
}

// newTerm prepares a campaign with an identity of its own: taking a lease again is then a transition like any other.
func (e *Elector) newTerm(ctx context.Context, name string, health *apiState) *term {
	t := &term{elector: e}
	t.ctx, t.end = context.WithCancelCause(ctx)
	t.lock = &lock{
		LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta: meta.ObjectMeta{Namespace: e.settings.Namespace, Name: e.LeaseName(name)},
			Client:    e.client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{
				Identity: e.settings.Identity + "_" + strconv.FormatUint(campaignCount.Add(1), 10),
			},
		},
		api:           health,
		timeout:       e.settings.RenewDeadline / 3,
		trustedFor:    e.settings.RenewDeadline,
		renewInterval: e.settings.RetryPeriod,
		onExpired:     func() { t.end(election.ErrExpired) },
		onLost:        func() { t.end(election.ErrLost) },
		onHeld:        func(holder string) { e.settings.OnHeld(name, holder) },
	}
	t.logger = e.settings.Logger.With("lease", t.lock.Describe(), "identity", t.lock.Identity())
	return t
}

// serve runs work while the term lasts.
func (t *term) serve(work func(context.Context, uint64) error) {
	fence, err := t.readFence()
	if err != nil {
		t.end(err)
		t.logger.Warn("acquired the lease, but cannot lead", "cause", context.Cause(t.ctx))
		return
	}
	t.logger.Info("leading", "fence", fence)
	err = work(t.ctx, fence)
	t.end(errors.Join(errWorkReturned, err)) // no cause when the term ended before
	t.logger.Info("stopped leading", "fence", fence, "cause", context.Cause(t.ctx))
}

// readFence is the number of the term, read from the lease while it is held. Seconds of creation tell a Lease from the
// one that replaces it: no fence of a Lease is used in its first second.
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

// creationResolution is the resolution of the time at which a Lease was created.
const creationResolution = time.Second

// leaseVersion tells a Lease object apart: when it was created and how often it changed hands.
type leaseVersion struct {
	createdAt   time.Time
	transitions int32
}

// isUnique reports whether a Lease is surely older than a second, even if the clocks here and there differ.
func (c leaseVersion) isUnique(now time.Time) bool {
	return c.transitions > 0 && now.Sub(c.createdAt) >= 2*creationResolution
}

// fence grows with every transition, and is greater still for a Lease that was created later.
func (c leaseVersion) fence() uint64 {
	return election.FenceAt(c.createdAt) + uint64(max(c.transitions, 0)) + 1
}

// readLease asks for the Lease, which must be held by this term.
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

// release gives the lease back when it is, or may be, held. If that fails it expires. client-go would do it before work
// has returned, and without looking at who holds the lease.
func (t *term) release(ctx context.Context) {
	if !t.lock.mayHold {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, t.elector.settings.RetryPeriod)
	defer cancel()
	if err := t.lock.release(ctx); err != nil {
		t.logger.Warn("cannot release the lease: it expires by itself", "error", err)
	}
}
