// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestCompose: the replicas of the compose file run the documented image with the configuration that they mount, whose
// health page is where the image's own health check asks.
func TestCompose(t *testing.T) {
	t.Parallel()
	const folder = "examples/redis-ha"
	var compose struct {
		Services map[string]struct {
			Image            string
			Command, Volumes []string
			Environment      map[string]string
			Ports            []string
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(readFile(t, folder, "compose.yaml")), &compose))
	image := find(t, `docker build --build-arg \S+ \S+ HEAD\) --tag (\S+) `, "docs", "installing.md")
	require.Contains(t, readFile(t, folder, "compose.yaml"), "HEAD) --tag "+image+" .\n")
	for _, name := range []string{"replica-1", "replica-2", "replica-3"} {
		replica := compose.Services[name]
		require.Equal(t, image, replica.Image)
		require.Len(t, replica.Volumes, 1)
		mount := strings.Split(replica.Volumes[0], ":")
		require.Equal(t, []string{"--config", mount[1]}, replica.Command)
		require.Equal(t, "0.0.0.0:13133", replica.Environment["GX_HEALTH_ENDPOINT"])
		require.Regexp(t, `^127\.0\.0\.1:\d+:13133$`, replica.Ports[0])

		var env []string
		for variable, value := range replica.Environment {
			if !strings.Contains(value, "${") {
				env = append(env, variable+"="+value)
			}
		}
		out := runCommand(t, tree(t), append(env, "GITHUB_ORG=acme", "GITHUB_TOKEN=abc"),
			programs(t)["otelcol-githubexporter"], "validate", "--config", filepath.Join(folder, mount[0]))
		require.Empty(t, out)
	}
}
