// Package proctest runs real programs for tests, on free loopback ports, ended by their process id.
package proctest

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// maxLoggedOutput is how much of the output the log of a failed test has, in bytes.
	maxLoggedOutput = 4000
	// stopTimeout bounds how long a process may take to stop.
	stopTimeout = time.Minute
)

// Process is a program that a test runs, also several times, one after another. It is for the goroutine of the test.
type Process struct {
	// Env is the environment, that of the test when it is nil. Set it before Run.
	Env []string
	// OwnGroup gives the process a group of its own, whose members get every signal: for a program that starts others. Set it
	// before Run.
	OwnGroup bool

	tb      testing.TB
	command []string
	out     output
	cmd     *exec.Cmd
	exited    chan struct{} // closed when nothing runs
}

// New prepares a program without running it. At the end of the test it is killed, and when the test has failed, the end of its
// output goes to the test's log.
func New(tb testing.TB, path string, args ...string) *Process {
	tb.Helper()
	p := &Process{tb: tb, command: append([]string{path}, args...), exited: make(chan struct{})}
	close(p.exited)
	tb.Cleanup(func() {
		p.Kill()
		if text := p.Output(); tb.Failed() {
			tb.Logf("the end of the output of %s:\n%s", strings.Join(p.command, " "), text[max(0, len(text)-maxLoggedOutput):])
		}
	})
	return p
}

// Run starts the program, also again after it ended. The test fails when it still runs.
func (p *Process) Run() {
	p.tb.Helper()
	require.True(p.tb, p.HasExited(), "%s still runs", p.command[0])
	cmd, done := exec.Command(p.command[0], p.command[1:]...), make(chan struct{})
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.Env, &p.out, &p.out, &syscall.SysProcAttr{Setpgid: p.OwnGroup}
	require.NoError(p.tb, cmd.Start())
	p.cmd, p.exited = cmd, done
	go func() {
		defer close(done)
		_ = cmd.Wait() // how it ended is what tests look at
	}()
}

// Kill ends the process at once, as a crash does, and waits until it and all that write to its output have ended. It may have
// ended before.
func (p *Process) Kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.exited
}

// Stop asks the process to end, waits as Kill does, and gives how long that took. A paused one goes on. The test fails when
// the process had ended before, or does not end.
func (p *Process) Stop() time.Duration {
	p.tb.Helper()
	began := time.Now()
	p.Resume()
	require.NoError(p.tb, p.signal(syscall.SIGTERM))
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		require.Fail(p.tb, p.command[0]+" does not stop")
	}
	return time.Since(began)
}

// Pause lets the process hang: connections stay open and nothing is answered, once it returns. The test fails when the process has ended.
func (p *Process) Pause() {
	p.tb.Helper()
	require.NoError(p.tb, p.signal(syscall.SIGSTOP))
	member := func(s threadStat) bool { return s.pid == p.cmd.Process.Pid || (p.OwnGroup && s.group == p.cmd.Process.Pid) }
	require.Eventually(p.tb, func() bool { return areStopped(member) }, stopTimeout, time.Millisecond, p.command[0]+" does not stop")
}

// Resume ends a pause. The test fails when the process has ended.
func (p *Process) Resume() {
	p.tb.Helper()
	require.NoError(p.tb, p.signal(syscall.SIGCONT))
}

func (p *Process) signal(s syscall.Signal) error {
	switch {
	case p.HasExited():
		return os.ErrProcessDone
	case p.OwnGroup:
		return syscall.Kill(-p.cmd.Process.Pid, s)
	default:
		return p.cmd.Process.Signal(s)
	}
}

// HasExited reports whether nothing runs: not yet, or no more.
func (p *Process) HasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Output is what the program has written so far in all its runs, errors too.
func (p *Process) Output() string {
	p.out.mu.Lock()
	defer p.out.mu.Unlock()
	return p.out.data.String()
}

// output is a bytes.Buffer for several goroutines.
type output struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.data.Write(b)
}

// ProgramPath is the path of a program that make puts into the environment. The test fails without it.
func ProgramPath(tb testing.TB, variable string) string {
	tb.Helper()
	path := os.Getenv(variable)
	require.NotEmpty(tb, path, "%s is not set: run these tests with `make test` or `make test-kubernetes`, or after eval \"$(make -s env)\"",
		variable)
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

// Port is the port of an address.
func Port(tb testing.TB, address string) int {
	tb.Helper()
	_, text, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	port, err := strconv.Atoi(text)
	require.NoError(tb, err)
	return port
}
