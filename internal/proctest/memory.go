// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// ResetPeakMemory makes PeakMemory count from the present resident set on. The test fails when the process has exited.
func (p *Process) ResetPeakMemory() {
	p.tb.Helper()
	require.NoError(p.tb, os.WriteFile(p.procFile("clear_refs"), []byte("5"), 0))
}

// PeakMemory returns the largest resident set of the process, in bytes, since the last ResetPeakMemory: VmHWM
// (https://man7.org/linux/man-pages/man5/proc_pid_status.5.html).
func (p *Process) PeakMemory() int64 {
	p.tb.Helper()
	text, err := os.ReadFile(p.procFile("status"))
	require.NoError(p.tb, err)
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	number, _, _ := strings.Cut(rest, "kB")
	size, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	require.NoError(p.tb, err, "no VmHWM")
	return size << 10
}

func (p *Process) procFile(name string) string {
	p.tb.Helper()
	require.False(p.tb, p.HasExited(), "%s has exited", p.command[0])
	return fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, name)
}
