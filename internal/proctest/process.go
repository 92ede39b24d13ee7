// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

// Package proctest runs programs for tests, and signals them by their process id.
package proctest

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	// maxLoggedOutput is the length of the output's end in the log of a failed test, in bytes.
	maxLoggedOutput = 4000
	// stopTimeout limits the wait for a process to stop.
	stopTimeout = time.Minute
)

// Process is a program that a test runs once, or several times one after the other. Only the test's goroutine may use
// it.
type Process struct {
	// Env is the environment; nil is that of the test. Set it before Run.
	Env []string
	// OwnGroup starts a process group, whose members all get the signals: for a program that starts others. Set it
	// before Run.
	OwnGroup bool

	tb      testing.TB
	command []string
	out     output
	cmd     *exec.Cmd
	exited  chan struct{} // closed when the program does not run
}

// New prepares a program without starting it. At the end of the test it is killed, and the end of its output goes to
// the log of a failed test.
func New(tb testing.TB, path string, args ...string) *Process {
	tb.Helper()
	p := &Process{tb: tb, command: append([]string{path}, args...), exited: make(chan struct{})}
	close(p.exited)
	tb.Cleanup(func() {
		p.Kill()
		if text := p.Output(); tb.Failed() {
			tb.Logf("the end of the output of %s:\n%s", strings.Join(p.command, " "),
				text[max(0, len(text)-maxLoggedOutput):])
		}
	})
	return p
}

// Run starts the program, also again after it exited. The test fails when it still runs.
func (p *Process) Run() {
	p.tb.Helper()
	require.True(p.tb, p.HasExited(), "%s still runs", p.command[0])
	cmd, done := exec.Command(p.command[0], p.command[1:]...), make(chan struct{})
	cmd.Env, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = p.Env, &p.out, &p.out, &syscall.SysProcAttr{Setpgid: p.OwnGroup}
	require.NoError(p.tb, cmd.Start())
	p.cmd, p.exited = cmd, done
	go func() {
		defer close(done)
		_ = cmd.Wait() // tests check the exit by its effects
	}()
}

// Kill sends SIGKILL, and waits for the exit of the process and of all that write to its output. It does nothing when
// the process has exited before.
func (p *Process) Kill() {
	_ = p.signal(syscall.SIGKILL)
	<-p.exited
}

// Stop sends SIGTERM, waits as Kill does, and returns the time that it took. It resumes a paused process. The test
// fails when the process has exited before, or does not exit.
func (p *Process) Stop() time.Duration {
	p.tb.Helper()
	start := time.Now()
	p.Resume()
	require.NoError(p.tb, p.signal(syscall.SIGTERM))
	select {
	case <-p.exited:
	case <-time.After(stopTimeout):
		require.Fail(p.tb, p.command[0]+" does not stop")
	}
	return time.Since(start)
}

// Pause sends SIGSTOP and waits until the process is stopped: its connections stay open. The test fails when the
// process has exited.
func (p *Process) Pause() {
	p.tb.Helper()
	require.NoError(p.tb, p.signal(syscall.SIGSTOP))
	member := func(s threadStat) bool {
		return s.pid == p.cmd.Process.Pid || (p.OwnGroup && s.group == p.cmd.Process.Pid)
	}
	require.Eventually(p.tb, func() bool { return areStopped(member) }, stopTimeout, time.Millisecond,
		p.command[0]+" does not stop")
}

// Resume sends SIGCONT. The test fails when the process has exited.
func (p *Process) Resume() {
	p.tb.Helper()
	require.NoError(p.tb, p.signal(syscall.SIGCONT))
}

// signal sends a signal to the process, or to its group. It returns os.ErrProcessDone after the exit.
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

// HasExited reports whether the program does not run. It is true before the first Run.
func (p *Process) HasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// Output returns the standard output and error of all runs so far.
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

// ProgramPath returns the path of a program from a variable of the environment, which make sets. The test fails without
// it.
func ProgramPath(tb testing.TB, variable string) string {
	tb.Helper()
	path := os.Getenv(variable)
	require.NotEmpty(tb, path,
		"%s is not set: run these tests with `make test` or `make test-kubernetes`, or after eval \"$(make -s env)\"",
		variable)
	require.FileExists(tb, path)
	return path
}
