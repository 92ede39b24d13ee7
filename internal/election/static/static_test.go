// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package static_test

import (
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/electiontest"
	"github.com/seed-358c4d9d/githubexporter/internal/election/static"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	electiontest.Run(t, func(testing.TB) electiontest.Harness {
		var electors atomic.Int32
		return electiontest.Harness{HasFixedLeader: true, NewElector: func(testing.TB) electiontest.Elector {
			return election.New(static.New(electors.Add(1) == 1), electiontest.Timing, nil, election.Hooks{})
		}}
	})
}
