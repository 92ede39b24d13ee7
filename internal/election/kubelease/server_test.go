// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build kubernetes

package kubelease_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
	"github.com/seed-358c4d9d/githubexporter/internal/kubetest"
)

// cluster is a real API server with a real etcd.
type cluster struct {
	*kubetest.Server
	t     *testing.T
	admin kubernetes.Interface
}

const (
	adminToken = kubetest.AdminToken
	namespace  = "monitoring"
)

// newCluster starts servers that end with the test, with a namespace that has what deploy/kustomize grants.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{Server: kubetest.Start(t), t: t}
	c.admin = c.connect(c.URL, c.Authority, adminToken)
	c.apply()
	return c
}

// connect returns a client as the extension makes it. Its time-out is long, for the requests of the tests themselves;
// electors bound their requests.
func (c *cluster) connect(url, authority, token string) kubernetes.Interface {
	c.t.Helper()
	server := fmt.Sprintf("%q, certificate-authority: %q", url, authority)
	path := c.WriteFile(fmt.Sprintf("kubeconfig-%d", replicas.Add(1)),
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
