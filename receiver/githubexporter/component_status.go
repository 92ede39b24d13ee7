// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"errors"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// statusReporter reports each change of a replica's health as the component status, with the whole report among the
// attributes of the event. The status is the readiness of the replica, so that an extension which makes an HTTP code of
// it can be probed: ok while the replica is ready, also where it is degraded, a recoverable error while it is not
// ready, and a permanent error once it cannot become ready in this process. It is not safe for concurrent use.
type statusReporter struct {
	host   component.Host
	outage *outage // nil while the replica is ready
	// failed says that a permanent error was reported. The collector accepts no status after it.
	failed bool
}

// report reports a health report, which differs from the last one, as a component status event.
func (s *statusReporter) report(r health.Report) {
	if s.failed {
		return
	}
	attributes := pcommon.NewMap()
	if err := attributes.FromRaw(map[string]any{health.Attribute: r.ToMap()}); err != nil {
		attributes = pcommon.NewMap() // cannot be: a report has plain values
	}
	var event *componentstatus.Event
	switch {
	case r.HasFailed():
		s.failed = true
		event = componentstatus.NewEvent(componentstatus.StatusPermanentError,
			componentstatus.WithError(errors.New(r.Summary())), componentstatus.WithAttributes(attributes))
	case r.Ready:
		s.outage = nil
		event = componentstatus.NewEvent(componentstatus.StatusOK, componentstatus.WithAttributes(attributes))
	default:
		if s.outage == nil {
			s.outage = &outage{}
		}
		event = s.outage.nextEvent(r.Summary(), attributes)
	}
	componentstatus.ReportStatus(s.host, event)
}

// maxReasons is the number of events that are made at the start of an outage. After so many changes of the reason
// further ones are made, with a later timestamp.
const maxReasons = 128

// outage makes the events of a time without readiness. healthcheckv2 counts its recovery_duration from the timestamp of
// the newest event, which is the time at which the event was made. With an event made for each new reason, a replica
// whose reason changes often would count as healthy for ever. So the events are made when the outage begins, and get
// their reason and attributes when they are reported.
type outage struct{ events []outageEvent }

// outageEvent is an event that was not reported yet, with its parts that nextEvent fills in.
type outageEvent struct {
	event      *componentstatus.Event
	reason     *outageReason
	attributes pcommon.Map
}

// outageReason is the error of an event. It does not change after the event was reported.
type outageReason struct{ text string }

// Error implements error.
func (r *outageReason) Error() string { return r.text }

// nextEvent returns an event with the present reason, and with the time at which the outage began.
func (o *outage) nextEvent(reason string, attributes pcommon.Map) *componentstatus.Event {
	if len(o.events) == 0 {
		o.events = make([]outageEvent, maxReasons)
		for i := range o.events {
			e := &o.events[i]
			e.reason, e.attributes = &outageReason{}, pcommon.NewMap()
			e.event = componentstatus.NewEvent(componentstatus.StatusRecoverableError,
				componentstatus.WithError(e.reason), componentstatus.WithAttributes(e.attributes))
		}
	}
	e := o.events[0]
	o.events = o.events[1:]
	e.reason.text = reason
	attributes.MoveTo(e.attributes)
	return e.event
}
