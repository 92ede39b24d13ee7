// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package rabbittest runs RabbitMQ servers for tests: real ones, each of one test, on free loopback ports.
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
	"github.com/seed-358c4d9d/githubexporter/internal/tlstest"
)

// startTimeout limits the start of a server.
const startTimeout = 90 * time.Second

// Server is a RabbitMQ server of a test.
type Server struct {
	*proctest.Process
	Address string // of connections without TLS

	secure             string // address of connections with TLS; empty without
	tb                 testing.TB
	dir, bin           string
	distPort, epmdPort int
	started            bool // since the last Run, as rabbitmqctl reports
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
	// Erlang finds nodes by its port mapper, which runs until the end of the test.
	mapper := proctest.New(tb, portMapper(tb, s.bin), "-port", strconv.Itoa(s.epmdPort), "-address", "127.0.0.1")
	mapper.Run()
	require.Eventually(tb, func() bool { return canConnect(mapAddress) },
		startTimeout, 10*time.Millisecond, "Erlang's port mapper does not accept connections")
	s.Process = proctest.New(tb, program)
	s.Env, s.OwnGroup = s.environment(), true
	s.Run()
	return s
}

// StartTLS starts a server with a certificate of an authority, whose clients may authenticate with theirs: the common
// name is the user. Address remains that of connections without TLS.
func StartTLS(tb testing.TB, a *tlstest.Authority, lines ...string) *Server {
	tb.Helper()
	a.Issue("rabbitmq")
	address := proctest.FreeAddress(tb)
	s := Start(tb, append([]string{
		"listeners.ssl.1 = " + address,
		"ssl_options.cacertfile = " + a.Path("ca.crt"),
		"ssl_options.certfile = " + a.Path("rabbitmq.crt"),
		"ssl_options.keyfile = " + a.Path("rabbitmq.key"),
		"ssl_options.verify = verify_peer", "ssl_options.fail_if_no_peer_cert = false",
		"auth_mechanisms.1 = PLAIN", "auth_mechanisms.2 = EXTERNAL", "ssl_cert_login_from = common_name",
	}, lines...)...)
	s.secure = address
	return s
}

// serverProgram returns the program that the wrapper /usr/sbin/rabbitmq-server of a distribution's package runs. The
// wrapper works for one user only. Any other path is returned unchanged.
func serverProgram(path string) string {
	wrapped := filepath.Join(filepath.Dir(path), "..", "lib", "rabbitmq", "bin", filepath.Base(path))
	if _, err := os.Stat(wrapped); err == nil {
		return wrapped
	}
	return path
}

// portMapper returns the path of epmd: beside the server, where Debian installs Erlang, or on the path.
func portMapper(tb testing.TB, bin string) string {
	tb.Helper()
	usr := filepath.Join(bin, "..", "..")
	for _, pattern := range []string{
		filepath.Join(bin, "epmd"), filepath.Join(usr, "erlang", "bin", "epmd"),
		filepath.Join(usr, "erlang", "erts-*", "bin", "epmd"),
	} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[0]
		}
	}
	found, err := exec.LookPath("epmd")
	require.NoError(tb, err, "Erlang's port mapper: not beside %s, and not on the path", bin)
	return found
}

// writeFile writes a file in the server's folder.
func (s *Server) writeFile(name string, lines ...string) {
	s.tb.Helper()
	require.NoError(s.tb, os.WriteFile(filepath.Join(s.dir, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

// canConnect reports whether a server listens at an address.
func canConnect(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}

// environment returns the environment of the server and of rabbitmqctl.
func (s *Server) environment() []string {
	return append(os.Environ(),
		"HOME="+s.dir, "ERL_EPMD_PORT="+strconv.Itoa(s.epmdPort), "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=gx"+strconv.Itoa(s.distPort)+"@localhost", "RABBITMQ_DIST_PORT="+strconv.Itoa(s.distPort),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(s.dir, "rabbitmq.conf"), "RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(s.dir, "data"), "RABBITMQ_LOG_BASE="+filepath.Join(s.dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(s.dir, "enabled_plugins"),
		"RABBITMQ_PID_FILE="+filepath.Join(s.dir, "pid"),
		// The start script replaces itself by the server, so that signals reach it; the server reads no input.
		"RABBITMQ_ALLOW_INPUT=1", "RABBITMQ_SERVER_START_ARGS=-noinput",
		// A retry queue retries dead-lettering after 5 s instead of 3 minutes.
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none "+
			"-kernel inet_dist_use_interface {127,0,0,1} -rabbit dead_letter_worker_publisher_confirm_timeout 5000")
}

// Run starts the server, also again after it exited, and waits until it replies.
func (s *Server) Run() {
	s.tb.Helper()
	s.Process.Run()
	s.started = false
	require.Eventually(s.tb, s.isResponding, startTimeout, 20*time.Millisecond, "RabbitMQ does not reply")
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
	reply := make([]byte, 1)
	n, err := conn.Read(reply)
	return err == nil && n == 1 && reply[0] == 1
}

// URL returns the server's URL without credentials, with TLS where the server has it. The user guest has the password
// guest.
func (s *Server) URL() string {
	if s.secure != "" {
		return "amqps://" + s.secure + "/"
	}
	return "amqp://" + s.Address + "/"
}

// Wipe kills the server and deletes its data.
func (s *Server) Wipe() {
	s.tb.Helper()
	s.Kill()
	require.NoError(s.tb, os.RemoveAll(filepath.Join(s.dir, "data")))
}

// Rabbitmqctl runs rabbitmqctl and returns its output. The test fails when the command does. The listeners accept
// connections before all parts of the server have started, so it waits for those first.
func (s *Server) Rabbitmqctl(args ...string) string {
	s.tb.Helper()
	if !s.started {
		s.started = true
		s.Rabbitmqctl("await_startup", "--timeout", "60")
	}
	cmd := exec.Command(filepath.Join(s.bin, "rabbitmqctl"), args...)
	cmd.Env = s.environment()
	out, err := cmd.CombinedOutput()
	require.NoError(s.tb, err, string(out))
	return string(out)
}

// SetMemoryAlarm raises or clears the memory alarm, which blocks all publishers.
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
