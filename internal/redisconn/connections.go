// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// ioTimeout bounds connecting, each read of a reply and each write of a command.
const ioTimeout = 3 * time.Second

// keepAlive detects a dead peer, with the settings of the library's own dialer.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}

// errClosed is the error of dialing with a closed client.
var errClosed = errors.New("the Redis client is closed")

// connections are the network connections of a client. They are safe for concurrent use.
type connections struct {
	tls    *tls.Config
	closed context.Context //nolint:containedctx // ends with the client, and stops its dialing
	cancel context.CancelFunc

	mu   sync.Mutex
	open map[*connection]struct{}
}

// newConnections returns connections with TLS, without it when encryption is nil.
func newConnections(encryption *tls.Config) *connections {
	c := &connections{tls: encryption, open: make(map[*connection]struct{})}
	c.closed, c.cancel = context.WithCancel(context.Background())
	return c
}

// close closes all connections and prevents new ones.
func (c *connections) close() {
	c.cancel()
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.open))
	clear(c.open)
	c.mu.Unlock()
	for _, conn := range open { // without the lock: TLS writes to the peer
		_ = conn.Conn.Close()
	}
}

// dial is the dialer of the library's client.
func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.closed, cancel)() //nolint:contextcheck // the client's end cancels it too
	dialer := &net.Dialer{Timeout: ioTimeout, KeepAliveConfig: keepAlive}
	var conn net.Conn
	var err error
	if c.tls == nil {
		conn, err = dialer.DialContext(ctx, network, address)
	} else {
		conn, err = (&tls.Dialer{NetDialer: dialer, Config: c.tls}).DialContext(ctx, network, address)
	}
	if err != nil {
		return nil, err
	}
	return c.track(conn)
}

// track adds a new connection to the open ones, or closes it when the client is closed.
func (c *connections) track(conn net.Conn) (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed.Err() != nil {
		_ = conn.Close()
		return nil, errClosed
	}
	added := &connection{Conn: conn, owner: c}
	c.open[added] = struct{}{}
	if system, ok := conn.(syscall.Conn); ok {
		return &systemConnection{connection: added, system: system}, nil
	}
	return added, nil
}

// retryBackoff returns the wait between two attempts to connect: the library's default, and 0 for a closed client.
func (c *connections) retryBackoff(int) time.Duration {
	if c.closed.Err() != nil {
		return 0
	}
	return dialRetryInterval
}

// dialRetryInterval is the library's default wait between two attempts to connect.
const dialRetryInterval = 100 * time.Millisecond

// connection is a network connection that its client can close.
type connection struct {
	net.Conn
	owner *connections
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// systemConnection is a connection that gives the library its file descriptor, to detect that the peer has closed an
// idle one.
type systemConnection struct {
	*connection
	system syscall.Conn
}

// SyscallConn implements syscall.Conn.
func (c *systemConnection) SyscallConn() (syscall.RawConn, error) { return c.system.SyscallConn() }
