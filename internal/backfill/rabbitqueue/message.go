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
	maxHistory = 25
	maxText    = 500
)

// fresh is a job as it is published first.
func fresh(job *backfill.Job) amqp.Publishing {
	return amqp.Publishing{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, Type: "githubexporter.backfill",
		MessageId: job.ID, Timestamp: job.CreatedAt, Body: job.Encode(),
	}
}

// again is a job that comes again after a failed attempt, or once it was put off.
func again(d *amqp.Delivery, job *backfill.Job, reason error, now time.Time) amqp.Publishing {
	m := fresh(job)
	m.Headers = headers(d, reason, now)
	return m
}

// buried is a message that is dead, as it came.
func buried(d *amqp.Delivery, attempts int, reason error, now time.Time) amqp.Publishing {
	table := headers(d, reason, now)
	table[HeaderAttempts] = strconv.Itoa(attempts)
	return amqp.Publishing{
		ContentType: d.ContentType, DeliveryMode: amqp.Persistent, Type: d.Type, MessageId: d.MessageId, Timestamp: d.Timestamp,
		Headers: table, Body: d.Body,
	}
}

// headers tell what happened, with the newest at the end.
func headers(d *amqp.Delivery, reason error, now time.Time) amqp.Table {
	what := cut(reason.Error())
	history := append(historyOf(d.Headers), now.UTC().Format(time.RFC3339)+" "+what)
	history = history[max(0, len(history)-maxHistory):]
	return amqp.Table{HeaderError: what, HeaderHistory: history}
}

// returnsOf reads HeaderReturns; what is no number counts as none.
func returnsOf(table amqp.Table) int {
	text, _ := table[HeaderReturns].(string)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

func historyOf(table amqp.Table) []any {
	list, _ := table[HeaderHistory].([]any)
	var history []any
	for _, entry := range list {
		if text, ok := entry.(string); ok {
			history = append(history, cut(text))
		}
	}
	return history
}

func cut(text string) string {
	if len(text) > maxText {
		text = text[:maxText] + "..."
	}
	return strings.ToValidUTF8(text, "")
}
