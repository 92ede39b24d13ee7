// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubelease elects leaders with Lease objects of a Kubernetes API server, through client-go's leader election.
//
//	field of the Lease          value
//	metadata.creationTimestamp  start of the fence; see leaseVersion
//	spec.holderIdentity         "<identity>_<campaign of the process>"; empty when released
//	spec.leaseTransitions       number of terms of the Lease; the lower part of the fence
//	spec.leaseDurationSeconds   Settings.LeaseDuration, rounded up
package kubelease

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/leaderelection"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

// Settings configure an Elector.
type Settings struct {
	// Namespace is that of the Lease objects, LeaseName the name of the Lease of the election without a name; see
	// Elector.LeaseName.
	Namespace, LeaseName string
	// Identity names this process; no other process, before or after it, has the same.
	Identity string
	// LeaseDuration is how long other replicas wait for a leader that does not renew. A Lease counts in seconds: a
	// fraction is rounded up.
	LeaseDuration time.Duration
	// RenewDeadline is how long a leader goes on without a renewal; shorter than LeaseDuration.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two renewals. Attempts to acquire are made five times as often, with up to 2.2
	// times the period between them.
	RetryPeriod time.Duration
	// Logger may be nil: then nothing is logged. It gets client-go's logs, too, at debug level.
	Logger *slog.Logger
	// OnState may be nil. It is called with each change of the state of the API server, or of its reason, in order, one
	// call at a time: nil when it responds, else why it does not respond or refuses. It must not block.
	OnState func(name string, err error)
	// OnHeld may be nil. It is called with the identity of another replica that holds a lease, at each request that
	// shows it. It must not block.
	OnHeld func(name, holder string)
}

// Elector campaigns for leases. It is safe for concurrent use.
type Elector struct {
	client   kubernetes.Interface
	settings Settings
}

// attemptsPerRetryPeriod is the highest number of attempts to acquire in a retry period: a released lease is acquired
// within half of it.
const attemptsPerRetryPeriod = 5

// campaignCount numbers the campaigns of this process, so that no two have the same identity.
var campaignCount atomic.Uint64

// New returns the elector of the replica that settings.Identity names.
func New(client kubernetes.Interface, settings Settings) *Elector {
	if settings.Logger == nil {
		settings.Logger = slog.New(slog.DiscardHandler)
	}
	if settings.OnState == nil {
		settings.OnState = func(string, error) {}
	}
	if settings.OnHeld == nil {
		settings.OnHeld = func(string, string) {}
	}
	settings.LeaseDuration = ceilToSeconds(settings.LeaseDuration)
	routeKlog(settings.Logger)
	return &Elector{client: client, settings: settings}
}

// ceilToSeconds rounds a duration up to seconds.
func ceilToSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// Lead campaigns for the lease called name until ctx ends, and returns the cause of ctx. While this replica holds the
// lease it runs work with a context that ends with the term; then it waits for work, releases the lease, and campaigns
// again. fence exceeds those of all earlier terms. A term also ends when work returns. Lead returns other errors for
// settings that client-go refuses, never for a response of the API server.
func (e *Elector) Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error {
	api := &apiState{onChange: func(err error) { e.settings.OnState(name, err) }}
	for ctx.Err() == nil {
		if err := e.campaign(ctx, name, api, work); err != nil {
			return err
		}
		_ = wakeup.Sleep(ctx, wait.Jitter(e.settings.RetryPeriod, leaderelection.JitterFactor))
	}
	return context.Cause(ctx)
}

// campaign waits for the lease and serves one term. Its error is that of settings that client-go refuses.
func (e *Elector) campaign(
	ctx context.Context, name string, api *apiState, work func(context.Context, uint64) error,
) error {
	t := e.newTerm(ctx, name, api)
	defer t.cancel(nil)
	elected := make(chan struct{})
	renewer, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: t.lock.Describe(), Lock: t.lock,
		LeaseDuration: e.settings.LeaseDuration,
		RenewDeadline: e.settings.RenewDeadline,
		RetryPeriod:   e.settings.RetryPeriod / attemptsPerRetryPeriod,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(elected) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}

	// The lease is renewed until work has returned, which may be after the end of ctx.
	renewCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		renewer.Run(renewCtx)
		t.cancel(errRenewalStopped)
	}()
	select {
	case <-elected:
		t.serve(work)
	case <-t.ctx.Done():
	}
	stop()
	<-stopped
	t.release(context.WithoutCancel(ctx))
	return nil
}
