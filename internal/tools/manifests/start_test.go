// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

//go:build integration

package manifests

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// organization is the one of the scripted GitHub.
const organization = "open-telemetry"

// TestConfigurations: the built collector accepts the configuration of every source and of the overlay in the README,
// starts with it, lives, and names what it lacks to be ready: nothing that it connects to is there.
func TestConfigurations(t *testing.T) {
	for _, s := range append(loadSources(t), overlayOfTheReadme(t)) {
		t.Run(s.name, func(t *testing.T) {
			p := newPod(t, s, nil)
			p.validate()
			others, unready := p.refusing()
			p.start(others)
			p.awaitReadiness(http.StatusServiceUnavailable, unready...)
		})
	}
}

// startGitHub starts a scripted GitHub.
func startGitHub(t *testing.T) *githubtest.Server {
	t.Helper()
	data, err := githubtest.LoadDataset(os.DirFS(filepath.Join(deployDir, "..", "testdata", organization)))
	require.NoError(t, err)
	return githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{data}})
}

// TestSingleIsReady: with GitHub, a pod of the overlay `single` is ready.
func TestSingleIsReady(t *testing.T) {
	p := newPod(t, loadOverlay(t, "single"), map[string]string{"github/token": githubtest.DefaultToken})
	p.env = append(p.env, "GITHUB_ORG="+organization)
	p.start(fmt.Sprintf("receivers: {githubexporter: {github: {endpoint: %q, tls: {insecure: true}}}}",
		startGitHub(t).URL))
	p.awaitReadiness(http.StatusOK)
}
