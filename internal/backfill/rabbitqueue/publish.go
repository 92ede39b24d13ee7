// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

const (
	// maxUnconfirmed is the number of messages that are published before their confirms are awaited.
	maxUnconfirmed = 128
	// confirmTimeout bounds the wait for those confirms.
	confirmTimeout = 15 * time.Second
)

// Publish implements backfill.Queue.
func (q *Queue) Publish(ctx context.Context, jobs []backfill.Job) (int, error) {
	messages := make([]outgoing, len(jobs))
	for i := range jobs {
		messages[i] = q.toBoundQueue(OrgQueue(q.settings.Queue, jobs[i].Org), newMessage(&jobs[i]))
	}
	return q.publisher.publish(ctx, messages)
}

// toBoundQueue addresses a message to a queue that is bound to the exchange by its name: an organization's queue, or
// the dead-letter queue.
func (q *Queue) toBoundQueue(queue string, m amqp.Publishing) outgoing {
	return outgoing{queue: queue, exchange: q.settings.Exchange, key: queue, message: m}
}

// toRetryQueue addresses a message to the retry queue of a delay, from which the broker moves it to queue.
func (q *Queue) toRetryQueue(delay time.Duration, queue string, m amqp.Publishing) outgoing {
	name := retryQueue(q.settings.Queue, delay)
	return outgoing{queue: name, exchange: name, key: queue, message: m}
}

// outgoing is a message with its address. queue is the name for errors; it may be behind a further exchange.
type outgoing struct {
	queue         string
	exchange, key string
	message       amqp.Publishing
}

// publisher publishes with confirms, on a connection without consumers: a broker with a memory or disk alarm blocks
// connections that publish, and consumers have to go on.
type publisher struct {
	settings *Settings
	conns    *managedConn
	refusals refusals

	// mu is held while a chunk of messages waits for its confirms, for up to confirmTimeout: a returned message (of a
	// deleted queue) and a refused one are matched to the only chunk that is unconfirmed. Depths do not need mu.
	mu           sync.Mutex
	conn         *amqp.Connection
	channel      *amqp.Channel
	returned     chan amqp.Return
	closeReason  channelClose
	openedAt     time.Time // of the channel
	hasConfirmed bool      // whether messages were confirmed on the channel
}

// newPublisher returns a publisher on a connection, which its caller runs.
func newPublisher(settings *Settings, conns *managedConn) *publisher {
	return &publisher{settings: settings, conns: conns, refusals: newRefusals(settings)}
}

// openChannel returns the channel, or opens a new one on the present connection. p.mu is held.
func (p *publisher) openChannel() (*amqp.Channel, error) {
	conn, err := p.conns.current()
	if err != nil {
		return nil, err
	}
	if p.conn == conn && !p.channel.IsClosed() {
		return p.channel, nil
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, unavailable(err)
	}
	if err := ch.Confirm(false); err != nil {
		return nil, unavailable(err)
	}
	p.openedAt, p.hasConfirmed = p.settings.Now(), false
	p.conn, p.channel, p.closeReason = conn, ch, watchChannel(ch)
	p.returned = ch.NotifyReturn(make(chan amqp.Return, maxUnconfirmed))
	return ch, nil
}

// publish returns when the broker has confirmed the messages; confirmed is the number of the first ones that it has
// certainly confirmed. Its errors are ErrUnavailable, of which RefusedError keeps the connection.
func (p *publisher) publish(ctx context.Context, messages []outgoing) (confirmed int, err error) {
	confirmed, err = p.publishLocked(ctx, messages)
	p.refusals.report()
	return confirmed, err
}

// publishLocked publishes without reporting refusals. It holds p.mu.
func (p *publisher) publishLocked(ctx context.Context, messages []outgoing) (confirmed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for chunk := range slices.Chunk(messages, maxUnconfirmed) {
		n, err := p.publishChunk(ctx, chunk)
		confirmed += n
		if err == nil {
			continue
		}
		if !errors.As(err, new(*RefusedError)) {
			// Confirms of this connection cannot be matched any more, and queues may have to be declared again.
			p.conns.reconnect()
		}
		return confirmed, err
	}
	return confirmed, nil
}

// publishChunk publishes messages and awaits their confirms. p.mu is held.
func (p *publisher) publishChunk(ctx context.Context, messages []outgoing) (confirmed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	ch, err := p.openChannel()
	if err != nil {
		return 0, err
	}
	confirmations := make([]*amqp.DeferredConfirmation, 0, len(messages))
	for i := range messages {
		m := &messages[i]
		confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, m.exchange, m.key, true, false, m.message)
		if err != nil {
			return 0, unavailable(p.closeReason.reason(err))
		}
		confirmations = append(confirmations, confirmation)
	}
	accepted, confirmed, err := p.awaitConfirms(ctx, messages, confirmations)
	if err != nil {
		return confirmed, err
	}
	p.refusals.record(accepted, !p.hasConfirmed)
	p.hasConfirmed = true
	if err := p.checkReturned(); err != nil {
		return 0, err
	}
	if confirmed < len(messages) {
		if p.settings.Now().Sub(p.openedAt) >= refusedChannelLife {
			_ = ch.Close()
		}
		return confirmed, &RefusedError{Queue: messages[confirmed].queue}
	}
	return confirmed, nil
}

// awaitConfirms waits for the confirms of published messages. It returns by queue whether all its messages were
// accepted, and the number of messages before the first refused one.
func (p *publisher) awaitConfirms(
	ctx context.Context, messages []outgoing, confirmations []*amqp.DeferredConfirmation,
) (accepted map[string]bool, confirmed int, err error) {
	accepted, confirmed = make(map[string]bool), len(messages)
	for i, confirmation := range confirmations {
		acked, err := confirmation.WaitContext(ctx)
		if err != nil {
			err = fmt.Errorf("no confirm received: %w", p.closeReason.reason(err))
		} else if !acked && p.channel.IsClosed() {
			err = fmt.Errorf("a message was not confirmed: %w", p.closeReason.reason(errRefused))
		}
		if err != nil {
			return nil, min(i, confirmed), unavailable(err)
		}
		if before, ok := accepted[messages[i].queue]; before || !ok {
			accepted[messages[i].queue] = acked
		}
		if !acked {
			confirmed = min(i, confirmed)
		}
	}
	return accepted, confirmed, nil
}

// errRefused is the reason of a message that the broker refused on a channel that is still open.
var errRefused = errors.New("the broker refused it, or the connection was lost")

// checkReturned returns an error when messages were returned as unroutable, which the broker does before it confirms
// them: their queue was deleted. p.mu is held.
func (p *publisher) checkReturned() error {
	select {
	case first, open := <-p.returned:
		if !open { // the channel was closed
			return unavailable(p.closeReason.reason(errRefused))
		}
		for range len(p.returned) {
			<-p.returned
		}
		return unavailable(fmt.Errorf("the queue %q is gone: %s", first.RoutingKey, first.ReplyText))
	default:
		return nil
	}
}

// abandon closes a connection on which a request failed or gets no response, once no publish waits for confirms on it:
// those may still arrive. It does nothing if the request has got its response meanwhile, or to a replaced connection.
func (p *publisher) abandon(conn *amqp.Connection, hasResponse func() bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !hasResponse() {
		closeConn(conn)
	}
}
