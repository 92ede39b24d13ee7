// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const dataDir = "../../../../../testdata/open-telemetry"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs the program until the test ends, and returns its address.
func start(t *testing.T, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, append([]string{"-listen", "127.0.0.1:0"}, arguments...), in, io.Discard) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	t.Cleanup(func() {
		stopping := time.Now()
		cancel()
		require.NoError(t, <-done)
		require.Less(t, time.Since(stopping), 10*time.Second)
		http.DefaultClient.CloseIdleConnections()
	})
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	require.True(t, ok, line)
	return address
}

func get(t *testing.T, url, token string, into any) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.NoError(t, json.NewDecoder(res.Body).Decode(into))
	return res.StatusCode
}

func TestServesSeveralOrganizations(t *testing.T) {
	address := start(
		t, "-data", dataDir, "-org", "acme="+dataDir+",acme-token", "-token", "all", "-start", "2026-10-01T00:00:00Z",
	)
	var commits []struct {
		Commit struct{ Committer struct{ Date time.Time } }
	}
	for _, c := range []struct {
		org, token string
		status     int
	}{
		{"open-telemetry", "all", 200},
		{"acme", "all", 200},
		{"acme", "acme-token", 200},
		{"open-telemetry", "acme-token", 404},
	} {
		var v any
		require.Equal(t, c.status, get(t, address+"/orgs/"+c.org+"/repos", c.token, &v))
	}
	require.Equal(
		t, 200,
		get(t, address+"/repos/acme/opentelemetry-go/commits?until=2026-10-01T00:00:00Z", "acme-token", &commits),
	)
	require.True(
		t, commits[0].Commit.Committer.Date.After(time.Date(2026, 9, 28, 0, 0, 0, 0, time.UTC)),
		"the pivot is served as the start",
	)
}

func TestHoldAndStats(t *testing.T) {
	address := start(t, "-data", dataDir, "-speed", "3600", "-hold", "2000-01-01T00:00:00Z")
	var repos []any
	require.Equal(t, 200, get(t, address+"/orgs/open-telemetry/repos", "ghp_githubtest", &repos))
	require.Empty(t, repos)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address+"/_control/release", nil)
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, get(t, address+"/orgs/open-telemetry/repos", "ghp_githubtest", &repos))
	require.Len(t, repos, 6)
	var stats struct{ Requests int }
	get(t, address+"/_control/stats", "", &stats)
	require.Equal(t, 2, stats.Requests)
}

func TestFlags(t *testing.T) {
	for _, arguments := range [][]string{
		{},
		{"-data", dataDir, "more"},
		{"-org", "acme"},
		{"-data", "nowhere"},
		{"-data", dataDir, "-start", "today"},
		{"-speeed", "1"},
		{"-data", dataDir, "-listen", "nowhere:-1"},
	} {
		require.Error(t, run(t.Context(), arguments, io.Discard, io.Discard), "%v", arguments)
	}
}

// TestServesAnApp whose key is in a file.
func TestServesAnApp(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(
		t,
		os.WriteFile(
			file, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}),
			0o600,
		),
	)
	address := start(t, "-data", dataDir, "-app", "7="+file)
	now := time.Now()
	token, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": "7", "iat": now.Unix(),
		"exp": now.Add(time.Minute).Unix(),
	}).SignedString(
		key,
	)
	require.NoError(t, err)
	var installation struct{ ID int64 }
	require.Equal(t, http.StatusOK, get(t, address+"/orgs/open-telemetry/installation", token, &installation))
	require.Equal(t, int64(1), installation.ID)
	for _, wrong := range []string{"7", "x=" + file, "7=" + file + ".none", "7=main_test.go"} {
		require.Error(t, run(t.Context(), []string{"-data", dataDir, "-app", wrong}, io.Discard, io.Discard), wrong)
	}
}
