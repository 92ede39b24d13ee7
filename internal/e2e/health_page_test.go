// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/proctest"
)

// getOverview requests / of a health port with an Accept header, and returns the type and the text of the response.
func getOverview(t *testing.T, address, accept string) (kind, body string, err error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", http.NoBody)
	require.NoError(t, err)
	request.Header.Set("Accept", accept)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.Header.Get("Content-Type"), string(text), err
}

// TestHealthPage: the page of the built collector has the organization with its pass and its budget, and no secret.
func TestHealthPage(t *testing.T) {
	t.Parallel()
	server := githubtest.Start(t, githubtest.Settings{Datasets: []*githubtest.Dataset{loadData(t)}, Limits: highLimits})
	address := proctest.FreeAddress(t)
	config := strings.NewReplacer(
		"extensions: {", fmt.Sprintf("extensions: {replica_health: {endpoint: %q}, ", address),
		"extensions: [", "extensions: [replica_health, ",
	).Replace(fmt.Sprintf(storageConfig, t.TempDir(), org, githubtest.DefaultToken, server.URL))
	gx := proctest.New(t, proctest.ProgramPath(t, "GX_COLLECTOR"), "--config", writeConfig(t, config))
	gx.Run()
	awaitLog(t, gx, "Pass ended.")
	var page string
	eventually(t, 30*time.Second, func() error {
		kind, text, err := getOverview(t, address, "text/html,*/*;q=0.8")
		if err != nil {
			return err
		}
		require.Equal(t, "text/html; charset=utf-8", kind)
		if page = text; !strings.Contains(page, ", took ") || !strings.Contains(page, " of 1000000 until ") {
			return errors.New("no pass on the page")
		}
		return nil
	})
	for _, want := range []string{
		"<td>" + org + "</td><td>leader</td>", "Role: <b>leader</b>", "coverage lag", "gaps", "github_access",
		"storage",
	} {
		require.Contains(t, page, want)
	}
	kind, text, err := getOverview(t, address, "*/*")
	require.NoError(t, err)
	require.Equal(t, "application/json", kind)
	var overview struct {
		Role    string
		Details map[string][]struct {
			Name, Role string
			LastPass   time.Time `json:"last_pass"`
			Quotas     []struct{ Resource string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &overview))
	require.Equal(t, "leader", overview.Role)
	one := overview.Details["Receiver:githubexporter"]
	require.Len(t, one, 1)
	require.Equal(t, org, one[0].Name)
	require.WithinDuration(t, time.Now(), one[0].LastPass, time.Minute)
	require.NotEmpty(t, one[0].Quotas)
	require.NotContains(t, page+text, githubtest.DefaultToken)
	gx.Stop()
}
