// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

// depthReader reads the depths of queues on a channel of its own on the publisher's connection, so that a depth does
// not wait behind a publish that waits for its confirms.
type depthReader struct {
	publisher *publisher

	// mu is held while the broker responds: a channel has one request at a time. ctx bounds it.
	mu      sync.Mutex
	conn    *amqp.Connection
	channel *amqp.Channel
}

func newDepthReader(p *publisher) *depthReader { return &depthReader{publisher: p} }

// read returns the depths of the named queues, and of those of the release before that exist, by name.
func (d *depthReader) read(ctx context.Context, names []string) (map[string]amqp.Queue, error) {
	depths, err := d.readLocked(ctx, names)
	d.publisher.refusals.report()
	return depths, err
}

func (d *depthReader) readLocked(ctx context.Context, names []string) (map[string]amqp.Queue, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := d.openChannel(); err != nil {
		return nil, err
	}
	conn := d.conn
	defer d.abandonAfter(ctx, conn)()
	depths := make(map[string]amqp.Queue)
	for _, name := range names {
		depth, err := d.declarePassive(name)
		if err != nil {
			d.publisher.abandon(conn, func() bool { return false })
			return nil, unavailable(fmt.Errorf("read the depth of the queue %q: %w", name, err))
		}
		depths[name] = depth
		if depth.Messages == 0 {
			d.publisher.refusals.recordEmpty(name)
		}
	}
	for _, name := range d.publisher.queue.presentLegacyQueues() {
		depth, err := d.declarePassive(name)
		switch {
		case err == nil:
			depths[name] = depth
			continue
		case ignoreAbsent(err) != nil:
			d.publisher.abandon(conn, func() bool { return false })
			return nil, unavailable(fmt.Errorf("read the depth of the queue %q: %w", name, err))
		}
		d.publisher.queue.dropLegacyQueue(name)
		if err := d.openChannel(); err != nil { // the broker has closed the channel
			return nil, err
		}
	}
	return depths, nil
}

// openChannel opens a channel unless that of the present connection is open. d.mu is held.
func (d *depthReader) openChannel() error {
	conn, err := d.publisher.conns.current()
	if err != nil {
		return err
	}
	if d.conn == conn && !d.channel.IsClosed() {
		return nil
	}
	ch, err := conn.Channel()
	if err != nil {
		return unavailable(err)
	}
	d.conn, d.channel = conn, ch
	return nil
}

func (d *depthReader) declarePassive(name string) (amqp.Queue, error) {
	return d.channel.QueueDeclarePassive(name, true, false, false, false, nil)
}

// abandonAfter abandons the connection when ctx ends before stop is called: the library's requests have no context.
// stop waits for the goroutine, if ctx has ended.
func (d *depthReader) abandonAfter(ctx context.Context, conn *amqp.Connection) (stop func()) {
	var responded atomic.Bool
	finished := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(finished)
		d.publisher.abandon(conn, responded.Load)
	})
	return func() {
		responded.Store(true)
		if !cancel() {
			<-finished
		}
	}
}
