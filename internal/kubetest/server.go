// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubetest runs a real Kubernetes API server with a real etcd for tests. There are no controllers and no nodes:
// objects are admitted and stored, and no pod runs.
package kubetest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// AdminToken is the bearer token of an administrator.
const AdminToken = "admin-of-the-test"

// startTimeout is for a busy machine.
const startTimeout = 2 * time.Minute

// kubeconfig is a client's configuration: server, authority, token, namespace.
const kubeconfig = `apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: test, user: {token: %q}}]
contexts: [{name: test, context: {cluster: test, user: test, namespace: %q}}]
`

// Server is an API server with its etcd. Both end with the test.
type Server struct {
	URL string
	// Authority is the file of the certificate with which a client verifies the server.
	Authority string
	Etcd, API *proctest.Process

	tb  testing.TB
	dir string
}

// Start starts the servers and waits until the API server is ready.
func Start(tb testing.TB) *Server {
	tb.Helper()
	dir := tb.TempDir()
	etcd, peer, secure := proctest.FreeAddress(tb), proctest.FreeAddress(tb), proctest.FreeAddress(tb)
	s := &Server{
		URL: "https://" + secure, Authority: filepath.Join(dir, "certificates", "apiserver.crt"), tb: tb, dir: dir,
	}
	s.Etcd = proctest.New(tb, proctest.ProgramPath(tb, "GX_ETCD"), s.etcdArgs(etcd, peer)...)
	s.API = proctest.New(tb, proctest.ProgramPath(tb, "GX_KUBE_APISERVER"), s.apiArgs(etcd, secure)...)
	s.Etcd.Run()
	s.API.Run()
	s.AwaitReady()
	return s
}

// etcdArgs returns the arguments of etcd.
func (s *Server) etcdArgs(client, peer string) []string {
	return []string{
		"--data-dir=" + filepath.Join(s.dir, "etcd"),
		"--listen-client-urls=http://" + client,
		"--advertise-client-urls=http://" + client,
		"--listen-peer-urls=http://" + peer,
		"--initial-advertise-peer-urls=http://" + peer,
		"--initial-cluster=default=http://" + peer,
	}
}

// apiArgs returns the arguments of the API server.
func (s *Server) apiArgs(etcd, secure string) []string {
	_, port, err := net.SplitHostPort(secure)
	require.NoError(s.tb, err)
	key := s.signingKey()
	return []string{
		"--etcd-servers=http://" + etcd,
		"--bind-address=127.0.0.1",
		"--secure-port=" + port,
		"--advertise-address=127.0.0.1",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--cert-dir=" + filepath.Join(s.dir, "certificates"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + key,
		"--service-account-signing-key-file=" + key,
		"--authorization-mode=RBAC",
		"--token-auth-file=" + s.WriteFile("tokens.csv", AdminToken+",admin,1,system:masters\n"),
	}
}

// signingKey writes a key for the tokens of service accounts and returns its path.
func (s *Server) signingKey() string {
	s.tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(s.tb, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return s.WriteFile("signing.key", string(text))
}

// WriteFile writes a file in the folder of the server and returns its path.
func (s *Server) WriteFile(name, text string) string {
	s.tb.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.tb, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// Kubeconfig writes the configuration of a client with a token, for a namespace, and returns its path.
func (s *Server) Kubeconfig(name, token, namespace string) string {
	s.tb.Helper()
	return s.WriteFile(name, fmt.Sprintf(kubeconfig, s.URL, s.Authority, token, namespace))
}

// AwaitReady waits until the API server serves, its own authorization rules included.
func (s *Server) AwaitReady() {
	s.tb.Helper()
	require.Eventually(s.tb, s.isReady, startTimeout, 100*time.Millisecond, "the API server is not ready")
}

// isReady reports whether the API server calls itself ready.
func (s *Server) isReady() bool {
	certificate, err := os.ReadFile(s.Authority) // the server makes it at its first start
	if err != nil {
		return false
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certificate)
	client := http.Client{
		Timeout:   startTimeout / 10,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true},
	}
	ctx, cancel := context.WithTimeout(s.tb.Context(), startTimeout/10)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/readyz", http.NoBody)
	require.NoError(s.tb, err)
	request.Header.Set("Authorization", "Bearer "+AdminToken)
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
