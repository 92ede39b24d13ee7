// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rabbitqueue_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill/queuetest"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
	"github.com/seed-358c4d9d/githubexporter/internal/tlstest"
)

// TestTLS: with a password, with the client's certificate alone, and refused without either.
func TestTLS(t *testing.T) {
	a := tlstest.NewAuthority(t)
	a.Issue("githubexporter")
	stranger := tlstest.NewAuthority(t)
	s := rabbittest.StartTLS(t, a)
	s.Rabbitmqctl("add_user", "githubexporter", "unused")
	s.Rabbitmqctl("clear_password", "githubexporter")
	s.Rabbitmqctl("set_permissions", "githubexporter", ".*", ".*", ".*")
	secure := func(settings *rabbitqueue.Settings) {
		settings.URL = s.URL()
		settings.TLS = a.Client("")
	}
	t.Run("password", func(t *testing.T) {
		f := startQueue(t, s, secure).awaitConnected(t)
		publish(t, f, queuetest.NewJobs(3)...)
	})
	t.Run("certificate", func(t *testing.T) {
		f := startQueue(t, s, secure, func(settings *rabbitqueue.Settings) {
			settings.TLS, settings.Auth = a.Client("githubexporter"), rabbitqueue.ExternalAuth()
		}).awaitConnected(t)
		publish(t, f, queuetest.NewJobs(3)...)
		require.Contains(t, s.Rabbitmqctl("list_connections", "user", "auth_mechanism"), "githubexporter\tEXTERNAL")
	})
	refused := func(want string, change ...func(*rabbitqueue.Settings)) {
		t.Helper()
		f := startQueue(t, s, append([]func(*rabbitqueue.Settings){secure}, change...)...)
		eventually(
			t,
			want,
			func() bool { return f.connError() != nil && strings.Contains(f.connError().Error(), want) },
		)
	}
	t.Run("no certificate", func(*testing.T) {
		refused("connect:", func(settings *rabbitqueue.Settings) { settings.Auth = rabbitqueue.ExternalAuth() })
	})
	t.Run("another authority", func(*testing.T) {
		refused(
			"certificate signed by unknown authority",
			func(settings *rabbitqueue.Settings) { settings.TLS = stranger.Client("") },
		)
	})
}
