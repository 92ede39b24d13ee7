// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// hashSuffix matches the name of a ConfigMap with the hash of its content, which kustomize adds.
var hashSuffix = regexp.MustCompile(`name: githubexporter-config-[0-9a-z]{10}\n`)

// addedKeys are labels and annotations that only the chart has.
var addedKeys = map[string]bool{
	"app.kubernetes.io/managed-by": true, "app.kubernetes.io/version": true, "helm.sh/chart": true,
	"helm.sh/resource-policy": true, "checksum/config": true, "namespace": true,
}

// prune removes empty maps and the settings that the overlays take from a ConfigMap, and sorts volumes.
func prune(node any) {
	switch n := node.(type) {
	case map[string]any:
		delete(n, "envFrom")
		for _, key := range []string{"volumes", "volumeMounts"} {
			if list, isList := n[key].([]any); isList {
				slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
			}
		}
		for key, value := range n {
			prune(value)
			inner, isMap := value.(map[string]any)
			if value == nil || isMap && len(inner) == 0 && key == "annotations" {
				delete(n, key)
			}
		}
	case []any:
		for _, value := range n {
			prune(value)
		}
	}
}

// collectorConfig returns the configuration of the collector in a source.
func collectorConfig(t *testing.T, s source) string {
	t.Helper()
	for _, object := range s.objects {
		data, _, _ := unstructured.NestedStringMap(object.Object, "data")
		if text := data["collector.yaml"]; object.GetKind() == "ConfigMap" && text != "" {
			return text
		}
	}
	require.Fail(t, "no configuration", s.name)
	return ""
}

// environment returns the variables of the collector in a source: those of the container, and the settings of an
// overlay.
func environment(t *testing.T, s source) map[string]string {
	t.Helper()
	variables := map[string]string{}
	for _, env := range container(t, s).Env {
		if env.ValueFrom == nil {
			variables[env.Name] = env.Value
		}
	}
	if object := s.find("ConfigMap", "githubexporter-settings"); object != nil {
		settings, _, err := unstructured.NestedStringMap(object.Object, "data")
		require.NoError(t, err)
		maps.Copy(variables, settings)
	}
	return variables
}

// envReference matches a reference to an environment variable.
var envReference = regexp.MustCompile(`\$\{env:([A-Z_]+)\}`)

// expand replaces references to the settings; others stay.
func expand(text string, settings map[string]string) string {
	return envReference.ReplaceAllStringFunc(text, func(reference string) string {
		if value, ok := settings[envReference.FindStringSubmatch(reference)[1]]; ok {
			return value
		}
		return reference
	})
}

// parseConfig parses a configuration of the collector.
func parseConfig(t *testing.T, text string) map[string]any {
	t.Helper()
	var config map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &config))
	return config
}
