package rabbitqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"go.uber.org/zap"
)

const (
	// maxUnconfirmed is how many messages are published before their confirms are waited for.
	maxUnconfirmed = 128
	// confirmTimeout is how long the confirms of those may take.
	confirmTimeout = 15 * time.Second
	// refusedChannelLife is how long a channel is used on which a queue refuses jobs. A channel does not learn that the
	// policy has changed, and a new one may exceed the queue's limit until it has learned it.
	refusedChannelLife = 20 * time.Second
)

// publisher publishes with confirms, and asks for depths, on a connection of its own: a broker that is short of memory
// takes nothing from connections that publish, and consumers have to go on.
type publisher struct {
	queue *Queue
	conns *managedConn

	mu           sync.Mutex // one user at a time
	conn         *amqp.Connection
	channel      *amqp.Channel
	returned     chan amqp.Return
	closeReason  channelClose
	refusedAt    map[string]time.Time // queues that refuse jobs, and when they did last
	openedAt     time.Time            // when the channel was opened
	hasConfirmed bool                 // whether messages were confirmed on it
}

// outgoing is a message on its way to a queue.
type outgoing struct {
	queue         string
	exchange, key string
	message       amqp.Publishing
}

// RefusedError says that the broker did not take a job for a queue. It is ErrDown, too.
type RefusedError struct{ Queue string }

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("RabbitMQ refuses jobs for the queue %q (basic.nack): it is full, or has no majority of its "+
		"members; look at max-length and overflow in its policy (rabbitmqctl list_policies)", e.Queue)
}

// Is implements errors.Is.
func (e *RefusedError) Is(target error) bool { return target == ErrUnavailable }

func newPublisher(q *Queue) *publisher {
	p := &publisher{queue: q, refusedAt: make(map[string]time.Time)}
	p.conns = newManagedConn(q, "publisher", func(err error) { q.setConnError(0, err) }, q.prepareConn)
	return p
}

// openChannel gives the channel, a new one on a new connection. The caller holds the lock.
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
	p.openedAt, p.hasConfirmed = p.queue.settings.Now(), false
	p.conn, p.channel, p.closeReason, p.returned = conn, ch, watchChannel(
		ch,
	), ch.NotifyReturn(
		make(chan amqp.Return, maxUnconfirmed),
	)
	return ch, nil
}

// publish returns when the broker has the messages.
func (p *publisher) publish(ctx context.Context, messages []outgoing) (confirmed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for part := range slices.Chunk(messages, maxUnconfirmed) {
		n, err := p.publishChunk(ctx, part)
		confirmed += n
		if err != nil {
			if !errors.As(err, new(*RefusedError)) {
				p.conns.reconnect() // what is on its way there is of no use any more, and queues may have to be declared again
			}
			return confirmed, err
		}
	}
	return confirmed, nil
}

func (p *publisher) publishChunk(ctx context.Context, messages []outgoing) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	ch, err := p.openChannel()
	if err != nil {
		return 0, err
	}
	waiting := make([]*amqp.DeferredConfirmation, 0, len(messages))
	for i := range messages {
		m := &messages[i]
		confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, m.exchange, m.key, true, false, m.message)
		if err != nil {
			return 0, unavailable(p.closeReason.reason(err))
		}
		waiting = append(waiting, confirmation)
	}
	answers := make(map[string]bool) // by queue: whether it took every message
	first := len(messages)           // that was refused
	for i, confirmation := range waiting {
		acked, err := confirmation.WaitContext(ctx)
		switch took, before := answers[messages[i].queue]; {
		case err != nil:
			return min(i, first), unavailable(fmt.Errorf("no confirm came: %w", p.closeReason.reason(err)))
		case !acked && ch.IsClosed():
			return min(
					i,
					first,
				), unavailable(
					fmt.Errorf("a message was not confirmed: %w", p.closeReason.reason(errRefused)),
				)
		default:
			answers[messages[i].queue] = acked && (took || !before)
		}
		if !acked {
			first = min(i, first)
		}
	}
	p.recordConfirms(answers)
	if n, err := p.checkReturned(len(messages)); err != nil {
		return n, err
	}
	if first < len(messages) {
		if p.queue.settings.Now().Sub(p.openedAt) >= refusedChannelLife {
			_ = ch.Close()
		}
		return first, &RefusedError{Queue: messages[first].queue}
	}
	return len(messages), nil
}

// recordConfirms notes which queues refused messages, and which took all of them. The first answers on a channel do not
// say that a queue takes messages again: it does not know the queue's limit yet.
func (p *publisher) recordConfirms(took map[string]bool) {
	first := !p.hasConfirmed
	p.hasConfirmed = true
	for queue, ok := range took {
		last := p.refusedAt[queue]
		switch {
		case !ok:
			p.markRefused(queue, last.IsZero())
		case !first && !last.IsZero():
			p.clearRefused(queue)
		}
	}
}

// recordEmpty notes that a queue which refused messages a while ago is empty: there may be nothing to publish any more.
func (p *publisher) recordEmpty(queue string) {
	if last := p.refusedAt[queue]; !last.IsZero() && p.queue.settings.Now().Sub(last) >= refusedChannelLife {
		p.clearRefused(queue)
	}
}

func (p *publisher) markRefused(queue string, begins bool) {
	p.refusedAt[queue] = p.queue.settings.Now()
	if !begins {
		return
	}
	err := &RefusedError{Queue: queue}
	p.queue.settings.Logger.Warn("RabbitMQ refuses jobs for a queue; their windows stay gaps until it takes them.",
		zap.String("queue", queue), zap.Error(err))
	p.queue.settings.OnRefused(queue, err)
}

func (p *publisher) clearRefused(queue string) {
	delete(p.refusedAt, queue)
	p.queue.settings.Logger.Info("RabbitMQ takes jobs for a queue again.", zap.String("queue", queue))
	p.queue.settings.OnRefused(queue, nil)
}

// errRefused is the reason of a message that the broker refused on a channel that is still open.
var errRefused = errors.New("the broker refused it, or the connection was lost")

// checkReturned finds messages that came back, which the broker does before it confirms them: their queue is gone.
func (p *publisher) checkReturned(n int) (int, error) {
	select {
	case back, open := <-p.returned:
		if !open { // the channel has ended
			return 0, unavailable(p.closeReason.reason(errRefused))
		}
		for range len(p.returned) {
			<-p.returned
		}
		return 0, unavailable(fmt.Errorf("the queue %q is gone: %s", back.RoutingKey, back.ReplyText))
	default:
		return n, nil
	}
}

// readDepths asks for the depths of queues, and of those that a version before has left, by name.
func (p *publisher) readDepths(ctx context.Context, names []string) (map[string]amqp.Queue, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := make(map[string]amqp.Queue)
	ch, err := p.openChannel()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, p.conns.reconnect) // the library's calls know no context
	defer stop()
	for _, name := range names {
		if counts[name], err = ch.QueueDeclarePassive(name, true, false, false, false, nil); err != nil {
			p.conns.reconnect()
			return nil, unavailable(fmt.Errorf("ask for the queue %q: %w", name, err))
		}
		if counts[name].Messages == 0 {
			p.recordEmpty(name)
		}
	}
	for _, name := range p.queue.presentLegacyQueues() {
		found, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		switch {
		case err == nil:
			counts[name] = found
			continue
		case ignoreAbsent(err) != nil:
			p.conns.reconnect()
			return nil, unavailable(fmt.Errorf("ask for the queue %q: %w", name, err))
		}
		p.queue.dropLegacyQueue(name)
		if ch, err = p.openChannel(); err != nil { // the broker has ended the channel
			return nil, err
		}
	}
	return counts, nil
}
