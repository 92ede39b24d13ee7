// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/extension/xextension/storage"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// diskClient is a storage client on a disk with little room.
type diskClient struct {
	storage.Client
	free   int
	broken bool
	hang   chan struct{}
	sizes  []int
}

func (*diskClient) Close(context.Context) error { return nil }

func (c *diskClient) Set(_ context.Context, _ string, value []byte) error {
	if c.hang != nil {
		<-c.hang
	}
	if c.broken {
		panic("page 7: invalid page type")
	}
	c.sizes = append(c.sizes, len(value))
	if len(value) > c.free {
		return syscall.ENOSPC
	}
	return nil
}

// TestStorageState: a write that failed is trouble until one as large succeeds, which a probe finds out.
func TestStorageState(t *testing.T) {
	t.Parallel()
	changes := 0
	client := &diskClient{free: 100}
	g := &storageGuard{client: client, extension: "file_storage"}
	g.state.onChange = func() { changes++ }
	require.NoError(t, g.ping(t.Context()))
	require.Equal(t, []int{1}, client.sizes)
	require.ErrorIs(t, g.Set(t.Context(), "a", make([]byte, 5000)), syscall.ENOSPC)
	require.NoError(t, g.Set(t.Context(), "b", make([]byte, 50)), "small writes succeed")
	for range 3 {
		err := g.ping(t.Context())
		require.ErrorIs(t, err, syscall.ENOSPC)
		require.ErrorContains(t, err, `the storage extension "file_storage" fails to store records`)
	}
	require.Equal(t, 1, changes, "one for the change, none for a probe")
	client.free = 1 << 20
	require.NoError(t, g.ping(t.Context()))
	require.Equal(t, 2, changes)
	require.Equal(t, 1, client.sizes[len(client.sizes)-1], "the record of the probe is small again")
	client.free = 10
	require.Error(t, g.Set(t.Context(), "c", make([]byte, 500)))
	client.free = 600
	require.NoError(t, g.Set(t.Context(), "c", make([]byte, 500)))
	client.sizes = nil
	require.NoError(t, g.ping(t.Context()), "a commit was as large")
	require.Equal(t, []int{1}, client.sizes)
}

// TestStorageThatIsDamaged does not heal.
func TestStorageThatIsDamaged(t *testing.T) {
	t.Parallel()
	client := &diskClient{broken: true}
	g := &storageGuard{client: client, extension: "file_storage", file: "receiver_githubexporter_"}
	err := g.ping(t.Context())
	require.ErrorAs(t, err, new(*health.PermanentError))
	require.ErrorContains(t, err, "is damaged: page 7: invalid page type; move the file away")
	client.broken, client.free = false, 1000
	require.ErrorAs(t, g.Set(t.Context(), "a", []byte("b")), new(*health.PermanentError))
	require.ErrorAs(t, g.ping(t.Context()), new(*health.PermanentError))
	require.NoError(t, g.Close(t.Context()), "the client is not asked: it would wait for itself")
	require.Empty(t, client.sizes)
}

// TestStorageThatHangs is one that does not answer, and no probe waits behind another.
func TestStorageThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &diskClient{hang: make(chan struct{}), free: 1000}
		g := &storageGuard{client: client, extension: "file_storage"}
		ask := func() error {
			ctx, cancel := context.WithTimeout(t.Context(), probeTimeout)
			defer cancel()
			return g.ping(ctx)
		}
		require.NoError(t, ask(), "a snapshot may take so long")
		time.Sleep(storageTimeout) //nolint:forbidigo // in a bubble
		require.ErrorContains(t, ask(), "no response since ")
		close(client.hang)
		synctest.Wait()
		require.NoError(t, ask())
		require.Equal(t, []int{1, 1}, client.sizes)
	})
}

// TestCloseAwaitsTheProbe: a probe that outlives its ping has ended when Close returns, if it ends within the grace.
func TestCloseAwaitsTheProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &diskClient{hang: make(chan struct{}), free: 1000}
		g := &storageGuard{client: client, extension: "file_storage"}
		ctx, cancel := context.WithTimeout(t.Context(), probeTimeout)
		defer cancel()
		require.NoError(t, g.ping(ctx))
		require.True(t, g.isProbing())
		time.AfterFunc(storageProbeGrace/2, func() { close(client.hang) })
		began := time.Now()
		require.NoError(t, g.Close(t.Context()))
		require.False(t, g.isProbing())
		require.Equal(t, storageProbeGrace/2, time.Since(began))
	})
}

// TestCloseDoesNotAwaitAHangingProbe for longer than the grace.
func TestCloseDoesNotAwaitAHangingProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := &diskClient{hang: make(chan struct{}), free: 1000}
		g := &storageGuard{client: client, extension: "file_storage"}
		ctx, cancel := context.WithTimeout(t.Context(), probeTimeout)
		defer cancel()
		require.NoError(t, g.ping(ctx))
		began := time.Now()
		require.NoError(t, g.Close(t.Context()))
		require.Equal(t, storageProbeGrace, time.Since(began))
		close(client.hang)
	})
}

// TestCanceledIsNoTrouble: who gives up says nothing of the storage.
func TestCanceledIsNoTrouble(t *testing.T) {
	t.Parallel()
	var s storageState
	s.endOperation(s.startOperation(time.Now()), 10, false, errors.Join(errors.New("write"), context.Canceled))
	_, trouble := s.assess(time.Now())
	require.NoError(t, trouble)
}

// TestOverlappingOperations: short operations without a break between them are no operation that hangs.
func TestOverlappingOperations(t *testing.T) {
	t.Parallel()
	var s storageState
	began := time.Now()
	first := s.startOperation(began)
	second := s.startOperation(began.Add(storageTimeout - time.Second))
	s.endOperation(first, 0, false, nil)
	_, trouble := s.assess(began.Add(storageTimeout + time.Second))
	require.NoError(t, trouble)
	_, trouble = s.assess(began.Add(2 * storageTimeout))
	require.ErrorContains(t, trouble, "no response since")
	s.endOperation(second, 0, false, nil)
	_, trouble = s.assess(began.Add(2 * storageTimeout))
	require.NoError(t, trouble)
}
