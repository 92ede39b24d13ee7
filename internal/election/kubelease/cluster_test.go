// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build kubernetes

package kubelease_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/electiontest"
	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
)

const (
	waitTimeout = 2 * time.Minute // for anything, on a busy machine
	tick        = 20 * time.Millisecond
)

// receive returns the next value of a channel, and fails the test when there is none for long.
func receive[T any](t *testing.T, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(waitTimeout):
		require.Fail(t, "nothing happened", "within %s", waitTimeout)
		panic("unreachable")
	}
}

// namespaceSettings returns quick settings in the namespace of the test.
func namespaceSettings(name string) kubelease.Settings {
	settings := quickSettings(name)
	settings.Namespace = namespace
	return settings
}

// steadySettings returns settings of a replica whose lease does not expire on a busy machine.
func steadySettings(name string) kubelease.Settings {
	settings := namespaceSettings(name)
	settings.LeaseDuration, settings.RenewDeadline, settings.RetryPeriod = 10*time.Second, 8*time.Second,
		400*time.Millisecond
	return settings
}

// TestCluster runs elections on a healthy API server.
func TestCluster(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	t.Run("conformance", func(t *testing.T) {
		electiontest.Run(t, func(testing.TB) electiontest.Harness {
			name := fmt.Sprintf("conformance-%d", replicas.Add(1))
			return electiontest.Harness{NewElector: func(testing.TB) electiontest.Elector {
				return kubelease.New(c.admin, namespaceSettings(name))
			}}
		})
	})
	for name, test := range map[string]func(*testing.T, *cluster){
		"acquire, renew, release": testLifeCycle,
		"hand over":               testHandOver,
		"dead holder":             testDeadHolder,
		"ten terms":               testTenTerms,
		"deleted lease":           testDeletedLease,
		"deleted while held":      testDeletedWhileHeld,
		"many names":              testManyNames,
		"role":                    testRole,
		"refusal":                 testRefusal,
	} {
		t.Run(name, func(t *testing.T) { test(t, c) })
	}
}

// testLifeCycle: a lease is acquired, renewed and released.
func testLifeCycle(t *testing.T, c *cluster) {
	t.Helper()
	settings, terms := namespaceSettings("life-cycle"), make(chan term, 1)
	stop := startReplica(t, kubelease.New(c.admin, settings), terms, 1)
	receive(t, terms)
	held := c.getLease(settings.LeaseName)
	require.Regexp(t, "^"+settings.Identity+"_[0-9]+$", held.holder)
	require.EqualValues(t, settings.LeaseDuration/time.Second, held.seconds)
	require.Eventually(t, func() bool {
		return c.getLease(settings.LeaseName).renewed.Sub(held.renewed) > settings.LeaseDuration
	}, waitTimeout, tick, "not renewed")
	require.ErrorIs(t, stop(), context.Canceled)
	require.Empty(t, c.getLease(settings.LeaseName).holder)
}

// testHandOver: a replica that stops hands the lease over within a second.
func testHandOver(t *testing.T, c *cluster) {
	t.Helper()
	const name = "hand-over"
	terms := make(chan term, 1)
	stop := startReplica(t, kubelease.New(c.admin, namespaceSettings(name)), terms, 1)
	last := receive(t, terms)
	for n := range 4 {
		stopNext := startReplica(t, kubelease.New(c.admin, namespaceSettings(name)), terms, n)
		renewed := c.getLease(name).renewed
		require.Eventually(
			t,
			func() bool { return c.getLease(name).renewed.Sub(renewed) > 2*time.Second },
			waitTimeout,
			tick,
		)
		began := time.Now()
		require.ErrorIs(t, stop(), context.Canceled)
		next := receive(t, terms)
		t.Logf("handed over in %s", next.began.Sub(began))
		require.Less(t, next.began.Sub(began), time.Second)
		next.follows(t, last)
		stop, last = stopNext, next
	}
}

// follows demands that a term began after another one had ended, with a greater fence.
func (next term) follows(t *testing.T, last term) {
	t.Helper()
	require.False(t, next.began.Before(receive(t, last.ended)), "two led")
	require.Greater(t, next.fence, last.fence)
}

// testDeadHolder: the lease of a replica that does not renew it is acquired after its expiry.
func testDeadHolder(t *testing.T, c *cluster) {
	t.Helper()
	settings, terms := namespaceSettings("dead-holder"), make(chan term, 2)
	line := c.proxy(t)
	startReplica(t, kubelease.New(line.client, settings), terms, 1)
	first := receive(t, terms)
	startReplica(t, kubelease.New(c.admin, namespaceSettings("dead-holder")), terms, 2)
	died := time.Now()
	line.setDisturbance(func(w http.ResponseWriter, _ *http.Request) bool { panic(http.ErrAbortHandler) })
	second := receive(t, terms)
	require.Equal(t, 2, second.replica)
	second.follows(t, first)
	t.Logf("taken over in %s", second.began.Sub(died))
	require.Less(t, second.began.Sub(died), settings.LeaseDuration+2*time.Second)
}

// testTenTerms: fences grow over ten terms.
func testTenTerms(t *testing.T, c *cluster) {
	t.Helper()
	elector := kubelease.New(c.admin, namespaceSettings("ten-terms"))
	var last uint64
	for range 10 {
		terms := make(chan term, 1)
		stop := startReplica(t, elector, terms, 1)
		fence := receive(t, terms).fence
		require.Greater(t, fence, last)
		last = fence
		require.ErrorIs(t, stop(), context.Canceled)
	}
}

// testDeletedLease: fences grow when the Lease is deleted between terms.
func testDeletedLease(t *testing.T, c *cluster) {
	t.Helper()
	const name = "deleted"
	var last uint64
	for n := range 6 {
		terms := make(chan term, 1)
		stop := startReplica(t, kubelease.New(c.admin, namespaceSettings(name)), terms, 1)
		fence := receive(t, terms).fence
		require.Greater(t, fence, last)
		last = fence
		require.ErrorIs(t, stop(), context.Canceled)
		if n%2 == 0 {
			c.deleteLease(name)
		}
	}
}

// testDeletedWhileHeld: when the Lease is deleted while it is held, either replica may acquire the new one; fences
// grow, and there are never two leaders for longer than the first one takes to detect it.
func testDeletedWhileHeld(t *testing.T, c *cluster) {
	t.Helper()
	const name = "deleted-while-held"
	terms := make(chan term, 100)
	stops := map[int]func() error{}
	for n := range 2 {
		stops[n] = startReplica(t, kubelease.New(c.admin, namespaceSettings(name)), terms, n)
	}
	last := receive(t, terms)
	for range 4 {
		c.deleteLease(name)
		select {
		case next := <-terms: // the other one was faster
			require.Greater(t, next.fence, last.fence)
			receive(t, last.ended)
			last = next
		case <-time.After(2 * electiontest.Timing.RetryPeriod): // the leader made it again, or makes it
		}
	}
	for len(terms) > 0 {
		next := receive(t, terms)
		require.Greater(t, next.fence, last.fence)
		last = next
	}
	require.ErrorIs(t, stops[last.replica](), context.Canceled)
	require.Greater(t, receive(t, terms).fence, last.fence)
}

// testManyNames: an elector for many organizations holds all leases, without a limit of the client on its requests.
func testManyNames(t *testing.T, c *cluster) {
	t.Helper()
	const names = 50
	settings := steadySettings("many")
	elector := kubelease.New(c.admin, settings)
	ctx, cancel := context.WithCancel(t.Context())
	var group errgroup.Group
	var terms atomic.Int32
	for n := range names {
		group.Go(func() error {
			return elector.Lead(ctx, fmt.Sprintf("org-%d", n), func(ctx context.Context, _ uint64) error {
				terms.Add(1)
				<-ctx.Done()
				return nil
			})
		})
	}
	require.Eventually(t, func() bool { return terms.Load() >= names }, waitTimeout, tick)
	renewed := c.getLease("many-org-0").renewed
	require.Eventually(
		t,
		func() bool { return c.getLease("many-org-0").renewed.Sub(renewed) > settings.LeaseDuration },
		waitTimeout,
		tick,
	)
	require.EqualValues(t, names, terms.Load(), "a lease was lost")
	cancel()
	require.ErrorIs(t, group.Wait(), context.Canceled)
}

// disturbedProxy is a proxy to the API server whose responses a test can disturb.
type disturbedProxy struct {
	client      kubernetes.Interface
	disturbance atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

// proxy returns a proxy to the API server.
func (c *cluster) proxy(t *testing.T) *disturbedProxy {
	t.Helper()
	target, err := url.Parse(c.URL)
	require.NoError(t, err)
	transport, err := rest.TransportFor(&rest.Config{TLSClientConfig: rest.TLSClientConfig{CAFile: c.Authority}})
	require.NoError(t, err)
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.Transport = transport
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request,
		_ error,
	) {
		w.WriteHeader(http.StatusBadGateway)
	}
	l := &disturbedProxy{}
	l.setDisturbance(nil)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if disturb := *l.disturbance.Load(); disturb == nil || !disturb(w, r) {
			forward.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	authority := c.WriteFile(fmt.Sprintf("proxy-%d.crt", replicas.Add(1)),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	l.client = c.connect(server.URL, authority, adminToken)
	return l
}

// setDisturbance makes disturb handle the requests for which it returns true.
func (l *disturbedProxy) setDisturbance(disturb func(http.ResponseWriter, *http.Request) bool) {
	l.disturbance.Store(&disturb)
}

// respondStatus responds to requests with an error of the API server.
func respondStatus(code int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(
			w,
			`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d}`,
			http.StatusText(code),
			code,
		)
		return true
	}
}

// neverRespond holds a request until its client goes away.
func neverRespond(_ http.ResponseWriter, r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body) // a server sees the end of a request only when it has read it
	<-r.Context().Done()
	return true
}

// respondSlowly delays requests by less than their time-out.
func respondSlowly(_ http.ResponseWriter, r *http.Request) bool {
	select {
	case <-r.Context().Done():
	case <-time.After(electiontest.Timing.RenewDeadline / 6):
	}
	return false
}

// everyNth applies a disturbance to one request of n.
func everyNth(
	n int64,
	disturb func(http.ResponseWriter, *http.Request) bool,
) func(http.ResponseWriter, *http.Request) bool {
	var count atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) bool { return count.Add(1)%n == 0 && disturb(w, r) }
}

// TestDisturbances runs elections while the API server fails or was killed.
func TestDisturbances(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	t.Run("bearable", func(t *testing.T) {
		for name, disturb := range map[string]func(http.ResponseWriter, *http.Request) bool{
			"slow": respondSlowly, "now and then 409": everyNth(3, respondStatus(http.StatusConflict)),
			"now and then 503":    everyNth(3, respondStatus(http.StatusServiceUnavailable)),
			"now and then silent": everyNth(5, neverRespond),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				testTermSurvives(t, c, disturb)
			})
		}
	})
	t.Run("unbearable", func(t *testing.T) {
		for name, disturb := range map[string]func(http.ResponseWriter, *http.Request) bool{
			"silent": neverRespond, "409": respondStatus(http.StatusConflict),
			"503": respondStatus(http.StatusServiceUnavailable),
			"429": respondStatus(http.StatusTooManyRequests),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a, b := c.proxy(t), c.proxy(t)
				testOutage(t, a.client, b.client, electiontest.Timing.LeaseDuration, func() func() {
					a.setDisturbance(disturb)
					b.setDisturbance(disturb)
					return func() { a.setDisturbance(nil); b.setDisturbance(nil) }
				})
			})
		}
	})
	t.Run("API server killed", func(t *testing.T) {
		testOutage(t, c.admin, c.admin, 0, func() func() {
			c.API.Kill()
			return func() { c.API.Run(); c.AwaitReady() }
		})
	})
}

// TestEtcdStops runs elections while the API server hangs with its etcd.
func TestEtcdStops(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for name, length := range map[string]time.Duration{
		"for two leases": 2 * electiontest.Timing.LeaseDuration,
		"for a minute":   time.Minute,
	} {
		t.Run(name, func(t *testing.T) {
			testOutage(t, c.admin, c.admin, length, func() func() {
				c.Etcd.Pause()
				return c.Etcd.Resume
			})
		})
	}
}

// testTermSurvives: a term continues through a disturbance that is shorter than its deadline.
func testTermSurvives(t *testing.T, c *cluster, disturb func(http.ResponseWriter, *http.Request) bool) {
	t.Helper()
	settings, terms := steadySettings(fmt.Sprintf("bearable-%d", replicas.Add(1))), make(chan term, 1)
	l := c.proxy(t)
	startReplica(t, kubelease.New(l.client, settings), terms, 1)
	first := receive(t, terms)
	l.setDisturbance(disturb)
	renewed := c.getLease(settings.LeaseName).renewed
	require.Eventually(t, func() bool {
		return c.getLease(settings.LeaseName).renewed.Sub(renewed) > 2*settings.LeaseDuration
	}, waitTimeout, tick)
	require.NoError(t, first.ctx.Err())
}

// testOutage: the leader stops within its deadline, no replica leads during the outage, and one does after it.
func testOutage(t *testing.T, one, two kubernetes.Interface, length time.Duration, begin func() (end func())) {
	t.Helper()
	settings, terms := namespaceSettings(fmt.Sprintf("outage-%d", replicas.Add(1))), make(chan term, 2)
	other := settings
	other.Identity = quickSettings("").Identity
	state := &stateRecorder{}
	settings.OnState = state.observe
	startReplica(t, kubelease.New(one, settings), terms, 1)
	first := receive(t, terms)
	startReplica(t, kubelease.New(two, other), terms, 2)

	began := time.Now()
	end := begin()
	stopped := receive(t, first.ended)
	require.ErrorIs(t, context.Cause(first.ctx), election.ErrExpired)
	require.Less(t, stopped.Sub(began), settings.RenewDeadline+time.Second)
	t.Logf("stopped after %s", stopped.Sub(began))
	<-time.After(time.Until(began.Add(length)))
	require.Empty(t, terms, "a replica leads without an API server")
	end()
	ended := time.Now()
	next := receive(t, terms)
	t.Logf("led again after %s", next.began.Sub(ended))
	require.Greater(t, next.fence, first.fence)
	states := state.all()
	require.NoError(t, states[0])
}
