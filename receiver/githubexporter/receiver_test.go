// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// host is a collector that remembers the component status and has extensions.
type host struct {
	component.Host
	extensions map[component.ID]component.Component

	mu       sync.Mutex
	statuses []componentstatus.Status
}

func (h *host) Report(event *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statuses = append(h.statuses, event.Status())
}

func (h *host) GetExtensions() map[component.ID]component.Component { return h.extensions }

func (h *host) reported() []componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.statuses)
}

// points returns the data points of a gauge or a sum; none of a histogram.
func points(m pmetric.Metric) pmetric.NumberDataPointSlice {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints()
	case pmetric.MetricTypeGauge:
		return m.Gauge().DataPoints()
	default:
		return pmetric.NewNumberDataPointSlice()
	}
}

// sinkOf records metrics and signals each arrival.
type sinkOf struct {
	consumertest.MetricsSink
	arrived chan struct{}
}

func newSink() *sinkOf { return &sinkOf{arrived: make(chan struct{}, 1)} }

func (s *sinkOf) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	err := s.MetricsSink.ConsumeMetrics(ctx, md)
	select {
	case s.arrived <- struct{}{}:
	default:
	}
	return err
}

// until waits until check is true of what has arrived.
func (s *sinkOf) until(t *testing.T, check func(last map[string]int) bool) {
	t.Helper()
	for {
		names := make(map[string]int)
		for _, md := range s.AllMetrics() {
			for _, rm := range md.ResourceMetrics().All() {
				for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
					names[m.Name()] += points(m).Len()
				}
			}
		}
		if check(names) {
			return
		}
		select {
		case <-s.arrived:
		case <-t.Context().Done():
			require.Fail(t, "the test is over")
		}
	}
}

func testServer(t *testing.T) *githubtest.Server {
	t.Helper()
	data, err := githubtest.LoadDataset(os.DirFS("../../testdata/open-telemetry"))
	require.NoError(t, err)
	return githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}})
}

func testConfig(server *githubtest.Server) *Config {
	config := createDefaultConfig().(*Config)
	config.GitHub.Endpoint = server.URL
	config.GitHub.Retry = RetryConfig{MaxAttempts: 1, InitialInterval: time.Millisecond, MaxInterval: time.Millisecond}
	config.EmitInterval = 50 * time.Millisecond
	org := defaultOrg()
	org.Name = "open-telemetry"
	token := configopaque.String(githubtest.DefaultToken)
	org.Auth.Token = &token
	org.ScrapeInterval = 100 * time.Millisecond
	config.Orgs = []OrgConfig{org}
	return config
}

// TestStatusOnChanges reports trouble once when it begins and its end once, not with every pass.
func TestStatusOnChanges(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	h := &host{Host: componenttest.NewNopHost()}
	sink := newSink()
	r, err := newReceiver(testConfig(server), receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), h))
	sink.until(t, func(names map[string]int) bool { return names["gh.activity.commits"] > 0 })
	good := func(map[string]int) bool {
		list := h.reported()
		return len(list) > 0 && list[len(list)-1] == componentstatus.StatusOK && r.monitor.Leads("open-telemetry")
	}
	sink.until(t, good)
	begun := len(h.reported())
	server.InjectFault(githubtest.Fault{Effect: githubtest.Status(401)})
	sink.until(t, func(map[string]int) bool { return len(h.reported()) > begun })
	before := len(sink.AllMetrics())
	sink.until(t, func(map[string]int) bool { return len(sink.AllMetrics()) > before+20 })
	degraded := len(h.reported())
	require.LessOrEqual(t, degraded, begun+2, "a pass may fail in the middle before the next ones fail at once")
	require.Equal(t, health.Degraded, r.monitor.Report().Mode)
	server.ClearFaults()
	sink.until(t, func(map[string]int) bool { return r.monitor.Report().Mode == health.Healthy })
	require.Len(t, h.reported(), degraded+1)
	for _, status := range h.reported()[begun:] {
		require.Equal(t, componentstatus.StatusOK, status, "degraded is ready")
	}
	require.NoError(t, r.Shutdown(t.Context()))
}

// TestTraces: a pass is a span, and the requests it makes are spans below it, by the collector's own tracer provider.
func TestTraces(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	recorder := tracetest.NewSpanRecorder()
	settings := receivertest.NewNopSettings(metadata.Type)
	settings.TracerProvider = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	sink := newSink()
	r, err := newReceiver(testConfig(server), settings, sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
	sink.until(t, func(names map[string]int) bool { return names["gh.exporter.leader_cycle_last_run_unixtime"] > 0 })
	require.NoError(t, r.Shutdown(t.Context()))
	passes, requests := make(map[string]bool), 0
	for _, span := range recorder.Ended() {
		if span.Name() == "githubexporter/pass" {
			passes[span.SpanContext().SpanID().String()] = true
		}
	}
	for _, span := range recorder.Ended() {
		if passes[span.Parent().SpanID().String()] {
			requests++
		}
		for _, attribute := range span.Attributes() {
			require.NotContains(t, attribute.Value.String(), githubtest.DefaultToken)
		}
	}
	require.NotEmpty(t, passes)
	require.Positive(t, requests)
}

// bearer is a client auth extension.
type bearer struct {
	component.StartFunc
	component.ShutdownFunc
	token string
}

func (b *bearer) RoundTripper(base http.RoundTripper) (http.RoundTripper, error) {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		authorized := request.Clone(request.Context())
		authorized.Header.Set("Authorization", "Bearer "+b.token)
		return base.RoundTrip(authorized)
	}), nil
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// TestAuthenticator reads with the credential of a client auth extension.
func TestAuthenticator(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	id := component.MustNewIDWithName("bearertokenauth", "github")
	config := testConfig(server)
	config.Orgs[0].Auth = AuthConfig{Authenticator: &id}
	sink := newSink()
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	extensions := map[component.ID]component.Component{id: &bearer{token: githubtest.DefaultToken}}
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost(), extensions: extensions}))
	sink.until(t, func(names map[string]int) bool { return names["gh.activity.commits"] > 0 })
	require.NoError(t, r.Shutdown(t.Context()))

	r, err = newReceiver(config, receivertest.NewNopSettings(metadata.Type), newSink())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()), "bearertokenauth/github")
}

// TestStopAtAnyMoment stops while requests hang, while the look-back is read, and at once after the start. The leak
// check of the package sees what is left.
func TestStopAtAnyMoment(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	for _, fault := range []*githubtest.Fault{
		nil,
		{Effect: githubtest.Hang()},
		{Effect: githubtest.SlowBody(20 * time.Millisecond)},
	} {
		server.ClearFaults()
		if fault != nil {
			server.InjectFault(*fault)
		}
		for _, after := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond, 150 * time.Millisecond} {
			r, err := newReceiver(testConfig(server), receivertest.NewNopSettings(metadata.Type), newSink())
			require.NoError(t, err)
			require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
			<-time.After(after)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			require.NoError(t, r.Shutdown(ctx))
			require.NoError(t, ctx.Err())
			cancel()
		}
	}
}

// TestStorageReferences names what is wrong with the storage.
func TestStorageReferences(t *testing.T) {
	t.Parallel()
	server := testServer(t)
	config := testConfig(server)
	config.Storage = "file_storage/none"
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), newSink())
	require.NoError(t, err)
	require.ErrorContains(t, r.Start(t.Context(), componenttest.NewNopHost()),
		`there is no extension "file_storage/none"`)
	id := component.MustNewIDWithName("file_storage", "none")
	h := &host{Host: componenttest.NewNopHost(), extensions: map[component.ID]component.Component{id: &bearer{}}}
	require.ErrorContains(t, r.Start(t.Context(), h), "stores nothing")
}

// TestInvalidValues: what GitHub says that cannot be is counted, and nothing else suffers.
func TestInvalidValues(t *testing.T) {
	t.Parallel()
	login, at := "somebody", time.Now().Add(-time.Hour).Truncate(time.Second)
	data := &githubtest.Dataset{
		Org:   githubtest.Org{Login: "open-telemetry", From: at.Add(-time.Hour), Until: at},
		Repos: []githubtest.Repo{{Name: "repo", DefaultBranch: "main", CreatedAt: at.Add(-time.Hour)}},
	}
	for n := range 5 {
		data.Commits = append(data.Commits, githubtest.Commit{
			Repo: "repo", SHA: fmt.Sprintf("%040x", n+1), Login: &login, AuthoredAt: at, CommittedAt: at, Additions: 3,
			Parents: 1,
		})
	}
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}})
	server.InjectFault(githubtest.Fault{
		Match: githubtest.Match{Route: "/repos/{owner}/{repo}/commits/{ref...}"}, Times: 3,
		Effect: githubtest.Status(422),
	})
	config := testConfig(server)
	config.GitHub.API = "rest"
	sink := newSink()
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), &host{Host: componenttest.NewNopHost()}))
	sink.until(t, func(map[string]int) bool { return lastValue(sink, "gh.exporter.invalid_values") == 3 })
	require.NoError(t, r.Shutdown(t.Context()))
}

// lastValue is the newest value of a sum with one series; -1 before there is any.
func lastValue(s *sinkOf, name string) int64 {
	value := int64(-1)
	for _, md := range s.AllMetrics() {
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Name() == name {
					value = m.Sum().DataPoints().At(0).IntValue()
				}
			}
		}
	}
	return value
}

// TestNotReadyBeforeTheBrokerIs: a replica whose broker has not said anything yet is not ready, however well all else
// does.
func TestNotReadyBeforeTheBrokerIs(t *testing.T) {
	t.Parallel()
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, silent.Close()) }()
	h := &host{Host: componenttest.NewNopHost()}
	sink := newSink()
	config := testConfig(testServer(t))
	config.RabbitMQ.Endpoint = "amqp://" + silent.Addr().String()
	r, err := newReceiver(config, receivertest.NewNopSettings(metadata.Type), sink)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), h))
	sink.until(t, func(names map[string]int) bool {
		// a pass is over
		r.access.refresh()
		return names["gh.activity.commits_24h"] > 0 && r.monitor.Leads("open-telemetry") &&
			r.access.errorOf("open-telemetry") == nil
	})
	emitted := len(sink.AllMetrics())
	sink.until(t, func(map[string]int) bool { return len(sink.AllMetrics()) > emitted+5 })
	require.NotContains(t, h.reported(), componentstatus.StatusOK)
	report := r.monitor.Report()
	require.False(t, report.Ready)
	for _, d := range report.Dependencies {
		require.Equal(t, d.Name != health.AMQP, d.Healthy, d.Name) // a leader need not consume
	}
	require.NoError(t, r.Shutdown(t.Context()))
}
