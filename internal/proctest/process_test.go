// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package proctest_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// runScript starts a script and waits until it has written to its output.
func runScript(tb testing.TB, script string) *proctest.Process {
	tb.Helper()
	p := proctest.New(tb, "sh", "-c", script)
	p.OwnGroup = true
	p.Env = append(os.Environ(), "GX_WORD=ready")
	require.True(tb, p.HasExited())
	p.Run()
	awaitOutput(tb, p, 1)
	return p
}

// awaitOutput waits until the output has the word a number of times.
func awaitOutput(tb testing.TB, p *proctest.Process, times int) {
	tb.Helper()
	require.Eventually(tb, func() bool { return strings.Count(p.Output(), "ready\n") == times }, 20*time.Second,
		time.Millisecond)
	require.False(tb, p.HasExited())
}

// parentScript starts a child that shares its output, and waits for it.
const parentScript = `sleep 600 & echo "$GX_WORD" >&2; wait`

func TestRunPauseStopAndKill(t *testing.T) {
	t.Parallel()
	p := runScript(t, parentScript)
	p.Kill()
	require.True(t, p.HasExited())
	p.Kill()
	p.Run()
	awaitOutput(t, p, 2)
	p.Pause()
	require.Less(t, p.Stop(), 20*time.Second)
	require.True(t, p.HasExited())
	p.Run()
	awaitOutput(t, p, 3)
	p.Pause()
	p.Kill()
	p.Run()
	awaitOutput(t, p, 4)
	p.Pause()
	p.Resume()
	require.Less(t, p.Stop(), 20*time.Second)
}

// failedTest is a test that has failed, whose log is recorded.
type failedTest struct {
	testing.TB

	log string
}

func (f *failedTest) Failed() bool { return true }

func (f *failedTest) Logf(format string, args ...any) { f.log += fmt.Sprintf(format, args...) }

func TestFailedTestLogsTheOutput(t *testing.T) {
	t.Parallel()
	f := &failedTest{}
	var running, paused *proctest.Process
	t.Run("body", func(t *testing.T) {
		f.TB = t
		running, paused = runScript(t, parentScript), runScript(f, "yes | head -c 100000; echo; "+parentScript)
		paused.Pause()
	})
	require.True(t, running.HasExited())
	require.True(t, paused.HasExited())
	require.Greater(t, len(paused.Output()), 100_000)
	require.Contains(t, f.log, "y\ny\n\nready\n")
	require.Less(t, len(f.log), 5000)
}

func TestProgramPath(t *testing.T) {
	path, err := os.Executable()
	require.NoError(t, err)
	t.Setenv("GX_PROGRAM", path)
	require.Equal(t, path, proctest.ProgramPath(t, "GX_PROGRAM"))
}
