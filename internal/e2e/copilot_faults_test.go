// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"encoding/json"
	"fmt"
	"slices"
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
	// result is the outcome in logs and counters, condition the state or the failure in the log.
	result, condition string
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
			faults = append(faults, copilotFault{copilottest.Rule{State: of}, result, condition})
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
		copilottest.Rule{Link: copilottest.RelativeLink}, "failure", "response_malformed",
	})
	for reason, links := range map[string][]copilottest.LinkFault{
		"link":     {copilottest.PlainLink, copilottest.LinkWithUser},
		"host":     {copilottest.PrivateLink, copilottest.UnlistedLink, copilottest.LoopbackLink},
		"address":  {copilottest.LocalhostLink},
		"timeout":  {copilottest.HangingLink},
		"expired":  {copilottest.ExpiredLink},
		"missing":  {copilottest.LinkNotThere},
		"status":   {copilottest.LinkWithError, copilottest.LinkIsBusy},
		"redirect": {copilottest.UnlistedRedirect, copilottest.LoopbackRedirect},
		"network":  {copilottest.RefusedLink},
	} {
		for _, link := range links {
			faults = append(faults, copilotFault{
				copilottest.Rule{Link: link}, "failure", "download_" + reason,
			})
		}
	}
	for problem, files := range map[string][]copilottest.FileFault{
		"truncated":   {copilottest.Truncated, copilottest.ShortBody},
		"markup":      {copilottest.HTML, copilottest.XMLError},
		"encoding":    {copilottest.UTF16, copilottest.Latin1},
		"syntax":      {copilottest.BrokenRow},
		"row_size":    {copilottest.LongRow},
		"nesting":     {copilottest.Nested},
		"no_row":      {copilottest.SentenceFile},
		"compression": {copilottest.BrokenGzip},
	} {
		for _, file := range files {
			faults = append(faults, copilotFault{
				copilottest.Rule{File: file}, "failure", "report_" + problem,
			})
		}
	}
	for _, file := range []copilottest.FileFault{
		copilottest.ByteOrderMark, copilottest.Gzip, copilottest.CarriageReturns, copilottest.NoLastLineFeed,
		copilottest.Array, copilottest.UnknownFields, copilottest.DuplicateRows, copilottest.NumbersForIDs,
		copilottest.NegativeNumbers, copilottest.HugeNumbers, copilottest.EmptyFile, copilottest.WideRow,
		copilottest.OtherDays,
	} {
		faults = append(faults, copilotFault{copilottest.Rule{File: file}, "success", ""})
	}
	return faults
}

// faultSecret is the beginning of the organizations' tokens.
const faultSecret = "secret-of-"

// startFaults starts a collector that reads one organization for each fault.
func startFaults(t *testing.T, faults []copilotFault) (*copilotGitHub, *collector) {
	t.Helper()
	settings := githubtest.Settings{Limits: highLimits}
	var orgs strings.Builder
	for i := range faults {
		data := smallOrg(time.Now())
		data.Org.Login = faultName(i)
		settings.Datasets = append(settings.Datasets, data)
		settings.Credentials = append(settings.Credentials, githubtest.Credential{
			Token: faultSecret + faultName(i), Login: faultName(i),
		})
		fmt.Fprintf(&orgs, "  - {name: %s, auth: {token: %s}, scrape_interval: 30s, lookback: 24h}\n", faultName(i),
			faultSecret+faultName(i))
	}
	g := addCopilot(t, githubtest.Start(t, settings))
	for i := range faults {
		g.SetOrganization(faultName(i), copilotData(4))
		rule := faults[i].rule
		rule.Endpoint, rule.Owner = "users-28-day", faultName(i)
		g.AddRule(rule)
	}
	config := g.config("storage: file_storage", `enabled: true, org_28d: false, org_users_28d: true, seats: false,
  download_hosts: [127.0.0.2, localhost], scrape_interval: 1h, request_timeout: 90s, download_timeout: 45s`)
	before, after, _ := strings.Cut(config, "orgs:\n")
	_, after, _ = strings.Cut(after, "github:\n")
	return g, startCollector(t, before+"orgs:\n"+orgs.String()+"github:\n"+after)
}

// faultName is the name of the organization with a fault.
func faultName(i int) string { return fmt.Sprintf("fault-%02d", i) }

// TestCopilotFaults reads an organization with each fault: the state and the failure are in the log, in the counters
// and in the health, a report that is usable has the right values, and the activity of the organization is read.
func TestCopilotFaults(t *testing.T) {
	t.Parallel()
	faults := copilotFaults()
	require.Greater(t, len(faults), 40)
	g, gx := startFaults(t, faults)
	want := map[string]float64{}
	for i := range faults {
		f := &faults[i]
		entry := gx.awaitCopilotLog(t, faultName(i))
		what := fmt.Sprintf("%s: %+v: %v", faultName(i), f.rule, entry)
		require.Equal(t, f.result, entry["result"], what)
		if f.condition != "" {
			require.Contains(t, []any{entry["state"], entry["failure"]}, f.condition, what)
		}
		if f.result == "failure" || f.result == "refused" {
			require.Equal(t, "warn", entry["level"], what)
		}
		f.expect(want, faultName(i), g.Newest())
	}
	eventually(t, 2*time.Minute, func() error {
		logged := gx.loggedResults(t)
		got := gx.seriesOf(t, "gh_")
		for series, value := range logged {
			isLoggedOnce := strings.Contains(series, `result="pending"`) || strings.Contains(series, `result="limited"`)
			if now := got[series]; now != value && (!isLoggedOnce || now < value) {
				return fmt.Errorf("%s is %v, the log has %v", series, now, value)
			}
		}
		for series, value := range want {
			if now, ok := got[series]; !ok || now != value {
				return fmt.Errorf("%s is %v (%v), want %v", series, now, ok, value)
			}
		}
		for i := range faults {
			runs := got[fmt.Sprintf(`gh_exporter_scrape_runs_total{org=%q,result="success"}`, faultName(i))]
			if faults[i].result != "limited" && runs < 1 {
				return fmt.Errorf("no pass of %s", faultName(i))
			}
		}
		return nil
	})
	for _, secret := range []string{"sig=", "/v0/", "user:password", faultSecret} {
		require.NotContains(t, gx.Output(), secret)
	}
	requireNoSecret(t, gx.Output())
}

// expect adds the series that the fault of an organization leads to.
func (f *copilotFault) expect(want map[string]float64, name, newest string) {
	for _, dependency := range []string{"github_api_copilot_org_users_28d", "github_copilot_report_download"} {
		health := 1.0
		if f.dependency() == dependency {
			health = 0
		}
		want[fmt.Sprintf(`gh_exporter_dependency_health{dependency=%q,org=%q}`, dependency, name)] = health
	}
	if f.result == "success" {
		f.expectValues(want, name, newest)
	}
}

// expectValues adds the values of a report that is usable, and how many rows and values of its last file were not used.
func (f *copilotFault) expectValues(want map[string]float64, name, newest string) {
	e := &copilotExpectation{
		copilotSwitches: &copilotSwitches{}, owner: name, scope: "org", newest: newest, series: want,
	}
	rows := slices.DeleteFunc(copilotData(4).Users, func(row copilottest.Row) bool { return !e.isInWindow(row) })
	slices.SortStableFunc(rows, func(a, b copilottest.Row) int { return strings.Compare(e.dayOf(a), e.dayOf(b)) })
	parts := slices.Collect(slices.Chunk(rows, (len(rows)+2)/3))
	last := parts[len(parts)-1]
	dropped := func(reason string) {
		series := fmt.Sprintf(`gh_exporter_copilot_records_dropped_total{reason=%q,scope="org_users"}`, reason)
		want[series] += float64(len(last))
	}
	invalid := 0
	switch f.rule.File {
	case copilottest.DuplicateRows:
		dropped("duplicate")
	case copilottest.OtherDays:
		dropped("outside_window")
		rows = rows[:len(rows)-len(last)]
	case copilottest.EmptyFile:
		rows = rows[:len(rows)-len(last)]
	case copilottest.NegativeNumbers, copilottest.HugeNumbers:
		for _, row := range last {
			invalid += removeCounters(row)
		}
	default:
	}
	want[fmt.Sprintf(`gh_exporter_invalid_values_total{org=%q}`, name)] = float64(invalid)
	e.addUsers(&copilottest.Dataset{Users: rows})
	day, _ := time.Parse(time.DateOnly, e.dayOf(rows[len(rows)-1]))
	e.add("gh_copilot_report_day_unixtime", int(day.Unix()), "scope", "org_users")
}

// removeCounters removes the counters of a row, in its arrays too, and returns how many there were.
func removeCounters(row copilottest.Row) int {
	removed := 0
	for name, value := range row {
		if slices.Contains(copilotCounters, name) {
			delete(row, name)
			removed++
		}
		if parts, ok := value.([]copilottest.Row); ok {
			for _, part := range parts {
				removed += removeCounters(part)
			}
		}
	}
	return removed
}

// loggedResults returns the counters of reports that the log entries make together: of the faults, of their
// repetitions, and of the days that are read in place of a report.
func (c *collector) loggedResults(t *testing.T) map[string]float64 {
	t.Helper()
	counters := make(map[string]float64)
	for line := range strings.Lines(c.Output()) {
		if !strings.Contains(line, `"report":"org_users_`) {
			continue
		}
		var entry struct{ Result, Failure string }
		require.NoError(t, json.Unmarshal([]byte(line), &entry))
		counters[fmt.Sprintf(`gh_exporter_copilot_scrape_runs_total{result=%q,scope="org_users"}`, entry.Result)]++
		download, isDownload := strings.CutPrefix(entry.Failure, "download_")
		switch {
		case entry.Result == "success":
			download = "success"
		case strings.HasPrefix(entry.Failure, "report_"):
			download = "unusable"
		case !isDownload:
			continue
		}
		counters[fmt.Sprintf(`gh_exporter_copilot_report_download_total{result=%q,scope="org_users"}`, download)]++
	}
	return counters
}

// awaitCopilotLog waits for the first log entry about the users report of an organization.
func (c *collector) awaitCopilotLog(t *testing.T, name string) map[string]any {
	t.Helper()
	var entry map[string]any
	eventually(t, 2*time.Minute, func() error {
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
