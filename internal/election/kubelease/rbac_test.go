// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build kubernetes

package kubelease_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	authentication "k8s.io/api/authentication/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	rbac "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
)

// apply creates the namespace and what deploy/kustomize grants.
func (c *cluster) apply() {
	c.t.Helper()
	ctx := c.t.Context()
	var account core.ServiceAccount
	var role rbac.Role
	var binding rbac.RoleBinding
	loadManifest(c.t, "base/serviceaccount.yaml", &account)
	loadManifest(c.t, "components/lease/role.yaml", &role)
	loadManifest(c.t, "components/lease/rolebinding.yaml", &binding)

	_, err := c.admin.CoreV1().Namespaces().Create(
		ctx,
		&core.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespace}},
		strict,
	)
	require.NoError(c.t, err)
	_, err = c.admin.CoreV1().ServiceAccounts(namespace).Create(ctx, &account, strict)
	require.NoError(c.t, err)
	_, err = c.admin.RbacV1().Roles(namespace).Create(ctx, &role, strict)
	require.NoError(c.t, err)
	binding.Subjects[0].Namespace = namespace // as kustomize sets it
	_, err = c.admin.RbacV1().RoleBindings(namespace).Create(ctx, &binding, strict)
	require.NoError(c.t, err)
}

var strict = meta.CreateOptions{FieldValidation: meta.FieldValidationStrict}

// loadManifest decodes a file of deploy/kustomize, in which no field may be unknown.
func loadManifest(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "kustomize", name))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, into))
}

// accountToken returns a token of the service account, as a pod gets it.
func (c *cluster) accountToken() string {
	c.t.Helper()
	request, err := c.admin.CoreV1().ServiceAccounts(namespace).CreateToken(
		c.t.Context(), "githubexporter", &authentication.TokenRequest{}, meta.CreateOptions{},
	)
	require.NoError(c.t, err)
	return request.Status.Token
}

// testRole: with the role of deploy/kustomize an account can do what an election needs, and nothing else.
func testRole(t *testing.T, c *cluster) {
	t.Helper()
	ctx := t.Context()
	client := c.connect(c.URL, c.Authority, c.accountToken())
	state, terms := &stateRecorder{}, make(chan term, 1)
	settings := quickSettings(leaseName)
	settings.Namespace, settings.OnState = namespace, state.observe

	stop := startReplica(t, kubelease.New(client, settings), terms, 1)
	first := receive(t, terms)
	require.ErrorIs(t, stop(), context.Canceled)
	require.Empty(t, c.getLease(leaseName).holder)
	startReplica(t, kubelease.New(client, settings), terms, 2)
	second := receive(t, terms)
	require.Greater(t, second.fence, first.fence)
	require.Equal(t, []error{nil, nil}, state.all())

	leases := client.CoordinationV1().Leases(namespace)
	other, err := c.admin.CoordinationV1().Leases(
		namespace,
	).Create(
		ctx,
		&coordination.Lease{ObjectMeta: meta.ObjectMeta{Name: "other"}},
		strict,
	)
	require.NoError(t, err)
	for what, do := range map[string]func() error{
		"list":           func() error { _, err := leases.List(ctx, meta.ListOptions{}); return err },
		"watch":          func() error { _, err := leases.Watch(ctx, meta.ListOptions{}); return err },
		"delete":         func() error { return leases.Delete(ctx, leaseName, meta.DeleteOptions{}) },
		"get another":    func() error { _, err := leases.Get(ctx, "other", meta.GetOptions{}); return err },
		"update another": func() error { _, err := leases.Update(ctx, other, meta.UpdateOptions{}); return err },
		"another namespace": func() error {
			_, err := client.CoordinationV1().Leases("default").Get(ctx, leaseName, meta.GetOptions{})
			return err
		},
		"secrets": func() error {
			_, err := client.CoreV1().Secrets(namespace).List(ctx,
				meta.ListOptions{})
			return err
		},
	} {
		require.True(t, apierrors.IsForbidden(do()), what)
	}
}

// testRefusal: without permissions no replica leads, and the state has the reason.
func testRefusal(t *testing.T, c *cluster) {
	t.Helper()
	state, terms := &stateRecorder{}, make(chan term, 1)
	settings := quickSettings("not-allowed")
	settings.Namespace, settings.OnState = namespace, state.observe
	startReplica(t, kubelease.New(c.connect(c.URL, c.Authority, c.accountToken()), settings), terms, 1)
	require.Eventually(t, func() bool { return len(state.all()) > 0 }, waitTimeout, tick)
	require.True(t, apierrors.IsForbidden(state.all()[0]))
	require.Empty(t, terms)
}
