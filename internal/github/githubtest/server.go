// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"cmp"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-358c4d9d/githubexporter/internal/github/githubtest/internal/served"
)

// Server is a fake GitHub: an http.Handler that is safe for concurrent use. Its REST API is at the root and under
// /api/v3, GraphQL at /graphql and /api/graphql.
type Server struct {
	// URL is the base address when Start made the server.
	URL string

	settings Settings
	now      func() time.Time
	routes   []route
	closing  chan struct{}
	closed   sync.Once

	mu          sync.RWMutex // guards what follows
	data        []*Dataset
	tl          Timeline
	ix          *served.Index
	hiddenAfter time.Time
	tokens      map[string]*Credential

	limits limiter
	log    requestLog
	faults faultTable
	stats  statsCache
}

// NewServer makes a server; Close ends its hanging answers.
func NewServer(set Settings) *Server {
	s := &Server{settings: set, now: set.Now, closing: make(chan struct{}), tokens: map[string]*Credential{}}
	s.settings.Limits = set.Limits.orDefault()
	s.settings.StatsZeroFrom = cmp.Or(set.StatsZeroFrom, 10_000)
	s.settings.StatsPending = cmp.Or(set.StatsPending, 1)
	if s.now == nil {
		s.now = time.Now
	}
	for _, d := range set.Datasets {
		s.data = append(s.data, d.Clone())
	}
	s.tl = s.timeline(set)
	s.reindex()
	if len(set.Credentials) == 0 {
		set.Credentials = []Credential{{Token: DefaultToken, Name: "default", Login: "octocat"}}
	}
	for _, c := range set.Credentials {
		s.tokens[c.Token] = &c
	}
	s.limits.init(s.settings.Limits)
	s.log.maxEntries = cmp.Or(set.KeepRequests, 20_000)
	s.routes = restRoutes()
	return s
}

func (s *Server) timeline(set Settings) Timeline {
	tl := set.Timeline
	if tl.Pivot.IsZero() && set.Now == nil {
		for _, d := range s.data {
			if end := d.LastEventTime(); end.After(tl.Pivot) {
				tl.Pivot = end
			}
		}
	}
	if tl.Start.IsZero() {
		tl.Start = s.now()
	}
	tl.Start = tl.Start.UTC().Truncate(time.Second)
	return tl
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

// Close ends the answers that hang. The server answers further requests as before.
func (s *Server) Close() { s.closed.Do(func() { close(s.closing) }) }

// Now is the server's time.
func (s *Server) Now() time.Time { return s.now() }

// Timeline is the mapping of times in use, with the start filled in.
func (s *Server) Timeline() Timeline { return s.tl }

// Update changes the data of the first organization while the server runs. Requests see all of it or nothing.
func (s *Server) Update(change func(*Dataset)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.data[0])
	s.reindex()
}

// UpdateOrg changes the data of an organization. It panics if the server has none of that login.
func (s *Server) UpdateOrg(login string, change func(*Dataset)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.data, func(d *Dataset) bool { return strings.EqualFold(d.Org.Login, login) })
	change(s.data[i])
	s.reindex()
}

// reindex gives later requests the data as it is now; requests on their way keep what they have.
func (s *Server) reindex() {
	copies := make([]*Dataset, len(s.data))
	for i, d := range s.data {
		d.AssignRepoIDs()
		copies[i] = d.Clone()
	}
	s.ix = served.NewIndex(copies, s.tl)
}

// HideAfter makes everything dated after a served time invisible until ShowAll.
func (s *Server) HideAfter(until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hiddenAfter = until
}

// ShowAll makes visible again what HideAfter has hidden.
func (s *Server) ShowAll() { s.HideAfter(time.Time{}) }

// AddCredential accepts a further token, or replaces what a token may see.
func (s *Server) AddCredential(c Credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[c.Token] = &c
}

// RevokeToken makes a token unknown.
func (s *Server) RevokeToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

func (s *Server) view(cred *Credential) served.View {
	s.mu.RLock()
	defer s.mu.RUnlock()
	now := s.now()
	v := served.View{Index: s.ix, Now: now, Cutoff: now, Access: cred.access()}
	if !s.hiddenAfter.IsZero() && s.hiddenAfter.Before(now) {
		v.Cutoff = s.hiddenAfter
	}
	return v
}

// credential finds who asks. Both forms of the header are known
// (https://docs.github.com/rest/authentication/authenticating-to-the-rest-api).
func (s *Server) credential(r *http.Request) (cred *Credential, given bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") && !strings.EqualFold(scheme, "token") {
		return nil, r.Header.Get("Authorization") != ""
	}
	token = strings.TrimSpace(token)
	s.mu.RLock()
	defer s.mu.RUnlock()
	cred = s.tokens[token]
	if cred != nil && (isExpired(cred.expiresAt, s.now()) || isExpired(cred.Expires, s.now())) {
		return nil, true
	}
	return cred, true
}

// isExpired reports whether an end is reached; zero is none.
func isExpired(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
