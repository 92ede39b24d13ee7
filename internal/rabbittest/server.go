// Package rabbittest starts RabbitMQ servers for tests: real ones of the test's own, on free loopback ports, stopped by their
// process id.
package rabbittest

import (
	"bytes"
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

	"github.com/stretchr/testify/require"
)

// startsWithin is how long a server may take to answer.
const startsWithin = 90 * time.Second

// Server is a RabbitMQ server of a test.
type Server struct {
	// Address is where it takes plain connections, TLSAddress those with TLS when it was started WithTLS.
	Address, TLSAddress string

	tb                testing.TB
	dir               string
	distPort, mapPort int
	lines             []string // of the configuration
	mapper            *process // finds nodes for Erlang; it lives as long as the test
	broker            *process
	out               *output
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
	return string(b[max(0, len(b)-4000):])
}

// process is a program in a process group of its own.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func run(tb testing.TB, cmd *exec.Cmd) *process {
	tb.Helper()
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(tb, cmd.Start())
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // how it ended is what tests look at
	}()
	return p
}

// signal goes to the process and its children.
func (p *process) signal(s syscall.Signal) { _ = syscall.Kill(-p.cmd.Process.Pid, s) }

func (p *process) end(s syscall.Signal) {
	p.signal(syscall.SIGCONT)
	p.signal(s)
	<-p.done
}

// Program is the path of rabbitmq-server, which `make test` puts into the environment.
func Program(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("GX_RABBITMQ")
	require.NotEmpty(tb, path, `GX_RABBITMQ is not set: run these tests with "make test", or after eval "$(make -s env)"`)
	require.FileExists(tb, path)
	return path
}

// Start starts a server that ends with the test, with further lines of configuration.
func Start(tb testing.TB, lines ...string) *Server {
	tb.Helper()
	s := &Server{
		Address: freeAddress(tb), tb: tb, dir: tb.TempDir(), distPort: port(tb, freeAddress(tb)), mapPort: port(tb, freeAddress(tb)),
		out: &output{},
	}
	s.lines = append([]string{
		"listeners.tcp.1 = " + s.Address, "log.console = true", "log.console.level = info", "log.file = false",
		"vm_memory_high_watermark.absolute = 2GB", "disk_free_limit.absolute = 1MB", "loopback_users = none",
		"queue_index_embed_msgs_below = 4096", "management_agent.disable_metrics_collector = true",
	}, lines...)
	s.run()
	return s
}

func freeAddress(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(tb, err)
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

func port(tb testing.TB, address string) int {
	tb.Helper()
	_, text, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	n, err := strconv.Atoi(text)
	require.NoError(tb, err)
	return n
}

// run starts the server for the first time.
func (s *Server) run() {
	s.tb.Helper()
	s.tb.Cleanup(func() {
		s.Kill()
		if s.mapper != nil {
			s.mapper.end(syscall.SIGKILL)
		}
		if s.tb.Failed() {
			s.tb.Logf("the end of the output of RabbitMQ at %s:\n%s", s.Address, s.out.tail())
		}
	})
	epmd := exec.Command(filepath.Join(filepath.Dir(Program(s.tb)), "epmd"), "-port", strconv.Itoa(s.mapPort), "-address", "127.0.0.1")
	epmd.Stdout, epmd.Stderr = s.out, s.out
	s.mapper = run(s.tb, epmd)
	require.Eventually(s.tb, func() bool { return connects(net.JoinHostPort("127.0.0.1", strconv.Itoa(s.mapPort))) },
		startsWithin, 10*time.Millisecond, "Erlang's port mapper does not answer")
	s.Run()
}

func connects(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// environment is the server's and its command line's.
func (s *Server) environment() []string {
	return append(os.Environ(),
		"HOME="+s.dir, "ERL_EPMD_PORT="+strconv.Itoa(s.mapPort), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=gx"+strconv.Itoa(s.distPort)+"@localhost", "RABBITMQ_DIST_PORT="+strconv.Itoa(s.distPort),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(s.dir, "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(s.dir, "data"), "RABBITMQ_LOG_BASE="+filepath.Join(s.dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(s.dir, "enabled_plugins"),
		"RABBITMQ_PID_FILE="+filepath.Join(s.dir, "pid"),
		// The shell script in front of the server makes room for the server: signals reach it, and it reads no input.
		"RABBITMQ_ALLOW_INPUT=1", "RABBITMQ_SERVER_START_ARGS=-noinput",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}")
}

// Run starts the server again after it ended, and waits until it answers.
func (s *Server) Run() {
	s.tb.Helper()
	require.NoError(s.tb, os.WriteFile(filepath.Join(s.dir, "rabbitmq.conf"), []byte(strings.Join(s.lines, "\n")+"\n"), 0o600))
	require.NoError(s.tb, os.WriteFile(filepath.Join(s.dir, "enabled_plugins"), []byte("[rabbitmq_auth_mechanism_ssl].\n"), 0o600))
	cmd := exec.Command(Program(s.tb))
	cmd.Env, cmd.Stdout, cmd.Stderr = s.environment(), s.out, s.out
	s.broker = run(s.tb, cmd)
	require.Eventually(s.tb, s.answers, startsWithin, 20*time.Millisecond, "RabbitMQ does not answer")
}

// answers reports whether the server speaks AMQP.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Address, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("AMQP\x00\x00\x09\x01")); err != nil {
		return false
	}
	answer := make([]byte, 1)
	n, err := conn.Read(answer)
	return err == nil && n == 1 && answer[0] == 1
}

// URL is where the server is, without credentials; the user guest has the password guest.
func (s *Server) URL() string { return "amqp://" + s.Address + "/" }

// Kill ends the server at once, as a crash does.
func (s *Server) Kill() {
	if s.broker != nil {
		s.broker.end(syscall.SIGKILL)
		s.broker = nil
	}
}

// Stop asks the server to end.
func (s *Server) Stop() {
	if s.broker != nil {
		s.broker.end(syscall.SIGTERM)
		s.broker = nil
	}
}

// Pause lets the server hang: connections stay open and nothing is answered.
func (s *Server) Pause() { s.broker.signal(syscall.SIGSTOP) }

// Resume ends a pause.
func (s *Server) Resume() { s.broker.signal(syscall.SIGCONT) }

// Wipe kills the server and takes away what it has kept.
func (s *Server) Wipe() {
	s.tb.Helper()
	s.Kill()
	require.NoError(s.tb, os.RemoveAll(filepath.Join(s.dir, "data")))
}

// Control runs rabbitmqctl.
func (s *Server) Control(args ...string) string {
	s.tb.Helper()
	cmd := exec.Command(filepath.Join(filepath.Dir(Program(s.tb)), "rabbitmqctl"), args...)
	cmd.Env = s.environment()
	out, err := cmd.CombinedOutput()
	require.NoError(s.tb, err, string(out))
	return string(out)
}

// Alarm raises the memory alarm, which blocks everyone who publishes, or ends it.
func (s *Server) Alarm(on bool) {
	s.tb.Helper()
	watermark := "2GB"
	if on {
		watermark = "1MB"
	}
	s.Control("set_vm_memory_high_watermark", "absolute", watermark)
}

// String names the server in messages.
func (s *Server) String() string { return "RabbitMQ at " + s.Address }
