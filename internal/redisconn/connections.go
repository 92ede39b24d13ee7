package redisconn

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// keepAlive finds a peer that is gone, as the library's own dialer does.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 30 * time.Second, Interval: 5 * time.Second, Count: 3}

// errClosed is the error of a connection that is wanted of a client that was closed.
var errClosed = errors.New("the Redis client is closed")

// client ends at once when it is closed. The library's own Close waits for answers to commands that are under way: for
// as long as Redis holds writes back, as in a failover.
type client struct {
	redis.UniversalClient
	connections *connections
}

// Close ends the connections first, so that nothing is left to be waited for.
func (c *client) Close() error {
	c.connections.close()
	return c.UniversalClient.Close()
}

// connections are the network connections of a client. It is safe for concurrent use.
type connections struct {
	tls    *tls.Config
	closed context.Context //nolint:containedctx // ends with the client, whose dialing it bounds
	cancel    context.CancelFunc

	mu   sync.Mutex
	open map[*connection]struct{}
}

func newConnections(encryption *tls.Config) *connections {
	c := &connections{tls: encryption, open: make(map[*connection]struct{})}
	c.closed, c.cancel = context.WithCancel(context.Background())
	return c
}

// close ends all connections. There are no new ones.
func (c *connections) close() {
	c.cancel()
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Conn.Close()
	}
	clear(c.open)
}

// dial is the dialer of the library's clients.
func (c *connections) dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.closed, cancel)() //nolint:contextcheck // the client's end is a second reason to stop
	dialer := &net.Dialer{Timeout: timeout, KeepAliveConfig: keepAlive}
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

// retryBackoff is the library's wait between two attempts to connect: its default, and none for a client that is closed.
func (c *connections) retryBackoff(int) time.Duration {
	if c.closed.Err() != nil {
		return 0
	}
	return dialRetryInterval
}

// dialRetryInterval is the wait between two attempts to connect.
const dialRetryInterval = 100 * time.Millisecond

// connection is a network connection that its client can end.
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

// systemConnection lets the library see whether an idle connection was closed.
type systemConnection struct {
	*connection
	system syscall.Conn
}

// SyscallConn implements syscall.Conn.
func (c *systemConnection) SyscallConn() (syscall.RawConn, error) { return c.system.SyscallConn() }
