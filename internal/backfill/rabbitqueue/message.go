package rabbitqueue

import (
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// The headers of messages that come again or are dead, beside those that the broker adds.
const (
	// HeaderError is why the last attempt failed, or why the message is dead.
	HeaderError = "gx-error"
	// HeaderHistory lists what happened to the job, the newest last, each as "time attempt N: what".
	HeaderHistory = "gx-history"
	// HeaderAttempts is how often the job was tried.
	HeaderAttempts = "gx-attempts"
	// HeaderReturns is how often in a row a job was given back by replicas that do not know its organization.
	HeaderReturns = "gx-returns"
)

const (
	maxHistory     = 25
	maxReasonBytes = 500
)

// newMessage is a job as it is published first.
func newMessage(job *backfill.Job) amqp.Publishing {
	return amqp.Publishing{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, Type: "githubexporter.backfill",
		MessageId: job.ID, Timestamp: job.CreatedAt, Body: job.Encode(),
	}
}

// retryMessage is a job that comes again after a failed attempt, or once it was put off.
func retryMessage(d *amqp.Delivery, job *backfill.Job, reason error, now time.Time) amqp.Publishing {
	m := newMessage(job)
	m.Headers = outcomeHeaders(d, reason, now)
	return m
}

// deadLetterMessage is a message that is dead, as it came.
func deadLetterMessage(d *amqp.Delivery, attempts int, reason error, now time.Time) amqp.Publishing {
	table := outcomeHeaders(d, reason, now)
	table[HeaderAttempts] = strconv.Itoa(attempts)
	return amqp.Publishing{
		ContentType: d.ContentType, DeliveryMode: amqp.Persistent, Type: d.Type, MessageId: d.MessageId, Timestamp: d.Timestamp,
		Headers: table, Body: d.Body,
	}
}

// outcomeHeaders tell what happened, with the newest at the end.
func outcomeHeaders(d *amqp.Delivery, reason error, now time.Time) amqp.Table {
	what := truncate(reason.Error())
	history := append(parseHistory(d.Headers), now.UTC().Format(time.RFC3339)+" "+what)
	history = history[max(0, len(history)-maxHistory):]
	return amqp.Table{HeaderError: what, HeaderHistory: history}
}

// parseReturns reads HeaderReturns; what is no number counts as none.
func parseReturns(table amqp.Table) int {
	text, _ := table[HeaderReturns].(string)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func parseHistory(table amqp.Table) []any {
	list, _ := table[HeaderHistory].([]any)
	var history []any
	for _, entry := range list {
		if text, ok := entry.(string); ok {
			history = append(history, truncate(text))
		}
	}
	return history
}

func truncate(text string) string {
	if len(text) > maxReasonBytes {
		text = text[:maxReasonBytes] + "..."
	}
	return strings.ToValidUTF8(text, "")
}
