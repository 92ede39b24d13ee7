// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package redistest runs Redis servers for tests: real ones, each of one test, on free loopback ports.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
	"github.com/seed-358c4d9d/githubexporter/internal/tlstest"
)

// Server is a Redis server of a test.
type Server struct {
	*proctest.Process
	Address string

	tb  testing.TB
	dir string
}

// Start starts a server that ends with the test, with further lines of configuration. Without any it persists nothing.
func Start(tb testing.TB, lines ...string) *Server {
	tb.Helper()
	s := New(tb, lines...)
	s.Run()
	return s
}

// StartTLS starts a server with a certificate of an authority. It returns also the address of connections with TLS.
func StartTLS(tb testing.TB, a *tlstest.Authority, lines ...string) (s *Server, address string) {
	tb.Helper()
	a.Issue("redis")
	address = proctest.FreeAddress(tb)
	s = Start(tb, append([]string{
		"tls-port " + strconv.Itoa(proctest.Port(tb, address)), "tls-auth-clients no",
		"tls-ca-cert-file " + a.Path("ca.crt"),
		"tls-cert-file " + a.Path("redis.crt"),
		"tls-key-file " + a.Path("redis.key"),
	}, lines...)...)
	return s, address
}

// New prepares a server as Start does, without starting it.
func New(tb testing.TB, lines ...string) *Server {
	tb.Helper()
	return newServer(tb, append([]string{`save ""`, "appendonly no"}, lines...))
}

// newServer prepares a server with exactly these lines of configuration beside address and folder. args are further
// arguments of the program.
func newServer(tb testing.TB, lines []string, args ...string) *Server {
	tb.Helper()
	s := &Server{Address: proctest.FreeAddress(tb), tb: tb, dir: tb.TempDir()}
	lines = append([]string{"bind 127.0.0.1", "port " + strconv.Itoa(s.Port()), "dir " + s.dir}, lines...)
	config := filepath.Join(s.dir, fmt.Sprintf("redis-%d.conf", s.Port()))
	require.NoError(tb, os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	s.Process = proctest.New(tb, proctest.ProgramPath(tb, "GX_REDIS"), append([]string{config}, args...)...)
	return s
}

// Port returns the server's port.
func (s *Server) Port() int {
	s.tb.Helper()
	return proctest.Port(s.tb, s.Address)
}

// Run starts the server, also again after it exited, and waits until it replies.
func (s *Server) Run() {
	s.tb.Helper()
	s.Process.Run()
	require.Eventually(s.tb, s.isResponding, 20*time.Second, 20*time.Millisecond, "Redis does not reply")
}

// isResponding reports whether the server replies to PING and has loaded its data.
func (s *Server) isResponding() bool {
	conn, err := net.DialTimeout("tcp", s.Address, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return false
	}
	reply := make([]byte, 64)
	n, err := conn.Read(reply)
	return err == nil && !bytes.HasPrefix(reply[:n], []byte("-LOADING"))
}

// Client returns a client of the server. It is closed at the end of the test.
func (s *Server) Client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.Address, ContextTimeoutEnabled: true})
	s.tb.Cleanup(func() { _ = client.Close() })
	return client
}

// UsedMemory returns used_memory of INFO, in bytes.
func (s *Server) UsedMemory(ctx context.Context) int64 {
	s.tb.Helper()
	info := s.Client().InfoMap(ctx, "memory")
	require.NoError(s.tb, info.Err())
	n, err := strconv.ParseInt(info.Item("Memory", "used_memory"), 10, 64)
	require.NoError(s.tb, err)
	return n
}

// Wipe kills the server and deletes its append-only file.
func (s *Server) Wipe() {
	s.tb.Helper()
	s.Kill()
	require.NoError(s.tb, os.RemoveAll(filepath.Join(s.dir, "appendonlydir")))
}
