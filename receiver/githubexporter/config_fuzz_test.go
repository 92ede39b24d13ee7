// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/xconfmap"

	"github.com/seed-358c4d9d/githubexporter/internal/activity"
)

// FuzzConfig shows that no configuration panics, and that a valid one can be used.
func FuzzConfig(f *testing.F) {
	full, err := os.ReadFile(filepath.Join("testdata", "config.yaml"))
	require.NoError(f, err)
	f.Add(string(full))
	f.Add(valid)
	f.Add("orgs: [{name: a, auth: {app: {app_id: 1, installation_id: 2, private_key: '-----BEGIN'}}}]")
	f.Add("orgs: {a: b}\ngithub: [1]\nactors: null")
	f.Fuzz(func(t *testing.T, text string) {
		retrieved, err := confmap.NewRetrievedFromYAML([]byte(text))
		if err != nil {
			return
		}
		conf, err := retrieved.AsConf()
		if err != nil {
			return
		}
		config := createDefaultConfig().(*Config)
		if conf.Unmarshal(config) != nil || xconfmap.Validate(config) != nil {
			return
		}
		newUserLabels(&config.Actors).labelFor(activity.Ghost())
		for i := range config.Orgs {
			_, err := config.Orgs[i].filter()
			require.NoError(t, err)
		}
	})
}
