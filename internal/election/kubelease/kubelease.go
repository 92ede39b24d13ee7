// Package kubelease elects leaders with Lease objects of a Kubernetes API server, through client-go's leader election.
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

// Settings of an Elector.
type Settings struct {
	// Namespace of the Lease objects, and the name of the one for the election without a name; see Elector.LeaseName.
	Namespace, LeaseName string
	// Identity tells this process from all others, those of the past too.
	Identity string
	// LeaseDuration is how long the others wait for a leader that is silent. A Lease counts in seconds: a part of one
	// is rounded up.
	LeaseDuration time.Duration
	// RenewDeadline is how long a leader leads on without having renewed its lease; shorter than LeaseDuration.
	RenewDeadline time.Duration
	// RetryPeriod is the time between two renewals. Attempts to acquire come five times as often, up to 2.2 times as
	// far apart.
	RetryPeriod time.Duration
	// Logger may be nil: then nothing is logged. What client-go logs goes there too, at debug level.
	Logger *slog.Logger
	// OnState may be nil. It is told of every change: nil when the API server answers, or why it does not answer, or
	// refuses. It must not block.
	OnState func(name string, err error)
	// OnHeld may be nil. It is called with the identity of another replica that holds a lease, at each request that
	// shows it. It must not block.
	OnHeld func(name, holder string)
}

// Elector campaigns for leases. Its methods are safe for concurrent use.
type Elector struct {
	client   kubernetes.Interface
	settings Settings
}

// attemptsPerRetryPeriod is how many attempts to acquire there are in a retry period at most: what a leader releases is
// taken within half of it.
const attemptsPerRetryPeriod = 5

// campaignCount counts those of this process, so that two never share an identity.
var campaignCount atomic.Uint64

// New makes an elector of the replica that settings.Identity names.
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

func ceilToSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1).Truncate(time.Second)
}

// Lead blocks. While this replica holds the lease called name it runs work with a context that ends with the term,
// waits for it, releases the lease, and campaigns again, until ctx ends. fence grows with every term, for ever. It
// gives the cause of ctx's end when everything has stopped. What work returns while its context lives ends the term,
// too. Other errors than the end of ctx are those of settings that cannot work; no answer of the API server ends Lead.
func (e *Elector) Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error {
	health := &apiState{onChange: func(err error) { e.settings.OnState(name, err) }}
	for ctx.Err() == nil {
		if err := e.campaign(ctx, name, health, work); err != nil {
			return err
		}
		_ = wakeup.Sleep(ctx, wait.Jitter(e.settings.RetryPeriod, leaderelection.JitterFactor))
	}
	return context.Cause(ctx)
}

// campaign waits for the lease and serves one term. Its error is that of the settings.
func (e *Elector) campaign(ctx context.Context, name string, health *apiState, work func(context.Context, uint64) error) error {
	t := e.newTerm(ctx, name, health)
	defer t.end(nil)
	elected := make(chan struct{})
	keeper, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
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

	// The lease is kept until work has returned, longer than work's context when ctx ends.
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		keeper.Run(keeping)
		t.end(errRenewalStopped)
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
