// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// TestOneLimitForAll: all of three replicas obey a limit that GitHub reports to one of them: only requests in flight
// are sent after it. Then they continue, and every metric is correct.
func TestOneLimitForAll(t *testing.T) {
	t.Parallel()
	const (
		concurrency = 6
		wait        = 12 * time.Second
	)
	data := newActiveOrg(30, 30*24*time.Hour, 2*time.Hour)
	s := prepareSystem(t, systemSettings{
		data: data, timeline: githubtest.EndingAt(data, time.Minute, time.Now(), 1),
		replicas: 3, interval: 2 * time.Second, lookback: 720 * time.Hour, oneToken: true,
		github: fmt.Sprintf(", rate_limit: {max_concurrent_requests: %d}", concurrency),
	})
	visible := time.Now()
	s.server.HideAfter(visible)
	s.server.InjectFault(githubtest.Fault{Effect: githubtest.SlowBody(40 * time.Millisecond)})
	s.run(t)
	reading := func(r githubtest.RequestInfo) bool { return r.Operation != "Discover" }
	eventually(t, time.Minute, func() error {
		if s.server.CountRequests(reading) < 60 {
			return errors.New("the look-back is not being read yet")
		}
		return nil
	})
	s.server.ResetRequests()
	s.server.ClearFaults()
	s.server.InjectFault(githubtest.Fault{Effect: githubtest.SecondaryLimit(403, wait)})
	limited := func(r githubtest.RequestInfo) bool { return r.Status == 403 }
	eventually(t, 30*time.Second, func() error {
		if s.server.CountRequests(limited) == 0 {
			return errors.New("no limit yet")
		}
		return nil
	})
	met := time.Now()
	waitUntil(t, met.Add(wait-2*time.Second))
	after := s.server.CountRequests(limited)
	t.Logf("%d requests met the limit", after)
	require.LessOrEqual(t, after, 1+concurrency)
	s.server.ClearFaults()
	awaitDrained(t, s.replicas)
	require.Equal(t, after, s.server.CountRequests(limited))
	compareWithData(t, startPrometheus(t, s.replicas[1].metrics), data, s.server.Timeline(), visible)
	s.awaitEmptyQueues(t, 0)
}
