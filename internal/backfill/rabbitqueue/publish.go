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
	// inFlight is how many messages are published before their confirms are waited for.
	inFlight = 128
	// confirmWithin is how long the confirms of those may take.
	confirmWithin = 15 * time.Second
)

// publisher publishes with confirms, and asks for depths, on a connection of its own: a broker that is short of memory takes
// nothing from connections that publish, and consumers have to go on.
type publisher struct {
	queue *Queue
	link  *link

	mu       sync.Mutex // one user at a time
	conn     *amqp.Connection
	channel  *amqp.Channel
	returned chan amqp.Return
	ended    channelEnd
}

type outgoing struct {
	key     string
	message amqp.Publishing
}

func newPublisher(q *Queue) *publisher {
	p := &publisher{queue: q}
	p.link = newLink(q, "publisher", func(err error) { q.trouble(0, err) }, q.topology.declare)
	return p
}

// open gives the channel, a new one on a new connection. The caller holds the lock.
func (p *publisher) open() (*amqp.Channel, error) {
	conn, err := p.link.now()
	if err != nil {
		return nil, err
	}
	if p.conn == conn && !p.channel.IsClosed() {
		return p.channel, nil
	}
	ch, err := conn.Channel()
	if err != nil {
		return nil, down(err)
	}
	if err := ch.Confirm(false); err != nil {
		return nil, down(err)
	}
	p.conn, p.channel, p.ended, p.returned = conn, ch, watchChannel(ch), ch.NotifyReturn(make(chan amqp.Return, inFlight))
	return ch, nil
}

// publish returns when the broker has the messages.
func (p *publisher) publish(ctx context.Context, messages []outgoing) (confirmed int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for part := range slices.Chunk(messages, inFlight) {
		n, err := p.publishPart(ctx, part)
		confirmed += n
		if err != nil {
			p.link.restart() // what is on its way there is of no use any more, and queues may have to be declared again
			return confirmed, err
		}
	}
	return confirmed, nil
}

func (p *publisher) publishPart(ctx context.Context, messages []outgoing) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmWithin)
	defer cancel()
	ch, err := p.open()
	if err != nil {
		return 0, err
	}
	waiting := make([]*amqp.DeferredConfirmation, 0, len(messages))
	for i := range messages {
		m := &messages[i]
		confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, p.queue.settings.Exchange, m.key, true, false, m.message)
		if err != nil {
			return 0, down(p.ended.reason(err))
		}
		waiting = append(waiting, confirmation)
	}
	for i, confirmation := range waiting {
		acked, err := confirmation.WaitContext(ctx)
		if err != nil {
			return i, down(fmt.Errorf("no confirm came: %w", p.ended.reason(err)))
		}
		if !acked {
			return i, down(fmt.Errorf("a message was not confirmed: %w", p.ended.reason(errRefused)))
		}
	}
	return p.unroutable(len(messages))
}

// errRefused is the reason of a message that the broker refused on a channel that is still open.
var errRefused = errors.New("the broker refused it, or the connection was lost")

// unroutable finds messages that came back, which the broker does before it confirms them: their queue is gone.
func (p *publisher) unroutable(n int) (int, error) {
	select {
	case back, open := <-p.returned:
		if !open { // the channel has ended
			return 0, down(p.ended.reason(errRefused))
		}
		for range len(p.returned) {
			<-p.returned
		}
		return 0, down(fmt.Errorf("the queue %q is gone: %s", back.RoutingKey, back.ReplyText))
	default:
		return n, nil
	}
}

// depth asks for the depths of the queues.
func (p *publisher) depth(ctx context.Context) (backfill.Depth, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return backfill.Depth{}, err
	}
	var depth backfill.Depth
	ch, err := p.open()
	if err != nil {
		return depth, err
	}
	stop := context.AfterFunc(ctx, p.link.restart) // the library's calls know no context
	defer stop()
	for _, q := range p.queue.topology.queues {
		told, err := ch.QueueDeclarePassive(q.name, true, false, false, false, nil)
		if err != nil {
			p.link.restart()
			return depth, down(fmt.Errorf("ask for the queue %q: %w", q.name, err))
		}
		switch q.name {
		case p.queue.settings.Queue:
			depth.Jobs, depth.Consumers = told.Messages, told.Consumers
		case p.queue.settings.DeadQueue:
			depth.Dead = told.Messages
		default:
			depth.Retries += told.Messages
		}
	}
	return depth, nil
}
