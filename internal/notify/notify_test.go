// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package notify_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/notify"
)

// TestCallMayAddAndDeliver: the function may change what it is called about, and is called with that afterwards.
func TestCallMayAddAndDeliver(t *testing.T) {
	t.Parallel()
	var got []int
	var q notify.Queue[int]
	var call func(int)
	call = func(n int) {
		if n == 1 {
			q.Add(3)
			q.Deliver(call)
		}
		got = append(got, n)
	}
	q.Add(1)
	q.Add(2)
	q.Deliver(call)
	require.Equal(t, []int{1, 2, 3}, got)
}

// TestOrder: values that are added under one lock are delivered in the order of that lock, one call at a time.
func TestOrder(t *testing.T) {
	t.Parallel()
	const workers, values = 8, 500
	var got []int
	var q notify.Queue[int]
	var mu sync.Mutex
	next := 0
	var adding sync.WaitGroup
	for range workers {
		adding.Go(func() {
			for range values {
				mu.Lock()
				q.Add(next)
				next++
				mu.Unlock()
				q.Deliver(func(n int) { got = append(got, n) })
			}
		})
	}
	adding.Wait()
	require.Len(t, got, workers*values)
	require.IsIncreasing(t, got)
}

// TestDeliverAfterPanic: a function that panics does not end the deliveries.
func TestDeliverAfterPanic(t *testing.T) {
	t.Parallel()
	var got []int
	var q notify.Queue[int]
	q.Add(1)
	require.Panics(t, func() { q.Deliver(func(int) { panic("broken") }) })
	q.Add(2)
	q.Deliver(func(n int) { got = append(got, n) })
	require.Equal(t, []int{2}, got)
}
