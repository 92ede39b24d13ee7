// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// proxy stands between a collector and a server, and can be cut or slowed.
type proxy struct {
	*toxiproxy.Proxy
	t *testing.T
}

func startProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{Proxy: toxiproxy.NewProxy(server, t.Name(), proctest.FreeAddress(t), upstream), t: t}
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// cut ends all connections and takes no new ones; mend takes them again.
func (p *proxy) cut() { p.Stop() }

func (p *proxy) mend() {
	p.t.Helper()
	require.NoError(p.t, p.Start())
}

// slow delays every answer; quick ends that.
func (p *proxy) slow(by time.Duration) {
	p.t.Helper()
	_, err := p.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(
			`{"name": "slow", "type": "latency", "stream": "downstream", "attributes": {"latency": %d}}`,
			by.Milliseconds(),
		),
	))
	require.NoError(p.t, err)
}

func (p *proxy) quick() {
	p.t.Helper()
	require.NoError(p.t, p.Toxics.RemoveToxic(p.t.Context(), "slow"))
}
