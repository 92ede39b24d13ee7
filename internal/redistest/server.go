// Package redistest starts Redis servers for tests: real ones of the test's own, on free loopback ports, stopped by their
// process id.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// Server is a Redis server of a test.
type Server struct {
	Address string

	tb    testing.TB
	dir   string
	lines []string // of the configuration
	args  []string
	cmd   *exec.Cmd
	done  chan struct{}
	out   *output
}

// output is what a server says, for several goroutines.
type output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(p)
}

func (o *output) tail() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.data.Bytes()
	return string(b[max(0, len(b)-2000):])
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
	return prepare(tb, append([]string{`save ""`, "appendonly no"}, lines...))
}

func prepare(tb testing.TB, lines []string, args ...string) *Server {
	tb.Helper()
	s := &Server{Address: FreeAddress(tb), tb: tb, dir: tb.TempDir(), args: args, out: &output{}}
	s.lines = append([]string{"bind 127.0.0.1", "port " + strconv.Itoa(s.Port()), "dir " + s.dir}, lines...)
	tb.Cleanup(func() {
		s.Kill()
		if tb.Failed() {
			tb.Logf("the end of the output of Redis at %s:\n%s", s.Address, s.out.tail())
		}
	})
	return s
}

// Program is the path of redis-server, which `make test` puts into the environment.
func Program(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("GX_REDIS")
	require.NotEmpty(tb, path, `GX_REDIS is not set: run these tests with "make test", or after eval "$(make -s env)"`)
	require.FileExists(tb, path)
	return path
}

// FreeAddress is a loopback address on which nobody listens.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// Port is the server's port.
func (s *Server) Port() int {
	_, port, err := net.SplitHostPort(s.Address)
	require.NoError(s.tb, err)
	n, err := strconv.Atoi(port)
	require.NoError(s.tb, err)
	return n
}

// Run starts the server, also again after it ended, and waits until it answers.
func (s *Server) Run() {
	s.tb.Helper()
	config := filepath.Join(s.dir, "redis.conf")
	if _, err := os.Stat(config); err != nil { // servers under Sentinel rewrite theirs
		require.NoError(s.tb, os.WriteFile(config, []byte(strings.Join(s.lines, "\n")+"\n"), 0o600))
	}
	s.cmd = exec.Command(Program(s.tb), append([]string{config}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	require.NoError(s.tb, s.cmd.Start())
	done := make(chan struct{})
	s.done = done
	go func(cmd *exec.Cmd) {
		defer close(done)
		_ = cmd.Wait() // how it ended is what tests look at
	}(s.cmd)
	require.Eventually(s.tb, s.answers, 20*time.Second, 20*time.Millisecond, "Redis does not answer")
}

// answers reports whether the server takes connections and has loaded its data.
func (s *Server) answers() bool {
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

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

// Stop asks the server to end, which writes what it is configured to keep.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

func (s *Server) end(signal syscall.Signal) {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGCONT)
	_ = s.cmd.Process.Signal(signal) // it may have ended
	<-s.done
	s.cmd = nil
}

// Pause lets the server hang: connections stay open and nothing is answered.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.tb.Helper()
	require.NoError(s.tb, s.cmd.Process.Signal(signal))
}

// Client is a client of the server that ends with the test.
func (s *Server) Client() *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: s.Address, ContextTimeoutEnabled: true})
	s.tb.Cleanup(func() { _ = client.Close() })
	return client
}

// Memory is what INFO says that the data take, in bytes.
func (s *Server) Memory(ctx context.Context) int64 {
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
