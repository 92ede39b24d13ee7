// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// readFile returns the text of a file.
func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(text)
}

// container returns the only container of a source.
func container(t *testing.T, s source) core.Container {
	t.Helper()
	containers := decode[apps.Deployment](t, s, "Deployment").Spec.Template.Spec.Containers
	require.Len(t, containers, 1, s.name)
	return containers[0]
}

// TestImage: the image has the collector as its entry point, and the user of the pods.
func TestImage(t *testing.T) {
	text := readFile(t, filepath.Join(deployDir, "..", "Dockerfile"))
	require.Regexp(t, `(?m)^ENTRYPOINT \["/usr/bin/otelcol-githubexporter"\]$`, text)
	require.Regexp(t, `(?m)^USER 65532:65532$`, text)
}

// TestPods: what every pod has in common.
func TestPods(t *testing.T) {
	for _, s := range loadSources(t) {
		t.Run(s.name, func(t *testing.T) {
			deployment := decode[apps.Deployment](t, s, "Deployment")
			pod, c := deployment.Spec.Template.Spec, container(t, s)
			require.Empty(t, c.Command, "the entry point of the image is the collector")
			require.EqualValues(t, 65532, *pod.SecurityContext.RunAsUser)
			require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
			require.Equal(t, "/livez", c.LivenessProbe.HTTPGet.Path)
			require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path)
			require.EqualValues(t, 30, *pod.TerminationGracePeriodSeconds)
			require.NotContains(t, c.Resources.Limits, core.ResourceCPU)
			checkMemory(t, c)
			checkReplicas(t, s, deployment)
			for _, volume := range pod.Volumes {
				if volume.Secret != nil {
					require.EqualValues(t, 0o440, *volume.Secret.DefaultMode)
				}
			}
			needsToken := s.find("Role", "") != nil
			require.Equal(t, needsToken, *pod.AutomountServiceAccountToken)
		})
	}
}

// checkMemory: the limit of the Go runtime is nine tenths of the memory limit.
func checkMemory(t *testing.T, c core.Container) {
	t.Helper()
	limit := c.Resources.Limits.Memory().Value()
	require.Positive(t, limit)
	for _, env := range c.Env {
		if env.Name == "GOMEMLIMIT" {
			mebibytes, err := strconv.ParseInt(strings.TrimSuffix(env.Value, "MiB"), 10, 64)
			require.NoError(t, err)
			require.InDelta(t, 0.9, float64(mebibytes<<20)/float64(limit), 0.01)
			return
		}
	}
	require.Fail(t, "no GOMEMLIMIT")
}

// checkReplicas: one replica stops before the next one starts, since one process has the file of its state; several
// are spread, and a drain evicts one at a time.
func checkReplicas(t *testing.T, s source, deployment apps.Deployment) {
	t.Helper()
	pod := deployment.Spec.Template.Spec
	budget := s.find("PodDisruptionBudget", "")
	if *deployment.Spec.Replicas == 1 {
		require.Equal(t, apps.RecreateDeploymentStrategyType, deployment.Spec.Strategy.Type)
		require.Nil(t, budget, "a budget would hold up every drain")
		require.True(t, hasClaim(pod.Volumes))
		return
	}
	require.Equal(t, 0, deployment.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
	require.NotNil(t, budget)
	require.Len(t, pod.TopologySpreadConstraints, 2)
	require.False(t, hasClaim(pod.Volumes))
	for _, constraint := range pod.TopologySpreadConstraints {
		require.Equal(t, deployment.Spec.Selector.MatchLabels, constraint.LabelSelector.MatchLabels)
	}
}

// hasClaim reports whether a volume is a claim.
func hasClaim(volumes []core.Volume) bool {
	for _, volume := range volumes {
		if volume.PersistentVolumeClaim != nil {
			return true
		}
	}
	return false
}

// TestSameObjects: the chart and the overlay of the same name are the same deployment.
func TestSameObjects(t *testing.T) {
	for _, name := range []string{"single", "ha"} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, withoutTool(t, loadExample(t, name)), withoutTool(t, loadOverlay(t, name)))
		})
	}
}

// withoutTool returns the objects of a source by kind, without what is particular to Helm or to kustomize.
func withoutTool(t *testing.T, s source) map[string]any {
	t.Helper()
	settings := environment(t, s)
	objects := map[string]any{}
	for _, object := range s.objects {
		if strings.HasPrefix(object.GetName(), "githubexporter-settings") {
			continue
		}
		if object.GetKind() == "ConfigMap" {
			objects["ConfigMap"] = parseConfig(t, expand(collectorConfig(t, s), settings))
			continue
		}
		objects[object.GetKind()] = normalize(t, object)
	}
	return objects
}

// normalize returns an object without the labels, annotations and names that Helm and kustomize add.
func normalize(t *testing.T, object *unstructured.Unstructured) map[string]any {
	t.Helper()
	text, err := yaml.Marshal(object.Object)
	require.NoError(t, err)
	var lines []string
	for line := range strings.Lines(hashSuffix.ReplaceAllString(string(text), "name: githubexporter-config\n")) {
		key, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		if !addedKeys[key] {
			lines = append(lines, line)
		}
	}
	var normal map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(strings.Join(lines, "")), &normal))
	prune(normal)
	return normal
}

// podLabels returns the labels of the pods of a source.
func podLabels(t *testing.T, s source) map[string]string {
	t.Helper()
	return decode[apps.Deployment](t, s, "Deployment").Spec.Template.Labels
}
