// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// coreModule is a module of the collector whose version is that of all its modules.
const coreModule = "go.opentelemetry.io/collector/component"

// TestSupportedRange: the README's configuration runs in collectors of the oldest and of the newest supported version.
func TestSupportedRange(t *testing.T) {
	t.Parallel()
	readme := documents(t)["README.md"]
	for variable, versions := range map[string][2]string{
		"GX_COLLECTOR_OLDEST": {"v1.61.0", "0.155.0"},
		"GX_COLLECTOR":        {"v1.71.0", "0.165.0"},
	} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			program := proctest.ProgramPath(t, variable)
			out, err := exec.CommandContext(t.Context(), "go", "version", "-m", program).CombinedOutput()
			require.NoError(t, err, string(out))
			require.Contains(t, strings.Join(strings.Fields(string(out)), " "), coreModule+" "+versions[0])
			require.Contains(t, readme, versions[1])
			for _, b := range codeBlocks(t, "yaml") {
				retrieved, err := confmap.NewRetrievedFromYAML([]byte(b.text))
				require.NoError(t, err)
				conf, err := retrieved.AsConf()
				require.NoError(t, err)
				if conf.IsSet("service::pipelines") && filepath.Dir(b.file) == "." {
					runDocumentedConfig(t, program, conf, writeConfig(t, b.text))
				}
			}
		})
	}
}
