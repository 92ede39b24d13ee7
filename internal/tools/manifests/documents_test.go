// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	coordination "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var (
	yamlBlock   = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```")
	exampleLink = regexp.MustCompile(`\(\./examples/([a-z-]+)\.yaml\)`)
	leaseBlock  = regexp.MustCompile(`(?s)<<'YAML'\n(.*?)\n    YAML`)
)

// kustomizeReadme is the page that describes the overlays.
func kustomizeReadme(t *testing.T) string {
	t.Helper()
	return readFile(t, filepath.Join(deployDir, "kustomize", "README.md"))
}

// TestOverlayOfTheReadme builds the overlay that the page describes.
func TestOverlayOfTheReadme(t *testing.T) {
	blocks := yamlBlock.FindAllStringSubmatch(kustomizeReadme(t), -1)
	require.Len(t, blocks, 1)
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS(filepath.Join(deployDir, "kustomize"))))
	mine := filepath.Join(root, "overlays", "mine")
	require.NoError(t, os.Mkdir(mine, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(mine, "kustomization.yaml"), []byte(blocks[0][1]), 0o600))
	objects, err := BuildOverlay(mine)
	require.NoError(t, err)
	s := source{"mine", objects}
	image := decode[apps.Deployment](t, s, "Deployment").Spec.Template.Spec.Containers[0].Image
	require.Equal(t, "registry.example.com/githubexporter:0.1.0", image)
	settings, _, err := unstructured.NestedStringMap(s.find("ConfigMap", "githubexporter-settings").Object, "data")
	require.NoError(t, err)
	require.Equal(t, map[string]string{
		"GITHUB_ORG": "open-telemetry", "REDIS_ENDPOINT": "redis.example.com:6379",
		"RABBITMQ_ENDPOINT": "amqps://rabbitmq.example.com/",
	}, settings)
}

// TestLeaseOfTheReadme decodes the Lease that an operator makes by hand.
func TestLeaseOfTheReadme(t *testing.T) {
	block := leaseBlock.FindStringSubmatch(kustomizeReadme(t))
	require.NotNil(t, block)
	objects, err := decodeObjects([]byte(strings.ReplaceAll("\n"+block[1], "\n    ", "\n")))
	require.NoError(t, err)
	lease := decode[coordination.Lease](t, source{"lease", objects}, "Lease")
	role := loadOverlay(t, "prod").find("Role", "")
	require.Equal(t, role.GetNamespace(), lease.Namespace)
	rules, _, err := unstructured.NestedSlice(role.Object, "rules")
	require.NoError(t, err)
	require.Equal(t, []any{lease.Name}, rules[0].(map[string]any)["resourceNames"])
}

// TestExamplesAreListed compares the list of the examples with the folder.
func TestExamplesAreListed(t *testing.T) {
	var listed []string
	for _, link := range exampleLink.FindAllStringSubmatch(readFile(t, filepath.Join(chartDir, "README.md")), -1) {
		listed = append(listed, link[1])
	}
	require.ElementsMatch(t, exampleNames(t), listed)
}
