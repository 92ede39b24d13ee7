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

// proxy is a proxy between a collector and a server that can be cut or slowed.
type proxy struct {
	*toxiproxy.Proxy
	t *testing.T
}

// startProxy starts a proxy to a server.
func startProxy(t *testing.T, upstream string) *proxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxy{Proxy: toxiproxy.NewProxy(server, t.Name(), proctest.FreeAddress(t), upstream), t: t}
	require.NoError(t, p.Start())
	t.Cleanup(p.Stop)
	return p
}

// cut ends all connections and refuses new ones until mend.
func (p *proxy) cut() { p.Stop() }

// mend makes the proxy accept connections again.
func (p *proxy) mend() {
	p.t.Helper()
	require.NoError(p.t, p.Start())
}

// slowDown delays every response until speedUp.
func (p *proxy) slowDown(by time.Duration) {
	p.t.Helper()
	_, err := p.Toxics.AddToxicJson(strings.NewReader(
		fmt.Sprintf(
			`{"name": "slow", "type": "latency", "stream": "downstream", "attributes": {"latency": %d}}`,
			by.Milliseconds(),
		),
	))
	require.NoError(p.t, err)
}

// speedUp ends the delay of slowDown.
func (p *proxy) speedUp() {
	p.t.Helper()
	require.NoError(p.t, p.Toxics.RemoveToxic(p.t.Context(), "slow"))
}
