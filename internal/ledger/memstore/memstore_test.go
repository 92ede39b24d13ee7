// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package memstore_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	bounded := func(_ testing.TB, maxSeries int) storetest.Harness {
		return storetest.Harness{Open: func(testing.TB) ledger.Store {
			return memstore.New(memstore.Settings{MaxSeries: maxSeries})
		}}
	}
	storetest.Run(t, func(tb testing.TB) storetest.Harness { tb.Helper(); return bounded(tb, 0) }, bounded)
}
