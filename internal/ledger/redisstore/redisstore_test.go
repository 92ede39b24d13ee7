// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var prefixes atomic.Int64

// harness is a store under a prefix of its own.
func harness(client redis.UniversalClient, maxSeries int) storetest.Harness {
	prefix := fmt.Sprintf("test-%d", prefixes.Add(1))
	return storetest.Harness{Durable: true, Open: func(tb testing.TB) ledger.Store {
		tb.Helper()
		return redisstore.New(client, redisstore.Settings{
			Prefix: prefix, Now: time.Now, MaxSeries: maxSeries,
			OnCorrupt: func(key string, err error) {
				tb.Errorf("%s: %v", key, err)
			},
		})
	}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	storetest.Run(t, func(tb testing.TB) storetest.Harness { tb.Helper(); return harness(client, 0) },
		func(tb testing.TB, maxSeries int) storetest.Harness {
			tb.Helper()
			return harness(client, maxSeries)
		})
}
