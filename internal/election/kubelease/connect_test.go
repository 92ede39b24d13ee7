// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package kubelease_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
)

const kubeconfig = `apiVersion: v1
kind: Config
current-context: test
contexts: [{name: test, context: {cluster: test, user: test, namespace: monitoring}}]
clusters: [{name: test, cluster: {server: SERVER}}]
users: [{name: test, user: {token: secret}}]
`

func writeKubeconfig(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestConnectFailures(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	for name, c := range map[string]struct {
		connection kubelease.Connection
		want       string
	}{
		"not in a cluster": {
			kubelease.Connection{},
			"use the pod's service account: unable to load in-cluster configuration",
		},
		"no such file": {kubelease.Connection{Kubeconfig: "missing"}, "use the kubeconfig missing: "},
		"empty file": {
			kubelease.Connection{Kubeconfig: writeKubeconfig(t, "{}")},
			"no configuration has been provided",
		},
		"not a config file": {kubelease.Connection{Kubeconfig: writeKubeconfig(t, "]")}, "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			client, _, err := kubelease.Connect(c.connection)
			require.ErrorContains(t, err, c.want)
			require.Nil(t, client)
		})
	}
}

func TestConnectNamespace(t *testing.T) {
	path := writeKubeconfig(t, kubeconfig)
	_, namespace, err := kubelease.Connect(kubelease.Connection{Kubeconfig: path})
	require.NoError(t, err)
	require.Equal(t, "monitoring", namespace)
	_, namespace, err = kubelease.Connect(kubelease.Connection{Kubeconfig: path, Namespace: "other"})
	require.NoError(t, err)
	require.Equal(t, "other", namespace)
}

// TestRequestTimeout: a request to a server that never responds times out.
func TestRequestTimeout(t *testing.T) {
	released := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-released }))
	t.Cleanup(func() {
		close(released)
		server.Close()
	})
	deadline := 2 * time.Second
	client, namespace, err := kubelease.Connect(kubelease.Connection{
		Kubeconfig: writeKubeconfig(t, strings.Replace(kubeconfig, "SERVER", server.URL, 1)), RenewDeadline: deadline,
	})
	require.NoError(t, err)
	began := time.Now()
	_, err = client.CoordinationV1().Leases(namespace).Get(t.Context(), "any", meta.GetOptions{})
	require.Error(t, err)
	require.Less(t, time.Since(began), deadline/2)
}
