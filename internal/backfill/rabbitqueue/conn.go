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
	// closeTimeout bounds a farewell that nobody may hear.
	closeTimeout = 500 * time.Millisecond
	// slowDialAfter is after what time a first attempt to connect counts as trouble; it goes on.
	slowDialAfter  = 2 * time.Second
	minRedialDelay = 250 * time.Millisecond
	maxRedialDelay = 15 * time.Second
)

var (
	errNotConnected = errors.New("not connected yet")
	errDialSlow     = fmt.Errorf("no answer within %s", slowDialAfter)
)

// managedConn keeps a connection: whenever it ends, whatever ended it, a new one is made and prepared. Nothing of a
// former connection is used with a new one: its delivery tags would acknowledge other jobs.
type managedConn struct {
	queue   *Queue
	name    string
	onState func(error)
	prepare func(*amqp.Connection) error

	mu        sync.Mutex
	conn      *amqp.Connection
	err       error         // why there is none
	connected chan struct{} // closed when there is one
}

func newManagedConn(q *Queue, name string, tell func(error), prepare func(*amqp.Connection) error) *managedConn {
	return &managedConn{
		queue:     q,
		name:      name,
		onState:   tell,
		prepare:   prepare,
		err:       errNotConnected,
		connected: make(chan struct{}),
	}
}

// run keeps the connection until ctx ends.
func (l *managedConn) run(ctx context.Context) {
	wait := &backoff.ExponentialBackOff{
		InitialInterval: minRedialDelay, MaxInterval: maxRedialDelay, Multiplier: 2, RandomizationFactor: 0.3,
	}
	wait.Reset()
	for ctx.Err() == nil {
		conn, err := l.connect(ctx)
		if err == nil {
			l.setConn(conn, nil)
			wait.Reset()
			err = l.watch(ctx, conn)
		}
		if ctx.Err() != nil {
			return
		}
		l.setConn(nil, err)
		_ = wakeup.Sleep(ctx, wait.NextBackOff()) // the loop checks ctx
	}
}

// connect makes a connection. The library's call knows no context: one that comes too late is closed.
func (l *managedConn) connect(ctx context.Context) (*amqp.Connection, error) {
	type result struct {
		conn *amqp.Connection
		err  error
	}
	dialed := make(chan result, 1)
	go func() {
		conn, err := l.dial()
		dialed <- result{conn, err}
	}()
	slow := time.NewTimer(slowDialAfter)
	defer slow.Stop()
	for {
		select {
		case <-ctx.Done():
			go func() {
				if late := <-dialed; late.err == nil {
					closeConn(late.conn)
				}
			}()
			return nil, context.Cause(ctx)
		case <-slow.C:
			if _, err := l.current(); errors.Is(err, errNotConnected) {
				l.setConn(nil, errDialSlow)
			}
		case r := <-dialed:
			return r.conn, r.err
		}
	}
}

func (l *managedConn) dial() (*amqp.Connection, error) {
	s := &l.queue.settings
	conn, err := amqp.DialConfig(s.URL, amqp.Config{
		SASL: []amqp.Authentication{
			s.Auth,
		},
		TLSClientConfig: s.TLS.Clone(),
		Heartbeat:       heartbeatInterval,
		Locale:          "en_US",
		Dial:            amqp.DefaultDial(dialTimeout),
		Properties:      amqp.Table{"connection_name": s.ConnectionName + " " + l.name, "product": "githubexporter"},
	})
	if err != nil {
		return nil, redactDialError(err)
	}
	if err := l.prepare(conn); err != nil {
		closeConn(conn)
		return nil, err
	}
	return conn, nil
}

// redactDialError keeps addresses and reasons and leaves out what may hold a credential.
func redactDialError(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op
	}
	return fmt.Errorf("connect: %w", err)
}

// channelClose learns why the broker ended a channel or the consuming on it. The library has no other way to learn it.
type channelClose struct {
	closed    chan *amqp.Error
	cancelled chan string
}

// errNoReason is the reason of an end for which the broker gave none.
var errNoReason = errors.New("no reason was given")

// watchChannel is called before the channel is used.
func watchChannel(ch *amqp.Channel) channelClose {
	return channelClose{
		closed: ch.NotifyClose(make(chan *amqp.Error, 1)), cancelled: ch.NotifyCancel(make(chan string, 1)),
	}
}

// reason is the broker's, such as the acknowledgement time-out with its value, or otherwise where there is none.
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

func closeConn(conn *amqp.Connection) {
	_ = conn.CloseDeadline(time.Now().Add(closeTimeout))
}

// watch waits for the end of the connection, and tells of a broker that takes nothing meanwhile.
func (l *managedConn) watch(ctx context.Context, conn *amqp.Connection) error {
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
			l.setBlocked(b)
		}
	}
}

// setBlocked tells that the broker takes nothing, or takes jobs again.
func (l *managedConn) setBlocked(b amqp.Blocking) {
	var err error
	if b.Active {
		err = fmt.Errorf("RabbitMQ takes nothing: %s", b.Reason)
	}
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	l.logState(err)
	l.onState(err)
}

// setConn notes a new connection, or that there is none.
func (l *managedConn) setConn(conn *amqp.Connection, err error) {
	l.mu.Lock()
	had := l.conn != nil || l.err == nil
	same := err != nil && l.err != nil && err.Error() == l.err.Error()
	l.conn, l.err = conn, err
	if conn != nil {
		close(l.connected)
	} else if had {
		l.connected = make(chan struct{})
	}
	l.mu.Unlock()
	if !same {
		l.logState(err)
	}
	l.onState(err)
}

func (l *managedConn) logState(err error) {
	if err != nil {
		l.queue.settings.Logger.Warn(
			"RabbitMQ is not available; it is tried again and again.",
			zap.String("connection", l.name),
			zap.Error(err),
		)
	} else {
		l.queue.settings.Logger.Info("RabbitMQ is available.", zap.String("connection", l.name))
	}
}

// current is the connection, or why there is none that can be used.
func (l *managedConn) current() (*amqp.Connection, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, unavailable(l.err)
	}
	return l.conn, nil
}

// await waits for a connection.
func (l *managedConn) await(ctx context.Context) (*amqp.Connection, error) {
	for {
		l.mu.Lock()
		conn, up := l.conn, l.connected
		l.mu.Unlock()
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

// reconnect ends the connection, so that a new one is made.
func (l *managedConn) reconnect() {
	l.mu.Lock()
	conn := l.conn
	l.mu.Unlock()
	if conn != nil {
		closeConn(conn)
	}
}
