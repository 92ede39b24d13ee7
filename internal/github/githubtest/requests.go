// Copyright The githubexporter Authors
// SPDX-License-Identifier: Apache-2.0

package githubtest

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// RequestInfo is what the accounting knows about a request.
type RequestInfo struct {
	// Seq counts all requests from 1.
	Seq  int
	Time time.Time
	// Method, Path and Query as they were sent.
	Method, Path, Query string
	// Route is GitHub's template of the path, like "/repos/{owner}/{repo}/pulls", with or without the by-id form of the
	// address; "/graphql" for a GraphQL query, "" for an unknown path.
	Route string
	// Operation is the name of a GraphQL operation; Variables are its variables.
	Operation string
	Variables map[string]any
	// Org and Repo are what it is about, where that is known.
	Org, Repo string
	// Credential is the name of the token.
	Credential string
	// Resource and Cost are the rate limit and the points that were charged.
	Resource string
	Cost     int
	// Status of the answer, 0 where there was none.
	Status int
	// Fault is the kind of the fault that struck.
	Fault EffectKind
}

// requestLog keeps the newest requests and sums over all of them.
type requestLog struct {
	maxEntries int
	mu         sync.Mutex
	seq        int
	entries    []RequestInfo
	totals     requestTotals
	hooks      []func(RequestInfo)
}

type requestTotals struct {
	requests, faults int
	points, routes   map[string]int
	statuses         map[int]int
}

func (l *requestLog) nextSeq() (int, []func(RequestInfo)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	return l.seq, l.hooks
}

func (l *requestLog) add(info RequestInfo) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) >= l.maxEntries {
		l.entries = slices.Delete(l.entries, 0, len(l.entries)-l.maxEntries/2)
	}
	l.entries = append(l.entries, info)
	l.totals.add(info)
}

func (s *requestTotals) add(info RequestInfo) {
	if s.points == nil {
		s.points, s.routes, s.statuses = map[string]int{}, map[string]int{}, map[int]int{}
	}
	s.requests++
	s.points[info.Resource] += info.Cost
	s.routes[info.Route]++
	s.statuses[info.Status]++
	if info.Fault != "" {
		s.faults++
	}
}

func (l *requestLog) fillStats(st *Stats) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st.Requests, st.Faults = l.totals.requests, l.totals.faults
	st.Points, st.Routes, st.Statuses = maps.Clone(l.totals.points), maps.Clone(l.totals.routes), maps.Clone(
		l.totals.statuses,
	)
}

// OnRequest calls a function after each request came in and before it is answered, so that a test can change the data
// between two pages. Functions are called in the order they were added, on the request's goroutine.
func (s *Server) OnRequest(f func(RequestInfo)) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.hooks = append(slices.Clip(s.log.hooks), f)
}

// Requests are the requests that were answered, oldest first; there are at most Settings.KeepRequests.
func (s *Server) Requests() []RequestInfo {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.entries)
}

// CountRequests counts the requests that a function chooses.
func (s *Server) CountRequests(choose func(RequestInfo) bool) int {
	n := 0
	for _, r := range s.Requests() {
		if choose(r) {
			n++
		}
	}
	return n
}

// PointsSpent is how many points were charged to a resource.
func (s *Server) PointsSpent(resource string) int {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.totals.points[resource]
}

// ResetRequests forgets the requests and points counted so far; limits and faults stay.
func (s *Server) ResetRequests() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.entries, s.log.totals = nil, requestTotals{}
}
