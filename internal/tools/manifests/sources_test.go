// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// deployDir is the folder of the chart and of the overlays.
var deployDir = filepath.Join("..", "..", "..", "deploy")

// chartDir and overlaysDir are in it.
var (
	chartDir    = filepath.Join(deployDir, "helm", "githubexporter")
	overlaysDir = filepath.Join(deployDir, "kustomize", "overlays")
)

// testNamespace is that of the rendered releases, and of overlays that name none.
const testNamespace = "githubexporter"

// source is what one overlay or one example of values renders.
type source struct {
	name    string
	objects []*unstructured.Unstructured
}

// loadSources renders every overlay, also one that the tree does not have, and every example.
func loadSources(t *testing.T) []source {
	t.Helper()
	names, err := listNames(overlaysDir)
	require.NoError(t, err)
	var sources []source
	for _, name := range names {
		sources = append(sources, loadOverlay(t, name))
	}
	require.NotEmpty(t, sources)
	for _, name := range exampleNames(t) {
		sources = append(sources, loadExample(t, name))
	}
	return sources
}

// exampleNames returns the names of the examples of values.
func exampleNames(t *testing.T) []string {
	t.Helper()
	names, err := listNames(filepath.Join(chartDir, "examples"))
	require.NoError(t, err)
	require.NotEmpty(t, names)
	for i, name := range names {
		names[i] = strings.TrimSuffix(name, ".yaml")
	}
	return names
}

// loadOverlay renders an overlay.
func loadOverlay(t *testing.T, name string) source {
	t.Helper()
	objects, err := BuildOverlay(filepath.Join(overlaysDir, name))
	require.NoError(t, err, name)
	return source{"overlay " + name, objects}
}

// exampleValues reads an example of values.
func exampleValues(t *testing.T, name string) map[string]any {
	t.Helper()
	values, err := ReadValues(filepath.Join(chartDir, "examples", name+".yaml"))
	require.NoError(t, err, name)
	return values
}

// loadExample renders the chart with an example of values.
func loadExample(t *testing.T, name string) source {
	t.Helper()
	return source{"example " + name, render(t, exampleValues(t, name)).Objects}
}

// render renders the chart with values.
func render(t *testing.T, values map[string]any) Release {
	t.Helper()
	release, err := renderValues(t, values)
	require.NoError(t, err)
	return release
}

// renderValues renders the chart with values, or returns why it refuses them.
func renderValues(t *testing.T, values map[string]any) (Release, error) {
	t.Helper()
	c, err := LoadChart(chartDir)
	require.NoError(t, err)
	return RenderChart(c, values, testNamespace)
}

// find returns the object of a kind whose name begins with a prefix, and nil when there is none.
func (s source) find(kind, prefix string) *unstructured.Unstructured {
	for _, object := range s.objects {
		if object.GetKind() == kind && strings.HasPrefix(object.GetName(), prefix) {
			return object
		}
	}
	return nil
}

// decode decodes the only object of a kind into a type of the Kubernetes API, in which no field may be unknown.
func decode[T any](t *testing.T, s source, kind string) T {
	t.Helper()
	var typed T
	object := s.find(kind, "")
	require.NotNil(t, object, "%s has no %s", s.name, kind)
	require.NoError(t, convert(object, &typed), s.name)
	return typed
}

// convert converts an object into a type of the Kubernetes API, in which no field may be unknown.
func convert(object *unstructured.Unstructured, typed any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true)
}
