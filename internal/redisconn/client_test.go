// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package redisconn_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/redisclaims"
	"github.com/seed-358c4d9d/githubexporter/internal/election/redislease"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget"
	"github.com/seed-358c4d9d/githubexporter/internal/github/budget/redisbudget"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/redisstore"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/storetest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/redisconn"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// writeCertificate writes a self-signed certificate for this machine and its key, and returns the paths.
func writeCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	secret, err := x509.MarshalECPrivateKey(private)
	require.NoError(t, err)
	dir := t.TempDir()
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600))
		return path
	}
	return write("redis.crt", "CERTIFICATE", der), write("redis.key", "EC PRIVATE KEY", secret)
}

// TestAbortedTransactionReturnsTheCause: a transaction that Redis does not execute returns the error of the command
// that caused it.
func TestAbortedTransactionReturnsTheCause(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "maxmemory 1mb", "maxmemory-policy noeviction")
	config := redisconn.Default()
	config.Endpoints = []string{server.Address}
	client, err := config.Connect(t.Context())
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	for i := 0; err == nil; i++ {
		err = client.Set(t.Context(), strconv.Itoa(i), strings.Repeat("x", 100_000), 0).Err()
	}
	require.ErrorContains(t, err, "OOM")
	store := redisstore.New(client, redisstore.Settings{Prefix: config.KeyPrefix, Now: time.Now, MaxSeries: 10})
	_, err = store.Coverage(t.Context(), "acme")
	require.ErrorContains(t, err, "OOM command not allowed when used memory > 'maxmemory'")
	require.NotContains(t, err.Error(), "EXECABORT")
}

// TestCloseDoesNotWait: pending commands fail when the client is closed, and it makes no new connection.
func TestCloseDoesNotWait(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	config := redisconn.Default()
	config.Endpoints = []string{server.Address}
	client, err := config.Connect(t.Context())
	require.NoError(t, err)
	store := redisstore.New(client, redisstore.Settings{Prefix: config.KeyPrefix, Now: time.Now, MaxSeries: 10})
	batch := ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1)}
	_, err = store.Commit(t.Context(), 1, batch)
	require.NoError(t, err)
	require.NoError(t, server.Client().Do(t.Context(), "CLIENT", "PAUSE", "60000", "WRITE").Err())
	committed := make(chan error, 1)
	go func() {
		_, err := store.Commit(context.WithoutCancel(t.Context()), 1, batch)
		committed <- err
	}()
	require.Eventually(t, func() bool { // it waits for its reply
		list, err := server.Client().Do(t.Context(), "CLIENT", "LIST").Text()
		return err == nil && strings.Contains(list, "name=githubexporter") && strings.Contains(list, "cmd=evalsha")
	}, 10*time.Second, 10*time.Millisecond)
	began := time.Now()
	require.NoError(t, client.Close())
	require.Error(t, <-committed)
	require.Less(t, time.Since(began), time.Second)
	require.Error(t, client.Ping(t.Context()).Err())
}

// documentedUser returns the ACL user of docs/redis.md, with another password.
func documentedUser(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "redis.md"))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "    user gx on >SECRET ")
	require.True(t, found)
	rights, _, _ := strings.Cut(rest, "\n\n")
	return `user gx on >"pass word" ` + strings.Join(strings.Fields(rights), " ")
}

// TestTLSAndACL: store, leases, claims and budgets work over TLS as an ACL user with the rights that docs/redis.md
// lists.
func TestTLSAndACL(t *testing.T) {
	t.Parallel()
	cert, key := writeCertificate(t)
	port := strconv.Itoa(proctest.Port(t, proctest.FreeAddress(t)))
	redistest.Start(t, "tls-port "+port, "tls-cert-file "+cert, "tls-key-file "+key, "tls-ca-cert-file "+cert,
		"tls-auth-clients no",
		"user default off",
		documentedUser(t))
	config := redisconn.Default()
	raw := confmap.NewFromStringMap(map[string]any{
		"endpoints": []any{"127.0.0.1:" + port}, "username": "gx", "password": "pass word",
		"tls": map[string]any{"ca_file": cert},
	})
	require.NoError(t, raw.Unmarshal(&config))
	require.NoError(t, config.Check())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", config, config, config), "pass word")
	client, err := config.Connect(t.Context())
	require.NoError(t, err)
	defer func() { _ = client.Close() }()
	store := redisstore.New(client, redisstore.Settings{Prefix: config.KeyPrefix, Now: time.Now, MaxSeries: 10})
	require.NoError(t, store.Ping(t.Context()))
	receipt, err := store.Commit(t.Context(), 1, ledger.Batch{
		Org: "acme", Observed: storetest.Noon, Progress: storetest.IntroduceRepos(1),
		Events: []activity.Event{storetest.Event(activity.KindCommit, 1, "ada", storetest.Noon.AddDate(0, 0, -1))},
	})
	require.NoError(t, err)
	require.Equal(t, 1, receipt.Recorded)
	_, err = store.Commit(t.Context(), 1, ledger.Batch{Org: "acme", Observed: storetest.Noon, Progress: ledger.Progress{
		Repos: []ledger.RepoProgress{{
			ID: 1, Presence: ledger.PresenceGone,
			GoneSince: storetest.Noon.AddDate(0, 0, -2),
		}},
	}})
	require.NoError(t, err)
	require.NoError(t, store.Prune(t.Context(), "acme", storetest.Noon))
	require.Equal(t, 0, storetest.LatestView(t, store, "acme").Summary().Gaps)
	leases := redislease.New(client, redislease.Settings{
		Prefix: config.KeyPrefix, Identity: "one",
		Duration: time.Second,
	})
	term, err := leases.Acquire(t.Context(), "")
	require.NoError(t, err)
	_, err = leases.Announce(t.Context(), 1)
	require.NoError(t, err)
	require.NoError(t, leases.Renew(t.Context(), term))
	require.NoError(t, leases.Release(t.Context(), term))
	claims := redisclaims.New(client, redisclaims.Settings{Prefix: config.KeyPrefix, TTL: time.Hour})
	require.NoError(t, claims.Put(t.Context(), "acme", []backfill.Claim{{ID: "one"}}))
	require.NoError(t, claims.Delete(t.Context(), "acme", []string{"one"}))
	_, err = claims.List(t.Context(), "acme")
	require.NoError(t, err)
	shared := redisbudget.New(client, redisbudget.Settings{
		Prefix: config.KeyPrefix, Credential: "one",
		OnDegraded: func(err error) { t.Errorf("the budget is not shared: %v", err) },
	})
	now := time.Now()
	_, err = shared.Reserve(t.Context(), budget.Reservation{
		ID: "one", Resource: budget.ResourceREST, Now: now,
		ExpiresAt: now.Add(time.Minute), MaxInFlight: 1,
	})
	require.NoError(t, err)
	_, err = shared.Settle(t.Context(), budget.Settlement{
		ID: "one", Resource: budget.ResourceREST, Now: now,
		Limited: true, InitialBackoff: time.Minute,
	})
	require.NoError(t, err)
}
