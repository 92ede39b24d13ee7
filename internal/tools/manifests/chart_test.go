// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	rbac "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/seed-358c4d9d/githubexporter/internal/election/kubelease"
)

// merge merges values over others.
func merge(t *testing.T, values map[string]any, text string) map[string]any {
	t.Helper()
	var over map[string]any
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &over))
	maps.Copy(values, over)
	return values
}

// TestLint runs `helm lint --strict` with every example.
func TestLint(t *testing.T) {
	for _, name := range exampleNames(t) {
		for _, message := range lint.All(chartDir, exampleValues(t, name), testNamespace, true).Messages {
			if message.Severity > support.InfoSev {
				t.Errorf("%s: %s", name, message)
			}
		}
	}
}

// TestRefusedValues: the schema refuses what could not work, before anything is installed.
func TestRefusedValues(t *testing.T) {
	for name, test := range map[string]struct{ values, reason string }{
		"no organization":         {`orgs: []`, "orgs"},
		"no credential":           {`orgs: [{name: my-org}]`, "orgs"},
		"two kinds of credential": {`orgs: [{name: a, secret: {name: s, tokenKey: a, privateKeyKey: b}}]`, "secret"},
		"unknown value":           {`replica: 3`, "replica"},
		"unknown mode":            {`mode: cluster`, "mode"},
		"replicas without Redis":  {`mode: ha`, "redis"},
		"Redis without replicas":  {`redis: {endpoints: ["redis:6379"]}`, "redis"},
		"a URL of Redis":          {"mode: ha\nredis: {endpoints: [\"redis://redis:6379\"]}", "redis"},
		"a password in a URL":     {"mode: ha\nrabbitmq: {endpoint: \"amqp://u:p@rabbitmq\"}", "rabbitmq"},
		"a name without password": {"mode: ha\nrabbitmq: {secret: {name: s, usernameKey: u}}", "rabbitmq"},
		"storage by hand":         {`receiver: {storage: file_storage}`, "receiver"},
		"a port":                  {`ports: {metrics: 70000}`, "ports"},
		"a digest":                {`image: {digest: abc}`, "digest"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := renderValues(t, merge(t, exampleValues(t, "minimal"), test.values))
			require.ErrorContains(t, err, test.reason)
			require.ErrorContains(t, err, "values don't meet the specifications of the schema")
		})
	}
}

// TestServiceMonitorNeedsService: a ServiceMonitor without a Service would find nothing.
func TestServiceMonitorNeedsService(t *testing.T) {
	values := merge(t, exampleValues(t, "minimal"), "serviceMonitor: {enabled: true}\nservice: {enabled: false}")
	_, err := renderValues(t, values)
	require.ErrorContains(t, err, "serviceMonitor.enabled needs service.enabled")
}

// TestPrometheusRules: each PrometheusRule has the groups of the file of deploy/prometheus that it is named after.
func TestPrometheusRules(t *testing.T) {
	rendered := loadExample(t, "external-secret")
	for _, name := range []string{"recording", "recording-month", "recording-teams", "alerts"} {
		raw, err := os.ReadFile(filepath.Join(deployDir, "prometheus", name+".yaml"))
		require.NoError(t, err)
		var want map[string]any
		require.NoError(t, yaml.Unmarshal(raw, &want))
		var got map[string]any
		for _, object := range rendered.objects {
			if object.GetKind() == "PrometheusRule" && strings.HasSuffix(object.GetName(), "-"+name) {
				got = object.Object["spec"].(map[string]any)
			}
		}
		require.NotEmpty(t, want["groups"], name)
		require.JSONEq(t, toJSON(t, want), toJSON(t, got), name)
	}
	require.Nil(t, loadExample(t, "minimal").find("PrometheusRule", ""), "off by default")
}

func toJSON(t *testing.T, value any) string {
	t.Helper()
	raw, err := json.Marshal(value)
	require.NoError(t, err)
	return string(raw)
}

// TestLeaseNames: the Role lists the names of the Leases that the elector will use, and no others.
func TestLeaseNames(t *testing.T) {
	values := merge(t, exampleValues(t, "ha"), `
orgs:
  - {name: my-org, auth: {token: a}}
  - {name: Other-Org1, auth: {token: a}}
leaderElection: {leadership: org, leaseName: activity}
`)
	role := decode[rbac.Role](t, source{"org", render(t, values).Objects}, "Role")
	elector := kubelease.New(nil, kubelease.Settings{LeaseName: "activity"})
	want := []string{"activity", elector.LeaseName("my-org"), elector.LeaseName("other-org1")}
	require.Equal(t, want, role.Rules[0].ResourceNames)
}

// TestMemoryLimit: GOMEMLIMIT follows the memory limit.
func TestMemoryLimit(t *testing.T) {
	for limit, want := range map[string]string{
		`{limits: {memory: 1Gi}}`: "921MiB", `{limits: {memory: 1.5Gi}}`: "1382MiB",
		`{limits: {memory: 300Mi}}`: "270MiB", `{limits: {memory: 1e9}}`: "", `{}`: "",
	} {
		values := exampleValues(t, "minimal")
		values["resources"] = nil
		values = merge(t, values, "resources: "+limit)
		if limit == `{}` {
			values = merge(t, values, "resources: {limits: null}")
		}
		got := ""
		for _, env := range container(t, source{limit, render(t, values).Objects}).Env {
			if env.Name == "GOMEMLIMIT" {
				got = env.Value
			}
		}
		require.Equal(t, want, got, limit)
	}
}

// TestNotes: the text after the installation names the Secrets, the port and what is missing.
func TestNotes(t *testing.T) {
	notes := render(t, exampleValues(t, "minimal")).Notes
	for _, part := range []string{
		"github, key token: the credential for my-org", "get secret github",
		"port-forward deployment/githubexporter 13133", "Neither serviceMonitor.enabled nor",
	} {
		require.Contains(t, notes, part)
	}
	require.NotContains(t, render(t, exampleValues(t, "external-secret")).Notes, "Neither")
	values := merge(t, exampleValues(t, "minimal"), "persistence: {enabled: false}")
	require.Contains(t, render(t, values).Notes, "a restart reads the look-back again")
}

// valueRow matches a row of the README's table of values: name and default.
var valueRow = regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\|(?: `([^`]*)`)? \\|")

// TestValuesTable compares the table of the README with values.yaml: the same values with the same defaults.
func TestValuesTable(t *testing.T) {
	c, err := LoadChart(chartDir)
	require.NoError(t, err)
	defaults := map[string]string{}
	flattenValues(t, "", c.Values, defaults)
	documented := map[string]string{}
	for _, row := range valueRow.FindAllStringSubmatch(readFile(t, filepath.Join(chartDir, "README.md")), -1) {
		documented[row[1]] = row[2]
	}
	require.Equal(t, defaults, documented)
}

// wholeValues are maps that are one value for a user: Kubernetes or the collector documents what is in them.
var wholeValues = regexp.MustCompile(`^(resources|.*Probe|podSecurityContext|securityContext|redis|rabbitmq)$`)

// flattenValues collects values by their dotted names, with their defaults as compact YAML.
func flattenValues(t *testing.T, prefix string, values map[string]any, into map[string]string) {
	t.Helper()
	for key, value := range values {
		name := strings.TrimPrefix(prefix+"."+key, ".")
		if inner, isMap := value.(map[string]any); isMap && len(inner) > 0 && !wholeValues.MatchString(name) {
			flattenValues(t, name, inner, into)
			continue
		}
		into[name] = compact(t, value)
	}
}

// compact returns a default as the README shows it: nothing for a long list or map, which the text describes.
func compact(t *testing.T, value any) string {
	t.Helper()
	text, err := yaml.Marshal(value)
	require.NoError(t, err)
	line := strings.TrimSpace(string(text))
	if strings.Contains(line, "\n") || strings.HasPrefix(line, "- {") {
		return ""
	}
	return line
}
