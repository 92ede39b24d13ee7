// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package memqueue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/memqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/queuetest"
)

func TestConformance(t *testing.T) {
	queuetest.Run(t, func(*testing.T) backfill.Queue {
		return memqueue.New(memqueue.Settings{Retries: queuetest.RetryPolicy(), Consumers: queuetest.Consumers})
	})
}

func TestFull(t *testing.T) {
	q := memqueue.New(memqueue.Settings{Retries: queuetest.RetryPolicy(), Consumers: 1})
	n, err := q.Publish(t.Context(), make([]backfill.Job, 100_001))
	require.ErrorIs(t, err, memqueue.ErrFull)
	require.Equal(t, 100_000, n)
}
