package leaderelector

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/election"
	"github.com/seed-358c4d9d/githubexporter/internal/election/redislease"
	"github.com/seed-358c4d9d/githubexporter/internal/election/static"
)

// backend is what a backend gives.
type backend interface {
	Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error
}

// elector is the extension.
type elector struct {
	config   *Config
	settings extension.Settings
	identity string
	status   statusReporter

	backend backend
	// leaseName is a lease's name as the backend has it.
	leaseName func(name string) string
	closer    io.Closer // of the backend's connections, or nil
	callbacks *callbacks
}

var _ extension.Extension = (*elector)(nil)

func newElector(config *Config, settings extension.Settings) *elector {
	return &elector{config: config, settings: settings, status: statusReporter{logger: settings.Logger}}
}

// Start makes the backend. It fails for what only another configuration can mend, never because a server is out of
// reach.
func (e *elector) Start(ctx context.Context, host component.Host) error {
	e.identity = e.config.Identity
	if e.identity == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "replica"
		}
		e.identity = name + "-" + strings.ToLower(rand.Text()[:10])
	}
	e.status.host = host
	var err error
	if e.backend, err = e.openBackend(ctx); err != nil {
		return err
	}
	e.callbacks = newCallbacks(e.backend)
	e.settings.Logger.Info("Campaigning for leadership.", zap.String("identity", e.identity),
		zap.Duration("lease_duration", e.config.LeaseDuration))
	return nil
}

func (e *elector) openBackend(ctx context.Context) (backend, error) {
	switch {
	case e.config.Static != nil:
		return election.New(static.New(e.config.Static.Role == roleLeader), e.config.timing(), nil, e.status.hooks()), nil
	case e.config.Redis != nil:
		e.leaseName = redislease.LeaseName
		client, err := e.config.Redis.Connect(ctx)
		if err != nil {
			return nil, fmt.Errorf("redis: %w", err)
		}
		e.closer = client
		leases := redislease.New(client, redislease.Settings{
			Prefix: e.config.Redis.KeyPrefix, Identity: e.identity, Duration: e.config.LeaseDuration,
		})
		return election.New(leases, e.config.timing(), leases, e.status.hooks()), nil
	default:
		return e.openKubernetes()
	}
}

// Shutdown ends the terms of contrib's callbacks; those of Lead end with its callers' contexts. Extensions stop after
// receivers.
func (e *elector) Shutdown(context.Context) error {
	if e.callbacks != nil {
		e.callbacks.stop()
	}
	if e.closer != nil {
		return e.closer.Close()
	}
	return nil
}

// Lead blocks. While this replica holds the lease called name it runs work with a context that ends with the term,
// waits for it, releases the lease, and campaigns again, until ctx ends. fence grows with every term, for ever.
func (e *elector) Lead(ctx context.Context, name string, work func(ctx context.Context, fence uint64) error) error {
	return e.backend.Lead(ctx, name, work)
}

// SetCallBackFuncs calls start when this replica begins to lead, with a context that ends with the term, and stop when
// it has ended: the interface of contrib's k8s_leader_elector. Callbacks run in goroutines of their own. A stop follows
// its start, and there is none without one. Who registers during a term starts in it. All callbacks share one lease.
func (e *elector) SetCallBackFuncs(start func(context.Context), stop func()) {
	e.callbacks.register(start, stop)
}

// statusReporter logs what happens, on changes only, and tells the collector how the backend does.
type statusReporter struct {
	host   component.Host
	logger *zap.Logger

	mu     sync.Mutex
	leases map[string]*leaseStatus
	// reportedKind is the kind of the error in the component status, "" for none.
	reportedKind string
}

func (r *statusReporter) hooks() election.Hooks {
	return election.Hooks{OnBackend: r.onBackend, OnTermStart: r.onTermStart, OnTermEnd: r.onTermEnd, OnHeld: r.onHeld}
}

func (r *statusReporter) onTermStart(t election.Term) {
	r.setLeads(t.Name, true)
	r.logger.Info("This replica leads.", zap.String("lease", t.Name), zap.Uint64("fence", t.Fence))
}

func (r *statusReporter) onTermEnd(t election.Term, why error) {
	r.setLeads(t.Name, false)
	r.logger.Info("This replica leads no more.", zap.String("lease", t.Name), zap.Uint64("fence", t.Fence), zap.NamedError("why", why))
}
