// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

// copilotFault is a fault of a users report with the result that it must have.
type copilotFault struct {
	rule copilottest.Rule
	// result is the outcome in logs and counters, condition the state or the failure in the log, download the result in
	// the counter of downloads, "" for none.
	result, condition, download string
}

// dependency returns the dependency that the fault makes unhealthy; empty for none.
func (f *copilotFault) dependency() string {
	switch {
	case f.result == "refused", strings.HasPrefix(f.condition, "response_"):
		return "github_api_copilot_org_users_28d"
	case f.result == "failure":
		return "github_copilot_report_download"
	default:
		return ""
	}
}

// copilotFaults are all states of a report, all links that must not be followed, and all broken files.
func copilotFaults() []copilotFault {
	var faults []copilotFault
	state := func(result, condition string, states ...copilottest.State) {
		for _, of := range states {
			faults = append(faults, copilotFault{copilottest.Rule{State: of}, result, condition, ""})
		}
	}
	state("pending", "no_content", copilottest.NoContent)
	state("pending", "day_refused", copilottest.DayRefused)
	state("pending", "not_found", copilottest.NotFound)
	state("pending", "notice", copilottest.Sentence)
	state("pending", "empty", copilottest.EmptyBody, copilottest.NoLinks)
	state("pending", "generating", copilottest.BadGateway, copilottest.ServiceUnavailable)
	state("refused", "policy_disabled", copilottest.PolicyDisabled)
	state("refused", "role_required", copilottest.RoleRequired)
	state("refused", "permission_required", copilottest.PermissionRequired)
	state("refused", "forbidden", copilottest.OtherForbidden)
	state("refused", "unauthenticated", copilottest.BadCredentials)
	state("failure", "response_failed", copilottest.ServerError)
	state("failure", "response_malformed", copilottest.HTMLPage, copilottest.TruncatedBody)
	state("limited", "", copilottest.RateLimited)
	faults = append(faults, copilotFault{
		copilottest.Rule{Link: copilottest.RelativeLink}, "failure", "response_malformed", "",
	})
	for reason, links := range map[string][]copilottest.LinkFault{
		"link":     {copilottest.PlainLink, copilottest.LinkWithUser},
		"host":     {copilottest.PrivateLink, copilottest.UnlistedLink},
		"network":  {copilottest.LoopbackLink, copilottest.LoopbackRedirect},
		"expired":  {copilottest.ExpiredLink},
		"missing":  {copilottest.LinkNotThere},
		"status":   {copilottest.LinkWithError, copilottest.LinkIsBusy},
		"redirect": {copilottest.UnlistedRedirect},
	} {
		for _, link := range links {
			faults = append(faults, copilotFault{
				copilottest.Rule{Link: link}, "failure", "download_" + reason, reason,
			})
		}
	}
	for problem, files := range map[string][]copilottest.FileFault{
		"truncated": {copilottest.Truncated, copilottest.ShortBody},
		"markup":    {copilottest.HTML, copilottest.XMLError},
		"encoding":  {copilottest.UTF16, copilottest.Latin1},
		"syntax":    {copilottest.BrokenRow},
		"row_size":  {copilottest.LongRow},
		"nesting":   {copilottest.Nested},
		"no_row":    {copilottest.SentenceFile},
	} {
		for _, file := range files {
			faults = append(faults, copilotFault{
				copilottest.Rule{File: file}, "failure", "report_" + problem, "unusable",
			})
		}
	}
	for _, file := range []copilottest.FileFault{
		copilottest.ByteOrderMark, copilottest.Gzip, copilottest.CarriageReturns, copilottest.NoLastLineFeed,
		copilottest.Array, copilottest.UnknownFields, copilottest.DuplicateRows, copilottest.NumbersForIDs,
		copilottest.NegativeNumbers, copilottest.HugeNumbers, copilottest.EmptyFile,
	} {
		faults = append(faults, copilotFault{copilottest.Rule{File: file}, "success", "", "success"})
	}
	return faults
}

// TestCopilotFaults reads an organization with each fault: the state and the failure are in the log, in the counters
// and in the health, and the activity of the organization is read.
func TestCopilotFaults(t *testing.T) {
	t.Parallel()
	faults := copilotFaults()
	require.Greater(t, len(faults), 40)
	settings := githubtest.Settings{Limits: highLimits}
	var orgs strings.Builder
	name := func(i int) string { return fmt.Sprintf("fault-%02d", i) }
	for i := range faults {
		data := smallOrg(time.Now())
		data.Org.Login = name(i)
		settings.Datasets = append(settings.Datasets, data)
		settings.Credentials = append(settings.Credentials, githubtest.Credential{Token: name(i), Login: name(i)})
		fmt.Fprintf(&orgs, "  - {name: %[1]s, auth: {token: %[1]s}, scrape_interval: 5s, lookback: 24h}\n", name(i))
	}
	g := addCopilot(t, githubtest.Start(t, settings))
	for i := range faults {
		g.SetOrganization(name(i), copilotData(4))
		rule := faults[i].rule
		rule.Endpoint, rule.Owner = "users-28-day", name(i)
		g.AddRule(rule)
	}
	config := g.config("storage: file_storage", `enabled: true, org_28d: false, org_users_28d: true, seats: false,
  download_hosts: [127.0.0.1], scrape_interval: 1h`)
	before, after, _ := strings.Cut(config, "orgs:\n")
	_, after, _ = strings.Cut(after, "github:\n")
	gx := startCollector(t, before+"orgs:\n"+orgs.String()+"github:\n"+after)
	results, downloads := make(map[string]float64), make(map[string]float64)
	for i := range faults {
		f := &faults[i]
		entry := gx.awaitCopilotLog(t, name(i))
		what := fmt.Sprintf("%s: %+v: %v", name(i), f.rule, entry)
		require.Equal(t, f.result, entry["result"], what)
		if f.condition != "" {
			require.Contains(t, []any{entry["state"], entry["failure"]}, f.condition, what)
		}
		if f.result == "failure" || f.result == "refused" {
			require.Equal(t, "warn", entry["level"], what)
		}
		results[f.result]++
		downloads[f.download]++
	}
	for result, want := range results {
		series := fmt.Sprintf(`gh_exporter_copilot_scrape_runs_total{result=%q,scope="org_users"}`, result)
		if result == "success" { // those of the days that are read in place of a report count too
			eventually(t, time.Minute, func() error {
				if got := gx.count(t.Context(), series); got < want {
					return fmt.Errorf("%s is %v, want at least %v", series, got, want)
				}
				return nil
			})
			continue
		}
		gx.awaitValue(t, want, series)
	}
	for result, want := range downloads {
		if result != "" && result != "success" {
			gx.awaitValue(t, want,
				fmt.Sprintf(`gh_exporter_copilot_report_download_total{result=%q,scope="org_users"}`, result))
		}
	}
	for i := range faults {
		for _, dependency := range []string{"github_api_copilot_org_users_28d", "github_copilot_report_download"} {
			want := 1.0
			if faults[i].dependency() == dependency {
				want = 0
			}
			gx.awaitValue(t, want,
				fmt.Sprintf(`gh_exporter_dependency_health{dependency=%q,org=%q}`, dependency, name(i)))
		}
		if faults[i].result != "limited" {
			gx.awaitValue(t, 1, fmt.Sprintf(`gh_exporter_scrape_runs_total{org=%q,result="success"}`, name(i)),
				atLeast)
		}
	}
	require.NotContains(t, gx.Output(), "sig=")
	requireNoSecret(t, gx.Output())
}

// awaitCopilotLog waits for the first log entry about the users report of an organization.
func (c *collector) awaitCopilotLog(t *testing.T, name string) map[string]any {
	t.Helper()
	var entry map[string]any
	eventually(t, time.Minute, func() error {
		for line := range strings.Lines(c.Output()) {
			if !strings.Contains(line, fmt.Sprintf(`"copilot_owner":%q`, name)) ||
				!strings.Contains(line, `"report":"org_users_28d"`) {
				continue
			}
			return json.Unmarshal([]byte(line), &entry)
		}
		return fmt.Errorf("no log entry of %s", name)
	})
	return entry
}
