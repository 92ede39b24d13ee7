// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubexporter

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-358c4d9d/githubexporter/internal/collect"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilotstore"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/download"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/report"
	"github.com/seed-358c4d9d/githubexporter/internal/copilot/usage"
	"github.com/seed-358c4d9d/githubexporter/internal/health"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/ledgerview"
	"github.com/seed-358c4d9d/githubexporter/internal/ledger/memstore"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/emit"
	"github.com/seed-358c4d9d/githubexporter/receiver/githubexporter/internal/metadata"
)

// TestCopilotEnumerations compares the values of labels in metadata.yaml with those of the packages that make them.
func TestCopilotEnumerations(t *testing.T) {
	t.Parallel()
	for outcome := range copilot.Outcome(copilot.NumOutcomes) {
		require.Contains(t, metadata.MapAttributeCopilotRunResult, outcome.String())
	}
	require.Len(t, metadata.MapAttributeCopilotRunResult, copilot.NumOutcomes)
	for reason := range download.Reason(download.NumReasons) {
		require.Contains(t, metadata.MapAttributeCopilotDownloadResult, reason.String())
	}
	require.Len(t, metadata.MapAttributeCopilotDownloadResult, download.NumReasons+2)
	for _, reason := range usage.Drops() {
		require.Contains(t, metadata.MapAttributeCopilotDropReason, reason.String())
	}
	require.Len(t, metadata.MapAttributeCopilotDropReason, usage.NumDrops)
	scopes := make(map[string]bool)
	for _, of := range report.Types() {
		scopes[copilotScope(&copilot.Target{Type: of})] = true
		scopes[copilotScope(&copilot.Target{Type: report.Type{Scope: of.Scope}, Seats: true})] = true
	}
	require.Len(t, metadata.MapAttributeCopilotScope, len(scopes))
	for scope := range scopes {
		require.Contains(t, metadata.MapAttributeCopilotScope, scope)
	}
}

func TestCopilotDownloadResult(t *testing.T) {
	t.Parallel()
	rows := report.Stats{Rows: 5}
	for want, result := range map[string]copilot.Result{
		"expired":  {Outcome: copilot.OutcomeFailed, Failure: "download_expired"},
		"unusable": {Outcome: copilot.OutcomeFailed, Failure: "report_truncated"},
		"success":  {Outcome: copilot.OutcomeUnchanged, Stats: rows},
		"":         {Outcome: copilot.OutcomeUnchanged},
	} {
		require.Equal(t, want, downloadResult(&result))
	}
	require.Empty(t, downloadResult(&copilot.Result{Target: copilot.Target{Seats: true}, Stats: rows}))
	require.Empty(t, downloadResult(&copilot.Result{Outcome: copilot.OutcomeFailed, Failure: "api", Stats: rows}))
}

// TestCopilotLog warns once of a condition, and again of another one.
func TestCopilotLog(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zapcore.DebugLevel)
	log := &copilotLog{logger: zap.New(core), last: make(map[copilot.Target]string)}
	failed := copilot.Result{Outcome: copilot.OutcomeFailed, Failure: "download_host", Err: errors.New("x")}
	refused := copilot.Result{Outcome: copilot.OutcomeRefused, State: report.StatePolicyDisabled}
	pending := copilot.Result{Outcome: copilot.OutcomePending, State: report.StateNoContent}
	for _, result := range []copilot.Result{
		failed, failed, refused, refused, pending, pending, {}, failed, {Outcome: copilot.OutcomeUnchanged},
	} {
		log.record(&result)
	}
	var levels []string
	for _, entry := range logs.All() {
		levels = append(levels, entry.Level.String())
	}
	require.Equal(t, "warn info warn info info debug info warn debug", strings.Join(levels, " "))
}

func TestCopilotDependencies(t *testing.T) {
	t.Parallel()
	config := defaultCopilot()
	require.Equal(t, []string{
		"github_api_copilot_org_28d", "github_api_copilot_org_seats", "github_copilot_report_download",
	}, copilotDependencies(&config))
	config.EnterpriseUsers28d, config.Teams = true, true
	require.Contains(t, copilotDependencies(&config), "github_api_copilot_enterprise_teams_1d")
	for _, name := range copilotDependencies(&config) {
		require.True(t, isCopilotDependency(name))
	}
	require.False(t, isCopilotDependency(health.GitHubCore))
}

// TestCopilotOrganizations: without a list the reports of every organization are read, with one those of its names.
func TestCopilotOrganizations(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*CopilotConfig)
		want   []bool // of acme and umbrella
	}{
		"off":            {func(c *CopilotConfig) { c.Enabled = false }, []bool{false, false}},
		"all":            {func(*CopilotConfig) {}, []bool{true, true}},
		"one":            {func(c *CopilotConfig) { c.Orgs = []string{"ACME"} }, []bool{true, false}},
		"the enterprise": {func(c *CopilotConfig) { c.Org28d, c.Enterprise28d = false, true }, []bool{false, false}},
	} {
		config := &Config{Copilot: defaultCopilot()}
		config.Copilot.Enabled = true
		test.change(&config.Copilot)
		require.Equal(t, test.want, []bool{config.ReadsCopilotOf("acme"), config.ReadsCopilotOf("umbrella")}, name)
	}
}

// scriptedFiles reads the files of a scripted server without a network.
type scriptedFiles struct{ server *copilottest.Server }

func (f *scriptedFiles) Read(_ context.Context, link string, use func(io.Reader) error) error {
	recorder := httptest.NewRecorder()
	f.server.Files().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, link, http.NoBody))
	if recorder.Code != http.StatusOK {
		return &download.Error{Reason: download.ReasonStatus, Status: recorder.Code}
	}
	return use(recorder.Body)
}

// Get implements copilot.API.
func (f *scriptedFiles) Get(_ context.Context, _, path string) (copilot.Response, error) {
	request := httptest.NewRequest(http.MethodGet, path, http.NoBody)
	request.Header.Set("Authorization", "Bearer token")
	recorder := httptest.NewRecorder()
	f.server.API().ServeHTTP(recorder, request)
	return copilot.Response{Status: recorder.Code, Body: recorder.Body.Bytes()}, nil
}

// TestCopilotReader reads reports during a term, and reports the health of those that fail.
func TestCopilotReader(t *testing.T) {
	t.Parallel()
	server := copilottest.New(copilottest.Settings{FilesURL: "https://files.example"})
	server.SetOrganization("acme", copilottest.Generate(3, 40, time.Now()))
	server.AddRule(copilottest.Rule{Endpoint: "users-28-day", State: copilottest.PolicyDisabled})
	server.AddRule(copilottest.Rule{Endpoint: "organization-28-day", Link: copilottest.LinkWithError})
	store := memstore.New(memstore.Settings{})
	tallies := &collect.Tallies{}
	collector := collect.New(collect.Settings{Org: "acme", Store: store, Now: time.Now}, tallies)
	config := defaultCopilot()
	config.OrgUsers28d = true
	scripted := &scriptedFiles{server}
	reader := &copilotReader{
		owner: emit.CopilotOwner{Name: "acme"}, tallies: tallies, logger: zap.NewNop(),
		settings: copilot.Settings{
			Owner: "acme", Rules: config.rules(report.ScopeOrganization), Usage: config.usage(), API: scripted,
			Files: scripted,
		},
		documents: copilotstore.Settings{Org: "acme", Committer: collector, Entries: store},
	}
	org := &organization{
		name: "acme", view: ledgerview.New(ledgerview.Settings{Retention: 720 * time.Hour}),
		term: &term{copilot: []*copilotReader{reader}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	changed := make(chan struct{}, 100)
	go func() {
		_ = store.Follow(ctx, "acme", func(c ledger.Change) error {
			org.view.Apply(c)
			changed <- struct{}{}
			return nil
		})
	}()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		reader.run(ctx, 1)
	}()
	monitor := health.NewMonitor([]string{"acme"}, nil, time.Now, func(health.Report) {})
	h := newCopilotHealth(&Config{Copilot: CopilotConfig{Enabled: true, Org28d: true, OrgUsers28d: true, Seats: true}})
	monitor.SetLeader("acme", true)
	want := map[string]string{
		"github_api_copilot_org_28d":       "",
		"github_api_copilot_org_users_28d": "report org_users_28d of acme: policy_disabled",
		"github_api_copilot_org_seats":     "",
		"github_copilot_report_download":   "report org_28d of acme: download_status",
	}
	for {
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			require.Fail(t, "the reports were not read")
		}
		h.evaluate([]*organization{org}, monitor)
		got := make(map[string]string)
		for name, err := range h.states() {
			got[name] = ""
			if err != nil {
				got[name] = err.Error()
			}
		}
		if len(got) == len(want) && got["github_api_copilot_org_users_28d"] != "" {
			require.Equal(t, want, got)
			break
		}
	}
	require.Error(t, h.errorOf("acme", "github_copilot_report_download"))
	require.NoError(t, h.errorOf("other", "github_copilot_report_download"))
	monitor.SetLeader("acme", false)
	h.evaluate([]*organization{org}, monitor)
	require.NoError(t, h.states()["github_copilot_report_download"], "only the leader reports it")
	cancel()
	<-ended
}
