// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package proctest

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ports of FreeAddress are below the range from which the kernel takes ports for outgoing connections and for
// listeners on port 0 (net.ipv4.ip_local_port_range), and below those of rabbitmqctl, which are the port of the
// server's node plus 10000.
const (
	firstPort = 10_000
	numPorts  = 10_000
)

// nextPort is the offset from firstPort of the port that was tried last. Processes begin at different ports, so that
// they seldom compete for one.
var nextPort atomic.Int64

func init() { nextPort.Store(int64(os.Getpid()) * 97) }

// FreeAddress returns a loopback address with a free port. Until the end of the test no other call of FreeAddress
// returns it, in this process or in another one, so that a server can be started there, stopped and started again.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	for range numPorts {
		address := net.JoinHostPort("127.0.0.1", strconv.FormatInt(firstPort+nextPort.Add(1)%numPorts, 10))
		if reservePort(tb, address) {
			return address
		}
	}
	require.Fail(tb, "no free port")
	return ""
}

// reservePort reserves an address until the end of the test, and reports whether it was neither reserved nor in use.
// The reservation is a Unix socket with an abstract name, which is unique on the machine, as ports are, and ends with
// the process at the latest (https://man7.org/linux/man-pages/man7/unix.7.html).
func reservePort(tb testing.TB, address string) bool {
	tb.Helper()
	reservation, err := net.Listen("unix", "@githubexporter-test-"+address)
	if err != nil {
		return false
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		_ = reservation.Close()
		return false
	}
	tb.Cleanup(func() { _ = reservation.Close() })
	return listener.Close() == nil
}

// Port returns the port of an address.
func Port(tb testing.TB, address string) int {
	tb.Helper()
	_, text, err := net.SplitHostPort(address)
	require.NoError(tb, err)
	port, err := strconv.Atoi(text)
	require.NoError(tb, err)
	return port
}
