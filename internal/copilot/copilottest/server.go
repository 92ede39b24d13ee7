// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package copilottest

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Row is a row of a report, or a response, as a JSON object. Rows of reports have a "day" as YYYY-MM-DD.
type Row = map[string]any

// Dataset is what GitHub has of an organization or an enterprise.
type Dataset struct {
	// Aggregates, Users, Teams and Repositories are the rows of the reports, in any order.
	Aggregates, Users, Teams, Repositories []Row
	// Large replaces Users by rows that are made while they are sent; nil does not.
	Large *Large
	// Billing is the summary of the seats; nil is 404. Seats is their list.
	Billing Row
	Seats   []Row
}

// Settings configure a server.
type Settings struct {
	// Now is the clock; nil is time.Now.
	Now func() time.Time
	// FilesURL is the address of the host that serves Files, without a slash at its end.
	FilesURL string
	// FilesPerReport is how many links a report has at most; 0 is one. The rows are cut by time.
	FilesPerReport int
	// LinkLife is for how long a link is valid; 0 is one hour.
	LinkLife time.Duration
	// Delay is how many full days after its end a day has reports; 0 is one.
	Delay int
}

// Request is a request that the server received.
type Request struct {
	// Endpoint is "users-28-day", "billing", "billing/seats", ..., and "file" at the host of files.
	Endpoint string
	// Owner is the organization or the enterprise, Day the parameter day.
	Owner, Day string
	Status     int
	// HasCredential says that the request had an Authorization header, or a cookie.
	HasCredential bool
	// Referer is the header of this name.
	Referer string
}

// Server is the Copilot side of GitHub. It is safe for concurrent use.
type Server struct {
	settings Settings

	mu          sync.Mutex
	orgs        map[string]*Dataset
	enterprises map[string]*Dataset
	rules       []*Rule
	requests    []Request
	files       map[string]*file
	nextFile    int
	fileBytes   int64
	createdAt   time.Time
}

// New makes a server without data.
func New(settings Settings) *Server {
	if settings.Now == nil {
		settings.Now = time.Now
	}
	settings.FilesPerReport = max(1, settings.FilesPerReport)
	settings.Delay = max(1, settings.Delay)
	if settings.LinkLife <= 0 {
		settings.LinkLife = time.Hour
	}
	return &Server{
		settings: settings, orgs: make(map[string]*Dataset), enterprises: make(map[string]*Dataset),
		files: make(map[string]*file), createdAt: settings.Now(),
	}
}

// SetFilesURL sets Settings.FilesURL of a server whose address is known only after its start.
func (s *Server) SetFilesURL(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings.FilesURL = address
}

// SetDelay sets Settings.Delay: a lower one is what happens when the day has come at which a day has reports.
func (s *Server) SetDelay(days int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settings.Delay = days
}

// SetOrganization sets the data of an organization.
func (s *Server) SetOrganization(name string, data *Dataset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orgs[name] = data
}

// SetEnterprise sets the data of an enterprise.
func (s *Server) SetEnterprise(slug string, data *Dataset) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enterprises[slug] = data
}

// Remake changes the data and gives the reports another created_at, as GitHub does for the last days.
func (s *Server) Remake(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
	s.createdAt = s.settings.Now()
}

// Requests returns the requests so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// FileBytes returns how many bytes of files were sent to their end.
func (s *Server) FileBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fileBytes
}

// ResetRequests forgets the requests so far.
func (s *Server) ResetRequests() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// Count returns how many requests of an endpoint were received; "" counts all.
func (s *Server) Count(endpoint string) int {
	count := 0
	for _, request := range s.Requests() {
		if endpoint == "" || request.Endpoint == endpoint {
			count++
		}
	}
	return count
}

// record records a request. The caller holds the lock.
func (s *Server) record(r *http.Request, request Request) {
	request.HasCredential = r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != ""
	request.Referer = r.Header.Get("Referer")
	s.requests = append(s.requests, request)
}

// Newest returns the newest day with reports.
func (s *Server) Newest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest()
}

// newest returns the newest day with reports. The caller holds the lock.
func (s *Server) newest() string {
	return s.settings.Now().UTC().AddDate(0, 0, -1-s.settings.Delay).Format(time.DateOnly)
}

// requestID is the id that GitHub has in each response.
func (s *Server) requestID() string { return fmt.Sprintf("C0C0:%04X", len(s.requests)) }
