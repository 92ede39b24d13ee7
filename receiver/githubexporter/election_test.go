// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// ballot is an extension whose terms a test begins and ends.
type ballot struct {
	component.StartFunc
	component.ShutdownFunc
	terms chan ballotTerm
	ended chan error
}

type ballotTerm struct {
	ctx   context.Context
	fence uint64
}

func newBallot() *ballot { return &ballot{terms: make(chan ballotTerm), ended: make(chan error)} }

func (b *ballot) Lead(ctx context.Context, _ string, work func(context.Context, uint64) error) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case term := <-b.terms:
			merged, cancel := context.WithCancel(ctx)
			stop := context.AfterFunc(term.ctx, cancel)
			err := work(merged, term.fence)
			stop()
			cancel()
			select {
			case b.ended <- err:
			case <-ctx.Done():
			}
		}
	}
}

// replicaOf starts a receiver under an election, on a Redis.
func replicaOf(t *testing.T, config *Config, elector component.Component) (*githubReceiver, *sinkOf) {
	t.Helper()
	id := component.MustNewID("elector")
	config.LeaderElection = &id
	sink := newSink()
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{
		Host:       componenttest.NewNopHost(),
		extensions: map[component.ID]component.Component{id: elector},
	}))
	t.Cleanup(func() { require.NoError(t, r.Shutdown(context.WithoutCancel(t.Context()))) })
	return r, sink
}

// valueOf is the value of a point, 0 when it is not there.
func valueOf(md pmetric.Metrics, name string, labels map[string]string) int64 {
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			if m.Name() != name {
				continue
			}
			for _, point := range points(m).All() {
				same := true
				for key, want := range labels {
					got, _ := point.Attributes().Get(key)
					same = same && got.Str() == want
				}
				if same {
					return point.IntValue()
				}
			}
		}
	}
	return 0
}

// callbacksOnly is contrib's interface.
type callbacksOnly struct {
	component.StartFunc
	component.ShutdownFunc
	start func(context.Context)
	stop  func()
}

func (c *callbacksOnly) SetCallBackFuncs(start func(context.Context), stop func()) {
	c.start, c.stop = start, stop
}

// TestElectionReferences names what is wrong with the election.
func TestElectionReferences(t *testing.T) {
	t.Parallel()
	id := component.MustNewID("elector")
	for want, extension := range map[string]component.Component{
		`leader_election: there is no extension "elector"`:               nil,
		`leader_election: the extension "elector" is no leader election`: &bearer{},
		`leadership: org, want receiver with the extension "elector"`:    &callbacksOnly{},
	} {
		config := testConfig(testServer(t))
		config.Redis.Endpoints = []string{proctest.FreeAddress(t)}
		config.LeaderElection, config.Leadership = &id, leadershipOrg
		r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), newSink())
		require.NoError(t, err)
		extensions := map[component.ID]component.Component{}
		if extension != nil {
			extensions[id] = extension
		}
		require.ErrorContains(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost(), extensions: extensions}),
			want)
	}
}
