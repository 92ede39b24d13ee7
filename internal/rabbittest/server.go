// Package rabbittest starts RabbitMQ servers for tests: real ones of the test's own, on free loopback ports, stopped by their
// process id.
package rabbittest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// startTimeout is how long a server may take to answer.
const startTimeout = 90 * time.Second

// Server is a RabbitMQ server of a test.
type Server struct {
	*proctest.Process
	Address string // where it takes plain connections

	tb                testing.TB
	dir, bin          string
	distPort, epmdPort int
}

// Start starts a server that ends with the test, with further lines of configuration.
func Start(tb testing.TB, lines ...string) *Server {
	tb.Helper()
	program := serverProgram(proctest.ProgramPath(tb, "GX_RABBITMQ"))
	mapAddress := proctest.FreeAddress(tb)
	s := &Server{
		Address: proctest.FreeAddress(tb), tb: tb, dir: tb.TempDir(), bin: filepath.Dir(program),
		distPort: proctest.Port(tb, proctest.FreeAddress(tb)), epmdPort: proctest.Port(tb, mapAddress),
	}
	s.writeFile("enabled_plugins", "[rabbitmq_auth_mechanism_ssl].")
	s.writeFile("rabbitmq.conf", append([]string{
		"listeners.tcp.1 = " + s.Address, "log.console = true", "log.console.level = info", "log.file = false",
		"vm_memory_high_watermark.absolute = 2GB", "disk_free_limit.absolute = 1MB", "loopback_users = none",
		"queue_index_embed_msgs_below = 4096", "management_agent.disable_metrics_collector = true",
	}, lines...)...)
	// It finds nodes for Erlang; it lives as long as the test.
	mapper := proctest.New(tb, portMapper(tb, s.bin), "-port", strconv.Itoa(s.epmdPort), "-address", "127.0.0.1")
	mapper.Run()
	require.Eventually(tb, func() bool { return canConnect(mapAddress) },
		startTimeout, 10*time.Millisecond, "Erlang's port mapper does not answer")
	s.Process = proctest.New(tb, program)
	s.Env, s.OwnGroup = s.environment(), true
	s.Run()
	return s
}

// serverProgram is the program behind the one that a package installs as /usr/sbin/rabbitmq-server, which runs for one user and
// in that user's folder only. Any other program is itself.
func serverProgram(path string) string {
	behind := filepath.Join(filepath.Dir(path), "..", "lib", "rabbitmq", "bin", filepath.Base(path))
	if _, err := os.Stat(behind); err == nil {
		return behind
	}
	return path
}

// portMapper finds Erlang's port mapper: beside the server, where Debian installs Erlang, or on the path.
func portMapper(tb testing.TB, bin string) string {
	tb.Helper()
	usr := filepath.Join(bin, "..", "..")
	for _, pattern := range []string{
		filepath.Join(bin, "epmd"), filepath.Join(usr, "erlang", "bin", "epmd"), filepath.Join(usr, "erlang", "erts-*", "bin", "epmd"),
	} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	found, err := exec.LookPath("epmd")
	require.NoError(tb, err, "Erlang's port mapper: not beside %s, and not on the path", bin)
	return found
}

func (s *Server) writeFile(name string, lines ...string) {
	s.tb.Helper()
	require.NoError(s.tb, os.WriteFile(filepath.Join(s.dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

func canConnect(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// environment is the server's and its command line's.
func (s *Server) environment() []string {
	return append(os.Environ(),
		"HOME="+s.dir, "ERL_EPMD_PORT="+strconv.Itoa(s.epmdPort), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=gx"+strconv.Itoa(s.distPort)+"@localhost", "RABBITMQ_DIST_PORT="+strconv.Itoa(s.distPort),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(s.dir, "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(s.dir, "data"), "RABBITMQ_LOG_BASE="+filepath.Join(s.dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(s.dir, "enabled_plugins"),
		"RABBITMQ_PID_FILE="+filepath.Join(s.dir, "pid"),
		// The shell script in front of the server makes room for the server: signals reach it, and it reads no input.
		"RABBITMQ_ALLOW_INPUT=1", "RABBITMQ_SERVER_START_ARGS=-noinput",
		// What a retry queue could not hand on is tried again after 5 s instead of 3 minutes.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "+
			"-kernel inet_dist_use_interface {127,0,0,1} -rabbit dead_letter_worker_publisher_confirm_timeout 5000")
}

// Run starts the server, also again after it ended, and waits until it answers.
func (s *Server) Run() {
	s.tb.Helper()
	s.Process.Run()
	require.Eventually(s.tb, s.isResponding, startTimeout, 20*time.Millisecond, "RabbitMQ does not answer")
}

// isResponding reports whether the server speaks AMQP.
func (s *Server) isResponding() bool {
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

// Wipe kills the server and takes away what it has kept.
func (s *Server) Wipe() {
	s.tb.Helper()
	s.Kill()
	require.NoError(s.tb, os.RemoveAll(filepath.Join(s.dir, "data")))
}

// Rabbitmqctl runs rabbitmqctl.
func (s *Server) Rabbitmqctl(args ...string) string {
	s.tb.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "rabbitmqctl"), args...)
	cmd.Env = s.environment()
	out, err := cmd.CombinedOutput()
	require.NoError(s.tb, err, string(out))
	return string(out)
}

// SetMemoryAlarm raises the memory alarm, which blocks everyone who publishes, or ends it.
func (s *Server) SetMemoryAlarm(on bool) {
	s.tb.Helper()
	watermark := "2GB"
	if on {
		watermark = "1MB"
	}
	s.Rabbitmqctl("set_vm_memory_high_watermark", "absolute", watermark)
}

// String names the server in messages.
func (s *Server) String() string { return "RabbitMQ at " + s.Address }
