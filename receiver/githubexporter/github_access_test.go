// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/github/transport"
)

// TestCredentialRefused: a refused credential and an unknown organization are refusals until GitHub accepts them, also
// after the organization was read once, when the dependency github_access stays healthy. Other errors change nothing.
func TestCredentialRefused(t *testing.T) {
	t.Parallel()
	access := newGitHubAccess(newMonitor(createDefaultConfig().(*Config), componenttest.NewNopHost()))
	access.add("acme", func() time.Time { return time.Time{} })
	access.add("widgets", func() time.Time { return time.Time{} })
	require.False(t, access.isRefused("acme"), "nothing is known yet")
	require.False(t, access.isRefused("unknown"))
	credential, other := &transport.CredentialError{}, errors.New("connection refused")
	for _, step := range []struct {
		name   string
		record func(string, error)
		err    error
		want   bool
	}{
		{"the first pass fails", access.recordPass, other, false},
		{"the first pass is refused", access.recordPass, credential, true},
		{"no connection says nothing", access.recordCredentialCheck, other, true},
		{"a check is accepted", access.recordCredentialCheck, nil, false},
		{"a check is refused", access.recordCredentialCheck, credential, true},
		{"a pass succeeds", access.recordPass, nil, false},
		{"the credential is revoked", access.recordPass, credential, true},
		{"the store fails", access.recordPass, &collect.StoreError{Err: other}, true},
		{"a pass succeeds again", access.recordPass, nil, false},
		{"the organization is gone", access.recordPass, &transport.NotFoundError{}, true},
	} {
		step.record("acme", step.err)
		require.Equal(t, step.want, access.isRefused("acme"), step.name)
		require.False(t, access.isRefused("widgets"), step.name)
	}
	require.NoError(t, access.errorOf("acme"), "it was read once")
}
