// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package proctest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

func TestFreeAddressAndPort(t *testing.T) {
	t.Parallel()
	address := proctest.FreeAddress(t)
	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	require.Equal(t, address, fmt.Sprintf("127.0.0.1:%d", proctest.Port(t, address)))
}

// numReserved is the number of addresses that each goroutine and each process of TestAddressesDiffer reserves.
const numReserved = 100

// A server that a test starts later gets its address, whatever other tests and processes reserve meanwhile.
func TestAddressesDiffer(t *testing.T) {
	t.Parallel()
	var (
		mu       sync.Mutex
		seen     = map[string]bool{}
		reserved sync.WaitGroup
	)
	record := func(address string) {
		mu.Lock()
		defer mu.Unlock()
		seen[address] = true
	}
	for range 2 {
		reserved.Go(func() {
			for range numReserved {
				record(proctest.FreeAddress(t))
			}
		})
	}
	executable, err := os.Executable()
	require.NoError(t, err)
	for range 2 {
		cmd := exec.Command(executable, "-test.run=^TestReserveForParent$")
		cmd.Env = append(os.Environ(), "GX_RESERVE=1")
		input, err := cmd.StdinPipe()
		require.NoError(t, err)
		output, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		defer func() {
			_ = input.Close() // from now on it may end its reservations
			_ = cmd.Wait()
		}()
		reserved.Go(func() {
			lines := bufio.NewScanner(output)
			for range numReserved {
				if lines.Scan() {
					record(lines.Text())
				}
			}
		})
	}
	reserved.Wait()
	require.Len(t, seen, 4*numReserved)
}

// TestReserveForParent reserves addresses in a process that TestAddressesDiffer starts, until its input ends.
func TestReserveForParent(t *testing.T) {
	t.Parallel()
	if os.Getenv("GX_RESERVE") == "" {
		return
	}
	for range numReserved {
		_, _ = fmt.Fprintln(os.Stdout, proctest.FreeAddress(t))
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
}
