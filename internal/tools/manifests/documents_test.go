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
	"helm.sh/helm/v3/pkg/chartutil"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
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

// overlayLink matches the link to an overlay.
var overlayLink = regexp.MustCompile(`\| \[overlays/([a-z-]+)\]\(\./overlays/[a-z-]+\) \|`)

// listedSources returns the overlays and the examples that the pages list, by their names as sources. Other overlays
// are only on this machine.
func listedSources(t *testing.T) map[string]bool {
	t.Helper()
	listed := map[string]bool{}
	for _, link := range overlayLink.FindAllStringSubmatch(kustomizeReadme(t), -1) {
		listed["overlay "+link[1]] = true
	}
	require.NotEmpty(t, listed)
	for _, name := range exampleNames(t) {
		listed["example "+name] = true
	}
	return listed
}

// overlayOfTheReadme builds the overlay that the page describes.
func overlayOfTheReadme(t *testing.T) source {
	t.Helper()
	blocks := yamlBlock.FindAllStringSubmatch(kustomizeReadme(t), -1)
	require.Len(t, blocks, 1)
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, os.DirFS(filepath.Join(deployDir, "kustomize"))))
	mine := filepath.Join(root, "overlays", "of-the-readme")
	require.NoError(t, os.Mkdir(mine, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(mine, "kustomization.yaml"), []byte(blocks[0][1]), 0o600))
	objects, err := BuildOverlay(mine)
	require.NoError(t, err)
	return source{"of the README", objects}
}

// TestOverlayOfTheReadme: the overlay that the page describes is complete. Its pods reach the endpoints that it sets,
// at the addresses that it names, and no longer those of the overlay that it begins with.
func TestOverlayOfTheReadme(t *testing.T) {
	s := overlayOfTheReadme(t)
	require.Equal(t, "registry.example.com/githubexporter:0.1.0", container(t, s).Image)
	settings := environment(t, s)
	require.Equal(t, "redis.example.com:6379", settings["REDIS_ENDPOINT"])
	require.Equal(t, "amqps://rabbitmq.example.com/", settings["RABBITMQ_ENDPOINT"])
	require.Contains(t, collectorConfig(t, s), "name: ${env:GITHUB_ORG}\n")
	require.Equal(t, "open-telemetry", settings["GITHUB_ORG"])
	checkEndpoints(t, s)
	p := loadPolicy(t, s)
	for _, c := range []connection{
		{outside("10.20.0.9"), 6379, true},
		{outside("10.20.1.9"), 5671, true},
		{outside("10.20.1.9"), 6379, false},
		{outside("10.20.1.9"), 5672, false},
		{neighbour, 6379, false},
		{github, 443, true},
		{private, 6443, true},
	} {
		require.Equal(t, c.allowed, p.canReach(t, c.to, core.ProtocolTCP, c.port), "%v port %d", c.to, c.port)
	}
}

// TestEndpointsOutOfReach: an overlay whose endpoints its policy does not let out to is found.
func TestEndpointsOutOfReach(t *testing.T) {
	p := loadPolicy(t, loadOverlay(t, "ha"))
	require.True(t, p.reachesHost(t, "redis", "6379"))
	for host, port := range map[string]string{
		"redis.example.com": "6379", "rabbitmq.example.com": "5671", "redis.databases.svc": "6379", "redis": "6380",
	} {
		require.False(t, p.reachesHost(t, host, port), host)
	}
}

// TestToolsOfTheReadmes: the pages name the version of Helm that the tests render the chart with, and a version of
// Kubernetes that the chart accepts.
func TestToolsOfTheReadmes(t *testing.T) {
	text := readFile(t, filepath.Join(chartDir, "README.md"))
	helm := regexp.MustCompile(`helm\.sh/helm/v3/cmd/helm@(\S+) .* --kube-version (\S+) `).FindStringSubmatch(text)
	require.NotNil(t, helm)
	require.Contains(t, readFile(t, "go.mod"), "\thelm.sh/helm/v3 "+helm[1]+"\n")
	c, err := LoadChart(chartDir)
	require.NoError(t, err)
	require.True(t, chartutil.IsCompatibleRange(c.Metadata.KubeVersion, "v"+helm[2]+".0"))
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

// TestOverlaysOfTheListExist: every overlay that the page lists is there.
func TestOverlaysOfTheListExist(t *testing.T) {
	names, err := listNames(overlaysDir)
	require.NoError(t, err)
	for _, link := range overlayLink.FindAllStringSubmatch(kustomizeReadme(t), -1) {
		require.Contains(t, names, link[1])
	}
}

// TestExamplesAreListed compares the list of the examples with the folder.
func TestExamplesAreListed(t *testing.T) {
	var listed []string
	for _, link := range exampleLink.FindAllStringSubmatch(readFile(t, filepath.Join(chartDir, "README.md")), -1) {
		listed = append(listed, link[1])
	}
	require.ElementsMatch(t, exampleNames(t), listed)
}
