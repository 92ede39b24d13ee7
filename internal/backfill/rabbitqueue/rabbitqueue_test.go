// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package rabbitqueue_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/internal/backfill"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/queuetest"
	"github.com/seed-358c4d9d/githubexporter/internal/backfill/rabbitqueue"
	"github.com/seed-358c4d9d/githubexporter/internal/rabbittest"
)

const waitTimeout = 60 * time.Second

var names atomic.Int64

// fixture is a queue under test with names of its own, and what it reported.
type fixture struct {
	*rabbitqueue.Queue
	settings rabbitqueue.Settings
	logs     *observer.ObservedLogs
	state    atomic.Pointer[error]
	invalid  atomic.Int64
	returned atomic.Int64
	refused  atomic.Pointer[error]
}

// jobQueue returns the name of the queue of the jobs that the tests publish.
func (f *fixture) jobQueue() string { return rabbitqueue.OrgQueue(f.settings.Queue, "octo") }

func (f *fixture) connError() error {
	if err := f.state.Load(); err != nil {
		return *err
	}
	return errors.New("no state was reported")
}

// startQueue starts a queue on a server with changed settings.
func startQueue(t *testing.T, s *rabbittest.Server, change ...func(*rabbitqueue.Settings)) *fixture {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	name := fmt.Sprintf("test%d", names.Add(1))
	f := &fixture{logs: logs}
	f.settings = rabbitqueue.Settings{
		URL:            s.URL(),
		Auth:           rabbitqueue.PlainAuth("guest", "guest"),
		ConnectionName: name,
		Exchange:       name,
		Queue:          name + ".jobs",
		DeadQueue:      name + ".dlq",
		Orgs:           []string{"octo"},
		Retries:        queuetest.RetryPolicy(),
		Prefetch:       8,
		Consumers:      queuetest.Consumers,
		Now:            time.Now,
		Logger:         zap.New(core),
		OnState:        func(err error) { f.state.Store(&err) },
		OnInvalid:      func(string) { f.invalid.Add(1) },
		OnReturned:     func(string) { f.returned.Add(1) },
		OnRefused:      func(_ string, err error) { f.refused.Store(&err) },
	}
	for _, c := range change {
		c(&f.settings)
	}
	f.Queue = rabbitqueue.New(f.settings)
	t.Cleanup(f.Close)
	return f
}

// awaitConnected waits until both connections are open.
func (f *fixture) awaitConnected(t *testing.T) *fixture {
	t.Helper()
	eventually(t, "a connection", func() bool { return f.connError() == nil })
	return f
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, waitTimeout, 10*time.Millisecond, what)
}

func publish(t *testing.T, q backfill.Queue, jobs ...backfill.Job) {
	t.Helper()
	n, err := q.Publish(t.Context(), jobs)
	require.NoError(t, err)
	require.Len(t, jobs, n)
}

// consume runs a consumer until the test ends or stop is called, which waits for it.
func consume(t *testing.T, q backfill.Queue, handler backfill.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- q.Consume(ctx, handler) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			require.Error(t, <-done)
		}
	}
	t.Cleanup(stop)
	return stop
}

// countJobs returns a handler that counts its calls.
func countJobs(n *atomic.Int64) backfill.Handler {
	return func(context.Context, backfill.Job) error {
		n.Add(1)
		return nil
	}
}

func hasDepth(t *testing.T, q backfill.Queue, is func(backfill.Depth) bool) func() bool {
	t.Helper()
	return func() bool {
		d, err := q.Depth(t.Context())
		return err == nil && is(d)
	}
}

func isDrained(d backfill.Depth) bool { return d.Pending() == 0 }

// openChannel opens a channel of the bare library.
func openChannel(t *testing.T, s *rabbittest.Server) *amqp.Channel {
	t.Helper()
	conn, err := amqp.Dial("amqp://guest:guest@" + s.Address + "/")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	require.NoError(t, err)
	return ch
}

func TestOnOneBroker(t *testing.T) {
	s := rabbittest.Start(t)
	t.Run("conformance", func(t *testing.T) {
		queuetest.Run(t, func(t *testing.T) backfill.Queue { return startQueue(t, s).awaitConnected(t) })
	})
	t.Run("dead letters have a history", func(t *testing.T) { testDeadLetterHistory(t, s) })
	t.Run("dead-letters invalid messages", func(t *testing.T) { testInvalidMessages(t, s) })
	t.Run("names a queue with other arguments", func(t *testing.T) { testConflictingQueue(t, s) })
	t.Run("names a limit of the virtual host", func(t *testing.T) { testVhostLimit(t, s) })
	t.Run("reports why the broker closed a channel", func(t *testing.T) { testCloseReasons(t, s) })
	t.Run("wrong credentials are not logged", func(t *testing.T) { testWrongPassword(t, s) })
	t.Run("declares a deleted queue again", func(t *testing.T) { testDeletedQueue(t, s) })
	t.Run("waits for the end of a memory alarm", func(t *testing.T) { testMemoryAlarm(t, s) })
	t.Run("a lost connection loses no job", func(t *testing.T) { testLostConnections(t, s) })
	t.Run("dead-letters a job at the delivery limit", func(t *testing.T) { testDeliveryLimit(t, s) })
	t.Run("a depth does not wait for a publish", func(t *testing.T) { testDepthDuringPublish(t, s) })
	t.Run("reviews and replays dead letters", func(t *testing.T) { testReplay(t, s) })
}

func testDeadLetterHistory(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s).awaitConnected(t)
	publish(t, f, queuetest.NewJob(1))
	consume(t, f, func(_ context.Context, job backfill.Job) error {
		return fmt.Errorf("GitHub answered %d00", job.Attempt+3)
	})
	eventually(
		t,
		"a dead job",
		hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == 1 && d.Pending() == 0 }),
	)
	d, ok, err := openChannel(t, s).Get(f.settings.DeadQueue, true)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "attempt 3: GitHub answered 600", d.Headers[rabbitqueue.HeaderError])
	require.Equal(t, "3", d.Headers[rabbitqueue.HeaderAttempts])
	history := d.Headers[rabbitqueue.HeaderHistory].([]any)
	require.Len(t, history, 3)
	for i, entry := range history {
		require.Contains(t, entry, fmt.Sprintf("attempt %d: GitHub answered %d00", i+1, i+4))
	}
	job, err := backfill.Decode(d.Body)
	require.NoError(t, err)
	require.Equal(t, 3, job.Attempt)
	require.Equal(t, queuetest.NewJob(1).ID, d.MessageId)
	require.Equal(t, amqp.Persistent, d.DeliveryMode)
}

func testInvalidMessages(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s).awaitConnected(t)
	good := queuetest.NewJob(1)
	text := string(good.Encode())
	long := good
	long.Window.Start = long.Window.End.AddDate(-100, 0, 0)
	bodies := []string{
		"", "no json", "null", "[]", "{}", strings.Repeat("x", 2<<20), text + text, "\x00\xff\xfe",
		strings.Replace(text, `"version":1`, `"version":2`, 1),
		strings.Replace(text, `"org":"octo"`, `"org":null`, 1),
		strings.Replace(text, `"streams":[`, `"streams":["stars",`, 1),
		strings.Replace(text, `"attempt":1`, `"attempt":-1`, 1),
		strings.Replace(text, `"attempt":1`, `"attempt":1,"force":true`, 1),
		string(long.Encode()),
	}
	ch := openChannel(t, s)
	for _, body := range bodies {
		require.NoError(t, ch.PublishWithContext(t.Context(), f.settings.Exchange, f.jobQueue(), true, false,
			amqp.Publishing{Body: []byte(body)}))
	}
	publish(t, f, good)
	var n atomic.Int64
	consume(t, f, countJobs(&n))
	eventually(
		t,
		"dead messages",
		hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == len(bodies) && d.Pending() == 0 }),
	)
	eventually(t, "the good one", func() bool { return n.Load() == 1 })
	require.EqualValues(t, len(bodies), f.invalid.Load())
	for _, body := range bodies { // in their order, for there was one publisher; two workers may change neighbours
		d, ok, err := ch.Get(f.settings.DeadQueue, true)
		require.NoError(t, err)
		require.True(t, ok)
		require.Contains(t, d.Headers[rabbitqueue.HeaderError], backfill.ErrInvalid.Error())
		require.Contains(t, bodies, string(d.Body), "as it came, %.20q", body)
	}
}

func testConflictingQueue(t *testing.T, s *rabbittest.Server) {
	ch := openChannel(t, s)
	_, err := ch.QueueDeclare("other.jobs.octo", true, false, false, false, nil) // a classic one
	require.NoError(t, err)
	f := startQueue(t, s, func(settings *rabbitqueue.Settings) { settings.Queue = "other.jobs" })
	eventually(t, "an explanation", func() bool {
		err := f.connError()
		return err != nil && strings.Contains(err.Error(), `the queue "other.jobs.octo" exists with other settings`)
	})
	_, err = f.Publish(t.Context(), queuetest.NewJobs(1))
	require.ErrorIs(t, err, rabbitqueue.ErrUnavailable)
	_, err = ch.QueueDelete("other.jobs.octo", false, true, false)
	require.NoError(t, err)
	f.awaitConnected(t) // by itself
	require.LessOrEqual(
		t,
		f.logs.FilterMessageSnippet("is not available").Len(),
		6,
		"one line for each change, not for each try",
	)
}

func testVhostLimit(t *testing.T, s *rabbittest.Server) {
	s.Rabbitmqctl("set_vhost_limits", "-p", "/", `{"max-queues": 1}`)
	f := startQueue(t, s)
	eventually(t, "an explanation", func() bool {
		err := f.connError()
		return err != nil && strings.Contains(err.Error(), "queue limit in vhost")
	})
	require.NotContains(t, f.connError().Error(), "other settings")
	s.Rabbitmqctl("clear_vhost_limits", "-p", "/")
	f.awaitConnected(t)
}

// testDepthDuringPublish: while a queue confirms nothing, the depth of another one is read on the same connection.
func testDepthDuringPublish(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s, func(settings *rabbitqueue.Settings) { settings.Orgs = []string{"octo", "acme"} }).
		awaitConnected(t)
	process := fmt.Sprintf("whereis(list_to_atom(\"%%2F_%s\"))", rabbitqueue.OrgQueue(f.settings.Queue, "acme"))
	s.Rabbitmqctl("eval", "sys:suspend("+process+").")
	published := make(chan error, 1)
	go func() {
		_, err := f.Publish(t.Context(), orgJobs("acme", 1))
		published <- err
	}()
	<-time.After(time.Second) // the broker cannot report that a suspended queue has the message
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	depth, err := f.OrgDepth(ctx, "octo")
	require.NoError(t, err)
	require.Zero(t, depth.Ready)
	require.Empty(t, published, "the publish still waits for its confirm")
	s.Rabbitmqctl("eval", "sys:resume("+process+").")
	require.NoError(t, <-published)
}

// testCloseReasons: the log and the errors have the broker's reason, for a job that takes longer than the broker allows
// and for an exchange that was deleted.
func testCloseReasons(t *testing.T, s *rabbittest.Server) {
	s.Rabbitmqctl(
		"eval",
		"application:set_env(rabbit, consumer_timeout, 500), application:set_env(rabbit, channel_tick_interval, 200).",
	)
	defer s.Rabbitmqctl(
		"eval",
		"application:set_env(rabbit, consumer_timeout, 1800000), application:set_env(rabbit, channel_tick_interval, "+
			"60000).",
	)
	f := startQueue(t, s).awaitConnected(t)
	var n atomic.Int64
	consume(t, f, func(context.Context, backfill.Job) error {
		if n.Add(1) == 1 {
			eventually(
				t,
				"the job in the queue again",
				hasDepth(t, f, func(d backfill.Depth) bool { return d.Ready == 1 }),
			)
		}
		return nil
	})
	publish(t, f, queuetest.NewJob(1))
	eventually(t, "the job again", func() bool { return n.Load() == 2 })
	lines := f.logs.FilterMessage("Consuming jobs was interrupted.").All()
	require.Len(t, lines, 1)
	require.Contains(t, lines[0].ContextMap()["error"], "timed out. Timeout value used: 500 ms")

	require.NoError(t, openChannel(t, s).ExchangeDelete(f.settings.Exchange, false, false))
	_, err := f.Publish(t.Context(), queuetest.NewJobs(1))
	require.ErrorContains(t, err, "no exchange '"+f.settings.Exchange+"'")
	f.awaitConnected(t) // by itself
	require.NoError(t, openChannel(t, s).ExchangeDelete(f.settings.Exchange, false, false))
	err = rabbitqueue.Publish(t.Context(), f.settings, queuetest.NewJob(1))
	require.ErrorContains(t, err, "no exchange '"+f.settings.Exchange+"'")
}

func testWrongPassword(t *testing.T, s *rabbittest.Server) {
	f := startQueue(
		t,
		s,
		func(settings *rabbitqueue.Settings) { settings.Auth = rabbitqueue.PlainAuth("guest", "s3cret-wrong") },
	)
	eventually(t, "an explanation", func() bool {
		err := f.connError()
		return err != nil && strings.Contains(err.Error(), "username or password")
	})
	for _, entry := range f.logs.All() {
		require.NotContains(t, fmt.Sprint(entry.Message, entry.ContextMap()), "s3cret")
	}
}

func testDeletedQueue(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s).awaitConnected(t)
	var n atomic.Int64
	consume(t, f, countJobs(&n))
	publish(t, f, queuetest.NewJob(1))
	eventually(t, "a job", func() bool { return n.Load() == 1 })
	ch := openChannel(t, s)
	for _, name := range []string{f.jobQueue(), f.settings.DeadQueue} {
		_, err := ch.QueueDelete(name, false, false, false)
		require.NoError(t, err)
	}
	eventually(t, "a job through the new queue", func() bool {
		_, err := f.Publish(t.Context(), queuetest.NewJobs(1))
		return err == nil && n.Load() >= 2
	})
	eventually(t, "all queues", hasDepth(t, f, isDrained))
}

func testMemoryAlarm(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s).awaitConnected(t)
	publish(t, f, queuetest.NewJobs(3)...)
	s.SetMemoryAlarm(true)
	defer s.SetMemoryAlarm(false)
	eventually(t, "a refused job", func() bool { // the broker blocks a connection when it publishes
		_, err := f.Publish(t.Context(), queuetest.NewJobs(1))
		return errors.Is(err, rabbitqueue.ErrUnavailable)
	})
	eventually(t, "the state", func() bool { return f.connError() != nil })
	var n atomic.Int64
	consume(t, f, countJobs(&n))
	eventually(t, "jobs in spite of the alarm", func() bool { return n.Load() >= 3 })
	s.SetMemoryAlarm(false)
	eventually(t, "a job after the alarm", func() bool {
		_, err := f.Publish(t.Context(), queuetest.NewJobs(1))
		return err == nil
	})
	f.awaitConnected(t)
}

func testLostConnections(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s).awaitConnected(t)
	publish(t, f, queuetest.NewJobs(50)...)
	var n, lost atomic.Int64
	consume(t, f, func(context.Context, backfill.Job) error {
		if n.Add(1)%20 == 5 && lost.Add(1) <= 2 {
			s.Rabbitmqctl("close_all_connections", "lost")
		}
		return nil
	})
	eventually(t, "all jobs", func() bool {
		d, err := f.Depth(t.Context())
		return err == nil && n.Load() >= 50 && d.Pending() == 0
	})
	require.True(t, hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == 0 })())
}

func testDeliveryLimit(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s).awaitConnected(t)
	publish(t, f, queuetest.NewJob(1))
	ch := openChannel(t, s)
	for range 100 {
		d, ok, err := ch.Get(f.jobQueue(), false)
		require.NoError(t, err)
		if !ok {
			break
		}
		require.NoError(t, d.Nack(false, true)) // as when its worker was killed
	}
	eventually(
		t,
		"a dead job",
		hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == 1 && d.Pending() == 0 }),
	)
}

func testReplay(t *testing.T, s *rabbittest.Server) {
	f := startQueue(t, s).awaitConnected(t)
	publish(t, f, queuetest.NewJobs(5)...)
	stop := consume(
		t,
		f,
		func(context.Context, backfill.Job) error { return backfill.Discard(errors.New("no, thanks")) },
	)
	eventually(
		t,
		"dead jobs",
		hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == 5 && d.Pending() == 0 }),
	)
	stop()
	require.NoError(
		t,
		openChannel(t, s).PublishWithContext(t.Context(), f.settings.Exchange, f.settings.DeadQueue, true, false,
			amqp.Publishing{Body: []byte("junk")}),
	)
	eventually(t, "junk", hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == 6 }))

	var seen []rabbitqueue.DeadLetter
	require.NoError(
		t,
		rabbitqueue.ReviewDeadLetters(t.Context(), f.settings, func(d rabbitqueue.DeadLetter) rabbitqueue.Decision {
			seen = append(seen, d)
			return rabbitqueue.DecisionKeep
		}),
	)
	require.Len(t, seen, 6)
	require.Equal(t, "attempt 1: discarded: no, thanks", seen[0].Reason)
	require.NoError(t, seen[0].Invalid)
	require.Equal(t, "octo", seen[0].Job.Org)
	require.ErrorIs(t, seen[5].Invalid, backfill.ErrInvalid)
	eventually(t, "all kept", hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == 6 }))

	require.NoError(
		t,
		rabbitqueue.ReviewDeadLetters(t.Context(), f.settings, func(d rabbitqueue.DeadLetter) rabbitqueue.Decision {
			switch {
			case d.Invalid != nil:
				return rabbitqueue.DecisionRemove
			case d.Job.ID == queuetest.NewJob(0).ID:
				return rabbitqueue.DecisionKeep
			default:
				return rabbitqueue.DecisionReplay
			}
		}),
	)
	eventually(
		t,
		"replayed jobs",
		hasDepth(t, f, func(d backfill.Depth) bool { return d.DeadLetters == 1 && d.Ready == 4 }),
	)
	got := make(chan backfill.Job, 10)
	consume(t, f, func(_ context.Context, job backfill.Job) error { got <- job; return nil })
	for range 4 {
		job := <-got
		require.Equal(t, 1, job.Attempt)
		require.Less(t, time.Since(job.CreatedAt), waitTimeout)
	}
}

func TestBrokerKilledAndWiped(t *testing.T) {
	s := rabbittest.Start(t)
	f := startQueue(t, s).awaitConnected(t)
	publish(t, f, queuetest.NewJobs(100)...)
	s.Kill()
	eventually(t, "trouble", func() bool { return f.connError() != nil })
	_, err := f.Publish(t.Context(), queuetest.NewJobs(1))
	require.ErrorIs(t, err, rabbitqueue.ErrUnavailable)
	s.Run()
	f.awaitConnected(t)
	eventually(t, "the confirmed jobs", hasDepth(t, f, func(d backfill.Depth) bool { return d.Ready == 100 }))
	var n atomic.Int64
	consume(t, f, countJobs(&n))
	eventually(t, "all jobs", func() bool { return n.Load() == 100 })
	eventually(t, "an empty queue", hasDepth(t, f, isDrained))

	s.Wipe()
	s.Run()
	f.awaitConnected(t)
	n.Store(0)
	eventually(t, "jobs through the new queues", func() bool {
		_, err := f.Publish(t.Context(), queuetest.NewJobs(1))
		return err == nil && n.Load() > 0
	})

	s.Pause()
	defer s.Resume()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = f.Depth(ctx)
	require.ErrorIs(t, err, rabbitqueue.ErrUnavailable)
}

func TestCloseWithoutBroker(t *testing.T) {
	s := rabbittest.Start(t)
	f := startQueue(t, s).awaitConnected(t)
	consume(t, f, func(context.Context, backfill.Job) error { return nil })
	s.Pause()
	defer s.Resume()
	began := time.Now()
	f.Close()
	require.Less(t, time.Since(began), 5*time.Second)
}

func TestMain(m *testing.M) { os.Exit(m.Run()) }
