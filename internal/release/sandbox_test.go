// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

const (
	// stateFolder is the only folder that the collector may write to.
	stateFolder = "/var/lib/otelcol-githubexporter"
	// userID is the user of the image, and in a sandbox of every program.
	userID = "65532"
	// org is the organization of the test data.
	org = "open-telemetry"
)

// inSandbox is a script that runs a program in the root folder $1 as the user $2, in namespaces of its own. Only the
// state folder $3 can be written to.
const inSandbox = `
root=$1 user=$2 state=$3
shift 3
mount --bind "$root" "$root" &&
  mount --bind "$root$state" "$root$state" &&
  mount --rbind /proc "$root/proc" &&
  mount -o remount,bind,ro "$root" || exit 9
exec unshare --user --map-user="$user" --map-group="$user" --root="$root" "$@"
`

// sandbox is a root folder in which programs run as a container or a hardened unit would run them.
type sandbox struct {
	root string
	env  []string
}

// newSandbox makes a root folder with the folders that a container runtime adds.
func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	root := t.TempDir()
	for _, folder := range []string{"/proc", stateFolder} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	return &sandbox{root: root}
}

// prepare prepares a program of the sandbox without starting it.
func (s *sandbox) prepare(t *testing.T, command ...string) *proctest.Process {
	t.Helper()
	p := proctest.New(t, "unshare", append([]string{
		"--map-root-user", "--mount", "sh", "-c", inSandbox, "sh", s.root, userID, stateFolder,
	}, command...)...)
	p.Env = s.env
	return p
}

// run runs a program of the sandbox to its end and returns its output.
func (s *sandbox) run(t *testing.T, command ...string) string {
	t.Helper()
	p := s.prepare(t, command...)
	p.Run()
	eventually(t, time.Minute, func() error {
		if !p.HasExited() {
			return fmt.Errorf("%s still runs", strings.Join(command, " "))
		}
		return nil
	})
	return p.Output()
}

// serveGitHub serves the test data, and returns the variables that let a shipped configuration read it, with addresses
// of the test.
func serveGitHub(t *testing.T) (env []string, health, metrics string) {
	t.Helper()
	data, err := githubtest.LoadDataset(os.DirFS(filepath.Join(tree(t), "testdata", org)))
	require.NoError(t, err)
	server := githubtest.Start(t, githubtest.Settings{
		Datasets: []*githubtest.Dataset{data},
		Limits:   githubtest.Limits{Core: 1_000_000, GraphQL: 1_000_000},
		Timeline: githubtest.EndingAt(data, time.Hour, time.Now(), 1),
	})
	health, metrics = proctest.FreeAddress(t), proctest.FreeAddress(t)
	return []string{
		"GITHUB_ENDPOINT=" + server.URL, "GITHUB_ORG=" + org,
		"GX_HEALTH_ENDPOINT=" + health, "GX_METRICS_ENDPOINT=" + metrics,
	}, health, metrics
}

// quiet keeps the collector's own metrics off the port that all collectors of this machine would use.
const quiet = "--set=service::telemetry::metrics::level=none"

// buildInfo matches the metric of a build with all its labels.
var buildInfo = regexp.MustCompile(
	`gh_exporter_build_info\{.*collector="v0\.\d+\.0".*goversion="go1\..*version="\d+\.\d+\.\d+".*\} 1\n`)

// awaitMetrics waits until the metrics page of a process shows activity and the build.
func awaitMetrics(t *testing.T, p *proctest.Process, address string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		require.False(t, p.HasExited(), "the collector has ended")
		return checkMetrics(t, address)
	})
}

// checkMetrics returns an error unless a metrics page shows activity and the build.
func checkMetrics(t *testing.T, address string) error {
	t.Helper()
	page, err := getBody(t.Context(), "http://"+address+"/metrics")
	if err == nil && (!strings.Contains(page, "gh_activity_commits_24h{") || !buildInfo.MatchString(page)) {
		err = fmt.Errorf("no activity, or no build, in %d bytes", len(page))
	}
	return err
}

// getBody returns the body of a page.
func getBody(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), err
}

// eventually repeats a check until it succeeds.
func eventually(t *testing.T, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for err := check(); err != nil; err = check() {
		if time.Now().After(deadline) {
			require.NoError(t, err, "still so after %s", limit)
		}
		<-ticker.C
	}
}
