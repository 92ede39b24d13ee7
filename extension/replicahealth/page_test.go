// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package replicahealth

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"

	"github.com/seed-358c4d9d/githubexporter/internal/health"
)

// browser is the Accept header of a browser.
const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// getPage requests / with an Accept header.
func getPage(s *server, accept string) *httptest.ResponseRecorder {
	request := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	recorder := httptest.NewRecorder()
	s.handler().ServeHTTP(recorder, request)
	return recorder
}

// TestPage: a browser gets a page with everything, a machine the same as JSON.
func TestPage(t *testing.T) {
	t.Parallel()
	s := &server{state: newStateWithComponents()}
	s.state.observe(receiver, statusEvent(componentstatus.StatusOK, newReport(health.Degraded)))
	remove := s.AddDetails("receiver:githubexporter", func() []health.OrgDetail {
		return []health.OrgDetail{{
			Name: "acme", Role: health.Leader, CoveredUntil: noon, Gaps: 3, LastPass: noon, LastPassSeconds: 1.5,
			Quotas: []health.QuotaDetail{{Resource: "core", Remaining: 4000, Limit: 5000, Reset: noon}},
		}, {Name: "umbrella", Role: health.Follower}}
	})
	page := getPage(s, browser)
	require.Equal(t, http.StatusOK, page.Code)
	require.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"))
	require.Contains(t, page.Header().Get("Content-Security-Policy"), "default-src 'none'")
	for _, want := range []string{
		`<span class="degraded">degraded</span>`, "Role: <b>follower</b>", "Ready.", "<td>acme</td><td>leader</td>",
		"<td>3</td>", "2026-03-11T12:00:00Z, took 1.5s", "core: 4000 of 5000 until 2026-03-11T12:00:00Z",
		"<td>umbrella</td><td>follower</td><td>never read</td><td>0</td>", "none by this replica", "not known yet",
		"<td>github</td>", `<span class="unhealthy">unhealthy</span>`, "503", "Exporter:prometheus: ",
	} {
		require.Contains(t, page.Body.String(), want)
	}
	for _, external := range []string{"http://", "https://", "src=", "<script"} {
		require.NotContains(t, page.Body.String(), external)
	}
	for _, accept := range []string{"", "*/*", "application/json", "application/json, text/html;q=0.5", "text/plain"} {
		response := getPage(s, accept)
		require.Equal(t, "application/json", response.Header().Get("Content-Type"), accept)
		require.Equal(t, "Accept", response.Header().Get("Vary"))
		var got overview
		require.NoError(t, json.Unmarshal(response.Body.Bytes(), &got))
		require.Equal(t, health.Degraded, got.Mode)
		require.Len(t, got.Details["receiver:githubexporter"], 2)
	}
	remove()
	require.NotContains(t, getPage(s, browser).Body.String(), "<td>acme</td>")

	s.state.observe(receiver, statusEvent(componentstatus.StatusRecoverableError, newReport(health.Unhealthy)))
	page = getPage(s, browser)
	require.Equal(t, http.StatusServiceUnavailable, page.Code)
	require.Contains(t, page.Body.String(), "<b>Not ready.</b>")
	require.Contains(t, page.Body.String(), "Receiver:githubexporter: github: 503; redis: connection refused")
}

// TestPageEscapes: nothing that a name or an error has becomes a part of the page's markup.
func TestPageEscapes(t *testing.T) {
	t.Parallel()
	const hostile = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`
	s := &server{state: newStateWithComponents()}
	report := newReport(health.Unhealthy)
	report.Role, report.Mode = hostile, health.Unhealthy
	report.Dependencies[0].Name, report.Dependencies[0].Detail = hostile, hostile
	s.state.observe(receiver, statusEvent(componentstatus.StatusRecoverableError, report))
	s.state.observe(exporter, componentstatus.NewPermanentErrorEvent(errors.New(hostile)))
	s.AddDetails(hostile, func() []health.OrgDetail {
		return []health.OrgDetail{{
			Name: hostile, Role: hostile, Quotas: []health.QuotaDetail{{Resource: hostile}},
		}}
	})
	page := getPage(s, browser).Body.String()
	require.NotContains(t, page, "<script")
	require.NotContains(t, page, "<img")
	require.GreaterOrEqual(t, strings.Count(page, "&lt;script&gt;alert(1)&lt;/script&gt;"), 7)
}

func TestPrefersHTML(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]bool{
		browser: true, "text/html": true, "text/*": true, "TEXT/HTML;q=1": true, "text/html;q=0.9, */*;q=0.1": true,
		"": false, "*/*": false, "text/html;q=0": false, "text/html;q=x": false, "application/json, text/html": false,
		"application/*": false,
	} {
		require.Equal(t, want, prefersHTML([]string{accept}), accept)
	}
}
