// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration || kubernetes

package manifests

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apps "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

const (
	waitTimeout = 2 * time.Minute // for anything, on a busy machine
	tick        = 50 * time.Millisecond
	secretsDir  = "/etc/githubexporter/secrets"
	stateDir    = "/var/lib/githubexporter"
)

// pod is the built collector as a pod of a source runs it: with its configuration, its environment and its Secrets.
type pod struct {
	t      *testing.T
	dir    string
	config string
	env    []string
	health string
	args   []string
}

// newPod writes the files of a pod. The folders of its volumes are in the folder of the test.
func newPod(t *testing.T, s source, secrets map[string]string) *pod {
	t.Helper()
	p := &pod{t: t, dir: t.TempDir(), health: proctest.FreeAddress(t)}
	volumes := strings.NewReplacer(secretsDir, filepath.Join(p.dir, "secrets"), stateDir, filepath.Join(p.dir, "state"))
	require.NoError(t, os.Mkdir(filepath.Join(p.dir, "state"), 0o700))
	p.config = p.write("collector.yaml", volumes.Replace(collectorConfig(t, s)))
	deployment := decode[apps.Deployment](t, s, "Deployment").Spec.Template.Spec
	for _, volume := range deployment.Volumes {
		if volume.Secret != nil {
			p.writeSecret(volume.Secret.SecretName, secrets)
		}
	}
	c := container(t, s)
	p.args = c.Args[2:]
	p.env = append(os.Environ(), "POD_NAME=githubexporter-0")
	for name, value := range environment(t, s) {
		if name != "HTTPS_PROXY" {
			p.env = append(p.env, name+"="+value)
		}
	}
	return p
}

// write writes a file and returns its path.
func (p *pod) write(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	require.NoError(p.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(p.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// writeSecret writes the files of a Secret: all keys that any source reads.
func (p *pod) writeSecret(name string, secrets map[string]string) {
	p.t.Helper()
	for key, value := range map[string]string{
		"token": "token-of-the-test", "username": "guest", "password": "guest", "sentinel-password": "guest",
		"private-key.pem": privateKey(p.t), "ca.crt": authority(p.t),
	} {
		if secret, ok := secrets[name+"/"+key]; ok {
			value = secret
		}
		p.write(filepath.Join("secrets", name, key), value)
	}
}

// privateKey returns a new key in PEM form.
func privateKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	return encodeKey(key)
}

// encodeKey returns a key in PEM form.
func encodeKey(key *rsa.PrivateKey) string {
	block := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return string(pem.EncodeToMemory(&block))
}

// authority returns a certificate in PEM form.
func authority(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// validate runs the collector's own check of the configuration.
func (p *pod) validate() {
	p.t.Helper()
	args := append([]string{"validate", "--config", p.config}, p.args...)
	cmd := exec.Command(proctest.ProgramPath(p.t, "GX_COLLECTOR"), args...)
	cmd.Env = p.env
	out, err := cmd.CombinedOutput()
	require.NoError(p.t, err, string(out))
}

// start starts the collector with its own addresses, and with others for what it connects to.
func (p *pod) start(others string) {
	p.t.Helper()
	own := fmt.Sprintf(`
extensions: {replica_health: {endpoint: %q}}
exporters: {prometheus: {endpoint: %q}}
`, p.health, proctest.FreeAddress(p.t))
	args := []string{
		"--config", p.config, "--config", p.write("own.yaml", own), "--config", p.write("others.yaml", others),
	}
	process := proctest.New(p.t, proctest.ProgramPath(p.t, "GX_COLLECTOR"), append(args, p.args...)...)
	process.Env = p.env
	process.Run()
	require.Eventually(p.t, func() bool {
		code, _ := p.get("/livez")
		return code == http.StatusOK || process.HasExited()
	}, waitTimeout, tick, "the collector does not serve")
	require.False(p.t, process.HasExited(), process.Output())
}

// get returns the response of a health page; 0 when there is none.
func (p *pod) get(path string) (code int, body string) {
	request, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.health+path, http.NoBody)
	require.NoError(p.t, err)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, ""
	}
	return response.StatusCode, string(text)
}

// awaitReadiness waits until /readyz has a status, and a body with all parts.
func (p *pod) awaitReadiness(want int, parts ...string) {
	p.t.Helper()
	code, body := 0, ""
	require.Eventually(p.t, func() bool {
		code, body = p.get("/readyz")
		for _, part := range parts {
			if !strings.Contains(body, part) {
				return false
			}
		}
		return code == want
	}, waitTimeout, tick, "/readyz is not %d with %q", want, parts)
	p.t.Logf("%d %s", code, body)
}

// refusing returns overrides with which nothing that a configuration connects to is there.
func (p *pod) refusing() (overrides string, unready []string) {
	p.t.Helper()
	closed := proctest.FreeAddress(p.t)
	config := parseConfig(p.t, readFile(p.t, p.config))
	receiver, _, err := unstructured.NestedMap(config, "receivers", "githubexporter")
	require.NoError(p.t, err)
	override := map[string]any{"github": map[string]any{"endpoint": "https://" + closed}}
	extensions := map[string]any{}
	unready = []string{"github_access"}
	if _, ok := receiver["redis"]; ok {
		override["redis"] = map[string]any{"endpoints": []any{closed}}
		unready = []string{"redis"}
		elector, _, err := unstructured.NestedMap(config, "extensions", "leader_elector")
		require.NoError(p.t, err)
		extensions["leader_elector"] = p.electorElsewhere(elector, closed)
	}
	if _, ok := receiver["rabbitmq"]; ok {
		scheme := "amqp"
		endpoint, _, err := unstructured.NestedString(receiver, "rabbitmq", "endpoint")
		require.NoError(p.t, err)
		if strings.HasPrefix(endpoint, "amqps:") {
			scheme = "amqps"
		}
		override["rabbitmq"] = map[string]any{"endpoint": scheme + "://" + closed + "/"}
		unready = append(unready, "amqp")
	}
	text, err := yaml.Marshal(map[string]any{
		"receivers": map[string]any{"githubexporter": override}, "extensions": extensions,
	})
	require.NoError(p.t, err)
	return string(text), unready
}

// electorElsewhere returns settings of an elector whose backend is not there.
func (p *pod) electorElsewhere(elector map[string]any, address string) map[string]any {
	p.t.Helper()
	if _, ok := elector["redis"]; ok {
		return map[string]any{"redis": map[string]any{"endpoints": []any{address}}}
	}
	config := p.write("kubeconfig", fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: test,
clusters: [{name: test, cluster: {server: "https://%s"}}], users: [{name: test, user: {token: none}}],
contexts: [{name: test, context: {cluster: test, user: test, namespace: githubexporter}}]}`, address))
	return map[string]any{"kubernetes": map[string]any{"kubeconfig": config}}
}
