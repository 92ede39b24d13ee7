// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package replicahealth

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension"

	"github.com/seed-358c4d9d/githubexporter/extension/replicahealth/internal/metadata"
)

// NewFactory is the factory of the replica_health extension.
func NewFactory() extension.Factory {
	return extension.NewFactory(metadata.Type, createDefaultConfig, create, metadata.ExtensionStability)
}

func create(_ context.Context, settings extension.Settings, config component.Config) (extension.Extension, error) {
	return &server{config: config.(*Config), settings: settings, state: newState(settings.Logger)}, nil
}
