// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package emit

import (
	"crypto/rand"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// instanceKey is the attribute that identifies a process
// (https://opentelemetry.io/docs/specs/semconv/registry/attributes/service/).
const instanceKey = "service.instance.id"

// receiverKey is the label that identifies a receiver of a collector, as in the collector's own telemetry.
const receiverKey = "receiver"

// identity has the labels that distinguish the series of this receiver from those of other replicas and receivers.
type identity struct {
	// instance is the service.instance.id of the replica.
	instance string
	// receiver is the id of a receiver with a name; empty for the one without.
	receiver string
	// inScope says that the scope of an organization's metrics has the instance, because every replica emits them. It
	// is no attribute of the resource, which the Prometheus exporter would make a label.
	inScope bool
}

// newIdentity returns the identity of the receiver that the settings describe.
func newIdentity(settings *Settings) identity {
	id := identity{
		instance: instanceID(settings.Receiver.Resource),
		inScope:  settings.Elected && !settings.FromLeader,
	}
	if settings.Receiver.ID.Name() != "" {
		id.receiver = settings.Receiver.ID.String()
	}
	return id
}

// instanceID returns the collector's own service.instance.id, or one for this process where the collector has none.
func instanceID(resource pcommon.Resource) string {
	if value, ok := resource.Attributes().Get(instanceKey); ok && value.AsString() != "" {
		return value.AsString()
	}
	host, err := os.Hostname()
	if err != nil {
		host = "replica"
	}
	return host + "-" + strings.ToLower(rand.Text()[:10])
}

// setScopeInstance adds the identity to the scope of an organization's metrics.
func (i *identity) setScopeInstance(scope pcommon.InstrumentationScope) {
	if i.inScope {
		scope.Attributes().PutStr(instanceKey, i.instance)
	}
}

// setReceiverLabel adds the label receiver to every point of a replica's metrics.
func (i *identity) setReceiverLabel(md pmetric.Metrics) {
	if i.receiver == "" {
		return
	}
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				for _, point := range points(m).All() {
					point.Attributes().PutStr(receiverKey, i.receiver)
				}
			}
		}
	}
}

const (
	// exporterModule is the path of this module, collectorModule that of the module whose version is the collector's.
	exporterModule  = "github.com/seed-358c4d9d/githubexporter"
	collectorModule = "go.opentelemetry.io/collector/otelcol"
	// unknown is the value of what the build did not record, unversioned the version of a module that was built from a
	// folder.
	unknown     = "unknown"
	unversioned = "v0.0.0"
)

// revision is the commit that the process was built from. `make build` sets it.
var revision string //nolint:gochecknoglobals // the linker sets it

// buildInfo identifies the build of the process.
type buildInfo struct{ version, revision, goVersion, collector string }

// readBuildInfo returns the build as the linker recorded it. The version is that of the distribution unless the
// exporter has one.
func readBuildInfo(distribution *component.BuildInfo) buildInfo {
	b := buildInfo{
		version: distribution.Version, revision: revision, goVersion: runtime.Version(), collector: unknown,
	}
	info, ok := debug.ReadBuildInfo()
	if ok {
		b.readModules(info)
	}
	if b.revision == "" {
		b.revision = unknown
	}
	return b
}

// readModules reads the versions of the collector and the exporter, and the revision where the exporter is the main
// module.
func (b *buildInfo) readModules(info *debug.BuildInfo) {
	for _, dependency := range info.Deps {
		switch dependency.Path {
		case collectorModule:
			b.collector = dependency.Version
		case exporterModule:
			if dependency.Version != unversioned {
				b.version = dependency.Version
			}
		}
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && info.Main.Path == exporterModule && b.revision == "" {
			b.revision = setting.Value
		}
	}
}
