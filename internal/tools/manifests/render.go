// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

const (
	// releaseName is the name of the release in what RenderChart returns.
	releaseName = "githubexporter"
	// notesFile is the template whose text helm prints after an installation.
	notesFile = "githubexporter/templates/NOTES.txt"
)

// Release is a rendered chart.
type Release struct {
	Objects []*unstructured.Unstructured
	// Notes is the text that helm prints after an installation.
	Notes string
}

// LoadChart reads the chart of a folder.
func LoadChart(dir string) (*chart.Chart, error) { return loader.Load(dir) }

// ReadValues reads a file of values.
func ReadValues(path string) (map[string]any, error) { return chartutil.ReadValuesFile(path) }

// RenderChart renders a chart with values, as `helm template githubexporter --namespace NAMESPACE` does.
func RenderChart(c *chart.Chart, values map[string]any, namespace string) (Release, error) {
	options := chartutil.ReleaseOptions{Name: releaseName, Namespace: namespace, IsInstall: true, Revision: 1}
	merged, err := chartutil.ToRenderValues(c, values, options, chartutil.DefaultCapabilities)
	if err != nil {
		return Release{}, err
	}
	files, err := engine.Engine{Strict: true}.Render(c, merged)
	if err != nil {
		return Release{}, err
	}
	release := Release{Notes: files[notesFile]}
	delete(files, notesFile)
	for _, name := range sortedKeys(files) {
		if strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		objects, err := decodeObjects([]byte(files[name]))
		if err != nil {
			return Release{}, fmt.Errorf("%s: %w\n%s", name, err, files[name])
		}
		release.Objects = append(release.Objects, objects...)
	}
	return release, nil
}

// BuildOverlay renders a kustomization, as `kustomize build` does.
func BuildOverlay(dir string) ([]*unstructured.Unstructured, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, err
	}
	text, err := resources.AsYaml()
	if err != nil {
		return nil, err
	}
	return decodeObjects(text)
}

// decodeObjects decodes the documents of a YAML file; empty ones are left out.
func decodeObjects(text []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, err
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// sortedKeys returns the keys of a map in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// listNames returns the names of the entries of a folder.
func listNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names, err
}
