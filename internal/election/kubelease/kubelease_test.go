// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	coordination "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	clienttesting "k8s.io/client-go/testing"
	"k8s.io/klog/v2"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/electiontest"
	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const leaseName = "githubexporter"

var replicas atomic.Int64

// quickSettings returns the timing of the conformance suite for a replica of its own.
func quickSettings(name string) kubelease.Settings {
	return kubelease.Settings{
		Namespace: "default", LeaseName: name, Identity: fmt.Sprintf("replica-%d", replicas.Add(1)),
		LeaseDuration: electiontest.Timing.LeaseDuration,
		RenewDeadline: electiontest.Timing.RenewDeadline,
		RetryPeriod:   electiontest.Timing.RetryPeriod,
	}
}

// defaultSettings returns the default timing.
func defaultSettings() kubelease.Settings {
	settings := quickSettings(leaseName)
	settings.LeaseDuration, settings.RenewDeadline, settings.RetryPeriod = 15*time.Second, 10*time.Second, 2*time.Second
	return settings
}

func TestConformance(t *testing.T) {
	t.Parallel()
	electiontest.Run(t, newConformanceHarness(newFakeLeases()))
}

// newConformanceHarness returns a function that makes systems of replicas, each with a Lease of its own.
func newConformanceHarness(client kubernetes.Interface) func(testing.TB) electiontest.Harness {
	return func(testing.TB) electiontest.Harness {
		name := fmt.Sprintf("conformance-%d", replicas.Add(1))
		return electiontest.Harness{NewElector: func(testing.TB) electiontest.Elector {
			return kubelease.New(client, quickSettings(name))
		}}
	}
}

// term is one term that a test sees.
type term struct {
	replica int
	fence   uint64
	began   time.Time
	ctx     context.Context
	ended   chan time.Time
}

// startReplica makes a replica campaign and sends its terms to a channel, until the test ends or stop is called.
func startReplica(t *testing.T, e *kubelease.Elector, terms chan<- term, replica int) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- e.Lead(ctx, "", func(ctx context.Context, fence uint64) error {
			this := term{replica, fence, time.Now(), ctx, make(chan time.Time, 1)}
			select {
			case terms <- this:
				<-ctx.Done()
				this.ended <- time.Now()
			case <-ctx.Done():
			}
			return ctx.Err()
		})
	}()
	var once sync.Once
	var err error
	stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// stateRecorder records the states of the API server that an elector reports.
type stateRecorder struct {
	mu   sync.Mutex
	seen []error
}

func (s *stateRecorder) observe(_ string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, err)
}

// all returns the states so far: nil where the API server responds.
func (s *stateRecorder) all() []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]error(nil), s.seen...)
}

func TestLeaderStopsByItsOwnClockAndLeadsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, state, terms := newFakeLeases(), &stateRecorder{}, make(chan term, 1)
		settings := defaultSettings()
		settings.OnState = state.observe
		startReplica(t, kubelease.New(api, settings), terms, 1)
		first := <-terms

		outage := apierrors.NewServiceUnavailable("maintenance")
		began := time.Now()
		api.setFailure(always(outage))
		<-first.ctx.Done()
		require.LessOrEqual(t, time.Since(began), settings.RenewDeadline)
		require.ErrorIs(t, context.Cause(first.ctx), election.ErrExpired)

		<-time.After(time.Minute)
		require.Empty(t, terms)
		api.setFailure(nil)
		require.Greater(t, (<-terms).fence, first.fence)
		require.Equal(t, []error{nil, outage, nil}, state.all())
	})
}

func TestSporadicErrorsEndNoTerm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, terms := newFakeLeases(), make(chan term, 1)
		random := rand.New(rand.NewPCG(1, 2))
		answers := []error{
			apierrors.NewConflict(
				resource,
				leaseName,
				nil,
			),
			apierrors.NewServiceUnavailable(""),
			apierrors.NewTooManyRequests("", 1),
			apierrors.NewInternalError(errors.New("etcdserver: leader changed")),
			context.DeadlineExceeded,
		}
		startReplica(t, kubelease.New(api, defaultSettings()), terms, 1)
		first := <-terms
		api.setFailure(func(clienttesting.Action) error {
			if random.IntN(4) == 0 {
				return answers[random.IntN(len(answers))]
			}
			return nil
		})
		<-time.After(10 * time.Minute)
		require.NoError(t, first.ctx.Err())
	})
}

func TestLeaseOfADeadHolderExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, terms := newFakeLeases(), make(chan term, 2)
		settings := defaultSettings()
		startReplica(t, kubelease.New(api, settings), terms, 1)
		first := <-terms
		startReplica(t, kubelease.New(api, defaultSettings()), terms, 2)
		began := time.Now()
		api.setFailure(func(action clienttesting.Action) error {
			if update, ok := action.(clienttesting.UpdateActionImpl); ok &&
				strings.HasPrefix(leaseHolder(update.Object), settings.Identity) {
				return context.DeadlineExceeded
			}
			return nil
		})
		second := <-terms
		require.Equal(t, 2, second.replica)
		require.Error(t, first.ctx.Err(), "two lead")
		require.Greater(t, second.fence, first.fence)
		require.Less(t, time.Since(began), settings.LeaseDuration+5*settings.RetryPeriod)
	})
}

func TestSlowWorkKeepsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, terms := newFakeLeases(), make(chan term, 1)
		settings := defaultSettings()
		ctx, cancel := context.WithCancel(t.Context())
		began, done := make(chan struct{}), make(chan error, 1)
		var returned time.Time
		go func() {
			done <- kubelease.New(api, settings).Lead(ctx, "", func(ctx context.Context, _ uint64) error {
				close(began)
				<-ctx.Done()
				<-time.After(10 * settings.LeaseDuration)
				returned = time.Now()
				return nil
			})
		}()
		<-began
		startReplica(t, kubelease.New(api, defaultSettings()), terms, 2)
		cancel()
		second := <-terms
		require.ErrorIs(t, <-done, context.Canceled)
		require.True(t, second.began.After(returned))
		require.Less(t, second.began.Sub(returned), settings.LeaseDuration)
	})
}

func TestFenceOutlivesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, terms := newFakeLeases(), make(chan term, 1)
		var last uint64
		for range 5 {
			stop := startReplica(t, kubelease.New(api, defaultSettings()), terms, 1)
			for range 2 { // by another one, and again
				fence := (<-terms).fence
				require.Greater(t, fence, last)
				last = fence
				require.ErrorIs(t, stop(), context.Canceled)
				stop = startReplica(t, kubelease.New(api, defaultSettings()), terms, 1)
			}
			fence := (<-terms).fence
			require.Greater(t, fence, last)
			last = fence
			require.ErrorIs(t, stop(), context.Canceled)
			api.remove(leaseName)
		}
	})
}

func TestTermEndsWhenAnotherReplicaHoldsTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, terms := newFakeLeases(), make(chan term, 1)
		settings := defaultSettings()
		startReplica(t, kubelease.New(api, settings), terms, 1)
		first := <-terms
		<-time.After(settings.RetryPeriod / 2)
		api.setHolder("another replica")
		began := time.Now()
		<-first.ctx.Done()
		require.LessOrEqual(t, time.Since(began), settings.RetryPeriod)
		require.ErrorIs(t, context.Cause(first.ctx), election.ErrLost)
		require.Greater(t, (<-terms).fence, first.fence)
	})
}

// TestLeaseCreatedByAnOperator: an election uses a Lease that an operator has created, as deploy/kustomize says for a
// role without create.
func TestLeaseCreatedByAnOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, terms := newFakeLeases(), make(chan term, 1)
		_, err := api.CoordinationV1().Leases("default").Create(t.Context(),
			&coordination.Lease{ObjectMeta: meta.ObjectMeta{Name: leaseName}}, meta.CreateOptions{})
		require.NoError(t, err)
		api.setFailure(func(action clienttesting.Action) error {
			if action.GetVerb() == "create" {
				return apierrors.NewForbidden(resource, leaseName, nil)
			}
			return nil
		})
		stop := startReplica(t, kubelease.New(api, defaultSettings()), terms, 1)
		first := <-terms
		require.ErrorIs(t, stop(), context.Canceled)
		startReplica(t, kubelease.New(api, defaultSettings()), terms, 2)
		require.Greater(t, (<-terms).fence, first.fence)
	})
}

func TestInvalidSettings(t *testing.T) {
	settings := defaultSettings()
	settings.RenewDeadline = settings.LeaseDuration
	err := kubelease.New(newFakeLeases(), settings).Lead(t.Context(), "", func(context.Context, uint64) error {
		t.Error("led")
		return nil
	})
	require.ErrorContains(t, err, "leaseDuration must be greater than renewDeadline")
}

func TestLeaseDurationIsRoundedUpToSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, terms := newFakeLeases(), make(chan term, 1)
		settings := defaultSettings()
		settings.LeaseDuration = 10*time.Second + time.Millisecond
		startReplica(t, kubelease.New(api, settings), terms, 1)
		<-terms
		require.EqualValues(t, 11, *api.objects[leaseName].Spec.LeaseDurationSeconds)
	})
}

func TestLeaseName(t *testing.T) {
	elector := kubelease.New(newFakeLeases(), defaultSettings())
	seen := map[string]string{}
	for name, want := range map[string]string{
		"":                                     `^githubexporter$`,
		"open-telemetry":                       `^githubexporter-open-telemetry$`,
		"Acme":                                 `^githubexporter-acme-[0-9a-f]{10}$`,
		"acme":                                 `^githubexporter-acme$`,
		"a/b":                                  `^githubexporter-a-b-[0-9a-f]{10}$`,
		"a b":                                  `^githubexporter-a-b-[0-9a-f]{10}$`,
		"ünïcode\x00-":                         `^githubexporter-[-a-z]+-[0-9a-f]{10}$`,
		string(bytes.Repeat([]byte("x"), 300)): `^githubexporter-x{227}-[0-9a-f]{10}$`,
	} {
		got := elector.LeaseName(name)
		require.Regexp(t, want, got)
		require.LessOrEqual(t, len(got), 253)
		require.NotContains(t, seen, got)
		seen[got] = name
	}
}

// TestOnHeldNamesTheHolder: a replica that waits for a lease gets the identity of its holder.
func TestOnHeldNamesTheHolder(t *testing.T) {
	t.Parallel()
	client := newFakeLeases()
	name := fmt.Sprintf("held-%d", replicas.Add(1))
	terms := make(chan term, 1)
	first := quickSettings(name)
	startReplica(t, kubelease.New(client, first), terms, 0)
	<-terms
	holders := make(chan string, 1)
	second := quickSettings(name)
	second.OnHeld = func(_, holder string) {
		select {
		case holders <- holder:
		default:
		}
	}
	startReplica(t, kubelease.New(client, second), terms, 1)
	require.Contains(t, <-holders, first.Identity)
}

// TestLongLeaseNames: whatever the settings and the organization are, the Lease has a name that Kubernetes allows.
func TestLongLeaseNames(t *testing.T) {
	for length := 200; length <= 253; length++ {
		settings := defaultSettings()
		settings.LeaseName = strings.Repeat("ab.", length/3) + strings.Repeat("x", length%3+1)
		settings.LeaseName = settings.LeaseName[:min(len(settings.LeaseName), 253)]
		if kubelease.CheckLeaseName(settings.LeaseName) != nil {
			continue
		}
		got := kubelease.New(newFakeLeases(), settings).LeaseName("Acme Corp")
		require.NoError(t, kubelease.CheckLeaseName(got), settings.LeaseName)
	}
	for _, bad := range []string{"", "Acme", "a_b", "-a", "a-", "a..b", "a.-b", strings.Repeat("a", 254)} {
		require.Error(t, kubelease.CheckLeaseName(bad), bad)
	}
}

func TestKlogGoesToTheLogger(t *testing.T) {
	var text bytes.Buffer
	settings := defaultSettings()
	settings.Logger = slog.New(slog.NewTextHandler(&text, &slog.HandlerOptions{Level: slog.LevelDebug}))
	kubelease.New(newFakeLeases(), settings)
	t.Cleanup(func() { kubelease.New(newFakeLeases(), defaultSettings()) })
	klog.Errorf("Failed to update lock: %v", "conflict")
	require.Contains(t, text.String(), `level=DEBUG msg="Failed to update lock: conflict"`)
}
