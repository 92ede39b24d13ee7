// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
	"github.com/seed-358c4d9d/githubexporter/internal/redistest"
)

// enterprise is the slug of the enterprise, whose data are others than those of the organization.
const enterprise = "open-enterprise"

// copilotGitHub is a scripted GitHub with Copilot reports.
type copilotGitHub struct {
	*copilottest.Server

	url, caFile string
	// hold blocks requests for files while it is locked for writing, with isHalf after half of a file; waiting has a
	// token for each one. held is a part of the paths of these files, nil for all files.
	hold    sync.RWMutex
	isHalf  atomic.Bool
	held    atomic.Pointer[string]
	waiting chan struct{}
}

// startCopilotGitHub starts a scripted GitHub that serves the data of loadData, and Copilot reports.
func startCopilotGitHub(t *testing.T) *copilotGitHub {
	t.Helper()
	_, github, _ := serveData(t, time.Hour, time.Hour)
	return addCopilot(t, github)
}

// addCopilot starts a server that has the Copilot reports beside a scripted GitHub.
func addCopilot(t *testing.T, github *githubtest.Server) *copilotGitHub {
	t.Helper()
	g := &copilotGitHub{
		Server: copilottest.New(copilottest.Settings{FilesPerReport: 3}), waiting: make(chan struct{}, 1000),
	}
	g.SetOrganization(org, copilotData(5))
	g.SetEnterprise(enterprise, copilotData(8))
	upstream, err := url.Parse(github.URL)
	require.NoError(t, err)
	activity, api := httputil.NewSingleHostReverseProxy(upstream), g.API()
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/copilot/") {
			api.ServeHTTP(w, r)
			return
		}
		activity.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	files := g.Files()
	host := newFilesHost(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.isHalf.Load() {
			g.serveHalves(w, r, files)
			return
		}
		if held := g.held.Load(); held == nil || strings.Contains(r.URL.Path, *held) {
			g.waiting <- struct{}{}
			g.hold.RLock()
			defer g.hold.RUnlock()
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(host.Close)
	g.SetFilesURL(host.URL)
	g.url, g.caFile = front.URL, filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: host.Certificate().Raw})
	require.NoError(t, os.WriteFile(g.caFile, certificate, 0o600))
	return g
}

// newFilesHost starts the host of the files at 127.0.0.2, so that 127.0.0.1 is an address that is not allowed.
func newFilesHost(t *testing.T, files http.Handler) *httptest.Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 2)}, IsCA: true,
		BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	host := &httptest.Server{Listener: listener, Config: &http.Server{Handler: files}, TLS: &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}},
	}}
	host.StartTLS()
	return host
}

// serveHalves sends half of a file, and the other half when hold is free.
func (g *copilotGitHub) serveHalves(w http.ResponseWriter, r *http.Request, files http.Handler) {
	response := httptest.NewRecorder()
	files.ServeHTTP(response, r)
	maps.Copy(w.Header(), response.Header())
	w.WriteHeader(response.Code)
	body := response.Body.Bytes()
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush()
	g.waiting <- struct{}{}
	g.hold.RLock()
	defer g.hold.RUnlock()
	_, _ = w.Write(body[len(body)/2:])
}

// copilotData returns data whose rows have every dimension.
func copilotData(users int) *copilottest.Dataset {
	data := copilottest.Generate(users, 40, time.Now().UTC())
	for _, row := range data.Aggregates {
		addNumbers(row)
	}
	for _, row := range slices.Concat(data.Aggregates, data.Users) {
		part := func(labels copilottest.Row, divisor int) copilottest.Row {
			for _, field := range copilotCounters {
				labels[field] = row[field].(int) / divisor
			}
			return labels
		}
		language := part(copilottest.Row{"language": "go", "feature": "code_completion"}, 3)
		delete(language, "user_initiated_interaction_count") // GitHub has none by language
		row["totals_by_ide"] = []copilottest.Row{
			part(copilottest.Row{"ide": "vscode"}, 2), part(copilottest.Row{"ide": "neovim"}, 4),
		}
		row["totals_by_language_feature"] = []copilottest.Row{
			language, {"language": "go", "feature": "agent_edit", "loc_added_sum": 7},
		}
		row["totals_by_model_feature"] = []copilottest.Row{
			part(copilottest.Row{"model": "auto", "feature": "chat_panel_ask_mode"}, 5),
		}
	}
	return data
}

// copilotActiveUsers has the field of each kind and window of gh_copilot_active_users.
var copilotActiveUsers = map[string]map[string]string{
	"any":   {"1d": "daily_active_users", "7d": "weekly_active_users", "28d": "monthly_active_users"},
	"chat":  {"28d": "monthly_active_chat_users"},
	"agent": {"28d": "monthly_active_agent_users"},
	"cli":   {"1d": "daily_active_cli_users", "7d": "weekly_active_cli_users", "28d": "monthly_active_cli_users"},
	"cloud_agent": {
		"1d": "daily_active_copilot_cloud_agent_users", "7d": "weekly_active_copilot_cloud_agent_users",
		"28d": "monthly_active_copilot_cloud_agent_users",
	},
	"review_active": {
		"1d": "daily_active_copilot_code_review_users", "7d": "weekly_active_copilot_code_review_users",
		"28d": "monthly_active_copilot_code_review_users",
	},
	"review_passive": {
		"1d": "daily_passive_copilot_code_review_users", "7d": "weekly_passive_copilot_code_review_users",
		"28d": "monthly_passive_copilot_code_review_users",
	},
	"app": {"1d": "daily_active_copilot_app_users"},
}

// copilotPullRequests has the field of each value of the label what of gh_copilot_pull_requests.
var copilotPullRequests = map[string]string{
	"merged": "total_merged", "merged_created_by_copilot": "total_merged_created_by_copilot",
	"merged_reviewed_by_copilot": "total_merged_reviewed_by_copilot", "suggestions": "total_suggestions",
	"applied_suggestions": "total_applied_suggestions", "copilot_suggestions": "total_copilot_suggestions",
	"copilot_applied_suggestions": "total_copilot_applied_suggestions",
}

// copilotMinutes has the field of each value of the label what of gh_copilot_minutes_to_merge.
var copilotMinutes = map[string]string{
	"any": "median_minutes_to_merge", "copilot_authored": "median_minutes_to_merge_copilot_authored",
	"copilot_reviewed": "median_minutes_to_merge_copilot_reviewed",
}

// addNumbers sets every field of an aggregate that has a metric, each to another number.
func addNumbers(row copilottest.Row) {
	number := len(row["day"].(string)) + row["loc_added_sum"].(int)
	next := func() int { number += 3; return number }
	for _, kind := range slices.Sorted(maps.Keys(copilotActiveUsers)) {
		for _, window := range []string{"1d", "7d", "28d"} {
			if field := copilotActiveUsers[kind][window]; field != "" && row[field] == nil {
				row[field] = next()
			}
		}
	}
	pulls := row["pull_requests"].(copilottest.Row)
	for _, what := range slices.Sorted(maps.Keys(copilotPullRequests)) {
		pulls[copilotPullRequests[what]] = next()
	}
	for _, what := range []string{"copilot_authored", "copilot_reviewed"} {
		pulls[copilotMinutes[what]] = float64(next()) + 0.5
	}
	row["totals_by_cli"] = copilottest.Row{
		"session_count": next(), "request_count": next(), "prompt_count": next(),
		"token_usage": copilottest.Row{"prompt_tokens_sum": next(), "output_tokens_sum": next()},
	}
	row["totals_by_ai_adoption_phase"] = []copilottest.Row{
		{"phase": "No Cohort", "phase_number": 0, "total_engaged_users": next()},
		{"phase": "Phase 1", "phase_number": 1, "total_engaged_users": next()},
	}
}

// copilotConfig returns the settings of the receiver with Copilot settings.
func (g *copilotGitHub) config(storage, settings string) string {
	return fmt.Sprintf(`
orgs:
  - name: %[1]s
    auth: {token: %[2]s}
    scrape_interval: 2s
    lookback: 24h
github:
  endpoint: %[3]q
  tls: {ca_file: %[4]q}
  timeout: 90s # of a machine that does much else
  retry: {initial_interval: 100ms, max_interval: 1s}
  health: {probe_interval: 1s}
%[5]s
emit_interval: 1s
copilot: {%[6]s}
`, org, githubtest.DefaultToken, g.url, g.caFile, storage, settings)
}

// copilotSettings reads every report of both owners.
const copilotSettings = `enabled: true, org_28d: true, org_users_28d: true, enterprise_28d: true,
  enterprise_users_28d: true, teams: true, repos: true, breakdown: {feature: true}, download_hosts: [127.0.0.2],
  scrape_interval: 1m, enterprise: {slug: ` + enterprise + `, auth: {token: ` + githubtest.DefaultToken + `}}`

// copilotSeries returns the series of Copilot reports on the page.
func (c *collector) copilotSeries(t *testing.T) map[string]float64 {
	t.Helper()
	return c.seriesOf(t, "gh_copilot_")
}

// seriesOf returns the series on the page whose names begin with one of the prefixes.
func (c *collector) seriesOf(t *testing.T, prefixes ...string) map[string]float64 {
	t.Helper()
	found := make(map[string]float64)
	page, err := c.page(t.Context())
	if err != nil {
		return found
	}
	for line := range strings.Lines(page) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "} ")
		if ok && slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			number, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			found[seriesName(name+"}")] = number
		}
	}
	return found
}

// copilotExpectation computes the series of an owner from the rows of the reports, independently of the exporter.
type copilotExpectation struct {
	*copilotSwitches

	owner, scope, newest string
	series               map[string]float64
}

// copilotSwitches are the settings of labels.
type copilotSwitches struct {
	// dimensions have series of their own.
	dimensions []string
	// byDay is day_label; withoutScope and withoutPulls are scope_label and pull_request_activity switched off.
	byDay, withoutScope, withoutPulls bool
	// user returns the label of a user, nil the login.
	user func(id int, login string) string
}

// byFeature are the switches of copilotSettings.
var byFeature = &copilotSwitches{dimensions: []string{"feature"}}

// copilotArrays has the arrays of a row by dimension.
var copilotArrays = map[string]string{
	"feature": "totals_by_feature", "ide": "totals_by_ide", "language": "totals_by_language_feature",
	"model": "totals_by_model_feature",
}

// copilotCounters are the fields that are summed, which are the names of their metrics.
var copilotCounters = []string{
	"user_initiated_interaction_count", "code_generation_activity_count", "code_acceptance_activity_count",
	"loc_suggested_to_add_sum", "loc_suggested_to_delete_sum", "loc_added_sum", "loc_deleted_sum",
}

// add adds a value to a series, nothing for nil. The labels alternate between names and values; empty ones are absent.
func (e *copilotExpectation) add(metric string, value any, labels ...string) {
	if value == nil || (e.withoutPulls && (strings.Contains(metric, "pull_requests") ||
		strings.Contains(metric, "minutes_to_merge"))) {
		return
	}
	labels = append([]string{"org", e.owner}, labels...)
	var texts []string
	for pair := range slices.Chunk(labels, 2) {
		isHidden := (pair[0] == "scope" && metric != "gh_copilot_report_day_unixtime") ||
			(pair[0] == "window" && metric != "gh_copilot_active_users")
		if pair[1] != "" && (!isHidden || !e.withoutScope) {
			texts = append(texts, fmt.Sprintf("%s=%q", pair[0], pair[1]))
		}
	}
	slices.Sort(texts)
	number, ok := value.(float64)
	if !ok {
		number = float64(value.(int))
	}
	e.series[metric+"{"+strings.Join(texts, ",")+"}"] += number
}

// day returns the label day of a row.
func (e *copilotExpectation) day(row copilottest.Row) string {
	if !e.byDay {
		return ""
	}
	return row["day"].(string)
}

// dayOf returns the day of a row.
func (*copilotExpectation) dayOf(row copilottest.Row) string { return row["day"].(string) }

// addCounters adds the counters of a row, and of its dimensions.
func (e *copilotExpectation) addCounters(row copilottest.Row, labels ...string) {
	labels = append(slices.Clone(labels), "day", e.day(row))
	for _, field := range copilotCounters {
		e.add("gh_copilot_usage_"+field, row[field], labels...)
		for _, dimension := range e.dimensions {
			for _, part := range row[copilotArrays[dimension]].([]copilottest.Row) {
				e.add("gh_copilot_usage_"+field, part[field],
					append([]string{dimension, part[dimension].(string)}, labels...)...)
			}
		}
	}
}

func (e *copilotExpectation) addPullRequests(row copilottest.Row, scope, window, repo string) {
	pulls := row["pull_requests"].(copilottest.Row)
	shown := repo
	if shown == "" {
		shown = "*"
	}
	for _, field := range []string{
		"total_created", "total_reviewed", "total_created_by_copilot", "total_reviewed_by_copilot",
	} {
		e.add("gh_copilot_usage_pull_requests_"+field, pulls[field], "repo", shown, "user", "all", "scope", scope,
			"window", window, "day", e.day(row))
	}
	if repo != "" && row["day"] != e.newest {
		return // of a single day that is not the newest one
	}
	for what, field := range copilotPullRequests {
		e.add("gh_copilot_pull_requests", pulls[field], "scope", scope, "repo", repo, "what", what, "window", window)
	}
	for what, field := range copilotMinutes {
		if row["day"] == e.newest {
			e.add("gh_copilot_minutes_to_merge", pulls[field], "scope", scope, "repo", repo, "what", what)
		}
	}
}

func (e *copilotExpectation) addAggregates(data *copilottest.Dataset) {
	for _, row := range data.Aggregates {
		if !e.isInWindow(row) {
			continue
		}
		e.addCounters(row, "repo", "*", "user", "all", "scope", e.scope, "window", "28d")
		e.addPullRequests(row, e.scope, "28d", "")
		cli := row["totals_by_cli"].(copilottest.Row)
		tokens := cli["token_usage"].(copilottest.Row)
		for what, value := range map[string]any{
			"sessions": cli["session_count"], "requests": cli["request_count"], "prompts": cli["prompt_count"],
			"prompt_tokens": tokens["prompt_tokens_sum"], "output_tokens": tokens["output_tokens_sum"],
		} {
			e.add("gh_copilot_cli", value, "scope", e.scope, "window", "28d", "what", what)
		}
		if row["day"] == e.newest {
			e.addNewestDay(row)
		}
	}
}

// addNewestDay adds what is distinct: the values of the newest day alone.
func (e *copilotExpectation) addNewestDay(row copilottest.Row) {
	for kind, fields := range copilotActiveUsers {
		for window, field := range fields {
			e.add("gh_copilot_active_users", row[field], "scope", e.scope, "window", window, "kind", kind)
		}
	}
	for _, phase := range row["totals_by_ai_adoption_phase"].([]copilottest.Row) {
		e.add("gh_copilot_adoption_users", phase["total_engaged_users"], "scope", e.scope, "phase",
			phase["phase"].(string))
	}
}

func (e *copilotExpectation) addUsers(data *copilottest.Dataset) {
	teams := make(map[string]string)
	for _, row := range data.Teams {
		teams[fmt.Sprint(row["day"], row["user_id"])] = row["slug"].(string)
	}
	for _, row := range data.Users {
		if !e.isInWindow(row) {
			continue
		}
		user, credits := row["user_login"].(string), row["ai_credits_used"]
		if e.user != nil {
			user = e.user(row["user_id"].(int), user)
		}
		e.addCounters(row, "repo", "*", "user", user, "scope", e.scope+"_users", "window", "28d")
		e.add("gh_copilot_ai_credits_used", credits, "user", user, "scope", e.scope+"_users", "window", "28d")
		team := teams[fmt.Sprint(row["day"], row["user_id"])]
		if team == "" || !e.isShownDay(row) {
			continue
		}
		labels := []string{"user", "all", "team", team, "scope", e.scope + "_teams", "window", "1d"}
		e.addCounters(row, append(slices.Clone(labels), "repo", "*")...)
		if row["day"] == e.newest {
			e.add("gh_copilot_ai_credits_used", credits, labels...)
		}
	}
}

// isShownDay reports whether the report of a row's day is shown: the newest one or, with the label day, each of those
// that are read, from four days ago on.
func (e *copilotExpectation) isShownDay(row copilottest.Row) bool {
	day := row["day"].(string)
	return day == e.newest ||
		(e.byDay && day < e.newest && day >= time.Now().UTC().AddDate(0, 0, -4).Format(time.DateOnly))
}

// addMissedDay adds what a report of users of the newest day shows that was read in place of a failed one of 28 days.
func (e *copilotExpectation) addMissedDay(data *copilottest.Dataset) {
	for _, row := range data.Users {
		if row["day"] != e.newest {
			continue
		}
		labels := []string{"user", row["user_login"].(string), "scope", e.scope + "_users", "window", "1d"}
		e.addCounters(row, append(slices.Clone(labels), "repo", "*")...)
		e.add("gh_copilot_ai_credits_used", row["ai_credits_used"], labels...)
	}
}

// isInWindow reports whether a row is of the 28 days up to the newest one.
func (e *copilotExpectation) isInWindow(row copilottest.Row) bool {
	newest, err := time.Parse(time.DateOnly, e.newest)
	day := row["day"].(string)
	return err == nil && day <= e.newest && day >= newest.AddDate(0, 0, -27).Format(time.DateOnly)
}

// expectedCopilot returns the series of all reports of an owner.
func expectedCopilot(
	switches *copilotSwitches, owner, scope, newest string, data *copilottest.Dataset,
) map[string]float64 {
	e := &copilotExpectation{
		copilotSwitches: switches, owner: owner, scope: scope, newest: newest, series: make(map[string]float64),
	}
	e.addAggregates(data)
	e.addUsers(data)
	for _, row := range data.Repositories {
		if e.isShownDay(row) {
			repo := row["repo_name"].(string)
			if scope == "enterprise" {
				repo = row["repo_owner_name"].(string) + "/" + repo
			}
			e.addPullRequests(row, scope+"_repos", "1d", repo)
		}
	}
	day, _ := time.Parse(time.DateOnly, newest)
	for _, of := range []string{scope, scope + "_users"} {
		e.add("gh_copilot_report_day_unixtime", int(day.Unix()), "scope", of)
	}
	seats := map[string]int{"total": len(data.Seats), "never_used": 2}
	if scope == "org" {
		of := data.Billing["seat_breakdown"].(copilottest.Row)
		seats["active"], seats["inactive"] = of["active_this_cycle"].(int), of["inactive_this_cycle"].(int)
		seats["pending"] = of["pending_invitation"].(int)
	}
	for state, count := range seats {
		e.add("gh_copilot_seats", count, "scope", scope, "state", state)
	}
	return e.series
}

// awaitCopilot waits until the page has exactly the expected series of all reports.
func (g *copilotGitHub) awaitCopilot(t *testing.T, c *collector, limit time.Duration) {
	t.Helper()
	g.awaitSeries(t, c, limit, byFeature)
}

// awaitSeries waits until the page has exactly the expected series of all reports with the settings of labels.
func (g *copilotGitHub) awaitSeries(t *testing.T, c *collector, limit time.Duration, switches *copilotSwitches) {
	t.Helper()
	newest := g.Newest()
	want := expectedCopilot(switches, org, "org", newest, copilotData(5))
	maps.Copy(want, expectedCopilot(switches, enterprise, "enterprise", newest, copilotData(8)))
	eventually(t, limit, func() error {
		if diff := cmp.Diff(want, c.copilotSeries(t)); diff != "" {
			return fmt.Errorf("series of Copilot: %s", diff[:min(len(diff), 2000)])
		}
		return nil
	})
}

// embedded is a store in the process.
const embedded = "storage: file_storage"

// TestCopilotReports compares the series of every report with the rows, and a restart requests nothing again.
func TestCopilotReports(t *testing.T) {
	t.Parallel()
	g := startCopilotGitHub(t)
	gx := startCollector(t, g.config(embedded, strings.Replace(copilotSettings, "scrape_interval: 1m",
		"scrape_interval: 1h", 1)))
	g.awaitCopilot(t, gx, time.Minute)
	for scope, results := range map[string]map[string]float64{
		"org":              {"success": 1, "failure": 0, "pending": 0, "refused": 0, "unchanged": 0, "limited": 0},
		"enterprise_users": {"success": 1, "failure": 0},
		"org_seats":        {"success": 1, "failure": 0},
	} {
		for result, want := range results {
			gx.awaitValue(t, want,
				fmt.Sprintf("gh_exporter_copilot_scrape_runs_total{result=%q,scope=%q}", result, scope))
		}
	}
	gx.awaitValue(t, 1, `gh_exporter_copilot_report_download_total{result="success",scope="org_users"}`)
	gx.awaitValue(t, 0, `gh_exporter_copilot_report_download_total{result="host",scope="org_users"}`)
	gx.awaitValue(t, 0, `gh_exporter_copilot_records_dropped_total{reason="max_users",scope="org_users"}`)
	gx.awaitValue(t, 1, fmt.Sprintf(
		`gh_exporter_dependency_health{dependency="github_api_copilot_org_28d",org=%q}`, org))
	for _, request := range g.Requests() {
		require.Equal(t, request.Endpoint != "file", request.HasCredential, "%+v", request)
	}
	require.Less(t, gx.Stop(), time.Second)
	g.ResetRequests()
	gx.start(t)
	g.awaitCopilot(t, gx, time.Minute)
	gx.awaitComplete(t, org)
	require.Zero(t, g.Count("organization-28-day")+g.Count("users-28-day")+g.Count("enterprise-28-day"))
	requireNoSecret(t, gx.Output())
	require.NotContains(t, gx.Output(), "sig=")
}

// atLeast compares a value with the least one.
func atLeast(got, want float64) bool { return got >= want }

// awaitValue waits until a series has a value. compare is equality where it is left out.
func (c *collector) awaitValue(
	t *testing.T, want float64, series string, compare ...func(got, want float64) bool,
) {
	t.Helper()
	equal := func(got, want float64) bool { return got == want }
	if len(compare) > 0 {
		equal = compare[0]
	}
	eventually(t, 30*time.Second, func() error {
		got, err := c.value(t.Context(), series)
		if err == nil && !equal(got, want) {
			err = fmt.Errorf("%s is %v, want %v", series, got, want)
		}
		return err
	})
}

// TestCopilotLabels compares the series of every report with the rows, with each setting of labels and users.
func TestCopilotLabels(t *testing.T) {
	t.Parallel()
	g := startCopilotGitHub(t)
	for name, test := range map[string]struct {
		settings, actors string
		switches         copilotSwitches
	}{
		"no dimension": {"breakdown: {feature: false}", "login", copilotSwitches{}},
		"all dimensions": {
			"breakdown: {feature: true, ide: true, language: true, model: true}", "login",
			copilotSwitches{dimensions: []string{"feature", "ide", "language", "model"}},
		},
		"days": {"breakdown: {ide: true}, day_label: true", "login", copilotSwitches{
			dimensions: []string{"ide"}, byDay: true,
		}},
		"no scope, ids": {"scope_label: false", "id", copilotSwitches{
			withoutScope: true, user: func(id int, _ string) string { return strconv.Itoa(id) },
		}},
		"no scope, days, no pull requests, all users": {
			"scope_label: false, day_label: true, pull_request_activity: false", "none",
			copilotSwitches{
				withoutScope: true, byDay: true, withoutPulls: true,
				user: func(int, string) string { return "_all" },
			},
		},
		"hashed": {"breakdown: {model: true}", "hashed", copilotSwitches{
			dimensions: []string{"model"}, user: func(_ int, login string) string {
				sum := sha256.Sum256([]byte(login))
				return hex.EncodeToString(sum[:8])
			},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := strings.Replace(copilotSettings, "breakdown: {feature: true}", test.settings, 1)
			if test.switches.withoutPulls {
				settings = strings.Replace(settings, "repos: true", "repos: false", 1)
			}
			gx := startCollector(t, g.config(embedded+"\nactors: {label: "+test.actors+"}", settings))
			g.awaitSeries(t, gx, time.Minute, &test.switches)
		})
	}
}

// TestCopilotDownloadFails: a file that is answered with an error degrades the replica, not its readiness, its former
// values stay, and the report is read later.
func TestCopilotDownloadFails(t *testing.T) {
	t.Parallel()
	g := startCopilotGitHub(t)
	g.AddRule(copilottest.Rule{
		Endpoint: "organization-28-day", Owner: org, Link: copilottest.LinkWithError, Times: 1,
	})
	gx := startLeader(t, g.config("", copilotSettings))
	const health = `gh_exporter_dependency_health{dependency="github_copilot_report_download",org="` + org + `"}`
	gx.awaitValue(t, 0, health)
	gx.awaitValue(t, 1, `gh_exporter_copilot_report_download_total{result="status",scope="org"}`)
	gx.awaitValue(t, 3, fmt.Sprintf(
		`gh_exporter_backfill_jobs_enqueued_total{org=%q,reason="copilot_download_failed"}`, org))
	gx.awaitHealth(t, expectedHealth{"leader", "degraded", "github_copilot_report_download", false}, healthTimeout)
	gx.awaitComplete(t, org)
	gx.awaitValue(t, 1, fmt.Sprintf(`gh_exporter_dependency_health{dependency="github_api_core",org=%q}`, org))
	g.awaitCopilot(t, gx.collector, 2*time.Minute)
	gx.awaitValue(t, 1, health)
	gx.awaitHealth(t, expectedHealth{"leader", "healthy", "github_copilot_report_download", true}, healthTimeout)
}

// TestCopilotFailover kills the leader when it has received half of a file: the next one reads the report, all replicas
// show the same, and each report was read once.
func TestCopilotFailover(t *testing.T) {
	t.Parallel()
	g := startCopilotGitHub(t)
	redis := redistest.Start(t)
	config := g.config("", strings.Replace(copilotSettings, "scrape_interval: 1m", "scrape_interval: 1h", 1))
	g.hold.Lock()
	g.isHalf.Store(true)
	replicas := startReplicas(t, 2, redis.Address, config)
	leader := awaitLeader(t, replicas)
	select {
	case <-g.waiting:
	case <-time.After(time.Minute):
		require.Fail(t, "no file was requested")
	}
	replicas[leader].Kill()
	other := replicas[1-leader]
	eventually(t, 30*time.Second, func() error {
		if awaitLeader(t, []*replica{other}) != 0 {
			return errors.New("the other replica does not lead")
		}
		return nil
	})
	for series := range other.copilotSeries(t) {
		require.NotContains(t, series, "gh_copilot_usage_", "no file was read to its end yet")
	}
	g.hold.Unlock()
	g.awaitCopilot(t, other.collector, time.Minute)
	for _, scope := range []string{"org", "org_users", "enterprise", "enterprise_users"} {
		other.awaitValue(t, 1, fmt.Sprintf(`gh_exporter_copilot_scrape_runs_total{result="success",scope=%q}`, scope))
	}
	require.LessOrEqual(t, g.Count("organization-28-day"), 2, "once by each leader at most")
	require.LessOrEqual(t, g.Count("enterprise-28-day"), 2, "once by each leader at most")
	replicas[leader].start(t)
	g.awaitCopilot(t, replicas[leader].collector, time.Minute)
	g.awaitCopilot(t, other.collector, time.Minute)
}

// TestCopilotLeaderPerOrganization: with a leader for each organization, and emission by it alone, the series of an
// owner are on the page of one replica. When it is killed, the other one has them all, and requests no report again.
func TestCopilotLeaderPerOrganization(t *testing.T) {
	t.Parallel()
	g, orgs := startCopilotOrganizations(t, "first", "second")
	want := make(map[string]map[string]float64)
	for i, name := range []string{"first", "second"} {
		g.SetOrganization(name, copilotData(5+i))
		want[name] = expectedCopilot(byFeature, name, "org", g.Newest(), copilotData(5+i))
	}
	maps.Copy(want["first"], expectedCopilot(byFeature, enterprise, "enterprise", g.Newest(), copilotData(8)))
	settings := strings.Replace(copilotSettings, "scrape_interval: 1m", "scrape_interval: 1h", 1)
	_, rest, _ := strings.Cut(g.config("", settings), "github:\n")
	redis := fmt.Sprintf("{endpoints: [%q]}", redistest.Start(t).Address)
	replicas := make([]*replica, 2)
	for i := range replicas {
		// A replica that has yielded an organization shows its series until they expire.
		replicas[i] = newReplica(t, "info", "redis: "+redis, redis, "leadership: org\nemit_from: leader\norgs:\n"+
			orgs+"github:\n"+rest, "metric_expiration: 10m", "metric_expiration: 15s")
		replicas[i].start(t)
	}
	eventually(t, time.Minute, func() error {
		return checkSpread(t, replicas, []string{"first", "second"}, []int{1, 1})
	})
	leader := 0 // of the first organization, whose ledger has the enterprise
	if value, err := replicas[1].value(t.Context(), `gh_exporter_leader{org="first"}`); err == nil && value == 1 {
		leader = 1
	}
	replicas[leader].awaitSeriesOf(t, want["first"], "first", enterprise)
	replicas[1-leader].awaitSeriesOf(t, want["second"], "second")
	g.ResetRequests()
	replicas[leader].Kill()
	all := maps.Clone(want["first"])
	maps.Copy(all, want["second"])
	replicas[1-leader].awaitSeriesOf(t, all, "first", "second", enterprise)
	require.Zero(t, g.Count("organization-28-day")+g.Count("users-28-day")+g.Count("enterprise-28-day"))
}

// awaitSeriesOf waits until the page has exactly the expected series of Copilot. owners name them in a failure.
func (c *collector) awaitSeriesOf(t *testing.T, want map[string]float64, owners ...string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		if diff := cmp.Diff(want, c.copilotSeries(t)); diff != "" {
			return fmt.Errorf("series of %v: %s", owners, diff[:min(len(diff), 2000)])
		}
		return nil
	})
}

// startCopilotOrganizations starts a scripted GitHub with organizations and the enterprise. It returns the settings of
// the organizations too.
func startCopilotOrganizations(t *testing.T, names ...string) (*copilotGitHub, string) {
	t.Helper()
	settings := githubtest.Settings{Limits: highLimits}
	var orgs strings.Builder
	for _, name := range names {
		data := smallOrg(time.Now())
		data.Org.Login = name
		settings.Datasets = append(settings.Datasets, data)
		fmt.Fprintf(&orgs, "  - {name: %s, auth: {token: %s}, scrape_interval: 2s}\n", name, githubtest.DefaultToken)
	}
	return addCopilot(t, githubtest.Start(t, settings)), orgs.String()
}

// TestCopilotEnterpriseOnce: the reports of the enterprise are requested once, however many organizations there are.
func TestCopilotEnterpriseOnce(t *testing.T) {
	t.Parallel()
	g, orgs := startCopilotOrganizations(t, "first", "second", "third")
	config := g.config(embedded, `enabled: true, org_28d: false, enterprise_28d: true, seats: false,
  download_hosts: [127.0.0.2], enterprise: {slug: `+enterprise+`, auth: {token: `+githubtest.DefaultToken+`}}`)
	_, rest, _ := strings.Cut(config, "github:\n")
	gx := startCollector(t, "orgs:\n"+orgs+"github:\n"+rest)
	gx.awaitValue(t, 8, fmt.Sprintf(
		`gh_copilot_active_users{kind="any",org=%q,scope="enterprise",window="28d"}`, enterprise))
	for _, name := range []string{"first", "second", "third"} {
		gx.awaitComplete(t, name)
	}
	require.Equal(t, 1, g.Count("enterprise-28-day"))
	require.Equal(t, 2, g.Count(""), "the links and the file")
	gx.awaitValue(t, 1, `gh_exporter_copilot_scrape_runs_total{result="success",scope="enterprise"}`)
}

// TestCopilotOfSomeOrganizations: with a list, nothing is requested about an organization that is not in it.
func TestCopilotOfSomeOrganizations(t *testing.T) {
	t.Parallel()
	g, orgs := startCopilotOrganizations(t, "first", org)
	config := g.config(embedded, `enabled: true, orgs: [`+strings.ToUpper(org)+`], download_hosts: [127.0.0.2]`)
	_, rest, _ := strings.Cut(config, "github:\n")
	gx := startCollector(t, "orgs:\n"+orgs+"github:\n"+rest)
	gx.awaitValue(t, 5, fmt.Sprintf(`gh_copilot_active_users{kind="any",org=%q,scope="org",window="28d"}`, org))
	gx.awaitValue(t, 1, `gh_exporter_copilot_scrape_runs_total{result="success",scope="org_seats"}`)
	gx.awaitComplete(t, "first")
	require.NotEmpty(t, g.Requests())
	for _, request := range g.Requests() {
		require.NotEqual(t, "first", request.Owner, request.Endpoint)
	}
}

// TestCopilotEnterpriseServer: GitHub Enterprise Server gets no request, and the log says so once.
func TestCopilotEnterpriseServer(t *testing.T) {
	t.Parallel()
	g := startCopilotGitHub(t)
	g.url += "/api/v3"
	gx := startCollector(t, g.config(embedded, copilotSettings))
	const message = "GitHub Enterprise Server has none"
	eventually(t, 20*time.Second, func() error {
		if !strings.Contains(gx.Output(), message) {
			return errors.New("not in the log")
		}
		return nil
	})
	waitUntil(t, time.Now().Add(3*time.Second))
	require.Equal(t, 1, strings.Count(gx.Output(), message))
	require.Zero(t, g.Count(""))
	require.Empty(t, gx.copilotSeries(t))
}

// TestCopilotOff: without the setting there is no series and no request.
func TestCopilotOff(t *testing.T) {
	t.Parallel()
	g := startCopilotGitHub(t)
	gx := startCollector(t, g.config(embedded, "org_users_28d: true"))
	gx.awaitComplete(t, org)
	page, err := gx.page(t.Context())
	require.NoError(t, err)
	for _, name := range []string{"gh_copilot_", "gh_exporter_copilot_", "github_copilot_", "github_api_copilot_"} {
		require.NotContains(t, page, name)
	}
	require.Zero(t, g.Count(""))
}
