// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// Depth implements backfill.Queue. It does not wait for a publish.
func (q *Queue) Depth(ctx context.Context) (backfill.Depth, error) {
	return q.sumDepths(ctx, q.sources.orgs, q.settings.DeadQueue)
}

// OrgDepth returns the depth of one organization's queue. Retries are those of all organizations; dead letters are not
// counted.
func (q *Queue) OrgDepth(ctx context.Context, org string) (backfill.Depth, error) {
	for _, s := range q.sources.orgs {
		if strings.EqualFold(s.org, org) {
			return q.sumDepths(ctx, []*source{s})
		}
	}
	return backfill.Depth{}, fmt.Errorf("organization %q has no queue here", org)
}

// sumDepths adds up the depths of sources, of the queues of the release before, of all retry queues, and of dead.
func (q *Queue) sumDepths(ctx context.Context, sources []*source, dead ...string) (backfill.Depth, error) {
	var depth backfill.Depth
	names := slices.Clone(dead)
	for _, s := range sources {
		names = append(names, s.name)
	}
	for _, delay := range q.settings.Retries.Delays {
		names = append(names, retryQueue(q.settings.Queue, delay))
	}
	counts, err := q.depths.read(ctx, names)
	if err != nil {
		return depth, err
	}
	for i, s := range sources {
		found := counts[s.name]
		delete(counts, s.name)
		q.addSourceDepth(&depth, s, found)
		if i == 0 || found.Consumers < depth.Consumers {
			depth.Consumers = found.Consumers
		}
	}
	if found, there := counts[q.sources.legacy.name]; there {
		delete(counts, q.sources.legacy.name)
		q.addSourceDepth(&depth, q.sources.legacy, found)
	}
	for _, name := range dead {
		depth.DeadLetters += counts[name].Messages
		delete(counts, name)
	}
	for _, found := range counts {
		depth.Retries += found.Messages
	}
	return depth, nil
}

// addSourceDepth adds the depth of one source.
func (q *Queue) addSourceDepth(depth *backfill.Depth, s *source, found amqp.Queue) {
	one := backfill.QueueDepth{Name: s.name, Org: s.org, Ready: found.Messages, Consumers: found.Consumers}
	if at := s.oldest.Load(); one.Ready > 0 && at != 0 {
		one.Oldest = time.UnixMilli(at).UTC()
		if depth.Oldest.IsZero() || one.Oldest.Before(depth.Oldest) {
			depth.Oldest = one.Oldest
		}
	}
	depth.Queues = append(depth.Queues, one)
	depth.Ready += one.Ready
	depth.MaxUnacked += one.Consumers * q.prefetchPerQueue()
}

// depthReader reads the depths of queues on a channel of its own on the publisher's connection, so that a depth does
// not wait behind a publish that waits for its confirms.
type depthReader struct {
	publisher *publisher
	sources   *sources

	// mu is held while the broker responds: a channel has one request at a time. ctx bounds it.
	mu      sync.Mutex
	conn    *amqp.Connection
	channel *amqp.Channel
}

// newDepthReader returns a reader on the connection of a publisher.
func newDepthReader(p *publisher, s *sources) *depthReader {
	return &depthReader{publisher: p, sources: s}
}

// read returns the depths of the named queues, and of those of the release before that exist, by name.
func (d *depthReader) read(ctx context.Context, names []string) (map[string]amqp.Queue, error) {
	depths, err := d.readLocked(ctx, names)
	d.publisher.refusals.report()
	return depths, err
}

// readLocked reads without reporting refusals. It holds d.mu.
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
	for _, name := range d.sources.presentLegacyQueues() {
		depth, err := d.declarePassive(name)
		switch {
		case err == nil:
			depths[name] = depth
			continue
		case ignoreAbsent(err) != nil:
			d.publisher.abandon(conn, func() bool { return false })
			return nil, unavailable(fmt.Errorf("read the depth of the queue %q: %w", name, err))
		}
		d.sources.dropLegacyQueue(name)
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

// declarePassive reads the depth of one queue. d.mu is held.
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
