// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package replicahealth

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// reporterType is the type of components that report their replica's health: until each has, the collector is not
// ready.
var reporterType = component.MustNewType("githubexporter")

// replicaState is what the collector has reported of its components, and the health that follows from it. It is safe
// for concurrent use.
type replicaState struct {
	logger *zap.Logger

	mu             sync.Mutex
	pipelinesReady bool
	components     map[*componentstatus.InstanceID]*componentState
}

// componentState is the last status and the last valid report of a component instance.
type componentState struct {
	name   string
	status componentstatus.Status
	since  time.Time
	err    error
	// mustReport says that the component is of reporterType.
	mustReport       bool
	report           *health.Report
	hasInvalidReport bool // its last report could not be read
}

// newState returns the state before the first report.
func newState(logger *zap.Logger) *replicaState {
	return &replicaState{logger: logger, components: make(map[*componentstatus.InstanceID]*componentState)}
}

// setPipelinesReady records whether the pipelines are ready.
func (s *replicaState) setPipelinesReady(ready bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pipelinesReady = ready
}

// observe records a status event.
func (s *replicaState) observe(source *componentstatus.InstanceID, event *componentstatus.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.components[source]
	if p == nil {
		id := source.ComponentID()
		p = &componentState{
			name:       source.Kind().String() + ":" + id.String(),
			mustReport: source.Kind() == component.KindReceiver && id.Type() == reporterType,
		}
		s.components[source] = p
	}
	if p.status != event.Status() {
		p.since = event.Timestamp()
	}
	p.status, p.err = event.Status(), event.Err()
	s.readReport(p, event)
}

// readReport reads the report of an event. An invalid one leaves the last one in place.
func (s *replicaState) readReport(p *componentState, event *componentstatus.Event) {
	value, found := event.Attributes().Get(health.Attribute)
	if !found {
		return
	}
	raw, ok := value.AsRaw().(map[string]any)
	err := fmt.Errorf("it is a %s", value.Type())
	var report health.Report
	if ok {
		report, err = health.FromMap(raw)
	}
	if err != nil {
		if !p.hasInvalidReport {
			s.logger.Warn("Ignoring an invalid health report; the last valid one is shown.",
				zap.String("component", p.name), zap.Error(err))
		}
		p.hasInvalidReport = true
		return
	}
	p.hasInvalidReport, p.report = false, &report
}

// hasFailed reports whether the component stays failed until the collector restarts.
func (p *componentState) hasFailed() bool {
	return p.status == componentstatus.StatusPermanentError || p.status == componentstatus.StatusFatalError
}

// notReadyReason returns why the component is not ready, "" when it is ready.
func (p *componentState) notReadyReason() string {
	switch {
	case p.hasFailed():
		return p.name + ": " + p.status.String()
	case p.report != nil && !p.report.Ready:
		return p.name + ": " + p.report.Summary()
	case p.report == nil && p.mustReport:
		return p.name + ": has not reported yet"
	default:
		return ""
	}
}

// currentMode returns the mode of the report or, without one, of the status.
func (p *componentState) currentMode() health.Mode {
	switch {
	case p.hasFailed() || p.notReadyReason() != "":
		return health.Unhealthy
	case p.report != nil:
		return p.report.Mode
	case p.status == componentstatus.StatusRecoverableError:
		return health.Degraded
	default:
		return health.Healthy
	}
}

// readiness is the body of /readyz.
type readiness struct {
	Ready   bool     `json:"ready"`
	Reasons []string `json:"reasons,omitempty"`
}

// readiness returns whether the collector is ready, and the reasons why not, sorted.
func (s *replicaState) readiness() readiness {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.readinessLocked()
}

// readinessLocked is readiness for a caller that holds s.mu.
func (s *replicaState) readinessLocked() readiness {
	r := readiness{}
	if !s.pipelinesReady {
		r.Reasons = append(r.Reasons, "the pipelines are not ready")
	}
	if len(s.components) == 0 {
		r.Reasons = append(r.Reasons, "no component has reported its status")
	}
	for _, p := range s.components {
		if why := p.notReadyReason(); why != "" {
			r.Reasons = append(r.Reasons, why)
		}
	}
	slices.Sort(r.Reasons)
	r.Ready = len(r.Reasons) == 0
	return r
}

// detail is the body of /healthz.
type detail struct {
	readiness

	Role       health.Role                 `json:"role,omitempty"`
	Mode       health.Mode                 `json:"mode"`
	Components map[string]*componentDetail `json:"components"`
}

// componentDetail is a component in the body of /healthz.
type componentDetail struct {
	Status        string                 `json:"status"`
	Since         time.Time              `json:"since"`
	Error         string                 `json:"error,omitempty"`
	Role          health.Role            `json:"role,omitempty"`
	Ready         *bool                  `json:"ready,omitempty"`
	Mode          health.Mode            `json:"mode"`
	ModeSince     *time.Time             `json:"mode_since,omitempty"`
	Dependencies  map[string]dependency  `json:"dependencies,omitempty"`
	Organizations map[string]health.Role `json:"organizations,omitempty"`
}

// dependency is a dependency of a component in the body of /healthz.
type dependency struct {
	Healthy  bool      `json:"healthy"`
	Required bool      `json:"required"`
	Since    time.Time `json:"since"`
	Detail   string    `json:"detail,omitempty"`
}

// modesBySeverity are the modes from the best to the worst.
var modesBySeverity = []health.Mode{health.Healthy, health.Degraded, health.Unhealthy}

// detail returns the health of the collector and of each component.
func (s *replicaState) detail() detail {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := detail{
		readiness:  s.readinessLocked(),
		Mode:       health.Healthy,
		Components: make(map[string]*componentDetail, len(s.components)),
	}
	if !d.Ready {
		d.Mode = health.Unhealthy
	}
	for _, p := range s.components {
		mode := p.currentMode()
		if slices.Index(modesBySeverity, mode) > slices.Index(modesBySeverity, d.Mode) {
			d.Mode = mode
		}
		if p.report != nil && d.Role != health.Leader {
			d.Role = p.report.Role
		}
		d.Components[p.name] = p.describe(mode)
	}
	return d
}

// describe returns the component as the body of /healthz shows it.
func (p *componentState) describe(mode health.Mode) *componentDetail {
	c := &componentDetail{Status: p.status.String(), Since: p.since.UTC(), Mode: mode}
	if p.err != nil {
		c.Error = p.err.Error()
	}
	if r := p.report; r != nil {
		since := r.Since
		c.Role, c.Ready, c.ModeSince, c.Organizations = r.Role, &r.Ready, &since, maps.Clone(r.Organizations)
		c.Dependencies = make(map[string]dependency, len(r.Dependencies))
		for _, d := range r.Dependencies {
			c.Dependencies[d.Name] = dependency{
				Healthy:  d.Healthy,
				Required: d.Required,
				Since:    d.Since,
				Detail:   d.Detail,
			}
		}
	}
	return c
}
