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
	// inFlight is how many messages are published before their confirms are waited for.
	inFlight = 128
	// confirmWithin is how long the confirms of those may take.
	confirmWithin = 15 * time.Second
	// refusedWithin is how long a channel is used on which a queue refuses jobs. A channel does not learn that the
	// policy has changed, and a new one may exceed the queue's limit until it has learned it.
	refusedWithin = 20 * time.Second
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
	refused  map[string]time.Time // queues that refuse jobs, and when they did last
	opened   time.Time            // when the channel was opened
	answered bool                 // whether messages were confirmed on it
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
	p := &publisher{queue: q, refused: make(map[string]time.Time)}
	p.link = newLink(q, "publisher", func(err error) { q.trouble(0, err) }, q.prepare)
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
	p.opened, p.answered = p.queue.settings.Now(), false
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
			if !errors.As(err, new(*RefusedError)) {
				p.link.restart() // what is on its way there is of no use any more, and queues may have to be declared again
			}
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
		confirmation, err := ch.PublishWithDeferredConfirmWithContext(ctx, m.exchange, m.key, true, false, m.message)
		if err != nil {
			return 0, down(p.ended.reason(err))
		}
		waiting = append(waiting, confirmation)
	}
	answers := make(map[string]bool) // by queue: whether it took every message
	first := len(messages)           // that was refused
	for i, confirmation := range waiting {
		acked, err := confirmation.WaitContext(ctx)
		switch took, before := answers[messages[i].queue]; {
		case err != nil:
			return min(i, first), down(fmt.Errorf("no confirm came: %w", p.ended.reason(err)))
		case !acked && ch.IsClosed():
			return min(i, first), down(fmt.Errorf("a message was not confirmed: %w", p.ended.reason(errRefused)))
		default:
			answers[messages[i].queue] = acked && (took || !before)
		}
		if !acked {
			first = min(i, first)
		}
	}
	p.noteRefused(answers)
	if n, err := p.unroutable(len(messages)); err != nil {
		return n, err
	}
	if first < len(messages) {
		if p.queue.settings.Now().Sub(p.opened) >= refusedWithin {
			_ = ch.Close()
		}
		return first, &RefusedError{Queue: messages[first].queue}
	}
	return len(messages), nil
}

// noteRefused notes which queues refused messages, and which took all of them. The first answers on a channel do not
// say that a queue takes messages again: it does not know the queue's limit yet.
func (p *publisher) noteRefused(took map[string]bool) {
	first := !p.answered
	p.answered = true
	for queue, ok := range took {
		last := p.refused[queue]
		switch {
		case !ok:
			p.refuses(queue, last.IsZero())
		case !first && !last.IsZero():
			p.takesAgain(queue)
		}
	}
}

// noteEmpty notes that a queue which refused messages a while ago is empty: there may be nothing to publish any more.
func (p *publisher) noteEmpty(queue string) {
	if last := p.refused[queue]; !last.IsZero() && p.queue.settings.Now().Sub(last) >= refusedWithin {
		p.takesAgain(queue)
	}
}

func (p *publisher) refuses(queue string, begins bool) {
	p.refused[queue] = p.queue.settings.Now()
	if !begins {
		return
	}
	err := &RefusedError{Queue: queue}
	p.queue.settings.Logger.Warn("RabbitMQ refuses jobs for a queue; their windows stay gaps until it takes them.",
		zap.String("queue", queue), zap.Error(err))
	p.queue.settings.OnRefused(queue, err)
}

func (p *publisher) takesAgain(queue string) {
	delete(p.refused, queue)
	p.queue.settings.Logger.Info("RabbitMQ takes jobs for a queue again.", zap.String("queue", queue))
	p.queue.settings.OnRefused(queue, nil)
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

// depths asks for the depths of queues, and of those that a version before has left, by name.
func (p *publisher) depths(ctx context.Context, names []string) (map[string]amqp.Queue, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	counts := make(map[string]amqp.Queue)
	ch, err := p.open()
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, p.link.restart) // the library's calls know no context
	defer stop()
	for _, name := range names {
		if counts[name], err = ch.QueueDeclarePassive(name, true, false, false, false, nil); err != nil {
			p.link.restart()
			return nil, down(fmt.Errorf("ask for the queue %q: %w", name, err))
		}
		if counts[name].Messages == 0 {
			p.noteEmpty(name)
		}
	}
	for _, name := range p.queue.oldQueues() {
		found, err := ch.QueueDeclarePassive(name, true, false, false, false, nil)
		switch {
		case err == nil:
			counts[name] = found
			continue
		case unlessAbsent(err) != nil:
			p.link.restart()
			return nil, down(fmt.Errorf("ask for the queue %q: %w", name, err))
		}
		p.queue.forgetOld(name)
		if ch, err = p.open(); err != nil { // the broker has ended the channel
			return nil, err
		}
	}
	return counts, nil
}
