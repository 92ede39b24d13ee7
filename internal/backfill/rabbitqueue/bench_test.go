// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rabbitqueue_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/queuetest"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
)

// benchJobs is how many jobs are published at a time, as the dispatcher does.
const benchJobs = 100

// BenchmarkJobs publishes jobs with confirms and consumes them with acks by hand, and the bare library doing the same
// on queues with the same arguments: two connections, a hundred messages before their confirms are waited for, two
// consumers.
func BenchmarkJobs(b *testing.B) {
	s := rabbittest.Start(b)
	for _, prefetch := range []int{1, 8, 64} {
		b.Run(fmt.Sprintf("publish/prefetch=%d", prefetch), func(b *testing.B) {
			b.Run("queue", func(b *testing.B) { benchPublish(b, benchQueue(b, s, prefetch)) })
			b.Run("bare", func(b *testing.B) { benchBarePublish(b, newBare(b, s, prefetch)) })
		})
		b.Run(fmt.Sprintf("consume/prefetch=%d", prefetch), func(b *testing.B) {
			b.Run("queue", func(b *testing.B) { benchConsume(b, benchQueue(b, s, prefetch)) })
			b.Run("bare", func(b *testing.B) { benchBareConsume(b, newBare(b, s, prefetch)) })
		})
	}
}

func benchQueue(b *testing.B, s *rabbittest.Server, prefetch int) *rabbitqueue.Queue {
	b.Helper()
	name := fmt.Sprintf("bench%d", names.Add(1))
	var up atomic.Bool
	q := rabbitqueue.New(rabbitqueue.Settings{
		URL:            s.URL(),
		Auth:           rabbitqueue.PlainAuth("guest", "guest"),
		ConnectionName: name,
		Exchange:       name,
		Queue:          name + ".jobs",
		DeadQueue:      name + ".dlq",
		Orgs:           []string{"octo"},
		Retries:        queuetest.RetryPolicy(),
		Prefetch:       prefetch,
		Consumers:      min(prefetch, 2),
		Now:            time.Now,
		Logger:         zap.NewNop(),
		OnState:        func(err error) { up.Store(err == nil) },
	})
	b.Cleanup(q.Close)
	require.Eventually(b, up.Load, waitTimeout, time.Millisecond)
	return q
}

func perSecond(b *testing.B, began time.Time) {
	b.Helper()
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "jobs/s")
}

func benchPublish(b *testing.B, q *rabbitqueue.Queue) {
	b.Helper()
	jobs := queuetest.NewJobs(benchJobs)
	b.ResetTimer()
	began := time.Now()
	for left := b.N; left > 0; left -= benchJobs {
		part := jobs[:min(left, benchJobs)]
		n, err := q.Publish(b.Context(), part)
		require.NoError(b, err)
		require.Len(b, part, n)
	}
	perSecond(b, began)
}

func benchConsume(b *testing.B, q *rabbitqueue.Queue) {
	b.Helper()
	jobs := queuetest.NewJobs(b.N)
	n, err := q.Publish(b.Context(), jobs)
	require.NoError(b, err)
	require.Len(b, jobs, n)
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	var done atomic.Int64
	b.ResetTimer()
	began := time.Now()
	err = q.Consume(ctx, func(context.Context, backfill.Job) error {
		if done.Add(1) == int64(b.N) {
			cancel()
		}
		return nil
	})
	perSecond(b, began)
	require.ErrorIs(b, err, context.Canceled)
}

// bare is the library alone.
type bare struct {
	name             string
	publish, consume *amqp.Channel
	consumers        int
}

func newBare(b *testing.B, s *rabbittest.Server, prefetch int) *bare {
	b.Helper()
	name := fmt.Sprintf("bare%d", names.Add(1))
	channel := func() *amqp.Channel {
		conn, err := amqp.Dial("amqp://guest:guest@" + s.Address + "/")
		require.NoError(b, err)
		b.Cleanup(func() { _ = conn.Close() })
		ch, err := conn.Channel()
		require.NoError(b, err)
		return ch
	}
	r := &bare{name: name, publish: channel(), consume: channel(), consumers: min(prefetch, 2)}
	require.NoError(b, r.publish.Confirm(false))
	require.NoError(b, r.publish.ExchangeDeclare(name, amqp.ExchangeDirect, true, false, false, false, nil))
	_, err := r.publish.QueueDeclare(
		name,
		true,
		false,
		false,
		false,
		amqp.Table{amqp.QueueTypeArg: amqp.QueueTypeQuorum, "x-delivery-limit": int64(20)},
	)
	require.NoError(b, err)
	require.NoError(b, r.publish.QueueBind(name, name, name, false, nil))
	require.NoError(b, r.consume.Qos(prefetch, 0, false))
	return r
}

func (r *bare) send(b *testing.B, n int) {
	b.Helper()
	job := queuetest.NewJob(1)
	body := job.Encode()
	for left := n; left > 0; left -= benchJobs {
		var waiting []*amqp.DeferredConfirmation
		for range min(left, benchJobs) {
			c, err := r.publish.PublishWithDeferredConfirmWithContext(
				b.Context(),
				r.name,
				r.name,
				true,
				false,
				amqp.Publishing{
					DeliveryMode: amqp.Persistent,
					ContentType:  "application/json",
					MessageId:    job.ID,
					Body:         body,
				},
			)
			require.NoError(b, err)
			waiting = append(waiting, c)
		}
		for _, c := range waiting {
			require.True(b, c.Wait())
		}
	}
}

func benchBarePublish(b *testing.B, r *bare) {
	b.Helper()
	b.ResetTimer()
	began := time.Now()
	r.send(b, b.N)
	perSecond(b, began)
}

func benchBareConsume(b *testing.B, r *bare) {
	b.Helper()
	r.send(b, b.N)
	deliveries, err := r.consume.Consume(r.name, "bench", false, false, false, false, nil)
	require.NoError(b, err)
	var done atomic.Int64
	finished := make(chan struct{})
	b.ResetTimer()
	began := time.Now()
	for range r.consumers {
		go func() {
			for d := range deliveries {
				_ = d.Ack(false) // a failure shows as a bench that does not end
				if done.Add(1) == int64(b.N) {
					close(finished)
				}
			}
		}()
	}
	<-finished
	perSecond(b, began)
}
