// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// selfMetrics makes the exporter's own metrics. Those of an organization are the same whichever replica emits them, and
// come from the replicas that emit the organization. Those of the replica carry its identity, and come from every
// replica (docs/own-metrics.md). It belongs to the emitter.
type selfMetrics struct {
	settings  *Settings
	builder   *metadata.MetricsBuilder
	templates *metricTemplates
	// copilotTemplates is nil where Copilot reports are not shown.
	copilotTemplates *copilotTemplates
	identity         identity
	build            buildInfo
	started          pcommon.Timestamp
	ended            *endedSeries
	sums             counterSum
}

func newSelfMetrics(
	settings *Settings, id identity, templates *metricTemplates, copilot *copilotTemplates,
) *selfMetrics {
	started := pcommon.NewTimestampFromTime(time.Now())
	return &selfMetrics{
		settings: settings, templates: templates, copilotTemplates: copilot, started: started,
		identity: id, build: readBuildInfo(&settings.Receiver.BuildInfo), ended: newEndedSeries(),
		builder: metadata.NewMetricsBuilder(settings.Metrics, settings.Receiver, metadata.WithStartTime(started)),
	}
}

// buildMetrics returns the exporter's own metrics at a time, with the staleness markers of those that ended.
func (s *selfMetrics) buildMetrics(orgs []*organization, now time.Time) pmetric.Metrics {
	at := pcommon.NewTimestampFromTime(now)
	all := pmetric.NewMetrics()
	for _, org := range orgs {
		if org.emits {
			s.recordOrganization(org, now, at)
			s.emitOrganization(org, all)
		} else {
			s.ended.dropResource(s.organizationResource(org.Org)) // another replica emits its series
		}
		s.recordReplicaOf(org, at)
		s.emitReplica(org.Org, all)
	}
	s.recordReplica(orgs, now, at)
	s.emitReplica("", all)
	s.ended.appendMarkers(all, at)
	return all
}

// organizationResource returns the resource of the series of an organization.
func (s *selfMetrics) organizationResource(org string) pcommon.Resource {
	resource := s.builder.NewResourceBuilder()
	resource.SetVcsOwnerName(org)
	resource.SetVcsProviderName(providerName)
	return resource.Emit()
}

// emitOrganization moves the recorded points of an organization into all. Their start is the start of its ledger, on
// every replica and after every restart.
func (s *selfMetrics) emitOrganization(org *organization, all pmetric.Metrics) {
	start := s.started
	if began := org.summary.LedgerStart; !began.IsZero() {
		start = pcommon.NewTimestampFromTime(began)
	}
	md := s.builder.Emit(
		metadata.WithResource(s.organizationResource(org.Org)), metadata.WithStartTimeOverride(start))
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			s.identity.setScopeInstance(sm.Scope())
		}
	}
	appendTo(all, md)
}

// emitReplica moves the recorded points of this replica into all: those about an organization unless org is empty.
func (s *selfMetrics) emitReplica(org string, all pmetric.Metrics) {
	resource := s.builder.NewResourceBuilder()
	resource.SetServiceInstanceID(s.identity.instance)
	if org != "" {
		resource.SetVcsOwnerName(org)
	}
	resource.SetVcsProviderName(providerName)
	md := s.builder.Emit(metadata.WithResource(resource.Emit()))
	s.identity.setReceiverLabel(md)
	appendTo(all, md)
}

// appendTo moves metrics to the end of all.
func appendTo(all, md pmetric.Metrics) {
	for _, rm := range md.ResourceMetrics().All() {
		rm.SetSchemaUrl(schemaURL)
	}
	md.ResourceMetrics().MoveAndAppendTo(all.ResourceMetrics())
}

// boolValue returns 1 for true and 0 for false.
func boolValue(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
