// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"encoding/pem"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/copilot/copilottest"
	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest"
)

const (
	// atLeastLeft is how much of the data arrives while the demo runs, at least.
	atLeastLeft = 48 * time.Hour
	// copilotDays is how many days have Copilot reports: those of the history, and the 28 before them.
	copilotDays = 60
	// credentialDays is how long the token of the demo is valid.
	credentialDays = 30
	// copilotUsers is how many people have a seat.
	copilotUsers = 48
)

// GitHub is the scripted GitHub of the demo.
type GitHub struct {
	Data     *githubtest.Dataset
	Copilot  *copilottest.Dataset
	Timeline githubtest.Timeline

	server *githubtest.Server
	api    http.Handler
	files  *httptest.Server
}

// NewGitHub serves data from a start on.
func NewGitHub(fsys fs.FS, token string, start time.Time, speed float64) (*GitHub, error) {
	data, err := githubtest.LoadDataset(fsys)
	if err != nil {
		return nil, err
	}
	addTeams(data)
	data.Enrich()
	g := &GitHub{
		Data: data, Copilot: copilottest.GenerateDemo(busiest(data, copilotUsers), copilotDays, start),
		Timeline: githubtest.Timeline{Pivot: pivotFor(data.LastEventTime(), start), Start: start, Speed: speed},
	}
	g.server = githubtest.NewServer(githubtest.Settings{
		Datasets: []*githubtest.Dataset{data}, Timeline: g.Timeline,
		Credentials: []githubtest.Credential{{
			Token: token, Name: "default", Login: "octocat", Expires: start.AddDate(0, 0, credentialDays),
		}},
	})
	reports := copilottest.New(copilottest.Settings{FilesPerReport: 2})
	reports.SetOrganization(data.Org.Login, g.Copilot)
	g.files = httptest.NewTLSServer(reports.Files())
	reports.SetFilesURL(g.files.URL)
	g.api = reports.API()
	return g, nil
}

// pivotFor returns the time of data that is served as start: the latest one with the same weekday and hour, so that
// weekends are weekends.
func pivotFor(end, start time.Time) time.Time {
	const week = 7 * 24 * time.Hour
	latest := end.Add(-atLeastLeft)
	return latest.Add(-((latest.Sub(start)%week + week) % week))
}

// busiest returns the logins of the people with the most commits, pull requests and reviews.
func busiest(data *githubtest.Dataset, count int) []string {
	events := make(map[string]int)
	add := func(login *string) {
		if login != nil && !strings.HasSuffix(*login, "[bot]") {
			events[*login]++
		}
	}
	for i := range data.Commits {
		add(data.Commits[i].Login)
	}
	for i := range data.Pulls {
		add(data.Pulls[i].Login)
	}
	for i := range data.Reviews {
		add(data.Reviews[i].Login)
	}
	return most(events, count)
}

// ServeHTTP serves the API of GitHub, with Copilot, and the control of faults.
func (g *GitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.Contains(r.URL.Path, "/copilot/") {
		g.api.ServeHTTP(w, r)
		return
	}
	g.server.Control().ServeHTTP(w, r)
}

// Certificate returns the certificate of the host of report files, as PEM.
func (g *GitHub) Certificate() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.files.Certificate().Raw})
}

// Close ends hanging responses and the host of report files.
func (g *GitHub) Close() {
	g.server.Close()
	g.files.Close()
}

// History returns the past of the metrics for a target of Prometheus, over a look-back.
func (g *GitHub) History(job, instance string, lookback time.Duration) *History {
	return &History{
		Data: g.Data, Copilot: g.Copilot, Timeline: g.Timeline, Since: g.Timeline.Start.Add(-lookback),
		Labels: map[string]string{"job": job, "instance": instance},
	}
}

// String names the organization and its size.
func (g *GitHub) String() string {
	return fmt.Sprintf("%s: %d repositories, %d commits, %d pull requests", g.Data.Org.Login, len(g.Data.Repos),
		len(g.Data.Commits), len(g.Data.Pulls))
}
