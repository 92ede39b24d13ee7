// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build kubernetes

package kubelease_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// cluster is a real API server with a real etcd.
type cluster struct {
	t         *testing.T
	dir       string
	url       string
	etcd, api *proctest.Process
	admin     kubernetes.Interface
}

const (
	adminToken = "admin-of-the-test"
	namespace  = "monitoring"
)

// newCluster starts servers that end with the test, with the namespace that deploy/rbac is for.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, dir: t.TempDir()}
	client, peer, secure := proctest.FreeAddress(t), proctest.FreeAddress(t), proctest.FreeAddress(t)
	c.url = "https://" + secure
	c.etcd = proctest.New(
		t,
		proctest.ProgramPath(t, "GX_ETCD"),
		"--data-dir="+filepath.Join(c.dir, "etcd"),
		"--listen-client-urls=http://"+client,
		"--advertise-client-urls=http://"+client,
		"--listen-peer-urls=http://"+peer,
		"--initial-advertise-peer-urls=http://"+peer,
		"--initial-cluster=default=http://"+peer,
	)
	key := c.signingKey()
	_, port, _ := strings.Cut(secure, ":")
	c.api = proctest.New(
		t,
		proctest.ProgramPath(t, "GX_KUBE_APISERVER"),
		"--etcd-servers=http://"+client,
		"--bind-address=127.0.0.1",
		"--secure-port="+port,
		"--advertise-address=127.0.0.1",
		"--service-cluster-ip-range=10.0.0.0/24",
		"--cert-dir="+filepath.Join(c.dir, "certificates"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+key,
		"--service-account-signing-key-file="+key,
		"--authorization-mode=RBAC",
		"--token-auth-file="+c.tokens(),
	)
	c.etcd.Run()
	c.api.Run()
	c.admin = c.connect(c.url, c.authority(), adminToken)
	c.awaitReady()
	c.apply()
	return c
}

// signingKey writes a key for the tokens of service accounts and returns its path.
func (c *cluster) signingKey() string {
	c.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(c.t, err)
	text := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return c.writeFile("signing.key", string(text))
}

// tokens writes the file with the administrator's token and returns its path.
func (c *cluster) tokens() string {
	c.t.Helper()
	return c.writeFile("tokens.csv", adminToken+",admin,1,system:masters\n")
}

// writeFile writes a file in the folder of the test and returns its path.
func (c *cluster) writeFile(name, text string) string {
	c.t.Helper()
	path := filepath.Join(c.dir, name)
	require.NoError(c.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// awaitReady waits until the API server serves, its own authorization rules included.
func (c *cluster) awaitReady() {
	c.t.Helper()
	require.Eventually(c.t, func() bool {
		code := 0
		c.admin.CoreV1().RESTClient().Get().AbsPath("/readyz").Do(c.t.Context()).StatusCode(&code)
		return code == http.StatusOK
	}, waitTimeout, 100*time.Millisecond, "the API server is not ready")
}

// authority returns the file of the API server's certificate, which the server makes at its first start.
func (c *cluster) authority() string {
	c.t.Helper()
	path := filepath.Join(c.dir, "certificates", "apiserver.crt")
	require.Eventually(c.t, func() bool {
		_, err := os.Stat(path)
		return err == nil
	}, waitTimeout, tick, "the API server has no certificate")
	return path
}

// connect returns a client as the extension makes it. Its time-out is long, for the requests of the tests themselves;
// electors bound their requests.
func (c *cluster) connect(url, authority, token string) kubernetes.Interface {
	c.t.Helper()
	server := fmt.Sprintf("%q, certificate-authority: %q", url, authority)
	path := c.writeFile(fmt.Sprintf("kubeconfig-%d", replicas.Add(1)),
		strings.NewReplacer("SERVER", server, "secret", token).Replace(kubeconfig))
	client, got, err := kubelease.Connect(kubelease.Connection{Kubeconfig: path, RenewDeadline: waitTimeout})
	require.NoError(c.t, err)
	require.Equal(c.t, namespace, got)
	return client
}

// getLease reads a Lease as the administrator.
func (c *cluster) getLease(name string) leaseView {
	c.t.Helper()
	lease, err := c.admin.CoordinationV1().Leases(namespace).Get(c.t.Context(), name, meta.GetOptions{})
	require.NoError(c.t, err)
	return leaseView{
		holder:  leaseHolder(lease),
		renewed: lease.Spec.RenewTime.Time,
		seconds: *lease.Spec.LeaseDurationSeconds,
	}
}

// leaseView is the holder, the last renewal and the duration of a Lease.
type leaseView struct {
	holder  string
	renewed time.Time
	seconds int32
}

// deleteLease deletes a Lease as the administrator.
func (c *cluster) deleteLease(name string) {
	c.t.Helper()
	require.NoError(c.t, c.admin.CoordinationV1().Leases(namespace).Delete(c.t.Context(), name, meta.DeleteOptions{}))
}
