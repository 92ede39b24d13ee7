// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package rabbitqueue

import (
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
)

// The headers of retried and dead-lettered messages. They are a wired format that every release reads: a name keeps its
// meaning and its type, and a message without a header is read as with the zero value.
//
//	name         type   on                     value
//	gx-error     text   retries, dead letters  why the last attempt failed, at most maxReasonBytes
//	gx-history   array  retries, dead letters  at most maxHistory texts "<RFC 3339 time> <gx-error>", oldest first
//	gx-attempts  text   dead letters           number of attempts
//	gx-returns   text   retries                number of returns in a row
//
// The broker adds x-death and x-first-death-reason, of which newDeadLetter reads the second.
const (
	// HeaderError is the error of the last attempt, or the reason of the dead letter.
	HeaderError = "gx-error"
	// HeaderHistory lists the errors of the attempts, the newest last, each as "time attempt N: error".
	HeaderHistory = "gx-history"
	// HeaderAttempts is the number of attempts.
	HeaderAttempts = "gx-attempts"
	// HeaderReturns is the number of times in a row that replicas without its organization returned the job.
	HeaderReturns = "gx-returns"
)

const (
	maxHistory     = 25
	maxReasonBytes = 500
)

// newMessage returns the message of a job, without headers.
func newMessage(job *backfill.Job) amqp.Publishing {
	return amqp.Publishing{
		ContentType: "application/json", DeliveryMode: amqp.Persistent, Type: "githubexporter.backfill",
		MessageId: job.ID, Timestamp: job.CreatedAt, Body: job.Encode(),
	}
}

// retryMessage returns the message of the next delivery of a job that failed, was deferred or was returned.
func retryMessage(d *amqp.Delivery, job *backfill.Job, reason error, now time.Time) amqp.Publishing {
	m := newMessage(job)
	m.Headers = outcomeHeaders(d, reason, now)
	return m
}

// deadLetterMessage returns a dead letter with the body of the delivery, unchanged.
func deadLetterMessage(d *amqp.Delivery, attempts int, reason error, now time.Time) amqp.Publishing {
	table := outcomeHeaders(d, reason, now)
	table[HeaderAttempts] = strconv.Itoa(attempts)
	return amqp.Publishing{
		ContentType: d.ContentType, DeliveryMode: amqp.Persistent, Type: d.Type, MessageId: d.MessageId,
		Timestamp: d.Timestamp, Headers: table, Body: d.Body,
	}
}

// outcomeHeaders returns new headers: reason, and the history of the delivery with reason added. Its other headers are
// left out.
func outcomeHeaders(d *amqp.Delivery, reason error, now time.Time) amqp.Table {
	text := truncate(reason.Error())
	history := append(parseHistory(d.Headers), now.UTC().Format(time.RFC3339)+" "+text)
	history = history[max(0, len(history)-maxHistory):]
	return amqp.Table{HeaderError: text, HeaderHistory: history}
}

// parseReturns reads HeaderReturns; zero when it is absent or invalid.
func parseReturns(table amqp.Table) int {
	text, _ := table[HeaderReturns].(string)
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// parseHistory reads HeaderHistory, dropping entries that are no text. The library encodes no []string, hence []any.
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

// truncate returns the first maxReasonBytes of a text, as valid UTF-8.
func truncate(text string) string {
	if len(text) > maxReasonBytes {
		text = text[:maxReasonBytes] + "..."
	}
	return strings.ToValidUTF8(text, "")
}
