// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Server is a fake GitHub: an http.Handler that is safe for concurrent use. Its REST API is at the root and under
// /api/v3, GraphQL at /graphql and /api/graphql.
type Server struct {
	// URL is the base address of a server of Start, empty for one of NewServer.
	URL string

	settings Settings // with the defaults filled in
	now      func() time.Time
	closing  chan struct{} // closed by Close
	closed   sync.Once

	content     content
	credentials *credentialTable
	limits      limiter
	log         requestLog
	faults      faultTable
	stats       statsCache
}

// NewServer makes a server that has no address. Close ends its hanging responses.
func NewServer(set Settings) *Server {
	s := &Server{settings: set, now: set.Now, closing: make(chan struct{})}
	s.settings.Limits = set.Limits.orDefault()
	s.settings.StatsZeroFrom = cmp.Or(set.StatsZeroFrom, 10_000)
	s.settings.StatsPending = cmp.Or(set.StatsPending, 1)
	if s.now == nil {
		s.now = time.Now
	}
	s.content.load(set, s.now())
	if len(set.Credentials) == 0 {
		set.Credentials = []Credential{{Token: DefaultToken, Name: "default", Login: "octocat"}}
	}
	s.credentials = newCredentialTable(set.Credentials, set.Apps)
	s.limits.init(s.settings.Limits)
	s.log.maxEntries = cmp.Or(set.KeepRequests, 20_000)
	return s
}

// Start serves on a local port until the test ends.
func Start(tb testing.TB, set Settings) *Server {
	tb.Helper()
	s := NewServer(set)
	h := httptest.NewServer(s)
	tb.Cleanup(func() {
		s.Close()
		h.Close()
	})
	s.URL = h.URL
	return s
}

// Close ends the hanging responses. The server answers further requests as before.
func (s *Server) Close() { s.closed.Do(func() { close(s.closing) }) }

// Now returns the server's time.
func (s *Server) Now() time.Time { return s.now() }

// Timeline returns the timeline of the data, with the start filled in.
func (s *Server) Timeline() Timeline { return s.content.timeline }
