// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/yannh/kubeconform/pkg/resource"
	"github.com/yannh/kubeconform/pkg/validator"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// The Prometheus operator, whose repository has the definitions of ServiceMonitor and PodMonitor.
const (
	operatorModule = "github.com/prometheus-operator/prometheus-operator@v0.92.1"
	operatorSum    = "h1:rHWuFo6SVya4FBSCNg2DCzyc4xAv54zk3eDTzp5mQZc="
)

// foreignGroups are the groups of objects that examples take from other projects.
var foreignGroups = map[string]bool{"external-secrets.io": true}

// moduleFolder downloads a module and returns its folder. An empty sum is checked by go.sum of the folder that pins it.
func moduleFolder(t *testing.T, pinnedIn, module, sum string) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = pinnedIn
	out, err := cmd.Output()
	require.NoError(t, err, string(out))
	var downloaded struct{ Dir, Sum string }
	require.NoError(t, json.Unmarshal(out, &downloaded))
	if sum != "" {
		require.Equal(t, sum, downloaded.Sum)
	}
	return downloaded.Dir
}

// definitions returns the files of the operator's custom resources that the manifests have.
func definitions(t *testing.T) []string {
	t.Helper()
	dir := moduleFolder(t, t.TempDir(), operatorModule, operatorSum)
	var files []string
	for _, kind := range []string{"podmonitors", "prometheusrules", "servicemonitors"} {
		file := filepath.Join(dir, "example", "prometheus-operator-crd", "monitoring.coreos.com_"+kind+".yaml")
		files = append(files, file)
	}
	return files
}

// schemaFolder is a folder of JSON schemas in kubeconform's layout.
type schemaFolder struct {
	t   *testing.T
	dir string
}

// newSchemaFolder makes the schemas of Kubernetes, from the OpenAPI documents of the pinned version, and those of the
// Prometheus operator.
func newSchemaFolder(t *testing.T) *schemaFolder {
	t.Helper()
	s := &schemaFolder{t: t, dir: t.TempDir()}
	kubernetes := moduleFolder(t, filepath.Join("..", "kube"), "k8s.io/kubernetes", "")
	documents, err := filepath.Glob(filepath.Join(kubernetes, "api", "openapi-spec", "v3", "*_openapi.json"))
	require.NoError(t, err)
	require.Greater(t, len(documents), 20)
	for _, document := range documents {
		s.addDocument(document)
	}
	for _, file := range definitions(t) {
		s.addDefinition(file)
	}
	return s
}

// addDocument writes a schema for each kind of an OpenAPI document.
func (s *schemaFolder) addDocument(path string) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(s.t, err)
	var document struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
	}
	require.NoError(s.t, json.Unmarshal(text, &document))
	kinds := map[string]schema.GroupVersionKind{}
	for name, definition := range document.Components.Schemas {
		forbidUnknown(definition)
		list, _ := definition["x-kubernetes-group-version-kind"].([]any)
		if len(list) == 1 { // several: types that all groups have, such as DeleteOptions
			gvk, _ := list[0].(map[string]any)
			kinds[name] = schema.GroupVersionKind{
				Group: gvk["group"].(string), Version: gvk["version"].(string), Kind: gvk["kind"].(string),
			}
		}
	}
	for name, gvk := range kinds {
		s.write(gvk, map[string]any{"$ref": "#/components/schemas/" + name, "components": document.Components})
	}
}

// addDefinition writes the schemas of a custom resource.
func (s *schemaFolder) addDefinition(path string) {
	s.t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(s.t, err)
	var definition struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				}
			}
		}
	}
	require.NoError(s.t, yaml.Unmarshal(text, &definition))
	require.NotEmpty(s.t, definition.Spec.Versions)
	for _, version := range definition.Spec.Versions {
		forbidUnknown(version.Schema.OpenAPIV3Schema)
		gvk := schema.GroupVersionKind{
			Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind,
		}
		s.write(gvk, version.Schema.OpenAPIV3Schema)
	}
}

// write writes the schema of a kind.
func (s *schemaFolder) write(gvk schema.GroupVersionKind, content map[string]any) {
	s.t.Helper()
	text, err := json.Marshal(content)
	require.NoError(s.t, err)
	group := cmp.Or(gvk.Group, gvk.Version) // kubeconform's name of the core group
	name := strings.ToLower(strings.Join([]string{gvk.Kind, group, gvk.Version}, "_")) + ".json"
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), text, 0o600))
}

// forbidUnknown makes all objects of a schema refuse fields that it does not name.
func forbidUnknown(node any) {
	switch n := node.(type) {
	case map[string]any:
		_, hasProperties := n["properties"].(map[string]any)
		_, hasRule := n["additionalProperties"]
		if hasProperties && !hasRule && n["x-kubernetes-preserve-unknown-fields"] != true {
			n["additionalProperties"] = false
		}
		for _, value := range n {
			forbidUnknown(value)
		}
	case []any:
		for _, value := range n {
			forbidUnknown(value)
		}
	}
}

// newValidator returns kubeconform with the schemas.
func (s *schemaFolder) newValidator() validator.Validator {
	s.t.Helper()
	location := filepath.Join(s.dir, "{{.ResourceKind}}_{{.Group}}_{{.ResourceAPIVersion}}.json")
	v, err := validator.New([]string{location}, validator.Opts{Strict: true})
	require.NoError(s.t, err)
	return v
}

// TestSchemas: all objects have the form that Kubernetes and the Prometheus operator declare.
func TestSchemas(t *testing.T) {
	v := newSchemaFolder(t).newValidator()
	for _, s := range loadSources(t) {
		for _, object := range s.objects {
			if foreignGroups[object.GroupVersionKind().Group] {
				continue
			}
			text, err := yaml.Marshal(object.Object)
			require.NoError(t, err)
			result := v.ValidateResource(resource.Resource{Bytes: text})
			require.NoError(t, result.Err, "%s: %s %s", s.name, object.GetKind(), object.GetName())
			require.Equal(t, validator.Valid, result.Status)
		}
	}
}

// TestSchemasRefuse: the schemas find a wrong type and an unknown field.
func TestSchemasRefuse(t *testing.T) {
	v := newSchemaFolder(t).newValidator()
	for name, text := range map[string]string{
		"wrong type":      `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a}, spec: {replicas: "3"}}`,
		"unknown field":   `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterip: None}}`,
		"unknown setting": `{apiVersion: monitoring.coreos.com/v1, kind: PodMonitor, spec: {selector: {}, every: 30s}}`,
	} {
		result := v.ValidateResource(resource.Resource{Bytes: []byte(text)})
		require.Equal(t, validator.Invalid, result.Status, name)
	}
}
