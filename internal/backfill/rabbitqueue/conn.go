// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/wakeup"
)

const (
	heartbeatInterval = 10 * time.Second
	dialTimeout       = 10 * time.Second
	// closeTimeout bounds the closing handshake, to which a broken connection does not respond.
	closeTimeout = 500 * time.Millisecond
	// slowDialAfter is the time after which a first attempt to connect is reported as failing; it goes on.
	slowDialAfter  = 2 * time.Second
	minRedialDelay = 250 * time.Millisecond
	maxRedialDelay = 15 * time.Second
)

// ErrUnavailable is the error of operations on a broker that cannot be reached, or that blocks publishers.
var ErrUnavailable = errors.New("RabbitMQ is not available")

// unavailable returns an ErrUnavailable with its reason.
func unavailable(err error) error { return fmt.Errorf("%w: %w", ErrUnavailable, err) }

var (
	errNotConnected = errors.New("not connected yet")
	errDialSlow     = fmt.Errorf("no response within %s", slowDialAfter)
)

// managedConn replaces a connection whenever it ends, and prepares the new one. No channel of a former connection is
// used with a new one: its delivery tags would acknowledge other jobs. It is safe for concurrent use.
type managedConn struct {
	settings *Settings
	name     string
	onState  func(error)
	prepare  func(*amqp.Connection) error

	mu        sync.Mutex
	conn      *amqp.Connection
	err       error         // why there is none, or why it is blocked
	connected chan struct{} // closed when there is one
}

// newManagedConn returns a connection that run makes. name is shown in the broker's list of connections; onState is
// called without a lock with each state, nil for connected; prepare is called with each new connection.
func newManagedConn(
	settings *Settings, name string, onState func(error), prepare func(*amqp.Connection) error,
) *managedConn {
	return &managedConn{
		settings:  settings,
		name:      name,
		onState:   onState,
		prepare:   prepare,
		err:       errNotConnected,
		connected: make(chan struct{}),
	}
}

// run connects, again and again with backoff, until ctx ends.
func (c *managedConn) run(ctx context.Context) {
	wait := &backoff.ExponentialBackOff{
		InitialInterval: minRedialDelay, MaxInterval: maxRedialDelay, Multiplier: 2, RandomizationFactor: 0.3,
	}
	wait.Reset()
	for ctx.Err() == nil {
		conn, err := c.connect(ctx)
		if err == nil {
			c.setConn(conn, nil)
			wait.Reset()
			err = c.watch(ctx, conn)
		}
		if ctx.Err() != nil {
			return
		}
		c.setConn(nil, err)
		_ = wakeup.Sleep(ctx, wait.NextBackOff()) // the loop checks ctx
	}
}

// connect dials and prepares a connection. It returns when ctx ends, after the dialing goroutine.
func (c *managedConn) connect(ctx context.Context) (*amqp.Connection, error) {
	type result struct {
		conn *amqp.Connection
		err  error
	}
	dialed := make(chan result, 1)
	go func() {
		conn, err := c.dial(ctx)
		dialed <- result{conn, err}
	}()
	slow := time.NewTimer(slowDialAfter)
	defer slow.Stop()
	for {
		select {
		case <-slow.C:
			if _, err := c.current(); errors.Is(err, errNotConnected) {
				c.setConn(nil, errDialSlow)
			}
		case r := <-dialed:
			return r.conn, r.err
		}
	}
}

// dial dials and prepares a connection. When ctx ends it closes the network connection, because the library's requests
// have no context.
func (c *managedConn) dial(ctx context.Context) (*amqp.Connection, error) {
	network := dialer{ctx: ctx}
	defer network.release()
	s := c.settings
	conn, err := amqp.DialConfig(s.URL, amqp.Config{
		SASL: []amqp.Authentication{s.Auth}, TLSClientConfig: s.TLS.Clone(), Heartbeat: heartbeatInterval,
		Locale: "en_US", Dial: network.dial,
		Properties: amqp.Table{"connection_name": s.ConnectionName + " " + c.name, "product": "githubexporter"},
	})
	if err != nil {
		return nil, redactDialError(err)
	}
	if err := c.prepare(conn); err != nil {
		closeConn(conn)
		return nil, err
	}
	if ctx.Err() != nil {
		closeConn(conn)
		return nil, context.Cause(ctx)
	}
	return conn, nil
}

// dialer dials one network connection, and closes it when ctx ends before release is called.
type dialer struct {
	ctx  context.Context //nolint:containedctx // of one call of dial: the library's callback has none
	stop func() bool
}

// dial implements amqp.Config's Dial. The deadline bounds the handshake; the library clears it after that.
func (d *dialer) dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	d.stop = context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	return conn, nil
}

// release leaves the network connection to its owner.
func (d *dialer) release() {
	if d.stop != nil {
		d.stop()
	}
}

// redactDialError returns the address and the reason of an error, without what may contain a credential.
func redactDialError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	return fmt.Errorf("connect: %w", err)
}

// channelClose receives why the broker closed a channel or cancelled its consumers. The library reports it no other
// way.
type channelClose struct {
	closed    chan *amqp.Error
	cancelled chan string
}

// errNoReason is the reason of a close for which the broker gave none.
var errNoReason = errors.New("no reason was given")

// watchChannel returns the channelClose of a channel. It must be called before the channel is used.
func watchChannel(ch *amqp.Channel) channelClose {
	return channelClose{
		closed: ch.NotifyClose(make(chan *amqp.Error, 1)), cancelled: ch.NotifyCancel(make(chan string, 1)),
	}
}

// reason returns the broker's reason, such as the acknowledgement time-out with its value, or otherwise without one.
func (e channelClose) reason(otherwise error) error {
	select {
	case err, open := <-e.closed:
		if open && err != nil {
			return err
		}
	default:
	}
	select {
	case _, open := <-e.cancelled:
		if open {
			return errors.New("the queue was deleted, or is not available")
		}
	default:
	}
	return otherwise
}

// closeConn closes a connection within closeTimeout. Closing a closed one does nothing.
func closeConn(conn *amqp.Connection) {
	_ = conn.CloseDeadline(time.Now().Add(closeTimeout))
}

// watch waits for the end of the connection, and reports when the broker blocks it and unblocks it.
func (c *managedConn) watch(ctx context.Context, conn *amqp.Connection) error {
	closed := conn.NotifyClose(make(chan *amqp.Error, 1))
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 8))
	defer closeConn(conn)
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-closed:
			if err == nil {
				return errors.New("the connection was closed")
			}
			return err
		case b, open := <-blocked:
			if !open {
				blocked = nil
				continue
			}
			c.setBlocked(b)
		}
	}
}

// setBlocked sets the state of a connection that the broker blocked or unblocked.
func (c *managedConn) setBlocked(b amqp.Blocking) {
	var err error
	if b.Active {
		err = fmt.Errorf("RabbitMQ blocks connections that publish: %s", b.Reason)
	}
	c.mu.Lock()
	c.err = err
	c.mu.Unlock()
	c.logState(err)
	c.onState(err)
}

// setConn sets a new connection, or why there is none.
func (c *managedConn) setConn(conn *amqp.Connection, err error) {
	c.mu.Lock()
	had := c.conn != nil || c.err == nil
	same := err != nil && c.err != nil && err.Error() == c.err.Error()
	c.conn, c.err = conn, err
	if conn != nil {
		close(c.connected)
	} else if had {
		c.connected = make(chan struct{})
	}
	c.mu.Unlock()
	if !same {
		c.logState(err)
	}
	c.onState(err)
}

// logState logs a state of the connection.
func (c *managedConn) logState(err error) {
	if err != nil {
		c.settings.Logger.Warn("RabbitMQ is not available; connecting again with backoff.",
			zap.String("connection", c.name), zap.Error(err))
	} else {
		c.settings.Logger.Info("RabbitMQ is available.", zap.String("connection", c.name))
	}
}

// current returns the connection, or the ErrUnavailable why there is none that can be used.
func (c *managedConn) current() (*amqp.Connection, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil, unavailable(c.err)
	}
	return c.conn, nil
}

// await waits for a connection.
func (c *managedConn) await(ctx context.Context) (*amqp.Connection, error) {
	for {
		c.mu.Lock()
		conn, up := c.conn, c.connected
		c.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-up:
		}
	}
}

// reconnect closes the connection, so that run makes a new one.
func (c *managedConn) reconnect() {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn != nil {
		closeConn(conn)
	}
}
