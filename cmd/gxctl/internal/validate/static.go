// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package validate

import (
	"fmt"
	"slices"

	"github.com/seed-358c4d9d/githubexporter/cmd/gxctl/internal/collectorconfig"
)

// checkStatic checks the settings of the components, and how they refer to each other.
func checkStatic(results *report, collector *collectorconfig.Collector) {
	const check = "configuration"
	if !slices.ContainsFunc(collector.Components, func(c collectorconfig.Component) bool { return c.IsReceiver }) {
		results.add(check, "receivers", StatusFail, "there is no receiver githubexporter", "add one to receivers")
	}
	for _, component := range collector.Components {
		for _, problem := range component.Problems {
			results.add(check, component.Path, StatusFail, oneLine(problem), "")
		}
		if len(component.Problems) == 0 {
			results.add(check, component.Path, StatusOK, "every setting is valid", "")
		}
	}
	for _, receiver := range collector.Receivers {
		checkReferences(results, collector, &receiver)
	}
}

// checkReferences checks that the pipelines use a receiver, and that its extensions exist.
func checkReferences(results *report, collector *collectorconfig.Collector, receiver *collectorconfig.Receiver) {
	const check = "configuration"
	if !slices.Contains(collector.PipelineReceivers, receiver.ID) {
		results.add(check, receiver.ID, StatusWarn, "no pipeline has this receiver: nothing is read",
			"add it to service::pipelines::metrics::receivers")
	}
	wanted := map[string]string{}
	if receiver.Config.Storage != "" {
		wanted["storage"] = receiver.Config.Storage
	}
	if id := receiver.Config.LeaderElection; id != nil {
		wanted["leader_election"] = id.String()
	}
	for i := range receiver.Config.Orgs {
		if id := receiver.Config.Orgs[i].Auth.Authenticator; id != nil {
			wanted[fmt.Sprintf("orgs::%d::auth::authenticator", i)] = id.String()
		}
	}
	for setting, extension := range wanted {
		if !slices.Contains(collector.Extensions, extension) {
			results.add(check, receiver.ID, StatusFail,
				fmt.Sprintf("%s: the extension %q does not run", setting, extension),
				"configure it under extensions, and list it in service::extensions")
		}
	}
}
