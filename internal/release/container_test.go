// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build image

package release

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// podman runs podman in the tree and returns what it writes to standard output.
func podman(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(proctest.ProgramPath(t, "GX_PODMAN"), args...)
	cmd.Dir = tree(t)
	var problems strings.Builder
	cmd.Stderr = &problems
	out, err := cmd.Output()
	require.NoError(t, err, "podman %s: %s%s", strings.Join(args, " "), out, problems.String())
	return strings.TrimSpace(string(out))
}

// buildBase builds a local image in place of a base image of the Dockerfile, from a root folder.
func buildBase(t *testing.T, name string, environment ...string) {
	t.Helper()
	image := find(t, `(?m)^FROM --platform=\S+ (`+name+`:\S+) AS `, "Dockerfile")
	file := filepath.Join(t.TempDir(), "Dockerfile")
	writeFile(t, file, strings.Join(append([]string{"FROM scratch", "COPY . /"}, environment...), "\n")+"\n")
	podman(t, "build", "--file", file, "--tag", "docker.io/library/"+image, "--timestamp", "0",
		filepath.Join(os.Getenv("GX_IMAGE_BASES"), name))
}

// buildImage builds the Dockerfile in a folder and returns the hashes of the layers, the configuration and the history
// of the image. Its id has besides the random id of the container in which it was made.
func buildImage(t *testing.T, folder string) string {
	t.Helper()
	revision := strings.TrimSpace(runCommand(t, tree(t), nil, "git", "rev-parse", "HEAD"))
	podman(t, "build", "--format", "docker", "--pull-never", "--network", "host", "--layers=false", "--timestamp", "0",
		"--platform", "linux/"+runtime.GOARCH, "--build-arg", "REVISION="+revision, "--tag", tag, folder)
	return podman(t, "image", "inspect", "--format", "{{json .RootFS}} {{json .Config}} {{json .History}}", tag)
}

// tag names the image of the test.
const tag = "localhost/githubexporter:test"

// TestContainer builds the image as a release does, with the built programs in the build context, and runs it as a
// container with a read-only root file system and without capabilities: it reads the scripted GitHub, and its own
// health check succeeds.
func TestContainer(t *testing.T) {
	buildBase(t, "golang", "ENV PATH=/usr/local/go/bin:/usr/bin:/bin GOPATH=/go GOTOOLCHAIN=local")
	buildBase(t, "alpine")
	context := t.TempDir()
	for _, file := range []string{
		"Dockerfile", "LICENSE", "deploy/image/config.yaml", "deploy/image/passwd", "deploy/image/group",
	} {
		copyFile(t, filepath.Join(tree(t), file), filepath.Join(context, file))
	}
	for name, path := range programs(t) {
		copyFile(t, path, filepath.Join(context, "linux", runtime.GOARCH, name))
	}
	require.Equal(t, buildImage(t, context), buildImage(t, context), "two builds")
	testContainerRuns(t)
}

func testContainerRuns(t *testing.T) {
	var config struct {
		User       string
		Entrypoint []string
		Volumes    map[string]any
	}
	inspected := podman(t, "image", "inspect", "--format", "{{json .Config}}", tag)
	require.NoError(t, json.Unmarshal([]byte(inspected), &config))
	require.Equal(t, userID+":"+userID, config.User)
	require.Contains(t, config.Volumes, stateFolder)

	env, _, metrics := serveGitHub(t)
	args := []string{
		"run", "--detach", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "host",
		"--health-interval", "disable", "--env", "GITHUB_TOKEN=" + defaultToken,
	}
	for _, variable := range env {
		if !strings.HasPrefix(variable, "GX_HEALTH_ENDPOINT=") { // the health check asks the default port
			args = append(args, "--env", variable)
		}
	}
	container := podman(t, append(args, tag, "--config", "/etc/otelcol-githubexporter/config.yaml", quiet)...)
	t.Cleanup(func() { podman(t, "rm", "--force", "--volumes", "--time", "0", container) })
	defer func() { t.Log(podman(t, "logs", "--tail", "20", container)) }()
	eventually(t, 2*time.Minute, func() error { return checkMetrics(t, metrics) })
	podman(t, "healthcheck", "run", container)
	require.Equal(t, "ready", podman(t, "exec", container, "gxctl", "health"))

	began := time.Now()
	podman(t, "stop", "--time", "30", container)
	require.Less(t, time.Since(began), 10*time.Second)
	require.Equal(t, "0", podman(t, "inspect", "--format", "{{.State.ExitCode}}", container))
}
