// Package redistest starts Redis servers for tests: real ones of the test's own, on free loopback ports, stopped by their
// process id.
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
)

// Server is a Redis server of a test.
type Server struct {
	*proctest.Process
	Address string

	tb  testing.TB
	dir string
}

// Start starts a server that ends with the test, with further lines of configuration. Without any it keeps nothing when it
// ends.
func Start(tb testing.TB, lines ...string) *Server {
	tb.Helper()
	s := New(tb, lines...)
	s.Run()
	return s
}

// New prepares a server without starting it.
func New(tb testing.TB, lines ...string) *Server {
	tb.Helper()
	return newServer(tb, append([]string{`save ""`, "appendonly no"}, lines...))
}

func newServer(tb testing.TB, lines []string, args ...string) *Server {
	tb.Helper()
	s := &Server{Address: proctest.FreeAddress(tb), tb: tb, dir: tb.TempDir()}
	lines = append([]string{"bind 127.0.0.1", "port " + strconv.Itoa(s.Port()), "dir " + s.dir}, lines...)
	config := filepath.Join(s.dir, fmt.Sprintf("redis-%d.conf", s.Port()))
	require.NoError(tb, os.WriteFile(config, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	s.Process = proctest.New(tb, proctest.ProgramPath(tb, "GX_REDIS"), append([]string{config}, args...)...)
	return s
}

// Port is the server's port.
func (s *Server) Port() int {
	s.tb.Helper()
	return proctest.Port(s.tb, s.Address)
}

// Run starts the server, also again after it ended, and waits until it answers.
func (s *Server) Run() {
	s.tb.Helper()
	s.Process.Run()
	require.Eventually(s.tb, s.isResponding, 20*time.Second, 20*time.Millisecond, "Redis does not answer")
}

// isResponding reports whether the server takes connections and has loaded its data.
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
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	return err == nil && !bytes.HasPrefix(answer[:n], []byte("-LOADING"))
}

// Client is a client of the server that ends with the test.
func (s *Server) Client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.Address, ContextTimeoutEnabled: true})
	s.tb.Cleanup(func() { _ = client.Close() })
	return client
}

// UsedMemory is what INFO says that the data take, in bytes.
func (s *Server) UsedMemory(ctx context.Context) int64 {
	s.tb.Helper()
	info := s.Client().InfoMap(ctx, "memory")
	require.NoError(s.tb, info.Err())
	n, err := strconv.ParseInt(info.Item("Memory", "used_memory"), 10, 64)
	require.NoError(s.tb, err)
	return n
}

// Wipe kills the server and takes away what it has kept.
func (s *Server) Wipe() {
	s.tb.Helper()
	s.Kill()
	require.NoError(s.tb, os.RemoveAll(filepath.Join(s.dir, "appendonlydir")))
}
