// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package tlstest_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/tlstest"
)

// TestAuthority: a client accepts a server of its authority and of no other, and shows its certificate.
func TestAuthority(t *testing.T) {
	t.Parallel()
	a, stranger := tlstest.NewAuthority(t), tlstest.NewAuthority(t)
	a.Issue("server")
	a.Issue("client")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, cert := range r.TLS.PeerCertificates {
			_, _ = io.WriteString(w, cert.Subject.CommonName)
		}
	}))
	server.TLS = a.Client("server")
	server.TLS.ClientCAs, server.TLS.ClientAuth = server.TLS.RootCAs, tls.VerifyClientCertIfGiven
	server.StartTLS()
	t.Cleanup(server.Close)
	get := func(settings *tls.Config) (string, error) {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL, http.NoBody)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err != nil {
			return "", err
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		return string(text), err
	}
	for name, want := range map[string]string{"": "", "client": "client"} {
		got, err := get(a.Client(name))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := get(stranger.Client(""))
	require.ErrorContains(t, err, "certificate signed by unknown authority")
}
