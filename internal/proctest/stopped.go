// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// threadStat is a part of the kernel's file stat of a thread
// (https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html).
type threadStat struct {
	pid, group int
	state      string
}

// areStopped reports whether all threads of the processes are stopped. SIGSTOP takes effect with a delay.
func areStopped(member func(threadStat) bool) bool {
	tasks, _ := filepath.Glob("/proc/[0-9]*/task/[0-9]*/stat") // the pattern is valid
	for _, file := range tasks {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has exited
		}
		s := parseStat(string(text))
		s.pid, _ = strconv.Atoi(strings.Split(file, "/")[2]) // it is a number
		if member(s) && s.state != "T" && s.state != "Z" {
			return false
		}
	}
	return true
}

// parseStat returns the state and the group, which follow the program's name in parentheses.
func parseStat(stat string) threadStat {
	var s threadStat
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) > 2 {
		s.state = fields[0]
		s.group, _ = strconv.Atoi(fields[2])
	}
	return s
}
