// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// secretKeys are the keys of Secrets by their names, sorted.
type secretKeys map[string][]string

// add adds keys to a Secret.
func (s secretKeys) add(name string, keys ...string) {
	s[name] = slices.Compact(slices.Sorted(slices.Values(append(s[name], keys...))))
}

// TestSecretsOfTheReadmes: for every overlay and every example, the documented commands make the Secrets that its pods
// need, with exactly the keys that its configuration reads, and each of them once.
func TestSecretsOfTheReadmes(t *testing.T) {
	documented := map[string]secretKeys{}
	maps.Copy(documented, documentedSecrets(t, "overlay ", kustomizeReadme(t)))
	maps.Copy(documented, documentedSecrets(t, "example ", readFile(t, filepath.Join(chartDir, "README.md"))))
	listed := listedSources(t)
	for _, s := range loadSources(t) {
		if listed[s.name] {
			require.Equal(t, neededSecrets(t, s), documented[s.name], s.name)
			delete(documented, s.name)
		}
	}
	require.Empty(t, documented, "no such source")
}

// secretPath matches the path of a key of a Secret.
var secretPath = regexp.MustCompile(`/etc/githubexporter/secrets/([^/]+)/([A-Za-z0-9._-]+)`)

// neededSecrets returns the Secrets that the pods of a source need, without those that an operator makes; nil for none.
func neededSecrets(t *testing.T, s source) secretKeys {
	t.Helper()
	secrets := secretKeys{}
	for _, path := range secretPath.FindAllStringSubmatch(collectorConfig(t, s), -1) {
		secrets.add(path[1], path[2])
	}
	pod := decode[apps.Deployment](t, s, "Deployment").Spec.Template.Spec
	for _, volume := range pod.Volumes {
		if volume.Secret != nil {
			require.NotEmpty(t, secrets[volume.Secret.SecretName], "no key of %s is read", volume.Name)
		}
	}
	for _, pull := range pod.ImagePullSecrets {
		secrets.add(pull.Name, registryKey)
	}
	if object := s.find("ExternalSecret", ""); object != nil {
		name, _, err := unstructured.NestedString(object.Object, "spec", "target", "name")
		require.NoError(t, err)
		delete(secrets, name)
	}
	if len(secrets) == 0 {
		return nil
	}
	return secrets
}

// registryKey is the key of a Secret with the credential for a registry.
const registryKey = ".dockerconfigjson"

var (
	shellBlock  = regexp.MustCompile("(?ms)^```sh\n(.*?)^```")
	forSources  = regexp.MustCompile(`^# ([a-z, -]+): `)
	makesSecret = regexp.MustCompile(`^kubectl -n githubexporter create secret (generic|docker-registry) ([a-z-]+) (.*)$`)
	secretKey   = regexp.MustCompile(`--from-(?:literal|file)=([A-Za-z0-9._-]+)`)
)

// documentedSecrets returns what the commands of a page make, by the names of sources in the comment above them.
func documentedSecrets(t *testing.T, kind, page string) map[string]secretKeys {
	t.Helper()
	documented := map[string]secretKeys{}
	for _, block := range shellBlock.FindAllStringSubmatch(page, -1) {
		var names []string
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", "")) {
			line = strings.TrimSpace(line)
			if match := forSources.FindStringSubmatch(line); match != nil {
				names = strings.Split(match[1], ", ")
				continue
			}
			if !strings.Contains(line, " create secret ") {
				continue
			}
			match := makesSecret.FindStringSubmatch(line)
			require.NotNil(t, match, line)
			require.NotEmpty(t, names, "for which: %s", line)
			for _, name := range names {
				addDocumented(t, documented, kind+name, match)
			}
		}
	}
	require.NotEmpty(t, documented)
	return documented
}

// addDocumented adds the Secret that a command makes for a source.
func addDocumented(t *testing.T, documented map[string]secretKeys, source string, command []string) {
	t.Helper()
	if documented[source] == nil {
		documented[source] = secretKeys{}
	}
	require.NotContains(t, documented[source], command[2], "%s: made twice", source)
	if command[1] == "docker-registry" {
		documented[source].add(command[2], registryKey)
		return
	}
	for _, key := range secretKey.FindAllStringSubmatch(command[3], -1) {
		documented[source].add(command[2], key[1])
	}
}
